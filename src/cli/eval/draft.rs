//! `rostro eval draft`.

use crate::cli::{Outcome, Output};
use crate::eval::found::FoundFrames;
use anyhow::Context;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Write a draft of the truth from a replay, for a person to correct.
///
/// Every face that was found gets a row, called by its name, else by its face id: replace the ids by who it
/// is, mend what is wrong, and add who was missed.
#[derive(Debug, clap::Args)]
pub(super) struct DraftArgs {
    /// people.jsonl of a replay.
    #[arg(value_name = "people.jsonl")]
    found: PathBuf,

    /// File to write; it must not be there yet.
    #[arg(long, value_name = "FILE", default_value = "tracks.csv")]
    out: PathBuf,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Written {
    rows: u64,
    people: BTreeSet<String>,
}

/// A row of tracks.csv.
#[derive(Serialize)]
struct Row<'a> {
    stamp: i64,
    camera: &'a str,
    person: &'a str,
    x: f32,
    y: f32,
    w: f32,
    h: f32,
}

pub(super) fn run(args: &DraftArgs, output: Output) -> anyhow::Result<Outcome> {
    let frames = FoundFrames::open(&args.found)?;
    let cannot_write = || format!("cannot write {}", args.out.display());
    // Somebody's corrections must not be overwritten.
    let file = std::fs::File::create_new(&args.out).with_context(cannot_write)?;
    let mut table = csv::Writer::from_writer(file);
    let mut written = Written { rows: 0, people: BTreeSet::new() };
    for frame in frames {
        let frame = frame?;
        for person in frame.people.iter().filter(|person| person.observed) {
            let who = if person.name.is_empty() { &person.face_id } else { &person.name };
            let [x1, y1, x2, y2] = person.r#box;
            let row =
                Row { stamp: frame.stamp, camera: &frame.camera, person: who, x: x1, y: y1, w: x2 - x1, h: y2 - y1 };
            table.serialize(row).with_context(cannot_write)?;
            written.rows += 1;
            written.people.insert(who.clone());
        }
    }
    table.flush().with_context(cannot_write)?;
    let text = format!("{} rows of {} people in {}", written.rows, written.people.len(), args.out.display());
    output.result(&written, &text)?;
    Ok(Outcome::Done)
}
