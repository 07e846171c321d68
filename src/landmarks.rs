//! Stage *landmarks*: dlib's five-point shape predictor, seeded by a face box.
//!
//! A cascade of regression trees (Kazemi and Sullivan 2014): starting from the mean shape, each
//! stage reads the brightness of a few hundred pixels around the current shape and adds up small
//! corrections. The file is dlib's `shape_predictor_5_face_landmarks.dat`; with a box of whole
//! numbers every point rounds to the pixel that dlib answers.

use crate::align::{AlignmentPoints, PointScheme};
use crate::frame::ImageView;
use crate::geometry::{BBox, ImagePx, Point};
use crate::model::import::ImportError;
use crate::model::import::dlib::Reader;

const POINTS: usize = 5;
/// Coordinates of a shape: x0 y0 x1 y1 ..., the box being the unit square.
const COORDS: usize = 2 * POINTS;
/// Most pixels one stage may read; dlib's files use 400 to 800.
const MAX_PIXELS: usize = 1024;
/// Fewest bytes that dlib writes for one tree: a split and two empty leaves, rounded down.
const LEAST_TREE_BYTES: usize = 8;
/// Fewest bytes of a split: two indices, mantissa and exponent of the threshold.
const LEAST_SPLIT_BYTES: usize = 8;
/// Fewest bytes of one float: mantissa and exponent.
const LEAST_FLOAT_BYTES: usize = 4;

type Shape = [f32; COORDS];

/// Finds the corners of both eyes and the base of the nose.
#[derive(Clone, Debug)]
pub struct ShapePredictor {
    mean: Shape,
    stages: Vec<Stage>,
}

/// One step of the cascade.
#[derive(Clone, Debug)]
struct Stage {
    pixels: Vec<Pixel>,
    /// `2^depth - 1` splits per tree, tree by tree; the children of split i are 2i+1 and 2i+2.
    splits: Vec<Split>,
    /// `2^depth` leaves per tree, tree by tree.
    leaves: Vec<Shape>,
    splits_per_tree: usize,
}

/// A pixel to read: an offset from a point of the mean shape.
#[derive(Clone, Copy, Debug)]
struct Pixel {
    anchor: u8,
    offset: [f32; 2],
}

/// Goes left when pixel `first` is brighter than pixel `second` by more than `threshold`.
#[derive(Clone, Copy, Debug)]
struct Split {
    first: u16,
    second: u16,
    threshold: f32,
}

impl ShapePredictor {
    /// Reads the file that dlib wrote.
    ///
    /// # Errors
    /// [`ImportError`] when it is damaged or predicts anything other than five points.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImportError> {
        let mut reader = Reader::new(bytes);
        reader.exactly(1, "version 1 of a shape predictor")?;
        let mean = read_shape(&mut reader)?;
        let count = reader.count(LEAST_TREE_BYTES, "the number of stages")?;
        let mut forests = Vec::with_capacity(count);
        for _ in 0..count {
            forests.push(read_forest(&mut reader)?);
        }
        let anchors = read_lists(&mut reader, count, |reader| {
            let at = reader.position();
            let anchor = reader.int("the point a pixel hangs on")?;
            let known = u8::try_from(anchor).ok().filter(|&anchor| usize::from(anchor) < POINTS);
            known.ok_or_else(|| unexpected(at, "one of five points", &anchor))
        })?;
        let offsets = read_lists(&mut reader, count, |reader| {
            Ok([reader.float("the offset of a pixel")?, reader.float("the offset of a pixel")?])
        })?;
        let mut stages = Vec::with_capacity(count);
        for ((forest, anchors), offsets) in forests.into_iter().zip(anchors).zip(offsets) {
            stages.push(forest.with_pixels(&anchors, &offsets, reader.position())?);
        }
        Ok(Self { mean, stages })
    }

    /// Finds the points of the face in `face`, in the order of [`PointScheme::DlibFive`].
    ///
    /// The corners of the box are taken as they are: the mean shape's unit square is stretched from
    /// `(x1, y1)` to `(x2, y2)`. dlib knows boxes of whole numbers only, with its last column and
    /// row inside; its `rectangle(l, t, r, b)` is the box `l t r b` here. Its rounding of the points
    /// to whole pixels is left out, so small faces are aligned more steadily. The box may reach past
    /// the image, where everything is black.
    pub fn predict(&self, image: ImageView<'_>, face: &BBox<ImagePx>) -> AlignmentPoints {
        let mut shape = self.mean;
        let mut brightness = [0_u8; MAX_PIXELS];
        for stage in &self.stages {
            stage.read_pixels(image, face, &self.mean, &shape, &mut brightness);
            stage.correct(&brightness, &mut shape);
        }
        let points = std::array::from_fn(|i| {
            let [x, y] = to_image(face, location(&shape, i));
            Point::new(x as f32, y as f32)
        });
        AlignmentPoints { scheme: PointScheme::DlibFive, points }
    }
}

/// Centres of the subject's right and left eye: midpoints of their corners, or the points
/// themselves when the scheme has them.
pub fn eye_centres(points: &AlignmentPoints) -> [Point<ImagePx>; 2] {
    let p = &points.points;
    match points.scheme {
        PointScheme::FivePoint => [p[0], p[1]],
        PointScheme::DlibFive => [p[2].midpoint(p[3]), p[0].midpoint(p[1])],
    }
}

impl Stage {
    fn read_pixels(
        &self,
        image: ImageView<'_>,
        face: &BBox<ImagePx>,
        mean: &Shape,
        shape: &Shape,
        brightness: &mut [u8; MAX_PIXELS],
    ) {
        let turn = rotation_and_scale(mean, shape);
        for (value, pixel) in brightness.iter_mut().zip(&self.pixels) {
            let [dx, dy] = pixel.offset;
            let [x, y] = location(shape, pixel.anchor.into());
            let at = [turn[0][0] * dx + turn[0][1] * dy + x, turn[1][0] * dx + turn[1][1] * dy + y];
            *value = intensity(image, to_image(face, at));
        }
    }

    fn correct(&self, brightness: &[u8; MAX_PIXELS], shape: &mut Shape) {
        let trees = self.splits.chunks_exact(self.splits_per_tree);
        for (splits, leaves) in trees.zip(self.leaves.chunks_exact(self.splits_per_tree + 1)) {
            let mut node = 0;
            while let Some(split) = splits.get(node) {
                let first = f32::from(brightness[usize::from(split.first)]);
                let second = f32::from(brightness[usize::from(split.second)]);
                node = 2 * node + if first - second > split.threshold { 1 } else { 2 };
            }
            for (coordinate, correction) in shape.iter_mut().zip(&leaves[node - splits.len()]) {
                *coordinate += correction;
            }
        }
    }
}

fn location(shape: &Shape, index: usize) -> [f32; 2] {
    [shape[2 * index], shape[2 * index + 1]]
}

/// From the unit square to pixels.
fn to_image(face: &BBox<ImagePx>, [x, y]: [f32; 2]) -> [f64; 2] {
    let (left, top) = (f64::from(face.x1), f64::from(face.y1));
    let (width, height) = (f64::from(face.x2) - left, f64::from(face.y2) - top);
    [left + f64::from(x) * width, top + f64::from(y) * height]
}

/// Mean of the three channels of the nearest pixel, rounded down; 0 outside.
fn intensity(image: ImageView<'_>, [x, y]: [f64; 2]) -> u8 {
    // Inside the image cutting off is rounding down, which not every processor has an instruction for.
    let (column, row) = (x + 0.5, y + 0.5);
    let inside = (0.0..f64::from(image.width())).contains(&column) && (0.0..f64::from(image.height())).contains(&row);
    if !inside {
        return 0;
    }
    let sum: u16 = image.rgb(column as u32, row as u32).map(u16::from).iter().sum();
    (sum / 3) as u8
}

/// Linear part of the similarity that best maps one shape onto another (Umeyama 1991, in the
/// plane, where it needs no decomposition).
fn rotation_and_scale(from: &Shape, to: &Shape) -> [[f32; 2]; 2] {
    let (from_mean, to_mean) = (centroid(from), centroid(to));
    let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
    for (p, q) in from.as_chunks::<2>().0.iter().zip(to.as_chunks::<2>().0) {
        let [px, py] = [f64::from(p[0]) - from_mean[0], f64::from(p[1]) - from_mean[1]];
        let [qx, qy] = [f64::from(q[0]) - to_mean[0], f64::from(q[1]) - to_mean[1]];
        along += px * qx + py * qy;
        across += px * qy - py * qx;
        spread += px * px + py * py;
    }
    let (c, s) = ((along / spread) as f32, (across / spread) as f32);
    [[c, -s], [s, c]]
}

fn centroid(shape: &Shape) -> [f64; 2] {
    let sum = |first| shape[first..].iter().step_by(2).map(|&v| f64::from(v)).sum::<f64>();
    [sum(0) / POINTS as f64, sum(1) / POINTS as f64]
}

/// The trees of a stage, before its pixels are known.
struct Forest {
    splits: Vec<Split>,
    leaves: Vec<Shape>,
    splits_per_tree: usize,
}

impl Forest {
    fn with_pixels(self, anchors: &[u8], offsets: &[[f32; 2]], at: usize) -> Result<Stage, ImportError> {
        let pixels: Vec<Pixel> =
            anchors.iter().zip(offsets).map(|(&anchor, &offset)| Pixel { anchor, offset }).collect();
        if anchors.len() != offsets.len() || pixels.len() > MAX_PIXELS {
            return Err(unexpected(at, "up to 1024 pixels with one offset each", &offsets.len()));
        }
        let known = |index: u16| usize::from(index) < pixels.len();
        if let Some(split) = self.splits.iter().find(|split| !known(split.first) || !known(split.second)) {
            return Err(unexpected(at, "splits on pixels of their stage", &format!("{split:?}")));
        }
        let Self { splits, leaves, splits_per_tree } = self;
        Ok(Stage { pixels, splits, leaves, splits_per_tree })
    }
}

fn read_forest(reader: &mut Reader<'_>) -> Result<Forest, ImportError> {
    let mut forest = Forest { splits: Vec::new(), leaves: Vec::new(), splits_per_tree: 0 };
    let trees = reader.count(LEAST_TREE_BYTES, "the number of trees")?;
    for _ in 0..trees {
        let at = reader.position();
        let splits = reader.count(LEAST_SPLIT_BYTES, "the number of splits")?;
        if forest.splits_per_tree == 0 {
            forest.splits_per_tree = splits;
        }
        // Every level of a tree is full, and all trees of a stage are equally deep.
        if splits != forest.splits_per_tree || !(splits + 1).is_power_of_two() || splits == 0 {
            return Err(unexpected(at, "full trees of one depth", &format!("{splits} splits")));
        }
        for _ in 0..splits {
            forest.splits.push(read_split(reader)?);
        }
        let at = reader.position();
        let leaves = reader.count(COORDS * LEAST_FLOAT_BYTES, "the number of leaves")?;
        if leaves != splits + 1 {
            return Err(unexpected(at, "one leaf more than splits", &leaves));
        }
        for _ in 0..leaves {
            forest.leaves.push(read_shape(reader)?);
        }
    }
    if forest.splits_per_tree == 0 {
        return Err(unexpected(reader.position(), "at least one tree", &trees));
    }
    Ok(forest)
}

fn read_split(reader: &mut Reader<'_>) -> Result<Split, ImportError> {
    let mut index = || {
        let at = reader.position();
        let index = reader.int("the pixel of a split")?;
        u16::try_from(index).map_err(|_out_of_range| unexpected(at, "the pixel of a split", &index))
    };
    let (first, second) = (index()?, index()?);
    Ok(Split { first, second, threshold: reader.float("the threshold of a split")? })
}

/// A column of ten floats. dlib negates the extents of a matrix to mark its newer format.
fn read_shape(reader: &mut Reader<'_>) -> Result<Shape, ImportError> {
    let at = reader.position();
    let (rows, columns) = (reader.int("the rows of a matrix")?, reader.int("the columns of a matrix")?);
    if (rows.abs(), columns.abs()) != (COORDS as i64, 1) {
        return Err(unexpected(at, "ten coordinates (a predictor of five points)", &format!("{rows} by {columns}")));
    }
    let mut shape = [0.0; COORDS];
    for coordinate in &mut shape {
        *coordinate = reader.float("a coordinate")?;
    }
    Ok(shape)
}

/// One list per stage.
fn read_lists<T>(
    reader: &mut Reader<'_>,
    stages: usize,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<T, ImportError>,
) -> Result<Vec<Vec<T>>, ImportError> {
    let at = reader.position();
    let lists = reader.count(2, "the number of pixel lists")?;
    if lists != stages {
        return Err(unexpected(at, "one list of pixels per stage", &lists));
    }
    let mut all = Vec::with_capacity(lists);
    for _ in 0..lists {
        let count = reader.count(2, "the number of pixels")?;
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(item(reader)?);
        }
        all.push(list);
    }
    Ok(all)
}

fn unexpected(at: usize, expected: &'static str, found: &impl ToString) -> ImportError {
    ImportError::Unexpected { at, expected, found: found.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::ChannelOrder;
    use crate::model::import::dlib::sample::{float, int};
    use proptest::prelude::*;

    const MEAN: Shape = [0.875, 0.25, 0.625, 0.25, 0.125, 0.25, 0.375, 0.25, 0.5, 0.75];

    /// A predictor of one stage and one tree: when the picture under the nose is brighter by more
    /// than 10 than under the left eye, all points move right by an eighth, else down.
    fn file() -> Vec<u8> {
        let mut out = Vec::new();
        let shape = |out: &mut Vec<u8>, values: &Shape| {
            int(out, -10);
            int(out, -1);
            for &value in values {
                float(out, value);
            }
        };
        int(&mut out, 1);
        shape(&mut out, &MEAN);
        for count in [1, 1, 1] {
            int(&mut out, count);
        }
        int(&mut out, 0);
        int(&mut out, 1);
        float(&mut out, 10.0);
        int(&mut out, 2);
        shape(&mut out, &std::array::from_fn(|i| if i % 2 == 0 { 0.125 } else { 0.0 }));
        shape(&mut out, &std::array::from_fn(|i| if i % 2 == 0 { 0.0 } else { 0.125 }));
        for numbers in [1, 2, 4, 0, 1, 2] {
            int(&mut out, numbers);
        }
        for offset in [0.0, 0.0625, 0.0, 0.0] {
            float(&mut out, offset);
        }
        out
    }

    fn view(data: &[u8]) -> ImageView<'_> {
        ImageView::new(16, 16, 48, ChannelOrder::Rgb, data).unwrap()
    }

    fn picture(nose: u8) -> Vec<u8> {
        let mut data = vec![100; 16 * 16 * 3];
        // Row and column under the mean nose plus its offset: (0.5, 0.8125) of the box 0..16.
        data[13 * 48 + 8 * 3..][..3].copy_from_slice(&[nose; 3]);
        data
    }

    #[test]
    fn a_tree_decides_by_the_difference_of_two_pixels() {
        let predictor = ShapePredictor::parse(&file()).unwrap();
        let face = BBox::new(0.0, 0.0, 16.0, 16.0);
        let bright = predictor.predict(view(&picture(111)), &face);
        let even = predictor.predict(view(&picture(110)), &face);
        assert_eq!(bright.points[4], Point::new(10.0, 12.0));
        assert_eq!(even.points[4], Point::new(8.0, 14.0));
        assert_eq!(bright.scheme, PointScheme::DlibFive);
    }

    #[test]
    fn outside_the_image_is_black() {
        let data = [255; 16 * 16 * 3];
        assert_eq!(intensity(view(&data), [-0.5, 15.49]), 255);
        for at in [[-0.51, 0.0], [0.0, 15.5], [f64::NAN, 0.0], [f64::INFINITY, 0.0]] {
            assert_eq!(intensity(view(&data), at), 0, "{at:?}");
        }
    }

    #[test]
    fn grey_is_the_mean_rounded_down() {
        let mut data = vec![0; 16 * 16 * 3];
        data[..3].copy_from_slice(&[255, 254, 254]);
        assert_eq!(intensity(view(&data), [0.0, 0.0]), 254);
    }

    #[test]
    fn eye_centres_are_named_by_the_subjects_side() {
        let points =
            ShapePredictor::parse(&file()).unwrap().predict(view(&picture(0)), &BBox::new(0.0, 0.0, 16.0, 16.0));
        let [right, left] = eye_centres(&points);
        assert_eq!((right, left), (Point::new(4.0, 6.0), Point::new(12.0, 6.0)));
    }

    #[test]
    fn the_best_similarity_is_found() {
        let (c, s) = (1.5 * 0.4_f32.cos(), 1.5 * 0.4_f32.sin());
        let turned = std::array::from_fn(|i| {
            let [x, y] = location(&MEAN, i / 2);
            if i % 2 == 0 { c * x - s * y + 3.0 } else { s * x + c * y - 2.0 }
        });
        let [[a, b], [d, e]] = rotation_and_scale(&MEAN, &turned);
        for (got, expected) in [(a, c), (b, -s), (d, s), (e, c)] {
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = file();
        for len in 0..bytes.len() {
            assert!(ShapePredictor::parse(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn trees_on_unknown_pixels_are_refused() {
        let mut bytes = file();
        let split = bytes.windows(4).position(|window| window == [1, 0, 1, 1]).unwrap();
        bytes[split + 3] = 2;
        let error = ShapePredictor::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains("pixels of their stage"), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(ShapePredictor::parse(&bytes).is_err());
        }

        #[test]
        fn damaged_files_and_odd_boxes_do_not_panic(
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..3),
            corners in prop::array::uniform4(prop_oneof![-1e3_f32..1e3, any::<f32>()]),
        ) {
            let mut bytes = file();
            for (at, bit) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            if let Ok(predictor) = ShapePredictor::parse(&bytes) {
                let [x1, y1, x2, y2] = corners;
                predictor.predict(view(&picture(50)), &BBox::new(x1, y1, x2, y2));
            }
        }
    }
}
