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

/// Resamples with a row buffer it keeps.
#[derive(Debug, Default)]
pub(crate) struct Resampler {
    /// Column sums over the rows of one output row's window.
    sums: Vec<u32>,
}

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
        let row_bytes = rect.width as usize * 3;
        self.sums.resize(row_bytes, 0);
        let swap = (image.order() == ChannelOrder::Rgb) != (input.colour == Colour::Rgb);
        let plane = planes.columns * planes.rows;
        let (first, rest) = planes.values.split_at_mut(plane);
        let (second, third) = rest.split_at_mut(plane);
        let [first, third] = if swap { [third, first] } else { [first, third] };
        for y in 0..height {
            let (top, bottom) = window(y, rect.height, height);
            self.sum_rows(image, rect, top..bottom);
            let out = y as usize * planes.columns..y as usize * planes.columns + width as usize;
            let targets = first[out.clone()].iter_mut().zip(&mut second[out.clone()]).zip(&mut third[out]);
            for (x, ((a, b), c)) in targets.enumerate() {
                let (left, right) = window(x as u32, rect.width, width);
                let (pixels, _) = self.sums[left as usize * 3..right as usize * 3].as_chunks::<3>();
                let sum = pixels.iter().fold([0_u32; 3], |s, p| [s[0] + p[0], s[1] + p[1], s[2] + p[2]]);
                let count = ((bottom - top) * (right - left)) as f32;
                let value = |total: u32| (total as f32 / count - input.mean) * input.scale;
                (*a, *b, *c) = (value(sum[0]), value(sum[1]), value(sum[2]));
            }
        }
    }

    fn sum_rows(&mut self, image: ImageView<'_>, rect: PixelRect, rows: std::ops::Range<u32>) {
        let bytes = rect.x as usize * 3..(rect.x + rect.width) as usize * 3;
        self.sums.fill(0);
        for y in rows {
            for (sum, byte) in self.sums.iter_mut().zip(&image.row(rect.y + y)[bytes.clone()]) {
                *sum += u32::from(*byte);
            }
        }
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
