//! One sender that computes the partition, and owners that are killed, paused and stopped: what it sends to a partition is decided
//! once and in the order in which it was sent. What it puts into a wrong queue is decided once.

use super::support::broker::{PARTITIONS, Sender};
use super::support::database::Database;
use super::support::poll::until;
use super::support::service::Service;
use super::support::traffic::{Act, Operation, SKUS};
use super::{NAMES, Said, WITHIN};
use rustix::process::Signal;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::task::LocalSet;

/// One message of so many is put into a wrong queue.
const MISDIRECTED: u64 = 50;

/// What was sent.
#[derive(Default)]
struct Sent {
    count: Cell<u64>,
    over: Cell<bool>,
}

fn receipt(number: u64) -> Operation {
    let sku = SKUS[usize::try_from(number).unwrap() % SKUS.len()];
    Operation {
        id: format!("s-{number}"),
        act: Act::Receipt {
            sku,
            warehouse: "W1",
            quantity: 1,
        },
    }
}

fn is_misdirected(number: u64) -> bool {
    number.is_multiple_of(MISDIRECTED)
}

async fn send(mut broker: Sender, sent: Rc<Sent>) {
    while !sent.over.get() {
        let (number, operation) = (sent.count.get(), receipt(sent.count.get()));
        let own = operation.partition(PARTITIONS);
        let partition = if is_misdirected(number) {
            (own + 1) % PARTITIONS
        } else {
            own
        };
        let body = serde_json::to_vec(&operation.message()).unwrap();
        broker
            .publish_to_partition(partition, "application/json", &body)
            .await;
        sent.count.set(number + 1);
    }
}

async fn until_more(sent: &Sent, what: &str) {
    let goal = sent.count.get() + 150;
    until(&format!("more to be sent {what}"), WITHIN, async || {
        (sent.count.get() >= goal).then_some(())
    })
    .await;
}

/// How many messages were decided that were sent in so many.
async fn decided(database: &Database) -> BTreeMap<u16, Vec<String>> {
    let mut decided = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let mut ids = database.decided(partition).await;
        ids.retain(|id| id.starts_with("s-"));
        decided.insert(partition, ids);
    }
    decided
}

async fn until_decided(database: &Database, count: u64, what: &str) {
    until(&format!("{count} decided {what}"), WITHIN, async || {
        let found: usize = decided(database).await.values().map(Vec::len).sum();
        (found as u64 >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_one_sender_sends_straight_is_decided_once_and_in_order_whatever_becomes_of_the_owners() {
    LocalSet::new().run_until(kill_pause_and_stop()).await;
}

async fn kill_pause_and_stop() {
    let database = Database::new("straight").await;
    let mut broker = Sender::with_partitions("straight");
    let mut nodes = Vec::new();
    for name in NAMES {
        let mut node = Service::in_cluster(name, &database.url, &broker.tables());
        node.start().await;
        nodes.push(node);
    }
    database.until_shared_by(&NAMES).await;
    let sent = Rc::<Sent>::default();
    let sending = tokio::task::spawn_local(send(broker.another(), Rc::clone(&sent)));
    disturb(&mut nodes, &database, &sent).await;
    sent.over.set(true);
    sending.await.unwrap();
    let count = sent.count.get();
    let said = Said(&nodes);
    until_decided(&database, count, "of all that was sent").await;
    until("empty queues", WITHIN, async || {
        broker.is_drained().await.then_some(())
    })
    .await;
    check_order(&decided(&database).await, count);
    let mut misdirected = 0;
    for node in &nodes {
        misdirected += node.metric("lockstep_amqp_misdirected_total").await;
    }
    assert!(misdirected > 0, "{count} sent");
    drop(said);
    for node in &mut nodes {
        assert!(node.terminate().await.success(), "{}", node.log());
    }
    assert_eq!(broker.dead_letters().await, 0);
    broker.clean_up().await;
    database.drop().await;
}

async fn disturb(nodes: &mut [Service], database: &Database, sent: &Sent) {
    until_more(sent, "to three nodes").await;
    nodes[0].kill().await;
    database.until_shared_by(&["two", "three"]).await;
    until_more(sent, "to two nodes").await;
    until_decided(database, sent.count.get(), "by two nodes").await;
    nodes[0].start().await;
    database.until_shared_by(&NAMES).await;
    until_more(sent, "to the node that was killed").await;

    nodes[1].signal(Signal::STOP);
    database.until_shared_by(&["one", "three"]).await;
    until_more(sent, "beside a paused node").await;
    until_decided(database, sent.count.get(), "beside a paused node").await;
    nodes[1].signal(Signal::CONT);
    database.until_shared_by(&NAMES).await;
    until_more(sent, "to the node that was paused").await;

    assert!(nodes[2].terminate().await.success(), "{}", nodes[2].log());
    database.until_shared_by(&["one", "two"]).await;
    until_more(sent, "after a planned stop").await;
    nodes[2].start().await;
    database.until_shared_by(&NAMES).await;
    until_more(sent, "at the end").await;
}

/// Each partition has decided what is its own, once: in the order in which it was sent but for what took another way.
fn check_order(decided: &BTreeMap<u16, Vec<String>>, count: u64) {
    for (partition, found) in decided {
        let own = |number: &u64| receipt(*number).partition(PARTITIONS) == *partition;
        let mut all: Vec<String> = (0..count)
            .filter(own)
            .map(|number| format!("s-{number}"))
            .collect();
        let straight: Vec<String> = (0..count)
            .filter(|number| own(number) && !is_misdirected(*number))
            .map(|number| format!("s-{number}"))
            .collect();
        let in_place: Vec<&String> = found.iter().filter(|id| straight.contains(id)).collect();
        assert_eq!(
            in_place,
            straight.iter().collect::<Vec<_>>(),
            "partition {partition}"
        );
        let mut found = found.clone();
        found.sort_unstable();
        all.sort_unstable();
        assert_eq!(found, all, "partition {partition}");
    }
}
