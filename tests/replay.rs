//! Replay with a stand-in for the line, so that none of this needs a model: what comes out of
//! inputs, what goes into the results, and that both are the same every time.

use crate::support::{python_packages, shared, skip};
use proptest::prelude::*;
use rostro::config::{Config, OutputMode};
use rostro::frame::{Decoder, Frame, RawPixels};
use rostro::geometry::{BBox, Landmarks5, Point};
use rostro::head_pose::HeadPose;
use rostro::ids::{CameraId, FaceId, PersonId};
use rostro::people::{EventKind, Identity, IdentityState, People, Person, PersonEvent};
use rostro::pipeline::PipelineError;
use rostro::replay::{self, FrameSource, Inputs, Line, Outputs, ReplaySummary};
use rostro::time::Stamp;
use rostro::wire::camera_info::CameraInfo;
use rostro::wire::{self, Message as _};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An empty folder of this name under `target/tmp`.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// One image of a bag.
pub(crate) enum Shot<'a> {
    Raw(RawPixels<'a>),
    Jpeg(&'a [u8]),
}

/// Writes images on one topic, each with its stamp (also its log time, which a recorder's clock
/// keeps growing: `received` counts from the first stamp).
pub(crate) struct BagOfImages {
    writer: mcap::Writer<BufWriter<File>>,
    channel: u16,
    received: u64,
}

impl BagOfImages {
    pub(crate) fn create(path: &Path, topic: &str, schema: &str, chunk_bytes: u64) -> Self {
        let file = BufWriter::new(File::create(path).unwrap());
        let mut writer = mcap::WriteOptions::new().profile("ros2").chunk_size(Some(chunk_bytes)).create(file).unwrap();
        let definition = wire::schema(schema).unwrap_or_default();
        let schema = writer.add_schema(schema, "ros2msg", definition.as_bytes()).unwrap();
        let channel = writer.add_channel(schema, topic, "cdr", &BTreeMap::new()).unwrap();
        Self { writer, channel, received: 0 }
    }

    /// Another topic of the bag.
    fn add_channel(&mut self, topic: &str, schema: &str) -> u16 {
        let definition = wire::schema(schema).unwrap_or_default();
        let schema = self.writer.add_schema(schema, "ros2msg", definition.as_bytes()).unwrap();
        self.writer.add_channel(schema, topic, "cdr", &BTreeMap::new()).unwrap()
    }

    pub(crate) fn add(&mut self, stamp: i64, shot: &Shot<'_>) {
        let header = wire::image::Header { stamp: Stamp::from_nanos(stamp), frame_id: "eye" };
        let mut message = Vec::new();
        match shot {
            Shot::Raw(pixels) => wire::image::RawImage { header, pixels: *pixels }.encode(&mut message).unwrap(),
            Shot::Jpeg(data) => {
                let pixels = rostro::frame::EncodedPixels { format: "jpeg", data };
                wire::image::CompressedImage { header, pixels }.encode(&mut message).unwrap();
            }
        }
        self.add_message(&message);
    }

    pub(crate) fn add_message(&mut self, message: &[u8]) {
        self.received += 66_666_667;
        let header = mcap::records::MessageHeader {
            channel_id: self.channel,
            sequence: 0,
            log_time: 1_700_000_000_000_000_000 + self.received,
            publish_time: 0,
        };
        self.writer.write_to_known_channel(&header, message).unwrap();
    }

    pub(crate) fn finish(mut self) {
        self.writer.finish().unwrap();
    }
}

/// A grey image with a few other pixels, as `rgb8`.
pub(crate) fn pixels(width: u32, height: u32) -> Vec<u8> {
    (0..width * height * 3).map(|i| 90 + (i * 7 % 40) as u8).collect()
}

pub(crate) fn rgb8(width: u32, height: u32, data: &[u8]) -> RawPixels<'_> {
    RawPixels { width, height, encoding: "rgb8", is_bigendian: false, step: width * 3, data }
}

pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_raw(width, height, pixels(width, height)).unwrap();
    let mut file = Vec::new();
    picture.write_with_encoder(image::codecs::jpeg::JpegEncoder::new(&mut file)).unwrap();
    file
}

/// Sees two people in every readable frame, one of whom has a name.
#[derive(Default)]
struct StandIn {
    decoder: Decoder,
    people: Option<People>,
    events: Vec<PersonEvent>,
    frames: u64,
}

fn stand_in_person(number: u64, x: f32, frame: &People, frames: u64) -> Person {
    let (w, h) = (frame.width as f32, frame.height as f32);
    let (cx, cy) = (x * w, 0.5 * h + frames as f32 * 0.37);
    let named = Identity {
        state: IdentityState::Named,
        person_id: Some(PersonId::from_counter(number)),
        name: Some("Zoë".into()),
        confidence: 0.97,
        similarity: 0.712_345,
        candidate: Some(PersonId::from_counter(number)),
        margin: 0.25,
    };
    Person {
        face_id: FaceId::from_counter(number),
        identity: if number == 0 { named } else { Identity { state: IdentityState::Pending, ..Identity::default() } },
        bbox: BBox::from_centre(cx, cy, 0.2 * w, 0.3 * h),
        score: 0.99,
        landmarks: Landmarks5::new([Point::new(cx, cy); 5]),
        quality: 0.5,
        observed: number == 0 || !frames.is_multiple_of(3),
        track_age_secs: frames as f32 / 15.0,
        emotion: None,
        pose: (number == 0).then(|| HeadPose {
            position: nalgebra::Vector3::new(0.1, 0.0, 1.5),
            rotation: rostro::head_pose::facing_camera(),
        }),
        attention: None,
    }
}

impl Line for StandIn {
    fn process(&mut self, frame: &Frame<'_>) -> Result<&People, PipelineError> {
        let image = self.decoder.decode(&frame.pixels)?;
        let mut people = People {
            camera: frame.camera.clone(),
            stamp: frame.stamp,
            frame_id: frame.frame_id.to_owned(),
            width: image.width(),
            height: image.height(),
            frame_seq: self.frames,
            displaced: 0,
            latency_nanos: 0,
            people: Vec::new(),
        };
        people.people = vec![
            stand_in_person(0, 0.3, &people, self.frames % 30),
            stand_in_person(1, 0.7, &people, self.frames % 30),
        ];
        self.events.clear();
        if self.frames.is_multiple_of(10) {
            self.events.push(PersonEvent {
                camera: frame.camera.clone(),
                stamp: frame.stamp,
                frame_id: frame.frame_id.to_owned(),
                kind: EventKind::PersonIdentified,
                face_id: Some(FaceId::from_counter(0)),
                person_id: Some(PersonId::from_counter(0)),
                other_person_id: None,
                name: Some("Zoë".into()),
                detail: String::new(),
                confidence: 0.97,
                absent_for_secs: 0.0,
            });
        }
        self.frames += 1;
        Ok(self.people.insert(people))
    }

    fn settle(&mut self, _: Stamp) -> Vec<PersonEvent> {
        std::mem::take(&mut self.events)
    }
}

/// Replays with the stand-in into `out`.
fn replay_into(out: &Path, inputs: &[PathBuf]) -> ReplaySummary {
    replay_with(&Config::default(), out, inputs)
}

fn replay_with(config: &Config, out: &Path, inputs: &[PathBuf]) -> ReplaySummary {
    let mut inputs = Inputs::open(inputs, &[]).unwrap();
    let outputs = Outputs::create(out, &inputs.cameras(), config).unwrap();
    let mut counted = 0;
    let summary =
        replay::run(&mut inputs.sources, &mut StandIn::default(), outputs, &mut |frames| counted = frames).unwrap();
    assert_eq!(counted, summary.frames.received);
    summary
}

fn lines(out: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(out.join("people.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn two_camera_bags(folder: &Path) -> Vec<PathBuf> {
    let image = pixels(48, 36);
    ["left", "right"]
        .into_iter()
        .map(|camera| {
            let path = folder.join(format!("{camera}.mcap"));
            let mut bag = BagOfImages::create(&path, &format!("/{camera}/image_raw"), "sensor_msgs/msg/Image", 20_000);
            for n in 0..40 {
                bag.add(1_700_000_000_000_000_000 + n * 66_666_667, &Shot::Raw(rgb8(48, 36, &image)));
            }
            bag.finish();
            path
        })
        .collect()
}

#[test]
fn equal_input_gives_equal_bytes() {
    let folder = folder("replay_twice");
    let bags = two_camera_bags(&folder);
    let outs = [folder.join("first"), folder.join("second")];
    let summaries = outs.clone().map(|out| replay_into(&out, &bags));
    assert_eq!(summaries[0], summaries[1]);
    assert_eq!(summaries[0].frames.processed, 80);
    for name in ["people.jsonl", "people.mcap", "metadata.yaml"] {
        let [first, second] = outs.clone().map(|out| std::fs::read(out.join(name)).unwrap());
        assert!(first.len() > 500, "{name} has {} bytes", first.len());
        assert!(first == second, "{name} differs");
    }
    assert!(!outs[0].join("people.jsonl.partial").exists());
}

#[test]
fn frames_of_two_bags_come_in_stamp_order_under_their_cameras() {
    let folder = folder("replay_two_cameras");
    let out = folder.join("out");
    replay_into(&out, &two_camera_bags(&folder));
    let lines = lines(&out);
    let stamps: Vec<i64> = lines.iter().map(|line| line["stamp"].as_i64().unwrap()).collect();
    assert_eq!(lines.len(), 80);
    assert!(stamps.is_sorted());
    assert_eq!(lines.iter().filter(|line| line["camera"] == "left").count(), 40);
    assert_eq!(lines[0]["people"][0]["name"], "Zoë");
}

#[test]
fn the_bag_written_can_itself_be_replayed() {
    let folder = folder("replay_again");
    let (first, second) = (folder.join("first"), folder.join("second"));
    let bags = two_camera_bags(&folder);
    replay_into(&first, &bags[..1]);
    // The folder is a rosbag2 bag, whose only camera is the annotated picture, every third frame.
    let summary = replay_into(&second, &[first]);
    assert_eq!(summary.frames.processed, 14);
    assert_eq!(lines(&second)[0]["camera"], "rostro/annotated");
}

#[test]
fn a_restart_of_the_stamps_is_counted() {
    let folder = folder("replay_restart");
    let path = folder.join("loop.mcap");
    let mut bag = BagOfImages::create(&path, "/image_raw", "sensor_msgs/msg/CompressedImage", 5_000);
    let picture = jpeg(40, 30);
    for n in [0, 1, 2, 0, 1, 2] {
        bag.add(n * 100_000_000, &Shot::Jpeg(&picture));
    }
    bag.finish();
    let summary = replay_into(&folder.join("out"), &[path]);
    assert_eq!((summary.restarts, summary.frames.processed, summary.is_incomplete()), (1, 6, false));
}

#[test]
fn pictures_and_clips_need_no_bag() {
    let Some(data) = shared("data", "replay of GIF clips and pictures") else { return };
    let folder = folder("replay_clip");
    let clip = data.join("video/classroom.gif");
    let summary = replay_into(&folder.join("clip"), &[clip]);
    assert_eq!(summary.frames.processed, 45);
    let last = lines(&folder.join("clip")).pop().unwrap();
    let secs = (last["stamp"].as_i64().unwrap() - 1_000_000_000) as f64 * 1e-9;
    assert!((44.0 / 16.0..=44.0 / 11.0).contains(&secs), "12 to 15 frames per second: {secs} s");

    let pictures = data.join("identity/presidents");
    let mut inputs = Inputs::open(&[pictures.clone(), pictures.join("obama.jpg")], &[]).unwrap();
    assert_eq!(inputs.cameras(), [CameraId::default()]);
    assert_eq!(inputs.frames_expected(), Some(7));
    let first_of = |source: &mut Box<dyn FrameSource>| source.next_frame().unwrap().unwrap().stamp;
    let starts: Vec<Stamp> = inputs.sources.iter_mut().map(first_of).collect();
    assert!(starts[1].secs_since(starts[0]) > 3600.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_damage_brings_a_replay_down(
        kind in 0..3_usize,
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = folder("replay_damage");
        let path = folder.join(["a.gif", "a.mcap", "a.jpg"][kind]);
        match kind {
            0 => std::fs::write(&path, gif(3)).unwrap(),
            1 => {
                let mut bag = BagOfImages::create(&path, "/image_raw", "sensor_msgs/msg/CompressedImage", 900);
                let picture = jpeg(24, 16);
                for n in 0..6 {
                    bag.add(n * 100_000_000, &Shot::Jpeg(&picture));
                }
                bag.finish();
            }
            _ => std::fs::write(&path, jpeg(24, 16)).unwrap(),
        }
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()).max(bytes.len() / 4));
        std::fs::write(&path, bytes).unwrap();
        let Ok(mut inputs) = Inputs::open(&[path], &[]) else { return Ok(()) };
        let outputs = Outputs::create(&folder.join("out"), &inputs.cameras(), &Config::default()).unwrap();
        let summary = replay::run(&mut inputs.sources, &mut StandIn::default(), outputs, &mut |_| ()).unwrap();
        prop_assert_eq!(summary.frames.received, summary.frames.processed + summary.frames.failed);
    }
}

fn gif(frames: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for n in 0..frames {
        let canvas = image::RgbaImage::from_pixel(20, 14, image::Rgba([50 * n, 90, 10, 255]));
        encoder.encode_frame(image::Frame::new(canvas)).unwrap();
    }
    drop(encoder);
    bytes
}

fn bag_readers(test: &str) -> Option<PathBuf> {
    python_packages(test, "bag_readers", &["rosbags==0.11.*", "mcap-ros2-support==0.6.*"])
}

/// Runs the script that looks at bags with those packages; what it prints.
fn other_eyes(site: &Path, arguments: &[&Path]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/rosbags_interop.py");
    let output = Command::new("python3").env("PYTHONPATH", site).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn other_readers_find_in_the_bag_what_the_lines_say() {
    let Some(site) = bag_readers("other_readers_find_in_the_bag_what_the_lines_say") else { return };
    let folder = folder("replay_readers");
    let out = folder.join("out");
    for mode in [OutputMode::Aggregate, OutputMode::Ros4hri, OutputMode::Ros4hriStandalone] {
        let mut config = Config::default();
        config.output.mode = mode;
        replay_with(&config, &out, &two_camera_bags(&folder));
        let found: serde_json::Value = serde_json::from_str(&other_eyes(&site, &[Path::new("read"), &out])).unwrap();
        let lists = if mode == OutputMode::Aggregate { 0 } else { 80 };
        for reader in ["rosbags", "mcap-ros2-support"] {
            let expected = serde_json::json!({"people": 80, "events": 8, "pictures": 28, "lists of faces": lists});
            assert_eq!(found[reader], expected, "{reader}, {mode:?}");
        }
    }
}

#[test]
fn images_of_a_bag_come_with_the_calibration_before_them() {
    let folder = folder("replay_calibration");
    let image = pixels(48, 36);
    let path = folder.join("calibrated.mcap");
    let mut bag = BagOfImages::create(&path, "/head/image_raw", "sensor_msgs/msg/Image", 20_000);
    let of_images = bag.channel;
    let of_info = bag.add_channel("/head/camera_info", CameraInfo::TYPE);
    let mut info = CameraInfo { width: 48, height: 36, ..CameraInfo::default() };
    for (n, focal) in [(0, 50.0), (1, 60.0), (2, 0.0)] {
        bag.channel = of_images;
        bag.add(1_700_000_000_000_000_000 + n * 66_666_667, &Shot::Raw(rgb8(48, 36, &image)));
        info.k = [focal, 0.0, 24.0, 0.0, focal, 18.0, 0.0, 0.0, f64::from(u8::from(focal > 0.0))];
        let mut message = Vec::new();
        wire::cdr::write(&info, &mut message).unwrap();
        bag.channel = of_info;
        bag.add_message(&message);
    }
    bag.channel = of_images;
    bag.add(1_700_000_000_000_000_000 + 3 * 66_666_667, &Shot::Raw(rgb8(48, 36, &image)));
    bag.finish();
    let mut inputs = Inputs::open(&[path], &[]).unwrap();
    assert_eq!((inputs.frames_expected(), inputs.cameras().len()), (Some(4), 1));
    let mut focal = Vec::new();
    while let Some(frame) = inputs.sources[0].next_frame().unwrap() {
        focal.push(frame.lens.map(|lens| lens.focal()[0]));
    }
    assert_eq!(focal, [None, Some(50.0), Some(60.0), None], "zero K: not calibrated any more");
}

#[test]
fn bags_that_rosbags_wrote_are_replayed_however_they_are_stored() {
    let Some(site) = bag_readers("bags_that_rosbags_wrote_are_replayed") else { return };
    let folder = folder("replay_rosbags");
    let picture = folder.join("picture.jpg");
    std::fs::write(&picture, jpeg(40, 30)).unwrap();
    let mut first_lines = None;
    for (storage, compression) in [
        ("mcap", "none"),
        ("mcap", "storage"),
        ("mcap", "file"),
        ("mcap", "message"),
        ("sqlite3", "none"),
        ("sqlite3", "file"),
        ("sqlite3", "message"),
    ] {
        let bag = folder.join(format!("{storage}_{compression}"));
        other_eyes(&site, &[Path::new("write"), &bag, &picture, Path::new(storage), Path::new(compression)]);
        let out = bag.with_extension("out");
        let summary = replay_into(&out, &[bag]);
        let frames = (summary.frames.processed, summary.is_incomplete());
        assert_eq!(frames, (20, false), "{storage}, {compression}: {:?}", summary.losses);
        let lines = lines(&out);
        let size = |n: usize| (lines[n]["camera"].as_str().unwrap(), lines[n]["width"].as_u64().unwrap());
        assert_eq!([size(0), size(1)], [("head", 48), ("hand", 40)]);
        assert_eq!(&lines, first_lines.get_or_insert(lines.clone()), "{storage}, {compression}");
    }
}

#[test]
fn a_video_is_replayed_frame_by_frame_where_ffmpeg_is() {
    let test = "a_video_is_replayed_frame_by_frame_where_ffmpeg_is";
    let folder = folder("replay_video");
    let video = folder.join("odd name;1.mkv");
    // Twelve frames at 8 Hz and then twelve at 16 Hz: a rate that changes, as telephones record.
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=16", "-frames:v", "24"])
        .args(["-vf", "setpts='if(lt(N,12),N*2,12+N)/16/TB'", "-vsync", "passthrough", "-c:v", "mpeg4"])
        .arg(&video)
        .output();
    let made = match made {
        Ok(made) => made,
        Err(error) => return skip(test, &format!("ffmpeg: {error}")),
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let summary = replay_into(&folder.join("out"), std::slice::from_ref(&video));
    assert_eq!((summary.frames.processed, summary.is_incomplete()), (24, false), "{:?}", summary.losses);
    let lines = lines(&folder.join("out"));
    assert_eq!(lines[5]["width"], 64);
    let secs: Vec<f64> =
        lines.iter().map(|line| (line["stamp"].as_i64().unwrap() - 1_000_000_000) as f64 * 1e-9).collect();
    for (index, secs) in secs.iter().enumerate() {
        let expected = if index < 12 { index as f64 / 8.0 } else { (12.0 + index as f64) / 16.0 };
        assert!((secs - expected).abs() < 2e-3, "frame {index} at {secs} s, not {expected} s");
    }

    let bytes = std::fs::read(&video).unwrap();
    std::fs::write(&video, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let cut = replay_into(&folder.join("cut"), &[video]);
    assert!((5..24).contains(&cut.frames.processed), "{} frames of a video cut off", cut.frames.processed);
}
