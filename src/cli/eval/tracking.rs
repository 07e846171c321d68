//! `rostro eval tracking`.

use crate::cli::{Outcome, Output};
use crate::eval::found::FoundFrames;
use crate::eval::recording::{Enrolled, Evaluator};
use crate::eval::tracking::{FoundFace, TrackingEval, TrackingScore, TrueFace};
use crate::eval::truth::Truth;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Measure how well faces were followed, from results that are there already.
///
/// FOUND is the people.jsonl of a replay, or a CSV file of tracks in the form of the truth (MOTChallenge's
/// too). Overlaps from 0.3 count for IDF1 and MOTA; HOTA is the mean over 0.05 to 0.95.
#[derive(Debug, clap::Args)]
pub(super) struct TrackingArgs {
    /// people.jsonl, or a CSV file of tracks.
    #[arg(value_name = "FOUND")]
    found: PathBuf,

    /// Folder with the truth, or a file of tracks.
    #[arg(long, value_name = "DIR")]
    truth: PathBuf,

    /// Judge only frames with a row in the truth; without this, nobody is there in the others.
    #[arg(long)]
    only_told_frames: bool,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    tracking: TrackingScore,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_of_people: Option<TrackingScore>,
}

pub(super) fn run(args: &TrackingArgs, output: Output) -> anyhow::Result<Outcome> {
    let truth = Truth::read(&args.truth)?;
    anyhow::ensure!(truth.has_boxes(), "{} holds no boxes: tracks.csv is needed", args.truth.display());
    let is_table = args.found.extension().is_some_and(|extension| extension == "csv" || extension == "txt");
    let report = if is_table {
        compare_tables(&truth, &args.found, args.only_told_frames)?
    } else {
        let mut evaluator = Evaluator::new(&truth, Enrolled::new(), args.only_told_frames);
        for frame in FoundFrames::open(&args.found)? {
            evaluator.add(&frame?);
        }
        let score = evaluator.finish()?;
        Report { tracking: score.tracking.unwrap_or_default(), tracking_of_people: score.tracking_of_people }
    };
    output.result(&report, &as_text(&report.tracking))?;
    Ok(Outcome::Done)
}

/// Both sides as tables: frames are those that either has.
fn compare_tables(truth: &Truth, found: &Path, only_told_frames: bool) -> anyhow::Result<Report> {
    let found = Truth::read(found)?;
    let mut tracking = TrackingEval::default();
    for (truth, found) in truth.beside(&found) {
        if only_told_frames && truth.is_empty() {
            continue;
        }
        let truth: Vec<TrueFace<'_>> =
            truth.iter().map(|row| TrueFace { id: &row.person, bbox: row.bbox, counts: row.counts }).collect();
        let found: Vec<FoundFace<'_>> = found.iter().map(|row| FoundFace { id: &row.person, bbox: row.bbox }).collect();
        tracking.add("", &truth, &found);
    }
    Ok(Report { tracking: tracking.finish(), tracking_of_people: None })
}

fn as_text(score: &TrackingScore) -> String {
    format!(
        "IDF1      {:.4}\nHOTA      {:.4}  (DetA {:.4}, AssA {:.4})\nMOTA      {:.4}\nswitches  {}\nfragments \
         {}\nfaces     {} true, {} found, {} missed, {} false",
        score.idf1,
        score.hota,
        score.det_a,
        score.ass_a,
        score.mota,
        score.id_switches,
        score.fragments,
        score.true_faces,
        score.found_faces,
        score.missed,
        score.false_faces
    )
}
