//! What blur, size and light do to the embedding of a real face, and whether the measures of quality see
//! it; and how alike the same and different people are: the figures behind `src/quality.rs` and the
//! embedder's manifest.

use crate::support::{runtime, shared};
use image::RgbImage;
use rostro::align::AlignedCrop;
use rostro::assembly::load_pipeline;
use rostro::config::Config;
use rostro::embed::Embedding;
use rostro::frame::{ChannelOrder, ImageView, Pixels, RawPixels};
use rostro::model::NoProgress;
use rostro::pipeline::Pipeline;
use rostro::quality::Measures;
use rostro::track::Observation;
use std::path::{Path, PathBuf};

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn faces_in(pipeline: &mut Pipeline, picture: &RgbImage) -> Vec<Observation> {
    let (width, height) = picture.dimensions();
    let raw =
        RawPixels { width, height, encoding: "rgb8", is_bigendian: false, step: width * 3, data: picture.as_raw() };
    pipeline.examine(&Pixels::Raw(raw)).unwrap()
}

fn largest_in(pipeline: &mut Pipeline, picture: &RgbImage) -> Option<Observation> {
    let size = |face: &Observation| face.detection.bbox.area();
    faces_in(pipeline, picture).into_iter().max_by(|a, b| size(a).total_cmp(&size(b)))
}

fn measures(face: &Observation, picture: &RgbImage) -> Measures {
    let (width, height) = picture.dimensions();
    let view = ImageView::new(width, height, width as usize * 3, ChannelOrder::Rgb, picture.as_raw()).unwrap();
    Measures::of(&face.detection, view, &mut AlignedCrop::default())
}

fn mean_and_sd(values: &[f32]) -> (f32, f32) {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt())
}

/// The first pictures of each of the people in `johns`.
fn portraits(root: &Path, each: usize) -> Vec<RgbImage> {
    let pictures = files_of(root).into_iter().flat_map(|folder| files_of(&folder).into_iter().take(each));
    pictures.map(|file| image::open(file).unwrap().to_rgb8()).collect()
}

/// What faces blurred by this share of the distance between their eyes gave.
#[derive(Default)]
struct Blurred {
    blur: f32,
    /// To the sharp face.
    cosines: Vec<f32>,
    sharpness: Vec<f32>,
    quality: Vec<f32>,
}

#[test]
fn quality_falls_where_the_embedding_does() {
    let test = "quality_falls_where_the_embedding_does";
    let (Some(root), Some(_)) = (shared("data/identity/johns", test), runtime(test)) else { return };
    let mut pipeline = load_pipeline(&Config::default(), &mut NoProgress).unwrap();
    let (mut yaws, mut pitches, mut residuals) = (Vec::new(), Vec::new(), Vec::new());
    let mut by_blur = [0.0, 0.03, 0.06, 0.09, 0.12, 0.16, 0.2].map(|blur| Blurred { blur, ..Blurred::default() });
    for picture in portraits(&root, 3) {
        let Some(sharp) = largest_in(&mut pipeline, &picture) else { continue };
        let eyes = sharp.detection.landmarks.inter_ocular();
        for Blurred { blur, cosines, sharpness, quality } in &mut by_blur {
            let blurred = if *blur > 0.0 { image::imageops::blur(&picture, *blur * eyes) } else { picture.clone() };
            let Some(face) = largest_in(&mut pipeline, &blurred) else { continue };
            let measured = measures(&face, &blurred);
            cosines.push(face.embedding.as_ref().unwrap().cosine(sharp.embedding.as_ref().unwrap()).unwrap());
            sharpness.push(measured.sharpness);
            quality.push(face.quality);
            if *blur == 0.0 {
                yaws.push(measured.yaw_rad);
                pitches.push(measured.pitch_rad);
                residuals.push(measured.residual);
            }
        }
    }
    println!("yaw {:?}, pitch {:?}, residual {:?}", mean_and_sd(&yaws), mean_and_sd(&pitches), mean_and_sd(&residuals));
    for Blurred { blur, cosines, sharpness, quality } in &by_blur {
        let least = cosines.iter().copied().fold(1.0, f32::min);
        println!(
            "blur {blur} of the eyes' distance ({} faces): cosine {:?} least {least}, sharpness {:?}, quality {:?}",
            cosines.len(),
            mean_and_sd(cosines),
            mean_and_sd(sharpness),
            mean_and_sd(quality)
        );
    }
    let quality = |index: usize| mean_and_sd(&by_blur[index].quality).0;
    assert!(quality(0) > 0.6, "sharp portraits are fit: {}", quality(0));
    assert!(quality(5) < 0.3 * quality(0), "blurred ones are not: {}", quality(5));
    assert!(mean_and_sd(&pitches).0.abs() < 0.2, "a level head is no nod");
}

/// All pairs of looks of the same person, and of different people.
struct Pairs {
    same: Vec<f32>,
    different: Vec<f32>,
}

fn pairs(looks: &[(usize, Embedding)]) -> Pairs {
    let mut pairs = Pairs { same: Vec::new(), different: Vec::new() };
    for (index, (person, look)) in looks.iter().enumerate() {
        for (other, other_look) in &looks[..index] {
            let cosine = look.cosine(other_look).unwrap();
            if person == other { pairs.same.push(cosine) } else { pairs.different.push(cosine) }
        }
    }
    pairs
}

/// Slope and midpoint of the logistic that makes the pairs likeliest, same and different weighing alike
/// (Platt 1999), by gradient descent.
fn logistic(pairs: &Pairs) -> (f64, f64) {
    let (mut a, mut b) = (20.0_f64, -10.0_f64);
    for _ in 0..200_000 {
        let (mut da, mut db) = (0.0, 0.0);
        for (values, truth) in [(&pairs.same, 1.0), (&pairs.different, 0.0)] {
            for value in values.iter().map(|v| f64::from(*v)) {
                let error = (1.0 / (1.0 + (-(a * value + b)).exp()) - truth) / values.len() as f64;
                (da, db) = (da + error * value, db + error);
            }
        }
        (a, b) = (a - 20.0 * da, b - 20.0 * db);
    }
    (a, -b / a)
}

#[test]
#[ignore = "prints the figures of the embedder's manifest"]
fn calibration_of_the_embedder() {
    let test = "calibration_of_the_embedder";
    let (Some(root), Some(_)) = (shared("data", test), runtime(test)) else { return };
    let mut config = Config::default();
    config.detector.min_face_px = 20;
    let mut pipeline = load_pipeline(&config, &mut NoProgress).unwrap();
    let mut looks = Vec::new();
    let mut person = 0;
    for folder in files_of(&root.join("identity/johns")) {
        for file in files_of(&folder) {
            let face = largest_in(&mut pipeline, &image::open(file).unwrap().to_rgb8());
            looks.extend(face.and_then(|face| face.embedding).map(|look| (person, look)));
        }
        person += 1;
    }
    for file in files_of(&root.join("identity/presidents")) {
        let is_biden = file.file_name().unwrap().to_string_lossy().starts_with("biden");
        let face = largest_in(&mut pipeline, &image::open(&file).unwrap().to_rgb8());
        looks.extend(face.and_then(|face| face.embedding).map(|look| (person + usize::from(is_biden), look)));
    }
    person += 2;
    let portraits = pairs(&looks);
    // Everyone in a group picture is somebody else, but for the one that shows several men several times.
    let mut groups = Pairs { same: Vec::new(), different: Vec::new() };
    let mut strangers = Vec::new();
    for file in files_of(&root.join("boxes")).into_iter().filter(|file| file.extension().is_some_and(|e| e == "jpg")) {
        let faces = faces_in(&mut pipeline, &image::open(&file).unwrap().to_rgb8());
        let fit = faces.into_iter().filter(|face| face.quality >= 0.25);
        let these: Vec<_> = fit.filter_map(|face| face.embedding).enumerate().collect();
        if file.file_stem().is_some_and(|name| name != "bald_guys") {
            groups.different.extend(pairs(&these).different);
        }
        strangers.extend(these.into_iter().map(|(_, look)| look));
    }
    let mut across = Vec::new();
    for (_, look) in &looks {
        across.extend(strangers.iter().map(|stranger| look.cosine(stranger).unwrap()));
    }
    let report = |name: &str, values: &mut Vec<f32>| {
        values.sort_by(f32::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
        println!(
            "{name}: {} pairs, mean and sd {:?}, least {}, 1 % {}, 99 % {}, 99.9 % {}, most {}",
            values.len(),
            mean_and_sd(values),
            at(0.0),
            at(0.01),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    };
    let (slope, midpoint) = logistic(&portraits);
    report("same, portraits", &mut portraits.same.clone());
    report("different, portraits", &mut portraits.different.clone());
    report("different, within a group picture", &mut groups.different);
    report("different, portraits against people of group pictures", &mut across);
    println!("logistic: slope {slope}, midpoint {midpoint}; {person} people and {} strangers", strangers.len());
}
