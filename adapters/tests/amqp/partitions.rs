//! A queue for each partition.

use crate::world::{PARTITIONS, World, receipt, run};
use lockstep_adapters::amqp::{Broker, declare_partitions};
use lockstep_runtime::memory::Fault;
use lockstep_runtime::placement::{PartitionCount, PartitionId, Place};
use lockstep_runtime::store::Claim;
use std::collections::BTreeMap;

/// SKUs of three partitions of eight, with zlib's crc32 as Python has it: 0, 2 and 4.
const SKUS: [(&str, u16); 3] = [("A-1", 0), ("A-2", 2), ("D", 4)];

/// One after the other as one sender sends them, so many for each SKU: `A-1/0`, `A-2/0`, `D/0`, `A-1/1` and so on.
async fn send(world: &World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        for (sku, partition) in SKUS {
            let message = receipt(&format!("{sku}/{number}"), sku, 1);
            world.send_to_partition(partition, &message).await;
        }
    }
}

fn in_order(sku: &str, count: u32) -> Vec<String> {
    (0..count).map(|number| format!("{sku}/{number}")).collect()
}

/// What was decided of what [`send`] sends, in order.
fn decided(world: &World, sku: &str, partition: u16) -> Vec<String> {
    let mut decided = world.decided(PartitionId(partition));
    decided.retain(|id| id.starts_with(&format!("{sku}/")));
    decided
}

fn expected(count: u32) -> BTreeMap<String, i64> {
    let count = i64::from(count);
    SKUS.iter().map(|(sku, _)| ((*sku).to_owned(), count)).collect()
}

#[test]
fn what_one_sender_sends_to_a_partition_is_decided_in_that_order_whenever_connections_are_cut() {
    run(async {
        let world = World::start_straight().await;
        for part in 0..4 {
            send(&world, part * 300..(part + 1) * 300).await;
            let before = world.counters.read().connections;
            world.cut();
            world
                .until("it has connected again", || {
                    world.counters.read().connections > before
                })
                .await;
        }
        world.until_on_hand(&expected(1_200)).await;
        world.until_settled().await;
        for (sku, partition) in SKUS {
            assert_eq!(decided(&world, sku, partition), in_order(sku, 1_200), "{sku}");
        }
        assert_eq!(world.counters.read().misdirected, 0);
        world.stop().await;
    });
}

#[test]
fn a_message_in_the_wrong_queue_is_counted_and_decided_where_it_belongs() {
    run(async {
        let world = World::start_straight().await;
        // A-1 belongs to partition 0; what is sent to partition 8 finds no queue and goes by the ingress queue.
        for (number, partition) in [0, 3, 7, PARTITIONS].into_iter().enumerate() {
            let message = receipt(&format!("r-{number}"), "A-1", 10);
            world.send_to_partition(partition, &message).await;
        }
        // By the ingress exchange, and once more straight to its partition.
        for _ in 0..2 {
            world.send(&receipt("both", "A-1", 100)).await;
            world.send_to_partition(0, &receipt("both", "A-1", 100)).await;
        }
        let expected = BTreeMap::from([("A-1".to_owned(), 140)]);
        world.until_on_hand(&expected).await;
        world.until_settled().await;
        assert_eq!(world.on_hand(&expected), expected);
        let metrics = world.counters.read();
        assert_eq!((metrics.misdirected, metrics.dead_lettered), (2, 0));
        assert_eq!(metrics.partitions, u64::from(PARTITIONS));
        world.stop().await;
    });
}

#[test]
fn a_partition_that_is_given_up_leaves_what_is_not_decided_in_its_queue_and_in_its_place() {
    run(async {
        let world = World::start_straight().await;
        let (sku, partition) = (SKUS[0].0, PartitionId(SKUS[0].1));
        let (places, hands) = (world.node.places().clone(), world.node.hands());
        send(&world, 0..400).await;
        world
            .until("some are decided", || world.decided(partition).len() >= 20)
            .await;
        hands.give_up(&[partition]);
        world
            .until("it is given up", || places.of(partition) == Place::Elsewhere)
            .await;
        send(&world, 400..600).await;
        // The others' go on.
        let others = BTreeMap::from([("A-2".to_owned(), 600), ("D".to_owned(), 600)]);
        world.until_on_hand(&others).await;
        world
            .until("its queue is let go", || {
                world.counters.read().partitions == u64::from(PARTITIONS) - 1
            })
            .await;
        let before = decided(&world, sku, partition.0);
        let count = u32::try_from(before.len()).unwrap();
        assert_eq!(before, in_order(sku, count));
        let waiting = world.waiting(&world.names.partition_queue(partition)).await;
        assert!(
            count < 600 && waiting >= 600 - count,
            "{waiting} wait, {count} are decided"
        );
        hands.take_up(&[Claim::alone(partition)]);
        world.until_on_hand(&expected(600)).await;
        world.until_settled().await;
        assert_eq!(decided(&world, sku, partition.0), in_order(sku, 600));
        world.stop().await;
    });
}

#[test]
fn a_store_that_fails_amid_straight_messages_loses_nothing_and_repeats_nothing() {
    run(async {
        let world = World::start_straight().await;
        for part in 0..4 {
            world.disk.fail([Fault::Lost, Fault::Unacknowledged]);
            send(&world, part * 100..(part + 1) * 100).await;
        }
        world.until_on_hand(&expected(400)).await;
        world.until_settled().await;
        assert_eq!(world.on_hand(&expected(400)), expected(400));
        for (sku, partition) in SKUS {
            let mut decided = decided(&world, sku, partition);
            decided.sort_unstable();
            decided.dedup();
            assert_eq!(decided.len(), 400, "{sku}");
        }
        world.stop().await;
    });
}

#[test]
fn a_bad_message_in_a_partitions_queue_is_dead_lettered_and_blocks_nobody() {
    run(async {
        let world = World::start_straight().await;
        let mut bad = receipt("bad", "A-1", 1);
        bad["body"]["change"]["receipt"]["quantity"] = (-1).into();
        world.send_to_partition(0, &bad).await;
        world.send_to_partition(0, &receipt("good", "A-1", 1)).await;
        world
            .until_on_hand(&BTreeMap::from([("A-1".to_owned(), 1)]))
            .await;
        let letters = world.dead_letters(1).await;
        assert_eq!(letters[0].header("x-lockstep-code"), "invalid-field");
        assert_eq!(
            (
                letters[0].header("x-lockstep-exchange"),
                letters[0].routing_key.as_str()
            ),
            (world.names.partitions_exchange.clone(), "0")
        );
        world.until_settled().await;
        world.stop().await;
    });
}

#[test]
fn queues_of_another_number_of_partitions_are_refused_with_what_to_do() {
    run(async {
        let world = World::start_straight().await;
        let broker: Broker = world.broker();
        let declare = async |count| declare_partitions(&broker, PartitionCount::new(count).unwrap()).await;
        assert!(declare(PARTITIONS).await.is_ok());
        for count in [PARTITIONS / 2, PARTITIONS * 2] {
            let refused = declare(count).await.unwrap_err().to_string();
            let has = |part: &str| refused.contains(part);
            assert!(
                has(&world.names.partitions_exchange)
                    && has(&format!("partition 0 of {count}"))
                    && has("partition 0 of 8"),
                "{refused}"
            );
        }
        // The queue of a partition that there is not has not been declared either.
        world.send_to_partition(PARTITIONS, &receipt("r", "A-1", 1)).await;
        world
            .until_on_hand(&BTreeMap::from([("A-1".to_owned(), 1)]))
            .await;
        world.until_settled().await;
        world.stop().await;
    });
}
