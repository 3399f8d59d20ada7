//! The file: a line that says what it is, then records, each under a checksum that covers all before it.
//!
//! ```text
//! file   = "lockstep export 1\n", record*
//! record = length u32, checksum u32, tag u8, payload
//! ```
//! Little-endian. The checksum is the CRC-32 of the checksum before it, the tag and the payload, so that a record in another
//! place is as wrong as a changed one. The last record counts the others and carries the digest of what they say: a file
//! that ends before it is torn.

use lockstep_runtime::entity::EntityKind;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::shard::shifted_header;
use lockstep_runtime::store::{DeadLetter, SnapshotRef};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use xxhash_rust::xxh3::Xxh3Default;

const FIRST_LINE: &[u8] = b"lockstep export 1\n";
const FAMILY: &[u8] = b"lockstep export ";
/// The longest record: a journal blob is a turn of a shard, an entry at most some parts of 4 MiB.
const MAX_RECORD_BYTES: u32 = 1 << 30;
/// Where a blob says where it begins; see [`lockstep_runtime::journal`].
const FIRST_AT: usize = 16;
/// Of a snapshot's payload: what follows kind and sequence.
const SNAPSHOT_AFTER_SEQUENCE: usize = 9;

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file is no whole export: {what}, at byte {at}. Nothing after that place can be trusted; use another backup"
)]
pub struct FileError {
    /// The place of the record that is wrong.
    pub at: u64,
    /// What is wrong with it.
    pub what: String,
}

/// What the file begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) partitions: u16,
    /// Which version of lockstep wrote it.
    pub(super) version: String,
    /// When, in milliseconds since 1970.
    pub(super) at: i64,
}

/// A partition: what follows is its.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionHead {
    pub(super) partition: u16,
    pub(super) next_sequence: u64,
    pub(super) header: Option<Vec<u8>>,
}

/// How much there is of what, and the digest of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Partitions.
    pub partitions: u64,
    /// Blobs of journals.
    pub blobs: u64,
    /// Snapshots of entities.
    pub snapshots: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Cursors of consumers.
    pub cursors: u64,
    /// Bytes of all that.
    pub bytes: u64,
    /// The XXH3-128 of all that, in order: the same for the same content in any engine.
    pub digest: String,
}

#[derive(Debug)]
pub(super) enum Record<'a> {
    Head(Head),
    Partition(PartitionHead),
    Blob(&'a [u8]),
    Snapshot(EntityKind, SnapshotRef<'a>),
    Letter(Sequence, DeadLetter),
    Cursor(String, Sequence),
    End(Totals),
}

/// Counts and digests records; the same for a file and a store. Sequences count from the end of their partition's journal, so
/// that content which an import has moved is the same content.
#[derive(Default)]
pub(super) struct Tally {
    totals: Totals,
    digest: Xxh3Default,
    /// Where the journal of the partition ends that the records are of.
    end: u64,
}

impl Tally {
    pub(super) fn add(&mut self, record: &Record<'_>, tag: u8, payload: &[u8]) {
        let totals = &mut self.totals;
        let count = match record {
            Record::Partition(_) => &mut totals.partitions,
            Record::Blob(_) => &mut totals.blobs,
            Record::Snapshot(..) => &mut totals.snapshots,
            Record::Letter(..) => &mut totals.dead_letters,
            Record::Cursor(..) => &mut totals.cursors,
            Record::Head(_) | Record::End(_) => return,
        };
        *count += 1;
        let header = match record {
            Record::Partition(head) => {
                self.end = head.next_sequence;
                // What is no header is refused by the import.
                shifted_header(head.header.as_deref(), head.next_sequence.wrapping_neg()).unwrap_or_default()
            }
            Record::Head(_)
            | Record::Blob(_)
            | Record::Snapshot(..)
            | Record::Letter(..)
            | Record::Cursor(..)
            | Record::End(_) => Vec::new(),
        };
        // Numbers that were moved may take more bytes than before: they do not count.
        let length = match record {
            Record::Partition(_) => header.len(),
            Record::Cursor(consumer, _) => consumer.len(),
            Record::Head(_)
            | Record::Blob(_)
            | Record::Snapshot(..)
            | Record::Letter(..)
            | Record::End(_) => payload.len(),
        } as u64;
        totals.bytes += length;
        let digest = &mut self.digest;
        digest.update(&[tag]);
        digest.update(&length.to_le_bytes());
        let from_end = |end: u64, sequence: Sequence| end.wrapping_sub(sequence.0).to_le_bytes();
        match record {
            Record::Partition(_) => digest.update(&header),
            Record::Blob(bytes) => {
                let (before, rest) = bytes.split_at_checked(FIRST_AT).unwrap_or((bytes, &[]));
                let (first, entries) = rest.split_first_chunk::<8>().unwrap_or((&[0; 8], rest));
                digest.update(before);
                digest.update(&from_end(self.end, Sequence(u64::from_le_bytes(*first))));
                digest.update(entries);
            }
            Record::Snapshot(kind, of) => {
                digest.update(&[kind.0]);
                digest.update(&from_end(self.end, of.sequence));
                digest.update(&payload[SNAPSHOT_AFTER_SEQUENCE..]);
            }
            Record::Cursor(consumer, sequence) => {
                digest.update(consumer.as_bytes());
                // One that has never read stands before everything.
                let never = *sequence == Sequence(0);
                digest.update(&if never {
                    [u8::MAX; 8]
                } else {
                    from_end(self.end, *sequence)
                });
            }
            Record::Letter(..) => digest.update(payload),
            Record::Head(_) | Record::End(_) => {}
        }
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            digest: format!("{:032x}", self.digest.digest128()),
            ..self.totals.clone()
        }
    }
}

impl Record<'_> {
    /// Writes tag and payload into `into`, which is cleared first.
    pub(super) fn encode(&self, into: &mut Vec<u8>) -> Result<(), String> {
        into.clear();
        into.push(self.tag());
        let written = match self {
            Self::Head(head) => rmp_serde::encode::write(into, head),
            Self::Partition(head) => rmp_serde::encode::write(into, head),
            Self::Blob(bytes) => {
                into.extend_from_slice(bytes);
                Ok(())
            }
            Self::Snapshot(kind, of) => {
                let length = u16::try_from(of.entity.len()).map_err(|error| error.to_string())?;
                into.push(kind.0);
                into.extend_from_slice(&of.sequence.0.to_le_bytes());
                into.push(u8::from(of.alarm.is_some()));
                into.extend_from_slice(&of.alarm.map_or(0, Timestamp::as_millis).to_le_bytes());
                into.extend_from_slice(&length.to_le_bytes());
                into.extend_from_slice(of.entity);
                into.extend_from_slice(of.state);
                Ok(())
            }
            Self::Letter(sequence, letter) => rmp_serde::encode::write(into, &(sequence, letter)),
            Self::Cursor(consumer, sequence) => rmp_serde::encode::write(into, &(consumer, sequence)),
            Self::End(totals) => rmp_serde::encode::write(into, totals),
        };
        written.map_err(|error| error.to_string())
    }

    pub(super) fn tag(&self) -> u8 {
        match self {
            Self::Head(_) => 1,
            Self::Partition(_) => 2,
            Self::Blob(_) => 3,
            Self::Snapshot(..) => 4,
            Self::Letter(..) => 5,
            Self::Cursor(..) => 6,
            Self::End(_) => 7,
        }
    }
}

fn decode(tag: u8, payload: &[u8]) -> Result<Record<'_>, String> {
    fn read<'d, T: Deserialize<'d>>(payload: &'d [u8]) -> Result<T, String> {
        rmp_serde::from_slice(payload).map_err(|error| error.to_string())
    }
    match tag {
        1 => Ok(Record::Head(read(payload)?)),
        2 => Ok(Record::Partition(read(payload)?)),
        3 => Ok(Record::Blob(payload)),
        4 => snapshot(payload).ok_or_else(|| "a snapshot is too short".to_owned()),
        5 => read(payload).map(|(sequence, letter)| Record::Letter(sequence, letter)),
        6 => read(payload).map(|(consumer, sequence)| Record::Cursor(consumer, sequence)),
        7 => Ok(Record::End(read(payload)?)),
        other => Err(format!(
            "unknown kind {other}; a newer version may have written it"
        )),
    }
}

fn snapshot(payload: &[u8]) -> Option<Record<'_>> {
    let (&kind, rest) = payload.split_first()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (&has_alarm, rest) = rest.split_first()?;
    let (alarm, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (entity, state) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    let alarm = Timestamp::from_millis(i64::from_le_bytes(*alarm));
    Some(Record::Snapshot(
        EntityKind(kind),
        SnapshotRef {
            entity,
            sequence: Sequence(u64::from_le_bytes(*sequence)),
            alarm: (has_alarm == 1).then_some(alarm),
            state,
        },
    ))
}

fn chained(before: u32, framed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before.to_le_bytes());
    hasher.update(framed);
    hasher.finalize()
}

/// Writes an export.
pub(super) struct FileWriter<W> {
    out: W,
    checksum: u32,
    tally: Tally,
    framed: Vec<u8>,
}

impl<W: Write> FileWriter<W> {
    pub(super) fn begin(mut out: W, head: Head) -> io::Result<Self> {
        out.write_all(FIRST_LINE)?;
        let mut writer = Self {
            out,
            checksum: 0,
            tally: Tally::default(),
            framed: Vec::new(),
        };
        writer.put(&Record::Head(head))?;
        Ok(writer)
    }

    pub(super) fn put(&mut self, record: &Record<'_>) -> io::Result<()> {
        record.encode(&mut self.framed).map_err(io::Error::other)?;
        let length = u32::try_from(self.framed.len())
            .ok()
            .filter(|length| *length <= MAX_RECORD_BYTES);
        let length = length.ok_or_else(|| io::Error::other("a record is too large for an export"))?;
        self.tally.add(record, record.tag(), &self.framed[1..]);
        self.checksum = chained(self.checksum, &self.framed);
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.checksum.to_le_bytes())?;
        self.out.write_all(&self.framed)
    }

    /// Writes the end; what was written is not yet durable.
    pub(super) fn end(mut self) -> io::Result<(W, Totals)> {
        let totals = self.tally.totals();
        self.put(&Record::End(totals.clone()))?;
        self.out.flush()?;
        Ok((self.out, totals))
    }
}

/// Reads an export, record by record.
pub(super) struct FileReader<R> {
    input: R,
    /// Where the next record begins.
    at: u64,
    checksum: u32,
    tally: Tally,
    framed: Vec<u8>,
    ended: bool,
}

impl<R: Read> FileReader<R> {
    /// Reads the beginning.
    pub(super) fn begin(mut input: R) -> Result<(Self, Head), FileError> {
        let wrong = |what: &str| FileError {
            at: 0,
            what: what.to_owned(),
        };
        let mut line = [0; FIRST_LINE.len()];
        input
            .read_exact(&mut line)
            .map_err(|error| wrong(&format!("its first line cannot be read ({error})")))?;
        if line != FIRST_LINE {
            return Err(wrong(if line.starts_with(FAMILY) {
                "another version wrote it; use that one"
            } else {
                "it does not begin as an export"
            }));
        }
        let mut reader = Self {
            input,
            at: FIRST_LINE.len() as u64,
            checksum: 0,
            tally: Tally::default(),
            framed: Vec::new(),
            ended: false,
        };
        match reader.next()? {
            Some(Record::Head(head)) => Ok((reader, head)),
            Some(_) | None => Err(wrong("it has no head")),
        }
    }

    /// The next record; `None` after the end, which has been checked.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, FileError> {
        let at = self.at;
        let wrong = |what: String| FileError { at, what };
        if self.ended {
            let more = self
                .input
                .read(&mut [0])
                .map_err(|error| wrong(error.to_string()))?;
            return if more == 0 {
                Ok(None)
            } else {
                Err(wrong("something follows its end".to_owned()))
            };
        }
        let mut frame = [0; 8];
        self.fill(&mut frame).map_err(&wrong)?;
        let [length, checksum] = [0, 4]
            .map(|from| u32::from_le_bytes([frame[from], frame[from + 1], frame[from + 2], frame[from + 3]]));
        if length == 0 || length > MAX_RECORD_BYTES {
            return Err(wrong(format!("a record says that it has {length} bytes")));
        }
        self.framed.clear();
        let read = (&mut self.input)
            .take(length.into())
            .read_to_end(&mut self.framed);
        let read = read.map_err(|error| wrong(error.to_string()))?;
        if read < length as usize {
            return Err(wrong(format!(
                "it is cut off: a record has {read} of its {length} bytes"
            )));
        }
        self.checksum = chained(self.checksum, &self.framed);
        if self.checksum != checksum {
            return Err(wrong("the checksum of a record is wrong".to_owned()));
        }
        self.at += 8 + u64::from(length);
        let (&tag, payload) = self
            .framed
            .split_first()
            .ok_or_else(|| wrong("a record is empty".to_owned()))?;
        let record = decode(tag, payload).map_err(&wrong)?;
        if let Record::End(totals) = &record {
            self.ended = true;
            let found = self.tally.totals();
            if *totals != found {
                return Err(wrong(format!("it counts {totals:?}, and there are {found:?}")));
            }
        } else {
            self.tally.add(&record, tag, payload);
        }
        Ok(Some(record))
    }

    fn fill(&mut self, frame: &mut [u8]) -> Result<(), String> {
        self.input.read_exact(frame).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                "it is cut off: its last record is missing".to_owned()
            } else {
                error.to_string()
            }
        })
    }

    /// Where the next record begins.
    pub(super) fn at(&self) -> u64 {
        self.at
    }
}

/// Reads a whole export and says what is in it. `progress` is told how many bytes have been read.
///
/// # Errors
/// [`FileError`] with the place of what is wrong.
pub fn verify_file(input: impl Read, mut progress: impl FnMut(u64)) -> Result<Totals, FileError> {
    let (mut reader, _) = FileReader::begin(input)?;
    let mut totals = Totals::default();
    while let Some(record) = reader.next()? {
        if let Record::End(found) = record {
            totals = found;
        }
        progress(reader.at());
    }
    Ok(totals)
}
