//! `rostro eval emotion`.

use crate::align::{self, AlignedCrop};
use crate::assembly;
use crate::cli::bar::FrameBar;
use crate::cli::progress::StderrProgress;
use crate::cli::{Outcome, Output, params, say};
use crate::config::Config;
use crate::emotion::{Emotion, EmotionClassifier, EmotionScores};
use crate::eval::emotion::{
    Baseline, EmotionEval, LabelSet, Reading, VOTE_COLUMNS, confusion_svg, confusion_text, measure,
};
use crate::eval::npz;
use crate::eval::statistics::Estimate;
use crate::frame::{ChannelOrder, Decoder, EncodedPixels, ImageView, Pixels};
use crate::geometry::Affine;
use crate::pipeline::Pipeline;
use crate::replay::picture_files;
use anyhow::{Context, ensure};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Read expressions in labelled pictures and compare.
///
/// INPUT is an .npz with framed grey faces (`images` [n,48,48], `votes` [n,10] in FER+ order, `fer2013`
/// [n] in FER2013 order, all unsigned bytes), or a folder with a folder of JPEG or PNG pictures per class.
/// In pictures the largest face is found and framed as on a robot, unless they are framed already.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rostro eval emotion ferplus_valid.npz --labels ferplus --svg confusion.svg
  rostro eval emotion pictures --json             pictures/happiness/1.jpg, pictures/sad/2.png")]
pub(super) struct EmotionArgs {
    /// An .npz, or a folder with a folder per class.
    input: PathBuf,

    /// Which pictures count, and what is true of them.
    #[arg(long, value_enum, default_value = "ferplus")]
    labels: LabelSet,

    /// Classifier, by manifest name or path; emotion.model when not given.
    #[arg(long)]
    model: Option<String>,

    /// The pictures of the folder are faces framed as FER2013's are: look at all of each.
    #[arg(long)]
    framed: bool,

    /// File for the confusion matrix as a picture.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Parameters, as a robot's node gets them.
    #[arg(long, value_name = "YAML")]
    params_file: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    /// Pictures in the input.
    pictures: u64,
    /// Those without a label of the set.
    left_out: u64,
    /// Those without a face that can be read.
    failed_to_acquire: u64,
    #[serde(flatten)]
    measured: EmotionEval,
}

/// What was read in the input.
#[derive(Default)]
struct Readings {
    all: Vec<Reading>,
    pictures: u64,
    left_out: u64,
    failed: u64,
}

pub(super) fn run(args: &EmotionArgs, output: Output) -> anyhow::Result<Outcome> {
    let mut config = params::read_config(args.params_file.as_deref())?;
    if let Some(model) = &args.model {
        config.emotion.model.clone_from(model);
    }
    ensure!(!config.emotion.model.is_empty(), "emotion.model is empty: name a classifier with --model");
    let found = if args.input.is_dir() { of_folder(args, &config)? } else { of_archive(args, &config)? };
    let measured = measure(args.labels, &found.all)
        .with_context(|| format!("no picture of {} counts under these labels", args.input.display()))?;
    if let Some(path) = &args.svg {
        std::fs::write(path, confusion_svg(&measured)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let Readings { pictures, left_out, failed, .. } = found;
    let report = Report {
        model: assembly::emotion_model(&config).to_owned(),
        pictures,
        left_out,
        failed_to_acquire: failed,
        measured,
    };
    output.result(&report, &as_text(&report))?;
    Ok(Outcome::Done)
}

/// The framed faces of an `.npz`.
fn of_archive(args: &EmotionArgs, config: &Config) -> anyhow::Result<Readings> {
    let path = args.input.display();
    let archive = std::fs::read(&args.input).with_context(|| format!("cannot read {path}"))?;
    let array = |name| npz::bytes(&archive, name).with_context(|| path.to_string());
    let (images, votes, fer2013) = (array("images")?, array("votes")?, array("fer2013")?);
    let &[pictures, height, width] = images.shape.as_slice() else {
        anyhow::bail!("{path}: images are {:?}, [n, height, width] was expected", images.shape);
    };
    let fits = votes.shape == [pictures, VOTE_COLUMNS] && fer2013.shape == [pictures] && width > 0 && height > 0;
    ensure!(fits, "{path}: votes are {:?} and fer2013 {:?} for {pictures} images", votes.shape, fer2013.shape);
    let mut reader = FramedReader::load(args.labels, config)?;
    let (mut found, bar) = (Readings::default(), FrameBar::show(Some(pictures as u64)));
    let rows = votes.data.as_chunks::<VOTE_COLUMNS>().0.iter().zip(&fer2013.data);
    for (grey, (votes, code)) in images.data.chunks_exact(width * height).zip(rows) {
        found.pictures += 1;
        bar.set(found.pictures);
        let Some(truth) = args.labels.truth(votes, *code) else {
            found.left_out += 1;
            continue;
        };
        let rgb: Vec<u8> = grey.iter().flat_map(|value| [*value; 3]).collect();
        let view = ImageView::new(width as u32, height as u32, width * 3, ChannelOrder::Rgb, &rgb)?;
        found.all.push(Reading { truth, scores: reader.read(view)? });
    }
    Ok(found)
}

/// Reads one picture; `None` without a face.
type Look = dyn FnMut(&Pixels<'_>) -> anyhow::Result<Option<EmotionScores>>;

/// The pictures of a folder per class.
fn of_folder(args: &EmotionArgs, config: &Config) -> anyhow::Result<Readings> {
    let classes = classes_in(&args.input)?;
    let mut look: Box<Look> = if args.framed {
        let (mut reader, mut decoder) = (FramedReader::load(args.labels, config)?, Decoder::default());
        Box::new(move |pixels| Ok(Some(reader.read(decoder.decode(pixels)?)?)))
    } else {
        let mut config = config.clone();
        (config.identity.enabled, config.emotion.enabled) = (false, true);
        let mut line = assembly::load_pipeline(&config, &mut StderrProgress::default())?;
        Box::new(move |pixels| largest_face(&mut line, pixels))
    };
    let (mut found, bar) = (Readings::default(), FrameBar::show(None));
    for (truth, folder) in classes {
        for picture in picture_files(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            found.pictures += 1;
            bar.set(found.pictures);
            if !args.labels.classes().contains(&truth) {
                found.left_out += 1;
                continue;
            }
            let data = std::fs::read(&picture).with_context(|| format!("cannot read {}", picture.display()))?;
            match look(&Pixels::Encoded(EncodedPixels { format: "", data: &data })) {
                Ok(Some(scores)) => found.all.push(Reading { truth, scores }),
                Ok(None) => found.failed += 1,
                Err(error) => {
                    say(&format!("{}: {error:#}", picture.display()));
                    found.failed += 1;
                }
            }
        }
    }
    Ok(found)
}

fn largest_face(line: &mut Pipeline, pixels: &Pixels<'_>) -> anyhow::Result<Option<EmotionScores>> {
    let faces = line.examine(pixels)?;
    let largest = faces.into_iter().max_by(|a, b| a.detection.bbox.area().total_cmp(&b.detection.bbox.area()));
    Ok(largest.and_then(|face| face.emotion))
}

/// The folders that are named after an expression; in another's words also as the adjective.
fn classes_in(folder: &Path) -> anyhow::Result<Vec<(Emotion, PathBuf)>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let mut classes = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if !path.is_dir() {
            continue;
        }
        match emotion_called(&path.file_name().unwrap_or_default().to_string_lossy()) {
            Some(emotion) => classes.push((emotion, path)),
            None => say(&format!("{} is not named after an expression and is left out", path.display())),
        }
    }
    classes.sort();
    let known = Emotion::ALL.map(Emotion::name).join(", ");
    ensure!(!classes.is_empty(), "{} holds no folder named after an expression: {known}", folder.display());
    Ok(classes)
}

fn emotion_called(name: &str) -> Option<Emotion> {
    let adjectives = ["neutral", "happy", "surprised", "sad", "angry", "disgusted", "scared", "contemptuous"];
    let name = name.to_lowercase();
    let called = |(emotion, adjective): &(Emotion, &str)| {
        name == emotion.name() || name == *adjective || (*emotion == Emotion::Fear && name == "fearful")
    };
    Emotion::ALL.into_iter().zip(adjectives).find(called).map(|(emotion, _)| emotion)
}

/// Classifies pictures that are framed already.
struct FramedReader {
    classifier: Box<dyn EmotionClassifier>,
    side: u32,
    crop: [AlignedCrop; 1],
    scores: Vec<EmotionScores>,
}

impl FramedReader {
    fn load(labels: LabelSet, config: &Config) -> anyhow::Result<Self> {
        let (classifier, alignment) =
            assembly::load_classifier(config, labels.is_fer2013(), &mut StderrProgress::default())?;
        let classifier = Box::new(classifier);
        Ok(Self { classifier, side: alignment.size, crop: Default::default(), scores: Vec::new() })
    }

    /// The middle square of the picture, scaled to the size of a crop.
    fn read(&mut self, picture: ImageView<'_>) -> anyhow::Result<EmotionScores> {
        let (width, height) = (picture.width() as f32, picture.height() as f32);
        let scale = width.min(height) / self.side as f32;
        // Centre of the first crop pixel, pixels being counted by their centres.
        let first = |side: f32| 0.5 * (side - width.min(height) + scale - 1.0);
        let image_from_crop = Affine::scale_shift(scale, first(width), first(height));
        align::warp(picture, image_from_crop, self.side, &mut self.crop[0]);
        self.classifier.classify(&self.crop, &mut self.scores)?;
        self.scores.first().copied().context("the classifier gave no answer")
    }
}

fn as_text(report: &Report) -> String {
    let Report { measured, .. } = report;
    let mut text = String::new();
    let mut row = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<30}{value}");
    };
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let interval = |e: &Estimate| format!("{} (95 %: {:.2} to {:.2})", percent(e.value), e.low * 100.0, e.high * 100.0);
    row("classifier", report.model.clone());
    row("pictures", format!("{}, {} without such a label", report.pictures, report.left_out));
    if report.failed_to_acquire > 0 {
        row("without a readable face", report.failed_to_acquire.to_string());
    }
    row("accuracy", measured.intervals.accuracy.to_string());
    row("mean recall (UAR)", interval(&measured.intervals.uar));
    row("mean F1", interval(&measured.intervals.macro_f1));
    row("calibration error (ECE)", format!("{:.4}", measured.ece));
    row("NLL, Brier score", format!("{:.4}, {:.4}", measured.nll, measured.brier));
    for point in &measured.risk_coverage {
        let label = format!("accuracy at {:.0} % coverage", point.coverage * 100.0);
        row(&label, format!("{} (confidence {:.2} and above)", percent(point.accuracy), point.threshold));
    }
    let guess = |b: &Baseline| {
        let (accuracy, uar, f1) = (percent(b.accuracy), percent(b.uar), percent(b.macro_f1));
        format!("accuracy {accuracy}, UAR {uar}, mean F1 {f1}, NLL {:.4}", b.nll)
    };
    let baselines = &measured.baselines;
    row(&format!("always {}", baselines.majority.label), guess(&baselines.majority));
    if baselines.majority.label != baselines.always_neutral.label {
        row("always neutral", guess(&baselines.always_neutral));
    }
    format!("{text}\n{}", confusion_text(measured))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_after_expressions() {
        for emotion in Emotion::ALL {
            assert_eq!(emotion_called(emotion.name()), Some(emotion));
        }
        assert_eq!(emotion_called("Happy"), Some(Emotion::Happiness));
        assert_eq!(emotion_called("fearful"), Some(Emotion::Fear));
        assert_eq!(emotion_called("bored"), None);

        let folder = tempfile::tempdir().unwrap();
        assert!(classes_in(folder.path()).unwrap_err().to_string().contains("neutral, happiness"));
        for name in ["sad", "happiness", "other"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let found: Vec<_> = classes_in(folder.path()).unwrap().into_iter().map(|(emotion, _)| emotion).collect();
        assert_eq!(found, [Emotion::Happiness, Emotion::Sadness]);
    }
}
