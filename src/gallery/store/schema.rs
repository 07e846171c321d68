//! The tables, their version, and the file they are in.
//!
//! `user_version` counts schemas. A file of an earlier one is brought up to date when it is opened
//! for writing, all at once or not at all; a file of a later one is refused, as guessing what its
//! columns mean could lose people.

use super::error::{Failed, StoreError};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Marks a SQLite file as a gallery: "rstr".
const APPLICATION_ID: i64 = 0x7273_7472;

/// One step per schema, from the empty file on. Never changed, only added to.
pub(super) const MIGRATIONS: [&str; 1] = ["
CREATE TABLE gallery (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    model TEXT,                     -- name@hash8 of the embedder; NULL while nobody is stored
    next_person INTEGER NOT NULL,   -- number of the person to come
    next_face INTEGER NOT NULL,     -- number of the first face id not reserved yet
    revision INTEGER NOT NULL       -- rises with every change
) STRICT;
INSERT INTO gallery VALUES (1, NULL, 0, 0, 0);
CREATE TABLE person (
    id TEXT PRIMARY KEY,
    name TEXT,
    kind INTEGER NOT NULL,          -- 0 person, 1 stranger, 2 not a person
    consent INTEGER,                -- stamps: nanoseconds since 1970
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    encounters INTEGER NOT NULL,
    expires INTEGER,
    revision INTEGER NOT NULL       -- of the latest change
) STRICT, WITHOUT ROWID;
CREATE INDEX person_by_revision ON person (revision);
CREATE TABLE alias (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_by_person ON alias (person);
CREATE TABLE reference (
    id INTEGER PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    quality REAL NOT NULL,
    stamp INTEGER NOT NULL,
    source TEXT NOT NULL,
    vector BLOB NOT NULL            -- unit vector, 32-bit floats, little endian
) STRICT;
CREATE INDEX reference_by_person ON reference (person);
"];

/// The schema of this version.
const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// Makes folder and file when they are missing, for the user alone.
pub(super) fn prepare_file(path: &Path) -> Result<(), StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).failed("make", path)?;
    }
    if path.is_dir() {
        return Err(StoreError::NotAGallery { path: path.to_owned() });
    }
    // A file that exists is left to SQLite: to close it here would drop the locks that another
    // connection of this process holds on it. The -wal and -shm files get the mode of the file itself.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error).failed("make", path),
        _ => make_private(path),
    }
}

/// Takes the rights of everybody else away, also from a file that was copied here.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    for file in parts(path) {
        let Ok(metadata) = std::fs::metadata(&file) else { continue };
        if metadata.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).failed("protect", path)?;
        }
    }
    Ok(())
}

/// The file, its log and the log's index.
pub(super) fn parts(path: &Path) -> [PathBuf; 4] {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    [path.to_owned(), beside("-wal"), beside("-shm"), beside("-journal")]
}

/// Sets up the connection and brings the tables up to date.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    // Before the first write: a file that is not ours stays as it is.
    check_version(connection, path)?;
    let set_up = || -> rusqlite::Result<()> {
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Sorting and rewriting happen in memory: no copy of anything lands in a temporary folder.
        connection.pragma_update(None, "temp_store", "MEMORY")
    };
    set_up().failed("open", path)?;
    migrate(connection).failed("write", path)
}

fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    if version(connection)? == SCHEMA {
        return Ok(());
    }
    let step = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another program may have done it meanwhile.
    let found = version(&step)?;
    for migration in MIGRATIONS.iter().skip(found.max(0) as usize) {
        step.execute_batch(migration)?;
    }
    step.pragma_update(None, "application_id", APPLICATION_ID)?;
    step.pragma_update(None, "user_version", SCHEMA)?;
    step.commit()
}

/// Refuses what is no gallery, or one of a later version.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = version(connection).failed("read", path)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).failed("read", path)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).failed("read", path)?;
    let is_empty = tables == 0 && found == 0;
    if application != APPLICATION_ID && !is_empty {
        return Err(StoreError::NotAGallery { path: path.to_owned() });
    }
    if found > SCHEMA {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA });
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A connection that cannot write. In a folder that cannot be written either, and without a log to
/// read, the file is taken as it lies there.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).failed("read", path)?;
    let first_read = version(&connection);
    let [_, log, ..] = parts(path);
    if first_read.is_ok() || std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Ok(connection);
    }
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = format!("file:{escaped}?immutable=1");
    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI).failed("read", path)
}
