//! The file that keeps the gallery: SQLite with a write-ahead log, every change synced to the disk
//! before it is acknowledged, nothing left behind of what is deleted.

mod error;
mod rows;
mod schema;
mod trace;

pub use error::StoreError;
pub(super) use trace::Traces;

use super::change::Change;
use super::memory::MemoryGallery;
use super::record::{PersonRecord, Reference};
use crate::embed::ModelTag;
use crate::ids::PersonId;
use error::Failed;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long what somebody asked for waits for another program that writes.
const PATIENT: Duration = Duration::from_secs(5);
/// How long the robot waits between two frames for what can be written later.
const IMPATIENT: Duration = Duration::from_millis(20);

/// Somebody as they stand in the file.
pub(super) type Kept = (PersonRecord, Vec<Reference>);

/// An open gallery file. One program may hold several, and several programs one file.
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
    model: ModelTag,
    /// `PRAGMA data_version` when the file was last read: it changes when another connection writes.
    data_version: i64,
    /// Number of the latest change that was read or made.
    revision: i64,
    /// Everybody who was there then.
    known: BTreeSet<PersonId>,
}

/// One change as it goes into the file.
pub(super) struct Step {
    pub(super) change: Change,
    /// The person's record once it is made.
    pub(super) after: Option<PersonRecord>,
}

/// What another program changed.
#[derive(Default)]
pub(super) struct News {
    /// Who is not there any more, and into whom they were merged.
    pub(super) gone: Vec<(PersonId, Option<PersonId>)>,
    /// Who is new or changed.
    pub(super) people: Vec<Kept>,
    pub(super) next_person: u64,
}

impl Store {
    /// Opens the gallery for looks of this network, or makes an empty one, private to the user.
    pub(super) fn open(path: &Path, model: &ModelTag) -> Result<(Self, MemoryGallery), StoreError> {
        schema::prepare_file(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).failed("open", path)?;
        connection.busy_timeout(PATIENT).failed("open", path)?;
        schema::prepare(&connection, path)?;
        let mut store = Self {
            path: path.to_owned(),
            connection,
            model: model.clone(),
            data_version: 0,
            revision: 0,
            known: BTreeSet::new(),
        };
        if let Some(reason) = rows::damage(&store.connection, false).failed("check", path)?.into_iter().next() {
            return Err(StoreError::Damaged { path: path.to_owned(), reason });
        }
        store.adopt_model()?;
        let gallery = store.load()?;
        // What an interrupted forgetting left in the log goes now, unless another program reads it: then
        // it goes with the last one to close the file.
        let _ = store.empty_log();
        schema::make_private(path)?;
        Ok((store, gallery))
    }

    /// What is in the file, without ever writing to it.
    pub(super) fn read(path: &Path, model: &ModelTag) -> Result<MemoryGallery, StoreError> {
        let connection = schema::open_for_reading(path)?;
        connection.busy_timeout(PATIENT).failed("read", path)?;
        schema::check_version(&connection, path)?;
        // One transaction, so that people and references belong together.
        connection.execute_batch("BEGIN").failed("read", path)?;
        rows::check_model(&connection, path, model)?;
        rows::load(&connection, path, model)
    }

    /// The network whose looks are in the file; `None` while nobody is.
    pub(super) fn model_of(path: &Path) -> Result<Option<String>, StoreError> {
        let connection = schema::open_for_reading(path)?;
        connection.busy_timeout(PATIENT).failed("read", path)?;
        schema::check_version(&connection, path)?;
        rows::model(&connection).failed("read", path)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets for how long the next calls wait for other programs that write.
    pub(super) fn be_patient(&self, is_patient: bool) -> Result<(), StoreError> {
        let wait = if is_patient { PATIENT } else { IMPATIENT };
        self.connection.busy_timeout(wait).failed("open", &self.path)
    }

    /// Waits until no other program writes, keeps others from writing, and hands over what they changed.
    pub(super) fn begin(&mut self) -> Result<Option<News>, StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE").failed("write", &self.path)?;
        self.news().inspect_err(|_| self.rollback())
    }

    /// Makes all steps durable, or none, and lets others write again.
    pub(super) fn commit(&mut self, steps: &[Step]) -> Result<(), StoreError> {
        if steps.is_empty() {
            self.rollback();
            return Ok(());
        }
        let revision = self.revision + 1;
        let mut written = steps
            .iter()
            .try_for_each(|Step { change, after }| rows::write(&self.connection, change, after.as_ref(), revision));
        written = written.and_then(|()| self.connection.execute_batch("COMMIT"));
        written.failed("write", &self.path).inspect_err(|_| self.rollback())?;
        self.revision = revision;
        for Step { change, .. } in steps {
            match change {
                Change::Create { record, .. } => drop(self.known.insert(record.person_id)),
                Change::Forget { person } | Change::Merge { absorb: person, .. } => drop(self.known.remove(person)),
                Change::ForgetAll => self.known.clear(),
                Change::Learn { .. } | Change::Name { .. } | Change::Seen { .. } => {}
            }
        }
        Ok(())
    }

    /// Notes that ids below this number are used up, and lets others write again.
    pub(super) fn use_id(&mut self, next_person: u64) -> Result<(), StoreError> {
        let counted = rows::count_from(&self.connection, next_person);
        let written = counted.and_then(|()| self.connection.execute_batch("COMMIT"));
        written.failed("write", &self.path).inspect_err(|_| self.rollback())
    }

    /// Lets others write again; nothing was changed.
    pub(super) fn rollback(&self) {
        // When the change failed for good, SQLite has rolled back by itself.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// What other programs changed since the last call; `None` when nothing. Costs next to nothing then.
    pub(super) fn refresh(&mut self) -> Result<Option<News>, StoreError> {
        if self.version()? == self.data_version {
            return Ok(None);
        }
        self.connection.execute_batch("BEGIN").failed("read", &self.path)?;
        let news = self.news();
        self.rollback();
        news
    }

    /// Numbers of face ids from the returned one on, `count` of them, for this program alone.
    pub(super) fn reserve_faces(&mut self, count: u64) -> Result<u64, StoreError> {
        self.be_patient(false)?;
        let reserved = rows::reserve_faces(&self.connection, count).failed("write", &self.path);
        self.be_patient(true)?;
        reserved
    }

    /// Makes sure that nothing of what was deleted is left in any file: writes the file anew, empties
    /// the log, and looks for the traces.
    pub(super) fn erase(&mut self, traces: &Traces) -> Result<(), StoreError> {
        // Deleted rows are overwritten, but copies of them from when pages were split may lie between
        // the rows that stay, former names among them.
        let rewritten = self.connection.execute_batch("VACUUM").failed("rewrite", &self.path);
        let emptied = self.empty_log();
        let Some(file) = trace::find(&self.path, traces)?.into_iter().next() else { return Ok(()) };
        let reason = rewritten.and(emptied).err().map_or_else(|| file.display().to_string(), |error| error.to_string());
        Err(StoreError::TracesLeft { path: self.path.clone(), reason })
    }

    /// What SQLite finds wrong with a file; an empty list when nothing is.
    pub(super) fn damage(path: &Path) -> Result<Vec<String>, StoreError> {
        let connection = schema::open_for_reading(path)?;
        connection.busy_timeout(PATIENT).failed("read", path)?;
        rows::damage(&connection, true).failed("check", path)
    }

    fn version(&self) -> Result<i64, StoreError> {
        self.connection.pragma_query_value(None, "data_version", |row| row.get(0)).failed("read", &self.path)
    }

    fn load(&mut self) -> Result<MemoryGallery, StoreError> {
        self.connection.execute_batch("BEGIN").failed("read", &self.path)?;
        let read = self.load_in_transaction();
        self.rollback();
        read
    }

    fn load_in_transaction(&mut self) -> Result<MemoryGallery, StoreError> {
        let gallery = rows::load(&self.connection, &self.path, &self.model)?;
        self.data_version = self.version()?;
        self.revision = rows::revision(&self.connection).failed("read", &self.path)?;
        self.known = gallery.people().map(|record| record.person_id).collect();
        Ok(gallery)
    }

    /// What others changed, read in the transaction that is open.
    fn news(&mut self) -> Result<Option<News>, StoreError> {
        let failed = |error| StoreError::from_sqlite("read", &self.path, &error);
        let (version, revision) = (self.version()?, rows::revision(&self.connection).map_err(failed)?);
        self.data_version = version;
        if revision == self.revision {
            return Ok(None);
        }
        rows::check_model(&self.connection, &self.path, &self.model)?;
        let now = rows::ids(&self.connection, &self.path)?;
        let people = rows::changed_since(&self.connection, &self.path, &self.model, self.revision)?;
        let merged_into = |gone: &PersonId| {
            people.iter().find(|(record, _)| record.aliases.contains(gone)).map(|(record, _)| record.person_id)
        };
        let gone = self.known.difference(&now).map(|gone| (*gone, merged_into(gone))).collect();
        let next_person = rows::next_person(&self.connection).map_err(failed)?;
        self.revision = revision;
        self.known = now;
        Ok(Some(News { gone, people, next_person }))
    }

    /// An empty gallery takes the network in use; another one's is refused.
    fn adopt_model(&self) -> Result<(), StoreError> {
        rows::adopt_model(&self.connection, &self.model).failed("write", &self.path)?;
        rows::check_model(&self.connection, &self.path, &self.model)
    }

    /// Moves everything from the log into the file and truncates the log.
    fn empty_log(&self) -> Result<(), StoreError> {
        let busy: i64 = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .failed("write", &self.path)?;
        if busy == 0 { Ok(()) } else { Err(StoreError::Busy { action: "empty the log of", path: self.path.clone() }) }
    }
}

#[cfg(test)]
impl Store {
    /// Sets something that tests need otherwise than it is.
    pub(super) fn pragma(&self, name: &str, value: u32) {
        // Some answer with a row, which `pragma_update` does not like.
        self.connection.query_row(&format!("PRAGMA {name} = {value}"), [], |_| Ok(())).unwrap();
    }
}
