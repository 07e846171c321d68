//! Frames to measure on: people cut out of the demo's photographs, as many as asked for, side by side in
//! the demo's room.

use crate::demo::curve::Curve;
use crate::demo::layer::Cutout;
use crate::demo::room;
use crate::demo::scene::{Actor, Canvas, Scene, Script};
use crate::frame::{Frame, Pixels, RawPixels};
use crate::ids::CameraId;
use crate::time::Stamp;
use image::imageops::{self, FilterType};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Frames per second of image time.
pub const RATE_HZ: f64 = 30.0;
/// Different pictures of a case.
const PICTURES: usize = 4;
/// They are shown forth and back, so that nothing ever jumps; then everything is as before.
pub const PERIOD: usize = 2 * PICTURES - 2;
/// Chooses bricks, books and noise.
const SEED: u64 = 7;
/// Faces are at most this tall, as a share of the frame: somebody two metres away.
const LARGEST: f64 = 0.2;
/// Steps to the side from picture to picture, in face heights.
const STEP: f64 = 0.02;

/// The pictures of a case, `bgr8` without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    pictures: Vec<Vec<u8>>,
}

impl Frames {
    /// Composes pictures with `faces` of the people in `cutouts`, who come again when they are too few.
    pub fn compose(cutouts: &[Cutout], (width, height): (u32, u32), faces: usize) -> Self {
        let backdrop = imageops::resize(&room::backdrop(SEED), width, height, FilterType::Triangle);
        let script = Script {
            start: Stamp::default(),
            moments: Script::evenly(RATE_HZ, PICTURES as f64 / RATE_HZ),
            light: Curve::constant(1.0),
            blur: Curve::constant(0.0),
            noise: 2.0,
            seed: SEED,
            jpeg_quality: 90,
            actors: places(faces, (width, height)).map(|place| actor(place, cutouts.len())).collect(),
        };
        let scene = Scene::new(script, backdrop, cutouts.to_vec(), Vec::new());
        let mut canvas = Canvas::default();
        let pictures = (0..PICTURES).map(|frame| {
            scene.compose(frame, &mut canvas);
            let mut bytes = canvas.picture().as_raw().clone();
            bytes.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.reverse());
            bytes
        });
        Self { width, height, pictures: pictures.collect() }
    }

    /// Writes the pixels one after the other, nothing else.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = std::fs::File::create(path)?;
        self.pictures.iter().try_for_each(|picture| file.write_all(picture))
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// Those of the file, and when it is too short.
    pub fn read(path: &Path, (width, height): (u32, u32)) -> io::Result<Self> {
        let mut file = std::fs::File::open(path)?;
        let mut pictures = vec![vec![0; width as usize * height as usize * 3]; PICTURES];
        pictures.iter_mut().try_for_each(|picture| file.read_exact(picture))?;
        Ok(Self { width, height, pictures })
    }

    /// The picture at a tick of 1/[`RATE_HZ`] s.
    pub fn at(&self, tick: usize) -> &[u8] {
        let turn = tick % PERIOD;
        &self.pictures[turn.min(PERIOD - turn)]
    }

    /// The same as the frame of a camera whose clock began with tick 0.
    pub fn frame(&self, camera: &CameraId, tick: usize) -> Frame<'_> {
        Frame {
            camera: camera.clone(),
            stamp: Stamp::from_nanos((tick as f64 * 1e9 / RATE_HZ) as i64),
            frame_id: "camera",
            lens: None,
            pixels: Pixels::Raw(RawPixels {
                width: self.width,
                height: self.height,
                encoding: "bgr8",
                is_bigendian: false,
                step: self.width * 3,
                data: self.at(tick),
            }),
        }
    }

    /// Bytes of all pictures.
    pub fn bytes(&self) -> usize {
        self.pictures.iter().map(Vec::len).sum()
    }
}

/// Where a face is.
struct Place {
    number: usize,
    x: f64,
    y: f64,
    height: f64,
}

/// Faces in rows of a size that keeps them apart.
fn places(faces: usize, (width, height): (u32, u32)) -> impl Iterator<Item = Place> {
    let rows = if faces <= 7 { 1 } else { 3 };
    let columns = faces.div_ceil(rows).max(1);
    let cell = (f64::from(width) / columns as f64, f64::from(height) / rows as f64);
    let face = (0.75 * cell.0).min(0.55 * cell.1).min(LARGEST * f64::from(height));
    (0..faces).map(move |number| {
        let (row, column) = (number / columns, number % columns);
        Place {
            number,
            x: (column as f64 + 0.5) * cell.0,
            y: (row as f64 + 0.45) * cell.1,
            // Whoever is lower is nearer, and hides the chest of those behind.
            height: face * (1.0 + 0.02 * row as f64),
        }
    })
}

fn actor(Place { number, x, y, height }: Place, cutouts: usize) -> Actor {
    let last = (PICTURES - 1) as f64;
    Actor {
        person: number.to_string(),
        name: None,
        cutout: number % cutouts.max(1),
        present: 0.0..f64::INFINITY,
        x: Curve::through(&[(0.0, x), (last / RATE_HZ, x + last * STEP * height)]),
        y: Curve::constant(y),
        height: Curve::constant(height),
        roll: Curve::constant(0.0),
        brightness: Curve::constant(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_stay_apart_and_inside() {
        for faces in [0, 1, 5, 7, 20] {
            let all: Vec<Place> = places(faces, (640, 480)).collect();
            assert_eq!(all.len(), faces);
            for (index, a) in all.iter().enumerate() {
                assert!(a.height >= 40.0, "{} px", a.height);
                assert!(a.x > 0.5 * a.height && a.x < 640.0 - 0.5 * a.height);
                assert!(a.y > 0.5 * a.height && a.y < 480.0 - 0.5 * a.height);
                assert!(all[..index].iter().all(|b| (a.x - b.x).abs() > a.height || (a.y - b.y).abs() > a.height));
            }
        }
    }

    #[test]
    fn pictures_are_shown_forth_and_back_and_survive_a_file() {
        let frames = Frames::compose(&[], (64, 48), 0);
        assert_eq!(frames.bytes(), PICTURES * 64 * 48 * 3);
        for tick in 0..2 * PERIOD {
            assert_eq!(frames.at(tick), frames.at(tick + PERIOD));
            assert_eq!(frames.at(tick), frames.at(2 * PERIOD - tick));
        }
        assert_ne!(frames.at(0), frames.at(PICTURES - 1));
        let file = tempfile::NamedTempFile::new().unwrap();
        frames.write(file.path()).unwrap();
        assert_eq!(Frames::read(file.path(), (64, 48)).unwrap(), frames);
        assert!(Frames::read(file.path(), (64, 64)).is_err());
    }
}
