//! MTCNN (Zhang et al. 2016): a pyramid for the first net, then batches of crops for the second and
//! third. Thresholds, pyramid step and rounding are those that the published facenet-pytorch weights
//! are run with, so that boxes and points agree with it.

use super::session::{LoadError, Net, Outputs, Runtime, Shapes, mismatch};
use crate::config::DetectorConfig;
use crate::detect::{Detection, FaceDetector, Overlap, suppress};
use crate::frame::ImageView;
use crate::geometry::{BBox, ImagePx, Landmarks5, Point, UnitInterval};
use crate::inference::InferenceError;
use crate::model::manifest::Input;
use crate::model::store::ResolvedModel;
use crate::resample::{PixelRect, Planes, Resampler};

/// Pyramid step: the paper's 1/√2, as published.
const FACTOR: f64 = 0.709;
/// Side of the first net's windows, and the distance between them.
const CELL: f64 = 12.0;
const STRIDE: f64 = 2.0;
/// Sides of the crops that the second and third net see.
const REFINEMENT_SIDE: u32 = 24;
const OUTPUT_SIDE: u32 = 48;
/// Least score after the first and the second net.
const PROPOSAL_SCORE: f32 = 0.6;
const REFINEMENT_SCORE: f32 = 0.7;
/// Overlaps above which two boxes are one: within a scale; after each stage.
const SCALE_OVERLAP: f32 = 0.5;
const STAGE_OVERLAP: f32 = 0.7;
/// Crops per run, so that a crowded frame cannot claim all memory.
const BATCH: usize = 32;

/// The detector. It keeps its tensors between frames.
pub struct Mtcnn {
    proposal: Net,
    refinement: Net,
    output: Net,
    input: Input,
    model_threshold: UnitInterval,
    min_face_px: u32,
    score_threshold: f32,
    resampler: Resampler,
    tensor: Vec<f32>,
    candidates: Vec<Candidate>,
    scale_candidates: Vec<Candidate>,
}

/// A box on its way through the three nets.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    bbox: BBox<ImagePx>,
    score: f32,
    /// Shifts of the four corners, as shares of the box's size.
    regression: [f32; 4],
    /// Five x, then five y, as shares of the box's size; from the third net only.
    points: [f32; 10],
}

impl Mtcnn {
    /// Loads the three nets.
    ///
    /// # Errors
    /// [`LoadError`] when one does not load or is not what the manifest says.
    pub fn load(runtime: &Runtime, model: &ResolvedModel, config: &DetectorConfig) -> Result<Self, LoadError> {
        let (Some(input), Some(detection)) = (&model.manifest.input, &model.manifest.detection) else {
            return Err(mismatch(model, "a detector needs the sections [input] and [detection]"));
        };
        let sized = |side: u32| Input { width: Some(side), height: Some(side), ..input.clone() };
        let mut mtcnn = Self {
            proposal: Net::load(runtime, model, "pnet", input, pyramid_shapes(config))?,
            refinement: Net::load(
                runtime,
                model,
                "rnet",
                &sized(REFINEMENT_SIDE),
                crop_shapes(REFINEMENT_SIDE, BATCH),
            )?,
            output: Net::load(runtime, model, "onet", &sized(OUTPUT_SIDE), crop_shapes(OUTPUT_SIDE, 8))?,
            input: input.clone(),
            model_threshold: detection.score_threshold,
            min_face_px: 1,
            score_threshold: 1.0,
            resampler: Resampler::default(),
            tensor: Vec::new(),
            candidates: Vec::new(),
            scale_candidates: Vec::new(),
        };
        mtcnn.configure(config);
        mtcnn.warm_up().map_err(|e| mismatch(model, e.reason))?;
        Ok(mtcnn)
    }

    /// Runs every net once, so that a wrong output is found at the start.
    fn warm_up(&mut self) -> Result<(), InferenceError> {
        let grey = vec![0.0; 3 * 48 * 48];
        self.proposal.run([1, 3, 12, 12], &grey[..3 * 12 * 12], |o| read_grid(o).map(|_| ()))?;
        self.refinement.run([1, 3, 24, 24], &grey[..3 * 24 * 24], |o| read_scores(o, 1).map(|_| ()))?;
        self.output.run([1, 3, 48, 48], &grey, |o| read_scores(o, 1).and(o.finite("landmarks", 10)).map(|_| ()))
    }

    /// First net: every window of every scale.
    fn propose(&mut self, image: ImageView<'_>) -> Result<(), InferenceError> {
        self.candidates.clear();
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        let mut scale = CELL / f64::from(self.min_face_px);
        while width.min(height) * scale >= CELL {
            let (columns, rows) = ((width * scale + 1.0) as u32, (height * scale + 1.0) as u32);
            let mut planes = planes_of(&mut self.tensor, 0, 1, columns, rows);
            self.resampler.area(image, PixelRect::whole(image), (columns, rows), &self.input, &mut planes);
            let shape = [1, 3, rows as usize, columns as usize];
            let found = &mut self.scale_candidates;
            self.proposal.run(shape, &self.tensor[..shape.iter().product()], |outputs| {
                collect_windows(&read_grid(outputs)?, scale, found);
                Ok(())
            })?;
            keep_best(&mut self.scale_candidates, SCALE_OVERLAP, Overlap::Union);
            self.candidates.append(&mut self.scale_candidates);
            scale *= FACTOR;
        }
        keep_best(&mut self.candidates, STAGE_OVERLAP, Overlap::Union);
        // The first net's shifts are shares of the plain size, those of the others of size + 1.
        self.candidates.iter_mut().for_each(|c| c.bbox = squared(moved(&c.bbox, &c.regression, 0.0)));
        Ok(())
    }

    /// Second net: better boxes.
    fn refine(&mut self, image: ImageView<'_>) -> Result<(), InferenceError> {
        self.score_crops(image, REFINEMENT_SIDE, REFINEMENT_SCORE)?;
        keep_best(&mut self.candidates, STAGE_OVERLAP, Overlap::Union);
        self.candidates.iter_mut().for_each(|c| c.bbox = squared(moved(&c.bbox, &c.regression, 1.0)));
        Ok(())
    }

    /// Third net: final boxes and points.
    fn finish(&mut self, image: ImageView<'_>, out: &mut Vec<Detection>) -> Result<(), InferenceError> {
        self.score_crops(image, OUTPUT_SIDE, self.score_threshold)?;
        for candidate in &mut self.candidates {
            candidate.points = points_in_image(&candidate.bbox, &candidate.points);
            candidate.bbox = moved(&candidate.bbox, &candidate.regression, 1.0);
        }
        keep_best(&mut self.candidates, STAGE_OVERLAP, Overlap::Smaller);
        out.extend(self.candidates.iter().filter(|c| c.bbox.is_proper()).map(|c| Detection {
            bbox: c.bbox,
            score: c.score,
            landmarks: Landmarks5::new(std::array::from_fn(|i| Point::new(c.points[i], c.points[5 + i]))),
        }));
        Ok(())
    }

    /// Runs the second or third net, by `side`, on every candidate's crop and keeps the candidates
    /// above `threshold`, with their new scores, shifts and points.
    fn score_crops(&mut self, image: ImageView<'_>, side: u32, threshold: f32) -> Result<(), InferenceError> {
        self.candidates.retain(|c| pixels_of(&c.bbox, image).is_some());
        let with_points = side == OUTPUT_SIDE;
        let net = if with_points { &mut self.output } else { &mut self.refinement };
        for batch in self.candidates.chunks_mut(BATCH) {
            let count = batch.len();
            for (index, rect) in batch.iter().filter_map(|c| pixels_of(&c.bbox, image)).enumerate() {
                let mut planes = planes_of(&mut self.tensor, index, count, side, side);
                self.resampler.area(image, rect, (side, side), &self.input, &mut planes);
            }
            let shape = [count, 3, side as usize, side as usize];
            net.run(shape, &self.tensor[..shape.iter().product()], |outputs| {
                let (scores, regressions) = read_scores(outputs, count)?;
                let points = if with_points { outputs.finite("landmarks", 10 * count)? } else { &[] };
                for (i, candidate) in batch.iter_mut().enumerate() {
                    candidate.score = scores[2 * i + 1];
                    candidate.regression.copy_from_slice(&regressions[4 * i..4 * i + 4]);
                    if with_points {
                        candidate.points.copy_from_slice(&points[10 * i..10 * i + 10]);
                    }
                }
                Ok(())
            })?;
        }
        self.candidates.retain(|c| c.score > threshold);
        Ok(())
    }
}

impl FaceDetector for Mtcnn {
    fn detect(&mut self, image: ImageView<'_>, out: &mut Vec<Detection>) -> Result<(), InferenceError> {
        out.clear();
        self.propose(image)?;
        self.refine(image)?;
        self.finish(image, out)
    }

    fn configure(&mut self, config: &DetectorConfig) {
        self.min_face_px = config.min_face_px.max(1);
        self.score_threshold = config.score_threshold.unwrap_or(self.model_threshold).get() as f32;
    }
}

/// The shapes of the first net: from a single window to a picture of 1920 × 1088 pixels with the smallest
/// faces that `config` asks for.
fn pyramid_shapes(config: &DetectorConfig) -> Shapes {
    let scale = CELL / f64::from(config.min_face_px.max(1));
    let side = |pixels: u32| ((f64::from(pixels) * scale + 1.0) as usize).max(CELL as usize);
    let cell = CELL as usize;
    Shapes { least: [1, 3, cell, cell], usual: [1, 3, side(360), side(640)], most: [1, 3, side(1088), side(1920)] }
}

fn crop_shapes(side: u32, usual: usize) -> Shapes {
    Shapes::batches([3, side as usize, side as usize], usual, BATCH)
}

/// The part of the tensor that belongs to image `index` of `count`.
fn planes_of(tensor: &mut Vec<f32>, index: usize, count: usize, columns: u32, rows: u32) -> Planes<'_> {
    let (columns, rows) = (columns as usize, rows as usize);
    let one = 3 * columns * rows;
    if tensor.len() < one * count {
        tensor.resize(one * count, 0.0);
    }
    Planes { values: &mut tensor[one * index..one * (index + 1)], columns, rows }
}

/// The first net's outputs over its grid of windows.
struct Grid<'a> {
    columns: usize,
    faces: &'a [f32],
    regressions: &'a [f32],
}

fn read_grid<'a>(outputs: &'a Outputs<'_>) -> Result<Grid<'a>, String> {
    let (shape, scores) = outputs.tensor("prob")?;
    let &[1, 2, rows, columns] = shape else {
        return Err(format!("output \"prob\" has the shape {shape:?}, expected 1, 2 and a grid"));
    };
    let (rows, columns) = (rows as usize, columns as usize);
    let regressions = outputs.finite("reg", 4 * rows * columns)?;
    Ok(Grid { columns, faces: &scores[rows * columns..], regressions })
}

fn read_scores<'a>(outputs: &'a Outputs<'_>, count: usize) -> Result<(&'a [f32], &'a [f32]), String> {
    Ok((outputs.finite("prob", 2 * count)?, outputs.finite("reg", 4 * count)?))
}

fn collect_windows(grid: &Grid<'_>, scale: f64, found: &mut Vec<Candidate>) {
    let cells = grid.faces.len();
    for (cell, &score) in grid.faces.iter().enumerate().filter(|(_, score)| **score >= PROPOSAL_SCORE) {
        let (x, y) = ((cell % grid.columns) as f64, (cell / grid.columns) as f64);
        // Pixels counted from 1 and rounded down, as the weights were trained.
        let near = |index: f64| ((STRIDE * index + 1.0) / scale).floor() as f32;
        let far = |index: f64| ((STRIDE * index + CELL) / scale).floor() as f32;
        found.push(Candidate {
            bbox: BBox::new(near(x), near(y), far(x), far(y)),
            score,
            regression: std::array::from_fn(|i| grid.regressions[i * cells + cell]),
            points: [0.0; 10],
        });
    }
}

/// The corners moved by shares of the box's size, `extra` pixels added to that size.
fn moved(bbox: &BBox<ImagePx>, regression: &[f32; 4], extra: f32) -> BBox<ImagePx> {
    let (w, h) = (bbox.x2 - bbox.x1 + extra, bbox.y2 - bbox.y1 + extra);
    let [left, top, right, bottom] = regression;
    BBox::new(bbox.x1 + left * w, bbox.y1 + top * h, bbox.x2 + right * w, bbox.y2 + bottom * h)
}

/// The square of the longer side around the same centre.
fn squared(bbox: BBox<ImagePx>) -> BBox<ImagePx> {
    let (w, h) = (bbox.x2 - bbox.x1, bbox.y2 - bbox.y1);
    let side = w.max(h);
    let (x, y) = (bbox.x1 + 0.5 * (w - side), bbox.y1 + 0.5 * (h - side));
    BBox::new(x, y, x + side, y + side)
}

/// The pixels of a box inside the image, counted from 1 and cut off towards zero as published;
/// `None` when nothing is left.
fn pixels_of(bbox: &BBox<ImagePx>, image: ImageView<'_>) -> Option<PixelRect> {
    let left = (bbox.x1 as i64).max(1);
    let top = (bbox.y1 as i64).max(1);
    let right = (bbox.x2 as i64).min(image.width().into());
    let bottom = (bbox.y2 as i64).min(image.height().into());
    if right < left || bottom < top {
        return None;
    }
    let (x, y) = (left as u32 - 1, top as u32 - 1);
    Some(PixelRect { x, y, width: right as u32 - x, height: bottom as u32 - y })
}

fn points_in_image(bbox: &BBox<ImagePx>, shares: &[f32; 10]) -> [f32; 10] {
    let (w, h) = (bbox.x2 - bbox.x1 + 1.0, bbox.y2 - bbox.y1 + 1.0);
    std::array::from_fn(|i| if i < 5 { w * shares[i] + bbox.x1 - 1.0 } else { h * shares[i] + bbox.y1 - 1.0 })
}

fn keep_best(candidates: &mut Vec<Candidate>, threshold: f32, overlap: Overlap) {
    suppress(candidates, |c| (c.bbox, c.score), threshold, overlap);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::ChannelOrder;

    #[test]
    fn a_box_outside_the_image_has_no_pixels() {
        let data = [0; 10 * 8 * 3];
        let image = ImageView::new(10, 8, 30, ChannelOrder::Rgb, &data).unwrap();
        assert_eq!(pixels_of(&BBox::new(20.0, 2.0, 30.0, 6.0), image), None);
        let all = pixels_of(&BBox::new(-5.0, -5.0, 50.0, 50.0), image).unwrap();
        assert_eq!(all, PixelRect { x: 0, y: 0, width: 10, height: 8 });
    }

    #[test]
    fn squaring_keeps_the_centre() {
        assert_eq!(squared(BBox::new(10.0, 20.0, 30.0, 60.0)).to_array(), [0.0, 20.0, 40.0, 60.0]);
    }
}
