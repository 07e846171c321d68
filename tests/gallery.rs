//! The stored people through the real command and the real networks: learned, recognised, exported,
//! forgotten; and what happens on full, read-only and wrongly filled disks.

use crate::bad_input::{models_are_here, replay_into};
use crate::replay::folder;
use crate::support::{shared, skip};
use rostro::gallery::{NewPerson, PortablePerson, Reference, StoredGallery};
use rostro::time::Stamp;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {}{}", self.stdout, self.stderr))
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// `rostro gallery … --gallery FILE --json`.
pub(crate) fn gallery(file: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rostro"));
    command.arg("gallery").args(arguments).arg("--gallery").arg(file).arg("--json");
    command.output().unwrap().into()
}

/// The names in the last line of a replay of one picture.
fn names_in(picture: &Path, gallery: &Path, out: &Path) -> Vec<String> {
    let ended = replay_into(out, &[picture], &["--gallery", &gallery.display().to_string()]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let text = std::fs::read_to_string(out.join("people.jsonl")).unwrap();
    let frame: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let people = frame["people"].as_array().unwrap();
    people.iter().map(|person| person["name"].as_str().unwrap().to_owned()).collect()
}

/// Every file of a folder that contains `bytes`.
fn containing(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| std::fs::read(file).unwrap().windows(bytes.len()).any(|found| found == bytes)).collect()
}

#[test]
fn who_is_forgotten_is_a_stranger_again_and_no_byte_of_them_is_left() {
    let test = "who_is_forgotten_is_a_stranger_again_and_no_byte_of_them_is_left";
    let Some(pictures) = shared("data/identity/presidents", test) else { return };
    if !models_are_here(test) {
        return;
    }
    let work = folder("gallery_forget");
    let state = work.join("state");
    let file = state.join("gallery.db");
    let picture = |name: &str| pictures.join(name).display().to_string();
    let enrolled = gallery(&file, &["enrol", "--name", "Barack", &picture("obama.jpg"), &picture("obama3.jpg")]);
    assert_eq!(enrolled.code, 0, "{}", enrolled.stderr);
    assert_eq!(gallery(&file, &["enrol", "--name", "Joe", "--consent", &picture("biden.jpg")]).code, 0);
    assert_eq!(names_in(&pictures.join("obama2.jpg"), &file, &work.join("before")), ["Barack"]);

    let listed = gallery(&file, &["list"]).json();
    let barack = listed["people"].as_array().unwrap().iter().find(|person| person["name"] == "Barack").unwrap();
    let (id, references) = (barack["person_id"].as_str().unwrap(), barack["references"].as_u64().unwrap());
    assert_eq!(id, enrolled.json()["people"][0]["person_id"].as_str().unwrap());
    let export = gallery(&file, &["export", id]).json();
    let vectors: Vec<Vec<u8>> = export["references"].as_array().unwrap().iter().map(vector_bytes).collect();
    assert_eq!(vectors.len() as u64, references);
    assert!(!containing(&state, &vectors[0]).is_empty(), "the search itself finds what is there");

    let forgotten = gallery(&file, &["forget", "Barack", "--yes"]);
    assert_eq!(forgotten.code, 0, "{}", forgotten.stderr);
    let removed = &forgotten.json()[0]["removed"];
    let receipt = ["people: 1".to_owned(), format!("references: {references}"), "names: 1".to_owned()];
    assert_eq!(removed.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>(), receipt);
    for vector in &vectors {
        for part in vector.chunks_exact(16) {
            assert_eq!(containing(&state, part), Vec::<PathBuf>::new(), "part of a vector is left");
        }
    }
    for text in [id, "Barack", "obama.jpg", "obama3.jpg"] {
        assert_eq!(containing(&state, text.as_bytes()), Vec::<PathBuf>::new(), "{text} is left");
    }
    assert_eq!(names_in(&pictures.join("obama2.jpg"), &file, &work.join("after")), [""]);
    assert_eq!(names_in(&pictures.join("biden.jpg"), &file, &work.join("joe")), ["Joe"]);
    assert_eq!(gallery(&file, &["forget", id, "--yes"]).code, 1, "there is nobody left to forget");

    // What was exported comes back with its id, if asked.
    let saved = work.join("barack.json");
    std::fs::write(&saved, export.to_string()).unwrap();
    let imported = gallery(&file, &["import", &saved.display().to_string()]);
    assert_eq!((imported.code, imported.json()[0]["person_id"].as_str()), (0, Some(id)), "{}", imported.stderr);
    assert_eq!(names_in(&pictures.join("obama2.jpg"), &file, &work.join("again")), ["Barack"]);
}

fn vector_bytes(reference: &Value) -> Vec<u8> {
    let numbers = reference["vector"].as_array().unwrap().iter();
    numbers.flat_map(|number| (number.as_f64().unwrap() as f32).to_le_bytes()).collect()
}

/// Ids are counted in every gallery alike, so two robots' first people have the same one.
#[test]
fn people_of_two_robots_meet_in_one_gallery() {
    let test = "people_of_two_robots_meet_in_one_gallery";
    let Some(pictures) = shared("data/identity/presidents", test) else { return };
    if !models_are_here(test) {
        return;
    }
    let work = folder("gallery_two_robots");
    let (ours, theirs, exported) = (work.join("ours.db"), work.join("theirs.db"), work.join("exported.json"));
    let picture = |name: &str| pictures.join(name).display().to_string();
    assert_eq!(gallery(&ours, &["enrol", "--name", "Joe", &picture("biden.jpg")]).code, 0);
    assert_eq!(gallery(&theirs, &["enrol", "--name", "Barack", &picture("obama.jpg")]).code, 0);

    // Whoever may read a file that is there already must not be able to read who is written into it.
    std::fs::write(&exported, "").unwrap();
    std::fs::set_permissions(&exported, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(gallery(&theirs, &["export", "--out", exported.to_str().unwrap()]).code, 0);
    assert_eq!(std::fs::metadata(&exported).unwrap().permissions().mode() & 0o777, 0o600);

    let imported = gallery(&ours, &["import", exported.to_str().unwrap()]);
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    let listed = gallery(&ours, &["list"]).json();
    let named = |name: &str| {
        let people = listed["people"].as_array().unwrap();
        people.iter().find(|person| person["name"] == name).map(|person| person["person_id"].clone()).unwrap()
    };
    assert_ne!(named("Joe"), named("Barack"));
    assert_eq!(names_in(&pictures.join("obama2.jpg"), &ours, &work.join("out")), ["Barack"]);
    let twice = gallery(&ours, &["import", exported.to_str().unwrap()]);
    assert!(twice.code == 1 && twice.stderr.contains("looks like Barack"), "{}", twice.stderr);
}

#[test]
fn whoever_is_stored_without_a_name_gets_one_by_being_enrolled() {
    let test = "whoever_is_stored_without_a_name_gets_one_by_being_enrolled";
    let Some(pictures) = shared("data/identity/presidents", test) else { return };
    if !models_are_here(test) {
        return;
    }
    let file = folder("gallery_unnamed").join("gallery.db");
    let picture = |name: &str| pictures.join(name).display().to_string();
    assert_eq!(gallery(&file, &["enrol", "--name", "", &picture("obama.jpg")]).code, 0);
    let named = gallery(&file, &["enrol", "--name", "Barack", "--consent", &picture("obama2.jpg")]);
    assert_eq!(named.code, 0, "{}", named.stderr);
    let listed = gallery(&file, &["list"]).json();
    let [person] = listed["people"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&person["name"], &person["references"]), (&"Barack".into(), &2.into()));
}

#[test]
fn pictures_that_cannot_teach_and_people_known_already_are_refused_with_advice() {
    let test = "pictures_that_cannot_teach_and_people_known_already_are_refused_with_advice";
    let Some(pictures) = shared("data/identity/presidents", test) else { return };
    if !models_are_here(test) {
        return;
    }
    let work = folder("gallery_refusals");
    let file = work.join("gallery.db");
    let obama = image::open(pictures.join("obama.jpg")).unwrap().to_rgb8();
    let biden = image::open(pictures.join("biden.jpg")).unwrap().to_rgb8();
    let save = |name: &str, picture: &image::RgbImage| {
        picture.save(work.join(name)).unwrap();
        work.join(name).display().to_string()
    };
    let nobody = save("nobody.png", &image::RgbImage::from_pixel(320, 240, image::Rgb([90, 120, 90])));
    let height = obama.height().min(biden.height());
    let mut two = image::RgbImage::new(obama.width() + biden.width(), height);
    image::imageops::replace(&mut two, &obama, 0, 0);
    image::imageops::replace(&mut two, &biden, i64::from(obama.width()), 0);
    let both = save("both.png", &two);
    let small =
        image::imageops::resize(&obama, obama.width() / 14, obama.height() / 14, image::imageops::FilterType::Triangle);
    let mut tiny = image::RgbImage::from_pixel(320, 240, image::Rgb([120, 120, 120]));
    image::imageops::replace(&mut tiny, &small, 100, 60);
    let tiny = save("tiny.png", &tiny);
    let picture = |name: &str| pictures.join(name).display().to_string();
    assert_eq!(gallery(&file, &["enrol", "--name", "Barack", &picture("obama.jpg")]).code, 0);
    let known = gallery(&file, &["list"]).json()["people"][0]["person_id"].as_str().unwrap().to_owned();
    for (name, input, words) in [
        ("Nobody", &nobody, &["no face", "use a picture"][..]),
        ("Both", &both, &["2 faces", "cut out the one"]),
        ("Tiny", &tiny, &["larger"]),
        ("Somebody else", &picture("obama2.jpg"), &["looks like Barack", &known, "force"]),
    ] {
        let refused = gallery(&file, &["enrol", "--name", name, input]);
        assert_eq!(refused.code, 1, "{name}: {}", refused.stdout);
        for words in words {
            assert!(refused.stderr.contains(words), "{name}: \"{words}\" is not in: {}", refused.stderr);
        }
    }
    assert_eq!(gallery(&file, &["list"]).json()["people"].as_array().unwrap().len(), 1);
    // The same name is the same person; another name needs force.
    assert_eq!(gallery(&file, &["enrol", "--name", "Barack", &picture("obama2.jpg")]).code, 0);
    let forced = gallery(&file, &["enrol", "--force", "--name", "Twin", &picture("obama3.jpg")]);
    assert_eq!(forced.json()["people"][0]["possible_duplicate_of"], known.as_str(), "{}", forced.stderr);
    let health = gallery(&file, &["check"]).json();
    let advice = health["health"][0]["advice"][0].as_str().unwrap();
    assert!(advice.contains("merge"), "{advice}");
    let twin = forced.json()["people"][0]["person_id"].as_str().unwrap().to_owned();
    assert_eq!(gallery(&file, &["merge", "Barack", "Twin"]).code, 0);
    assert_eq!(gallery(&file, &["rename", &twin, "Mr President"]).code, 0, "an alias means its person");
    let listed = gallery(&file, &["list"]).json();
    assert_eq!((&listed["people"][0]["name"], &listed["people"][0]["references"]), (&"Mr President".into(), &3.into()));
}

/// A gallery of made-up looks, and an export with several megabytes of others.
fn made_up(work: &Path, file: &Path) -> PathBuf {
    let tag = rostro::embed::ModelTag::new("made-up", "0123456789abcdef");
    let look = |at: usize| {
        let values = (0..128).map(|dimension| ((at * 131 + dimension * 7919) % 1013) as f32 - 500.0).collect();
        let look = rostro::embed::Embedding::new(values, tag.clone()).ok().unwrap();
        Reference { look, quality: 0.5, stamp: Stamp::default(), source: "made up".into() }
    };
    let mut small = StoredGallery::open(file, &tag).unwrap();
    let who = NewPerson { name: "Anna".into(), ..NewPerson::default() };
    small.create(&who, &[look(0)]).unwrap();
    let mut large = StoredGallery::in_memory(tag.clone());
    let looks: Vec<_> = (1..1500).map(look).collect();
    // An id that the small gallery has not given.
    large.create(&NewPerson::default(), &[look(0)]).unwrap();
    let many = large.create(&NewPerson { name: "Many".into(), ..NewPerson::default() }, &looks).unwrap();
    let export = work.join("many.json");
    std::fs::write(&export, PortablePerson::of(large.memory(), many).unwrap().to_json().unwrap()).unwrap();
    export
}

/// Runs a shell script with `$ROSTRO`, on a small disk of its own at `$DISK`; `None` (and a word) where
/// that is not allowed.
fn on_a_small_disk(work: &Path, script: &str, test: &str) -> Option<Ended> {
    let disk = work.join("disk");
    std::fs::create_dir_all(&disk).unwrap();
    let mount = "mount -t tmpfs -o size=400k none \"$DISK\" || exit 77\n";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &format!("{mount}{script}")]);
    command.env("DISK", &disk).env("ROSTRO", env!("CARGO_BIN_EXE_rostro")).current_dir(work);
    match command.output() {
        Ok(output)
            if output.status.code() != Some(77) && !String::from_utf8_lossy(&output.stderr).contains("unshare") =>
        {
            Some(output.into())
        }
        _ => {
            skip(test, "no file system of its own can be mounted here");
            None
        }
    }
}

#[test]
fn on_a_full_disk_nothing_is_lost() {
    let test = "on_a_full_disk_nothing_is_lost";
    let work = folder("gallery_full");
    made_up(&work, &work.join("gallery.db"));
    let script = "cp gallery.db \"$DISK\"; G=\"--gallery $DISK/gallery.db\"
        $ROSTRO gallery import many.json $G && exit 1
        $ROSTRO gallery list $G --json";
    let Some(ended) = on_a_small_disk(&work, script, test) else { return };
    assert!(ended.stderr.contains("the disk is full") && ended.stderr.contains("free some space"), "{}", ended.stderr);
    let people = ended.json()["people"].as_array().unwrap().clone();
    assert_eq!((people.len(), &people[0]["name"]), (1, &"Anna".into()));
}

#[test]
fn a_gallery_on_a_read_only_disk_can_be_read() {
    let test = "a_gallery_on_a_read_only_disk_can_be_read";
    let work = folder("gallery_read_only");
    made_up(&work, &work.join("gallery.db"));
    let script = "cp gallery.db \"$DISK\"; mount -o remount,ro \"$DISK\"; G=\"--gallery $DISK/gallery.db\"
        $ROSTRO gallery rename Anna Anne $G && exit 1
        $ROSTRO gallery import many.json --gallery \"$DISK/new/gallery.db\" && exit 1
        $ROSTRO gallery list $G --json";
    let Some(ended) = on_a_small_disk(&work, script, test) else { return };
    assert_eq!(ended.stderr.matches("choose another gallery.path").count(), 2, "{}", ended.stderr);
    assert_eq!(ended.json()["people"][0]["name"], "Anna", "{}", ended.stderr);
}

#[test]
fn commands_on_no_gallery_say_how_to_make_one() {
    let file = folder("gallery_missing").join("nowhere.db");
    for arguments in [&["rename", "Anna", "Anne"][..], &["forget", "Anna"], &["export"], &["check"]] {
        let ended = gallery(&file, arguments);
        assert!(ended.code == 1 && ended.stderr.contains("rostro gallery enrol"), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(gallery(&file, &["list"]).json()["people"], Value::Array(Vec::new()));
    assert!(!file.exists(), "looking makes no gallery");
}
