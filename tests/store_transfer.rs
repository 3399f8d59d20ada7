//! A store goes from one engine to the other and back with everything that was promised, and each recovery drill of
//! `docs/operations.md` is run as it stands there.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use lockstep_loadtest::emulate::{channel, erp};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use support::broker::Sender;
use support::command::{Printed, run};
use support::database::Database;
use support::day::{Said, day, look, same, settled};
use support::door::{Door, Verdict};
use support::poll::until;
use support::service::{Service, lockstep, serve};
use support::traffic::{Act, CHANNEL, Operation, SKUS};

const SEED: u64 = 20_261_129;
const WITHIN: Duration = Duration::from_secs(60);

async fn store(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Printed {
    let mut command = lockstep();
    command.arg("store");
    for argument in arguments {
        command.arg(argument.as_ref());
    }
    run(command).await
}

async fn done(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Value {
    let printed = store(arguments).await;
    assert_eq!(printed.code, Some(0), "{}", printed.error);
    printed.json()
}

async fn deliver(door: &Door, operations: &[Operation]) {
    for operation in operations {
        door.deliver(operation).await;
    }
}

/// The way of `serve` to its end: the exit code, and why.
async fn refused(config: &Path) -> (Option<i32>, String) {
    let ended = run(serve(config)).await;
    (ended.code, ended.error)
}

/// What is said without the versions of stock levels, and the highest of these.
fn split(mut said: Said) -> (Said, u64) {
    let mut highest = 0;
    for view in said.values_mut() {
        let levels = view.pointer_mut("/items/0/levels").and_then(Value::as_array_mut);
        for level in levels.into_iter().flatten() {
            highest = highest.max(level["version"].take().as_u64().unwrap());
        }
    }
    (said, highest)
}

/// Rewrites a service's configuration.
fn reconfigure(service: &Service, from: &str, to: &str) {
    let text = std::fs::read_to_string(service.config()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(service.config(), text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn a_store_moves_to_postgresql_and_back_and_answers_alike() {
    let database = Database::new("transfer").await;
    let files = tempfile::tempdir().unwrap();
    let (there, back) = (files.path().join("there"), files.path().join("back"));
    let mut service = Service::new("");
    service.start().await;
    let door = service.door();
    let day = day(SEED, 250);
    deliver(&door, &day).await;
    let before = settled(&door, &day).await;
    let running = store(&[&"export", &there, &"--config", &service.config()]).await;
    assert_eq!(running.code, Some(3), "while it is served: {}", running.error);
    assert!(service.terminate().await.success(), "{}", service.log());

    let embedded = std::fs::read_to_string(service.config()).unwrap();
    let exported = done(&[&"export", &there, &"--config", &service.config(), &"--json"]).await;
    assert_eq!(done(&[&"verify", &there, &"--json"]).await, exported);
    assert_eq!(
        done(&[&"verify", &"--config", &service.config(), &"--json"]).await,
        exported
    );
    let directory = format!("directory = {:?}\n", service.store());
    reconfigure(&service, &directory, "kind = \"postgres\"\n");
    let url = format!("partitions = 16\n[store.postgres]\nurl = {:?}\n", database.url);
    reconfigure(&service, "partitions = 16\n", &url);
    assert_eq!(
        done(&[&"import", &there, &"--config", &service.config(), &"--json"]).await,
        exported
    );
    let twice = store(&[&"import", &there, &"--config", &service.config()]).await;
    assert_eq!(
        twice.code,
        Some(2),
        "into a store that is not empty: {}",
        twice.error
    );

    // The same answers, and what was delivered before is known.
    service.start().await;
    let (before, now) = (split(before), split(look(&door, &day).await));
    same("in PostgreSQL", &before.0, &now.0);
    assert!(
        before.1 > 0 && now.1 >= before.1 + (1 << 32),
        "versions that overrule: {} after {}",
        now.1,
        before.1
    );
    for operation in day.iter().rev().take(40) {
        let verdict = door.deliver(operation).await;
        assert!(
            matches!(verdict, Verdict::Done { repeated: true } | Verdict::Refused),
            "{verdict:?}: {operation:?}"
        );
    }
    let more = support::day::day(SEED + 1, 60);
    let more: Vec<Operation> = more
        .into_iter()
        .map(|operation| Operation {
            id: format!("more-{}", operation.id),
            ..operation
        })
        .collect();
    deliver(&door, &more).await;
    let after = settled(&door, &day).await;
    assert!(service.terminate().await.success(), "{}", service.log());

    done(&[
        &"export",
        &back,
        &"--config",
        &service.config(),
        &"--retire",
        &"--json",
    ])
    .await;
    let (code, why) = refused(&service.config()).await;
    assert_eq!(code, Some(3), "{why}");
    assert!(why.contains("has moved"), "{why}");
    let fresh = files.path().join("fresh");
    std::fs::write(
        service.config(),
        embedded.replace(&directory, &format!("directory = {fresh:?}\n")),
    )
    .unwrap();
    done(&[&"import", &back, &"--config", &service.config(), &"--json"]).await;
    service.start().await;
    let (after, now) = (split(after), split(look(&door, &day).await));
    same("back on disk", &after.0, &now.0);
    assert!(
        now.1 >= after.1 + (1 << 32),
        "versions that overrule: {} after {}",
        now.1,
        after.1
    );
    assert!(service.terminate().await.success(), "{}", service.log());
    database.drop().await;
}

/// Lets a configuration speak of another store, with another number of partitions.
fn with_store(text: &str, store: &str) -> String {
    let begin = text.find("[store]").unwrap();
    let end = begin + text[begin..].find("[http]").unwrap();
    format!("{}[store]\n{store}\n\n{}", &text[..begin], &text[end..])
}

#[tokio::test]
async fn a_store_is_dealt_out_into_fewer_and_more_partitions_and_answers_alike() {
    let database = Database::new("repartition").await;
    let files = tempfile::tempdir().unwrap();
    let erp = erp::start(erp::Options::default()).unwrap();
    let mut service = Service::new(&format!("[erp]\nkind = \"http\"\nurl = {:?}\n", erp.url()));
    let text = std::fs::read_to_string(service.config()).unwrap();
    service.start().await;
    let door = service.door();
    let day = day(SEED, 250);
    deliver(&door, &day).await;
    let mut before = split(settled(&door, &day).await);
    let bookings = erp.state().stats().bookings;
    assert!(bookings > 20, "{bookings}");
    service.caught_up().await;
    // Dead letters have to lie on the desk, and stay there under the ids that they have.
    let written = service.total("lockstep_shard_dead_lettered_total{").await;
    let letters = until("all letters on the desk", WITHIN, async || {
        let letters = door.look("/v1/dead-letters").await?;
        (letters["total"] == written).then_some(letters)
    })
    .await;
    let fresh = files.path().join("fresh");
    let stores = [
        format!(
            "kind = \"postgres\"\npartitions = 5\n[store.postgres]\nurl = {:?}",
            database.url
        ),
        format!("directory = {fresh:?}\npartitions = 48"),
    ];
    for (store_table, partitions) in stores.into_iter().zip([5, 48]) {
        service.caught_up().await;
        assert!(service.terminate().await.success(), "{}", service.log());
        let new = files.path().join(format!("{partitions}.toml"));
        std::fs::write(&new, with_store(&text, &store_table)).unwrap();
        let dealt = done(&[
            &"repartition",
            &"--config",
            &service.config(),
            &"--into",
            &new,
            &"--json",
        ])
        .await;
        assert_eq!(dealt["to"], partitions);
        assert!(
            dealt["remembered"].as_u64().unwrap() >= day.len() as u64,
            "{dealt}"
        );
        let (code, why) = refused(&service.config()).await;
        assert_eq!(code, Some(3), "the old store: {why}");
        assert!(why.contains("has moved"), "{why}");

        std::fs::copy(&new, service.config()).unwrap();
        service.start().await;
        let now = split(look(&door, &day).await);
        same(&format!("in {partitions} partitions"), &before.0, &now.0);
        assert!(now.1 >= before.1 + (1 << 32), "{} after {}", now.1, before.1);
        // Whatever was said before is known, and nothing is told or booked again.
        for operation in &day {
            let verdict = door.deliver(operation).await;
            assert!(
                matches!(verdict, Verdict::Done { repeated: true } | Verdict::Refused),
                "{verdict:?}: {operation:?}"
            );
        }
        let now = split(settled(&door, &day).await);
        same(&format!("after repeats in {partitions}"), &before.0, &now.0);
        assert_eq!(erp.state().stats().bookings, bookings);
        assert_eq!(door.look("/v1/dead-letters").await.unwrap(), letters);
        // It works on: what comes now is of the next store as well.
        let more = Operation {
            id: format!("more-{partitions}"),
            act: Act::Receipt {
                sku: SKUS[0],
                warehouse: "W1",
                quantity: 3,
            },
        };
        door.deliver(&more).await;
        before = split(settled(&door, &day).await);
    }
    assert!(service.terminate().await.success(), "{}", service.log());
    database.drop().await;
    erp.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_under_way_is_not_dealt_out() {
    let files = tempfile::tempdir().unwrap();
    // Nobody is there: orders wait to be booked.
    let mut service = Service::new("[erp]\nkind = \"http\"\nurl = \"http://127.0.0.1:9\"\n");
    let text = std::fs::read_to_string(service.config()).unwrap();
    service.start().await;
    deliver(&service.door(), &day(SEED, 60)).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    let new = files.path().join("new.toml");
    let fresh = files.path().join("fresh");
    std::fs::write(
        &new,
        with_store(&text, &format!("directory = {fresh:?}\npartitions = 8")),
    )
    .unwrap();
    let refused = store(&[&"repartition", &"--config", &service.config(), &"--into", &new]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.error);
    assert!(
        refused.error.contains("erp has read partition")
            && refused.error.contains("lockstep_consumer_lag_entries"),
        "{}",
        refused.error
    );
    // Nothing was changed: the old store goes on.
    service.start().await;
    assert!(service.terminate().await.success(), "{}", service.log());
}

#[tokio::test]
async fn a_torn_or_changed_file_is_refused_with_the_place_and_what_was_begun_is_not_served() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("backup");
    let mut service = Service::new("");
    service.start().await;
    deliver(&service.door(), &day(SEED, 40)).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    done(&[&"export", &file, &"--config", &service.config(), &"--json"]).await;
    let again = store(&[&"export", &file, &"--config", &service.config()]).await;
    assert_eq!(again.code, Some(2), "over a file that is there: {}", again.error);
    let whole = std::fs::read(&file).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() * 2 / 3] ^= 1;
    for (name, bytes) in [
        ("torn", &whole[..whole.len() * 2 / 3]),
        ("changed", changed.as_slice()),
    ] {
        let bad = files.path().join(name);
        std::fs::write(&bad, bytes).unwrap();
        let refused = store(&[&"verify", &bad]).await;
        assert_eq!(refused.code, Some(1), "{name}: {}", refused.error);
        assert!(refused.error.contains("at byte "), "{name}: {}", refused.error);
    }
    let fresh = files.path().join("fresh");
    reconfigure(&service, &format!("{:?}", service.store()), &format!("{fresh:?}"));
    let torn = store(&[
        &"import",
        &files.path().join("torn"),
        &"--config",
        &service.config(),
    ])
    .await;
    assert_eq!(torn.code, Some(1), "{}", torn.error);
    let (code, why) = refused(&service.config()).await;
    assert_eq!(code, Some(3), "{why}");
    assert!(why.contains("import"), "{why}");
}

/// Drill 1 of `docs/operations.md`.
#[tokio::test]
async fn drill_a_corrupted_store_is_replaced_by_its_backup_and_what_came_since_is_sent_again() {
    let files = tempfile::tempdir().unwrap();
    let backup = files.path().join("backup");
    let mut service = Service::new("");
    service.start().await;
    let door = service.door();
    let day = day(SEED, 120);
    let (morning, afternoon) = day.split_at(80);
    deliver(&door, morning).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    done(&[&"export", &backup, &"--config", &service.config(), &"--json"]).await;
    service.start().await;
    deliver(&door, afternoon).await;
    let wanted = settled(&door, &day).await;
    service.kill().await;

    let identity = service.store().join("identity");
    let mut bytes = std::fs::read(&identity).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&identity, bytes).unwrap();
    let (code, why) = refused(&service.config()).await;
    assert_eq!(code, Some(3), "{why}");
    assert!(
        why.contains("damaged") && why.contains("Restore a backup"),
        "{why}"
    );

    std::fs::rename(service.store(), files.path().join("damaged")).unwrap();
    done(&[&"import", &backup, &"--config", &service.config(), &"--json"]).await;
    service.start().await;
    // Senders send again what they have not seen the effect of: all of the day, to be safe.
    deliver(&door, &day).await;
    let now = settled(&door, &day).await;
    balances(&day, &wanted);
    balances(&day, &now);
    // And sending it all once more changes nothing.
    deliver(&door, &day).await;
    same("sent again", &now, &settled(&door, &day).await);
    assert!(service.terminate().await.success(), "{}", service.log());
}

/// The same with a lost database, and an ERP that has what the backup has not and does not look at our keys: it is asked before each
/// booking, as step 5 says.
#[tokio::test]
async fn drill_orders_that_the_erp_has_and_the_backup_has_not_are_booked_once() {
    let database = Database::new("drill").await;
    let files = tempfile::tempdir().unwrap();
    let backup = files.path().join("backup");
    let erp = erp::start(erp::Options {
        duplicates: erp::Duplicates::Accept,
        idempotency: erp::Idempotency::Ignore,
        ..erp::Options::default()
    });
    let erp = erp.unwrap();
    let mut service = Service::new(&format!("[erp]\nkind = \"http\"\nurl = {:?}\n", erp.url()));
    let text = std::fs::read_to_string(service.config()).unwrap();
    let store = format!(
        "kind = \"postgres\"\npartitions = 16\n[store.postgres]\nurl = {:?}",
        database.url
    );
    std::fs::write(service.config(), with_store(&text, &store)).unwrap();
    service.start().await;
    let door = service.door();
    let day = day(SEED, 120);
    let (morning, afternoon) = day.split_at(80);
    deliver(&door, morning).await;
    settled(&door, morning).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    done(&[&"export", &backup, &"--config", &service.config(), &"--json"]).await;
    service.start().await;
    let known = erp.state().stats().bookings;
    deliver(&door, afternoon).await;
    settled(&door, &day).await;
    let wanted = erp.state().stats().bookings;
    assert!(known > 5 && wanted > known + 5, "{known} and {wanted} bookings");
    service.kill().await;

    database.execute("drop schema lockstep cascade").await;
    done(&[&"import", &backup, &"--config", &service.config(), &"--json"]).await;
    reconfigure(&service, "[erp]\n", "[erp]\nlookup_first = true\n");
    service.start().await;
    deliver(&door, &day).await;
    balances(&day, &settled(&door, &day).await);
    for operation in &day {
        if let Act::Order { number, .. } = &operation.act {
            let booked = erp.state().bookings_of(&format!("{CHANNEL}/{number}"));
            assert!(booked.len() <= 1, "{number} is booked twice: {booked:?}");
        }
    }
    assert!(service.terminate().await.success(), "{}", service.log());
    database.drop().await;
    erp.stop().await.unwrap();
}

/// Every order is known, and of each SKU whatever was received is on hand or has left. Which warehouse an order takes it from may be
/// decided otherwise at another moment.
fn balances(day: &[Operation], said: &Said) {
    let sum = |values: Vec<&Value>| {
        values
            .into_iter()
            .map(|value| value.as_i64().unwrap())
            .sum::<i64>()
    };
    for sku in SKUS {
        let received = day.iter().map(|operation| match operation.act {
            Act::Receipt {
                sku: of, quantity, ..
            } if of == sku => quantity,
            Act::Price { .. }
            | Act::Receipt { .. }
            | Act::Order { .. }
            | Act::Cancel { .. }
            | Act::Ship { .. } => 0,
        });
        let path = format!("/v1/availability?sku={}", sku.replace('/', "%2F"));
        let levels = said[&path]["items"][0]["levels"].as_array().unwrap();
        let on_hand = sum(levels.iter().map(|level| &level["on_hand"]).collect());
        let lines = said
            .values()
            .filter_map(|view| view["lines"].as_array())
            .flatten();
        let shipped = sum(lines
            .filter(|line| line["sku"] == sku)
            .map(|line| &line["shipped"])
            .collect());
        assert_eq!(on_hand + shipped, received.sum::<i64>(), "{sku}: {levels:?}");
    }
}

/// Drill 2 of `docs/operations.md`.
#[tokio::test]
async fn drill_a_lost_broker_comes_back_empty_and_senders_send_again() {
    let mut sender = Sender::new("lost-broker");
    let mut service = Service::new(&sender.tables());
    service.start().await;
    let door = service.door();
    let day = day(SEED, 100);
    let body = |operation: &Operation| serde_json::to_vec(&operation.message()).unwrap();
    for operation in &day[..60] {
        sender.publish("application/json", &body(operation)).await;
    }
    until("an empty ingress queue", WITHIN, async || {
        sender.is_drained().await.then_some(())
    })
    .await;
    let before = settled(&door, &day[..60]).await;
    // Every queue and exchange is gone; a sender that comes back declares them as Lockstep does.
    let mut again = sender.another();
    sender.clean_up().await;
    for operation in &day {
        again.publish("application/json", &body(operation)).await;
    }
    until("the last order", WITHIN, async || {
        let said = look(&door, &day).await;
        (!said.values().any(Value::is_null)).then_some(())
    })
    .await;
    until("an empty ingress queue", WITHIN, async || {
        again.is_drained().await.then_some(())
    })
    .await;
    let after = settled(&door, &day).await;
    let received = |said: &Value| said["items"][0]["levels"].as_array().map_or(0, Vec::len);
    for (path, view) in before
        .iter()
        .filter(|(path, _)| path.starts_with("/v1/availability"))
    {
        assert!(received(&after[path]) >= received(view), "{path}");
    }
    // And nothing of it counts twice: the same day a third time changes nothing.
    for operation in &day {
        again.publish("application/json", &body(operation)).await;
    }
    until("an empty ingress queue", WITHIN, async || {
        again.is_drained().await.then_some(())
    })
    .await;
    same("a third time", &after, &settled(&door, &day).await);
    assert_eq!(again.dead_letters().await, 0);
    assert!(service.terminate().await.success(), "{}", service.log());
    again.clean_up().await;
}

/// Drill 3 of `docs/operations.md`.
#[tokio::test]
async fn drill_a_restored_backup_overrules_a_channel_that_was_told_of_what_is_lost() {
    let files = tempfile::tempdir().unwrap();
    let backup = files.path().join("backup");
    let shop = channel::start(channel::Options::default()).unwrap();
    let tables = format!(
        "[[channels]]\nname = \"shop\"\nkind = \"http\"\nurl = \"{}/levels\"\n",
        shop.url()
    );
    let mut service = Service::new(&tables);
    service.start().await;
    let receipt = |id: &str, quantity: i64| json!({ "id": id, "sku": "A-1", "warehouse": "W1", "change": { "receipt": { "quantity": quantity, "document": id } } });
    let post = async |service: &Service, path: &str, body: Value| {
        let answer = service
            .http
            .post(service.url(path))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    };
    let told = async |available: i64| {
        until(&format!("a channel that shows {available}"), WITHIN, async || {
            let level = shop.state().levels().remove("A-1")?;
            (level.available == available).then_some(level.version)
        })
        .await
    };
    post(&service, "/v1/stock-events", receipt("r-1", 5)).await;
    told(5).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    done(&[&"export", &backup, &"--config", &service.config(), &"--json"]).await;
    service.start().await;
    for number in 0..20 {
        post(
            &service,
            "/v1/stock-events",
            receipt(&format!("lost-{number}"), 1),
        )
        .await;
    }
    let newer = told(25).await;
    service.kill().await;

    // The store is lost with its disk; the backup knows of 5.
    std::fs::remove_dir_all(service.store()).unwrap();
    done(&[&"import", &backup, &"--config", &service.config(), &"--json"]).await;
    service.start().await;
    post(&service, "/v1/channels/shop", json!({ "ask": "resync" })).await;
    let version = told(5).await;
    assert!(version > newer, "{version} after {newer}");
    // And it goes on from there.
    post(&service, "/v1/stock-events", receipt("r-2", 2)).await;
    told(7).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    shop.stop().await.unwrap();
}
