//! What a shard does when something goes wrong, one story a test. The shard is driven by hand: no threads, no clock.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected shall fail"
)]

mod toy;

use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::journal::Blob;
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{
    Delivery, Envelope, InternalMessage, MessageId, Outcome, Responder, Sequence,
};
use lockstep_runtime::metrics::ShardCounters;
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::shard::{ConsumerProgress, Released, Shard, ShardLimits, ShardWiring};
use lockstep_runtime::store::{Claim, Store, StoreOpener, StoreReader};
use lockstep_runtime::time::Timestamp;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use toy::{Bank, Command, Party, Reference, Reply, TOO_LONG, envelope};

const ALICE: Party = Party::Account(1);
const BOB: Party = Party::Account(2);
const VAULT: Party = Party::Vault(1);

struct NoConsumers;

impl ConsumerProgress for NoConsumers {
    fn consumed(&self, _: PartitionId) -> Sequence {
        Sequence(u64::MAX)
    }
}

/// One shard with one partition on a disk in memory.
struct Desk {
    disk: MemoryDisk,
    store: Box<dyn Store>,
    shard: Shard<Bank>,
    wiring: ShardWiring<Bank>,
    reference: Arc<Reference>,
    now: Timestamp,
    next_id: u64,
}

impl Desk {
    fn open() -> Self {
        Self::with(ShardLimits::default())
    }

    fn with(limits: ShardLimits) -> Self {
        toy::quiet_panics();
        let disk = MemoryDisk::new(PartitionCount::new(1).unwrap());
        let reference = Arc::new(Reference::default());
        let wiring = ShardWiring {
            partition_count: PartitionCount::new(1).unwrap(),
            reference: Arc::clone(&reference),
            consumers: Arc::new(NoConsumers),
            limits,
            counters: Arc::new(ShardCounters::default()),
        };
        let mut store = disk.open().unwrap();
        let states = store.acquire(&[Claim::alone(PartitionId(0))]).unwrap();
        let shard = Shard::recover(wiring.clone(), &states, store.reader()).unwrap();
        Self {
            disk,
            store,
            shard,
            wiring,
            reference,
            now: Timestamp::from_millis(1_000_000),
            next_id: 0,
        }
    }

    /// The process dies and starts again.
    fn crash(&mut self) {
        self.store = self.disk.open().unwrap();
        let states = self.store.acquire(&[Claim::alone(PartitionId(0))]).unwrap();
        self.shard = Shard::recover(self.wiring.clone(), &states, self.store.reader()).unwrap();
    }

    fn submit(&mut self, to: Party, command: Command) -> oneshot::Receiver<Outcome<Reply>> {
        self.next_id += 1;
        self.submit_as(self.next_id, to, command)
    }

    fn submit_as(&mut self, id: u64, to: Party, command: Command) -> oneshot::Receiver<Outcome<Reply>> {
        self.hand_in(Responder::once, envelope(id, to, command))
    }

    fn hand_in(
        &mut self,
        waiter: fn(oneshot::Sender<Outcome<Reply>>) -> Responder<Reply>,
        envelope: Envelope<Bank>,
    ) -> oneshot::Receiver<Outcome<Reply>> {
        let (sender, receiver) = oneshot::channel();
        let delivery = Delivery {
            envelope,
            responder: waiter(sender),
        };
        self.shard.look_ahead([&delivery]).unwrap();
        self.shard.handle(delivery, self.now).unwrap();
        receiver
    }

    /// Stores what is open, and says what was released.
    fn store_open(&mut self) -> Released {
        self.shard.reload_if_possible(self.now).unwrap();
        let Some((number, batch)) = self.shard.take_batch(self.now) else {
            return self.shard.release_idle().unwrap();
        };
        self.store.commit(&[batch]).unwrap();
        self.shard.committed(number, self.now).unwrap()
    }

    /// Stores and delivers until nothing is left to do; gives everything that was released on the way.
    fn settle(&mut self) -> Released {
        let mut all = Released::default();
        loop {
            let released = self.store_open();
            for send in &released.sends {
                self.shard.handle_internal(send, self.now).unwrap();
            }
            for acknowledgement in &released.acknowledgements {
                self.shard.acknowledged(*acknowledgement);
            }
            all.sends.extend(released.sends);
            all.acknowledgements.extend(released.acknowledgements);
            if self.shard.is_settled() {
                return all;
            }
        }
    }

    fn balance(&mut self, of: Party) -> i64 {
        let mut answer = self.submit(of, Command::Show);
        self.settle();
        match answer.try_recv().unwrap() {
            Outcome::Done { reply, .. } => reply.standing().balance,
            other => panic!("a question was answered {other:?}"),
        }
    }

    fn dead_letters(&self) -> usize {
        let mut letters = 0;
        self.disk
            .dead_letters(PartitionId(0), &mut |_, _| {
                letters += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        letters
    }

    fn later(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }
}

fn credit(tag: u64, amount: i64) -> Command {
    Command::Credit { tag, amount }
}

fn internal(sequence: u64, to: Party, command: &Command) -> InternalMessage {
    use lockstep_runtime::entity::AddressedMessage;
    let message = to.message(command.clone());
    let (mut entity, mut bytes) = (Vec::new(), Vec::new());
    message.encode_id(&mut entity);
    message.encode_command(&mut bytes).unwrap();
    InternalMessage {
        from: PartitionId(0),
        to: PartitionId(0),
        sequence,
        sent_at: Timestamp::default(),
        provenance: envelope(0, to, Command::Show).provenance,
        kind: message.kind(),
        entity: entity.into(),
        command: bytes.into(),
    }
}

#[test]
fn a_repeat_is_answered_as_the_first_delivery_was() {
    let mut desk = Desk::open();
    let mut first = desk.submit_as(7, ALICE, credit(1, 10));
    desk.settle();
    desk.submit(ALICE, credit(2, 5));
    desk.crash();
    let mut again = desk.submit_as(7, ALICE, credit(1, 10));
    desk.settle();
    let Outcome::Done {
        reply,
        repeated: false,
    } = first.try_recv().unwrap()
    else {
        panic!("the first delivery was not decided");
    };
    assert_eq!(
        again.try_recv().unwrap(),
        Outcome::Done {
            reply,
            repeated: true
        }
    );
    assert_eq!(desk.balance(ALICE), 10, "the second credit was never stored");
}

#[test]
fn nothing_is_told_before_it_is_durable() {
    let mut desk = Desk::open();
    let mut answer = desk.submit(
        ALICE,
        Command::Transfer {
            tag: 1,
            amount: 3,
            to: BOB,
        },
    );
    let mut question = desk.submit(ALICE, Command::Show);
    let (number, batch) = desk.shard.take_batch(desk.now).unwrap();
    assert!(answer.try_recv().is_err() && question.try_recv().is_err());
    assert!(desk.shard.unacknowledged(|_| true).is_empty());
    assert!(desk.reference.views.lock().unwrap().is_empty());
    desk.store.commit(&[batch]).unwrap();
    let released = desk.shard.committed(number, desk.now).unwrap();
    assert!(answer.try_recv().is_ok() && question.try_recv().is_ok());
    assert_eq!(released.sends.len(), 1);
    assert_eq!(desk.reference.views.lock().unwrap()[&ALICE].1, -3);
}

#[test]
fn a_message_that_panics_is_dead_lettered_and_its_neighbours_go_on() {
    for (poison, attempts) in [
        (Command::PanicInDecide { tag: 2 }, "decide"),
        (Command::PanicInApply { tag: 2 }, "apply"),
    ] {
        let mut desk = Desk::open();
        desk.submit(ALICE, credit(1, 10));
        let mut answer = desk.submit(ALICE, poison);
        desk.settle();
        assert!(
            matches!(answer.try_recv().unwrap(), Outcome::DeadLettered { .. }),
            "{attempts}"
        );
        assert_eq!(desk.dead_letters(), 1, "{attempts}");
        desk.submit(ALICE, credit(3, 5));
        desk.submit(BOB, credit(4, 7));
        assert_eq!((desk.balance(ALICE), desk.balance(BOB)), (15, 7), "{attempts}");
        desk.crash();
        assert_eq!((desk.balance(ALICE), desk.balance(BOB)), (15, 7), "{attempts}");
    }
}

/// What an entity does for somebody else stands under theirs, whoever has made its time come: in its journal, and in what it sends.
#[test]
fn an_entity_speaks_as_who_wanted_what_it_does() {
    let mut desk = Desk::open();
    let passed = Command::Pass {
        tag: 7,
        to: BOB,
        command: Box::new(credit(1, 5)),
    };
    desk.submit(ALICE, passed);
    let sent = desk.settle().sends.remove(0);
    let theirs = (
        sent.provenance.source.as_str(),
        sent.provenance.correlation.as_str(),
    );
    assert_eq!(theirs, ("passer", "pass-7"));
    assert_eq!(sent.provenance.causation, Some(MessageId(7)));
    let at = desk.now.after(Duration::from_secs(5)).as_millis();
    desk.submit(
        ALICE,
        Command::Remind {
            tag: 2,
            at,
            poisoned: false,
        },
    );
    desk.settle();
    desk.later(Duration::from_secs(6));
    desk.shard.wake_due(desk.now).unwrap();
    desk.settle();
    let mut written = Vec::new();
    let reader = desk.store.reader();
    reader
        .journal(PartitionId(0), Sequence(1), &mut |bytes| {
            for entry in Blob::parse(bytes).unwrap().iter() {
                let by = entry.unwrap().provenance();
                written.push(format!("{} {}", by.source, by.correlation));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    // The pass, what came of it at the other side, the reminder as it was set and as it went off.
    let expected = [
        "passer pass-7",
        "passer pass-7",
        "teller c",
        "reminder set before",
    ];
    assert_eq!(written, expected);
}

/// A letter that is handed in again is a letter already: a second one would be handed in again as well.
#[test]
fn of_a_message_that_its_sender_keeps_no_letter_is_made() {
    for poison in [
        Command::PanicInDecide { tag: 2 },
        Command::PanicInApply { tag: 2 },
    ] {
        let mut desk = Desk::open();
        desk.submit(ALICE, credit(1, 10));
        for delivery in ["the first", "again", "after a crash"] {
            let mut answer = desk.hand_in(Responder::keeper, envelope(7, ALICE, poison.clone()));
            desk.settle();
            assert!(
                matches!(answer.try_recv().unwrap(), Outcome::DeadLettered { .. }),
                "{delivery}"
            );
            assert_eq!(desk.dead_letters(), 0, "{delivery}");
            if delivery == "again" {
                desk.crash();
            }
        }
        desk.submit(ALICE, credit(3, 5));
        assert_eq!(desk.balance(ALICE), 15);
    }
}

/// The receiver took the message, its entity broke, and the process died before the dead letter was stored. Had the
/// sender been told by then to forget the message, the stream between the two would have stood still for good.
#[test]
fn a_message_that_breaks_an_entity_is_acknowledged_only_with_its_dead_letter() {
    let mut desk = Desk::open();
    desk.submit(ALICE, credit(1, 10));
    desk.shard
        .handle_internal(&internal(1, ALICE, &Command::PanicInApply { tag: 2 }), desk.now)
        .unwrap();
    let released = desk.store_open();
    assert!(
        released.acknowledgements.is_empty(),
        "the message is nowhere on disk yet"
    );
    let released = desk.settle();
    assert_eq!(released.acknowledgements.len(), 1);
    assert_eq!(desk.dead_letters(), 1);
}

#[test]
fn an_alarm_that_breaks_its_entity_leaves_the_state_as_it_was() {
    let mut desk = Desk::open();
    for party in [ALICE, VAULT] {
        desk.submit(party, credit(1, 10));
        let at = desk.now.after(Duration::from_secs(5)).as_millis();
        desk.submit(
            party,
            Command::Remind {
                tag: 2,
                at,
                poisoned: true,
            },
        );
        desk.settle();
        desk.later(Duration::from_secs(6));
        desk.shard.wake_due(desk.now).unwrap();
        desk.settle();
        let mut answer = desk.submit(party, Command::Show);
        desk.settle();
        let Outcome::Done { reply, .. } = answer.try_recv().unwrap() else {
            panic!("a question was not answered");
        };
        assert_eq!(
            reply.standing().log,
            [1, 2],
            "{party:?}: the reminder was half applied"
        );
        let failed = desk.wiring.counters.panics.load(Ordering::Relaxed);
        desk.later(Duration::from_secs(2));
        desk.shard.wake_due(desk.now).unwrap();
        desk.settle();
        let now = desk.wiring.counters.panics.load(Ordering::Relaxed);
        assert!(now > failed, "{party:?}: the alarm is not tried again");
    }
}

/// The snapshot that the batch in hand was about to take would have made the half-applied state durable.
#[test]
fn a_broken_state_is_never_stored() {
    let mut desk = Desk::with(ShardLimits {
        journal_tail: 4,
        memory_budget: 1,
        ..ShardLimits::default()
    });
    for party in [ALICE, VAULT] {
        desk.submit(party, credit(1, 10));
        for tag in 2..12 {
            desk.submit(BOB, credit(tag, 1));
        }
        desk.submit(party, Command::PanicInApply { tag: 20 });
        desk.later(Duration::from_secs(1));
        desk.settle();
        assert_eq!(desk.balance(party), 10, "{party:?}");
        desk.crash();
        assert_eq!(desk.balance(party), 10, "{party:?}");
    }
}

#[test]
fn a_message_beyond_the_journals_limits_is_dead_lettered_all_the_same() {
    let mut desk = Desk::open();
    let mut answer = desk.submit(Party::Account(TOO_LONG), credit(1, 10));
    desk.settle();
    assert!(matches!(answer.try_recv().unwrap(), Outcome::DeadLettered { .. }));
    assert_eq!(desk.dead_letters(), 1);
    // From an entity: the stream goes on behind it.
    for (number, to) in [(1, Party::Account(TOO_LONG)), (2, ALICE)] {
        let message = internal(
            number,
            to,
            &Command::Receive {
                tag: number,
                amount: 5,
            },
        );
        desk.shard.handle_internal(&message, desk.now).unwrap();
    }
    desk.settle();
    assert_eq!(desk.dead_letters(), 2);
    assert_eq!(desk.balance(ALICE), 5);
}

#[test]
fn without_consumers_the_journal_is_trimmed() {
    let mut desk = Desk::with(ShardLimits {
        dedupe_window: 32,
        journal_tail: 32,
        ..ShardLimits::default()
    });
    for tag in 1..3000 {
        desk.submit(ALICE, credit(tag, 1));
        if tag % 8 == 0 {
            desk.settle();
        }
    }
    desk.settle();
    let mut first = None;
    desk.disk
        .journal(PartitionId(0), Sequence(1), &mut |bytes| {
            first = Some(lockstep_runtime::journal::Blob::parse(bytes).unwrap().first);
            ControlFlow::Break(())
        })
        .unwrap();
    assert!(first.unwrap() > Sequence(2300), "retained from {first:?}");
    desk.crash();
    assert_eq!(desk.balance(ALICE), 2999);
}

/// The journal is kept for the ids in it, long after the snapshots have what it says.
#[test]
fn a_start_reads_only_the_entities_that_snapshots_lag_behind() {
    let mut desk = Desk::with(ShardLimits {
        journal_tail: 32,
        trim_step: 16,
        ..ShardLimits::default()
    });
    for number in 1..=600 {
        desk.submit(Party::Vault(number), credit(1, 10));
        desk.settle();
    }
    let activations = |desk: &Desk| desk.wiring.counters.activations.load(Ordering::Relaxed);
    let before = activations(&desk);
    desk.crash();
    let read = activations(&desk) - before;
    assert!((32..64).contains(&read), "{read} of 600 were read");
    for number in [1, 300, 600] {
        assert_eq!(desk.balance(Party::Vault(number)), 10);
    }
    let mut repeated = desk.submit_as(1, Party::Vault(1), credit(1, 10));
    desk.settle();
    assert!(matches!(
        repeated.try_recv().unwrap(),
        Outcome::Done { repeated: true, .. }
    ));
}

/// As after a pause: the partition was to go and comes again before it has gone.
#[test]
fn a_partition_that_is_taken_up_while_it_is_here_is_read_anew() {
    let mut desk = Desk::with(ShardLimits {
        journal_tail: 32,
        trim_step: 16,
        ..ShardLimits::default()
    });
    for number in 1..=100 {
        desk.submit(Party::Account(number), credit(1, 10));
        desk.settle();
    }
    let states = desk.store.acquire(&[Claim::alone(PartitionId(0))]).unwrap();
    desk.shard.take_up(&states[0]).unwrap();
    for number in 101..=200 {
        desk.submit(Party::Account(number), credit(1, 10));
        desk.settle();
    }
    desk.crash();
    for number in 1..=200 {
        assert_eq!(desk.balance(Party::Account(number)), 10, "of account {number}");
    }

    desk.submit(ALICE, credit(2, 10));
    let states = desk.store.acquire(&[Claim::alone(PartitionId(0))]).unwrap();
    let refused = desk.shard.take_up(&states[0]).unwrap_err();
    assert!(refused.to_string().contains("partition 0"), "{refused}");
}

#[test]
fn a_vault_leaves_memory_and_its_alarm_still_goes_off() {
    let mut desk = Desk::with(ShardLimits {
        idle: Duration::from_secs(1),
        ..ShardLimits::default()
    });
    let at = desk.now.after(Duration::from_secs(60)).as_millis();
    desk.submit(VAULT, credit(1, 10));
    desk.submit(
        VAULT,
        Command::Remind {
            tag: 2,
            at,
            poisoned: false,
        },
    );
    desk.settle();
    desk.later(Duration::from_secs(10));
    desk.settle();
    assert_eq!(desk.wiring.counters.passivations.load(Ordering::Relaxed), 1);
    desk.crash();
    assert_eq!(desk.shard.next_alarm(), Some(Timestamp::from_millis(at)));
    desk.later(Duration::from_secs(51));
    desk.shard.wake_due(desk.now).unwrap();
    desk.settle();
    let mut answer = desk.submit(VAULT, Command::Show);
    desk.settle();
    let Outcome::Done { reply, .. } = answer.try_recv().unwrap() else {
        panic!("a question was not answered");
    };
    assert_eq!(reply.standing().log, [1, 2, 2]);
}

#[test]
fn a_question_changes_nothing_whatever_is_decided() {
    let mut desk = Desk::open();
    desk.submit(ALICE, credit(1, 5));
    let mut answer = desk.submit(ALICE, Command::Cheat { tag: 2 });
    desk.settle();
    assert!(matches!(answer.try_recv().unwrap(), Outcome::DeadLettered { .. }));
    assert_eq!(desk.balance(ALICE), 5);
    desk.crash();
    assert_eq!(desk.balance(ALICE), 5);
}

/// A sweep over a million of them writes only what was wrong.
#[test]
fn a_comparison_that_finds_nothing_leaves_no_entry_and_one_that_does_is_taken_once() {
    let mut desk = Desk::open();
    desk.submit(ALICE, credit(1, 10));
    let compare = |balance| Command::Compare { tag: 2, balance };
    let mut agrees = desk.submit_as(8, ALICE, compare(10));
    assert!(agrees.try_recv().is_err(), "what it saw is not durable yet");
    desk.settle();
    assert!(matches!(
        agrees.try_recv().unwrap(),
        Outcome::Done { repeated: false, .. }
    ));
    let entries = |desk: &Desk| desk.wiring.counters.entries.load(Ordering::Relaxed);
    assert_eq!(entries(&desk), 1);
    let mut differs = desk.submit_as(9, ALICE, compare(12));
    desk.settle();
    assert!(matches!(
        differs.try_recv().unwrap(),
        Outcome::Done { repeated: false, .. }
    ));
    assert_eq!((entries(&desk), desk.balance(ALICE)), (2, 12));
    desk.submit(ALICE, credit(3, 5));
    desk.settle();
    desk.crash();
    // Sent again, the one that changed something is known; the other is decided anew.
    let mut again = desk.submit_as(9, ALICE, compare(12));
    let mut anew = desk.submit_as(8, ALICE, compare(17));
    desk.settle();
    assert!(matches!(
        again.try_recv().unwrap(),
        Outcome::Done { repeated: true, .. }
    ));
    assert!(matches!(
        anew.try_recv().unwrap(),
        Outcome::Done { repeated: false, .. }
    ));
    assert_eq!(desk.balance(ALICE), 17);
}

#[test]
fn a_comparison_that_panics_is_dead_lettered_as_any_other() {
    let mut desk = Desk::open();
    let mut answer = desk.submit(
        ALICE,
        Command::Compare {
            tag: 2,
            balance: i64::MIN,
        },
    );
    desk.submit(ALICE, credit(1, 10));
    desk.settle();
    assert!(matches!(answer.try_recv().unwrap(), Outcome::DeadLettered { .. }));
    assert_eq!((desk.dead_letters(), desk.balance(ALICE)), (1, 10));
}

/// Its snapshot is spoilt: each message for it is a dead letter, its alarm stays, and nobody else is held up.
#[test]
fn an_entity_that_cannot_be_read_costs_its_messages_alone() {
    let mut desk = Desk::with(ShardLimits {
        idle: Duration::from_secs(1),
        ..ShardLimits::default()
    });
    let at = desk.now.after(Duration::from_secs(20)).as_millis();
    desk.submit(VAULT, credit(1, 10));
    desk.submit(
        VAULT,
        Command::Remind {
            tag: 2,
            at,
            poisoned: false,
        },
    );
    desk.settle();
    desk.later(Duration::from_secs(10));
    desk.settle();
    assert_eq!(desk.wiring.counters.passivations.load(Ordering::Relaxed), 1);
    desk.disk.spoil_snapshots(VAULT.message(Command::Show).kind());

    let mut told = desk.submit(VAULT, credit(3, 1));
    let mut asked = desk.submit(VAULT, Command::Show);
    let mut neighbour = desk.submit(ALICE, credit(4, 7));
    desk.settle();
    let Outcome::DeadLettered { reason } = told.try_recv().unwrap() else {
        panic!("a message for nobody was taken");
    };
    assert!(reason.contains("vault state"), "{reason}");
    assert!(matches!(asked.try_recv().unwrap(), Outcome::DeadLettered { .. }));
    assert!(matches!(neighbour.try_recv().unwrap(), Outcome::Done { .. }));
    assert_eq!(desk.dead_letters(), 1);

    desk.later(Duration::from_secs(11));
    desk.shard.wake_due(desk.now).unwrap();
    desk.settle();
    assert_eq!(desk.balance(ALICE), 7);
    let again = desk.shard.next_alarm().unwrap();
    assert!(
        again > desk.now,
        "a failed alarm must not be tried without a pause"
    );
}
