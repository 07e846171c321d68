//! rosbag2's sqlite3 files (`.db3`) as slices of time that can be read one at a time.
//!
//! Tables as rosbag2_storage_sqlite3 makes them: `topics(id, name, type, serialization_format, …)` and
//! `messages(id, topic_id, timestamp, data)`.

use super::mcap_file::{Channel, FileIndex, Span};
use rusqlite::{Connection, OpenFlags, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The first bytes of every SQLite file.
pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";
/// A slice is closed once it holds this many bytes of messages.
const SLICE_BYTES: u64 = 4 << 20;

/// Finds out what is where. A [`Span`]'s `offset` and `length` are nanoseconds of log time here.
///
/// # Errors
/// When the file cannot be opened or has not rosbag2's tables. What is damaged further in is told in
/// [`FileIndex::damage`].
pub(super) fn index(path: &Path) -> rusqlite::Result<FileIndex> {
    let bag = open(path)?;
    let mut index = FileIndex { channels: topics(&bag)?, ..FileIndex::default() };
    let mut slices = Slices::default();
    let mut statement =
        bag.prepare("SELECT topic_id, timestamp, length(data) FROM messages WHERE timestamp >= 0 ORDER BY timestamp")?;
    let mut rows = statement.query([])?;
    let scanned = loop {
        match rows.next() {
            Ok(Some(row)) => match MessageRow::of(row) {
                Ok(message) => slices.add(&message),
                Err(error) => break Err(error),
            },
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    for (id, count) in &slices.counts {
        if let Some(channel) = index.channels.get_mut(id) {
            channel.messages = Some(*count);
        }
    }
    index.spans = slices.finish();
    index.damage = scanned.err().map(|error| format!("is damaged: {error}"));
    Ok(index)
}

/// Hands the messages of a slice to `visit`, in the order of their log times: channel id, log time and
/// bytes. On an error, everything readable before it has been visited.
///
/// # Errors
/// What SQLite says about a damaged file.
pub(super) fn read_messages(path: &Path, span: &Span, visit: &mut dyn FnMut(u16, u64, &[u8])) -> rusqlite::Result<()> {
    let bag = open(path)?;
    let mut statement = bag.prepare(
        "SELECT topic_id, timestamp, data FROM messages WHERE timestamp >= ?1 AND timestamp < ?2 ORDER BY timestamp, id",
    )?;
    let (start, end) = (span.offset as i64, span.offset.saturating_add(span.length) as i64);
    let mut rows = statement.query([start, end])?;
    while let Some(row) = rows.next()? {
        let data = row.get_ref(2)?.as_blob()?;
        visit(row.get(0)?, row.get::<_, i64>(1)? as u64, data);
    }
    Ok(())
}

/// Read only. Without a write-ahead log beside it, the file is taken as finished and nothing is made
/// beside it either, so a recording on a read-only disk can be read.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match path.to_str() {
        Some(text) if !Path::new(&log).exists() => {
            let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
        }
        _ => Connection::open_with_flags(path, flags & !OpenFlags::SQLITE_OPEN_URI),
    }
}

fn topics(bag: &Connection) -> rusqlite::Result<BTreeMap<u16, Channel>> {
    let mut statement = bag.prepare("SELECT id, name, type, serialization_format FROM topics")?;
    let channels = statement.query_map([], |row| {
        let channel = Channel { topic: row.get(1)?, schema: row.get(2)?, encoding: row.get(3)?, messages: Some(0) };
        Ok((row.get(0)?, channel))
    })?;
    channels.collect()
}

/// One row of the scan.
struct MessageRow {
    channel: u16,
    time: u64,
    bytes: u64,
}

impl MessageRow {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (time, bytes): (i64, Option<i64>) = (row.get(1)?, row.get(2)?);
        Ok(Self { channel: row.get(0)?, time: time as u64, bytes: bytes.unwrap_or(0) as u64 })
    }
}

/// Slices in the making. Messages of one log time stay together.
#[derive(Default)]
struct Slices {
    done: Vec<Span>,
    open: Option<(Span, BTreeSet<u16>, u64)>,
    counts: BTreeMap<u16, u64>,
}

impl Slices {
    fn add(&mut self, message: &MessageRow) {
        *self.counts.entry(message.channel).or_default() += 1;
        if let Some((span, _, bytes)) = &self.open
            && *bytes >= SLICE_BYTES
            && message.time >= span.offset + span.length
        {
            self.close();
        }
        let new = || Span { offset: message.time, length: 0, start: message.time, channels: None };
        let (span, channels, bytes) = self.open.get_or_insert_with(|| (new(), BTreeSet::new(), 0));
        span.length = message.time - span.offset + 1;
        channels.insert(message.channel);
        *bytes += message.bytes;
    }

    fn close(&mut self) {
        if let Some((span, channels, _)) = self.open.take() {
            self.done.push(Span { channels: Some(channels.into_iter().collect()), ..span });
        }
    }

    fn finish(mut self) -> Vec<Span> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as rosbag2 makes it, with messages of these topics and log times, 1 MB each.
    fn recording(path: &Path, messages: &[(u16, i64)]) {
        let bag = Connection::open(path).unwrap();
        bag.execute_batch(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
                                 serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL);
             CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
                                   data BLOB NOT NULL);
             CREATE INDEX timestamp_idx ON messages (timestamp ASC);
             INSERT INTO topics VALUES (1, '/image_raw', 'sensor_msgs/msg/Image', 'cdr', ''),
                                       (2, '/talk', 'std_msgs/msg/String', 'cdr', '');",
        )
        .unwrap();
        for (topic, time) in messages {
            let data = vec![*time as u8; 1 << 20];
            bag.execute("INSERT INTO messages VALUES (NULL, ?1, ?2, ?3)", (topic, time, data)).unwrap();
        }
    }

    fn read_all(path: &Path, index: &FileIndex) -> Vec<(u16, u64)> {
        let mut seen = Vec::new();
        for span in &index.spans {
            let mut visit = |channel, time, data: &[u8]| {
                assert!(data.iter().all(|byte| u64::from(*byte) == time));
                seen.push((channel, time));
            };
            let _ = read_messages(path, span, &mut visit);
        }
        seen
    }

    #[test]
    fn slices_hold_every_message_once_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("50% #1?.db3");
        // Out of order, and six messages of one moment.
        let times = [5, 3, 9, 9, 9, 9, 9, 9, 1, 20, 21, 22, 23, 24];
        let messages: Vec<(u16, i64)> = times.iter().enumerate().map(|(n, time)| (1 + n as u16 % 2, *time)).collect();
        recording(&path, &messages);
        let index = index(&path).unwrap();
        assert_eq!(index.damage, None);
        assert_eq!(index.channels[&1].messages, Some(7));
        assert!(index.spans.len() >= 3, "{:?}", index.spans);
        let mut expected: Vec<u64> = times.iter().map(|time| *time as u64).collect();
        expected.sort_unstable();
        assert_eq!(read_all(&path, &index).iter().map(|(_, time)| *time).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_damaged_file_gives_what_is_readable_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.db3");
        recording(&path, &(0..12).map(|time| (1, time)).collect::<Vec<_>>());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        match index(&path) {
            Ok(index) => {
                let seen = read_all(&path, &index);
                assert!(seen.len() < 12, "half of the file holds all of it");
            }
            Err(error) => assert!(error.to_string().contains("malformed"), "{error}"),
        }
        std::fs::write(&path, b"SQLite format 3\0 and no more").unwrap();
        assert!(index(&path).is_err());
    }
}
