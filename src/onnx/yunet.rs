//! YuNet (Wu et al. 2023): one run, anchor-free grids at three strides.
//!
//! Decoding follows OpenCV's FaceDetectorYN: score = sqrt(class × objectness).

use super::session::{LoadError, Net, Outputs, Runtime, Shapes, mismatch};
use crate::config::DetectorConfig;
use crate::detect::{Detection, FaceDetector, Overlap, suppress};
use crate::frame::ImageView;
use crate::geometry::{Affine, BBox, ImagePx, InputPx, Landmarks5, Point};
use crate::inference::InferenceError;
use crate::model::manifest::{self, Input};
use crate::model::store::ResolvedModel;
use crate::resample::{PixelRect, Planes, Resampler};

const STRIDES: [usize; 3] = [8, 16, 32];
/// Sides of the input are multiples of the largest stride.
const GRAIN: u32 = 32;

/// The detector. It keeps its tensor between frames.
pub struct Yunet {
    net: Net,
    input: Input,
    defaults: manifest::Detection,
    input_px: u32,
    min_face_px: f32,
    score_threshold: f32,
    nms_threshold: f32,
    resampler: Resampler,
    tensor: Vec<f32>,
    /// Sizes of the tensor and of the picture in it, for which what lies beside the picture is zero.
    cleared: Option<[u32; 4]>,
}

impl Yunet {
    /// Loads the network; a fixed input size in the manifest wins over the configuration's.
    ///
    /// # Errors
    /// [`LoadError`] when it does not load or is not what the manifest says.
    pub fn load(runtime: &Runtime, model: &ResolvedModel, config: &DetectorConfig) -> Result<Self, LoadError> {
        let (Some(input), Some(detection)) = (&model.manifest.input, &model.manifest.detection) else {
            return Err(mismatch(model, "a detector needs the sections [input] and [detection]"));
        };
        let mut yunet = Self {
            net: Net::load(runtime, model, "model", input, shapes(input, config))?,
            input: input.clone(),
            defaults: detection.clone(),
            input_px: GRAIN,
            min_face_px: 0.0,
            score_threshold: 1.0,
            nms_threshold: 1.0,
            resampler: Resampler::default(),
            tensor: Vec::new(),
            cleared: None,
        };
        yunet.configure(config);
        let (columns, rows) = yunet.tensor_size(GRAIN, GRAIN);
        yunet.tensor.resize(3 * columns as usize * rows as usize, 0.0);
        yunet
            .decode((columns, rows), Affine::scale_shift(1.0, 0.0, 0.0), &mut Vec::new())
            .map_err(|e| mismatch(model, e.reason))?;
        Ok(yunet)
    }

    /// Columns and rows of the tensor for an image scaled to `width` × `height`.
    fn tensor_size(&self, width: u32, height: u32) -> (u32, u32) {
        let padded = |side: u32| side.div_ceil(GRAIN) * GRAIN;
        (self.input.width.unwrap_or_else(|| padded(width)), self.input.height.unwrap_or_else(|| padded(height)))
    }

    /// Largest scale, at most 1, at which the image fits the input. A small image is padded and not
    /// enlarged: YuNet misses faces that fill its input.
    fn scale(&self, image: ImageView<'_>) -> f64 {
        let (columns, rows) = (self.input.width.unwrap_or(self.input_px), self.input.height.unwrap_or(self.input_px));
        let fit = (f64::from(columns) / f64::from(image.width())).min(f64::from(rows) / f64::from(image.height()));
        fit.min(1.0)
    }

    fn decode(
        &mut self,
        (columns, rows): (u32, u32),
        image_from_input: Affine<ImagePx, InputPx>,
        out: &mut Vec<Detection>,
    ) -> Result<(), InferenceError> {
        let shape = [1, 3, rows as usize, columns as usize];
        let (threshold, min_face) = (self.score_threshold, self.min_face_px);
        self.net.run(shape, &self.tensor[..shape.iter().product()], |outputs| {
            for stride in STRIDES {
                let grid = Grid::read(outputs, stride, columns as usize / stride, rows as usize / stride)?;
                grid.collect(threshold, image_from_input, out);
            }
            out.retain(|d| d.bbox.width().max(d.bbox.height()) >= min_face);
            Ok(())
        })
    }
}

impl FaceDetector for Yunet {
    fn detect(&mut self, image: ImageView<'_>, out: &mut Vec<Detection>) -> Result<(), InferenceError> {
        out.clear();
        let scale = self.scale(image);
        let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        let (width, height) = (scaled(image.width()), scaled(image.height()));
        let (columns, rows) = self.tensor_size(width, height);
        self.tensor.resize(3 * columns as usize * rows as usize, 0.0);
        if self.cleared.replace([columns, rows, width, height]) != Some([columns, rows, width, height]) {
            self.tensor.fill(0.0);
        }
        let mut planes = Planes { values: &mut self.tensor, columns: columns as usize, rows: rows as usize };
        self.resampler.area(image, PixelRect::whole(image), (width, height), &self.input, &mut planes);
        let (sx, sy) = (image.width() as f32 / width as f32, image.height() as f32 / height as f32);
        let image_from_input = Affine::new([[sx, 0.0, 0.5 * (sx - 1.0)], [0.0, sy, 0.5 * (sy - 1.0)]]);
        self.decode((columns, rows), image_from_input, out)?;
        suppress(out, |d| (d.bbox, d.score), self.nms_threshold, Overlap::Union);
        Ok(())
    }

    fn configure(&mut self, config: &DetectorConfig) {
        self.input_px = config.input_px.max(GRAIN);
        self.min_face_px = config.min_face_px as f32;
        self.score_threshold = config.score_threshold.unwrap_or(self.defaults.score_threshold).get() as f32;
        self.nms_threshold = config.nms_threshold.unwrap_or(self.defaults.nms_threshold).get() as f32;
    }
}

/// The sizes of the input: the network's own, or any up to a square of what `config` asks for.
fn shapes(input: &Input, config: &DetectorConfig) -> Shapes {
    let grain = GRAIN as usize;
    let side = (config.input_px.max(GRAIN) as usize).next_multiple_of(grain);
    let of = |own: Option<u32>, otherwise: usize| own.map_or(otherwise, |side| side as usize);
    let sized = |rows, columns| [1, 3, of(input.height, rows), of(input.width, columns)];
    // Most cameras are wider than high: 16 to 9.
    let usual = (side * 9 / 16).next_multiple_of(grain);
    Shapes { least: sized(grain, grain), usual: sized(usual, side), most: sized(side, side) }
}

/// The outputs of one stride.
struct Grid<'a> {
    stride: f32,
    columns: usize,
    class: &'a [f32],
    objectness: &'a [f32],
    boxes: &'a [f32],
    points: &'a [f32],
}

impl<'a> Grid<'a> {
    fn read(outputs: &'a Outputs<'_>, stride: usize, columns: usize, rows: usize) -> Result<Self, String> {
        let cells = columns * rows;
        Ok(Self {
            stride: stride as f32,
            columns,
            class: outputs.finite(&format!("cls_{stride}"), cells)?,
            objectness: outputs.finite(&format!("obj_{stride}"), cells)?,
            boxes: outputs.finite(&format!("bbox_{stride}"), 4 * cells)?,
            points: outputs.finite(&format!("kps_{stride}"), 10 * cells)?,
        })
    }

    fn collect(&self, threshold: f32, image_from_input: Affine<ImagePx, InputPx>, out: &mut Vec<Detection>) {
        for (cell, (class, objectness)) in self.class.iter().zip(self.objectness).enumerate() {
            let score = (class.clamp(0.0, 1.0) * objectness.clamp(0.0, 1.0)).sqrt();
            if score < threshold {
                continue;
            }
            let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
            let at = |dx: f32, dy: f32| Point::<InputPx>::new((column + dx) * self.stride, (row + dy) * self.stride);
            let [dx, dy, w, h] = std::array::from_fn(|i| self.boxes[4 * cell + i]);
            let centre = at(dx, dy);
            let (half_w, half_h) = (0.5 * w.exp() * self.stride, 0.5 * h.exp() * self.stride);
            let low = image_from_input * Point::new(centre.x - half_w, centre.y - half_h);
            let high = image_from_input * Point::new(centre.x + half_w, centre.y + half_h);
            let bbox = BBox::new(low.x, low.y, high.x, high.y);
            if bbox.is_proper() {
                let shifts = &self.points[10 * cell..10 * cell + 10];
                let points = std::array::from_fn(|i| image_from_input * at(shifts[2 * i], shifts[2 * i + 1]));
                out.push(Detection { bbox, score, landmarks: Landmarks5::new(points) });
            }
        }
    }
}
