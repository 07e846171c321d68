//! What `rostro replay` does with input that is damaged, odd or absent: the real command, its
//! messages and its exit codes. Whatever can be read is processed.

use crate::replay::{BagOfImages, Shot, folder, jpeg, pixels, rgb8};
use crate::support::skip;
use rostro::frame::RawPixels;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

const IMAGE: &str = "sensor_msgs/msg/Image";
const COMPRESSED: &str = "sensor_msgs/msg/CompressedImage";

fn rostro() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rostro"))
}

/// How a replay ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stderr: String,
    /// What `--json` printed; null when nothing.
    pub(crate) result: Value,
    /// Lines of people.jsonl; `None` when it was not written.
    lines: Option<usize>,
}

impl Ended {
    pub(crate) fn frames(&self, what: &str) -> u64 {
        self.result["frames"][what].as_u64().unwrap_or_else(|| panic!("no frames.{what}: {}", self.stderr))
    }

    /// The lines of stderr that contain `text`.
    fn said(&self, text: &str) -> usize {
        self.stderr.lines().filter(|line| line.contains(text)).count()
    }
}

/// `rostro replay --json`, results in a folder beside the first input.
fn replay(inputs: &[&Path], more: &[&str]) -> Ended {
    replay_into(&inputs[0].with_extension("out"), inputs, more)
}

/// `rostro replay --json --out`.
pub(crate) fn replay_into(out: &Path, inputs: &[&Path], more: &[&str]) -> Ended {
    let output = rostro().arg("replay").args(inputs).args(more).arg("--json").arg("--out").arg(out).output().unwrap();
    let Output { status, stdout, stderr } = output;
    Ended {
        code: status.code().unwrap_or_else(|| panic!("ended by {status}")),
        stderr: String::from_utf8(stderr).unwrap(),
        result: serde_json::from_slice(&stdout).unwrap_or_default(),
        lines: std::fs::read_to_string(out.join("people.jsonl")).ok().map(|text| text.lines().count()),
    }
}

/// Whether replays can run: the first one fetches the models. Says so when they cannot be had.
pub(crate) fn models_are_here(test: &str) -> bool {
    static FAILURE: OnceLock<Option<String>> = OnceLock::new();
    let failure = FAILURE.get_or_init(|| {
        let picture = folder("bad_input_models").join("grey.jpg");
        std::fs::write(&picture, jpeg(64, 48)).unwrap();
        let ended = replay(&[&picture], &[]);
        (ended.code != 0).then_some(ended.stderr)
    });
    if let Some(failure) = failure {
        assert!(failure.contains("cannot install"), "a plain picture cannot be replayed: {failure}");
        skip(test, failure);
    }
    failure.is_none()
}

/// A bag of `count` raw images of 64x48 pixels at 15 Hz.
fn bag_of(path: &Path, count: i64) {
    let image = pixels(64, 48);
    let mut bag = BagOfImages::create(path, "/head/image_raw", IMAGE, 40_000);
    for n in 0..count {
        bag.add(n * 66_666_667, &Shot::Raw(rgb8(64, 48, &image)));
    }
    bag.finish();
}

/// Inputs that are refused before anything is loaded: exit code 1, and a message that says why.
fn is_refused(inputs: &[&Path], more: &[&str], because: &[&str]) {
    let ended = replay(inputs, more);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    for words in because {
        assert!(ended.stderr.contains(words), "\"{words}\" is not in: {}", ended.stderr);
    }
    assert!(ended.lines.is_none());
    assert_eq!(ended.stderr.lines().count(), 1, "one line says it: {}", ended.stderr);
}

#[test]
fn what_cannot_be_replayed_is_refused_with_a_reason() {
    let folder = folder("bad_input_refused");
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        std::fs::write(folder.join(name), bytes).unwrap();
        folder.join(name)
    };
    is_refused(&[&folder.join("nowhere.mcap")], &[], &["nowhere.mcap", "No such file"]);
    is_refused(&[&file("text.mcap", b"not a bag")], &[], &["text.mcap", "MCAP"]);
    is_refused(&[&file("nothing.mcap", b"")], &[], &["nothing.mcap", "MCAP"]);
    is_refused(&[&file("notes.txt", b"hello")], &[], &["notes.txt", "nothing that can be replayed"]);
    is_refused(&[&file("old.bag", b"#ROSBAG V2.0")], &[], &["old.bag", "not", "yet", "ros2 bag convert"]);
    is_refused(&[&file("cut.db3", b"SQLite format 3\0")], &[], &["cut.db3", "sqlite3 bag", "not a database"]);
    is_refused(&[&file("film.mp4", b"\0\0\0\x18ftypmp42")], &[], &["film.mp4", "ff"]);

    let empty = folder.join("empty.mcap");
    bag_of(&empty, 0);
    is_refused(&[&empty], &[], &["empty.mcap", "no images"]);
    let talk = folder.join("talk.mcap");
    BagOfImages::create(&talk, "/talk", "std_msgs/msg/String", 1000).finish();
    is_refused(&[&talk], &[], &["talk.mcap", "/talk (std_msgs/msg/String)"]);
    let fine = folder.join("fine.mcap");
    bag_of(&fine, 3);
    is_refused(&[&fine], &["--topic", "/elsewhere"], &["/elsewhere", "/head/image_raw"]);
    std::fs::create_dir(folder.join("void")).unwrap();
    is_refused(&[&folder.join("void")], &[], &["void", "no images"]);

    let gallery = folder.join("void").display().to_string();
    is_refused(&[&fine], &["--gallery", &gallery], &["nobody in the gallery", "void"]);
    let wrong = file("wrong.yaml", b"rostro:\n  ros__parameters:\n    detector:\n      modell: mtcnn\n");
    is_refused(&[&fine], &["--params-file", &wrong.display().to_string()], &["wrong.yaml", "modell"]);
}

#[test]
fn results_that_cannot_be_written_are_known_before_the_work() {
    let folder = folder("bad_input_unwritable");
    let bag = folder.join("fine.mcap");
    bag_of(&bag, 3);
    std::fs::write(folder.join("file"), "").unwrap();
    for out in [folder.join("file"), folder.join("file/below"), PathBuf::from("/proc/nowhere")] {
        let output = rostro().arg("replay").arg(&bag).arg("--out").arg(&out).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("cannot write") && stderr.contains(&out.display().to_string()), "{stderr}");
    }
}

#[test]
fn a_full_disk_ends_the_replay_with_a_reason() {
    if !models_are_here("a_full_disk_ends_the_replay_with_a_reason") || !Path::new("/dev/full").exists() {
        return;
    }
    let folder = folder("bad_input_full");
    let bag = folder.join("fine.mcap");
    bag_of(&bag, 30);
    for name in ["people.jsonl", "people.mcap"] {
        let out = folder.join("fine.out");
        std::fs::create_dir_all(&out).unwrap();
        let target = out.join(format!("{name}.partial"));
        let _ = std::fs::remove_file(&target);
        std::os::unix::fs::symlink("/dev/full", &target).unwrap();
        let ended = replay(&[&bag], &[]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(name) && ended.stderr.contains("No space left"), "{}", ended.stderr);
        assert!(ended.lines.is_none());
        std::fs::remove_file(&target).unwrap();
    }
}

#[test]
fn results_never_replace_the_recording() {
    const METADATA: &str =
        "rosbag2_bagfile_information: {storage_identifier: mcap, relative_file_paths: [people.mcap]}\n";
    let bag = folder("bad_input_own_folder").join("bag");
    std::fs::create_dir_all(&bag).unwrap();
    bag_of(&bag.join("people.mcap"), 3);
    std::fs::write(bag.join("metadata.yaml"), METADATA).unwrap();
    let read = || ["people.mcap", "metadata.yaml"].map(|name| std::fs::read(bag.join(name)).unwrap());
    let before = read();
    for input in [bag.clone(), bag.join("people.mcap")] {
        let ended = replay_into(&bag, &[&input], &[]);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(ended.stderr.contains("--out"), "{}", ended.stderr);
        assert!(read() == before);
    }
}

#[test]
fn a_bag_that_was_cut_off_is_processed_up_to_the_cut() {
    if !models_are_here("a_bag_that_was_cut_off_is_processed_up_to_the_cut") {
        return;
    }
    let folder = folder("bad_input_cut");
    let whole = folder.join("whole.mcap");
    bag_of(&whole, 60);
    let bytes = std::fs::read(&whole).unwrap();
    let (cut, unclosed) = (folder.join("cut.mcap"), folder.join("unclosed.mcap"));
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).unwrap();
    std::fs::write(&unclosed, &bytes[..bytes.len() - 30]).unwrap();

    let ended = replay(&[&cut], &[]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert_eq!(ended.said("cut.mcap is cut off at byte"), 1, "{}", ended.stderr);
    assert_eq!(ended.said("read up to the image of stamp"), 1, "{}", ended.stderr);
    let processed = ended.frames("processed");
    assert!((10..60).contains(&processed), "{processed} frames");
    assert_eq!(ended.lines, Some(processed as usize));

    // Without its index, but with every image.
    let ended = replay(&[&unclosed], &[]);
    assert_eq!((ended.code, ended.frames("processed")), (0, 60), "{}", ended.stderr);

    let stump = folder.join("stump.mcap");
    std::fs::write(&stump, &bytes[..60]).unwrap();
    is_refused(&[&stump], &[], &["stump.mcap", "cut off"]);
}

#[test]
fn damaged_pictures_are_counted_and_the_others_processed() {
    if !models_are_here("damaged_pictures_are_counted_and_the_others_processed") {
        return;
    }
    let folder = folder("bad_input_jpeg");
    let bag = folder.join("bag.mcap");
    let picture = jpeg(64, 48);
    let mut writer = BagOfImages::create(&bag, "/head/image_raw/compressed", COMPRESSED, 5_000);
    for n in 0..12 {
        let shot: &[u8] = match n {
            4 | 5 => &picture[..picture.len() / 3],
            8 => b"no picture at all",
            _ => &picture,
        };
        writer.add(n * 66_666_667, &Shot::Jpeg(shot));
    }
    writer.finish();
    let ended = replay(&[&bag], &[]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert_eq!(
        (ended.frames("received"), ended.frames("processed"), ended.frames("failed"), ended.lines),
        (12, 9, 3, Some(9))
    );
    assert_eq!(ended.said("damaged JPEG"), 1, "once per cause: {}", ended.stderr);
    assert_eq!(ended.said("neither JPEG nor PNG"), 1, "{}", ended.stderr);
}

#[test]
fn impossible_images_are_named_and_passed_over() {
    if !models_are_here("impossible_images_are_named_and_passed_over") {
        return;
    }
    let folder = folder("bad_input_images");
    let bag = folder.join("bag.mcap");
    let image = pixels(64, 48);
    let good = rgb8(64, 48, &image);
    let mut writer = BagOfImages::create(&bag, "/head/image_raw", IMAGE, 40_000);
    let bad = [
        RawPixels { width: 0, height: 0, step: 0, data: &[], ..good },
        RawPixels { step: 100, ..good },
        RawPixels { encoding: "thermal9", ..good },
        RawPixels { data: &image[..500], ..good },
        RawPixels { width: u32::MAX, height: u32::MAX, step: u32::MAX, ..good },
    ];
    for (n, bad) in bad.into_iter().enumerate() {
        writer.add(n as i64 * 200_000_000, &Shot::Raw(good));
        writer.add(n as i64 * 200_000_000 + 100_000_000, &Shot::Raw(bad));
    }
    writer.add_message(&[0, 1, 0, 0, 9, 9]);
    writer.add_message(&[]);
    writer.finish();
    let ended = replay(&[&bag], &[]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert_eq!((ended.frames("processed"), ended.frames("failed"), ended.lines), (5, 7, Some(5)));
    for words in
        ["0x0 pixels is empty", "step of 100 bytes is smaller", "thermal9", "500 bytes", "larger than", "header.stamp"]
    {
        assert_eq!(ended.said(words), 1, "\"{words}\" in: {}", ended.stderr);
    }
}

#[test]
fn a_looping_bag_starts_anew_with_a_word() {
    if !models_are_here("a_looping_bag_starts_anew_with_a_word") {
        return;
    }
    let folder = folder("bad_input_loop");
    let bag = folder.join("bag.mcap");
    let image = pixels(64, 48);
    let mut writer = BagOfImages::create(&bag, "/head/image_raw", IMAGE, 40_000);
    for n in (0..10).chain(0..10) {
        writer.add(n * 66_666_667, &Shot::Raw(rgb8(64, 48, &image)));
    }
    writer.finish();
    let ended = replay(&[&bag], &[]);
    assert_eq!((ended.code, ended.frames("processed"), ended.lines), (0, 20, Some(20)), "{}", ended.stderr);
    assert_eq!(ended.result["restarts"], 1);
    assert_eq!(ended.said("WARN"), 1, "{}", ended.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = rostro().args(["replay", "--help"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && stderr.is_empty(), "{}: {stderr}", ended.status);
}

#[test]
fn memory_does_not_grow_with_the_bag() {
    if !models_are_here("memory_does_not_grow_with_the_bag") {
        return;
    }
    let folder = folder("bad_input_memory");
    // Few and large windows: what is measured is the replay, not the networks.
    let params = folder.join("params.yaml");
    std::fs::write(&params, "detector: {min_face_px: 100}\nannotated: {rate_hz: 15.0}\n").unwrap();
    let image = pixels(160, 120);
    let peak_mb = |frames: i64| -> u64 {
        let bag = folder.join(format!("{frames}.mcap"));
        let mut writer = BagOfImages::create(&bag, "/head/image_raw", IMAGE, 800_000);
        for n in 0..frames {
            writer.add(n * 66_666_667, &Shot::Raw(rgb8(160, 120, &image)));
        }
        writer.finish();
        let ended = replay(&[&bag], &["--params-file", &params.display().to_string()]);
        assert_eq!((ended.code, ended.frames("processed")), (0, frames as u64), "{}", ended.stderr);
        let (_, memory) = ended.stderr.split_once("peak memory ").expect("the command says its peak memory");
        memory.split_whitespace().next().unwrap().parse().unwrap()
    };
    // Bags of 17 and 173 MB.
    let (short, long) = (peak_mb(300), peak_mb(3000));
    println!("peak memory: {short} MB for 300 frames, {long} MB for 3000");
    assert!(long < short + 20, "{short} MB for 300 frames, {long} MB for 3000");
}
