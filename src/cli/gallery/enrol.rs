//! `rostro gallery enrol`.

use super::super::bar::FrameBar;
use super::super::progress::StderrProgress;
use super::super::{Outcome, Output};
use super::inputs::{Friend, encoded, file_name, people_in, read_picture};
use super::{find, now};
use crate::assembly;
use crate::config::Config;
use crate::gallery::Reference;
use crate::ids::FaceId;
use crate::pipeline::{EnrolAs, Enrolled, Pipeline};
use crate::replay::{self, Inputs, Kind};
use anyhow::{Context, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Good looks without which a face of a recording is not worth mentioning.
const FEW_LOOKS: u32 = 3;
/// A second face seen this often, as a share of the first one's looks, could be the one that is meant.
const SECOND_FACE: f64 = 0.3;

/// Learn people from pictures, folders, videos or bags.
///
/// INPUT is pictures with one face each, a folder of pictures, or a recording (GIF, video through
/// ffmpeg, bag) in which one person is seen most. Without --name, a folder holds a folder of pictures
/// per person, or pictures named after their person.
#[derive(Debug, clap::Args)]
pub(super) struct EnrolArgs {
    /// Pictures, folders, videos or bags.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// Name of the person on all inputs.
    #[arg(long)]
    name: Option<String>,

    /// Add the looks to this stored person.
    #[arg(long, value_name = "WHO")]
    to: Option<String>,

    /// Which face of a recording, when there are several.
    #[arg(long, value_name = "FACE_ID", value_parser = |text: &str| FaceId::parse(text))]
    face: Option<FaceId>,

    /// Image topic of a bag; may be repeated.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,

    /// The person agreed to be stored.
    #[arg(long)]
    consent: bool,

    /// What the pictures show is no person but a poster or a screen: whatever resembles it is never
    /// taken for somebody.
    #[arg(long, conflicts_with = "to")]
    not_a_person: bool,

    /// Also when somebody stored looks alike.
    #[arg(long)]
    force: bool,
}

/// Whom the inputs show.
enum Subject {
    Pictures(Friend),
    Recording { name: String, path: PathBuf },
}

impl Subject {
    fn name(&self) -> &str {
        match self {
            Self::Pictures(friend) => &friend.name,
            Self::Recording { name, .. } => name,
        }
    }

    /// For messages.
    fn label(&self) -> String {
        match self {
            Self::Pictures(Friend { name, pictures }) if name.is_empty() => {
                pictures.first().map(|path| path.display().to_string()).unwrap_or_default()
            }
            Self::Recording { name, path } if name.is_empty() => path.display().to_string(),
            _ => self.name().to_owned(),
        }
    }
}

/// What became of one person.
#[derive(Debug, Default, Serialize)]
struct Entry {
    name: String,
    /// Empty when nobody was enrolled.
    person_id: String,
    references: usize,
    possible_duplicate_of: String,
    /// Why nobody was enrolled; empty when somebody was.
    message: String,
    /// Inputs that taught nothing, and why.
    unusable: Vec<Unusable>,
}

#[derive(Debug, Serialize)]
struct Unusable {
    input: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    people: &'a [Entry],
}

pub(super) fn run(args: &EnrolArgs, config: &Config, path: &Path, output: Output) -> anyhow::Result<Outcome> {
    let subjects = subjects(args)?;
    let mut line = assembly::load_pipeline(config, &mut StderrProgress::default())?;
    line.open_gallery(path)?;
    let to = args.to.as_deref().map(|who| find(line.gallery(), who)).transpose()?;
    let pictures: usize = subjects
        .iter()
        .map(|subject| if let Subject::Pictures(friend) = subject { friend.pictures.len() } else { 0 })
        .sum();
    let bar = FrameBar::counting("pictures", Some(pictures as u64));
    let mut seen = 0;
    let mut entries = Vec::new();
    for subject in &subjects {
        let who = EnrolAs {
            person_id: to,
            name: subject.name().to_owned(),
            not_a_person: args.not_a_person,
            consent: args.consent,
            force: args.force,
        };
        let mut entry = Entry { name: subject.name().to_owned(), ..Entry::default() };
        let looks = match subject {
            Subject::Pictures(friend) => looks_at(&mut line, friend, &mut entry, &mut || {
                seen += 1;
                bar.set(seen);
            }),
            Subject::Recording { path, .. } => looks_in(&mut line, path, args, &mut entry),
        };
        let enrolled = looks.and_then(|looks| Ok(line.enrol_looks(&who, &looks)?));
        entry.take(enrolled);
        entries.push(entry);
    }
    drop(bar);
    report(&subjects, &entries, output)
}

impl Entry {
    fn take(&mut self, enrolled: anyhow::Result<Enrolled>) {
        match enrolled {
            Ok(Enrolled { person_id, references, possible_duplicate_of }) => {
                self.person_id = person_id.to_string();
                self.references = references;
                self.possible_duplicate_of = possible_duplicate_of.map(|id| id.to_string()).unwrap_or_default();
            }
            Err(error) => {
                self.possible_duplicate_of = error
                    .downcast_ref::<crate::pipeline::OperationError>()
                    .and_then(crate::pipeline::OperationError::possible_duplicate_of)
                    .map(|id| id.to_string())
                    .unwrap_or_default();
                self.message = format!("{error:#}");
            }
        }
    }
}

fn report(subjects: &[Subject], entries: &[Entry], output: Output) -> anyhow::Result<Outcome> {
    let mut lines = Vec::new();
    for (subject, entry) in subjects.iter().zip(entries) {
        for Unusable { input, reason } in &entry.unusable {
            super::say(&format!("warning: {input} teaches nothing: {reason}"));
        }
        if !entry.message.is_empty() {
            super::say(&format!("error: {}: {}", subject.label(), entry.message));
            continue;
        }
        let looks = if entry.references == 1 { "look" } else { "looks" };
        let alike = match entry.possible_duplicate_of.as_str() {
            "" => String::new(),
            other => format!("; looks like {other}"),
        };
        lines.push(format!("enrolled {} as {}, {} {looks}{alike}", subject.label(), entry.person_id, entry.references));
    }
    let failed = entries.iter().filter(|entry| !entry.message.is_empty()).count();
    if output.json || !lines.is_empty() {
        output.result(&Report { people: entries }, &lines.join("\n"))?;
    }
    ensure!(failed < entries.len(), "nobody was enrolled");
    let is_complete = failed == 0 && entries.iter().all(|entry| entry.unusable.is_empty());
    Ok(if is_complete { Outcome::Done } else { Outcome::Incomplete })
}

/// Whom the inputs show, by what they are.
fn subjects(args: &EnrolArgs) -> anyhow::Result<Vec<Subject>> {
    let name = args.name.clone().unwrap_or_default();
    // One person on everything that is given.
    let is_one = args.name.is_some() || args.to.is_some() || args.not_a_person;
    let (mut subjects, mut pictures) = (Vec::new(), Vec::new());
    for path in &args.inputs {
        match replay::kind_of(path)? {
            Kind::Folder if is_one => {
                let found = replay::picture_files(path).with_context(|| format!("cannot read {}", path.display()))?;
                let hint = "without --name it may hold a folder per person";
                ensure!(!found.is_empty(), "no JPEG or PNG picture in {}; {hint}", path.display());
                pictures.extend(found);
            }
            Kind::Folder => subjects.extend(people_in(path)?.into_iter().map(Subject::Pictures)),
            Kind::Picture if is_one => pictures.push(path.clone()),
            Kind::Picture => {
                subjects.push(Subject::Pictures(Friend { name: String::new(), pictures: vec![path.clone()] }));
            }
            Kind::Bag | Kind::Gif | Kind::Video => {
                subjects.push(Subject::Recording { name: name.clone(), path: path.clone() });
            }
        }
    }
    if !pictures.is_empty() {
        subjects.insert(0, Subject::Pictures(Friend { name, pictures }));
    }
    Ok(subjects)
}

fn looks_at(
    line: &mut Pipeline,
    friend: &Friend,
    entry: &mut Entry,
    on_picture: &mut dyn FnMut(),
) -> anyhow::Result<Vec<Reference>> {
    let mut looks = Vec::new();
    let mut unusable = Vec::new();
    for path in &friend.pictures {
        let look = read_picture(path).and_then(|data| {
            Ok(line.look_at_picture(&encoded(&data), now(), format!("picture {}", file_name(path)))?)
        });
        match look {
            Ok(look) => looks.push(look),
            Err(error) => unusable.push(Unusable { input: path.display().to_string(), reason: format!("{error:#}") }),
        }
        on_picture();
    }
    if looks.is_empty() && unusable.len() == 1 {
        let Unusable { input, reason } = unusable.remove(0);
        anyhow::bail!("{input}: {reason}");
    }
    entry.unusable = unusable;
    ensure!(!looks.is_empty(), "none of the {} pictures shows a usable face", friend.pictures.len());
    Ok(looks)
}

/// The looks at the face that a recording is about.
fn looks_in(line: &mut Pipeline, path: &Path, args: &EnrolArgs, entry: &mut Entry) -> anyhow::Result<Vec<Reference>> {
    let mut inputs = Inputs::open(&[path.to_owned()], &args.topics)?;
    line.watch_recording();
    let bar = FrameBar::show(inputs.frames_expected());
    let mut frames = 0;
    for source in &mut inputs.sources {
        loop {
            match source.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => drop(line.process(&frame)),
                Err(error) => {
                    entry.unusable.push(Unusable { input: path.display().to_string(), reason: error.to_string() });
                }
            }
            frames += 1;
            bar.set(frames);
        }
    }
    drop(bar);
    let mut faces: Vec<(FaceId, u32)> = line.live_looks().faces().filter(|(_, looks)| *looks >= FEW_LOOKS).collect();
    faces.sort_by_key(|(face, looks)| (std::cmp::Reverse(*looks), *face));
    let list = || faces.iter().map(|(face, looks)| format!("{face} ({looks} looks)")).collect::<Vec<_>>().join(", ");
    let source = format!("recording {}", file_name(path));
    let of = |line: &Pipeline, face: FaceId| -> Vec<Reference> {
        line.live_looks().of(face).iter().map(|look| Reference { source: source.clone(), ..look.clone() }).collect()
    };
    if let Some(face) = args.face {
        ensure!(
            faces.iter().any(|(known, _)| *known == face),
            "no face {face} with enough good looks; there are: {}",
            list()
        );
        return Ok(of(line, face));
    }
    let Some(&(main, most)) = faces.first() else {
        anyhow::bail!(
            "{}: no face with {FEW_LOOKS} good looks; record the person nearer, from the front, in good light",
            path.display()
        );
    };
    let mut looks = of(line, main);
    for &(face, count) in &faces[1..] {
        if line.are_alike(main, face)? {
            looks.extend(of(line, face));
        } else {
            ensure!(
                f64::from(count) < SECOND_FACE * f64::from(most),
                "{} shows several people: {}; say which with --face FACE_ID",
                path.display(),
                list()
            );
        }
    }
    Ok(looks)
}
