//! Frames out of picture files: a folder of them, a single one, an animated GIF.

use super::source::{FrameSource, OpenError, SourceError};
use crate::frame::{EncodedPixels, Frame, MAX_SIDE, Pixels, RawPixels};
use crate::ids::CameraId;
use crate::time::Stamp;
use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, Frames, ImageDecoder, Limits, RgbaImage};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// Pictures without stamps follow one another at this rate.
const PICTURES_PER_SECOND: f64 = 15.0;
/// `header.frame_id` of pictures that come without one.
const FRAME_ID: &str = "camera";
/// Looks at a single picture before the one that counts: enough for the default configuration to
/// confirm a face and to name it.
const STILL_REHEARSALS: u32 = 4;
/// Seconds a GIF's frame is shown when the file gives no time, as browsers have it.
const UNTIMED_GIF_SECS: f64 = 0.1;
/// Numbers from here on (1973 in nanoseconds) are stamps when every picture is named by one.
const LEAST_STAMP: i64 = 100_000_000_000_000_000;

/// Pictures in the order of their names, as one camera's frames.
pub struct PictureSource {
    files: IntoIter<(PathBuf, Stamp)>,
    expected: u64,
    /// The file being shown.
    bytes: Vec<u8>,
    rehearsals: u32,
    cameras: [CameraId; 1],
}

impl PictureSource {
    /// A single picture, which the line looks at several times.
    pub fn single(path: &Path, start: Stamp) -> Self {
        Self { rehearsals: STILL_REHEARSALS, ..Self::new(vec![(path.to_owned(), start)]) }
    }

    /// The pictures right inside `folder`. When every name is a number of nanoseconds since 1970,
    /// those are the stamps; else the pictures follow one another at 15 Hz from `start`.
    ///
    /// # Errors
    /// [`OpenError`] when the folder cannot be listed or holds no picture.
    pub fn folder(folder: &Path, start: Stamp) -> Result<Self, OpenError> {
        let files = picture_files(folder).map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
        if files.is_empty() {
            return Err(OpenError::NoFrames { input: folder.display().to_string(), damage: None });
        }
        let stamps: Option<Vec<Stamp>> = files.iter().map(|path| stamp_in_name(path)).collect();
        let at = |index: usize| start.plus_secs(index as f64 / PICTURES_PER_SECOND);
        let stamps = stamps.unwrap_or_else(|| (0..files.len()).map(at).collect());
        let mut stamped: Vec<(PathBuf, Stamp)> = files.into_iter().zip(stamps).collect();
        stamped.sort_by_key(|(_, stamp)| *stamp);
        Ok(Self::new(stamped))
    }

    fn new(files: Vec<(PathBuf, Stamp)>) -> Self {
        let expected = files.len() as u64;
        Self { files: files.into_iter(), expected, bytes: Vec::new(), rehearsals: 0, cameras: [CameraId::default()] }
    }
}

impl FrameSource for PictureSource {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, SourceError> {
        let Some((path, stamp)) = self.files.next() else { return Ok(None) };
        self.bytes = std::fs::read(&path)
            .map_err(|error| SourceError::Frame { origin: path.display().to_string(), reason: error.to_string() })?;
        let camera = self.cameras[0].clone();
        let pixels = Pixels::Encoded(EncodedPixels { format: "", data: &self.bytes });
        Ok(Some(Frame { camera, stamp, frame_id: FRAME_ID, pixels, lens: None }))
    }

    fn frames_expected(&self) -> Option<u64> {
        Some(self.expected)
    }

    fn rehearsals(&self) -> u32 {
        self.rehearsals
    }

    fn cameras(&self) -> &[CameraId] {
        &self.cameras
    }
}

/// The frames of an animated GIF, each decoded when its turn comes.
pub struct GifSource {
    path: PathBuf,
    frames: Option<Frames<'static>>,
    next_stamp: Stamp,
    last_stamp: Option<Stamp>,
    canvas: RgbaImage,
    cameras: [CameraId; 1],
}

impl GifSource {
    /// Opens a GIF whose first frame gets the stamp `start`; the others follow by its delays.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be opened or its header read.
    pub fn open(path: &Path, start: Stamp) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        let damaged = |reason: String| OpenError::NotWhatItSeems { path: path.to_owned(), reason };
        let mut decoder = GifDecoder::new(BufReader::new(file)).map_err(|error| damaged(error.to_string()))?;
        // A few words in a damaged file must not ask for all memory.
        decoder.set_limits(Limits::default()).map_err(|error| damaged(error.to_string()))?;
        let (width, height) = decoder.dimensions();
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return Err(damaged(format!("its pictures are {width}x{height} pixels")));
        }
        Ok(Self {
            path: path.to_owned(),
            frames: Some(decoder.into_frames()),
            next_stamp: start,
            last_stamp: None,
            canvas: RgbaImage::default(),
            cameras: [CameraId::default()],
        })
    }
}

impl FrameSource for GifSource {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, SourceError> {
        let Some(next) = self.frames.as_mut().and_then(Iterator::next) else { return Ok(None) };
        let frame = next.map_err(|error| {
            // Every frame builds on those before it, so nothing behind a damaged one can be shown.
            self.frames = None;
            let reason = format!("is damaged: {error}");
            SourceError::Lost { path: self.path.clone(), reason, last: self.last_stamp }
        })?;
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let secs = f64::from(numerator) / f64::from(denominator.max(1)) * 1e-3;
        let stamp = self.next_stamp;
        self.next_stamp = stamp.plus_secs(if secs > 0.0 { secs } else { UNTIMED_GIF_SECS });
        self.last_stamp = Some(stamp);
        self.canvas = frame.into_buffer();
        let (width, height) = self.canvas.dimensions();
        let pixels = Pixels::Raw(RawPixels {
            width,
            height,
            encoding: "rgba8",
            is_bigendian: false,
            step: width * 4,
            data: self.canvas.as_raw(),
        });
        Ok(Some(Frame { camera: self.cameras[0].clone(), stamp, frame_id: FRAME_ID, pixels, lens: None }))
    }

    fn frames_expected(&self) -> Option<u64> {
        None
    }

    fn cameras(&self) -> &[CameraId] {
        &self.cameras
    }
}

/// JPEG and PNG files right inside a folder, sorted by name.
///
/// # Errors
/// Those of the file system.
pub fn picture_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for extension in ["jpg", "jpeg", "png"] {
        files.extend(files_with_extension(folder, extension)?);
    }
    files.sort();
    Ok(files)
}

fn stamp_in_name(path: &Path) -> Option<Stamp> {
    let number: i64 = path.file_stem()?.to_str()?.parse().ok()?;
    (number >= LEAST_STAMP).then_some(Stamp::from_nanos(number))
}

/// Files of a folder with this extension, sorted by name.
fn files_with_extension(folder: &Path, extension: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Decoder;
    use image::codecs::gif::GifEncoder;
    use image::{Delay, Rgb, RgbImage, Rgba};

    fn save(folder: &Path, name: &str) {
        RgbImage::from_pixel(8, 6, Rgb([200, 10, 10])).save(folder.join(name)).unwrap();
    }

    fn stamps(source: &mut dyn FrameSource) -> Vec<i64> {
        let mut stamps = Vec::new();
        while let Some(frame) = source.next_frame().unwrap() {
            assert!(Decoder::default().decode(&frame.pixels).is_ok());
            stamps.push(frame.stamp.nanos());
        }
        stamps
    }

    #[test]
    fn a_folder_runs_at_15_hz_or_by_the_stamps_in_its_names() {
        let start = Stamp::from_nanos(1_000_000_000);
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.png", "a.jpg", "c.JPEG"] {
            save(folder.path(), name);
        }
        std::fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
        let mut source = PictureSource::folder(folder.path(), start).unwrap();
        assert_eq!(source.frames_expected(), Some(3));
        assert_eq!(stamps(&mut source), [1_000_000_000, 1_066_666_667, 1_133_333_333]);

        let folder = tempfile::tempdir().unwrap();
        for name in ["1700000000200000000.png", "1700000000100000000.jpg"] {
            save(folder.path(), name);
        }
        let mut source = PictureSource::folder(folder.path(), start).unwrap();
        assert_eq!(stamps(&mut source), [1_700_000_000_100_000_000, 1_700_000_000_200_000_000]);
    }

    #[test]
    fn an_empty_folder_says_so_and_a_vanished_picture_is_one_lost_frame() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            PictureSource::folder(folder.path(), Stamp::default()).err().unwrap().to_string().contains("no images")
        );
        save(folder.path(), "a.png");
        save(folder.path(), "b.png");
        let mut source = PictureSource::folder(folder.path(), Stamp::default()).unwrap();
        std::fs::remove_file(folder.path().join("a.png")).unwrap();
        assert!(matches!(source.next_frame(), Err(SourceError::Frame { .. })));
        assert!(source.next_frame().unwrap().is_some());
        assert!(source.next_frame().unwrap().is_none());
    }

    fn gif(delays_ms: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        for (index, delay) in delays_ms.iter().enumerate() {
            let canvas = RgbaImage::from_pixel(40, 30, Rgba([60 * index as u8, 128, 0, 255]));
            let delay = Delay::from_numer_denom_ms(*delay, 1);
            encoder.encode_frame(image::Frame::from_parts(canvas, 0, 0, delay)).unwrap();
        }
        drop(encoder);
        bytes
    }

    #[test]
    fn a_gif_runs_by_its_delays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gif");
        std::fs::write(&path, gif(&[80, 0, 70])).unwrap();
        let mut source = GifSource::open(&path, Stamp::default()).unwrap();
        assert_eq!(stamps(&mut source), [0, 80_000_000, 180_000_000]);
    }

    #[test]
    fn a_damaged_gif_gives_its_whole_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gif");
        let bytes = gif(&[80, 80, 80]);
        std::fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
        let mut source = GifSource::open(&path, Stamp::default()).unwrap();
        let mut whole = 0;
        let loss = loop {
            match source.next_frame() {
                Ok(Some(_)) => whole += 1,
                Ok(None) => panic!("the end is missing"),
                Err(loss) => break loss,
            }
        };
        assert_eq!(whole, 2);
        assert!(matches!(loss, SourceError::Lost { last: Some(_), .. }), "{loss}");
        assert!(source.next_frame().unwrap().is_none());
    }
}
