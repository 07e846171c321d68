//! Pictures with soft edges, and people cut out of photographs.

use crate::detect::Detection;
use image::imageops::{self, FilterType};
use image::{GrayImage, Luma, RgbImage};
use std::borrow::Cow;

/// Face height of the largest stored version of a cut-out, pixels: a little more than is ever shown.
const STORED_FACE_PX: f32 = 200.0;
/// Width of a cut-out's soft edge, face heights.
const EDGE: f32 = 0.012;

/// A picture with transparency: rows of red, green, blue (already multiplied by the opacity) and
/// opacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height` pixels.
    pub rgba: Vec<[u8; 4]>,
}

impl Layer {
    /// The picture with this opacity; both have the same size.
    pub fn masked(picture: &RgbImage, opacity: &GrayImage) -> Self {
        let multiplied = |value: u8, by: u8| ((u16::from(value) * u16::from(by) + 127) / 255) as u8;
        let rgba = picture.pixels().zip(opacity.pixels()).map(|(colour, &Luma([alpha]))| {
            let [r, g, b] = colour.0.map(|value| multiplied(value, alpha));
            [r, g, b, alpha]
        });
        Self { width: picture.width(), height: picture.height(), rgba: rgba.collect() }
    }

    /// The pixel in column `x` of row `y`; transparent outside.
    pub fn pixel(&self, x: i32, y: i32) -> [u8; 4] {
        if x < 0 || y < 0 || x >= self.width as i32 || y >= self.height as i32 {
            return [0; 4];
        }
        self.rgba[y as usize * self.width as usize + x as usize]
    }

    /// The value between pixels, by bilinear interpolation; 0..=255 each.
    pub fn sample(&self, x: f32, y: f32) -> [f32; 4] {
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (x - left, y - top);
        let corners = self.corners(left as i32, top as i32);
        let weights = [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v];
        let mut value = [0.0; 4];
        for (pixel, weight) in corners.iter().zip(weights) {
            for (sum, channel) in value.iter_mut().zip(pixel) {
                *sum += weight * f32::from(*channel);
            }
        }
        value
    }

    /// The pixel in column `x` of row `y`, its right neighbour, and the two below.
    fn corners(&self, x: i32, y: i32) -> [[u8; 4]; 4] {
        let width = self.width as usize;
        let inside = x >= 0 && y >= 0 && x + 1 < self.width as i32 && y + 1 < self.height as i32;
        let first = if inside { y as usize * width + x as usize } else { usize::MAX };
        match self.rgba.get(first..) {
            Some(from) if from.len() > width + 1 => [from[0], from[1], from[width], from[width + 1]],
            _ => [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| self.pixel(x + dx, y + dy)),
        }
    }

    /// Half the size: every pixel the mean of four.
    fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut rgba = Vec::with_capacity(width as usize * height as usize);
        for y in 0..height as i32 {
            for x in 0..width as i32 {
                let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| self.pixel(2 * x + dx, 2 * y + dy));
                rgba.push(std::array::from_fn(|channel| {
                    let sum: u16 = four.iter().map(|pixel| u16::from(pixel[channel])).sum();
                    ((sum + 2) / 4) as u8
                }));
            }
        }
        Self { width, height, rgba }
    }
}

/// How a person is cut out of a photograph. All in pixels of the photograph.
#[derive(Clone, Debug)]
pub struct Portrait {
    /// Corners of the face's box: x1, y1, x2, y2.
    pub face: [f32; 4],
    /// Right eye, left eye, nose, right and left mouth corner, by the subject's side.
    pub landmarks: [[f32; 2]; 5],
    /// Corners of the person's outline, in order.
    pub outline: Cow<'static, [[i16; 2]]>,
}

/// Corners of the ellipse that stands for the outline of a head.
const HEAD_CORNERS: usize = 48;

impl Portrait {
    /// A head without shoulders, for a photograph whose outline nobody has drawn: an ellipse around a
    /// detected face, kept inside a photograph of this size.
    pub fn head(face: &Detection, (width, height): (u32, u32)) -> Self {
        let (bbox, centre) = (face.bbox, face.bbox.centre());
        // Forehead, ears and chin reach beyond a detector's box.
        let (across, down) = (0.64 * bbox.width(), 0.62 * bbox.height());
        let inside = |value: f32, most: u32| value.clamp(1.0, most as f32 - 2.0).round() as i16;
        let corner = |step: usize| {
            let (sin, cos) = (step as f32 * std::f32::consts::TAU / HEAD_CORNERS as f32).sin_cos();
            [inside(centre.x + across * cos, width), inside(centre.y + down * sin, height)]
        };
        Self {
            face: bbox.to_array(),
            landmarks: face.landmarks.points.map(|point| [point.x, point.y]),
            outline: (0..HEAD_CORNERS).map(corner).collect(),
        }
    }

    /// Centre of the face.
    pub fn centre(&self) -> [f32; 2] {
        let [x1, y1, x2, y2] = self.face;
        [0.5 * (x1 + x2), 0.5 * (y1 + y2)]
    }

    /// Width and height of the face.
    pub fn size(&self) -> [f32; 2] {
        let [x1, y1, x2, y2] = self.face;
        [x2 - x1, y2 - y1]
    }
}

/// A person cut out of a photograph, stored in falling sizes, each half of the one before.
#[derive(Clone, Debug)]
pub struct Cutout {
    /// What it was cut by.
    pub portrait: Portrait,
    sizes: Vec<Stored>,
    /// Corners of the outline's box relative to the centre of the face, in face heights.
    extent: [f32; 4],
}

/// One size of a cut-out.
#[derive(Clone, Debug)]
struct Stored {
    layer: Layer,
    /// Pixels per pixel of the photograph.
    scale: f32,
    /// Where the photograph's origin lies.
    origin: [f32; 2],
}

/// The version of a cut-out that suits a size on the canvas.
#[derive(Clone, Copy, Debug)]
pub struct Sized<'a> {
    layer: &'a Layer,
    centre: [f32; 2],
    /// Pixels of the layer per pixel of the canvas.
    scale: f32,
}

impl Cutout {
    /// Cuts the person out of `photograph`.
    pub fn new(photograph: &RgbImage, portrait: Portrait) -> Self {
        let [_, face_height] = portrait.size();
        let scale = (STORED_FACE_PX / face_height).min(1.0);
        let (width, height) = photograph.dimensions();
        let (small_width, small_height) = (scaled(width, scale), scaled(height, scale));
        let inside = filled(&portrait.outline, width, height);
        let picture = imageops::resize(photograph, small_width, small_height, FilterType::Triangle);
        let opacity = imageops::resize(&inside, small_width, small_height, FilterType::Triangle);
        let opacity = softened(&opacity, (EDGE * face_height * scale).max(1.0));
        let mut layer = Layer::masked(&picture, &opacity);
        // A picture's centre is the same at every size: pixel centres are integers.
        let mut stored_scale = scale;
        let mut sizes = Vec::new();
        loop {
            let origin = [0.5 * stored_scale - 0.5; 2];
            let is_small = face_height * stored_scale < 50.0;
            let next = if is_small { None } else { Some(layer.halved()) };
            sizes.push(Stored { layer, scale: stored_scale, origin });
            let Some(next) = next else { break };
            layer = next;
            stored_scale *= 0.5;
        }
        let extent = extent(&portrait);
        Self { portrait, sizes, extent }
    }

    /// Left, top, right and bottom of the person, in face heights from the centre of the face.
    pub const fn extent(&self) -> [f32; 4] {
        self.extent
    }

    /// The stored size for a face `height` pixels tall, at most twice too large.
    pub fn sized(&self, height: f32) -> Sized<'_> {
        let scale = height / self.portrait.size()[1];
        let large_enough = self.sizes.iter().rev().find(|stored| stored.scale >= scale);
        let stored = large_enough.unwrap_or(&self.sizes[0]);
        let [x, y] = self.portrait.centre();
        let centre = [x * stored.scale + stored.origin[0], y * stored.scale + stored.origin[1]];
        Sized { layer: &stored.layer, centre, scale: stored.scale / scale }
    }
}

impl Sized<'_> {
    /// The picture at this offset from the centre of the face, in pixels of the canvas.
    pub fn sample(&self, dx: f32, dy: f32) -> [f32; 4] {
        self.layer.sample(self.centre[0] + dx * self.scale, self.centre[1] + dy * self.scale)
    }
}

fn scaled(length: u32, scale: f32) -> u32 {
    ((length as f32 * scale).round() as u32).max(1)
}

fn extent(portrait: &Portrait) -> [f32; 4] {
    let ([cx, cy], [_, height]) = (portrait.centre(), portrait.size());
    let mut extent = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    for &[x, y] in &*portrait.outline {
        let (x, y) = ((f32::from(x) - cx) / height, (f32::from(y) - cy) / height);
        extent = [extent[0].min(x), extent[1].min(y), extent[2].max(x), extent[3].max(y)];
    }
    extent
}

/// White inside the outline (even-odd rule, at pixel centres), black outside.
fn filled(outline: &[[i16; 2]], width: u32, height: u32) -> GrayImage {
    let mut mask = GrayImage::new(width, height);
    let mut crossings = Vec::new();
    for y in 0..height {
        // Between rows, so that no corner lies on the line.
        let level = y as f32 + 0.25;
        crossings.clear();
        for (a, b) in outline.iter().zip(outline.iter().cycle().skip(1)) {
            let ([ax, ay], [bx, by]) = (a.map(f32::from), b.map(f32::from));
            if (ay <= level) != (by <= level) {
                crossings.push(ax + (level - ay) / (by - ay) * (bx - ax));
            }
        }
        crossings.sort_by(f32::total_cmp);
        for (from, to) in crossings.as_chunks::<2>().0.iter().map(|[from, to]| (from.ceil().max(0.0), to)) {
            for x in from as u32..(to.floor() as i64 + 1).clamp(0, width.into()) as u32 {
                mask.put_pixel(x, y, Luma([255]));
            }
        }
    }
    mask
}

/// Turns the hard edge of a mask into a ramp of about `edge` pixels that ends at the old edge.
fn softened(mask: &GrayImage, edge: f32) -> GrayImage {
    let mut soft = imageops::blur(mask, edge);
    for Luma([value]) in soft.pixels_mut() {
        *value = value.saturating_sub(127).saturating_mul(2);
    }
    soft
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    const SQUARE: Portrait = Portrait {
        face: [30.0, 30.0, 70.0, 70.0],
        landmarks: [[40.0, 42.0], [60.0, 42.0], [50.0, 50.0], [42.0, 60.0], [58.0, 60.0]],
        outline: Cow::Borrowed(&[[10, 10], [90, 10], [90, 90], [10, 90]]),
    };

    #[test]
    fn a_cut_out_is_opaque_inside_its_outline_and_transparent_outside() {
        let photograph = RgbImage::from_pixel(100, 100, Rgb([200, 100, 50]));
        let cutout = Cutout::new(&photograph, SQUARE);
        for height in [20.0, 33.0, 40.0, 80.0] {
            let sized = cutout.sized(height);
            let [r, g, b, a] = sized.sample(0.0, 0.0);
            assert!(a > 254.0 && (r - 200.0).abs() < 2.0 && (g - 100.0).abs() < 2.0 && (b - 50.0).abs() < 2.0);
            // The outline lies one face height from the centre.
            assert!(sized.sample(0.9 * height, 0.0)[3] > 250.0, "inside, at {height}");
            assert!(sized.sample(0.0, 1.04 * height)[3] < 5.0, "outside, at {height}");
        }
        assert_eq!(cutout.extent(), [-1.0, -1.0, 1.0, 1.0]);
    }

    #[test]
    fn between_pixels_values_are_interpolated() {
        let layer = Layer { width: 2, height: 1, rgba: vec![[0, 0, 0, 255], [100, 0, 0, 255]] };
        assert_eq!(layer.sample(0.25, 0.0), [25.0, 0.0, 0.0, 255.0]);
        assert_eq!(layer.sample(-5.0, 0.0), [0.0; 4]);
    }
}
