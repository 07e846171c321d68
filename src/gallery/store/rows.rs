//! People and references as rows, and back.

use super::Kept;
use super::error::{Failed, StoreError};
use crate::embed::{Embedding, ModelTag};
use crate::gallery::change::Change;
use crate::gallery::memory::MemoryGallery;
use crate::gallery::record::{Kind, PersonRecord, Reference};
use crate::ids::PersonId;
use crate::time::Stamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Distance from 1 of a vector's length that rounding explains.
const LENGTH_TOLERANCE: f64 = 1e-3;

const PERSON: &str = "id, name, kind, consent, first_seen, last_seen, encounters, expires";
const REFERENCE: &str = "person, model, quality, stamp, source, vector";

/// Writes a change; `after` is the person's record once it is made.
pub(super) fn write(
    connection: &Connection,
    change: &Change,
    after: Option<&PersonRecord>,
    revision: i64,
) -> rusqlite::Result<()> {
    match change {
        Change::Forget { person } => {
            connection.prepare_cached("DELETE FROM person WHERE id = ?1")?.execute([person.as_str()])?;
        }
        Change::ForgetAll => {
            connection.execute("DELETE FROM person", [])?;
        }
        Change::Merge { keep, absorb } => {
            let give = "UPDATE reference SET person = ?1 WHERE person = ?2";
            connection.execute(give, [keep.as_str(), absorb.as_str()])?;
            connection.execute("DELETE FROM person WHERE id = ?1", [absorb.as_str()])?;
        }
        Change::Create { next_person, .. } => count_from(connection, *next_person)?,
        Change::Learn { .. } | Change::Name { .. } | Change::Seen { .. } => {}
    }
    if let Some(record) = after {
        put(connection, record, revision)?;
    }
    if let Change::Create { references, .. } | Change::Learn { references, .. } = change
        && let Some(record) = after
    {
        append(connection, record.person_id, references)?;
    }
    connection.prepare_cached("UPDATE gallery SET revision = ?1")?.execute([revision])?;
    Ok(())
}

fn put(connection: &Connection, record: &PersonRecord, revision: i64) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO person ({PERSON}, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE \
         SET name = ?2, kind = ?3, consent = ?4, first_seen = ?5, last_seen = ?6, encounters = ?7, expires = ?8, \
         revision = ?9"
    );
    connection.prepare_cached(&sql)?.execute(params![
        record.person_id.as_str(),
        record.name,
        number_of(record.kind),
        record.consent.map(Stamp::nanos),
        record.first_seen.nanos(),
        record.last_seen.nanos(),
        record.encounters,
        record.expires.map(Stamp::nanos),
        revision,
    ])?;
    let mut alias = connection
        .prepare_cached("INSERT INTO alias (id, person) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET person = ?2")?;
    for id in &record.aliases {
        alias.execute([id.as_str(), record.person_id.as_str()])?;
    }
    Ok(())
}

fn append(connection: &Connection, person: PersonId, references: &[Reference]) -> rusqlite::Result<()> {
    let sql = format!("INSERT INTO reference ({REFERENCE}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    let mut insert = connection.prepare_cached(&sql)?;
    for Reference { look, quality, stamp, source } in references {
        let vector: Vec<u8> = look.unit().iter().flat_map(|value| value.to_le_bytes()).collect();
        insert.execute(params![person.as_str(), look.model().as_str(), quality, stamp.nanos(), source, vector])?;
    }
    Ok(())
}

/// Everything, as the gallery that searches. The transaction is the caller's.
pub(super) fn load(connection: &Connection, path: &Path, model: &ModelTag) -> Result<MemoryGallery, StoreError> {
    let mut gallery = MemoryGallery::new(model.clone(), next_person(connection).failed("read", path)?);
    let reader = Reader { path, model };
    for (_, record) in reader.people(connection, -1)? {
        gallery.insert(record);
    }
    let mut statement =
        connection.prepare(&format!("SELECT {REFERENCE} FROM reference ORDER BY id")).failed("read", path)?;
    let mut rows = statement.query([]).failed("read", path)?;
    let mut unit = Vec::new();
    while let Some(row) = rows.next().failed("read", path)? {
        let (person, quality, stamp) = reader.reference(row, &mut unit)?;
        let source = row.get_ref(4).failed("read", path)?.as_str().unwrap_or_default();
        if !gallery.restore(person, quality, stamp, source, &unit) {
            return Err(reader.damaged(&format!("the looks at {person} do not fit the others")));
        }
    }
    Ok(gallery)
}

/// Everybody who was changed after `revision`.
pub(super) fn changed_since(
    connection: &Connection,
    path: &Path,
    model: &ModelTag,
    revision: i64,
) -> Result<Vec<Kept>, StoreError> {
    let reader = Reader { path, model };
    let people = reader.people(connection, revision)?.into_values();
    people
        .map(|record| reader.references(connection, record.person_id).map(|references| (record, references)))
        .collect()
}

/// The ids of everybody.
pub(super) fn ids(connection: &Connection, path: &Path) -> Result<BTreeSet<PersonId>, StoreError> {
    let ids = || -> rusqlite::Result<Vec<String>> {
        connection.prepare("SELECT id FROM person")?.query_map([], |row| row.get(0))?.collect()
    };
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
    let parsed = ids().failed("read", path)?.into_iter().map(|id| PersonId::parse(&id));
    parsed.collect::<Result<_, _>>().map_err(|error| damaged(error.to_string()))
}

/// Reads rows, and says which gallery is damaged when they make no sense.
struct Reader<'a> {
    path: &'a Path,
    model: &'a ModelTag,
}

impl Reader<'_> {
    /// The people changed after `revision`, without references.
    fn people(&self, connection: &Connection, revision: i64) -> Result<BTreeMap<String, PersonRecord>, StoreError> {
        let mut people = BTreeMap::new();
        let sql = format!("SELECT {PERSON} FROM person WHERE revision > ?1");
        let mut statement = connection.prepare(&sql).failed("read", self.path)?;
        let mut rows = statement.query([revision]).failed("read", self.path)?;
        while let Some(row) = rows.next().failed("read", self.path)? {
            let record = self.person(row)?;
            people.insert(record.person_id.to_string(), record);
        }
        let mut statement =
            connection.prepare("SELECT person, id FROM alias ORDER BY person, id").failed("read", self.path)?;
        let mut rows = statement.query([]).failed("read", self.path)?;
        while let Some(row) = rows.next().failed("read", self.path)? {
            let (person, alias): (String, String) = (self.get(row, 0)?, self.get(row, 1)?);
            if let Some(record) = people.get_mut(&person) {
                record.aliases.push(self.id(&alias)?);
                record.aliases.sort_unstable();
            }
        }
        Ok(people)
    }

    fn person(&self, row: &Row<'_>) -> Result<PersonRecord, StoreError> {
        let stamp = |column| self.get::<Option<i64>>(row, column).map(|nanos| nanos.map(Stamp::from_nanos));
        let id: String = self.get(row, 0)?;
        let kind: i64 = self.get(row, 2)?;
        let kind = kind_of(kind).ok_or_else(|| self.damaged(&format!("{id} is of the unknown kind {kind}")))?;
        Ok(PersonRecord {
            person_id: self.id(&id)?,
            name: self.get(row, 1)?,
            kind,
            consent: stamp(3)?,
            first_seen: stamp(4)?.unwrap_or_default(),
            last_seen: stamp(5)?.unwrap_or_default(),
            encounters: self.get(row, 6)?,
            expires: stamp(7)?,
            aliases: Vec::new(),
            references: 0,
        })
    }

    fn references(&self, connection: &Connection, person: PersonId) -> Result<Vec<Reference>, StoreError> {
        let sql = format!("SELECT {REFERENCE} FROM reference WHERE person = ?1 ORDER BY id");
        let mut statement = connection.prepare_cached(&sql).failed("read", self.path)?;
        let mut rows = statement.query([person.as_str()]).failed("read", self.path)?;
        let (mut references, mut unit) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next().failed("read", self.path)? {
            let (_, quality, stamp) = self.reference(row, &mut unit)?;
            let look = Embedding::new(unit.clone(), self.model.clone());
            let look = look.map_err(|error| self.damaged(&error.to_string()))?;
            references.push(Reference { look, quality, stamp, source: self.get(row, 4)? });
        }
        Ok(references)
    }

    /// Checks a reference; its vector goes into `unit`.
    fn reference(&self, row: &Row<'_>, unit: &mut Vec<f32>) -> Result<(PersonId, f32, Stamp), StoreError> {
        let text = |column: usize| row.get_ref(column).failed("read", self.path);
        let person = text(0)?.as_str().map(|id| self.id(id));
        let person = person.map_err(|error| self.damaged(&error.to_string()))??;
        if text(1)?.as_str().ok() != Some(self.model.as_str()) {
            return Err(self.damaged(&format!("a look at {person} was made by another network than the rest")));
        }
        unit.clear();
        if let ValueRef::Blob(bytes) = text(5)? {
            unit.extend(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        let length = unit.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        // Written so that a length that is not a number fails, too.
        let is_unit = (length - 1.0).abs() < LENGTH_TOLERANCE;
        if !is_unit {
            return Err(self.damaged(&format!("a look at {person} has the length {length:.3} instead of 1")));
        }
        let quality: f64 = self.get(row, 2)?;
        Ok((person, quality as f32, Stamp::from_nanos(self.get(row, 3)?)))
    }

    fn get<T: rusqlite::types::FromSql>(&self, row: &Row<'_>, column: usize) -> Result<T, StoreError> {
        row.get(column).failed("read", self.path)
    }

    fn id(&self, text: &str) -> Result<PersonId, StoreError> {
        PersonId::parse(text).map_err(|error| self.damaged(&error.to_string()))
    }

    fn damaged(&self, reason: &str) -> StoreError {
        StoreError::Damaged { path: self.path.to_owned(), reason: reason.to_owned() }
    }
}

/// The network whose looks are stored, if there are any.
pub(super) fn model(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let stored = "SELECT model FROM gallery WHERE EXISTS (SELECT 1 FROM reference)";
    Ok(connection.query_row(stored, [], |row| row.get(0)).optional()?.flatten())
}

/// Refuses the looks of another network.
pub(super) fn check_model(connection: &Connection, path: &Path, wanted: &ModelTag) -> Result<(), StoreError> {
    match model(connection).failed("read", path)? {
        Some(found) if found != wanted.as_str() => {
            Err(StoreError::OtherModel { path: path.to_owned(), found, wanted: wanted.clone() })
        }
        _ => Ok(()),
    }
}

/// An empty gallery is for whatever network is in use.
pub(super) fn adopt_model(connection: &Connection, wanted: &ModelTag) -> rusqlite::Result<()> {
    let adopt = "UPDATE gallery SET model = ?1 WHERE model IS NOT ?1 AND NOT EXISTS (SELECT 1 FROM reference)";
    connection.execute(adopt, [wanted.as_str()]).map(|_| ())
}

pub(super) fn revision(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT revision FROM gallery")?.query_row([], |row| row.get(0))
}

pub(super) fn next_person(connection: &Connection) -> rusqlite::Result<u64> {
    let number: i64 = connection.query_row("SELECT next_person FROM gallery", [], |row| row.get(0))?;
    Ok(number.max(0) as u64)
}

/// Numbers of people below this one are used up.
pub(super) fn count_from(connection: &Connection, next_person: u64) -> rusqlite::Result<()> {
    let count = "UPDATE gallery SET next_person = max(next_person, ?1)";
    connection.prepare_cached(count)?.execute([next_person as i64]).map(|_| ())
}

/// Sets `count` face ids aside and returns the number of the first.
pub(super) fn reserve_faces(connection: &Connection, count: u64) -> rusqlite::Result<u64> {
    let reserve = "UPDATE gallery SET next_face = next_face + ?1 RETURNING next_face - ?1";
    let first: i64 = connection.query_row(reserve, [count as i64], |row| row.get(0))?;
    Ok(first.max(0) as u64)
}

/// What SQLite's own check finds wrong; nothing when all is well. `thorough` compares every index
/// with its table, too.
pub(super) fn damage(connection: &Connection, thorough: bool) -> rusqlite::Result<Vec<String>> {
    let check = if thorough { "PRAGMA integrity_check(10)" } else { "PRAGMA quick_check(1)" };
    let lines: Vec<String> = connection.prepare(check)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

const fn number_of(kind: Kind) -> i64 {
    match kind {
        Kind::Person => 0,
        Kind::Stranger => 1,
        Kind::Negative => 2,
    }
}

const fn kind_of(number: i64) -> Option<Kind> {
    match number {
        0 => Some(Kind::Person),
        1 => Some(Kind::Stranger),
        2 => Some(Kind::Negative),
        _ => None,
    }
}
