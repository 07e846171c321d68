//! MCAP files as stretches that can be read one at a time, in the order of their log times.
//!
//! A whole file says in its summary where its chunks are. A file that was cut off, never closed or
//! written without chunks says nothing; it is then walked from record to record, and what is found
//! up to the cut is used.

use mcap::McapError;
use mcap::records::{Record, op};
use mcap::sans_io::summary_reader::{SummaryReadEvent, SummaryReader, SummaryReaderOptions};
use mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Longest record accepted, bytes: a corrupt length must not ask for all memory.
const RECORD_LIMIT: usize = 256 << 20;
/// Most bytes asked from the file at once.
const READ_LIMIT: u64 = 1 << 20;
/// Messages outside chunks are read in runs of about this many bytes.
const RUN_BYTES: u64 = 4 << 20;
/// Opcode and length in front of every record.
const RECORD_HEADER: u64 = 9;

/// A stretch of a file that is read at once: a chunk, or a run of records outside chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// First byte of its first record.
    pub(super) offset: u64,
    /// Bytes; for a chunk that was cut off, those that are there.
    pub(super) length: u64,
    /// Earliest log time inside, ns.
    pub(super) start: u64,
    /// Ids of the channels with messages inside, when the file tells.
    pub(super) channels: Option<Vec<u16>>,
}

/// What a channel carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    /// Topic, with its leading slash.
    pub(super) topic: String,
    /// Name of the message type, as in `sensor_msgs/msg/Image`; empty when the file has none.
    pub(super) schema: String,
    /// `cdr` in ROS 2.
    pub(super) encoding: String,
    /// Messages, when known.
    pub(super) messages: Option<u64>,
}

/// Where everything is in one file.
#[derive(Debug, Default)]
pub(super) struct FileIndex {
    /// By channel id.
    pub(super) channels: BTreeMap<u16, Channel>,
    /// In file order.
    pub(super) spans: Vec<Span>,
    /// Why the file is not whole, in words that end a sentence beginning with its name.
    pub(super) damage: Option<String>,
}

/// Finds out what is where.
///
/// # Errors
/// Input and output errors, and [`McapError::BadMagic`] when the file is not MCAP.
pub(super) fn index(path: &Path) -> Result<FileIndex, McapError> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut magic = [0_u8; 8];
    file.read_exact(&mut magic).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => McapError::BadMagic,
        _ => McapError::Io(error),
    })?;
    if magic != mcap::MAGIC {
        return Err(McapError::BadMagic);
    }
    if let Some(index) = index_from_summary(&mut file, size) {
        return Ok(index);
    }
    index_by_walking(file, size)
}

/// `None` whenever the summary is absent, damaged or does not cover the file.
fn index_from_summary(file: &mut File, size: u64) -> Option<FileIndex> {
    let summary = read_summary(file, size).ok().flatten()?;
    let stats = summary.stats.as_ref()?;
    if summary.chunk_indexes.len() != stats.chunk_count as usize || (stats.chunk_count == 0 && stats.message_count > 0)
    {
        return None;
    }
    let mut index = FileIndex::default();
    for chunk in &summary.chunk_indexes {
        let end = chunk.chunk_start_offset.checked_add(chunk.chunk_length)?;
        if end > size {
            return None;
        }
        let channels =
            (!chunk.message_index_offsets.is_empty()).then(|| chunk.message_index_offsets.keys().copied().collect());
        index.spans.push(Span {
            offset: chunk.chunk_start_offset,
            length: chunk.chunk_length,
            start: chunk.message_start_time,
            channels,
        });
    }
    index.spans.sort_by_key(|span| span.offset);
    let ids: std::collections::BTreeSet<u16> = summary.channels.keys().copied().collect();
    for id in ids {
        let channel = &summary.channels[&id];
        index.channels.insert(
            id,
            Channel {
                topic: channel.topic.clone(),
                schema: channel.schema.as_ref().map(|schema| schema.name.clone()).unwrap_or_default(),
                encoding: channel.message_encoding.clone(),
                messages: Some(stats.channel_message_counts.get(&id).copied().unwrap_or(0)),
            },
        );
    }
    Some(index)
}

fn read_summary(file: &mut File, size: u64) -> Result<Option<mcap::Summary>, McapError> {
    let options = SummaryReaderOptions::default().with_file_size(size).with_record_length_limit(RECORD_LIMIT);
    let mut reader = SummaryReader::new_with_options(options);
    while let Some(event) = reader.next_event() {
        match event? {
            SummaryReadEvent::ReadRequest(wanted) => {
                let read = file.read(reader.insert(wanted))?;
                reader.notify_read(read);
            }
            SummaryReadEvent::SeekRequest(to) => reader.notify_seeked(file.seek(to)?),
        }
    }
    Ok(reader.finish())
}

/// Steps over the records of the data section, then reads what it found once, to learn channels
/// and times.
fn index_by_walking(file: File, size: u64) -> Result<FileIndex, McapError> {
    let mut file = BufReader::new(file);
    let (stretches, mut damage) = walk(&mut file, size)?;
    let mut index = FileIndex::default();
    let mut schemas: BTreeMap<u16, String> = BTreeMap::new();
    for (offset, length) in stretches {
        let mut start = u64::MAX;
        let mut seen: BTreeMap<u16, u64> = BTreeMap::new();
        let read = read_records(file.get_mut(), offset, length, &mut |record| match record {
            Record::Schema { header, .. } => {
                schemas.entry(header.id).or_insert(header.name);
            }
            Record::Channel(channel) => {
                index.channels.entry(channel.id).or_insert_with(|| Channel {
                    topic: channel.topic,
                    schema: schemas.get(&channel.schema_id).cloned().unwrap_or_default(),
                    encoding: channel.message_encoding,
                    messages: Some(0),
                });
            }
            Record::Message { header, .. } => {
                start = start.min(header.log_time);
                *seen.entry(header.channel_id).or_default() += 1;
            }
            _ => {}
        });
        if let Err(error) = read {
            damage.get_or_insert_with(|| format!("is damaged in the stretch at byte {offset}: {error}"));
        }
        for (id, count) in &seen {
            if let Some(Channel { messages: Some(messages), .. }) = index.channels.get_mut(id) {
                *messages += count;
            }
        }
        if !seen.is_empty() {
            index.spans.push(Span { offset, length, start, channels: Some(seen.into_keys().collect()) });
        }
    }
    index.damage = damage;
    Ok(index)
}

/// Offsets and lengths of the chunks and of the runs between them, and why the walk ended early.
#[expect(clippy::type_complexity, reason = "read once, by the only caller")]
fn walk(file: &mut BufReader<File>, size: u64) -> io::Result<(Vec<(u64, u64)>, Option<String>)> {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    let mut run: Option<(u64, u64)> = None;
    let mut at = mcap::MAGIC.len() as u64;
    let damage = loop {
        if at == size {
            break Some(format!("was not closed: it ends at byte {size}, without an index"));
        }
        if size - at < RECORD_HEADER {
            break Some(format!("is cut off at byte {size}, in the middle of a record"));
        }
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0_u8; RECORD_HEADER as usize];
        file.read_exact(&mut header)?;
        let [opcode, length @ ..] = header;
        let Some(end) = u64::from_le_bytes(length).checked_add(at + RECORD_HEADER).filter(|_| opcode != 0) else {
            break Some(format!("is damaged: no record begins at byte {at}"));
        };
        let is_cut = end > size;
        match opcode {
            op::DATA_END | op::FOOTER => break None,
            op::CHUNK => {
                stretches.extend(run.take());
                stretches.push((at, end.min(size) - at));
            }
            op::SCHEMA | op::CHANNEL | op::MESSAGE if !is_cut => {
                let (start, _) = *run.get_or_insert((at, 0));
                run = Some((start, end - start));
                if end - start >= RUN_BYTES {
                    stretches.extend(run.take());
                }
            }
            // A run must be without gaps.
            _ => stretches.extend(run.take()),
        }
        if is_cut {
            break Some(format!("is cut off at byte {size}, in the middle of a record"));
        }
        at = end;
    };
    stretches.extend(run);
    Ok((stretches, damage))
}

/// Hands the records of a stretch to `visit`, those inside chunks too. On an error, everything
/// readable before it has been visited.
pub(super) fn read_records(
    file: &mut File,
    offset: u64,
    length: u64,
    visit: &mut dyn FnMut(Record<'_>),
) -> Result<(), McapError> {
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_validate_chunk_crcs(true)
        .with_record_length_limit(RECORD_LIMIT);
    match plain_chunk(file, offset, length)? {
        // The records of an uncompressed chunk are read like those outside chunks: the reader's own
        // way through such a chunk overflows when a damaged length reaches past the chunk.
        Some(chunk) => feed(file, &chunk, options.with_emit_chunks(true), visit),
        None => feed(file, &Stretch { offset, length, crc: None }, options, visit),
    }
}

/// Bytes to hand to the record reader, and their checksum if it is known.
struct Stretch {
    offset: u64,
    length: u64,
    crc: Option<u32>,
}

/// The records inside the chunk at `offset` when it is one that is not compressed.
fn plain_chunk(file: &mut File, offset: u64, length: u64) -> io::Result<Option<Stretch>> {
    // Opcode, length, first and last log time, uncompressed size, checksum, length of the
    // compression's name, which is empty, compressed size.
    const HEADER: usize = 9 + 8 + 8 + 8 + 4 + 4 + 8;
    let mut header = [0_u8; HEADER];
    if length < HEADER as u64 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut header)?;
    if header[0] != op::CHUNK || header[37..41] != [0; 4] {
        return Ok(None);
    }
    let saved = u32::from_le_bytes([header[33], header[34], header[35], header[36]]);
    let mut size = [0_u8; 8];
    size.copy_from_slice(&header[41..]);
    let (size, there) = (u64::from_le_bytes(size), length - HEADER as u64);
    // A chunk that was cut off cannot match its checksum; 0 stands for none.
    let crc = (saved != 0 && size <= there).then_some(saved);
    Ok(Some(Stretch { offset: offset + HEADER as u64, length: size.min(there), crc }))
}

fn feed(
    file: &mut File,
    stretch: &Stretch,
    options: LinearReaderOptions,
    visit: &mut dyn FnMut(Record<'_>),
) -> Result<(), McapError> {
    file.seek(SeekFrom::Start(stretch.offset))?;
    let mut left = stretch.length;
    let mut crc = flate2::Crc::new();
    let mut reader = LinearReader::new_with_options(options);
    while let Some(event) = reader.next_event() {
        match event? {
            LinearReadEvent::ReadRequest(wanted) => {
                let wanted = (wanted as u64).min(left).min(READ_LIMIT) as usize;
                let buffer = reader.insert(wanted);
                let read = if wanted == 0 { 0 } else { file.read(buffer)? };
                if stretch.crc.is_some() {
                    crc.update(&buffer[..read]);
                }
                reader.notify_read(read);
                left -= read as u64;
            }
            LinearReadEvent::Record { opcode, data } => visit(mcap::parse_record(opcode, data)?),
        }
    }
    match stretch.crc {
        Some(saved) if saved != crc.sum() => Err(McapError::BadChunkCrc { saved, calculated: crc.sum() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcap::{Compression, WriteOptions};
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    /// A recording of forty messages on two topics, their log times 0 to 39.
    fn recording(options: WriteOptions) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = options.chunk_size(Some(2_000)).create(Cursor::new(&mut bytes)).unwrap();
        let images = writer.add_schema("sensor_msgs/msg/Image", "ros2msg", b"uint8 x").unwrap();
        let other = writer.add_schema("std_msgs/msg/String", "ros2msg", b"string data").unwrap();
        let ids = [
            writer.add_channel(images, "/image_raw", "cdr", &BTreeMap::new()).unwrap(),
            writer.add_channel(other, "/talk", "cdr", &BTreeMap::new()).unwrap(),
        ];
        for time in 0..40_u64 {
            let channel_id = ids[(time % 2) as usize];
            let header = mcap::records::MessageHeader { channel_id, sequence: 0, log_time: time, publish_time: time };
            writer.write_to_known_channel(&header, &[time as u8; 300]).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        bytes
    }

    fn kinds() -> [(&'static str, WriteOptions); 4] {
        let options = WriteOptions::new;
        [
            ("zstd", options().compression(Some(Compression::Zstd))),
            ("lz4", options().compression(Some(Compression::Lz4))),
            ("plain chunks", options().compression(None)),
            ("no chunks", options().use_chunks(false)),
        ]
    }

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// The index, and the log times of the messages in its spans.
    fn read_all(bytes: &[u8]) -> Result<(FileIndex, Vec<u64>), McapError> {
        let file = file_of(bytes);
        let index = index(file.path())?;
        let mut opened = File::open(file.path())?;
        let mut times = Vec::new();
        for span in &index.spans {
            let mut visit = |record: Record<'_>| {
                if let Record::Message { header, data } = record {
                    times.push(header.log_time);
                    assert!(data.len() > 300 || data.iter().all(|byte| u64::from(*byte) == header.log_time));
                }
            };
            let _ = read_records(&mut opened, span.offset, span.length, &mut visit);
        }
        Ok((index, times))
    }

    #[test]
    fn whole_files_of_every_kind_are_read_in_full() {
        for (kind, options) in kinds() {
            let (index, times) = read_all(&recording(options)).unwrap();
            assert_eq!(times, (0..40).collect::<Vec<_>>(), "{kind}");
            assert_eq!(index.damage, None, "{kind}");
            let image = index.channels.values().find(|channel| channel.topic == "/image_raw").unwrap();
            assert_eq!((image.schema.as_str(), image.messages), ("sensor_msgs/msg/Image", Some(20)), "{kind}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_gives_what_is_before_the_cut() {
        for (kind, options) in kinds() {
            let whole = recording(options);
            let mut best = 0;
            for cut in (8..whole.len()).step_by(7).chain([whole.len() - 1]) {
                let (index, times) = read_all(&whole[..cut]).unwrap();
                assert_eq!(times, (0..times.len() as u64).collect::<Vec<_>>(), "{kind} cut at {cut}");
                assert!(times.len() >= best, "{kind} cut at {cut}: {} messages, {best} before", times.len());
                best = times.len();
                if times.len() < 40 {
                    let damage = index.damage.unwrap();
                    assert!(damage.contains(&cut.to_string()), "{kind}: {damage}");
                }
            }
            assert_eq!(best, 40, "{kind}");
        }
    }

    #[test]
    fn a_damaged_chunk_is_said_and_the_others_are_read() {
        for (kind, options) in kinds().into_iter().take(3) {
            let mut bytes = recording(options);
            let file = file_of(&bytes);
            let spans = index(file.path()).unwrap().spans;
            let hit = spans[1].offset + spans[1].length - 40;
            bytes[hit as usize] ^= 0xFF;
            let damaged = file_of(&bytes);
            let mut opened = File::open(damaged.path()).unwrap();
            let reads: Vec<bool> = spans
                .iter()
                .map(|span| read_records(&mut opened, span.offset, span.length, &mut |_| ()).is_ok())
                .collect();
            assert!(!reads[1] && reads.iter().filter(|ok| !**ok).count() == 1, "{kind}: {reads:?}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [&b""[..], b"\x89MCAP", b"not a recording at all"] {
            assert!(matches!(read_all(bytes), Err(McapError::BadMagic)));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_bring_the_reader_down(
            kind in 0..4_usize,
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let (_, options) = kinds().into_iter().nth(kind).unwrap();
            let mut bytes = recording(options);
            for (at, value) in hits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len()).max(8));
            let file = file_of(&bytes);
            if let Ok(index) = index(file.path()) {
                let mut opened = File::open(file.path()).unwrap();
                for span in index.spans {
                    let _ = read_records(&mut opened, span.offset, span.length, &mut |_| ());
                }
            }
        }

        #[test]
        fn arbitrary_records_bring_nothing_down(tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = mcap::MAGIC.to_vec();
            bytes.extend(tail);
            let _ = read_all(&bytes);
        }
    }
}
