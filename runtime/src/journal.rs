//! How entries of a partition's journal are written and read.
//!
//! A blob holds the entries that one turn of a shard added to one partition. The layout is little-endian and fixed:
//! lengths first, so that a reader that looks for one port or one kind skips the rest without decoding it. Events and
//! commands inside are MessagePack. Integrity (checksums) is the store's business.
//!
//! ```text
//! blob   = format u8, reserved u8, partition u16, entries u32, epoch u64, first sequence u64, entry*
//! entry  = length u32, decided at i64, kind u8, flags u8, origin, [causation u128],
//!          source u8+bytes, correlation u8+bytes, id u16+bytes,
//!          events u16 x (u32+bytes), sends u16 x send, outbound u16 x (port u8, u32+bytes), [reply u32+bytes]
//! origin = 0 u128 | 1 u16 u64 | 2
//! send   = to u16, sequence u64, kind u8, id u16+bytes, command u32+bytes
//! ```

use crate::entity::{EntityKind, MAX_ENTITY_ID_BYTES, PortId};
use crate::message::{MAX_CORRELATION_BYTES, MAX_SOURCE_BYTES, MessageId, Origin, Provenance, Sequence};
use crate::placement::PartitionId;
use crate::store::Epoch;
use crate::time::Timestamp;
use serde::Serialize;

const FORMAT: u8 = 1;
const BLOB_HEADER_BYTES: usize = 24;
const HAS_CAUSATION: u8 = 1;
const HAS_REPLY: u8 = 2;
const IS_DEAD_LETTER: u8 = 4;
const ENTRIES_AT: usize = 4;

/// The longest encoded event, command, effect or reply, in bytes.
pub const MAX_PART_BYTES: usize = 4 << 20;
/// The most events, messages or effects that one decision may have.
pub const MAX_PARTS: usize = 4096;

/// The bytes are no journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal bytes are malformed: {0}")]
pub struct Malformed(pub &'static str);

/// A decision that cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A type refuses to be serialised.
    #[error("{what} cannot be serialised: {error}")]
    Serialise {
        /// Which part.
        what: &'static str,
        /// Why.
        error: rmp_serde::encode::Error,
    },
    /// The kind of entity is none of the domain's.
    #[error("no kind of entity has number {}", .0.0)]
    UnknownKind(EntityKind),
    /// The slot holds no entity, which is a defect of the shard.
    #[error("the slot is empty")]
    EmptySlot,
    /// A part is longer than the journal allows.
    #[error("{what} has {actual} bytes or parts, at most {limit} are allowed")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// How much there is.
        actual: usize,
        /// How much may be.
        limit: usize,
    },
}

/// Starts a blob. The number of entries is set by [`EntryWriter::finish`].
pub fn begin_blob(into: &mut Vec<u8>, partition: PartitionId, epoch: Epoch, first: Sequence) {
    into.extend_from_slice(&[FORMAT, 0]);
    into.extend_from_slice(&partition.0.to_le_bytes());
    into.extend_from_slice(&0_u32.to_le_bytes());
    into.extend_from_slice(&epoch.0.to_le_bytes());
    into.extend_from_slice(&first.0.to_le_bytes());
}

/// The place of a blob's first sequence.
const FIRST_AT: std::ops::Range<usize> = 16..24;

/// Lets a blob begin `by` numbers later.
///
/// # Errors
/// [`Malformed`] if these bytes are no blob of this format.
pub fn shift_blob(blob: &mut [u8], by: u64) -> Result<(), Malformed> {
    let first = Blob::parse(blob)?.first.0.wrapping_add(by);
    blob[FIRST_AT].copy_from_slice(&first.to_le_bytes());
    Ok(())
}

/// What every entry says about its message.
#[derive(Clone, Copy, Debug)]
pub struct EntryHead<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// The entity's kind.
    pub kind: EntityKind,
    /// The entity's id, encoded.
    pub entity: &'a [u8],
    /// Where the message came from.
    pub origin: Origin,
    /// Who wrote and why.
    pub provenance: &'a Provenance,
}

/// Writes one entry at the end of a blob. Nothing of it stays unless [`EntryWriter::finish`] is called.
#[derive(Debug)]
pub struct EntryWriter<'a> {
    blob: &'a mut Vec<u8>,
    start: usize,
    flags_at: usize,
    count_at: usize,
    finished: bool,
}

impl<'a> EntryWriter<'a> {
    /// Writes the head and opens the list of events.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`] for an id, source or correlation beyond its limit.
    pub fn begin(blob: &'a mut Vec<u8>, head: &EntryHead<'_>) -> Result<Self, EncodeError> {
        let start = blob.len();
        let mut writer = Self {
            blob,
            start,
            flags_at: 0,
            count_at: 0,
            finished: false,
        };
        writer.blob.extend_from_slice(&0_u32.to_le_bytes());
        writer.blob.extend_from_slice(&head.at.as_millis().to_le_bytes());
        writer.blob.push(head.kind.0);
        writer.flags_at = writer.blob.len();
        writer.blob.push(0);
        write_origin(writer.blob, head.origin);
        if let Some(causation) = head.provenance.causation {
            writer.flag(HAS_CAUSATION);
            writer.blob.extend_from_slice(&causation.0.to_le_bytes());
        }
        write_short(
            writer.blob,
            "source",
            head.provenance.source.as_bytes(),
            MAX_SOURCE_BYTES,
        )?;
        write_short(
            writer.blob,
            "correlation",
            head.provenance.correlation.as_bytes(),
            MAX_CORRELATION_BYTES,
        )?;
        write_medium(writer.blob, "entity id", head.entity, MAX_ENTITY_ID_BYTES)?;
        writer.open_list();
        Ok(writer)
    }

    fn flag(&mut self, flag: u8) {
        if let Some(flags) = self.blob.get_mut(self.flags_at) {
            *flags |= flag;
        }
    }

    fn open_list(&mut self) {
        self.count_at = self.blob.len();
        self.blob.extend_from_slice(&0_u16.to_le_bytes());
    }

    fn count_one(&mut self, what: &'static str) -> Result<(), EncodeError> {
        let place = &mut self.blob[self.count_at..self.count_at + 2];
        let count = u16::from_le_bytes([place[0], place[1]]) + 1;
        if usize::from(count) > MAX_PARTS {
            return Err(EncodeError::TooLarge {
                what,
                actual: usize::from(count),
                limit: MAX_PARTS,
            });
        }
        place.copy_from_slice(&count.to_le_bytes());
        Ok(())
    }

    /// Adds an event. All events come before the first message to another entity.
    ///
    /// # Errors
    /// If it cannot be serialised or is too large.
    pub fn event<T: Serialize>(&mut self, event: &T) -> Result<(), EncodeError> {
        self.count_one("events")?;
        write_value(self.blob, "event", event)
    }

    /// Closes the list of events.
    pub fn events_done(&mut self) {
        self.open_list();
    }

    /// Adds a message to another entity. All messages come before the first effect.
    ///
    /// # Errors
    /// If it is too large.
    pub fn send(
        &mut self,
        to: PartitionId,
        sequence: u64,
        kind: EntityKind,
        entity: &[u8],
        command: &[u8],
    ) -> Result<(), EncodeError> {
        self.count_one("messages")?;
        self.blob.extend_from_slice(&to.0.to_le_bytes());
        self.blob.extend_from_slice(&sequence.to_le_bytes());
        self.blob.push(kind.0);
        write_medium(self.blob, "entity id", entity, MAX_ENTITY_ID_BYTES)?;
        write_long(self.blob, "command", command)
    }

    /// Closes the list of messages.
    pub fn sends_done(&mut self) {
        self.open_list();
    }

    /// Adds an effect for a port.
    ///
    /// # Errors
    /// If it is too large.
    pub fn outbound(&mut self, port: PortId, body: &[u8]) -> Result<(), EncodeError> {
        self.count_one("effects")?;
        self.blob.push(port.0);
        write_long(self.blob, "effect", body)
    }

    /// Adds the reply, so that a repeat of the message is answered alike.
    ///
    /// # Errors
    /// If it cannot be serialised or is too large.
    pub fn reply<T: Serialize>(&mut self, reply: &T) -> Result<(), EncodeError> {
        self.flag(HAS_REPLY);
        write_value(self.blob, "reply", reply)
    }

    /// Marks the entry as the record of a dead letter.
    pub fn dead_letter(&mut self) {
        self.flag(IS_DEAD_LETTER);
    }

    /// Makes the entry part of the blob.
    ///
    /// # Errors
    /// If the whole entry is longer than its length field can say.
    pub fn finish(mut self) -> Result<(), EncodeError> {
        let actual = self.blob.len() - self.start - 4;
        let length = u32::try_from(actual).map_err(|_| EncodeError::TooLarge {
            what: "entry",
            actual,
            limit: u32::MAX as usize,
        })?;
        self.blob[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
        let place = &mut self.blob[ENTRIES_AT..ENTRIES_AT + 4];
        let entries = u32::from_le_bytes([place[0], place[1], place[2], place[3]]) + 1;
        place.copy_from_slice(&entries.to_le_bytes());
        self.finished = true;
        Ok(())
    }
}

impl Drop for EntryWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.blob.truncate(self.start);
        }
    }
}

fn write_origin(blob: &mut Vec<u8>, origin: Origin) {
    match origin {
        Origin::External(id) => {
            blob.push(0);
            blob.extend_from_slice(&id.0.to_le_bytes());
        }
        Origin::Entity { from, sequence } => {
            blob.push(1);
            blob.extend_from_slice(&from.0.to_le_bytes());
            blob.extend_from_slice(&sequence.to_le_bytes());
        }
        Origin::Alarm => blob.push(2),
    }
}

fn write_short(
    blob: &mut Vec<u8>,
    what: &'static str,
    bytes: &[u8],
    limit: usize,
) -> Result<(), EncodeError> {
    let too_large = EncodeError::TooLarge {
        what,
        actual: bytes.len(),
        limit,
    };
    match u8::try_from(bytes.len()) {
        Ok(length) if bytes.len() <= limit => {
            blob.push(length);
            blob.extend_from_slice(bytes);
            Ok(())
        }
        Ok(_) | Err(_) => Err(too_large),
    }
}

fn write_medium(
    blob: &mut Vec<u8>,
    what: &'static str,
    bytes: &[u8],
    limit: usize,
) -> Result<(), EncodeError> {
    let too_large = EncodeError::TooLarge {
        what,
        actual: bytes.len(),
        limit,
    };
    match u16::try_from(bytes.len()) {
        Ok(length) if bytes.len() <= limit => {
            blob.extend_from_slice(&length.to_le_bytes());
            blob.extend_from_slice(bytes);
            Ok(())
        }
        Ok(_) | Err(_) => Err(too_large),
    }
}

fn write_long(blob: &mut Vec<u8>, what: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
    let length = checked_length(what, bytes.len())?;
    blob.extend_from_slice(&length.to_le_bytes());
    blob.extend_from_slice(bytes);
    Ok(())
}

fn write_value<T: Serialize>(blob: &mut Vec<u8>, what: &'static str, value: &T) -> Result<(), EncodeError> {
    let at = blob.len();
    blob.extend_from_slice(&0_u32.to_le_bytes());
    rmp_serde::encode::write(blob, value).map_err(|error| EncodeError::Serialise { what, error })?;
    let length = checked_length(what, blob.len() - at - 4)?;
    blob[at..at + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

fn checked_length(what: &'static str, actual: usize) -> Result<u32, EncodeError> {
    match u32::try_from(actual) {
        Ok(length) if actual <= MAX_PART_BYTES => Ok(length),
        Ok(_) | Err(_) => Err(EncodeError::TooLarge {
            what,
            actual,
            limit: MAX_PART_BYTES,
        }),
    }
}

/// A blob as it is read back.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    /// Whose journal.
    pub partition: PartitionId,
    /// Under which epoch it was written.
    pub epoch: Epoch,
    /// The sequence of its first entry.
    pub first: Sequence,
    /// How many entries it says it holds.
    pub entries: u32,
    bytes: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Reads the head of a blob.
    ///
    /// # Errors
    /// [`Malformed`] if these bytes are no blob of this format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes };
        if reader.u8()? != FORMAT {
            return Err(Malformed("unknown format"));
        }
        reader.u8()?;
        let partition = PartitionId(reader.u16()?);
        let entries = reader.u32()?;
        let epoch = Epoch(reader.u64()?);
        let first = Sequence(reader.u64()?);
        if first.0.checked_add(u64::from(entries)).is_none() {
            return Err(Malformed("entries beyond the last number"));
        }
        debug_assert_eq!(bytes.len() - reader.bytes.len(), BLOB_HEADER_BYTES);
        Ok(Self {
            partition,
            epoch,
            first,
            entries,
            bytes: reader.bytes,
        })
    }

    /// The sequence after its last entry.
    #[must_use]
    pub fn end(&self) -> Sequence {
        Sequence(self.first.0 + u64::from(self.entries))
    }

    /// The entries in order.
    #[must_use]
    pub fn iter(&self) -> Entries<'a> {
        Entries {
            reader: Reader { bytes: self.bytes },
            next: self.first,
            left: self.entries,
        }
    }
}

/// Iterator over a blob's entries.
#[derive(Debug)]
pub struct Entries<'a> {
    reader: Reader<'a>,
    next: Sequence,
    left: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let sequence = self.next;
        self.next = sequence.next();
        let entry = self.reader.long().and_then(|bytes| Entry::parse(sequence, bytes));
        if entry.is_err() {
            self.left = 0;
        }
        Some(entry)
    }
}

/// One entry, borrowed from its blob.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its place in the partition.
    pub sequence: Sequence,
    /// When it was decided.
    pub at: Timestamp,
    /// The entity's kind.
    pub kind: EntityKind,
    /// The entity's id, encoded.
    pub entity: &'a [u8],
    /// Where the message came from.
    pub origin: Origin,
    /// The message that led to this one.
    pub causation: Option<MessageId>,
    /// Who wrote.
    pub source: &'a str,
    /// The conversation.
    pub correlation: &'a str,
    /// Whether the message could not be digested.
    pub is_dead_letter: bool,
    /// The reply, if it was asked for.
    pub reply: Option<&'a [u8]>,
    events: Reader<'a>,
    sends: Reader<'a>,
    outbound: Reader<'a>,
}

/// A message to another entity as the journal holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendRef<'a> {
    /// The receiving partition.
    pub to: PartitionId,
    /// Its place in the stream between the two partitions.
    pub sequence: u64,
    /// The receiving entity's kind.
    pub kind: EntityKind,
    /// The receiving entity's id, encoded.
    pub entity: &'a [u8],
    /// The command, encoded.
    pub command: &'a [u8],
}

impl<'a> Entry<'a> {
    fn parse(sequence: Sequence, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { bytes };
        let at = Timestamp::from_millis(reader.i64()?);
        let kind = EntityKind(reader.u8()?);
        let flags = reader.u8()?;
        let origin = match reader.u8()? {
            0 => Origin::External(MessageId(reader.u128()?)),
            1 => Origin::Entity {
                from: PartitionId(reader.u16()?),
                sequence: reader.u64()?,
            },
            2 => Origin::Alarm,
            _ => return Err(Malformed("unknown origin")),
        };
        let causation = if flags & HAS_CAUSATION == 0 {
            None
        } else {
            Some(MessageId(reader.u128()?))
        };
        let source = reader.short_text()?;
        let correlation = reader.short_text()?;
        let entity = reader.medium()?;
        let events = reader.list(|list| list.long().map(|_| ()))?;
        let sends = reader.list(|list| list.send().map(|_| ()))?;
        let outbound = reader.list(|list| {
            list.u8()?;
            list.long().map(|_| ())
        })?;
        let reply = if flags & HAS_REPLY == 0 {
            None
        } else {
            Some(reader.long()?)
        };
        Ok(Self {
            sequence,
            at,
            kind,
            entity,
            origin,
            causation,
            source,
            correlation,
            is_dead_letter: flags & IS_DEAD_LETTER != 0,
            reply,
            events,
            sends,
            outbound,
        })
    }

    /// Who wrote and why, owned.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        Provenance {
            source: self.source.into(),
            correlation: self.correlation.into(),
            causation: self.causation,
        }
    }

    /// The events, each encoded.
    pub fn events(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = self.events;
        std::iter::from_fn(move || {
            if reader.bytes.is_empty() {
                None
            } else {
                reader.long().ok()
            }
        })
    }

    /// Whether anything happened to the entity.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.bytes.is_empty()
    }

    /// The messages to other entities.
    pub fn sends(&self) -> impl Iterator<Item = SendRef<'a>> + use<'a> {
        let mut reader = self.sends;
        std::iter::from_fn(move || {
            if reader.bytes.is_empty() {
                None
            } else {
                reader.send().ok()
            }
        })
    }

    /// The effects outside: port and body.
    pub fn outbound(&self) -> impl Iterator<Item = (PortId, &'a [u8])> + use<'a> {
        let mut reader = self.outbound;
        std::iter::from_fn(move || {
            if reader.bytes.is_empty() {
                return None;
            }
            let port = PortId(reader.u8().ok()?);
            Some((port, reader.long().ok()?))
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(Malformed("cut short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(Malformed("cut short"))?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_le_bytes)
    }

    fn u128(&mut self) -> Result<u128, Malformed> {
        self.array().map(u128::from_le_bytes)
    }

    fn short_text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.u8()?);
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed("text is not UTF-8"))
    }

    fn medium(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }

    fn long(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed("length"))?;
        self.take(length)
    }

    fn send(&mut self) -> Result<SendRef<'a>, Malformed> {
        Ok(SendRef {
            to: PartitionId(self.u16()?),
            sequence: self.u64()?,
            kind: EntityKind(self.u8()?),
            entity: self.medium()?,
            command: self.long()?,
        })
    }

    /// Skips a counted list and returns its bytes, every part of which has been checked to be whole.
    fn list(
        &mut self,
        mut skip: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<Reader<'a>, Malformed> {
        let count = self.u16()?;
        let whole = self.bytes;
        for _ in 0..count {
            skip(self)?;
        }
        Ok(Reader {
            bytes: &whole[..whole.len() - self.bytes.len()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn provenance() -> Provenance {
        Provenance {
            source: "wms".into(),
            correlation: "c-1".into(),
            causation: Some(MessageId(9)),
        }
    }

    fn head(provenance: &Provenance) -> EntryHead<'_> {
        EntryHead {
            at: Timestamp::from_millis(77),
            kind: EntityKind(3),
            entity: b"id",
            origin: Origin::External(MessageId(5)),
            provenance,
        }
    }

    fn sample() -> Vec<u8> {
        let mut blob = Vec::new();
        begin_blob(&mut blob, PartitionId(4), Epoch(2), Sequence(10));
        let provenance = provenance();
        let mut writer = EntryWriter::begin(&mut blob, &head(&provenance)).unwrap();
        writer.event(&"one").unwrap();
        writer.event(&2_u8).unwrap();
        writer.events_done();
        writer
            .send(PartitionId(1), 7, EntityKind(1), b"other", b"command")
            .unwrap();
        writer.sends_done();
        writer.outbound(PortId(1), b"effect").unwrap();
        writer.reply(&true).unwrap();
        writer.finish().unwrap();
        blob
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        let bytes = sample();
        let blob = Blob::parse(&bytes).unwrap();
        assert_eq!(
            (blob.partition, blob.epoch, blob.first, blob.end()),
            (PartitionId(4), Epoch(2), Sequence(10), Sequence(11))
        );
        let entries: Vec<_> = blob.iter().map(Result::unwrap).collect();
        assert_eq!(entries.len(), 1);
        let entry = entries[0];
        assert_eq!(entry.sequence, Sequence(10));
        assert_eq!(entry.provenance(), provenance());
        assert_eq!(entry.entity, b"id");
        assert_eq!(entry.events().count(), 2);
        assert_eq!(entry.sends().next().unwrap().command, b"command");
        assert_eq!(
            entry.outbound().collect::<Vec<_>>(),
            [(PortId(1), &b"effect"[..])]
        );
        assert!(entry.reply.is_some());
    }

    #[test]
    fn a_head_whose_entries_would_have_no_numbers_is_refused() {
        let mut bytes = sample();
        assert_eq!(bytes[16..24], 10_u64.to_le_bytes());
        bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(Blob::parse(&bytes).is_err());
        bytes[16..24].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
        assert_eq!(Blob::parse(&bytes).unwrap().end(), Sequence(u64::MAX));
    }

    #[test]
    fn an_unfinished_entry_leaves_no_trace() {
        let mut blob = sample();
        let before = blob.clone();
        let provenance = provenance();
        let mut writer = EntryWriter::begin(&mut blob, &head(&provenance)).unwrap();
        writer.event(&"lost").unwrap();
        drop(writer);
        assert_eq!(blob, before);
    }

    #[test]
    fn an_overlong_correlation_is_refused() {
        let mut blob = sample();
        let mut long = provenance();
        long.correlation = "x".repeat(MAX_CORRELATION_BYTES + 1).into();
        assert!(EntryWriter::begin(&mut blob, &head(&long)).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_refused_not_panicked_on(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(blob) = Blob::parse(&bytes) {
                for entry in blob.iter().flatten() {
                    prop_assert!(entry.events().count() <= bytes.len());
                }
            }
        }

        #[test]
        fn a_cut_blob_never_reads_as_whole(cut in 0_usize..100) {
            let bytes = sample();
            let cut = cut.min(bytes.len() - 1);
            let whole = Blob::parse(&bytes[..cut]).map(|blob| blob.iter().all(|entry| entry.is_ok()));
            prop_assert!(!matches!(whole, Ok(true)));
        }
    }
}
