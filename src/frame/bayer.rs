//! Colour from a sensor that measures one colour per pixel: bilinear interpolation of the two
//! missing ones, the border mirrored (which keeps the pattern).

use super::raw::Rows;

const RED: usize = 0;
const GREEN: usize = 1;
const BLUE: usize = 2;

/// Where red is measured, as parities; blue is at the other two, green everywhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mosaic {
    pub(super) red_row: usize,
    pub(super) red_column: usize,
}

impl Mosaic {
    /// What row `y` measures besides green, and in which columns (their parity).
    const fn colour_of_row(self, y: usize) -> (usize, usize) {
        if y % 2 == self.red_row { (RED, self.red_column) } else { (BLUE, 1 - self.red_column) }
    }
}

/// Fills `rgb`, rows of `3 * width` bytes, from a mosaic of at least two rows and two columns.
pub(super) fn demosaic(rows: Rows<'_>, mosaic: Mosaic, rgb: &mut [u8]) {
    let last = rows.count() - 1;
    for (y, out) in rgb.chunks_exact_mut(3 * rows.row_len()).enumerate() {
        let above = rows.row(if y == 0 { 1 } else { y - 1 });
        let below = rows.row(if y == last { last - 1 } else { y + 1 });
        demosaic_row([above, rows.row(y), below], mosaic.colour_of_row(y), out);
    }
}

fn demosaic_row([above, here, below]: [&[u8]; 3], (colour, parity): (usize, usize), out: &mut [u8]) {
    let opposite = BLUE - colour;
    let last = here.len() - 1;
    for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
        let left = if x == 0 { 1 } else { x - 1 };
        let right = if x == last { last - 1 } else { x + 1 };
        pixel[GREEN] = here[x];
        if x % 2 == parity {
            pixel[colour] = here[x];
            pixel[GREEN] = mean4([above[x], below[x], here[left], here[right]]);
            pixel[opposite] = mean4([above[left], above[right], below[left], below[right]]);
        } else {
            pixel[colour] = mean2(here[left], here[right]);
            pixel[opposite] = mean2(above[x], below[x]);
        }
    }
}

fn mean2(a: u8, b: u8) -> u8 {
    (u16::from(a) + u16::from(b)).div_ceil(2) as u8
}

fn mean4(v: [u8; 4]) -> u8 {
    ((v.map(u16::from).iter().sum::<u16>() + 2) / 4) as u8
}
