//! A program that is killed while it changes the gallery loses nothing that it was told is done, and
//! leaves nothing of who was forgotten.
//!
//! `cargo test` kills a few; the full count: `ROSTRO_CRASHES=250 cargo test gallery_crash`.

use crate::replay::folder;
use rostro::embed::{Embedding, ModelTag};
use rostro::gallery::{NewPerson, PersonRecord, Reference, StoredGallery};
use rostro::ids::PersonId;
use rostro::time::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where the child finds the gallery, and what its choices come from.
const GALLERY: &str = "ROSTRO_CRASH_GALLERY";
const SEED: &str = "ROSTRO_CRASH_SEED";
/// Most people at a time.
const CROWD: usize = 12;

/// Numbers by chance, the same every time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_of(&mut self, people: &[PersonId]) -> PersonId {
        people[self.below(people.len() as u64) as usize]
    }
}

fn tag() -> ModelTag {
    ModelTag::new("made-up", "0123456789abcdef")
}

/// A look whose numbers, and source, no other look has.
fn look(label: &str) -> Reference {
    let seed = label
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    let mut chance = Chance(seed | 1);
    let values = (0..128).map(|_| chance.below(1 << 24) as f32 - 8e6).collect();
    let look = Embedding::new(values, tag()).ok().unwrap();
    Reference { look, quality: 0.5, stamp: Stamp::default(), source: label.to_owned() }
}

/// What the parent knows of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    name: String,
    sources: BTreeSet<String>,
    aliases: BTreeSet<String>,
}

type People = BTreeMap<String, Known>;

/// Changes the gallery until it is killed; says what it is about to do (`>`), and what is done (`<`).
#[test]
#[ignore = "the child of the crash test"]
fn child() {
    let Some(path) = std::env::var_os(GALLERY) else { return };
    let mut chance = Chance(std::env::var(SEED).unwrap().parse().unwrap());
    let mut gallery = StoredGallery::open(Path::new(&path), &tag()).unwrap();
    say("= ready");
    for step in 0.. {
        let people: Vec<PersonId> = gallery.list().iter().map(|record| record.person_id).collect();
        let label = format!("label{:x}step{step}", chance.0);
        let looks = |count: u64| (0..count).map(|at| look(&format!("{label}look{at}"))).collect::<Vec<_>>();
        let kinds = if people.len() < 3 { 1 } else { 6 };
        let first = if people.len() >= CROWD { 2 } else { 0 };
        match first + chance.below(kinds - first.min(kinds - 1)) {
            0 | 1 => {
                let count = 1 + chance.below(4);
                say(&format!("> create {label} {count}"));
                let id =
                    gallery.create(&NewPerson { name: label.clone(), ..NewPerson::default() }, &looks(count)).unwrap();
                say(&format!("< {id}"));
            }
            2 => {
                let id = chance.one_of(&people);
                say(&format!("> rename {id} {label}"));
                gallery.set_name(id, &label).unwrap();
                say("<");
            }
            3 => {
                let (id, count) = (chance.one_of(&people), 1 + chance.below(3));
                say(&format!("> learn {id} {label} {count}"));
                gallery.learn(id, &looks(count), "", false).unwrap();
                say("<");
            }
            4 => {
                let (keep, absorb) = (chance.one_of(&people), chance.one_of(&people));
                if keep != absorb {
                    say(&format!("> merge {keep} {absorb}"));
                    gallery.merge(keep, absorb).unwrap();
                    say("<");
                }
            }
            _ => {
                let id = chance.one_of(&people);
                say(&format!("> forget {id}"));
                let (_, receipt) = gallery.forget(id).unwrap();
                assert_eq!(receipt.left, None);
                say("<");
            }
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The test harness leaves its own line unfinished.
    write!(out, "\n{line}\n").and_then(|()| out.flush()).unwrap();
}

#[test]
fn a_killed_program_loses_nothing_that_was_done() {
    let crashes: u64 = std::env::var("ROSTRO_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let work = folder("gallery_crash");
    let file = work.join("state/gallery.db");
    let mut chance = Chance(20_260_703);
    let (mut people, mut gone) = (People::new(), BTreeSet::new());
    let mut counts: BTreeMap<String, [u32; 2]> = BTreeMap::new();
    for crash in 0..crashes {
        let lines = run_until_killed(&file, &mut chance);
        let mut pending = None;
        for line in lines.iter().filter(|line| line.starts_with(['>', '<'])) {
            match pending.take() {
                None => pending = Some(line.clone()),
                Some(begun) => {
                    counts.entry(verb(&begun)).or_default()[0] += 1;
                    apply(&mut people, &mut gone, &begun, Some(line));
                }
            }
        }
        // In a process of its own: what the next program finds is what counts.
        let found = read(&file);
        if let Some(begun) = pending {
            counts.entry(verb(&begun)).or_default()[1] += 1;
            let mut after = (people.clone(), gone.clone());
            let id = found.keys().find(|id| !people.contains_key(*id)).map(|id| format!("< {id}"));
            apply(&mut after.0, &mut after.1, &begun, id.as_deref());
            assert!(found == people || found == after.0, "crash {crash}: {begun} is half done: {found:?} {people:?}");
            if found == after.0 {
                (people, gone) = after;
            }
        }
        assert_eq!(found, people, "crash {crash}");
        check_bytes(file.parent().unwrap(), &people, &gone);
    }
    println!("{crashes} crashes; of each kind of change, done before the kill and interrupted by it: {counts:?}");
    let interrupted: u32 = counts.values().map(|count| count[1]).sum();
    assert!(interrupted > 0, "no change was interrupted");
}

fn verb(line: &str) -> String {
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Starts the child, kills it after a while, and returns what it said.
fn run_until_killed(file: &Path, chance: &mut Chance) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["gallery_crash::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(GALLERY, file)
        .env(SEED, (chance.below(1 << 40) | 1).to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    // One in eight is killed while it starts and opens the file.
    if chance.below(8) > 0 {
        let mut line = String::new();
        while out.read_line(&mut line).unwrap() > 0 && !line.contains("= ready") {
            line.clear();
        }
    }
    wait(Duration::from_micros(chance.below(60_000)));
    child.kill().unwrap();
    let mut said = String::new();
    out.read_to_string(&mut said).unwrap();
    let mut trouble = String::new();
    child.stderr.take().unwrap().read_to_string(&mut trouble).unwrap();
    child.wait().unwrap();
    assert!(!trouble.contains("panicked"), "{trouble}");
    // A line that was cut off was not said.
    let complete = said.rfind('\n').map_or("", |end| &said[..end]);
    complete.lines().map(str::to_owned).collect()
}

#[expect(clippy::disallowed_methods, reason = "a kill has to come at some time")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// What a change makes of the people. `said` is the answer, when there was one.
fn apply(people: &mut People, gone: &mut BTreeSet<String>, begun: &str, said: Option<&str>) {
    let words: Vec<&str> = begun.split(' ').collect();
    let sources = |label: &str, count: &str| {
        (0..count.parse::<u64>().unwrap()).map(move |at| format!("{label}look{at}")).collect::<Vec<_>>()
    };
    match words[1..] {
        ["create", label, count] => {
            let Some(id) = said.and_then(|said| said.strip_prefix("< ")) else { return };
            let sources = sources(label, count).into_iter().collect();
            people.insert(id.to_owned(), Known { name: label.to_owned(), sources, ..Known::default() });
        }
        ["rename", id, label] => {
            if let Some(person) = people.get_mut(id) {
                gone.insert(std::mem::replace(&mut person.name, label.to_owned()));
            }
        }
        ["learn", id, label, count] => people.get_mut(id).unwrap().sources.extend(sources(label, count)),
        ["merge", keep, absorb] => {
            let absorbed = people.remove(absorb).unwrap();
            let kept = people.get_mut(keep).unwrap();
            gone.insert(absorbed.name);
            kept.sources.extend(absorbed.sources);
            kept.aliases.extend(absorbed.aliases);
            kept.aliases.insert(absorb.to_owned());
        }
        ["forget", id] => {
            let person = people.remove(id).unwrap();
            gone.extend([id.to_owned(), person.name]);
            gone.extend(person.sources);
            gone.extend(person.aliases);
        }
        _ => panic!("{begun}"),
    }
}

/// Everybody in the file, every vector compared with what it was.
fn read(file: &Path) -> People {
    if !file.exists() {
        return People::new();
    }
    let gallery = StoredGallery::open(file, &tag()).unwrap();
    let known = |record: &PersonRecord| {
        let references = gallery.memory().references(record.person_id);
        assert!(references.iter().all(|kept| *kept == look(&kept.source)), "a look is not what it was");
        Known {
            name: record.name.clone().unwrap_or_default(),
            sources: references.into_iter().map(|kept| kept.source).collect(),
            aliases: record.aliases.iter().map(ToString::to_string).collect(),
        }
    };
    gallery.list().iter().map(|record| (record.person_id.to_string(), known(record))).collect()
}

/// Nothing of who is gone is in any file, once the file was opened and closed again.
fn check_bytes(folder: &Path, people: &People, gone: &BTreeSet<String>) {
    let Ok(files) = std::fs::read_dir(folder) else { return };
    let bytes: Vec<u8> = files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    let bytes = String::from_utf8_lossy(&bytes);
    assert!(people.values().all(|person| bytes.contains(&person.name)));
    for text in gone {
        // `…step1` is part of `…step12`.
        let is_part =
            people.values().any(|known| known.name.contains(text) || known.sources.iter().any(|s| s.contains(text)));
        assert!(is_part || !bytes.contains(text), "{text} is left");
    }
}
