//! Nodes that share a store: partitions move between them, planned and not, and nothing is lost, doubled or answered twice.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected shall fail"
)]

mod toy;

use lockstep_runtime::elsewhere::{Between, Outlet, Progress};
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::feed::{Feed, FeedFilter};
use lockstep_runtime::follow::Follower;
use lockstep_runtime::ingress::{Ingress, RejectCause};
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{Delivery, Outcome, Responder, Sequence};
use lockstep_runtime::node::{Holding, Node, NodeConfig, SteppedNode};
use lockstep_runtime::placement::{PartitionCount, PartitionId, Place};
use lockstep_runtime::shard::ShardLimits;
use lockstep_runtime::store::{Claim, StoreOpener, StoreReader, Tenure};
use lockstep_runtime::time::{Clock, SystemClock};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use toy::{Bank, Command, PORT, Party, Reference, Reply, envelope};
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const PATIENCE: Duration = Duration::from_secs(30);
const PARTITIONS: u16 = 8;

fn story<F: Future<Output = ()>>(story: F) {
    toy::quiet_panics();
    actix::System::new().block_on(async {
        tokio::time::timeout(PATIENCE, story).await.unwrap();
    });
}

/// Nodes on one disk, and what carries messages between them.
struct Cluster {
    disk: MemoryDisk,
    nodes: Vec<Node<Bank>>,
    tenure: AtomicU64,
}

fn all() -> Vec<PartitionId> {
    (0..PARTITIONS).map(PartitionId).collect()
}

fn claims(tenure: Tenure, partitions: &[PartitionId]) -> Vec<Claim> {
    let claim = |partition: &PartitionId| Claim {
        partition: *partition,
        tenure,
    };
    partitions.iter().map(claim).collect()
}

impl Cluster {
    async fn of(count: usize) -> Self {
        Self::with(count, ShardLimits::default()).await
    }

    async fn with(count: usize, limits: ShardLimits) -> Self {
        let disk = MemoryDisk::new(PartitionCount::new(PARTITIONS).unwrap());
        disk.share();
        let mut nodes = Vec::new();
        for _ in 0..count {
            let config = NodeConfig {
                shards: 2,
                consumers: vec!["audit".to_owned()],
                holding: Holding::Granted,
                limits,
                ..NodeConfig::default()
            };
            let reference = Arc::new(Reference::default());
            nodes.push(
                Node::start(config, Arc::new(disk.clone()), Arc::new(SystemClock), reference)
                    .await
                    .unwrap(),
            );
        }
        let ways: Vec<_> = nodes.iter().map(Node::ingress).collect();
        for node in &nodes {
            actix::spawn(carry(node.outlet().unwrap(), ways.clone()));
        }
        Self {
            disk,
            nodes,
            tenure: AtomicU64::new(0),
        }
    }

    /// Lets a node take partitions over, whoever has them.
    async fn take_over(&self, node: usize, partitions: &[PartitionId]) {
        let tenure = Tenure(self.tenure.fetch_add(1, Ordering::Relaxed) + 1);
        self.nodes[node].hands().take_up(&claims(tenure, partitions));
        self.until(node, partitions, Place::Here).await;
    }

    async fn give_up(&self, node: usize, partitions: &[PartitionId]) {
        self.nodes[node].hands().give_up(partitions);
        self.until(node, partitions, Place::Elsewhere).await;
    }

    async fn until(&self, node: usize, partitions: &[PartitionId], place: Place) {
        let places = self.nodes[node].places();
        let mut changes = places.changes();
        let is_so = |_: &u64| partitions.iter().all(|partition| places.of(*partition) == place);
        changes.wait_for(is_so).await.unwrap();
    }

    fn way(&self, node: usize) -> Ingress<Bank> {
        self.nodes[node].ingress()
    }
}

/// Carries what is meant for other nodes to whichever has the partition. What nobody has, or is not taken, is dropped.
async fn carry(outlet: Outlet<Bank>, ways: Vec<Ingress<Bank>>) {
    loop {
        let (deliveries, messages) = outlet.next(64).await;
        for delivery in deliveries {
            let mut delivery = Some(delivery);
            for way in &ways {
                let Some(waiting) = delivery.take() else { break };
                delivery = way.take_in(waiting).err().map(|rejected| rejected.delivery);
            }
        }
        for message in messages {
            let to = message.partition();
            if let Some(way) = ways.iter().find(|way| way.places().of(to) == Place::Here) {
                way.take_between(message);
            }
        }
    }
}

/// As a careful client: sends again with the same id until the message is decided. Says whether it was a repeat.
async fn send(way: &Ingress<Bank>, id: u64, to: Party, command: Command) -> Reply {
    loop {
        let (sender, receiver) = oneshot::channel();
        let delivery = Delivery {
            envelope: envelope(id, to, command.clone()),
            responder: Responder::once(sender),
        };
        match way.submit(delivery).await {
            Ok(()) => {}
            Err(rejected) => assert_ne!(rejected.cause, RejectCause::Closed),
        }
        match receiver.await.unwrap_or(Outcome::Unavailable) {
            Outcome::Done { reply, .. } => return reply,
            Outcome::Unavailable => tokio::time::sleep(Duration::from_millis(1)).await,
            other => panic!("{other:?}"),
        }
    }
}

fn account(number: u32) -> Party {
    Party::Account(number)
}

async fn log(way: &Ingress<Bank>, of: Party) -> Vec<u64> {
    send(way, u64::MAX, of, Command::Show)
        .await
        .standing()
        .log
        .clone()
}

fn credit(tag: u64) -> Command {
    Command::Credit { tag, amount: 1 }
}

#[test]
fn any_node_takes_what_another_one_has_and_what_nobody_has_waits() {
    story(async {
        let cluster = Cluster::of(2).await;
        let (first, second) = (cluster.way(0), cluster.way(1));
        let waiting = actix::spawn({
            let second = second.clone();
            async move { send(&second, 1, account(1), credit(1)).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        cluster.take_over(0, &all()).await;
        waiting.await.unwrap();
        send(&first, 2, account(1), credit(2)).await;
        assert_eq!(log(&second, account(1)).await, [1, 2]);
    });
}

#[test]
fn a_planned_move_loses_nothing_doubles_nothing_and_leaves_the_others_alone() {
    story(async {
        let cluster = Cluster::of(2).await;
        cluster.take_over(0, &all()).await;
        let ways = [cluster.way(0), cluster.way(1)];
        let senders: Vec<_> = (0..16_u32)
            .map(|number| {
                let way = ways[usize::from(number % 2 == 0)].clone();
                actix::spawn(async move {
                    for tag in 0..60_u64 {
                        send(
                            &way,
                            u64::from(number) * 1_000 + tag + 1,
                            account(number),
                            credit(tag),
                        )
                        .await;
                    }
                })
            })
            .collect();
        for round in 0..6_usize {
            let (from, to) = (round % 2, (round + 1) % 2);
            let before = cluster.nodes[from].ingress().metrics();
            cluster.give_up(from, &all()[2..]).await;
            cluster.take_over(to, &all()[2..]).await;
            let after = cluster.nodes[from].ingress().metrics();
            let recoveries = |metrics: &lockstep_runtime::ingress::RuntimeMetrics| -> u64 {
                metrics.shards.iter().map(|shard| shard.recoveries).sum()
            };
            assert_eq!(recoveries(&before), recoveries(&after), "no shard was built anew");
        }
        for sender in senders {
            sender.await.unwrap();
        }
        for number in 0..16 {
            let expected: Vec<u64> = (0..60).collect();
            assert_eq!(log(&ways[0], account(number)).await, expected, "account {number}");
        }
    });
}

/// As a node that was paused past its lease: it does not know that its partitions are another one's by now.
#[test]
fn a_node_that_was_overtaken_answers_nothing_that_is_not_durable_and_gives_up() {
    story(async {
        let cluster = Cluster::of(2).await;
        cluster.take_over(0, &all()).await;
        let (old, new) = (cluster.way(0), cluster.way(1));
        send(&old, 1, account(1), credit(1)).await;
        cluster.take_over(1, &all()).await;
        send(&new, 2, account(1), credit(2)).await;
        // The old owner decides this, is refused by the epoch, and says so to nobody; the sender tries until it is taken.
        send(&old, 3, account(1), credit(3)).await;
        assert_eq!(log(&new, account(1)).await, [1, 2, 3]);
        let partition = PartitionCount::new(PARTITIONS)
            .unwrap()
            .partition_of(AddressedMessage::routing_key(
                &envelope(9, account(1), credit(9)).message,
            ));
        assert_eq!(cluster.nodes[0].places().of(partition), Place::Elsewhere);
        // A late acquisition under the old tenure is refused.
        let late = Claim {
            partition,
            tenure: Tenure(1),
        };
        cluster.nodes[0].hands().take_up(&[late]);
        send(&new, 4, account(1), credit(4)).await;
        cluster.until(0, &[partition], Place::Elsewhere).await;
        assert_eq!(log(&old, account(1)).await, [1, 2, 3, 4]);
    });
}

/// Whoever reads a partition while another owner already writes finds what does not fit together. That is no damage: it is left
/// to the other one, and the rest of the shard works.
#[test]
fn a_shard_of_which_a_part_was_overtaken_while_it_was_read_is_built_without_it() {
    story(async {
        let cluster = Cluster::of(1).await;
        // The first while it is taken up; the second, of the same shard, when the shard is built anew for that.
        let (overtaken, rest) = all()
            .into_iter()
            .partition::<Vec<_>, _>(|partition| [0, 2].contains(&partition.0));
        cluster.disk.overtake_when_read(overtaken.iter().copied());
        cluster.nodes[0].hands().take_up(&claims(Tenure(1), &all()));
        cluster.until(0, &rest, Place::Here).await;
        cluster.until(0, &overtaken, Place::Elsewhere).await;
        let partitions = PartitionCount::new(PARTITIONS).unwrap();
        for number in 0..64 {
            let message = account(number).message(Command::Show);
            if rest.contains(&partitions.partition_of(message.routing_key())) {
                send(&cluster.way(0), u64::from(number), account(number), credit(1)).await;
            }
        }
    });
}

/// What was logged on this thread, and how gravely.
#[derive(Default)]
struct Log(Mutex<Vec<(Level, String)>>);

impl Log {
    fn has(&self, level: Level, words: &str) -> bool {
        let lines = self.0.lock().unwrap();
        lines
            .iter()
            .any(|(found, text)| *found == level && text.contains(words))
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |_: &Field, value: &dyn std::fmt::Debug| text += &format!("{value:?} "));
        self.0.lock().unwrap().push((*event.metadata().level(), text));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An operator is woken by an error: a partition that moved is none, and one that is damaged is.
#[test]
fn a_partition_that_was_overtaken_is_no_error_and_a_damaged_one_is() {
    let read = |spoil: fn(&MemoryDisk, PartitionId)| {
        let disk = MemoryDisk::new(PartitionCount::new(1).unwrap());
        disk.share();
        let log = Arc::new(Log::default());
        let subscriber = tracing::Dispatch::new(Arc::clone(&log));
        tracing::dispatcher::with_default(&subscriber, || {
            let config = NodeConfig {
                holding: Holding::Granted,
                ..NodeConfig::default()
            };
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let start = || {
                let opener = Arc::new(disk.clone());
                SteppedNode::<Bank>::start(&config, opener, &clock, &Arc::default()).unwrap()
            };
            let step = |node: &mut SteppedNode<Bank>, until: &dyn Fn() -> bool| {
                let began = Instant::now();
                while !until() {
                    assert!(began.elapsed() < PATIENCE, "{:?}", log.0.lock().unwrap());
                    node.step_shard(0);
                    node.step_writer(16);
                }
            };
            let mut before = start();
            let places = Arc::clone(before.places());
            before.hands().take_up(&claims(Tenure(1), &[PartitionId(0)]));
            step(&mut before, &|| places.of(PartitionId(0)) == Place::Here);
            let delivery = Delivery {
                envelope: envelope(1, account(1), credit(1)),
                responder: Responder::nobody(),
            };
            let commits = disk.commits();
            before.ingress().try_submit(delivery).unwrap();
            step(&mut before, &|| disk.commits() > commits);
            let mut after = start();
            spoil(&disk, PartitionId(0));
            after.hands().take_up(&claims(Tenure(2), &[PartitionId(0)]));
            step(&mut after, &|| {
                log.has(Level::INFO, "another node took") || log.has(Level::ERROR, "damaged")
            });
        });
        (
            log.has(Level::INFO, "another node took"),
            log.has(Level::ERROR, ""),
        )
    };
    assert_eq!(
        read(|disk, partition| disk.overtake_when_read([partition])),
        (true, false)
    );
    assert_eq!(read(MemoryDisk::spoil_journal), (false, true));
}

#[test]
fn nothing_is_taken_once_the_lease_is_over() {
    story(async {
        let cluster = Cluster::of(1).await;
        cluster.take_over(0, &all()).await;
        let way = cluster.way(0);
        send(&way, 1, account(1), credit(1)).await;
        way.places().lease_until(Instant::now());
        let (sender, receiver) = oneshot::channel();
        let delivery = Delivery {
            envelope: envelope(2, account(1), credit(2)),
            responder: Responder::once(sender),
        };
        way.submit(delivery).await.unwrap();
        assert_eq!(
            receiver.await.unwrap_or(Outcome::Unavailable),
            Outcome::Unavailable
        );
        way.places().lease_until(Instant::now() + PATIENCE);
        assert_eq!(log(&way, account(1)).await, [1]);
    });
}

/// As a node that was paused with deliveries in its mailboxes.
#[test]
fn what_waits_in_a_mailbox_when_the_lease_is_over_is_not_answered() {
    story(async {
        // One entry a batch, and a disk that does not answer: what comes after the third message waits.
        let limits = ShardLimits {
            batch_entries: 1,
            ..ShardLimits::default()
        };
        let cluster = Cluster::with(1, limits).await;
        cluster.take_over(0, &all()).await;
        let way = cluster.way(0);
        cluster.disk.hold();
        for tag in 1..=4 {
            let delivery = Delivery {
                envelope: envelope(tag, account(1), credit(tag)),
                responder: Responder::nobody(),
            };
            way.submit(delivery).await.unwrap();
        }
        let (sender, receiver) = oneshot::channel();
        let question = Delivery {
            envelope: envelope(9, account(1), Command::Show),
            responder: Responder::once(sender),
        };
        way.submit(question).await.unwrap();
        way.places().lease_until(Instant::now());
        cluster.disk.let_go();
        assert_eq!(
            receiver.await.unwrap_or(Outcome::Unavailable),
            Outcome::Unavailable
        );
    });
}

#[test]
fn what_entities_send_each_other_arrives_once_while_partitions_move() {
    story(async {
        let cluster = Cluster::of(3).await;
        for (node, share) in all().chunks(3).enumerate() {
            cluster.take_over(node, share).await;
        }
        let ways: Vec<_> = (0..3).map(|node| cluster.way(node)).collect();
        for number in 0..40_u32 {
            let way = &ways[number as usize % 3];
            let transfer = Command::Transfer {
                tag: number.into(),
                amount: 1,
                to: account(100 + number % 5),
            };
            send(way, u64::from(number) + 1, account(number), transfer).await;
            if number == 20 {
                cluster.take_over(2, &all()[..3]).await;
            }
        }
        for receiver in 0..5 {
            let expected: BTreeSet<u64> = (0..40).filter(|tag| tag % 5 == receiver).collect();
            loop {
                let found = log(&ways[0], account(100 + u32::try_from(receiver).unwrap())).await;
                let tags: BTreeSet<u64> = found.iter().copied().collect();
                assert_eq!(tags.len(), found.len(), "none twice");
                if tags == expected {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
}

#[test]
fn a_consumer_goes_on_where_the_one_before_stopped() {
    story(async {
        let cluster = Cluster::of(2).await;
        let mut feeds: Vec<_> = (0..2)
            .map(|node| cluster.way(node).feed("audit", FeedFilter::Port(PORT)).unwrap())
            .collect();
        cluster.take_over(0, &all()).await;
        let way = cluster.way(0);
        for tag in 1..=5 {
            send(&way, tag, account(1), credit(tag)).await;
        }
        let mut seen = 0;
        while seen < 3 {
            for entry in feeds[0].next(3 - seen).await.unwrap() {
                seen += 1;
                feeds[0].save(entry.partition, entry.sequence);
            }
        }
        // Progress travels with a commit.
        let commits = cluster.disk.commits();
        while cluster.disk.commits() == commits {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cluster.give_up(0, &all()).await;
        cluster.take_over(1, &all()).await;
        let mut rest = 0;
        while rest < 2 {
            rest += feeds[1].next(9).await.unwrap().len();
        }
        assert_eq!(rest, 2);
        assert!(
            feeds[0].ready(9).is_empty(),
            "what is elsewhere is delivered elsewhere"
        );
    });
}

#[test]
fn a_follower_publishes_what_another_node_writes() {
    story(async {
        let cluster = Cluster::of(2).await;
        cluster.take_over(0, &all()).await;
        let (way, other) = (cluster.way(0), cluster.way(1));
        let views = |way: &Ingress<Bank>| way.reference().views.lock().unwrap().clone();
        let mut follower = Follower::<Bank>::new(other.clone());
        let reader = cluster.disk.open().unwrap().reader();
        for number in 0..12_u32 {
            send(&way, u64::from(number) + 1, account(number), credit(1)).await;
            follow(&mut follower, &*reader);
            assert_eq!(views(&other), views(&way), "after {number}");
        }
        follower.forget(PartitionId(3));
        send(&way, 99, account(5), credit(2)).await;
        follow(&mut follower, &*reader);
        assert_eq!(views(&other), views(&way));
    });
}

/// As if there were always something to read.
fn follow(follower: &mut Follower<Bank>, reader: &dyn StoreReader) {
    let ends = all().into_iter().map(|partition| (partition, Sequence(u64::MAX)));
    follower.pass(reader, || Ok(ends.collect())).unwrap();
}

/// The tags of the entries that a feed gives out now, oldest first, each dealt with.
fn take(feed: &mut Feed) -> Vec<u64> {
    let mut tags = Vec::new();
    for entry in feed.ready(1_000) {
        feed.save(entry.partition, entry.sequence);
        tags.push(entry.message.map_or(0, |id| u64::try_from(id.0).unwrap()));
    }
    tags.sort_unstable();
    tags
}

/// The partition of account 1, and a share that it is in.
fn share_of_one() -> (PartitionId, Vec<PartitionId>) {
    let partitions = PartitionCount::new(PARTITIONS).unwrap();
    let message = account(1).message(Command::Show);
    let own = partitions.partition_of(AddressedMessage::routing_key(&message));
    let share = all().into_iter().filter(|other| other.0 % 2 == own.0 % 2);
    (own, share.collect())
}

#[test]
fn a_feed_of_all_partitions_has_an_entry_of_another_node_once_the_read_models_show_it() {
    story(async {
        let cluster = Cluster::of(2).await;
        let (_, others) = share_of_one();
        let own: Vec<_> = all().into_iter().filter(|own| !others.contains(own)).collect();
        cluster.take_over(0, &own).await;
        cluster.take_over(1, &others).await;
        let way = cluster.way(0);
        let reader = cluster.disk.open().unwrap().reader();
        let mut follower = Follower::<Bank>::new(way.clone());
        let pass = way.next_pass();
        assert!(!way.has_followed(pass));
        follow(&mut follower, &*reader);
        assert!(way.has_followed(pass) && !way.has_followed(way.next_pass()));
        let mut feed = way.feed_of_all("audit", FeedFilter::Port(PORT)).unwrap();
        assert!(feed.is_new());
        for number in 0..20_u32 {
            send(&way, u64::from(number) + 1, account(number), credit(1)).await;
        }
        let is_other = |number: &u64| {
            let message = account(u32::try_from(*number).unwrap() - 1).message(Command::Show);
            others.contains(&way.partitions().partition_of(message.routing_key()))
        };
        let (theirs, ours): (Vec<u64>, Vec<u64>) = (1..=20).partition(is_other);
        assert_eq!(take(&mut feed), ours);
        follow(&mut follower, &*reader);
        assert_eq!(take(&mut feed), theirs);
        assert_eq!(take(&mut feed), [0; 0]);
        let lag = |node: usize| cluster.way(node).metrics().consumers[0].entries;
        assert_eq!(lag(0), 0, "of all partitions");
        // Their owner is told, keeps it, and needs the journals no longer for that.
        until(async || lag(1) == 0).await;
        let kept = || -> u64 {
            let cursors = all()
                .into_iter()
                .map(|partition| reader.cursor("audit", partition));
            cursors.map(|cursor| cursor.unwrap().0).sum()
        };
        let written: u64 = {
            let lags = [0, 1].map(|node| cluster.way(node).metrics().shards);
            lags.iter().flatten().map(|shard| shard.entries).sum()
        };
        until(async || kept() == written).await;
    });
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_feed_of_all_partitions_goes_on_where_it_is_when_a_partition_moves_to_its_node_or_away() {
    story(async {
        let cluster = Cluster::of(2).await;
        let (_, moving) = share_of_one();
        cluster.take_over(1, &all()).await;
        let (way, reader) = (cluster.way(0), cluster.disk.open().unwrap().reader());
        let mut follower = Follower::<Bank>::new(way.clone());
        let mut feed = way.feed_of_all("audit", FeedFilter::Port(PORT)).unwrap();
        let mut look = || follow(&mut follower, &*reader);
        look();
        for tag in 1..=3 {
            send(&way, tag, account(1), credit(tag)).await;
        }
        look();
        let seen: Vec<u64> = {
            let seen = feed.ready(2);
            // None of them is dealt with yet: where it moves, it is not begun anew.
            seen.iter()
                .map(|entry| u64::try_from(entry.message.unwrap().0).unwrap())
                .collect()
        };
        assert_eq!(seen, [1, 2]);
        cluster.give_up(1, &moving).await;
        cluster.take_over(0, &moving).await;
        send(&way, 4, account(1), credit(4)).await;
        assert_eq!(take(&mut feed), [3, 4]);
        cluster.give_up(0, &moving).await;
        cluster.take_over(1, &moving).await;
        send(&way, 5, account(1), credit(5)).await;
        assert_eq!(take(&mut feed), [0; 0], "the read models do not show it yet");
        look();
        assert_eq!(take(&mut feed), [5]);
    });
}

#[test]
fn a_feed_of_all_partitions_on_another_node_goes_on_where_the_first_one_stopped() {
    story(async {
        let cluster = Cluster::of(3).await;
        let (_, others) = share_of_one();
        let own: Vec<_> = all().into_iter().filter(|own| !others.contains(own)).collect();
        cluster.take_over(0, &own).await;
        cluster.take_over(2, &others).await;
        let reader = cluster.disk.open().unwrap().reader();
        let mut follower = Follower::<Bank>::new(cluster.way(0));
        follow(&mut follower, &*reader);
        let mut feed = cluster
            .way(0)
            .feed_of_all("audit", FeedFilter::Port(PORT))
            .unwrap();
        for number in 1..=12_u32 {
            send(&cluster.way(0), number.into(), account(number), credit(1)).await;
        }
        follow(&mut follower, &*reader);
        assert_eq!(take(&mut feed), (1..=12).collect::<Vec<_>>());
        // What it has dealt with last is told when it has stopped, too.
        drop(feed);
        let kept = |partition: &PartitionId| reader.cursor("audit", *partition).unwrap() > Sequence(0);
        let (partition, _) = share_of_one();
        until(async || kept(&partition)).await;
        // A partition goes to a third node meanwhile, and with it what was kept.
        cluster.give_up(2, &others).await;
        cluster.take_over(1, &others).await;
        let mut second = Follower::<Bank>::new(cluster.way(1));
        follow(&mut second, &*reader);
        let mut feed = cluster
            .way(1)
            .feed_of_all("audit", FeedFilter::Port(PORT))
            .unwrap();
        assert!(!feed.is_new());
        for number in 13..=16_u32 {
            send(&cluster.way(0), number.into(), account(number), credit(1)).await;
        }
        follow(&mut second, &*reader);
        let seen = take(&mut feed);
        assert!(seen.ends_with(&[13, 14, 15, 16]), "{seen:?}");
        assert!(
            !seen.contains(&1),
            "{seen:?}: account 1 lies in a partition of which it was kept"
        );
    });
}

/// Whoever is told of a partition that is not here leaves it to its owner; a word that is older than what is known changes nothing.
#[test]
fn progress_only_rises_and_only_where_the_partition_is() {
    story(async {
        let cluster = Cluster::of(2).await;
        cluster.take_over(0, &all()).await;
        let (partition, _) = share_of_one();
        for tag in 1..=9 {
            send(&cluster.way(0), tag, account(1), credit(tag)).await;
        }
        let tell = |node: usize, done: u64| {
            let done = vec![
                ("audit".to_owned(), Sequence(done)),
                ("unknown".to_owned(), Sequence(done)),
            ];
            cluster
                .way(node)
                .take_between(Between::Progress(Progress { partition, done }));
        };
        let lag = |node: usize| cluster.way(node).metrics().consumers[0].entries;
        for (done, left) in [(4, 5), (7, 2), (6, 2), (9, 0)] {
            tell(0, done);
            assert_eq!(lag(0), left, "after a word of {done}");
        }
        tell(1, 9);
        cluster.give_up(0, &all()).await;
        cluster.take_over(1, &all()).await;
        let reader = cluster.disk.open().unwrap().reader();
        let kept = reader.cursor("audit", partition).unwrap().0;
        assert_eq!(
            lag(1),
            9 - kept,
            "what is in the store counts, not what was told a node that did not have it"
        );
    });
}
