//! A node with real threads: what waits for the disk, what happens when it fails, and how a node ends.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected shall fail"
)]

mod toy;

use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::feed::FeedFilter;
use lockstep_runtime::health::Health;
use lockstep_runtime::ingress::{Ingress, RejectCause};
use lockstep_runtime::memory::{Fault, MemoryDisk};
use lockstep_runtime::message::{Delivery, Outcome, Responder};
use lockstep_runtime::node::{Node, NodeConfig};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::shard::ShardLimits;
use lockstep_runtime::store::{Store, StoreError, StoreOpener};
use lockstep_runtime::time::SystemClock;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use toy::{Bank, Command, PORT, Party, Reference, Reply, envelope};

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a story in an actix system, and fails it rather than wait forever.
fn story<F: Future<Output = ()>>(story: F) {
    toy::quiet_panics();
    actix::System::new().block_on(async {
        tokio::time::timeout(PATIENCE, story).await.unwrap();
    });
}

fn disk() -> MemoryDisk {
    MemoryDisk::new(PartitionCount::new(8).unwrap())
}

fn config() -> NodeConfig {
    NodeConfig {
        shards: 2,
        consumers: vec!["audit".to_owned()],
        ..NodeConfig::default()
    }
}

async fn start(config: NodeConfig, disk: &MemoryDisk) -> Node<Bank> {
    let reference = Arc::new(Reference::default());
    Node::start(config, Arc::new(disk.clone()), Arc::new(SystemClock), reference)
        .await
        .unwrap()
}

fn credit(tag: u64) -> Command {
    Command::Credit { tag, amount: 1 }
}

fn alice() -> Party {
    Party::Account(1)
}

/// Hands in a message; what becomes of it comes later.
async fn submit(
    ingress: &Ingress<Bank>,
    id: u64,
    to: Party,
    command: Command,
) -> oneshot::Receiver<Outcome<Reply>> {
    let (sender, receiver) = oneshot::channel();
    let delivery = Delivery {
        envelope: envelope(id, to, command),
        responder: Responder::once(sender),
    };
    ingress.submit(delivery).await.unwrap();
    receiver
}

/// As a careful client: sends again with the same id until the message is decided.
async fn send(ingress: &Ingress<Bank>, id: u64, to: Party, command: Command) -> Outcome<Reply> {
    loop {
        let answer = submit(ingress, id, to, command.clone()).await.await;
        match answer.unwrap_or(Outcome::Unavailable) {
            Outcome::Unavailable => {}
            outcome @ (Outcome::Done { .. } | Outcome::Repeated | Outcome::DeadLettered { .. }) => {
                return outcome;
            }
        }
    }
}

async fn log(ingress: &Ingress<Bank>, of: Party) -> Vec<u64> {
    match send(ingress, u64::MAX, of, Command::Show).await {
        Outcome::Done { reply, .. } => reply.standing().log.clone(),
        other => panic!("a question was answered {other:?}"),
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn until_health(ingress: &Ingress<Bank>, wanted: impl Fn(&Health) -> bool) {
    ingress.health().wait_for(wanted).await.unwrap();
}

#[test]
fn answers_wait_for_the_disk_while_the_next_batch_is_decided() {
    story(async {
        let disk = disk();
        let node = start(config(), &disk).await;
        let ingress = node.ingress();
        disk.hold();
        let mut first = submit(&ingress, 1, alice(), credit(1)).await;
        until("the first batch is handed over", || disk.held_commits() == 1).await;
        let mut second = submit(&ingress, 2, alice(), credit(2)).await;
        let decided = || {
            ingress
                .metrics()
                .shards
                .iter()
                .map(|shard| shard.decided)
                .sum::<u64>()
        };
        until("the second message is decided meanwhile", || decided() == 2).await;
        assert!(first.try_recv().is_err() && second.try_recv().is_err());
        disk.let_go();
        assert!(matches!(first.await.unwrap(), Outcome::Done { .. }));
        assert!(matches!(second.await.unwrap(), Outcome::Done { .. }));
        node.shutdown().await;
    });
}

#[test]
fn a_full_mailbox_pushes_back_and_loses_nothing() {
    story(async {
        let disk = disk();
        let limits = ShardLimits {
            batch_entries: 4,
            ..ShardLimits::default()
        };
        let node = start(
            NodeConfig {
                shards: 1,
                mailbox: 8,
                limits,
                ..config()
            },
            &disk,
        )
        .await;
        let ingress = node.ingress();
        disk.hold();
        // Two batches at the store and four entries in the open one are all that it takes without an answer.
        let has_taken_what_it_can = || {
            let shard = ingress.metrics().shards[0];
            shard.batches == 2 && shard.decided == shard.entries + 4
        };
        let mut answers = Vec::new();
        let full = loop {
            let id = answers.len() as u64;
            let settled = has_taken_what_it_can();
            let (sender, receiver) = oneshot::channel();
            let delivery = Delivery {
                envelope: envelope(id, alice(), credit(id)),
                responder: Responder::once(sender),
            };
            match ingress.try_submit(delivery) {
                Ok(()) => answers.push(receiver),
                Err(rejected) if !settled => {
                    assert_eq!(rejected.cause, RejectCause::Full);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(rejected) => break rejected,
            }
        };
        assert_eq!(full.cause, RejectCause::Full);
        let patient = tokio::spawn({
            let ingress = ingress.clone();
            async move { ingress.submit(full.delivery).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!patient.is_finished());
        disk.let_go();
        assert!(patient.await.unwrap());
        for answer in answers {
            assert!(matches!(answer.await.unwrap(), Outcome::Done { .. }));
        }
        node.shutdown().await;
    });
}

#[test]
fn a_failed_store_loses_nothing_that_was_answered() {
    for fault in [Fault::Lost, Fault::Unacknowledged, Fault::Full] {
        story(async {
            let disk = disk();
            let node = start(config(), &disk).await;
            let ingress = node.ingress();
            send(&ingress, 1, alice(), credit(1)).await;
            disk.fail([fault]);
            let answer = submit(&ingress, 2, alice(), credit(2)).await;
            assert_eq!(answer.await.unwrap(), Outcome::Unavailable, "{fault:?}");
            if fault == Fault::Full {
                until_health(
                    &ingress,
                    |health| matches!(health, Health::Degraded { reason } if reason.contains("space")),
                )
                .await;
                let refused = ingress.ask(envelope(3, alice(), credit(3))).await;
                assert_eq!(refused.unwrap_err().cause, RejectCause::NotReady);
                disk.heal();
            }
            let again = send(&ingress, 2, alice(), credit(2)).await;
            assert!(
                matches!(again, Outcome::Done { repeated, .. } if repeated == (fault == Fault::Unacknowledged))
            );
            assert_eq!(log(&ingress, alice()).await, [1, 2], "{fault:?}");
            until_health(&ingress, |health| *health == Health::Ready).await;
            node.shutdown().await;
        });
    }
}

#[test]
fn a_message_that_panics_costs_only_itself() {
    story(async {
        let disk = disk();
        let node = start(config(), &disk).await;
        let ingress = node.ingress();
        for (id, poison) in [
            (10, Command::PanicInDecide { tag: 10 }),
            (20, Command::PanicInApply { tag: 20 }),
        ] {
            let before = submit(&ingress, id + 1, alice(), credit(id + 1)).await;
            let broken = submit(&ingress, id, alice(), poison).await;
            let after = submit(&ingress, id + 2, alice(), credit(id + 2)).await;
            assert!(matches!(before.await.unwrap(), Outcome::Done { .. }));
            assert!(matches!(broken.await.unwrap(), Outcome::DeadLettered { .. }));
            assert!(matches!(after.await.unwrap(), Outcome::Done { .. }));
        }
        assert_eq!(log(&ingress, alice()).await, [11, 12, 21, 22]);
        let metrics = ingress.metrics();
        assert_eq!(
            metrics
                .shards
                .iter()
                .map(|shard| shard.dead_lettered)
                .sum::<u64>(),
            2
        );
        assert!(
            metrics.shards.iter().all(|shard| shard.recoveries == 1),
            "no shard was built anew"
        );
        node.shutdown().await;
    });
}

#[test]
fn a_shard_that_panics_is_built_anew() {
    story(async {
        let disk = disk();
        let node = start(config(), &disk).await;
        let ingress = node.ingress();
        send(&ingress, 1, alice(), credit(1)).await;
        ingress.reference().publish_panics.store(1, Ordering::SeqCst);
        // Durable, but the shard broke before it could say so: the client asks again.
        let outcome = send(&ingress, 2, alice(), credit(2)).await;
        assert!(matches!(outcome, Outcome::Done { repeated: true, .. }));
        let transfer = Command::Transfer {
            tag: 3,
            amount: 1,
            to: Party::Account(2),
        };
        send(&ingress, 3, alice(), transfer).await;
        assert_eq!(log(&ingress, alice()).await, [1, 2, 3]);
        while log(&ingress, Party::Account(2)).await != [3] {}
        assert_eq!(
            ingress
                .metrics()
                .shards
                .iter()
                .map(|shard| shard.recoveries)
                .sum::<u64>(),
            3
        );
        node.shutdown().await;
    });
}

#[test]
fn a_shard_that_keeps_panicking_does_not_wear_out_the_store() {
    story(async {
        let disk = disk();
        let node = start(
            NodeConfig {
                shards: 1,
                ..config()
            },
            &disk,
        )
        .await;
        let ingress = node.ingress();
        send(&ingress, 1, alice(), credit(1)).await;
        ingress.reference().publish_panics.store(1000, Ordering::SeqCst);
        drop(submit(&ingress, 2, alice(), credit(2)).await);
        let recoveries = || ingress.metrics().shards[0].recoveries;
        let began = Instant::now();
        until("the shard is built again and again", || recoveries() > 4).await;
        assert!(
            began.elapsed() >= Duration::from_millis(50 + 100 + 150),
            "without a pause"
        );
        ingress.reference().publish_panics.store(0, Ordering::SeqCst);
        assert_eq!(log(&ingress, alice()).await, [1, 2]);
        node.shutdown().await;
    });
}

#[test]
fn a_node_that_stops_finishes_what_it_took() {
    story(async {
        let disk = disk();
        let node = start(config(), &disk).await;
        let ingress = node.ingress();
        disk.hold();
        let mut answers = Vec::new();
        for id in 0..500_u64 {
            let to = Party::Account(u32::try_from(id % 50).unwrap());
            answers.push(submit(&ingress, id, to, credit(id)).await);
        }
        let stopping = tokio::spawn(node.shutdown());
        until_health(&ingress, |health| *health == Health::Draining).await;
        let refused = ingress.ask(envelope(1000, alice(), credit(1000))).await;
        assert_eq!(refused.unwrap_err().cause, RejectCause::Closed);
        disk.let_go();
        stopping.await.unwrap();
        for answer in answers {
            assert!(matches!(answer.await.unwrap(), Outcome::Done { .. }));
        }
    });
}

#[test]
fn a_node_stops_though_its_store_has_failed() {
    story(async {
        let disk = disk();
        let node = start(
            NodeConfig {
                shards: 1,
                mailbox: 1,
                ..config()
            },
            &disk,
        )
        .await;
        let ingress = node.ingress();
        disk.fail([Fault::Full]);
        let answer = submit(&ingress, 1, alice(), credit(1)).await;
        assert_eq!(answer.await.unwrap(), Outcome::Unavailable);
        until_health(&ingress, |health| matches!(health, Health::Degraded { .. })).await;
        let waiting = tokio::spawn({
            let ingress = ingress.clone();
            async move {
                let (sender, _receiver) = oneshot::channel();
                let delivery = Delivery {
                    envelope: envelope(2, alice(), credit(2)),
                    responder: Responder::once(sender),
                };
                ingress.submit(delivery).await.unwrap_err().cause
            }
        });
        tokio::task::yield_now().await;
        node.shutdown().await;
        assert_eq!(waiting.await.unwrap(), RejectCause::Closed);
    });
}

/// The mailbox is full and its shard has no state to take anything with: nobody else will say that there is room.
#[test]
fn a_sender_that_waits_for_room_learns_that_the_node_stops() {
    story(async {
        let disk = disk();
        let limits = ShardLimits {
            batch_entries: 1,
            ..ShardLimits::default()
        };
        let node = start(
            NodeConfig {
                shards: 1,
                mailbox: 1,
                limits,
                ..config()
            },
            &disk,
        )
        .await;
        let ingress = node.ingress();
        disk.hold();
        let mut senders = Vec::new();
        for id in 0..20_u64 {
            let ingress = ingress.clone();
            senders.push(tokio::spawn(async move {
                let (sender, receiver) = oneshot::channel();
                let delivery = Delivery {
                    envelope: envelope(id, alice(), credit(id)),
                    responder: Responder::once(sender),
                };
                let taken = ingress.submit(delivery).await.is_ok();
                drop(receiver);
                taken
            }));
        }
        until("some wait for room", || disk.held_commits() == 1).await;
        disk.fail([Fault::Full]);
        disk.let_go();
        until_health(&ingress, |health| matches!(health, Health::Degraded { .. })).await;
        node.shutdown().await;
        for sender in senders {
            sender.await.unwrap();
        }
    });
}

/// How far the only consumer is behind.
fn lag(ingress: &Ingress<Bank>) -> u64 {
    let consumers = ingress.metrics().consumers;
    assert_eq!(consumers.len(), 1);
    consumers[0].entries
}

#[test]
fn a_consumer_that_held_its_progress_is_not_behind_once_it_has_dealt_with_something() {
    story(async {
        let disk = disk();
        let node = start(config(), &disk).await;
        let ingress = node.ingress();
        let mut feed = ingress.feed("audit", FeedFilter::Port(PORT)).unwrap();
        feed.hold();
        for id in 0..100 {
            send(&ingress, id, alice(), credit(id)).await;
        }
        for account in 2..20_u8 {
            // Nothing comes out of it: the consumer passes it over.
            let remind = Command::Remind {
                tag: u64::from(account),
                at: i64::MAX / 2,
                poisoned: false,
            };
            send(
                &ingress,
                100 + u64::from(account),
                Party::Account(account.into()),
                remind,
            )
            .await;
        }
        let mut entries = Vec::new();
        while entries.len() < 100 {
            entries.extend(feed.next(100).await.unwrap());
        }
        assert_eq!(feed.ready(100).len(), 0);
        let before = lag(&ingress);
        assert!(before >= 100, "{before}");
        for entry in entries {
            feed.save(entry.partition, entry.sequence);
        }
        assert_eq!(lag(&ingress), 0);
        node.shutdown().await;
    });
}

#[test]
fn a_consumer_sees_every_effect_in_order_and_goes_on_where_it_was() {
    story(async {
        let disk = disk();
        let mut seen = Vec::new();
        for run in 0..2_u64 {
            let node = start(config(), &disk).await;
            let ingress = node.ingress();
            let mut feed = ingress.feed("audit", FeedFilter::Port(PORT)).unwrap();
            assert_eq!(feed.is_new(), run == 0);
            for id in run * 100..run * 100 + 100 {
                send(&ingress, id, alice(), credit(id)).await;
            }
            while seen.len() < usize::try_from(run + 1).unwrap() * 100 {
                assert_ne!(lag(&ingress), 0, "after {} entries", seen.len());
                for entry in feed.next(7).await.unwrap() {
                    let body = entry.outbound[0].body.as_slice().try_into().unwrap();
                    seen.push(u64::from_le_bytes(body));
                    feed.save(entry.partition, entry.sequence);
                }
            }
            // What is not for this consumer is passed over.
            assert_eq!(feed.ready(7).len(), 0);
            assert_eq!(lag(&ingress), 0);
            node.shutdown().await;
            assert!(feed.next(7).await.is_err(), "the node is gone");
        }
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
    });
}

#[test]
fn a_dropped_node_leaves_the_store_to_the_next() {
    story(async {
        let disk = disk();
        let node = start(config(), &disk).await;
        let ingress = node.ingress();
        send(&ingress, 1, alice(), credit(1)).await;
        drop(node);
        until("the writer lets go of the store", || disk.open_stores() == 0).await;
        let refused = ingress.ask(envelope(2, alice(), credit(2))).await;
        assert_eq!(refused.unwrap_err().cause, RejectCause::Closed);
        let node = start(config(), &disk).await;
        assert_eq!(log(&node.ingress(), alice()).await, [1]);
        node.shutdown().await;
    });
}

#[test]
fn limits_that_let_nothing_through_are_refused() {
    story(async {
        let limits = |change: fn(&mut ShardLimits)| {
            let mut limits = ShardLimits::default();
            change(&mut limits);
            limits
        };
        let wrong = [
            ("limits.batch_entries", limits(|limits| limits.batch_entries = 0)),
            ("limits.batch_bytes", limits(|limits| limits.batch_bytes = 0)),
            ("limits.dedupe_window", limits(|limits| limits.dedupe_window = 0)),
            ("limits.attempts", limits(|limits| limits.attempts = 0)),
            ("limits.outbox", limits(|limits| limits.outbox = 0)),
        ];
        for (field, limits) in wrong {
            let config = NodeConfig { limits, ..config() };
            let reference = Arc::new(Reference::default());
            let started =
                Node::<Bank>::start(config, Arc::new(disk()), Arc::new(SystemClock), reference).await;
            let error = started.map(drop).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    });
}

/// Its one message to a shard that cannot be built fills the outbox, so that the mailbox never empties.
#[test]
fn a_node_stops_though_a_shard_waits_for_one_that_cannot_be_built() {
    story(async {
        let disk = disk();
        let limits = ShardLimits {
            batch_entries: 1,
            outbox: 1,
            journal_tail: 1,
            ..ShardLimits::default()
        };
        let drain = Duration::from_millis(200);
        let node = start(
            NodeConfig {
                limits,
                drain,
                ..config()
            },
            &disk,
        )
        .await;
        let ingress = node.ingress();
        let partition_of = |party: Party| {
            let message = party.message(Command::Show);
            ingress.partitions().partition_of(message.routing_key()).0
        };
        let waiting = Party::Vault(1);
        let is_elsewhere = |party: &Party| partition_of(*party) % 2 != partition_of(waiting) % 2;
        let mut elsewhere = (1..).map(Party::Account).filter(is_elsewhere);
        let spoilt = elsewhere.next().unwrap();
        let lost = elsewhere
            .find(|party| partition_of(*party) != partition_of(spoilt))
            .unwrap();
        // Often enough for a snapshot.
        for id in 1..6 {
            send(&ingress, id, spoilt, credit(id)).await;
        }
        // The store fails with the first of these; two more are decided by then, and the others still in the mailbox.
        disk.hold();
        for id in 20..24 {
            drop(submit(&ingress, id, waiting, credit(id)).await);
        }
        let transfer = Command::Transfer {
            tag: 12,
            amount: 1,
            to: lost,
        };
        let transferred = submit(&ingress, 12, waiting, transfer).await;
        let mut stuck = Vec::new();
        for id in 13..16 {
            stuck.push(submit(&ingress, id, waiting, credit(id)).await);
        }
        disk.spoil_snapshots(spoilt.message(Command::Show).kind());
        disk.fail([Fault::Lost]);
        disk.let_go();
        assert!(matches!(transferred.await.unwrap(), Outcome::Done { .. }));
        until_health(&ingress, |health| matches!(health, Health::Degraded { .. })).await;
        node.shutdown().await;
        for answer in stuck {
            assert_eq!(answer.await.unwrap(), Outcome::Unavailable);
        }
    });
}

/// A disk whose second opening panics: a defect outside of what the journal writer expects of a store.
struct OpensOnce(MemoryDisk, AtomicBool);

impl StoreOpener for OpensOnce {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        assert!(!self.1.swap(true, Ordering::SeqCst), "toy: opened again");
        self.0.open()
    }
}

#[test]
fn a_journal_writer_that_ends_leaves_nobody_waiting() {
    story(async {
        let disk = disk();
        let opener = Arc::new(OpensOnce(disk.clone(), AtomicBool::new(false)));
        let reference = Arc::new(Reference::default());
        let node = Node::<Bank>::start(config(), opener, Arc::new(SystemClock), reference)
            .await
            .unwrap();
        let ingress = node.ingress();
        disk.fail([Fault::Lost]);
        let answer = submit(&ingress, 1, alice(), credit(1)).await;
        assert_eq!(answer.await.unwrap(), Outcome::Unavailable);
        let is_told =
            |health: &Health| matches!(health, Health::Degraded { reason } if reason.contains("defect"));
        until_health(&ingress, is_told).await;
        node.shutdown().await;
    });
}
