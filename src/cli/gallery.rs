//! `rostro gallery`.

mod check;
mod enrol;
mod inputs;

pub(super) use inputs::{Friend, encoded, people_in, read_picture};

use super::{Outcome, Output, say};
use crate::assembly;
use crate::config::Config;
use crate::gallery::enrol::compare;
use crate::gallery::{Kind, MemoryGallery, PersonRecord, PortablePerson, Receipt, StoreError, StoredGallery};
use crate::ids::PersonId;
use crate::model::manifest::{Manifest, Similarity};
use crate::time::Stamp;
use anyhow::{Context, bail, ensure};
use serde::Serialize;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The people a robot knows: enrol, list, rename, merge, forget, export, import, check.
///
/// A running node sees every change at once; it need not be stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
WHO is a person id (eight letters), or a name that only one person has.

Examples:
  rostro gallery enrol --name Anna anna1.jpg anna2.jpg
  rostro gallery enrol friends           friends/Anna/1.jpg, friends/Anna/2.jpg, friends/Ben.jpg
  rostro gallery enrol --name Anna visit.mcap
  rostro gallery check                   what would make recognition better
  rostro gallery forget Anna")]
pub(super) struct GalleryArgs {
    #[command(subcommand)]
    command: GalleryCommand,

    /// File of the gallery; `gallery.path` of the parameters when not given, else
    /// `$XDG_STATE_HOME/rostro/gallery.db`.
    #[arg(long, global = true, value_name = "FILE")]
    gallery: Option<PathBuf>,

    /// Parameters, as a robot's node gets them.
    #[arg(long, global = true, value_name = "YAML")]
    params_file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum GalleryCommand {
    Enrol(enrol::EnrolArgs),
    /// Show everyone.
    List,
    /// Give a person another name; an empty one clears it.
    Rename {
        /// Whom.
        who: String,
        /// The new name.
        name: String,
    },
    /// Join two people who are one; the second id stays valid as an alias of the first.
    Merge {
        /// Whose id and name stay.
        keep: String,
        /// Who is absorbed.
        absorb: String,
    },
    /// Remove everything about a person, from the file's every byte, and print what that was.
    Forget(ForgetArgs),
    /// Print everything that is stored about people as JSON, for them to read or for `import`.
    Export(ExportArgs),
    /// Take exported people, with their ids.
    Import {
        /// Exports; `-` for standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Also who looks like somebody stored.
        #[arg(long)]
        force: bool,
    },
    Check(check::CheckArgs),
}

#[derive(Debug, clap::Args)]
struct ForgetArgs {
    /// Whom; several may be given.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    who: Vec<String>,
    /// Everyone.
    #[arg(long)]
    all: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// Whom; everyone when not given.
    who: Vec<String>,
    /// File to write, for the user's eyes only; standard output when not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &GalleryArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = super::params::read_config(args.params_file.as_deref())?;
    let path = match &args.gallery {
        Some(path) => path.clone(),
        None => assembly::gallery_path(&config)?,
    };
    match &args.command {
        GalleryCommand::Enrol(args) => enrol::run(args, &config, &path, output),
        GalleryCommand::List => list(&path, output),
        GalleryCommand::Rename { who, name } => rename(&path, who, name, output),
        GalleryCommand::Merge { keep, absorb } => merge(&path, keep, absorb, output),
        GalleryCommand::Forget(args) => forget(&path, args, output),
        GalleryCommand::Export(args) => export(&path, args),
        GalleryCommand::Import { files, force } => import(&config, &path, files, *force, output),
        GalleryCommand::Check(args) => check::run(args, &config, &path, output),
    }
}

/// One person in a list.
#[derive(Debug, Serialize)]
struct Row {
    person_id: String,
    name: String,
    kind: &'static str,
    references: u32,
    encounters: u32,
    consent: bool,
    /// Stamps: nanoseconds since 1970; 0: never.
    first_seen: Stamp,
    last_seen: Stamp,
    expires: Stamp,
    aliases: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Listing<'a> {
    gallery: &'a Path,
    people: Vec<Row>,
}

impl From<&PersonRecord> for Row {
    fn from(record: &PersonRecord) -> Self {
        Self {
            person_id: record.person_id.to_string(),
            name: record.name.clone().unwrap_or_default(),
            kind: kind_name(record.kind),
            references: record.references,
            encounters: record.encounters,
            consent: record.consent.is_some(),
            first_seen: record.first_seen,
            last_seen: record.last_seen,
            expires: record.expires.unwrap_or_default(),
            aliases: record.aliases.iter().map(ToString::to_string).collect(),
        }
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Person => "person",
        Kind::Stranger => "stranger",
        Kind::Negative => "not_a_person",
    }
}

fn list(path: &Path, output: Output) -> anyhow::Result<Outcome> {
    let people: Vec<Row> = match StoredGallery::read_existing(path) {
        Ok(gallery) => gallery.memory().people().map(Row::from).collect(),
        Err(StoreError::Missing { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut lines: Vec<String> = people.iter().map(row_as_text).collect();
    if lines.is_empty() {
        lines.push(format!("nobody in {}; `rostro gallery enrol` changes that", path.display()));
    }
    output.result(&Listing { gallery: path, people }, &lines.join("\n"))?;
    Ok(Outcome::Done)
}

fn row_as_text(row: &Row) -> String {
    let name = if row.name.is_empty() { "-" } else { &row.name };
    let kind = if row.kind == "person" { String::new() } else { format!("  {}", row.kind.replace('_', " ")) };
    let consent = if row.consent || row.kind != "person" { "" } else { "  no consent" };
    let aliases = if row.aliases.is_empty() { String::new() } else { format!("  also {}", row.aliases.join(" ")) };
    format!(
        "{}  {name:20} {:3} looks {:4} visits{kind}{consent}{aliases}",
        row.person_id, row.references, row.encounters
    )
}

/// What one command did.
#[derive(Debug, Serialize)]
struct Done {
    person_id: String,
    name: String,
}

fn rename(path: &Path, who: &str, name: &str, output: Output) -> anyhow::Result<Outcome> {
    let mut gallery = StoredGallery::open_existing(path)?;
    let person = find(gallery.memory(), who)?;
    gallery.set_name(person, name)?;
    let name = gallery.memory().record(person)?.name.clone().unwrap_or_default();
    let others = gallery.memory().namesakes(person);
    let text = match (name.as_str(), others.as_slice()) {
        ("", _) => format!("{person} has no name now"),
        (name, []) => format!("{person} is {name} now"),
        (name, others) => {
            let ids: Vec<&str> = others.iter().map(PersonId::as_str).collect();
            format!("{person} is {name} now, and so is {}: commands need the id now", ids.join(" "))
        }
    };
    output.result(&Done { person_id: person.to_string(), name }, &text)?;
    Ok(Outcome::Done)
}

fn merge(path: &Path, keep: &str, absorb: &str, output: Output) -> anyhow::Result<Outcome> {
    let mut gallery = StoredGallery::open_existing(path)?;
    let people = (find(gallery.memory(), keep)?, find(gallery.memory(), absorb)?);
    let (keep, absorb) = gallery.merge(people.0, people.1)?;
    let record = gallery.memory().record(keep)?;
    let text = format!("{absorb} is {} ({keep}) now, with {} looks", record.label(), record.references);
    output.result(&Row::from(record), &text)?;
    Ok(Outcome::Done)
}

/// Who was forgotten, and what that removed.
#[derive(Debug, Serialize)]
struct Forgotten {
    person_id: String,
    removed: Vec<String>,
}

fn forget(path: &Path, args: &ForgetArgs, output: Output) -> anyhow::Result<Outcome> {
    let mut gallery = StoredGallery::open_existing(path)?;
    // With --all nobody is named, which means everyone.
    let mut people = find_all(gallery.memory(), &args.who)?;
    people.sort_unstable();
    people.dedup();
    if !args.yes {
        let labels: Result<Vec<&str>, _> =
            people.iter().map(|id| gallery.memory().record(*id).map(PersonRecord::label)).collect();
        confirm(&labels?, args.all)?;
    }
    let mut forgotten = Vec::new();
    let mut note = |person_id: String, receipt: Receipt| -> anyhow::Result<()> {
        let receipt = receipt.complete()?;
        forgotten.push(Forgotten { person_id, removed: receipt.lines() });
        Ok(())
    };
    if args.all {
        note("*".to_owned(), gallery.forget_all()?)?;
    } else {
        for person in people {
            let (person, receipt) = gallery.forget(person)?;
            note(person.to_string(), receipt)?;
        }
    }
    let lines = forgotten.iter().map(|one| format!("forgotten {}: {}", one.person_id, one.removed.join(", ")));
    output.result(&forgotten, &lines.collect::<Vec<_>>().join("\n"))?;
    Ok(Outcome::Done)
}

/// Asks a person at a terminal; a script means what it says, unless it is about everyone.
fn confirm(labels: &[&str], everyone: bool) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        ensure!(!everyone, "forgetting everyone needs --yes");
        return Ok(());
    }
    let _ = write!(std::io::stderr(), "forget {} for good? [y/N] ", labels.join(", "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    ensure!(answer.trim().eq_ignore_ascii_case("y"), "nobody was forgotten");
    Ok(())
}

fn export(path: &Path, args: &ExportArgs) -> anyhow::Result<Outcome> {
    let gallery = StoredGallery::read_existing(path)?;
    let memory = gallery.memory();
    let text = if let [who] = args.who.as_slice() {
        PortablePerson::of(memory, find(memory, who)?)?.to_json()?
    } else {
        let people: Result<Vec<_>, _> =
            find_all(memory, &args.who)?.into_iter().map(|person| PortablePerson::of(memory, person)).collect();
        serde_json::to_string_pretty(&people?)?
    };
    let Some(out) = &args.out else {
        writeln!(std::io::stdout(), "{text}")?;
        return Ok(Outcome::Done);
    };
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(out);
    let written = file.and_then(|mut file| {
        // A file that was there before keeps its mode otherwise.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", out.display()))?;
    say(&format!("written to {}", out.display()));
    Ok(Outcome::Done)
}

fn import(config: &Config, path: &Path, files: &[PathBuf], force: bool, output: Output) -> anyhow::Result<Outcome> {
    let mut taken = Vec::new();
    let imported = import_each(config, path, files, force, &mut taken);
    // Those before the first that is refused are taken.
    let lines: Vec<String> = taken.iter().map(row_as_text).collect();
    output.result(&taken, &lines.join("\n"))?;
    imported.map(|()| Outcome::Done)
}

fn import_each(
    config: &Config,
    path: &Path,
    files: &[PathBuf],
    force: bool,
    taken: &mut Vec<Row>,
) -> anyhow::Result<()> {
    for file in files {
        let people = PortablePerson::read(&read_text(file)?).with_context(|| file.display().to_string())?;
        let Some(first) = people.first() else { continue };
        let stored = if path.exists() { StoredGallery::model_in(path)? } else { None };
        let model = stored.unwrap_or_else(|| first.model());
        let mut gallery = StoredGallery::open(path, &model)?;
        let scale = scale_of(&model, config);
        for person in people {
            let (record, references) = person.unpack(&model).with_context(|| file.display().to_string())?;
            if let (Some(scale), false) = (&scale, force) {
                compare(gallery.memory(), None, &references, scale)
                    .with_context(|| format!("{} ({})", record.label(), file.display()))?;
            }
            let person = gallery.import(&record, &references).with_context(|| file.display().to_string())?;
            if person != record.person_id {
                say(&format!("{} is {person} here: {} was somebody else's", record.label(), record.person_id));
            }
            taken.push(Row::from(gallery.memory().record(person)?));
        }
    }
    Ok(())
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(|_| ()),
        _ => std::fs::read_to_string(file).map(|read| text = read),
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text)
}

/// The scale of a network's similarities, from its manifest; `None` when that is not known here.
fn scale_of(model: &crate::embed::ModelTag, config: &Config) -> Option<Similarity> {
    let names = [model.manifest_name(), &config.identity.model];
    names
        .iter()
        .find_map(|name| Manifest::load(name).ok().filter(|found| found.name == model.manifest_name())?.similarity)
}

/// The person that is meant: by id, by alias, or by a name that only one has.
fn find(gallery: &MemoryGallery, who: &str) -> anyhow::Result<PersonId> {
    let named: Vec<&PersonRecord> = gallery.people().filter(|record| record.name.as_deref() == Some(who)).collect();
    match named.as_slice() {
        [one] => return Ok(one.person_id),
        [] => {}
        several => {
            let ids: Vec<&str> = several.iter().map(|record| record.person_id.as_str()).collect();
            bail!("{} people are called {who}: say which by id: {}", several.len(), ids.join(" "));
        }
    }
    match PersonId::parse(who) {
        Ok(id) => Ok(gallery.resolve(id)?),
        Err(_) => bail!("nobody is called {who}; `rostro gallery list` shows who is there"),
    }
}

/// The people that are meant; everyone when nobody is named.
fn find_all(gallery: &MemoryGallery, who: &[String]) -> anyhow::Result<Vec<PersonId>> {
    if who.is_empty() {
        return Ok(gallery.people().map(|record| record.person_id).collect());
    }
    who.iter().map(|who| find(gallery, who)).collect()
}

/// Now, as the stamp of what people do by hand.
#[expect(clippy::disallowed_methods, reason = "a command line has no image whose stamp could be used")]
fn now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{person, tag};

    #[test]
    fn people_are_found_by_name_and_by_id_and_namesakes_are_refused() {
        let mut gallery = MemoryGallery::new(tag(), 0);
        let anna = gallery.enrol("Anna", &person(0), 1.0).unwrap();
        assert_eq!(find(&gallery, "Anna").unwrap(), anna);
        assert_eq!(find(&gallery, anna.as_str()).unwrap(), anna);
        assert!(find(&gallery, "Ben").unwrap_err().to_string().contains("nobody is called Ben"));
        let other = gallery.enrol("Ben", &person(1), 1.0).unwrap();
        gallery.rename(other, Some("Anna")).unwrap();
        let refusal = find(&gallery, "Anna").unwrap_err().to_string();
        assert!(refusal.contains(anna.as_str()) && refusal.contains(other.as_str()), "{refusal}");
    }
}
