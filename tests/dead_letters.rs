//! Promise 8 to its end: what could not be taken is listed with its reason, repaired, replayed and settled, with a real broker
//! and a served binary; and what was taken once has no effect again, were it a whole day's ingress.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use lockstep_actors::domain::Message;
use lockstep_actors::ids::{DocumentId, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_adapters::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::message::{MessageId, Origin, Sequence};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{Claim, CommitBatch, DeadLetter, PartitionBatch, StoreOpener};
use lockstep_runtime::time::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use support::broker::Sender;
use support::command::{Printed, run};
use support::day::{Said, day, same, settled};
use support::door::Door;
use support::poll::until;
use support::service::{Service, lockstep};
use support::traffic::Operation;

const JSON: &str = "application/json";
const WITHIN: Duration = Duration::from_secs(60);
const SEED: u64 = 20_261_128;
/// What a generated day has of messages.
const DAY: usize = 800;

async fn dlq(service: &Service, arguments: &[&str]) -> Printed {
    let mut command = lockstep();
    command
        .arg("dlq")
        .args(arguments)
        .arg("--url")
        .arg(service.url("/"));
    run(command).await
}

/// The open letters, by the id of the message that each holds, once there are as many as expected.
async fn listed(service: &Service, expected: usize) -> Vec<Value> {
    until(&format!("{expected} open letters"), WITHIN, async || {
        let said = dlq(service, &["list", "--json"]).await;
        assert_eq!(said.code, Some(0), "{}", said.error);
        let list = said.json();
        let letters = list["letters"].as_array().unwrap().clone();
        (letters.len() == expected).then_some(letters)
    })
    .await
}

async fn on_hand(door: &Door, sku: &str) -> i64 {
    let answer = door.look(&format!("/v1/availability?sku={sku}")).await.unwrap();
    let levels = answer["items"][0]["levels"].as_array().unwrap();
    levels
        .iter()
        .map(|level| level["on_hand"].as_i64().unwrap())
        .sum()
}

async fn until_on_hand(door: &Door, sku: &str, expected: i64) {
    until(&format!("{expected} of {sku}"), WITHIN, async || {
        (on_hand(door, sku).await == expected).then_some(())
    })
    .await;
}

fn receipt(id: &str, sku: &str, quantity: i64) -> Vec<u8> {
    let message = json!({ "schema": "lockstep.stock.event", "version": 1, "id": id, "body": {
        "sku": sku, "warehouse": "W1", "change": { "receipt": { "quantity": quantity, "document": id } } } });
    serde_json::to_vec(&message).unwrap()
}

fn letter<'v>(letters: &'v [Value], code: &str) -> &'v str {
    let found = letters.iter().find(|letter| letter["code"] == code);
    found.unwrap_or_else(|| panic!("no {code} in {letters:?}"))["letter"]
        .as_str()
        .unwrap()
}

#[tokio::test]
async fn a_poisoned_message_is_listed_repaired_and_replayed_and_takes_effect_once() {
    let mut sender = Sender::new("dlq");
    let mut service = Service::new(&sender.tables());
    service.start().await;
    let door = service.door();
    sender.publish(JSON, &receipt("poison", "A", 0)).await;
    sender.publish(JSON, b"{ \"schema\": ").await;
    sender.publish(JSON, &receipt("good", "A", 3)).await;
    let letters = listed(&service, 2).await;
    let (poison, broken) = (letter(&letters, "invalid-field"), letter(&letters, "malformed"));
    let shown = dlq(&service, &["show", poison, "--json"]).await.json();
    assert_eq!(shown["field"], "body.change.receipt.quantity", "{shown}");
    assert_eq!(shown["message"]["id"], "poison", "{shown}");
    assert_eq!(
        (&shown["kind"], &shown["source"]),
        (&json!("lockstep.stock.event"), &json!("operator"))
    );

    // It still cannot be taken; a repair that cannot be read is refused with its field, and one under another id too.
    let as_it_is = dlq(&service, &["replay", poison]).await;
    assert_eq!(as_it_is.code, Some(1), "{}", as_it_is.out);
    assert!(as_it_is.out.contains("stays"), "{}", as_it_is.out);
    for (assignment, word) in [
        ("body.change.receipt.quantity=-4", "quantity"),
        ("id=other", "must stay"),
    ] {
        let refused = dlq(&service, &["repair", poison, "--set", assignment]).await;
        assert_eq!(refused.code, Some(1), "{}", refused.out);
        assert!(refused.error.contains(word), "{}", refused.error);
    }
    let mended = [
        "repair",
        poison,
        "--set",
        "body.change.receipt.quantity=5",
        "--why",
        "the scanner sent 0",
    ];
    let repaired = dlq(&service, &mended).await;
    assert_eq!(repaired.code, Some(0), "{}", repaired.error);
    assert_eq!(on_hand(&door, "A").await, 3, "a repair hands nothing in");

    // The repair outlives the process; the replay takes effect once, however often it is asked for.
    service.kill().await;
    service.start().await;
    for changed in [true, false] {
        let replayed = dlq(&service, &["replay", poison, "--json"]).await;
        assert_eq!(replayed.code, Some(0), "{}", replayed.error);
        let answer = replayed.json();
        assert_eq!(answer["letters"][0]["changed"], changed, "{answer}");
        assert_eq!(answer["letters"][0]["settled"]["outcome"], "accepted", "{answer}");
    }
    until_on_hand(&door, "A", 8).await;
    // The sender mends its message as well and sends it again under its id.
    sender.publish(JSON, &receipt("poison", "A", 5)).await;
    sender.publish(JSON, &receipt("after", "A", 1)).await;
    until_on_hand(&door, "A", 9).await;

    assert_eq!(
        dlq(&service, &["discard", broken]).await.code,
        Some(2),
        "without a reason"
    );
    for _ in 0..2 {
        let discarded = dlq(&service, &["discard", broken, "--why", "half a message"]).await;
        assert_eq!(discarded.code, Some(0), "{}", discarded.error);
    }
    let evidence = dlq(&service, &["show", broken, "--json"]).await.json();
    let settled = &evidence["settled"];
    assert_eq!(
        (&settled["by"], &settled["why"]),
        (&json!("operator"), &json!("half a message"))
    );
    assert_eq!(evidence["notes"].as_array().unwrap().len(), 1, "{evidence}");
    let late = dlq(&service, &["repair", broken, "--set", "id=x"]).await;
    assert_eq!(late.code, Some(1), "{}", late.out);

    service.kill().await;
    service.start().await;
    listed(&service, 0).await;
    assert_eq!(
        (sender.dead_letters().await, on_hand(&service.door(), "A").await),
        (0, 9)
    );
    assert_eq!(dlq(&service, &["show", "nothing"]).await.code, Some(1));
    assert!(service.terminate().await.success(), "{}", service.log());
    sender.clean_up().await;
}

#[tokio::test]
async fn letters_are_replayed_by_filter_once_the_cause_is_gone() {
    let mut sender = Sender::new("dlq-filter");
    // The broker's user is no system yet.
    let nobody = sender.tables().replace("guest =", "somebody =");
    let mut service = Service::new(&nobody);
    service.start().await;
    for number in 0..30 {
        sender
            .publish(JSON, &receipt(&format!("r-{number}"), "B", 2))
            .await;
    }
    sender.publish(JSON, b"[]").await;
    let letters = listed(&service, 31).await;
    assert!(
        letters.iter().all(|letter| letter["code"] == "unknown-sender"),
        "{letters:?}"
    );
    assert!(service.terminate().await.success(), "{}", service.log());

    std::fs::write(
        service.config(),
        std::fs::read_to_string(service.config())
            .unwrap()
            .replace("somebody =", "guest ="),
    )
    .unwrap();
    service.start().await;
    let nothing = dlq(&service, &["replay"]).await;
    assert_eq!(nothing.code, Some(2), "which ones must be said: {}", nothing.out);
    let dry = dlq(
        &service,
        &["replay", "--kind", "lockstep.stock.event", "--dry-run", "--json"],
    )
    .await;
    assert_eq!(dry.json()["letters"].as_array().unwrap().len(), 30);
    let past = [
        "replay",
        "--reason",
        "unknown-sender",
        "--until",
        "2020-01-01T00:00:00Z",
        "--json",
    ];
    assert_eq!(dlq(&service, &past).await.json()["letters"], json!([]));
    let filtered = [
        "replay",
        "--kind",
        "lockstep.stock.event",
        "--source",
        "guest",
        "--rate",
        "500",
        "--json",
    ];
    let replayed = dlq(&service, &filtered).await;
    assert_eq!(replayed.code, Some(0), "{}", replayed.error);
    assert_eq!(replayed.json()["letters"].as_array().unwrap().len(), 30);
    until_on_hand(&service.door(), "B", 60).await;
    assert_eq!(dlq(&service, &filtered).await.json()["letters"], json!([]));
    // What is no message at all stays, and says so.
    let rest = dlq(&service, &["replay", "--all"]).await;
    assert_eq!(rest.code, Some(1), "{}", rest.out);
    assert_eq!(on_hand(&service.door(), "B").await, 60);
    assert!(service.terminate().await.success(), "{}", service.log());
    sender.clean_up().await;
}

fn adjustment(id: &str, kind: &str, quantity: i64) -> Vec<u8> {
    let message = json!({ "schema": "lockstep.stock.event", "version": 1, "id": id, "body": {
        "sku": "D", "warehouse": "W1",
        "change": { "adjustment": { "kind": kind, "quantity": quantity, "reason": "a scan" } } } });
    serde_json::to_vec(&message).unwrap()
}

#[tokio::test]
async fn a_replay_that_is_refused_leaves_its_letter_open_until_one_is_taken() {
    let mut sender = Sender::new("dlq-refused");
    let mut service = Service::new(&sender.tables());
    service.start().await;
    let door = service.door();
    sender.publish(JSON, &receipt("gr", "D", 10)).await;
    sender.publish(JSON, &adjustment("broken", "damage", 3)).await;
    sender.publish(JSON, &adjustment("scrap", "scrap", 0)).await;
    let letters = listed(&service, 1).await;
    until_on_hand(&door, "D", 10).await;
    let id = letter(&letters, "invalid-field");
    let four = ["repair", id, "--set", "body.change.adjustment.quantity=4"];
    assert_eq!(dlq(&service, &four).await.code, Some(0));
    // Three are damaged, four are to go.
    for times in [1, 2] {
        let refused = dlq(&service, &["replay", id, "--json"]).await;
        assert_eq!(refused.code, Some(1), "{}", refused.out);
        assert_eq!(refused.json()["letters"][0]["code"], "refused", "{}", refused.out);
        let open = listed(&service, 1).await;
        let returned = &open[0]["returned"];
        assert_eq!(
            (&returned["times"], &returned["code"]),
            (&json!(times), &json!("refused"))
        );
    }
    let found = dlq(&service, &["list", "--reason", "refused", "--json"]).await;
    assert_eq!(found.json()["total"], 1, "{}", found.out);
    // How it stands outlives the process. One more is found damaged: now it is taken.
    service.kill().await;
    service.start().await;
    sender.publish(JSON, &adjustment("one-more", "damage", 1)).await;
    until("the message to be taken", WITHIN, async || {
        sender.is_drained().await.then_some(())
    })
    .await;
    until("the replay to be taken", WITHIN, async || {
        (dlq(&service, &["replay", id]).await.code == Some(0)).then_some(())
    })
    .await;
    until_on_hand(&service.door(), "D", 6).await;
    listed(&service, 0).await;
    let shown = dlq(&service, &["show", id, "--json"]).await.json();
    assert_eq!(shown["settled"]["outcome"], "accepted", "{shown}");
    assert_eq!(dlq(&service, &["replay", id]).await.code, Some(0));
    assert_eq!(on_hand(&service.door(), "D").await, 6, "once");
    assert!(service.terminate().await.success(), "{}", service.log());
    sender.clean_up().await;
}

/// A store that holds what its entities could not digest.
fn store_with_letters(directory: &Path, letters: &[(Origin, &str, u64)]) {
    let config = EmbeddedConfig {
        directory: directory.to_owned(),
        partitions: PartitionCount::new(16).unwrap(),
        cache_mib: 8,
    };
    let mut store = EmbeddedOpener::new(config).open().unwrap();
    let partition = PartitionId(3);
    let state = store.acquire(&[Claim::alone(partition)]).unwrap().remove(0);
    let dead_letters = (1..).zip(letters).map(|(number, (origin, document, quantity))| {
        let stock = StockId {
            sku: Sku::new("C").unwrap(),
            warehouse: WarehouseCode::new("W1").unwrap(),
        };
        let message: Message = (
            stock,
            StockCommand::Receive {
                quantity: PositiveQuantity::new(i64::try_from(*quantity).unwrap()).unwrap(),
                document: DocumentId::new(document).unwrap(),
            },
        )
            .into();
        let (mut entity, mut command) = (Vec::new(), Vec::new());
        message.encode_id(&mut entity);
        message.encode_command(&mut command).unwrap();
        let letter = DeadLetter {
            at: Timestamp::from_millis(1_790_000_000_000 + number),
            reason: "the entity panicked: no message".to_owned(),
            source: "wms".to_owned(),
            correlation: format!("c-{number}"),
            kind: message.kind(),
            entity,
            command,
            origin: Some(*origin),
        };
        (Sequence(number.unsigned_abs()), letter)
    });
    let part = PartitionBatch {
        partition,
        epoch: state.epoch,
        first_sequence: state.next_sequence,
        dead_letters: dead_letters.collect(),
        ..PartitionBatch::default()
    };
    store
        .commit(&[CommitBatch {
            partitions: vec![part],
            cursors: Vec::new(),
        }])
        .unwrap();
}

#[tokio::test]
async fn what_an_entity_could_not_digest_is_replayed_under_an_id_of_its_own() {
    let mut service = Service::new("");
    let judged = Origin::External(MessageId::of("wms", "gr-1"));
    let inside = Origin::Entity {
        from: PartitionId(1),
        sequence: 7,
    };
    store_with_letters(
        &service.store(),
        &[
            (judged, "GR-1", 4),
            (judged, "GR-1", 4),
            (Origin::Alarm, "GR-2", 2),
            (inside, "GR-3", 9),
        ],
    );
    service.start().await;
    let letters = listed(&service, 4).await;
    assert!(
        letters.iter().all(|letter| letter["kind"] == "sku-warehouse"),
        "{letters:?}"
    );
    let shown = dlq(&service, &["show", "3-1", "--json"]).await.json();
    assert!(shown["command"].as_str().unwrap().contains("GR-1"), "{shown}");
    // Two letters of one message are one message; what entities say to each other is not said from outside.
    let replayed = dlq(&service, &["replay", "--all", "--json"]).await;
    assert_eq!(replayed.code, Some(1), "{}", replayed.out);
    let answer = replayed.json();
    let outcomes: Vec<&Value> = (0..3)
        .map(|place| &answer["letters"][place]["settled"]["outcome"])
        .collect();
    assert_eq!(
        outcomes,
        [&json!("accepted"), &json!("accepted before"), &json!("accepted")],
        "{answer}"
    );
    assert_eq!(answer["letters"][3]["code"], "inside", "{answer}");
    until_on_hand(&service.door(), "C", 6).await;
    let discarded = dlq(&service, &["discard", "3-4", "--why", "the order asked again"]).await;
    assert_eq!(discarded.code, Some(0), "{}", discarded.error);
    // At the next start the store tells the same letters again, and nothing comes of it.
    assert!(service.terminate().await.success(), "{}", service.log());
    service.start().await;
    listed(&service, 0).await;
    assert_eq!(on_hand(&service.door(), "C").await, 6);
    assert!(service.terminate().await.success(), "{}", service.log());
}

/// What is said of the day once everything has been delivered.
async fn settled_day(door: &Door, sender: &mut Sender, day: &[Operation]) -> Said {
    until("an empty ingress queue", WITHIN, async || {
        sender.is_drained().await.then_some(())
    })
    .await;
    settled(door, day).await
}

#[tokio::test]
async fn a_whole_days_ingress_replayed_changes_nothing() {
    let mut sender = Sender::new("day");
    let mut service = Service::new(&sender.tables());
    service.start().await;
    let door = service.door();
    let day = day(SEED, DAY);
    let body = |operation: &Operation| serde_json::to_vec(&operation.message()).unwrap();
    for operation in &day {
        sender.publish(JSON, &body(operation)).await;
    }
    let first = settled_day(&door, &mut sender, &day).await;
    let orders = first.keys().filter(|path| path.starts_with("/v1/orders")).count();
    assert!(orders > DAY / 4, "{orders} orders");
    // As it came, then in any order, the second time after a restart.
    for shuffled in [false, true] {
        let mut again = day.clone();
        if shuffled {
            again.shuffle(&mut StdRng::seed_from_u64(SEED));
            service.kill().await;
            service.start().await;
        }
        for operation in &again {
            sender.publish(JSON, &body(operation)).await;
        }
        let now = settled_day(&door, &mut sender, &day).await;
        same(&format!("shuffled: {shuffled}"), &first, &now);
    }
    assert_eq!(sender.dead_letters().await, 0);
    assert!(service.terminate().await.success(), "{}", service.log());
    sender.clean_up().await;
}
