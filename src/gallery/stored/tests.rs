use super::*;
use crate::embed::Embedding;
use crate::gallery::{PortablePerson, Standing};
use crate::testing::{look_at, person, tag};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("state/gallery.db")
    }

    fn open(&self) -> StoredGallery {
        StoredGallery::open(&self.file(), &tag()).unwrap()
    }

    /// Lets `damage` do something to the file with plain SQL.
    fn with_sql(&self, sql: &str) {
        Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }

    /// Every file of the folder that contains `bytes`.
    fn containing(&self, bytes: &[u8]) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.file().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| std::fs::read(file).unwrap().windows(bytes.len()).any(|found| found == bytes)).collect()
    }
}

fn look(look: &Embedding, source: &str) -> Reference {
    Reference { look: look.clone(), quality: 0.75, stamp: Stamp::from_nanos(7_000_000_001), source: source.into() }
}

fn named(name: &str) -> NewPerson {
    NewPerson { name: name.into(), consent: true, ..NewPerson::default() }
}

fn names(gallery: &StoredGallery) -> Vec<Option<String>> {
    let mut names: Vec<_> = gallery.list().into_iter().map(|record| record.name).collect();
    names.sort();
    names
}

#[test]
fn everything_is_there_again_after_a_restart() {
    let folder = Folder::new();
    let mut gallery = folder.open();
    let anna = gallery.create(&named(" Anna "), &[look(&person(0), "a"), look(&look_at(0, 0.8), "b")]).unwrap();
    let ben = gallery.create(&NewPerson::default(), &[look(&person(1), "c")]).unwrap();
    let poster = NewPerson { kind: Kind::Negative, ..NewPerson::default() };
    let poster = gallery.create(&poster, &[look(&person(2), "d")]).unwrap();
    gallery.learn(ben, &[look(&look_at(1, 0.9), "e")], "Ben", false).unwrap();
    gallery.seen(anna, Stamp::from_nanos(9_000_000_000), 2, None).unwrap();
    let before = (gallery.list(), gallery.memory().references(anna));
    drop(gallery);

    let mut gallery = folder.open();
    assert!(before.0 == gallery.list() && before.1 == gallery.memory().references(anna));
    let record = gallery.memory().record(anna).unwrap();
    assert_eq!((record.name.as_deref(), record.encounters, record.references), (Some("Anna"), 2, 2));
    assert_eq!((record.first_seen.nanos(), record.last_seen.nanos()), (7_000_000_001, 9_000_000_000));
    assert_eq!(record.consent, Some(Stamp::from_nanos(7_000_000_001)));
    assert_eq!(gallery.memory().standing(poster), Some(Standing::Negative));
    let found = gallery.memory().search(&look_at(1, 0.9), 1).unwrap();
    assert_eq!(found[0].person_id, ben);
    let new = gallery.create(&NewPerson::default(), &[look(&person(3), "f")]).unwrap();
    assert!(![anna, ben, poster].contains(&new), "an id was given twice");
    assert_eq!(StoredGallery::model_in(&folder.file()).unwrap(), Some(tag()));
}

#[test]
fn files_are_for_the_user_alone() {
    let folder = Folder::new();
    let mut gallery = folder.open();
    gallery.create(&named("Anna"), &[look(&person(0), "a")]).unwrap();
    let modes = || -> Vec<u32> {
        let files = std::fs::read_dir(folder.file().parent().unwrap()).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777).collect()
    };
    assert_eq!(modes(), [0o600; 3], "the file, its log and the log's index");
    drop(gallery);
    std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(folder.open());
    assert_eq!(modes(), [0o600]);
}

#[test]
fn a_merged_id_stays_valid_and_is_forgotten_with_the_person() {
    let folder = Folder::new();
    let mut gallery = folder.open();
    let anna = gallery.create(&named("Anna"), &[look(&person(0), "a")]).unwrap();
    let other = gallery.create(&NewPerson::default(), &[look(&look_at(0, 0.9), "b")]).unwrap();
    let third = gallery.create(&NewPerson::default(), &[look(&look_at(0, 0.95), "c")]).unwrap();
    assert_eq!(gallery.merge(other, third).unwrap(), (other, third));
    assert_eq!(gallery.merge(anna, third).unwrap(), (anna, other), "an alias means its person");
    assert_eq!(gallery.merge(anna, other), Err(GalleryError::SamePerson(anna)));
    drop(gallery);
    let mut gallery = folder.open();
    let record = gallery.memory().record(anna).unwrap().clone();
    assert_eq!((record.references, record.aliases.len(), record.name.as_deref()), (3, 2, Some("Anna")));
    assert_eq!(gallery.set_name(third, "Ann").unwrap(), anna);
    let (forgotten, receipt) = gallery.forget(other).unwrap();
    assert_eq!(forgotten, anna);
    assert_eq!(receipt.lines(), ["people: 1", "references: 3", "names: 1", "aliases: 2"]);
    assert_eq!(receipt.left, None);
    for id in [anna, other, third] {
        assert_eq!(gallery.memory().resolve(id), Err(GalleryError::UnknownPerson(id)));
        assert!(folder.containing(id.as_str().as_bytes()).is_empty());
    }
    assert!(folder.open().list().is_empty());
}

#[test]
fn nothing_of_a_forgotten_person_is_left_in_any_file() {
    let folder = Folder::new();
    let mut gallery = folder.open();
    // Enough others that pages split, and vectors that no other person has.
    let vector = |seed: usize| {
        let mut state = 0x9E37_79B9_u32.wrapping_mul(seed as u32 + 1);
        let values = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 - 2e9
        });
        look(&Embedding::new(values.take(128).collect(), tag()).unwrap(), &format!("picture {seed}.jpg"))
    };
    let mut people = Vec::new();
    for who in 0..60 {
        let looks: Vec<_> = (0..4).map(|at| vector(who * 4 + at)).collect();
        people.push(gallery.create(&named(&format!("Friend{who:03}")), &looks).unwrap());
    }
    for who in [31, 0, 59, 30] {
        let bytes: Vec<u8> = vector(who * 4 + 1).look.unit().iter().flat_map(|value| value.to_le_bytes()).collect();
        let name = format!("Friend{who:03}");
        assert!(!folder.containing(&bytes[256..288]).is_empty() && !folder.containing(name.as_bytes()).is_empty());
        gallery.set_name(people[who], &format!("{name}changed")).unwrap();
        let (_, receipt) = gallery.forget(people[who]).unwrap();
        assert_eq!((receipt.left, gallery.list().len() + 1), (None, gallery.list().len() + 1));
        for chunk in bytes.chunks_exact(32) {
            assert!(folder.containing(chunk).is_empty(), "part of a vector is left");
        }
        for text in
            [name.as_bytes(), people[who].as_str().as_bytes(), format!("picture {}.jpg", who * 4 + 1).as_bytes()]
        {
            assert!(folder.containing(text).is_empty(), "{} is left", String::from_utf8_lossy(text));
        }
    }
    assert_eq!(gallery.list().len(), 56);
    // The same picture under two people: it is the other's, too.
    let twin = gallery.create(&named("Twin"), &[vector(5)]).unwrap();
    assert_eq!(gallery.forget(twin).unwrap().1.left, None);
    let receipt = gallery.forget_all().unwrap();
    assert_eq!(receipt.lines()[..2], ["people: 56", "references: 224"]);
    assert!(folder.containing(b"Friend0").is_empty() && folder.containing(b"picture ").is_empty());
}

#[test]
fn two_programs_may_use_one_gallery() {
    let folder = Folder::new();
    let (mut node, mut cli) = (folder.open(), folder.open());
    let anna = cli.create(&named("Anna"), &[look(&person(0), "a")]).unwrap();
    assert!(node.list().is_empty());
    let revision = node.revision();
    assert_eq!(node.refresh().unwrap(), [Update::Created(anna)]);
    assert!(node.revision() > revision);
    assert_eq!(node.refresh().unwrap(), []);
    assert_eq!(node.memory().search(&person(0), 1).unwrap()[0].person_id, anna);

    // A change is planned on what is true by then, also without a refresh before it.
    let ben = node.create(&named("Ben"), &[look(&person(1), "b")]).unwrap();
    assert_eq!(cli.set_name(ben, "Benjamin").unwrap(), ben);
    let carl = cli.create(&named("Carl"), &[look(&person(2), "c")]).unwrap();
    assert!(carl != ben && carl != anna);
    let news = node.refresh().unwrap();
    assert!(
        news.len() == 2 && news.contains(&Update::Renamed(ben)) && news.contains(&Update::Created(carl)),
        "{news:?}"
    );
    cli.merge(anna, carl).unwrap();
    assert_eq!(node.refresh().unwrap(), [Update::Merged { keep: anna, absorb: carl }, Update::Changed(anna)]);
    assert_eq!(node.memory().resolve(carl), Ok(anna));
    let (_, receipt) = cli.forget(anna).unwrap();
    assert_eq!(receipt.left, None, "the other program's connection is in the way");
    assert_eq!(node.set_name(anna, "Anne"), Err(GalleryError::UnknownPerson(anna)), "forgotten by the other");
    assert_eq!(node.refresh().unwrap(), [Update::Gone(anna)]);
    assert_eq!((names(&node), names(&cli)), (vec![Some("Benjamin".into())], vec![Some("Benjamin".into())]));
    assert_eq!(node.reserve_faces(10).unwrap(), Some(0));
    assert_eq!(cli.reserve_faces(10).unwrap(), Some(10));
}

#[test]
fn strangers_expire_and_a_name_keeps_them() {
    let folder = Folder::new();
    let mut gallery = folder.open();
    let until = |secs: i64| Some(Stamp::from_nanos(secs * 1_000_000_000));
    let stranger = |expires| NewPerson { kind: Kind::Stranger, expires, ..NewPerson::default() };
    let first = gallery.create(&stranger(until(20)), &[look(&person(0), "a")]).unwrap();
    let second = gallery.create(&stranger(until(10)), &[look(&person(1), "b")]).unwrap();
    let third = gallery.create(&stranger(until(10)), &[look(&person(2), "c")]).unwrap();
    assert_eq!(gallery.memory().standing(first), Some(Standing::Anonymous));
    gallery.set_name(third, "Carl").unwrap();
    gallery.seen(second, Stamp::from_nanos(9_000_000_000), 1, until(33)).unwrap();
    drop(gallery);
    let gallery = folder.open();
    let expired = |secs: i64| gallery.expired(Stamp::from_nanos(secs * 1_000_000_000));
    assert_eq!((expired(19), expired(20), expired(33)), (vec![], vec![first], vec![first, second]));
    assert_eq!(gallery.memory().standing(third), Some(Standing::Named));
}

#[test]
fn what_is_exported_can_be_imported_elsewhere_with_its_id() {
    let (from, to) = (Folder::new(), Folder::new());
    let mut gallery = from.open();
    let anna = gallery.create(&named("Anna"), &[look(&look_at(0, 0.7), "a"), look(&person(0), "b")]).unwrap();
    let other = gallery.create(&NewPerson::default(), &[look(&look_at(0, 0.9), "c")]).unwrap();
    gallery.merge(anna, other).unwrap();
    let json = PortablePerson::of(gallery.memory(), anna).unwrap().to_json().unwrap();
    let mut copy = to.open();
    let unpack = || PortablePerson::read(&json).unwrap().remove(0).unpack(&tag()).unwrap();
    let (record, references) = unpack();
    assert_eq!(copy.import(&record, &references), Ok(anna));
    assert!(copy.list() == gallery.list() && copy.memory().references(anna) == gallery.memory().references(anna));
    // The same id in another gallery may be somebody else.
    let namesake = copy.import(&record, &references).unwrap();
    assert!(namesake != anna && copy.memory().record(namesake).unwrap().aliases.is_empty());
    let new = copy.create(&NewPerson::default(), &[look(&person(1), "d")]).unwrap();
    assert!(new != anna && new != other);
    copy.forget(anna).unwrap();
    let again = copy.create(&NewPerson::default(), &[look(&person(2), "e")]).unwrap();
    assert!(![anna, other, new].contains(&again), "an imported id was given again");
    let other_model = ModelTag::new("another", "feedbeef");
    assert!(matches!(
        PortablePerson::read(&json).unwrap().remove(0).unpack(&other_model),
        Err(GalleryError::OtherModel { .. })
    ));
    for text in
        ["", "{}", "[1]", "{\"rostro_person\": 2}", &json.replace("\"rostro_person\": 1", "\"rostro_person\": 2")]
    {
        assert!(matches!(PortablePerson::read(text), Err(GalleryError::NotAnExport(_))), "{text}");
    }
}

/// What a gallery that cannot be used says.
fn refusal(folder: &Folder) -> String {
    StoredGallery::open(&folder.file(), &tag()).err().unwrap().to_string()
}

#[test]
fn files_that_cannot_be_used_say_what_to_do() {
    let folder = Folder::new();
    drop(folder.open());
    folder.with_sql("PRAGMA user_version = 99");
    let newer = refusal(&folder);
    assert!(newer.contains("newer rostro") && newer.contains("99") && newer.contains("update"), "{newer}");
    assert!(StoredGallery::read(&folder.file(), &tag()).is_err());

    let folder = Folder::new();
    folder.open().create(&named("Anna"), &[look(&person(0), "a")]).unwrap();
    let other = StoredGallery::open(&folder.file(), &ModelTag::new("another", "feedbeef")).err().unwrap().to_string();
    assert!(other.contains("made-up@01234567") && other.contains("identity.model"), "{other}");
    folder.with_sql("UPDATE reference SET model = 'another@feedbeef'");
    assert!(refusal(&folder).contains("another network"));
    folder.with_sql("UPDATE reference SET model = 'made-up@01234567', vector = zeroblob(64)");
    assert!(refusal(&folder).contains("length 0.000"));
    folder.with_sql("UPDATE reference SET vector = x'0000803f'; UPDATE person SET kind = 9");
    assert!(refusal(&folder).contains("unknown kind"));

    let folder = Folder::new();
    std::fs::create_dir_all(folder.file().parent().unwrap()).unwrap();
    std::fs::write(folder.file(), "Dear diary, this is no gallery at all. ".repeat(100)).unwrap();
    assert!(refusal(&folder).contains("is not a gallery"));
    std::fs::remove_file(folder.file()).unwrap();
    Connection::open(folder.file()).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    assert!(refusal(&folder).contains("is not a gallery"));
    std::fs::remove_file(folder.file()).unwrap();
    assert!(matches!(StoredGallery::read(&folder.file(), &tag()), Err(StoreError::Missing { .. })));
    std::fs::create_dir(folder.file()).unwrap();
    assert!(refusal(&folder).contains("is not a gallery"));
}

#[test]
fn damaged_pages_are_noticed_when_the_file_is_opened() {
    let folder = Folder::new();
    let mut gallery = folder.open();
    for who in 0..8 {
        let looks: Vec<_> = (0..10).map(|at| look(&look_at(who, 0.5 + 0.04 * at as f32), "a")).collect();
        gallery.create(&named("somebody"), &looks).unwrap();
    }
    drop(gallery);
    let whole = std::fs::read(folder.file()).unwrap();
    let pages = whole.len() / 4096;
    let mut noticed = 0;
    for page in 0..pages {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xA5);
        std::fs::write(folder.file(), bytes).unwrap();
        match StoredGallery::open(&folder.file(), &tag()) {
            Err(StoreError::Damaged { .. } | StoreError::NotAGallery { .. }) => noticed += 1,
            Err(other) => panic!("page {page}: {other}"),
            // A page that is free holds nothing that could be damaged.
            Ok(gallery) => assert_eq!(gallery.list().len(), 8, "page {page}"),
        }
    }
    assert!(noticed + 1 >= pages, "{noticed} of {pages}");
    std::fs::write(folder.file(), &whole[..whole.len() / 2]).unwrap();
    let cut = refusal(&folder);
    assert!(cut.contains("damaged") && cut.contains("backup"), "{cut}");
}

#[test]
fn a_full_disk_changes_nothing_and_a_locked_file_is_waited_for() {
    let folder = Folder::new();
    let mut gallery = folder.open();
    let anna = gallery.create(&named("Anna"), &[look(&person(0), "a")]).unwrap();
    gallery.limit_pages(12);
    let many: Vec<_> = (0..200).map(|at| look(&look_at(1, 0.5 + 0.002 * at as f32), "b")).collect();
    let full = gallery.create(&named("Ben"), &many).unwrap_err().to_string();
    assert!(full.contains("disk is full") && full.contains("free some space"), "{full}");
    assert_eq!((gallery.list().len(), folder.open().list().len()), (1, 1));
    gallery.set_name(anna, "Anne").unwrap();

    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    gallery.wait_at_most(std::time::Duration::from_millis(50));
    let locked = gallery.set_name(anna, "Annie").unwrap_err().to_string();
    assert!(locked.contains("locked") && locked.contains("try again"), "{locked}");
    assert_eq!(names(&gallery), [Some("Anne".into())]);
    other.execute_batch("ROLLBACK").unwrap();
    gallery.set_name(anna, "Annie").unwrap();
}

#[test]
fn names_are_trimmed_and_bad_ones_refused() {
    let folder = Folder::new();
    let mut gallery = folder.open();
    let anna = gallery.create(&named("Anna"), &[look(&person(0), "a")]).unwrap();
    for bad in ["a\nb", "\u{7}", &"x".repeat(201)] {
        assert_eq!(gallery.set_name(anna, bad), Err(GalleryError::InvalidName));
        assert_eq!(gallery.create(&named(bad), &[look(&person(1), "b")]), Err(GalleryError::InvalidName));
    }
    assert_eq!(gallery.create(&named("Ben"), &[]), Err(GalleryError::NoLooks));
    gallery.set_name(anna, "  ").unwrap();
    assert_eq!(names(&gallery), [None]);
}
