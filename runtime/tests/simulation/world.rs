//! The world that the shards live in, stepped by one random number generator.

use crate::audit::Audit;
use crate::toy::{Bank, Command, PORT, Party, Reference, Reply, envelope};
use lockstep_runtime::journal::Blob;
use lockstep_runtime::memory::{Fault, MemoryDisk};
use lockstep_runtime::message::{Delivery, InternalMessage, MessageId, Outcome, Responder, Sequence};
use lockstep_runtime::metrics::ShardCounters;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::shard::{Acknowledgement, ConsumerProgress, Released, Shard, ShardLimits, ShardWiring};
use lockstep_runtime::store::{Claim, CommitBatch, Store, StoreOpener, StoreReader};
use lockstep_runtime::time::Timestamp;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

const STEPS: usize = 12_000;
/// How many messages the clients have under way, by history. With few the inbox's window is short, and does not hide what
/// else the journal is kept for.
const BACKLOGS: [usize; 3] = [3, 10, 40];
/// The tag of a command that is passed on, after that of the message that passes it on.
const PASSED: u64 = 1_000_000;
const TRIM_STEP: u64 = 24;
/// A journal is trimmed in steps, behind the window, in whole blobs.
const MOST_RETAINED: u64 = TRIM_STEP + 80 + 64;

pub(crate) struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// What happened in a history, so that none is taken for a proof in which nothing did.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    requests: u64,
    repeats: u64,
    crashes: u64,
    shard_losses: u64,
    failed_commits: u64,
    packets_lost: u64,
    passivations: u64,
    dead_letters: u64,
    trimmed: u64,
    reminders: u64,
}

impl Seen {
    fn numbers(&mut self) -> [&mut u64; 10] {
        [
            &mut self.requests,
            &mut self.repeats,
            &mut self.crashes,
            &mut self.shard_losses,
            &mut self.failed_commits,
            &mut self.packets_lost,
            &mut self.passivations,
            &mut self.dead_letters,
            &mut self.trimmed,
            &mut self.reminders,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.repeats += other.repeats;
        self.crashes += other.crashes;
        self.shard_losses += other.shard_losses;
        self.failed_commits += other.failed_commits;
        self.packets_lost += other.packets_lost;
        self.passivations += other.passivations;
        self.dead_letters += other.dead_letters;
        self.trimmed += other.trimmed;
        self.reminders += other.reminders;
    }

    pub(crate) fn assert_everything_happened(&mut self) {
        let text = format!("{self:?}");
        assert!(self.numbers().iter().all(|number| **number > 0), "{text}");
    }
}

/// A consumer of the effects that reads when it likes, and sometimes forgets how far it was.
struct Consumer {
    saved: Vec<AtomicU64>,
}

impl ConsumerProgress for Consumer {
    fn consumed(&self, partition: PartitionId) -> Sequence {
        Sequence(self.saved[usize::from(partition.0)].load(Ordering::Relaxed))
    }
}

enum Packet {
    Message(Arc<InternalMessage>),
    Acknowledged(Acknowledgement),
}

struct Request {
    to: Party,
    command: Command,
    reply: Option<Reply>,
    is_settled: bool,
}

pub(crate) struct World {
    rng: Rng,
    disk: MemoryDisk,
    store: Box<dyn Store>,
    wiring: ShardWiring<Bank>,
    reference: Arc<Reference>,
    shards: Vec<Shard<Bank>>,
    at_store: VecDeque<(usize, u64, CommitBatch)>,
    network: Vec<Packet>,
    now: Timestamp,
    requests: Vec<Request>,
    oldest: usize,
    backlog: usize,
    waiting: Vec<(usize, oneshot::Receiver<Outcome<Reply>>)>,
    asking: Vec<(Party, oneshot::Receiver<Outcome<Reply>>)>,
    consumer: Arc<Consumer>,
    received: BTreeMap<PartitionId, Vec<(Sequence, Vec<u8>)>>,
    audit: Audit,
    seen: Seen,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let backlog = BACKLOGS[rng.below(BACKLOGS.len())];
        let count = PartitionCount::new(u16::try_from(1 + rng.below(4)).unwrap()).unwrap();
        let disk = MemoryDisk::new(count);
        let reference = Arc::new(Reference::default());
        let consumer = Arc::new(Consumer {
            saved: count.all().map(|_| AtomicU64::new(0)).collect(),
        });
        let wiring = ShardWiring {
            partition_count: count,
            reference: Arc::clone(&reference),
            consumers: Arc::clone(&consumer) as _,
            limits: ShardLimits {
                batch_entries: 1 + rng.below(16),
                batch_bytes: 4096,
                // A repeat meets the window as long as that holds twice the backlog: all of it may have been before the
                // message and be taken after it, and as much again may have come since.
                dedupe_window: 2 * backlog,
                journal_tail: 1 + rng.next() % 48,
                trim_step: 1 + rng.next() % TRIM_STEP,
                attempts: 2,
                outbox: 4 + rng.below(32),
                idle: Duration::from_millis(200),
                memory_budget: if rng.percent(50) { 1 } else { 1 << 20 },
            },
            counters: Arc::new(ShardCounters::default()),
        };
        let mut world = Self {
            store: disk.open().unwrap(),
            disk,
            wiring,
            reference,
            shards: Vec::new(),
            at_store: VecDeque::new(),
            network: Vec::new(),
            now: Timestamp::from_millis(1_000_000),
            requests: Vec::new(),
            oldest: 0,
            backlog,
            waiting: Vec::new(),
            asking: Vec::new(),
            consumer,
            received: BTreeMap::new(),
            audit: Audit::new(count),
            seen: Seen::default(),
            rng,
        };
        world.restart();
        world
    }

    pub(crate) fn live(mut self) -> Seen {
        for _ in 0..STEPS {
            self.step();
        }
        self.come_to_rest();
        self.check_the_books();
        self.check_the_journals_are_short();
        self.check_what_is_read_back();
        self.seen.requests = self.requests.len() as u64;
        self.seen.dead_letters = self.audit.dead_letters as u64;
        let counters = self.wiring.counters.read();
        (self.seen.passivations, self.seen.repeats) = (counters.passivations, counters.repeated);
        self.seen
    }

    fn step(&mut self) {
        match self.rng.below(200) {
            0..60 => self.new_request(),
            60..80 => self.repeat_a_request(),
            80..85 => self.ask(),
            85..125 => self.deliver_a_packet(),
            125..155 => {
                let shard = self.rng.below(self.shards.len());
                self.turn(shard);
            }
            155..180 => self.commit(),
            180..186 => self.tick(),
            186..188 => self.resend(),
            188..194 => self.consume(),
            194..197 => self.plan_a_fault(),
            197 => self.crash(),
            198 if self.rng.percent(40) => self.lose_a_shard(),
            _ => self.deliver_everything(),
        }
    }

    // Clients.

    /// All requests before it are settled, and stay so.
    fn oldest_unsettled(&mut self) -> usize {
        while self
            .requests
            .get(self.oldest)
            .is_some_and(|request| request.is_settled)
        {
            self.oldest += 1;
        }
        self.oldest
    }

    fn party(&mut self) -> Party {
        let id = u32::try_from(self.rng.below(6)).unwrap();
        if self.rng.percent(50) {
            Party::Account(id)
        } else {
            Party::Vault(id)
        }
    }

    fn new_request(&mut self) {
        if self.requests.len() - self.oldest_unsettled() >= self.backlog {
            return;
        }
        let (to, other) = (self.party(), self.party());
        let tag = self.requests.len() as u64;
        let amount = i64::try_from(self.rng.below(100)).unwrap();
        let command = match self.rng.below(100) {
            0..40 => Command::Credit { tag, amount },
            40..70 => Command::Transfer {
                tag,
                amount,
                to: other,
            },
            70..80 => Command::Remind {
                tag,
                at: self.now.as_millis() + i64::try_from(self.rng.below(3000)).unwrap(),
                poisoned: false,
            },
            80..84 => Command::PanicInDecide { tag },
            84..88 => Command::PanicInApply { tag },
            _ => Command::Pass {
                tag,
                to: other,
                command: Box::new(self.passed_on(tag + PASSED, amount)),
            },
        };
        self.requests.push(Request {
            to,
            command,
            reply: None,
            is_settled: false,
        });
        self.submit(self.requests.len() - 1);
    }

    fn passed_on(&mut self, tag: u64, amount: i64) -> Command {
        match self.rng.below(4) {
            0 => Command::PanicInDecide { tag },
            1 => Command::PanicInApply { tag },
            _ => Command::Credit { tag, amount },
        }
    }

    fn repeat_a_request(&mut self) {
        let newest = self.requests.len();
        if newest > 0 {
            let back = 1 + self.rng.below(self.backlog.min(newest));
            let oldest = self.oldest_unsettled();
            let is_retry = oldest < newest && self.rng.percent(50);
            self.submit(if is_retry { oldest } else { newest - back });
        }
    }

    fn submit(&mut self, number: usize) {
        let request = &self.requests[number];
        let envelope = envelope(number as u64, request.to, request.command.clone());
        let (sender, receiver) = oneshot::channel();
        if self.hand_in(envelope, Responder::once(sender)) {
            self.waiting.push((number, receiver));
        }
    }

    fn ask(&mut self) {
        let party = self.party();
        self.ask_of(party);
    }

    fn ask_of(&mut self, party: Party) {
        let (sender, receiver) = oneshot::channel();
        if self.hand_in(envelope(u64::MAX, party, Command::Show), Responder::once(sender)) {
            self.asking.push((party, receiver));
        }
    }

    fn hand_in(
        &mut self,
        envelope: lockstep_runtime::message::Envelope<Bank>,
        responder: Responder<Reply>,
    ) -> bool {
        use lockstep_runtime::entity::AddressedMessage;
        let partition = self
            .wiring
            .partition_count
            .partition_of(envelope.message.routing_key());
        let shard = self.shard_of(partition);
        if self.shards[shard].is_full() {
            return false;
        }
        let delivery = Delivery { envelope, responder };
        self.shards[shard].handle(delivery, self.now).unwrap();
        true
    }

    /// Looks at what clients have been told, and whether it is true.
    fn hear_answers(&mut self) {
        let audit = &self.audit;
        let requests = &mut self.requests;
        self.waiting.retain_mut(|(number, receiver)| {
            let Ok(outcome) = receiver.try_recv() else {
                return true;
            };
            let taken = audit.taken.get(&MessageId(*number as u128)).copied();
            let request = &mut requests[*number];
            match outcome {
                Outcome::Done { reply, .. } => {
                    assert_eq!(taken, Some(false), "{number} was answered before it was durable");
                    let first = request.reply.get_or_insert_with(|| reply.clone());
                    assert_eq!(*first, reply, "a repeat of {number} is answered differently");
                    request.is_settled = true;
                }
                Outcome::DeadLettered { .. } => {
                    assert_eq!(taken, Some(true), "{number} is no dead letter");
                    request.is_settled = true;
                }
                Outcome::Repeated => panic!("the answer to {number} was not kept"),
                Outcome::Unavailable => {}
            }
            false
        });
        self.asking.retain_mut(|(party, receiver)| {
            let Ok(outcome) = receiver.try_recv() else {
                return true;
            };
            if let Outcome::Done { reply, .. } = outcome {
                let durable = audit.states.get(party).map_or(&[][..], |state| &state.log);
                assert!(
                    durable.starts_with(&reply.standing().log),
                    "{party:?} was shown as it is not durable"
                );
            }
            false
        });
    }

    // Shards, store and network.

    fn shard_of(&self, partition: PartitionId) -> usize {
        usize::from(partition.0) % self.shards.len()
    }

    fn turn(&mut self, shard: usize) {
        let one = &mut self.shards[shard];
        one.reload_if_possible(self.now).unwrap();
        if one.in_flight() >= 2 {
            return;
        }
        if let Some((number, batch)) = one.take_batch(self.now) {
            self.at_store.push_back((shard, number, batch));
        } else {
            let released = one.release_idle().unwrap();
            self.route(released);
        }
        self.hear_answers();
    }

    fn route(&mut self, released: Released) {
        self.network
            .extend(released.sends.into_iter().map(Packet::Message));
        let words = released.acknowledgements.into_iter().map(Packet::Acknowledged);
        self.network.extend(words);
    }

    fn commit(&mut self) {
        let most = self.at_store.len().min(1 + self.rng.below(3));
        let (owners, batches): (Vec<_>, Vec<_>) = self
            .at_store
            .drain(..most)
            .map(|(shard, number, batch)| ((shard, number), batch))
            .unzip();
        if batches.is_empty() {
            return;
        }
        let stored = self.store.commit(&batches);
        self.audit.read(&self.disk);
        if stored.is_err() {
            self.seen.failed_commits += 1;
            self.disk.heal();
            return self.restart();
        }
        for ((shard, number), batch) in owners.into_iter().zip(batches) {
            self.shards[shard].reclaim(batch);
            let released = self.shards[shard].committed(number, self.now).unwrap();
            self.route(released);
        }
        self.audit.check_views(&self.reference);
        self.hear_answers();
    }

    fn deliver_a_packet(&mut self) {
        if self.network.is_empty() {
            return;
        }
        // Mostly in order, for the streams to get on.
        let place = if self.rng.percent(70) {
            0
        } else {
            self.rng.below(self.network.len())
        };
        let packet = self.network.remove(place);
        if self.rng.percent(5) {
            self.seen.packets_lost += 1;
            return;
        }
        let again = self.rng.percent(10).then(|| match &packet {
            Packet::Message(message) => Packet::Message(Arc::clone(message)),
            Packet::Acknowledged(word) => Packet::Acknowledged(*word),
        });
        self.network.extend(again);
        self.deliver(packet);
    }

    fn deliver(&mut self, packet: Packet) {
        match packet {
            Packet::Message(message) => {
                let shard = self.shard_of(message.to);
                if self.shards[shard].is_closed() {
                    self.network.push(Packet::Message(message));
                } else {
                    self.shards[shard].handle_internal(&message, self.now).unwrap();
                }
            }
            Packet::Acknowledged(word) => {
                let shard = self.shard_of(word.from);
                self.shards[shard].acknowledged(word);
            }
        }
    }

    fn deliver_everything(&mut self) {
        for packet in std::mem::take(&mut self.network) {
            self.deliver(packet);
        }
    }

    fn resend(&mut self) {
        for shard in &self.shards {
            let again = shard.unacknowledged(|_| true);
            self.network.extend(again.into_iter().map(Packet::Message));
        }
    }

    fn tick(&mut self) {
        self.now = self.now.after(Duration::from_millis(self.rng.next() % 400));
        for shard in &mut self.shards {
            shard.wake_due(self.now).unwrap();
        }
    }

    // What goes wrong.

    fn plan_a_fault(&mut self) {
        if self.rng.percent(30) {
            let faults = [Fault::Lost, Fault::Unacknowledged, Fault::Full];
            self.disk.fail([faults[self.rng.below(3)]]);
        }
    }

    fn crash(&mut self) {
        if self.rng.percent(20) {
            self.seen.crashes += 1;
            self.restart();
        }
    }

    /// Everything in memory is gone; the number of shards may be another one.
    fn restart(&mut self) {
        self.at_store.clear();
        self.network.clear();
        self.shards.clear();
        self.hear_answers();
        self.store = self.disk.open().unwrap();
        let shards = 1 + self.rng.below(3);
        for shard in 0..shards {
            let built = self.build(shard, shards);
            self.shards.push(built);
        }
        self.resend();
    }

    fn build(&mut self, shard: usize, shards: usize) -> Shard<Bank> {
        let own: Vec<_> = self
            .wiring
            .partition_count
            .all()
            .filter(|partition| usize::from(partition.0) % shards == shard)
            .collect();
        let states = self
            .store
            .acquire(&own.into_iter().map(Claim::alone).collect::<Vec<_>>())
            .unwrap();
        Shard::recover(self.wiring.clone(), &states, self.store.reader()).unwrap()
    }

    /// One shard loses its state, and what was on its way to it; what it has handed to the store is stored first.
    fn lose_a_shard(&mut self) {
        let before = self.seen.failed_commits;
        while !self.at_store.is_empty() {
            self.commit();
        }
        if self.seen.failed_commits > before {
            return;
        }
        self.seen.shard_losses += 1;
        let lost = self.rng.below(self.shards.len());
        let shards = self.shards.len();
        self.network.retain(|packet| match packet {
            Packet::Message(message) => usize::from(message.to.0) % shards != lost,
            Packet::Acknowledged(word) => usize::from(word.from.0) % shards != lost,
        });
        self.shards[lost] = self.build(lost, shards);
        self.hear_answers();
        self.resend();
    }

    // The consumer.

    fn consume(&mut self) {
        let partitions = usize::from(self.wiring.partition_count.get());
        let partition = PartitionId(u16::try_from(self.rng.below(partitions)).unwrap());
        let most = self.rng.below(200);
        let is_saved = self.rng.percent(80);
        self.consume_from(partition, most, is_saved);
    }

    fn consume_from(&mut self, partition: PartitionId, most: usize, is_saved: bool) {
        let saved = &self.consumer.saved[usize::from(partition.0)];
        let from = saved.load(Ordering::Relaxed) + 1;
        let received = self.received.entry(partition).or_default();
        let mut next = from;
        self.disk
            .journal(partition, Sequence(from), &mut |bytes| {
                for entry in Blob::parse(bytes).unwrap().iter().map(Result::unwrap) {
                    if entry.sequence.0 < next || next >= from + most as u64 {
                        continue;
                    }
                    assert_eq!(entry.sequence.0, next, "an entry was trimmed before it was read");
                    next += 1;
                    let last = received.last().map_or(0, |(sequence, _)| sequence.0);
                    if entry.sequence.0 > last {
                        let effects = entry.outbound().filter(|(port, _)| *port == PORT);
                        received.extend(effects.map(|(_, body)| (entry.sequence, body.to_vec())));
                    }
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        if is_saved {
            saved.store(next - 1, Ordering::Relaxed);
        }
    }

    // The end.

    fn is_at_rest(&mut self) -> bool {
        self.oldest_unsettled() == self.requests.len()
            && self.asking.is_empty()
            && self
                .shards
                .iter()
                .all(|shard| shard.is_settled() && shard.pending_sends() == 0)
            && self.audit.states.values().all(|state| state.reminders.is_empty())
    }

    /// No more faults: whatever was begun has to come to its end.
    fn come_to_rest(&mut self) {
        self.disk.heal();
        for _ in 0..3000 {
            if self.is_at_rest() {
                return;
            }
            for number in self.oldest_unsettled()..self.requests.len() {
                if !self.requests[number].is_settled {
                    self.submit(number);
                }
            }
            self.deliver_everything();
            for shard in 0..self.shards.len() {
                self.turn(shard);
            }
            while !self.at_store.is_empty() {
                self.commit();
            }
            self.resend();
            self.tick();
        }
        let settled = self.oldest_unsettled();
        panic!(
            "stuck: {settled} of {} requests settled, {:?} messages under way",
            self.requests.len(),
            self.shards.iter().map(Shard::pending_sends).collect::<Vec<_>>()
        );
    }

    fn check_the_books(&mut self) {
        let tags = self.audit.tags();
        let count = |tag: u64| tags.get(&tag).copied().unwrap_or(0);
        let (mut money, mut letters, mut known) = (0, 0, HashMap::new());
        for request in &self.requests {
            let traces = match &request.command {
                Command::Credit { tag, amount } => {
                    money += amount;
                    (*tag, 1)
                }
                Command::Transfer { tag, .. } => (*tag, 2),
                Command::Remind { tag, .. } => {
                    self.seen.reminders += 1;
                    (*tag, 2)
                }
                Command::PanicInDecide { tag } | Command::PanicInApply { tag } => {
                    letters += 1;
                    (*tag, 0)
                }
                Command::Pass { tag, command, .. } => {
                    if let Command::Credit { tag, amount } = **command {
                        money += amount;
                        known.insert(tag, 1);
                    } else {
                        letters += 1;
                    }
                    (*tag, 1)
                }
                other => panic!("{other:?} is no request"),
            };
            known.insert(traces.0, traces.1);
        }
        for (tag, wanted) in &known {
            assert_eq!(
                count(*tag),
                *wanted,
                "message {tag} has left other traces than one delivery does"
            );
        }
        assert!(
            tags.keys().all(|tag| known.contains_key(tag)),
            "something happened that nobody wanted"
        );
        assert_eq!(self.audit.money(), money, "money has been made or lost");
        assert_eq!(self.audit.dead_letters, letters, "dead letters in the journal");
        let mut stored = 0;
        for partition in self.wiring.partition_count.all() {
            let mut one_more = |_, _| {
                stored += 1;
                ControlFlow::Continue(())
            };
            self.disk.dead_letters(partition, &mut one_more).unwrap();
        }
        assert_eq!(stored, letters, "dead letters in the store");
        self.audit.check_streams();
        for partition in self.wiring.partition_count.all() {
            self.consume_from(partition, usize::MAX >> 1, true);
            let wanted = self.audit.effects.get(&partition).cloned().unwrap_or_default();
            assert_eq!(self.received[&partition], wanted, "the consumer's effects");
        }
    }

    /// Once the consumer has read all, a little more traffic trims what is left over.
    fn check_the_journals_are_short(&mut self) {
        for _ in 0..240 / self.backlog.min(24) {
            for id in 0..self.backlog.min(24) {
                let id = u32::try_from(id).unwrap();
                let tag = self.requests.len() as u64;
                self.requests.push(Request {
                    to: Party::Account(id),
                    command: Command::Credit { tag, amount: 1 },
                    reply: None,
                    is_settled: false,
                });
            }
            self.come_to_rest();
            for partition in self.wiring.partition_count.all() {
                self.consume_from(partition, usize::MAX >> 1, true);
            }
        }
        for partition in self.wiring.partition_count.all() {
            let mut first = self.audit.next(partition);
            self.disk
                .journal(partition, Sequence(1), &mut |bytes| {
                    first = Blob::parse(bytes).unwrap().first.0;
                    ControlFlow::Break(())
                })
                .unwrap();
            self.seen.trimmed += first - 1;
            let retained = self.audit.next(partition) - first;
            assert!(
                retained <= MOST_RETAINED,
                "{retained} entries of {partition:?} are kept"
            );
        }
    }

    /// Built anew, every entity is as the naive model says.
    fn check_what_is_read_back(&mut self) {
        self.restart();
        self.come_to_rest();
        for party in self.audit.parties() {
            let (sender, mut receiver) = oneshot::channel();
            let question = envelope(u64::MAX, party, Command::Show);
            assert!(self.hand_in(question, Responder::once(sender)));
            self.come_to_rest();
            (0..self.shards.len()).for_each(|shard| self.turn(shard));
            let Ok(Outcome::Done { reply, .. }) = receiver.try_recv() else {
                panic!("{party:?} does not answer");
            };
            let state = &self.audit.states[&party];
            assert_eq!(
                (reply.standing().balance, &reply.standing().log),
                (state.balance, &state.log),
                "{party:?}"
            );
        }
    }
}
