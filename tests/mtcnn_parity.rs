//! MTCNN's boxes and points on whole pictures, against facenet-pytorch (`tests/reference`).

use crate::support::{runtime, skip};
use rostro::config::DetectorConfig;
use rostro::frame::{Decoder, EncodedPixels, Pixels};
use rostro::model::NoProgress;
use rostro::model::store::{Bundle, InstallOptions};
use rostro::onnx::load_detector;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Reference {
    pictures: BTreeMap<String, Picture>,
}

#[derive(Deserialize)]
struct Picture {
    faces: Vec<Face>,
}

#[derive(Deserialize)]
struct Face {
    #[serde(rename = "box")]
    corners: [f32; 4],
    score: f32,
    points: [[f32; 2]; 5],
}

/// Pixels that boxes and points of a clear face may differ, and of a doubtful one: two JPEG decoders
/// differ by a grey level here and there, which moves a face near the threshold more.
const CLEAR_PX: f32 = 0.5;
const DOUBTFUL_PX: f32 = 2.0;

#[test]
fn boxes_and_points_are_those_of_facenet_pytorch() {
    let name = "boxes_and_points_are_those_of_facenet_pytorch";
    let Some((store, runtime)) = runtime(name) else { return };
    let pictures = Bundle::load("demo-pictures").unwrap();
    let pictures = match store.install_bundle(&pictures, &InstallOptions::default(), &mut NoProgress) {
        Ok(pictures) => pictures,
        Err(error) => return skip(name, &format!("the pictures cannot be had: {error}")),
    };
    let model = store.ensure("mtcnn", &mut NoProgress).unwrap();
    let mut detector = load_detector(&runtime, &model, &DetectorConfig::default()).unwrap();
    let reference: Reference = serde_json::from_str(include_str!("reference/mtcnn_faces.json")).unwrap();
    let mut decoder = Decoder::default();
    for (picture, expected) in &reference.pictures {
        let bytes = std::fs::read(pictures.path(picture).unwrap()).unwrap();
        let image = decoder.decode(&Pixels::Encoded(EncodedPixels { format: "", data: &bytes })).unwrap();
        let mut found = Vec::new();
        detector.detect(image, &mut found).unwrap();
        assert_eq!(found.len(), expected.faces.len(), "{picture}");
        for (ours, theirs) in found.iter().zip(&expected.faces) {
            let points = ours.landmarks.points.iter().flat_map(|p| [p.x, p.y]);
            let pairs = ours.bbox.to_array().into_iter().chain(points);
            let expected = theirs.corners.into_iter().chain(theirs.points.into_iter().flatten());
            let worst = pairs.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let allowed = if theirs.score > 0.95 { CLEAR_PX } else { DOUBTFUL_PX };
            println!("{picture}: score {:.4} / {:.4}, worst difference {worst:.3} px", ours.score, theirs.score);
            assert!(worst < allowed, "{picture}: {worst} px");
            assert!(theirs.score < 0.95 || (ours.score - theirs.score).abs() < 1e-3, "{picture}: score {}", ours.score);
        }
    }
}
