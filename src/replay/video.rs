//! Frames out of video files, decoded by `ffmpeg` where it is on the PATH.
//!
//! `ffprobe` lists the packets' times without decoding; `ffmpeg` then writes every frame as a PPM picture
//! (which carries its own size) into a pipe, so one frame is in memory at a time.

use super::source::{FrameSource, OpenError, SourceError};
use crate::frame::{Frame, MAX_SIDE, Pixels, RawPixels};
use crate::ids::CameraId;
use crate::time::Stamp;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// `header.frame_id` of frames that come without one.
const FRAME_ID: &str = "camera";
/// Between frames whose time the file does not tell.
const UNTIMED_SECS: f64 = 1.0 / 30.0;
/// Bytes accepted before the end of one word of a PPM header.
const HEADER_LIMIT: usize = 64;

/// The frames of a video, in the order in which they are shown.
pub struct VideoSource {
    path: PathBuf,
    decoder: Decoder,
    /// Seconds from the first frame, one entry per frame.
    times: Vec<f64>,
    next: usize,
    start: Stamp,
    last: Option<Stamp>,
    pixels: Vec<u8>,
    is_over: bool,
    cameras: [CameraId; 1],
}

/// The running `ffmpeg`; ended when dropped.
struct Decoder {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Where it complains.
    complaints: tempfile::NamedTempFile,
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl VideoSource {
    /// Opens a video whose first frame gets the stamp `start`; the others follow by their own times.
    ///
    /// # Errors
    /// [`OpenError::NoFfmpeg`] where ffmpeg is not installed; else what it says about the file.
    pub fn open(path: &Path, start: Stamp) -> Result<Self, OpenError> {
        let times = frame_times(path)?;
        if times.is_empty() {
            return Err(OpenError::NoFrames { input: path.display().to_string(), damage: None });
        }
        Ok(Self {
            path: path.to_owned(),
            decoder: Decoder::start(path)?,
            times,
            next: 0,
            start,
            last: None,
            pixels: Vec::new(),
            is_over: false,
            cameras: [CameraId::default()],
        })
    }

    /// The stamp of frame `index`; behind the last known time, frames follow at a usual rate.
    fn stamp(&self, index: usize) -> Stamp {
        let beyond = (index + 1).saturating_sub(self.times.len());
        let known = self.times.get(index).or(self.times.last()).copied().unwrap_or_default();
        self.start.plus_secs(known + beyond as f64 * UNTIMED_SECS)
    }

    /// What is to be said when the pictures end: nothing, if all were shown.
    fn end(&mut self) -> Result<(), SourceError> {
        self.is_over = true;
        let missing = self.times.len().saturating_sub(self.next);
        let complaint = self.decoder.complaint();
        if missing == 0 && complaint.is_none() {
            return Ok(());
        }
        let complaint = complaint.map(|text| format!(": {text}")).unwrap_or_default();
        let reason = format!("lacks {missing} of {} frames{complaint}", self.times.len());
        Err(SourceError::Lost { path: self.path.clone(), reason, last: self.last })
    }
}

impl FrameSource for VideoSource {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, SourceError> {
        if self.is_over {
            return Ok(None);
        }
        let (width, height) = match read_ppm(&mut self.decoder.output, &mut self.pixels) {
            Ok(Some(size)) => size,
            Ok(None) => return self.end().map(|()| None),
            Err(error) => {
                self.is_over = true;
                let reason = format!("is damaged: {error}");
                return Err(SourceError::Lost { path: self.path.clone(), reason, last: self.last });
            }
        };
        let stamp = self.stamp(self.next);
        self.next += 1;
        self.last = Some(stamp);
        let pixels = Pixels::Raw(RawPixels {
            width,
            height,
            encoding: "rgb8",
            is_bigendian: false,
            step: width * 3,
            data: &self.pixels,
        });
        Ok(Some(Frame { camera: self.cameras[0].clone(), stamp, frame_id: FRAME_ID, pixels, lens: None }))
    }

    fn frames_expected(&self) -> Option<u64> {
        Some(self.times.len() as u64)
    }

    fn cameras(&self) -> &[CameraId] {
        &self.cameras
    }
}

impl Decoder {
    fn start(path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::Io { path: path.to_owned(), source };
        let complaints = tempfile::NamedTempFile::new().map_err(io_error)?;
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-loglevel", "error", "-i"]).arg(file_argument(path));
        // Every decoded frame once, as it is: none repeated or left out to keep a rate.
        command.args(["-map", "0:v:0", "-vsync", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-"]);
        let spawned =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(complaints.reopen().map_err(io_error)?).spawn();
        let mut child = spawned.map_err(|source| spawn_error(path, "ffmpeg", source))?;
        let Some(output) = child.stdout.take() else {
            return Err(io_error(io::Error::other("ffmpeg gives no output")));
        };
        Ok(Self { child, output: BufReader::with_capacity(1 << 20, output), complaints })
    }

    /// The last line it complained with.
    fn complaint(&mut self) -> Option<String> {
        let _ = self.child.wait();
        let text = std::fs::read_to_string(self.complaints.path()).ok()?;
        last_line(&text).map(ToOwned::to_owned)
    }
}

/// The last line with anything on it.
fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty())
}

/// The times of a video's frames in seconds from its first, in the order in which they are shown.
fn frame_times(path: &Path) -> Result<Vec<f64>, OpenError> {
    let mut command = Command::new("ffprobe");
    command.args(["-loglevel", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time"]);
    let output = command.args(["-of", "csv=print_section=0"]).arg(file_argument(path)).stdin(Stdio::null()).output();
    let output = output.map_err(|source| spawn_error(path, "ffprobe", source))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = last_line(&said).unwrap_or("it says nothing").to_owned();
        return Err(OpenError::NotWhatItSeems { path: path.to_owned(), reason: format!("ffprobe: {reason}") });
    }
    Ok(times_of(&String::from_utf8_lossy(&output.stdout)))
}

/// One packet per line; packets lie in the order of decoding, so their times are sorted.
fn times_of(listing: &str) -> Vec<f64> {
    let packets = listing.lines().map(|line| line.trim_end_matches(',').trim()).filter(|line| !line.is_empty());
    let stamped: Vec<Option<f64>> =
        packets.map(|line| line.parse().ok().filter(|secs: &f64| secs.is_finite())).collect();
    let count = stamped.len();
    let mut times: Vec<f64> = stamped.into_iter().flatten().collect();
    if times.len() < count {
        // A stream without times (a raw one, say) plays at the usual rate.
        return (0..count).map(|index| index as f64 * UNTIMED_SECS).collect();
    }
    times.sort_by(f64::total_cmp);
    let first = times.first().copied().unwrap_or_default();
    times.iter().map(|secs| secs - first).collect()
}

/// A name that ffmpeg takes for a file, whatever it begins with.
fn file_argument(path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from("file:");
    argument.push(path);
    argument
}

fn spawn_error(path: &Path, program: &'static str, source: io::Error) -> OpenError {
    match source.kind() {
        io::ErrorKind::NotFound => OpenError::NoFfmpeg { path: path.to_owned(), program },
        _ => OpenError::Io { path: path.to_owned(), source },
    }
}

/// Reads one binary PPM picture of 8 bits into `pixels`; its width and height, `None` at the end.
fn read_ppm(input: &mut impl Read, pixels: &mut Vec<u8>) -> io::Result<Option<(u32, u32)>> {
    let Some(magic) = word(input)? else { return Ok(None) };
    let mut number = || -> io::Result<Option<u32>> { Ok(word(input)?.and_then(|text| text.parse().ok())) };
    let (width, height, most) = (number()?, number()?, number()?);
    let (Some(width), Some(height), Some(255), "P6") = (width, height, most, magic.as_str()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "ffmpeg sent something else than pictures"));
    };
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("its pictures are {width}x{height} pixels")));
    }
    pixels.resize(width as usize * height as usize * 3, 0);
    input.read_exact(pixels)?;
    Ok(Some((width, height)))
}

/// The next word and the single white-space byte behind it; `None` at the end of the input.
fn word(input: &mut impl Read) -> io::Result<Option<String>> {
    let mut text = String::new();
    let mut byte = [0_u8];
    for _ in 0..HEADER_LIMIT {
        if input.read(&mut byte)? == 0 {
            break;
        }
        match byte[0] {
            space if space.is_ascii_whitespace() && !text.is_empty() => return Ok(Some(text)),
            space if space.is_ascii_whitespace() => {}
            letter => text.push(letter as char),
        }
    }
    if text.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_read_one_after_the_other() {
        let mut input = &b"P6\n2 1\n255\nabcdefP6\n1 1\n255\n \n\nP6\n1"[..];
        let mut pixels = Vec::new();
        assert_eq!(read_ppm(&mut input, &mut pixels).unwrap(), Some((2, 1)));
        assert_eq!(pixels, b"abcdef");
        assert_eq!(read_ppm(&mut input, &mut pixels).unwrap(), Some((1, 1)));
        assert_eq!(pixels, b" \n\n");
        assert!(read_ppm(&mut input, &mut pixels).is_err());
        assert_eq!(read_ppm(&mut &b""[..], &mut pixels).unwrap(), None);
        assert!(read_ppm(&mut &b"P6\n99999999 1\n255\n"[..], &mut pixels).is_err());
        assert!(read_ppm(&mut &b"RIFFRIFF 1\n255\n"[..], &mut pixels).is_err());
    }

    #[test]
    fn times_are_those_of_showing_from_the_first() {
        assert_eq!(times_of("1.5\n1.75,\n1.625\n\n"), [0.0, 0.125, 0.25]);
        assert_eq!(times_of("N/A\n0.1\n"), [0.0, UNTIMED_SECS]);
        assert!(times_of("").is_empty());
    }
}
