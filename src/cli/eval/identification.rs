//! `rostro eval identification`.

use crate::assembly;
use crate::cli::bar::FrameBar;
use crate::cli::progress::StderrProgress;
use crate::cli::{Outcome, Output, params, say};
use crate::config::Config;
use crate::eval::identification::{Identification, Look, measure};
use crate::frame::{EncodedPixels, Pixels};
use crate::model::store::ModelStore;
use crate::pipeline::Pipeline;
use crate::replay::picture_files;
use anyhow::Context;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Tell people apart in pictures: pairs, rank one, and strangers among the known.
///
/// DIR holds a folder per person, with JPEG or PNG pictures inside; the largest face of each counts.
/// Every picture is compared with every other, and people are divided ten times at random into 70 %
/// who are enrolled and 30 % who are strangers.
#[derive(Debug, clap::Args)]
pub(super) struct IdentificationArgs {
    /// Folder with a folder per person.
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Parameters, as a robot's node gets them.
    #[arg(long, value_name = "YAML")]
    params_file: Option<PathBuf>,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    /// Pictures in the folder.
    pictures: u64,
    /// Those without a face that can be measured.
    failed_to_acquire: u64,
    /// Their names.
    without_a_face: Vec<PathBuf>,
    /// The network.
    model: String,
    #[serde(flatten)]
    measured: Identification,
}

pub(super) fn run(args: &IdentificationArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = params::read_config(args.params_file.as_deref())?;
    let people = people_in(&args.folder)?;
    let pictures: u64 = people.iter().map(|(_, pictures)| pictures.len() as u64).sum();
    let numbers = number_pictures(&people)?;
    let (threshold, model) = deployed(&config)?;
    let mut line = assembly::load_pipeline(&config, &mut StderrProgress::default())?;
    let (mut looks, mut without_a_face) = (Vec::new(), Vec::new());
    let bar = FrameBar::show(Some(pictures));
    let mut seen = 0;
    for (person, (_, pictures)) in people.iter().enumerate() {
        for picture in pictures {
            match look_at(&mut line, picture)? {
                Some(embedding) => looks.push(Look { person, picture: numbers[picture], embedding }),
                None => without_a_face.push(picture.clone()),
            }
            seen += 1;
            bar.set(seen);
        }
    }
    drop(bar);
    let failed_to_acquire = without_a_face.len() as u64;
    let measured = measure(&looks, people.len(), threshold)?;
    let report = Report { pictures, failed_to_acquire, without_a_face, model, measured };
    output.result(&report, &as_text(&report))?;
    Ok(Outcome::Done)
}

/// Everybody in the folder with their pictures, by name.
fn people_in(folder: &Path) -> anyhow::Result<Vec<(String, Vec<PathBuf>)>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let mut people = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.is_dir() {
            let pictures = picture_files(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if pictures.is_empty() {
                say(&format!("no JPEG or PNG picture in {}", path.display()));
            } else {
                people.insert(name, pictures);
            }
        }
    }
    anyhow::ensure!(
        !people.is_empty(),
        "{} holds no folder with pictures: expected a folder per person, pictures inside",
        folder.display()
    );
    Ok(people.into_iter().collect())
}

/// A number for every picture; copies of one get the same, so that none is recognised by itself.
fn number_pictures(people: &[(String, Vec<PathBuf>)]) -> anyhow::Result<BTreeMap<PathBuf, usize>> {
    let mut seen: BTreeMap<[u8; 32], (usize, &Path)> = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for picture in people.iter().flat_map(|(_, pictures)| pictures) {
        let bytes = std::fs::read(picture).with_context(|| format!("cannot read {}", picture.display()))?;
        let next = numbers.len();
        let (number, first) = *seen.entry(Sha256::digest(&bytes).into()).or_insert((next, picture));
        if number != next {
            let (first, picture) = (first.display(), picture.display());
            say(&format!("{picture} is a copy of {first}: they are not compared to tell who it is"));
        }
        numbers.insert(picture.clone(), number);
    }
    Ok(numbers)
}

/// The threshold in use, and the network it belongs to.
fn deployed(config: &Config) -> anyhow::Result<(f32, String)> {
    anyhow::ensure!(!config.identity.model.is_empty(), "identity.model is empty: no network to measure");
    let store = ModelStore::open(&config.inference.cache_dir)?;
    let model = store.ensure(&config.identity.model, &mut StderrProgress::default())?;
    let similarity = model.manifest.similarity.as_ref();
    let similarity = similarity.with_context(|| format!("{} makes no embeddings", model.manifest.name))?;
    Ok((similarity.threshold, model.tag().to_string()))
}

/// The largest face of a picture.
fn look_at(line: &mut Pipeline, picture: &Path) -> anyhow::Result<Option<crate::embed::Embedding>> {
    let data = std::fs::read(picture).with_context(|| format!("cannot read {}", picture.display()))?;
    match line.examine(&Pixels::Encoded(EncodedPixels { format: "", data: &data })) {
        Ok(faces) => {
            let largest = faces.into_iter().max_by(|a, b| a.detection.bbox.area().total_cmp(&b.detection.bbox.area()));
            Ok(largest.and_then(|face| face.embedding))
        }
        Err(error) => {
            say(&format!("{}: {error}", picture.display()));
            Ok(None)
        }
    }
}

fn as_text(report: &Report) -> String {
    let Report { measured, .. } = report;
    let mut text = String::new();
    let mut row = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<34}{value}");
    };
    row("people, pictures", format!("{}, {}", measured.people, report.pictures));
    row("without a usable face", report.failed_to_acquire.to_string());
    row("network, threshold", format!("{}, {:.3}", report.model, measured.threshold));
    row("same person accepted", measured.same.rate.to_string());
    if measured.same.copies > 0 {
        row("", format!("{} of these pairs are copies of one picture", measured.same.copies));
    }
    row("different people accepted", measured.different.rate.to_string());
    let rank1 = measured.rank1_interval;
    if measured.rank1.is_some() {
        let percent = |share: f64| share * 100.0;
        row(
            "nearest picture right (rank 1)",
            format!("{:.2} % (95 %: {:.2} to {:.2})", percent(rank1.value), percent(rank1.low), percent(rank1.high)),
        );
    }
    let open = &measured.open_set;
    row("open set", format!("{} of {} people enrolled, {} divisions", open.enrolled, measured.people, open.splits));
    row("  enrolled, named right", open.tpir.to_string());
    row("  enrolled, named wrong", open.misidentified.to_string());
    row("  strangers, given a name", open.fpir.to_string());
    if let Some(below) = open.fpir_below {
        row("", format!("none seen proves no more than a rate below {:.2} % (rule of three)", below * 100.0));
    }
    for point in &open.operating_points {
        let label = format!("  named right at {} % false names", point.fpir * 100.0);
        row(
            &label,
            match (point.threshold, point.tpir) {
                (Some(threshold), Some(tpir)) => format!("{:.2} % (threshold {threshold:.3})", tpir * 100.0),
                _ => "too few strangers to tell".to_owned(),
            },
        );
    }
    text
}
