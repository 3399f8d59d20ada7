use super::*;
use crate::entity::PortId;
use crate::feed::FeedFilter;
use crate::journal::{EntryHead, EntryWriter, begin_blob};
use crate::memory::{Fault, MemoryDisk};
use crate::message::{MessageId, Origin, Provenance};
use crate::placement::PartitionCount;
use crate::store::{Epoch, PartitionBatch};
use crate::time::Timestamp;
use crossbeam_channel::bounded;

const PATIENCE: Duration = Duration::from_secs(10);

/// A writer on a thread of its own, with the shards' ends of its channels.
struct Desk {
    disk: MemoryDisk,
    commands: Sender<WriterCommand>,
    completions: Vec<Receiver<Completion>>,
    feeds: Arc<FeedBoard>,
    health: Arc<HealthBoard>,
    counters: Arc<WriterCounters>,
    ended: Receiver<()>,
}

impl Desk {
    fn start(shards: u16) -> Self {
        Self::start_with(shards, |store| store)
    }

    fn start_with(shards: u16, wrap: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>) -> Self {
        let count = PartitionCount::new(shards).unwrap();
        let disk = MemoryDisk::new(count);
        let (commands, writer_commands) = bounded(64);
        let (links, completions) = count
            .all()
            .map(|partition| {
                let (sender, receiver) = bounded(16);
                let link = ShardLink {
                    claims: vec![Claim::alone(partition)],
                    completions: sender,
                    wake: Arc::new(Notify::new()),
                };
                (link, receiver)
            })
            .unzip();
        let feeds = Arc::new(FeedBoard::new(count, vec!["audit".to_owned()]));
        let health = Arc::new(HealthBoard::new(usize::from(shards)));
        let counters = Arc::new(WriterCounters::default());
        let writer = Writer {
            opener: Arc::new(disk.clone()),
            shards: links,
            commands: writer_commands,
            feeds: Arc::clone(&feeds),
            health: Arc::clone(&health),
            counters: Arc::clone(&counters),
            generations: vec![0; usize::from(shards)],
        };
        let store = wrap(disk.open().unwrap());
        let (ending, ended) = bounded(1);
        std::thread::spawn(move || {
            writer.run(store);
            ending.send(()).unwrap();
        });
        Self {
            disk,
            commands,
            completions,
            feeds,
            health,
            counters,
            ended,
        }
    }

    fn opened(&self, shard: usize) -> (u64, PartitionState) {
        match self.completions[shard].recv_timeout(PATIENCE).unwrap() {
            Completion::Opened {
                generation, states, ..
            } => (generation, states[0].clone()),
            Completion::Stored { .. } | Completion::TakenUp { .. } | Completion::Failed => {
                panic!("the store was not opened")
            }
        }
    }

    fn send(&self, command: WriterCommand) {
        self.commands.send_timeout(command, PATIENCE).unwrap();
    }

    fn stop(&self) {
        self.send(WriterCommand::Stop);
        self.ended.recv_timeout(PATIENCE).unwrap();
    }
}

fn batch(state: &PartitionState) -> CommitBatch {
    let mut journal = Vec::new();
    begin_blob(&mut journal, state.partition, state.epoch, state.next_sequence);
    let provenance = Provenance {
        source: "test".into(),
        correlation: "test".into(),
        causation: None,
    };
    let head = EntryHead {
        at: Timestamp::default(),
        kind: crate::entity::EntityKind(1),
        entity: b"id",
        origin: Origin::External(MessageId(1)),
        provenance: &provenance,
    };
    let mut writer = EntryWriter::begin(&mut journal, &head).unwrap();
    writer.events_done();
    writer.sends_done();
    writer.finish().unwrap();
    CommitBatch {
        partitions: vec![PartitionBatch {
            partition: state.partition,
            epoch: state.epoch,
            first_sequence: state.next_sequence,
            entries: 1,
            journal,
            ..PartitionBatch::default()
        }],
        cursors: Vec::new(),
    }
}

/// Two wishes for the partitions, one of them from before the store failed: a batch decided between the two answers is
/// void. Committed, it would have been fenced off, and the whole store taken for failed.
#[test]
fn a_batch_from_before_the_partitions_were_given_anew_is_void() {
    let desk = Desk::start(1);
    let (generation, state) = desk.opened(0);
    desk.send(WriterCommand::Reacquire { shard: 0 });
    let (newer, newest_state) = desk.opened(0);
    assert!(newer > generation && newest_state.epoch > state.epoch);
    let commit = |generation, state: &PartitionState| WriterCommand::Commit {
        shard: 0,
        generation,
        number: 1,
        batch: batch(state),
    };
    desk.send(commit(generation, &state));
    desk.send(commit(newer, &newest_state));
    let stored = desk.completions[0].recv_timeout(PATIENCE).unwrap();
    assert!(matches!(stored, Completion::Stored { number: 1, .. }));
    desk.stop();
    assert_eq!(desk.counters.read().failures, 0);
    assert_eq!(desk.disk.commits(), 1);
}

/// A shard that is quick is ready before the writer has given the last shard its partitions.
#[test]
fn a_shard_that_reports_ready_stays_ready() {
    let (open_gate, gate) = bounded(1);
    let desk = Desk::start_with(2, |store| Box::new(SlowToAcquire { store, gate }));
    desk.opened(0);
    desk.health.shard_ready(0);
    open_gate.send(()).unwrap();
    desk.opened(1);
    desk.health.shard_ready(1);
    desk.stop();
    assert!(desk.health.is_ready());
}

/// Gives partition 1 away only when the gate has been opened.
struct SlowToAcquire {
    store: Box<dyn Store>,
    gate: Receiver<()>,
}

impl Store for SlowToAcquire {
    fn partition_count(&self) -> PartitionCount {
        self.store.partition_count()
    }

    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        if claims == [Claim::alone(PartitionId(1))] {
            self.gate.recv_timeout(PATIENCE).unwrap();
        }
        self.store.acquire(claims)
    }

    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        self.store.commit(batches)
    }

    fn reader(&self) -> Arc<dyn StoreReader> {
        self.store.reader()
    }
}

#[test]
fn the_writer_ends_though_its_last_commit_fails() {
    let desk = Desk::start(1);
    let (generation, state) = desk.opened(0);
    desk.disk.fail([Fault::Lost]);
    desk.send(WriterCommand::Commit {
        shard: 0,
        generation,
        number: 1,
        batch: batch(&state),
    });
    // Taken together with the commit, or found while the store is opened again.
    desk.stop();
    assert_eq!(desk.disk.commits(), 0);
}

#[test]
fn the_writer_ends_though_its_last_cursors_cannot_be_stored() {
    let desk = Desk::start(1);
    desk.opened(0);
    let mut feed = desk.feeds.feed("audit", FeedFilter::Port(PortId(1))).unwrap();
    desk.disk.fail([Fault::Full]);
    feed.save(PartitionId(0), Sequence(5));
    desk.stop();
}

#[test]
fn a_panic_of_the_store_is_a_failure_like_any_other() {
    let desk = Desk::start(1);
    let (generation, mut state) = desk.opened(0);
    // The store in memory asserts that sequences are dense.
    state.next_sequence = Sequence(99);
    desk.send(WriterCommand::Commit {
        shard: 0,
        generation,
        number: 1,
        batch: batch(&state),
    });
    let failed = desk.completions[0].recv_timeout(PATIENCE).unwrap();
    assert!(matches!(failed, Completion::Failed));
    let (generation, state) = desk.opened(0);
    desk.send(WriterCommand::Commit {
        shard: 0,
        generation,
        number: 1,
        batch: batch(&state),
    });
    let stored = desk.completions[0].recv_timeout(PATIENCE).unwrap();
    assert!(matches!(stored, Completion::Stored { .. }));
    desk.stop();
    assert_eq!(state.epoch, Epoch(2));
}

#[tokio::test]
async fn a_consumer_learns_that_the_node_is_gone() {
    let desk = Desk::start(1);
    desk.opened(0);
    let mut feed = desk.feeds.feed("audit", FeedFilter::Port(PortId(1))).unwrap();
    let waiting = tokio::spawn(async move { feed.next(10).await });
    desk.stop();
    let ended = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(ended, Err(crate::feed::FeedClosed));
}

/// A node whose lease ran out while its database was away, and that was then told every moment which partitions were its own, never
/// opened its store again.
#[test]
fn what_a_writer_is_told_does_not_put_off_the_next_opening() {
    let desk = Desk::start(1);
    let (generation, state) = desk.opened(0);
    desk.disk.fail([Fault::Lost]);
    desk.send(WriterCommand::Commit {
        shard: 0,
        generation,
        number: 0,
        batch: batch(&state),
    });
    let completions = &desk.completions[0];
    assert!(matches!(
        completions.recv_timeout(PATIENCE),
        Ok(Completion::Failed)
    ));
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        desk.send(WriterCommand::Move(Move::TakeUp {
            shard: 0,
            claims: vec![Claim::alone(state.partition)],
        }));
        // Well before the first pause is over.
        if let Ok(completion) = completions.recv_timeout(FIRST_PAUSE / 10) {
            assert!(matches!(completion, Completion::Opened { .. }));
            return desk.stop();
        }
    }
    panic!("not opened again within {PATIENCE:?}");
}
