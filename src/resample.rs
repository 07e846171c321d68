//! From camera pixels to a network's input: area averaging and packing in one pass.
//!
//! An output pixel is the plain mean of the input pixels that its window touches: columns
//! `floor(i * w / W) .. ceil((i + 1) * w / W)`, rows likewise. That is adaptive average pooling, the
//! resampling the published MTCNN weights were run with, and a good anti-aliasing filter for any
//! other detector.

use crate::frame::{ChannelOrder, ImageView};
use crate::model::manifest::{Colour, Input};

/// A rectangle of whole pixels inside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PixelRect {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl PixelRect {
    /// All of `image`.
    pub(crate) fn whole(image: ImageView<'_>) -> Self {
        Self { x: 0, y: 0, width: image.width(), height: image.height() }
    }
}

/// One image of an NCHW tensor: three planes of `rows` × `columns`, side by side in `values`.
pub(crate) struct Planes<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Resamples with buffers it keeps.
#[derive(Debug, Default)]
pub(crate) struct Resampler {
    /// The columns that each output column covers, and one through their number.
    columns: Vec<(u32, u32)>,
    shares: Vec<f32>,
    /// Sums over the rows of one output row's window, byte by byte: half as wide numbers are twice as fast,
    /// and hold the sum of as many rows as a window ever has but in the largest images.
    narrow: Vec<u16>,
    wide: Vec<u32>,
}

/// Most rows whose bytes a `u16` can hold the sum of.
const NARROW_ROWS: u32 = u16::MAX as u32 / u8::MAX as u32;

impl Resampler {
    /// Averages `rect` of `image` into the top-left `width` × `height` of `planes`, as
    /// `(value - mean) * scale`. `rect` lies inside the image; nothing in it is zero.
    pub(crate) fn area(
        &mut self,
        image: ImageView<'_>,
        rect: PixelRect,
        (width, height): (u32, u32),
        input: &Input,
        planes: &mut Planes<'_>,
    ) {
        let Self { columns, shares, narrow, wide } = self;
        columns.clear();
        columns.extend((0..width).map(|x| window(x, rect.width, width)));
        shares.clear();
        shares.extend(columns.iter().map(|(left, right)| 1.0 / (right - left) as f32));
        let row_bytes = rect.width as usize * 3;
        let swap = (image.order() == ChannelOrder::Rgb) != (input.colour == Colour::Rgb);
        let plane = planes.columns * planes.rows;
        let (first, rest) = planes.values.split_at_mut(plane);
        let (second, third) = rest.split_at_mut(plane);
        let [first, third] = if swap { [third, first] } else { [first, third] };
        for y in 0..height {
            let rows = window(y, rect.height, height);
            let out = y as usize * planes.columns..y as usize * planes.columns + width as usize;
            let targets = [&mut first[out.clone()], &mut second[out.clone()], &mut third[out]];
            let line = Line {
                columns,
                shares,
                scale: input.scale / (rows.1 - rows.0) as f32,
                shift: input.mean * input.scale,
            };
            if rows.1 - rows.0 <= NARROW_ROWS {
                narrow.resize(row_bytes, 0);
                sum_rows(image, rect, rows, narrow);
                line.write(narrow, targets);
            } else {
                wide.resize(row_bytes, 0);
                sum_rows(image, rect, rows, wide);
                line.write(wide, targets);
            }
        }
    }
}

/// Sums the bytes of some rows of `rect`, column by column.
fn sum_rows<T: From<u8> + Copy + std::ops::AddAssign>(
    image: ImageView<'_>,
    rect: PixelRect,
    (top, bottom): (u32, u32),
    sums: &mut [T],
) {
    let bytes = rect.x as usize * 3..(rect.x + rect.width) as usize * 3;
    for (sum, byte) in sums.iter_mut().zip(&image.row(rect.y + top)[bytes.clone()]) {
        *sum = T::from(*byte);
    }
    for y in top + 1..bottom {
        for (sum, byte) in sums.iter_mut().zip(&image.row(rect.y + y)[bytes.clone()]) {
            *sum += T::from(*byte);
        }
    }
}

/// How the sums over some rows become one row of the network's input.
struct Line<'a> {
    columns: &'a [(u32, u32)],
    /// One through the number of columns of each window.
    shares: &'a [f32],
    scale: f32,
    shift: f32,
}

impl Line<'_> {
    /// Sums over the windows of the columns, scaled and shifted, one plane per channel.
    fn write<T: Into<u32> + Copy>(&self, sums: &[T], targets: [&mut [f32]; 3]) {
        // A detector's usual cases, a picture as it is, of half its size and of a third.
        match self.columns.len() {
            columns if sums.len() == 3 * columns => self.write_equal::<3, T>(sums, targets),
            columns if sums.len() == 6 * columns => self.write_equal::<6, T>(sums, targets),
            columns if sums.len() == 9 * columns => self.write_equal::<9, T>(sums, targets),
            _ => self.write_any(sums, targets),
        }
    }

    /// The same where every window has `BYTES` sums and none belongs to two: a loop without an inner loop.
    fn write_equal<const BYTES: usize, T: Into<u32> + Copy>(
        &self,
        sums: &[T],
        [first, second, third]: [&mut [f32]; 3],
    ) {
        let share = 3.0 / BYTES as f32;
        for (((a, b), c), window) in first.iter_mut().zip(second).zip(third).zip(sums.as_chunks::<BYTES>().0) {
            // A chain of iterators in its place is not unrolled and takes several times as long.
            let mean = |channel: usize| {
                let mut sum = 0;
                for column in 0..BYTES / 3 {
                    sum += window[3 * column + channel].into();
                }
                self.value(sum, share)
            };
            (*a, *b, *c) = (mean(0), mean(1), mean(2));
        }
    }

    fn write_any<T: Into<u32> + Copy>(&self, sums: &[T], [first, second, third]: [&mut [f32]; 3]) {
        let targets = first.iter_mut().zip(second).zip(third);
        for ((((a, b), c), (left, right)), share) in targets.zip(self.columns).zip(self.shares) {
            let (pixels, _) = sums[*left as usize * 3..*right as usize * 3].as_chunks::<3>();
            let mut sum = [0_u32; 3];
            for pixel in pixels {
                sum = [sum[0] + pixel[0].into(), sum[1] + pixel[1].into(), sum[2] + pixel[2].into()];
            }
            (*a, *b, *c) = (self.value(sum[0], *share), self.value(sum[1], *share), self.value(sum[2], *share));
        }
    }

    /// The sum of a window of an image that is accepted fits 31 bits, which are faster to turn into floats.
    #[inline]
    fn value(&self, sum: u32, share: f32) -> f32 {
        sum as i32 as f32 * (share * self.scale) - self.shift
    }
}

/// The input pixels that output pixel `i` of `outputs` covers among `inputs`.
fn window(i: u32, inputs: u32, outputs: u32) -> (u32, u32) {
    let (i, n, m) = (u64::from(i), u64::from(inputs), u64::from(outputs));
    ((i * n / m) as u32, ((i + 1) * n).div_ceil(m) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(colour: Colour) -> Input {
        Input { name: "input".into(), width: None, height: None, colour, mean: 0.0, scale: 1.0 }
    }

    #[test]
    fn halving_averages_four_pixels_and_orders_the_planes() {
        let data: Vec<u8> = (0..4 * 2).flat_map(|i: u8| [i * 10, 100 + i, 200]).collect();
        let view = ImageView::new(4, 2, 12, ChannelOrder::Rgb, &data).unwrap();
        for (colour, red, blue) in [(Colour::Rgb, 0, 2), (Colour::Bgr, 2, 0)] {
            let mut values = [-1.0; 6];
            let mut planes = Planes { values: &mut values, columns: 2, rows: 1 };
            Resampler::default().area(view, PixelRect::whole(view), (2, 1), &input(colour), &mut planes);
            assert_eq!(values[red * 2..red * 2 + 2], [25.0, 45.0]);
            assert_eq!(values[2..4], [102.5, 104.5]);
            assert_eq!(values[blue * 2..blue * 2 + 2], [200.0, 200.0]);
        }
    }

    #[test]
    fn a_picture_of_the_right_size_is_only_packed() {
        let data: Vec<u8> = (0..4 * 2 * 3).collect();
        let view = ImageView::new(4, 2, 12, ChannelOrder::Bgr, &data).unwrap();
        let mut values = [0.0; 3 * 8];
        let mut planes = Planes { values: &mut values, columns: 4, rows: 2 };
        let input = Input { mean: 1.0, scale: 0.5, ..input(Colour::Bgr) };
        Resampler::default().area(view, PixelRect::whole(view), (4, 2), &input, &mut planes);
        let expected: Vec<f32> =
            (0..3).flat_map(|channel| (0..8).map(move |i| ((3 * i + channel) as f32 - 1.0) * 0.5)).collect();
        assert_eq!(*planes.values, *expected);
    }

    #[test]
    fn tall_windows_do_not_overflow() {
        let data = vec![255_u8; 300 * 3];
        let view = ImageView::new(1, 300, 3, ChannelOrder::Rgb, &data).unwrap();
        let mut values = [0.0; 3];
        let mut planes = Planes { values: &mut values, columns: 1, rows: 1 };
        for rows in [NARROW_ROWS, NARROW_ROWS + 1, 300] {
            let rect = PixelRect { height: rows, ..PixelRect::whole(view) };
            Resampler::default().area(view, rect, (1, 1), &input(Colour::Rgb), &mut planes);
            assert_eq!(*planes.values, [255.0; 3], "{rows} rows");
        }
    }

    #[test]
    fn windows_cover_every_pixel_also_when_enlarging() {
        for (inputs, outputs) in [(7, 3), (3, 7), (5, 5), (640, 385), (1, 24)] {
            let mut reached = 0;
            for i in 0..outputs {
                let (from, to) = window(i, inputs, outputs);
                assert!(from < to && from <= reached && to <= inputs);
                reached = to;
            }
            assert_eq!(reached, inputs);
        }
    }
}
