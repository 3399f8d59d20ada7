//! A store is dealt out anew: what goes where, what is remembered, and what is refused. Engines are in memory; the entities are
//! contracts, known by their customer, whose states nobody reads here.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

use lockstep_actors::pricing::CustomerContract;
use lockstep_adapters::store::transfer::{Repartitioned, TransferError, repartition};
use lockstep_runtime::entity::Entity;
use lockstep_runtime::journal::{Blob, EntryHead, EntryWriter, begin_blob};
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{MessageId, Origin, Provenance, Sequence};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{
    Claim, CommitBatch, Cursor, DeadLetter, PartitionBatch, PartitionState, SnapshotRecord, Standing, Store,
    StoreOpener,
};
use lockstep_runtime::time::Timestamp;
use std::ops::ControlFlow;

const CUSTOMERS: [&str; 6] = ["C-1", "C-2", "C-3", "C-4", "C-5", "C-6"];

fn count(partitions: u16) -> PartitionCount {
    PartitionCount::new(partitions).unwrap()
}

/// The id of a customer's message number so many.
fn id(customer: &str, number: u32) -> MessageId {
    MessageId::of(customer, &number.to_string())
}

/// What one partition's journal says about its messages.
struct Entries {
    bytes: Vec<u8>,
    count: u32,
}

impl Entries {
    fn of(state: &PartitionState) -> Self {
        let mut bytes = Vec::new();
        begin_blob(&mut bytes, state.partition, state.epoch, Sequence(1));
        Self { bytes, count: 0 }
    }

    fn add(&mut self, customer: &str, number: u32, send: Option<PartitionId>, told: bool) {
        let provenance = Provenance {
            source: "crm".into(),
            correlation: "c".into(),
            causation: None,
        };
        let head = EntryHead {
            at: Timestamp::from_millis(i64::from(number)),
            kind: CustomerContract::KIND,
            entity: customer.as_bytes(),
            origin: Origin::External(id(customer, number)),
            provenance: &provenance,
        };
        let mut writer = EntryWriter::begin(&mut self.bytes, &head).unwrap();
        writer.events_done();
        if let Some(to) = send {
            writer
                .send(to, 1, CustomerContract::KIND, customer.as_bytes(), &[])
                .unwrap();
        }
        writer.sends_done();
        if told {
            writer
                .outbound(lockstep_runtime::entity::PortId(1), &[1])
                .unwrap();
        }
        writer.finish().unwrap();
        self.count += 1;
    }
}

/// What is odd about a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd {
    Nothing,
    /// Its first partition has sent what its last one has not taken.
    UnderWay,
    /// A consumer has not read what was said last.
    Unread,
    /// A dead letter that nobody has looked at.
    Letter,
}

/// A store of four partitions with so many messages of each customer, one after the other.
fn filled(messages: u32, odd: Odd) -> MemoryDisk {
    let disk = MemoryDisk::new(count(4));
    let mut store = disk.open().unwrap();
    for state in acquired(&mut *store) {
        let own = |customer: &&&str| count(4).partition_of(customer.as_bytes()) == state.partition;
        let mut entries = Entries::of(&state);
        for number in 0..messages {
            for customer in CUSTOMERS.iter().filter(own) {
                let first = number == 0 && entries.count == 0;
                let send = (odd == Odd::UnderWay && first).then_some(PartitionId(3));
                entries.add(customer, number, send, odd == Odd::Unread && first);
            }
        }
        let last = Sequence(u64::from(entries.count));
        let snapshot = |customer: &&str| SnapshotRecord {
            kind: CustomerContract::KIND,
            entity: customer.as_bytes().into(),
            sequence: last,
            alarm: (*customer == "C-3").then(|| Timestamp::from_millis(77)),
            previous_alarm: None,
            state: format!("state of {customer}").into_bytes(),
        };
        let part = PartitionBatch {
            partition: state.partition,
            epoch: state.epoch,
            first_sequence: Sequence(1),
            entries: entries.count,
            journal: entries.bytes,
            snapshots: CUSTOMERS.iter().filter(own).map(snapshot).collect(),
            dead_letters: (odd == Odd::Letter && entries.count > 0)
                .then(|| (Sequence(1), letter()))
                .into_iter()
                .collect(),
            ..PartitionBatch::default()
        };
        let cursor = |consumer: &str, sequence| Cursor {
            consumer: consumer.to_owned(),
            partition: state.partition,
            sequence,
        };
        let cursors = vec![cursor("erp", last), cursor("channel/old", Sequence(0))];
        store
            .commit(&[CommitBatch {
                partitions: vec![part],
                cursors,
            }])
            .unwrap();
    }
    disk
}

fn letter() -> DeadLetter {
    DeadLetter {
        at: Timestamp::from_millis(1),
        reason: "no".to_owned(),
        source: "crm".to_owned(),
        correlation: "c".to_owned(),
        kind: CustomerContract::KIND,
        entity: b"C-1".to_vec(),
        command: vec![],
        origin: None,
    }
}

fn acquired(store: &mut dyn Store) -> Vec<PartitionState> {
    let claims: Vec<Claim> = store.partition_count().all().map(Claim::alone).collect();
    store.acquire(&claims).unwrap()
}

fn dealt(from: &MemoryDisk, to: &MemoryDisk, without: &[&str]) -> Result<Repartitioned, TransferError> {
    let without: Vec<String> = without.iter().map(|name| (*name).to_owned()).collect();
    let (mut source, mut target) = (from.open().unwrap(), to.open().unwrap());
    repartition(&mut *source, &mut *target, &without, |_| {})
}

/// The ids that a partition remembers, the oldest first.
fn remembered(store: &dyn Store, partition: PartitionId) -> Vec<MessageId> {
    let mut ids = Vec::new();
    let mut look = |bytes: &[u8]| {
        for entry in Blob::parse(bytes).unwrap().iter().map(Result::unwrap) {
            assert!(!entry.has_events() && entry.sends().next().is_none());
            if let Origin::External(id) = entry.origin {
                ids.push(id);
            }
        }
        ControlFlow::Continue(())
    };
    store.reader().journal(partition, Sequence(0), &mut look).unwrap();
    ids
}

#[test]
fn every_entity_and_every_id_goes_where_its_key_belongs() {
    for partitions in [1, 2, 3, 4, 7, 64] {
        let (from, to) = (filled(10, Odd::Nothing), MemoryDisk::new(count(partitions)));
        let done = dealt(&from, &to, &[]).unwrap();
        assert_eq!(
            (done.from, done.to, done.entities, done.remembered),
            (4, partitions, 6, 60)
        );
        assert!(
            Standing::check(&*from.open().unwrap().reader()).is_err(),
            "the old one"
        );
        let mut store = to.open().unwrap();
        let reader = store.reader();
        Standing::check(&*reader).unwrap();
        for state in acquired(&mut *store) {
            let place = state.partition;
            let own: Vec<&str> = CUSTOMERS
                .into_iter()
                .filter(|customer| count(partitions).partition_of(customer.as_bytes()) == place)
                .collect();
            let mut found = Vec::new();
            let mut look = |of: lockstep_runtime::store::SnapshotRef<'_>| {
                let customer = String::from_utf8(of.entity.to_vec()).unwrap();
                assert_eq!(of.state, format!("state of {customer}").as_bytes());
                assert_eq!(of.alarm.is_some(), customer == "C-3");
                assert_eq!(
                    of.sequence.next(),
                    state.next_sequence,
                    "the newest that is said there"
                );
                found.push(customer);
                ControlFlow::Continue(())
            };
            reader
                .snapshots(place, CustomerContract::KIND, &mut look)
                .unwrap();
            assert_eq!(found, own, "{partitions} partitions");
            let ids: Vec<MessageId> = (0..10)
                .flat_map(|number| own.iter().map(move |customer| id(customer, number)))
                .collect();
            let mut known = remembered(&*store, place);
            // By time; of the same time in no order that matters.
            for (known, wanted) in known
                .chunks_mut(own.len().max(1))
                .zip(ids.chunks(own.len().max(1)))
            {
                known.sort_unstable();
                let mut wanted = wanted.to_vec();
                wanted.sort_unstable();
                assert_eq!(known, wanted);
            }
            assert_eq!(known.len(), ids.len());
            assert_eq!(reader.cursor("erp", place).unwrap().next(), state.next_sequence);
        }
    }
}

#[test]
fn one_partition_in_place_of_four_knows_the_newest_ids_of_all() {
    // 6 customers with 3,000 messages each are 18,000; a partition remembers 16,384, so the first 1,616 are forgotten.
    let (from, to) = (filled(3_000, Odd::Nothing), MemoryDisk::new(count(1)));
    assert_eq!(dealt(&from, &to, &[]).unwrap().remembered, 16_384);
    let known = remembered(&*to.open().unwrap(), PartitionId(0));
    // 269 rounds of six, and two of the next.
    assert!(!known.contains(&id("C-1", 268)) && known.contains(&id("C-1", 270)));
    assert_eq!(known.len(), 16_384);
}

#[test]
fn what_is_not_settled_is_refused_and_says_what_to_wait_for() {
    let cases: [(Odd, &[&str], Option<&str>); 5] = [
        (Odd::Nothing, &[], None),
        (Odd::UnderWay, &[], Some("which has taken 0")),
        (Odd::Unread, &[], Some("channel/old has read partition")),
        (Odd::Unread, &["channel/old"], None),
        (Odd::Letter, &[], Some("1 dead letters of partition")),
    ];
    for (odd, without, why) in cases {
        let (from, to) = (filled(3, odd), MemoryDisk::new(count(8)));
        let refused = dealt(&from, &to, without).err().map(|error| error.to_string());
        assert_eq!(refused.is_some(), why.is_some(), "{odd:?}: {refused:?}");
        if let (Some(refused), Some(why)) = (refused, why) {
            assert!(refused.contains(why), "{odd:?}: {refused}");
            Standing::check(&*from.open().unwrap().reader()).unwrap();
            dealt(&filled(3, Odd::Nothing), &to, &[]).unwrap();
        }
    }
}

#[test]
fn a_store_that_is_not_new_is_not_dealt_into() {
    let (from, to) = (filled(3, Odd::Nothing), filled(3, Odd::Nothing));
    assert!(matches!(dealt(&from, &to, &[]), Err(TransferError::NotEmpty)));
    Standing::check(&*from.open().unwrap().reader()).unwrap();
}
