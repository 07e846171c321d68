//! What the importers make of packaged models, against the originals: dlib and facenet-pytorch.
//! The reference values and the script that wrote them are in `tests/reference`. Whole pictures
//! through MTCNN are in `mtcnn_parity`, its three nets one by one in `src/onnx/parity.rs`.

use crate::support::{runtime, skip};
use rostro::align::{AlignedCrop, PointScheme};
use rostro::embed::FaceEmbedder as _;
use rostro::frame::{ChannelOrder, ImageView};
use rostro::geometry::BBox;
use rostro::landmarks::ShapePredictor;
use rostro::model::NoProgress;
use rostro::model::manifest::Manifest;
use rostro::model::store::{Bundle, InstallOptions, ModelStore};
use rostro::onnx::OnnxEmbedder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// A file of `tests/reference`.
fn reference<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The store, when everything in `wanted` is installed or can be fetched.
fn store(test: &str, wanted: &[&str]) -> Option<ModelStore> {
    let store = ModelStore::open("").unwrap();
    let bundles: Vec<Bundle> = wanted.iter().map(|name| Bundle::load(name).unwrap()).collect();
    match store.install_bundles(&bundles, &InstallOptions::default(), &mut NoProgress) {
        Ok(()) => Some(store),
        Err(error) => {
            skip(test, &error.to_string());
            None
        }
    }
}

fn picture(store: &ModelStore, name: &str) -> image::RgbImage {
    let pictures = Bundle::load("demo-pictures").unwrap();
    let pictures = store.install_bundle(&pictures, &InstallOptions::default(), &mut NoProgress).unwrap();
    image::open(pictures.path(name).unwrap()).unwrap().to_rgb8()
}

fn view(image: &image::RgbImage) -> ImageView<'_> {
    let (width, height) = image.dimensions();
    ImageView::new(width, height, width as usize * 3, ChannelOrder::Rgb, image).unwrap()
}

#[derive(Deserialize)]
struct Landmarks {
    template: Template,
    rounded: Vec<Face>,
    fine: Vec<Face>,
    fine_step: f32,
}

#[derive(Deserialize)]
struct Template {
    size: u32,
    dlib_five: [[f32; 2]; 5],
    largest_centre_error: f32,
    largest_scale_error: f32,
}

#[derive(Deserialize)]
struct Face {
    #[serde(rename = "box")]
    corners: [f32; 4],
    points: [f32; 10],
}

#[test]
fn landmarks_are_those_of_dlib() {
    let Some(store) = store("landmarks_are_those_of_dlib", &["dlib-five-point", "demo-pictures"]) else { return };
    let model = store.ensure("dlib-five-point", &mut NoProgress).unwrap();
    let predictor = ShapePredictor::parse(&std::fs::read(model.path("model").unwrap()).unwrap()).unwrap();
    let picture = picture(&store, "astronaut");
    let predict = |corners: [f32; 4]| {
        let [x1, y1, x2, y2] = corners;
        let found = predictor.predict(view(&picture), &BBox::new(x1, y1, x2, y2));
        assert_eq!(found.scheme, PointScheme::DlibFive);
        found.points.map(|point| [point.x, point.y]).concat()
    };
    let reference: Landmarks = reference("dlib_landmarks.json");

    // dlib answers whole pixels: ours round to the same ones, all of them.
    assert!(reference.rounded.len() >= 100);
    for face in &reference.rounded {
        let rounded: Vec<f32> = predict(face.corners).iter().map(|v| (v + 0.5).floor()).collect();
        assert_eq!(rounded, face.points, "box {:?}", face.corners);
    }
    // The finer reference is itself rounded, to `fine_step`.
    let mut largest = 0.0_f32;
    for face in &reference.fine {
        for (found, expected) in predict(face.corners).iter().zip(face.points) {
            largest = largest.max((found - expected).abs());
        }
    }
    println!("landmarks: largest difference {largest} px of {} faces", reference.fine.len());
    assert!(reference.fine.len() >= 20 && reference.fine_step < 0.01);
    assert!(largest < 0.01, "{largest} px");
}

#[test]
fn crops_for_dlibs_network_are_framed_as_dlib_frames_them() {
    let Template { size, dlib_five, largest_centre_error, largest_scale_error } =
        reference::<Landmarks>("dlib_landmarks.json").template;
    assert!(largest_centre_error < 0.01 && largest_scale_error < 0.01, "the template is dlib's own frame");
    let alignment = Manifest::load("dlib-resnet-v1").unwrap().alignment.unwrap();
    assert_eq!(alignment.size, size);
    for (ours, theirs) in alignment.templates[&PointScheme::DlibFive].iter().zip(dlib_five) {
        assert!((ours[0] - theirs[0]).hypot(ours[1] - theirs[1]) < 1e-3, "{ours:?} {theirs:?}");
    }
}

#[derive(Deserialize)]
struct Descriptors {
    chips: Vec<Chip>,
}

#[derive(Deserialize)]
struct Chip {
    sample: Sample,
    descriptor: Vec<f64>,
}

/// Pixels that anyone can make again; see `about` in the file.
#[derive(Deserialize)]
struct Sample {
    x: Option<u32>,
    #[serde(default)]
    y: u32,
    #[serde(default)]
    step: u32,
    width: u32,
    height: u32,
}

impl Sample {
    fn rgb(&self, picture: &image::RgbImage) -> Vec<u8> {
        let pixel = |i: u32, j: u32| match self.x {
            Some(x) => picture.get_pixel(x + self.step * i, self.y + self.step * j).0,
            None => [0, 1, 2].map(|c| ((7 * i + 13 * j + 29 * c + i * j / 8) % 256) as u8),
        };
        (0..self.height).flat_map(|j| (0..self.width).flat_map(move |i| pixel(i, j))).collect()
    }
}

#[test]
fn embeddings_are_dlibs_centred_and_normalised() {
    const TEST: &str = "embeddings_are_dlibs_centred_and_normalised";
    let Some(store) = store(TEST, &["dlib-resnet-v1", "demo-pictures"]) else { return };
    let Some((_, runtime)) = runtime(TEST) else { return };
    let model = store.ensure("dlib-resnet-v1", &mut NoProgress).unwrap();
    let mut embedder = OnnxEmbedder::load(&runtime, &model).unwrap();
    let astronaut = picture(&store, "astronaut");
    let mean = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/dlib_resnet_v1_mean.txt");
    let mean = std::fs::read_to_string(mean).unwrap();
    let mean: Vec<f64> = mean.lines().filter(|line| !line.starts_with('#')).map(|v| v.parse().unwrap()).collect();

    let reference: Descriptors = reference("dlib_descriptors.json");
    assert!(reference.chips.len() >= 4);
    let mut largest = 0.0_f64;
    for chip in &reference.chips {
        let crop = AlignedCrop { size: chip.sample.width, rgb: chip.sample.rgb(&astronaut) };
        let mut found = Vec::new();
        embedder.embed(&[crop], &mut found).unwrap();
        let centred: Vec<f64> = chip.descriptor.iter().zip(&mean).map(|(v, mean)| v - mean).collect();
        let length = centred.iter().map(|v| v * v).sum::<f64>().sqrt();
        assert_eq!(found[0].unit().len(), centred.len());
        for (found, expected) in found[0].unit().iter().zip(&centred) {
            largest = largest.max((f64::from(*found) - expected / length).abs());
        }
    }
    println!("embeddings: largest difference {largest:.1e}");
    assert!(largest < 1e-5, "{largest}");
}
