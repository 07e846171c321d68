//! The line on real pictures with known answers.

use crate::support::{runtime, shared};
use image::AnimationDecoder as _;
use image::codecs::gif::GifDecoder;
use rostro::assembly::load_pipeline;
use rostro::config::{Config, DetectorConfig};
use rostro::detect::{Detection, FaceDetector};
use rostro::embed::Embedding;
use rostro::frame::{Decoder, EncodedPixels, Frame, Pixels, RawPixels};
use rostro::geometry::{BBox, ImagePx};
use rostro::ids::CameraId;
use rostro::model::NoProgress;
use rostro::model::store::InstallOptions;
use rostro::onnx::load_detector;
use rostro::pipeline::Pipeline;
use rostro::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The labelled boxes of a dlib image list: picture name and boxes.
fn labelled_boxes(xml: &Path) -> Vec<(String, Vec<BBox<ImagePx>>)> {
    let text = String::from_utf8_lossy(&std::fs::read(xml).unwrap()).into_owned();
    let attribute = |tag: &str, name: &str| {
        let value = tag.split(&format!("{name}='")).nth(1).unwrap();
        value.split('\'').next().unwrap().to_owned()
    };
    let mut pictures = Vec::new();
    for tag in text.split('<').filter(|tag| tag.starts_with("image ") || tag.starts_with("box ")) {
        if tag.starts_with("image ") {
            pictures.push((attribute(tag, "file"), Vec::new()));
        } else {
            let [x, y, w, h] =
                ["left", "top", "width", "height"].map(|name| attribute(tag, name).parse::<f32>().unwrap());
            pictures.last_mut().unwrap().1.push(BBox::new(x, y, x + w, y + h));
        }
    }
    pictures
}

/// Of all labelled boxes, how many a detection covers with IoU > 0.35; each detection serves once.
fn found_boxes(detector: &mut dyn FaceDetector, folder: &Path) -> (usize, usize) {
    let (mut found, mut total) = (0, 0);
    let mut decoder = Decoder::default();
    for list in ["testing.xml", "training.xml"] {
        for (picture, truth) in labelled_boxes(&folder.join(list)) {
            let bytes = std::fs::read(folder.join(&picture)).unwrap();
            let image = decoder.decode(&Pixels::Encoded(EncodedPixels { format: "jpeg", data: &bytes })).unwrap();
            let mut faces: Vec<Detection> = Vec::new();
            detector.detect(image, &mut faces).unwrap();
            total += truth.len();
            for wanted in &truth {
                let best =
                    faces.iter().enumerate().max_by(|a, b| a.1.bbox.iou(wanted).total_cmp(&b.1.bbox.iou(wanted)));
                if let Some((index, face)) = best.filter(|(_, face)| face.bbox.iou(wanted) > 0.35) {
                    assert!(face.score.is_finite() && (0.0..=1.0).contains(&face.score));
                    faces.remove(index);
                    found += 1;
                }
            }
        }
    }
    (found, total)
}

#[test]
fn mtcnn_finds_the_labelled_faces() {
    let name = "mtcnn_finds_the_labelled_faces";
    let (Some(folder), Some((store, runtime))) = (shared("data/boxes", name), runtime(name)) else { return };
    let model = store.ensure("mtcnn", &mut NoProgress).unwrap();
    let mut detector = load_detector(&runtime, &model, &DetectorConfig::default()).unwrap();
    let (found, total) = found_boxes(detector.as_mut(), &folder);
    assert_eq!(total, 43);
    assert!(found >= 42, "MTCNN found {found} of {total}");
}

#[test]
fn yunet_finds_the_labelled_faces() {
    let name = "yunet_finds_the_labelled_faces";
    let (Some(folder), Some(models), Some((store, runtime))) =
        (shared("data/boxes", name), shared("models", name), runtime(name))
    else {
        return;
    };
    for (model, file) in [
        ("yunet-n-640", "yunet_n_640_640.onnx"),
        ("yunet-2023mar", "yunet_s_640_640.onnx"),
        ("yunet-n-dynamic", "yunet_n_dynamic.onnx"),
    ] {
        let options = InstallOptions { from: vec![models.join(file)], ..InstallOptions::default() };
        let model = store.install(model, &options, &mut NoProgress).unwrap();
        let mut detector = load_detector(&runtime, &model, &DetectorConfig::default()).unwrap();
        let (found, total) = found_boxes(detector.as_mut(), &folder);
        assert_eq!((found, total), (43, 43), "{}", model.manifest.name);
    }
}

/// The embedding of the largest face in a picture.
fn look_at(pipeline: &mut Pipeline, picture: &Path) -> Embedding {
    let bytes = std::fs::read(picture).unwrap();
    let seen = pipeline.examine(&Pixels::Encoded(EncodedPixels { format: "jpeg", data: &bytes })).unwrap();
    let largest = seen.into_iter().max_by(|a, b| a.detection.bbox.area().total_cmp(&b.detection.bbox.area()));
    largest.and_then(|face| face.embedding).unwrap_or_else(|| panic!("no usable face in {}", picture.display()))
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Pairs of the same and of different people, and how many of each the threshold accepts.
#[derive(Debug, PartialEq, Eq)]
struct Pairs {
    same: usize,
    same_accepted: usize,
    different: usize,
    different_accepted: usize,
}

fn compare_all(looks: &[(usize, Embedding)], threshold: f32) -> Pairs {
    let mut pairs = Pairs { same: 0, same_accepted: 0, different: 0, different_accepted: 0 };
    for (index, (person, look)) in looks.iter().enumerate() {
        for (other, other_look) in &looks[..index] {
            let accepted = usize::from(look.cosine(other_look).unwrap() >= threshold);
            if person == other {
                (pairs.same, pairs.same_accepted) = (pairs.same + 1, pairs.same_accepted + accepted);
            } else {
                (pairs.different, pairs.different_accepted) =
                    (pairs.different + 1, pairs.different_accepted + accepted);
            }
        }
    }
    pairs
}

/// The open pack's line and its threshold.
fn open_line(test: &str, config: &Config) -> Option<(Pipeline, f32)> {
    let (store, _) = runtime(test)?;
    let embedder = store.ensure(&config.identity.model, &mut NoProgress).unwrap();
    let threshold = embedder.manifest.similarity.unwrap().threshold;
    Some((load_pipeline(config, &mut NoProgress).unwrap(), threshold))
}

#[test]
fn johns_are_told_apart() {
    let name = "johns_are_told_apart";
    let (Some(root), Some((mut pipeline, threshold))) =
        (shared("data/identity/johns", name), open_line(name, &Config::default()))
    else {
        return;
    };
    let mut looks = Vec::new();
    for (person, folder) in files_of(&root).iter().enumerate() {
        looks.extend(files_of(folder).iter().map(|picture| (person, look_at(&mut pipeline, picture))));
    }
    let pairs = compare_all(&looks, threshold);
    assert_eq!(pairs, Pairs { same: 275, same_accepted: 275, different: 1210, different_accepted: 0 });
}

#[test]
fn presidents_are_told_apart_also_half_hidden() {
    let name = "presidents_are_told_apart_also_half_hidden";
    let (Some(root), Some((mut pipeline, threshold))) =
        (shared("data/identity/presidents", name), open_line(name, &Config::default()))
    else {
        return;
    };
    let is_biden = |picture: &Path| picture.file_name().unwrap().to_string_lossy().starts_with("biden");
    let looks: Vec<_> = files_of(&root).iter().map(|p| (usize::from(is_biden(p)), look_at(&mut pipeline, p))).collect();
    let pairs = compare_all(&looks, threshold);
    assert_eq!(pairs, Pairs { same: 10, same_accepted: 10, different: 5, different_accepted: 0 });
}

/// What tracking made of a clip: how many face ids, and in how many frames how many faces were seen.
struct ClipResult {
    ids: usize,
    frames: usize,
    frames_with: BTreeMap<usize, usize>,
}

fn run_clip(config: &Config, clip: &Path) -> ClipResult {
    let mut pipeline = load_pipeline(config, &mut NoProgress).unwrap();
    let file = std::io::BufReader::new(std::fs::File::open(clip).unwrap());
    let frames = GifDecoder::new(file).unwrap().into_frames();
    let (mut ids, mut frames_with, mut nanos, mut count) = (BTreeSet::new(), BTreeMap::new(), 0, 0);
    for frame in frames {
        let frame = frame.unwrap();
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let image = image::DynamicImage::ImageRgba8(frame.into_buffer()).to_rgb8();
        let pixels = Pixels::Raw(RawPixels {
            width: image.width(),
            height: image.height(),
            encoding: "rgb8",
            is_bigendian: false,
            step: image.width() * 3,
            data: image.as_raw(),
        });
        let camera = CameraId::new("camera").unwrap();
        let people = pipeline
            .process(&Frame { camera, stamp: Stamp::from_nanos(nanos), frame_id: "", pixels, lens: None })
            .unwrap();
        let observed = people.people.iter().filter(|person| person.observed).count();
        *frames_with.entry(observed).or_insert(0) += 1;
        ids.extend(people.people.iter().map(|person| person.face_id));
        nanos += i64::from(numerator) * 1_000_000 / i64::from(denominator.max(1));
        count += 1;
    }
    ClipResult { ids: ids.len(), frames: count, frames_with }
}

#[test]
fn clips_have_at_most_two_face_ids_more_than_people() {
    let name = "clips_have_at_most_two_face_ids_more_than_people";
    let (Some(folder), Some(_)) = (shared("data/video", name), runtime(name)) else { return };
    for (clip, people) in [
        ("classroom.gif", 4),
        ("face-demographics-walking.gif", 2),
        ("head-pose-face-detection-female.gif", 1),
        ("head-pose-face-detection-male.gif", 1),
    ] {
        let result = run_clip(&Config::default(), &folder.join(clip));
        println!("{clip}: {} ids for {people} people, frames with n faces: {:?}", result.ids, result.frames_with);
        assert!(result.ids <= people + 2, "{clip}: {} face ids for {people} people", result.ids);
    }
}

#[test]
fn a_smaller_smallest_face_shows_the_whole_classroom() {
    let name = "a_smaller_smallest_face_shows_the_whole_classroom";
    let (Some(folder), Some(_)) = (shared("data/video", name), runtime(name)) else { return };
    let mut config = Config::default();
    config.detector.min_face_px = 10;
    let result = run_clip(&config, &folder.join("classroom.gif"));
    let with_four = result.frames_with.get(&4).copied().unwrap_or(0);
    println!("classroom at 10 px: {with_four} of {} frames show four faces: {:?}", result.frames, result.frames_with);
    assert!(with_four * 2 > result.frames, "{with_four} of {} frames show four faces", result.frames);
}
