//! The evaluator against other people's, and the real commands.

use crate::bad_input::models_are_here;
use crate::replay::folder;
use crate::support::shared;
use image::AnimationDecoder as _;
use image::codecs::gif::GifDecoder;
use rostro::eval::tracking::{FoundFace, TrackingEval, TrueFace};
use rostro::geometry::BBox;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

type Boxes = Vec<(u64, [f32; 4])>;

/// Random recordings and what PyPI's trackeval and motmetrics say of them (tests/reference/tracking_metrics.py).
fn reference_cases() -> Vec<(Vec<(Boxes, Boxes)>, Value)> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("reference/tracking_metrics.json")).unwrap();
    cases.into_iter().map(|case| (serde_json::from_value(case["frames"].clone()).unwrap(), case)).collect()
}

fn equals(found: f64, reference: &Value) -> bool {
    (found - reference.as_f64().unwrap()).abs() < 1e-6
}

#[test]
fn tracking_measures_equal_those_of_trackeval_and_motmetrics() {
    for (frames, case) in reference_cases() {
        let mut eval = TrackingEval::default();
        for (truth, found) in &frames {
            let named = |boxes: &Boxes| -> Vec<(String, BBox<_>)> {
                let sized = |[x, y, w, h]: [f32; 4]| BBox::new(x, y, x + w, y + h);
                boxes.iter().map(|(id, place)| (id.to_string(), sized(*place))).collect()
            };
            let (truth, found) = (named(truth), named(found));
            let truth: Vec<_> = truth.iter().map(|(id, bbox)| TrueFace { id, bbox: *bbox, counts: true }).collect();
            let found: Vec<_> = found.iter().map(|(id, bbox)| FoundFace { id, bbox: *bbox }).collect();
            eval.add("", &truth, &found);
        }
        let score = eval.finish();
        let (trackeval, motmetrics) = (&case["trackeval"], &case["motmetrics"]);
        for (name, value) in [
            ("hota", score.hota),
            ("det_a", score.det_a),
            ("ass_a", score.ass_a),
            ("mota", score.mota),
            ("idf1", score.idf1),
            ("id_switches", score.id_switches as f64),
            ("fragments", score.fragments as f64),
            ("missed", score.missed as f64),
            ("false_faces", score.false_faces as f64),
        ] {
            assert!(equals(value, &trackeval[name]), "{name}: {value}, trackeval {}", trackeval[name]);
        }
        assert!(equals(score.idf1, &motmetrics["idf1"]));
        // In one of the cases the two packages count switches differently.
        assert!(equals(score.mota, &motmetrics["mota"]) || trackeval["mota"] != motmetrics["mota"]);
    }
}

struct Ended {
    code: Option<i32>,
    stderr: String,
    result: Value,
}

fn eval(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_rostro")).arg("eval").args(arguments).arg("--json").output().unwrap();
    Ended {
        code: output.status.code(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        result: serde_json::from_slice(&output.stdout).unwrap_or_default(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn tables_are_compared_without_a_recording() {
    let folder = folder("eval_tables");
    let (frames, case) = reference_cases().swap_remove(4);
    let table = |name: &str, of: fn(&(Boxes, Boxes)) -> &Boxes| {
        let rows = frames.iter().zip(1..).flat_map(|(frame, number)| {
            of(frame).iter().map(move |(id, [x, y, w, h])| format!("{number},{id},{x},{y},{w},{h},1,-1,-1,-1\n"))
        });
        let path = folder.join(name);
        std::fs::write(&path, rows.collect::<String>()).unwrap();
        path
    };
    let (truth, found) = (table("gt.txt", |frame| &frame.0), table("found.txt", |frame| &frame.1));
    let ended = eval(&["tracking", text(&found), "--truth", text(&truth)]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(equals(ended.result["tracking"]["hota"].as_f64().unwrap(), &case["trackeval"]["hota"]));

    let (before, after) = (folder.join("before.json"), folder.join("after.json"));
    std::fs::write(&before, ended.result.to_string()).unwrap();
    let worse = ended.result.to_string().replace("\"id_switches\":", "\"id_switches\":1");
    std::fs::write(&after, worse).unwrap();
    let same = eval(&["compare", text(&before), text(&before), "--fail-on", "tracking.idf1:-0"]);
    assert_eq!((same.code, same.result["changed"].as_array().unwrap().len()), (Some(0), 0));
    let failed = eval(&["compare", text(&before), text(&after), "--fail-on", "tracking.id_switches:+0"]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("tracking.id_switches went from"), "{}", failed.stderr);
    let unknown = eval(&["compare", text(&before), text(&after), "--fail-on", "idf1:-0"]);
    assert!(unknown.stderr.contains("there are tracking.idf1"), "{}", unknown.stderr);
}

/// The first frames of the classroom, as pictures.
fn classroom(clip: &Path, folder: &Path) -> PathBuf {
    let pictures = folder.join("pictures");
    std::fs::create_dir_all(&pictures).unwrap();
    let file = std::io::BufReader::new(std::fs::File::open(clip).unwrap());
    for (number, frame) in GifDecoder::new(file).unwrap().into_frames().take(14).enumerate() {
        let picture = image::DynamicImage::ImageRgba8(frame.unwrap().into_buffer()).to_rgb8();
        picture.save(pictures.join(format!("{number:03}.png"))).unwrap();
    }
    pictures
}

#[test]
fn a_recording_is_judged_the_same_twice_and_told_on_one_page() {
    let test = "a_recording_is_judged_the_same_twice_and_told_on_one_page";
    let Some(clip) = shared("data/video/classroom.gif", test) else { return };
    if !models_are_here(test) {
        return;
    }
    let folder = folder("eval_replay");
    let pictures = classroom(&clip, &folder);
    let replayed = Command::new(env!("CARGO_BIN_EXE_rostro"))
        .args(["replay", text(&pictures), "--out", text(&folder.join("first"))])
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let (truth, lines) = (folder.join("tracks.csv"), folder.join("first/people.jsonl"));
    let draft = eval(&["draft", text(&lines), "--out", text(&truth)]);
    assert!(draft.result["rows"].as_u64().unwrap() > 10, "{}", draft.stderr);
    assert_eq!(eval(&["draft", text(&lines), "--out", text(&truth)]).code, Some(1), "a truth is not overwritten");

    let outs = ["second", "third"].map(|out| folder.join(out));
    for out in &outs {
        let ended = eval(&["replay", text(&pictures), "--truth", text(&truth), "--out", text(out)]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let keys = ["/tracking/idf1", "/tracking/hota", "/tracking/mota", "/frames/processed", "/latency/p99_ms"];
        assert!(keys.iter().all(|key| ended.result.pointer(key).is_some_and(Value::is_number)), "{}", ended.result);
        assert_eq!(ended.result["tracking"]["idf1"], 1.0, "what was found is the truth here");
        let embedder = ended.result["made_with"]["network dlib-resnet-v1"].as_str().unwrap();
        assert!(embedder.starts_with("dlib-resnet-v1@") && embedder.ends_with(" on cpu"), "{embedder}");
    }
    let read = |out: &PathBuf| std::fs::read_to_string(out.join("report.json")).unwrap();
    assert_eq!(read(&outs[0]), read(&outs[1]));
    let page = std::fs::read_to_string(outs[0].join("report.html")).unwrap();
    assert!(page.len() < 1_000_000 && page.contains("Compared with the truth") && !page.contains("http"));

    // Pictures 0.1 s apart, each worked on for about as long, played much faster: most are displaced.
    let out = folder.join("realtime");
    let live = eval(&["replay", text(&pictures), "--truth", text(&truth), "--out", text(&out), "--realtime", "50"]);
    assert_eq!(live.code, Some(0), "{}", live.stderr);
    let count = |name: &str| live.result["frames"][name].as_u64().unwrap();
    assert_eq!((count("received"), count("failed")), (14, 0));
    assert_eq!(count("processed") + count("displaced"), 14);
    assert!(count("displaced") > 0 && count("processed") > 0, "{}", live.result["frames"]);
    assert_eq!((&live.result["mode"], live.result["frames_judged"].as_u64()), (&"realtime".into(), Some(14)));
    assert!(live.result["tracking"]["missed"].as_u64() > Some(0), "whoever is known late is missed until then");
    assert!(live.result.pointer("/latency/age/p50_ms").is_some_and(Value::is_number));
    let mixed = eval(&["compare", text(&outs[0].join("report.json")), text(&out.join("report.json"))]);
    assert_eq!(mixed.code, Some(1), "{}", mixed.result);
    assert!(mixed.stderr.contains("lockstep") && mixed.stderr.contains("realtime"), "{}", mixed.stderr);

    std::fs::write(&truth, "frame,person,x,y,w,h\n99,anna,1,1,20,20\n").unwrap();
    let ended = eval(&["tracking", text(&lines), "--truth", text(&truth)]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("tracks.csv line 2") && ended.stderr.contains("14 frames"), "{}", ended.stderr);
}
