//! `rostro gallery check`.

use super::super::bar::FrameBar;
use super::super::{Outcome, Output};
use super::{find_all, scale_of};
use crate::config::Config;
use crate::gallery::health::{self, Health};
use crate::gallery::{Kind, StoredGallery};
use anyhow::ensure;
use serde::Serialize;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Report on the file and on how well each person is stored, with advice.
///
/// Exit code 1 when the file is damaged or others may read it.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Whom; everyone when not given.
    who: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    gallery: &'a Path,
    /// `name@hash8` of the network whose looks are stored; empty while nobody is.
    model: String,
    bytes: u64,
    people: usize,
    strangers: usize,
    not_people: usize,
    references: u32,
    /// What is wrong with the file; empty when nothing is.
    damage: Vec<String>,
    health: Vec<Health>,
}

pub(super) fn run(args: &CheckArgs, config: &Config, path: &Path, output: Output) -> anyhow::Result<Outcome> {
    let mut damage = StoredGallery::damage(path)?;
    damage.extend(exposure(path));
    let gallery = StoredGallery::read_existing(path)?;
    let memory = gallery.memory();
    let scale = scale_of(memory.model(), config);
    let chosen = find_all(memory, &args.who)?;
    let bar = FrameBar::counting("people", Some(chosen.len() as u64));
    let mut health = Vec::with_capacity(chosen.len());
    for person in chosen {
        health.push(health::examine(memory, person, scale.as_ref())?);
        bar.set(health.len() as u64);
    }
    drop(bar);
    let count = |kind: Kind| memory.people().filter(|record| record.kind == kind).count();
    let report = Report {
        gallery: path,
        model: StoredGallery::model_in(path)?.map(|model| model.to_string()).unwrap_or_default(),
        bytes: std::fs::metadata(path).map(|file| file.len()).unwrap_or_default(),
        people: count(Kind::Person),
        strangers: count(Kind::Stranger),
        not_people: count(Kind::Negative),
        references: memory.people().map(|record| record.references).sum(),
        damage,
        health,
    };
    output.result(&report, &as_text(&report))?;
    ensure!(report.damage.is_empty(), "{}", report.damage.join("; "));
    Ok(Outcome::Done)
}

/// Who else may read the file.
fn exposure(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| format!("others may read the file (mode {mode:o}); run `chmod 600 {}`", path.display()))
}

fn as_text(report: &Report<'_>) -> String {
    let mut lines = vec![format!(
        "{}: {} people, {} strangers, {} not people, {} looks by {}, {:.1} MB",
        report.gallery.display(),
        report.people,
        report.strangers,
        report.not_people,
        report.references,
        if report.model.is_empty() { "nobody yet" } else { &report.model },
        report.bytes as f64 * 1e-6
    )];
    for one in &report.health {
        lines.push(person_as_text(one));
        lines.extend(one.advice.iter().map(|advice| format!("    {advice}")));
    }
    lines.join("\n")
}

fn person_as_text(one: &Health) -> String {
    let name = if one.name.is_empty() { "-" } else { &one.name };
    let own = one.own_mean.map(|mean| format!(", alike {mean:.2}")).unwrap_or_default();
    let nearest = one.nearest.as_ref().map(|other| {
        let who = if other.name.is_empty() { &other.person_id } else { &other.name };
        format!(", nearest other {who} {:.2}", other.similarity)
    });
    let looks = if one.references == 1 { "look" } else { "looks" };
    format!(
        "{}  {name:20} {:3} {looks}, quality {:.2}{own}{}{}",
        one.person_id,
        one.references,
        one.quality,
        nearest.unwrap_or_default(),
        if one.advice.is_empty() { "  good" } else { "" }
    )
}
