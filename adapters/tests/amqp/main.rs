//! The AMQP adapter against a real broker at 127.0.0.1:5672, through a wire that can be cut.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected shall fail"
)]

mod partitions;
mod world;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use lockstep_runtime::memory::Fault;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use world::{World, receipt, run};

const SKUS: u32 = 50;

/// Receipts in a random order, every fifth of them twice, and what must be on hand after all of them.
fn receipts(count: u32) -> (Vec<Value>, BTreeMap<String, i64>) {
    let mut messages = Vec::new();
    let mut expected = BTreeMap::new();
    for number in 0..count {
        let sku = format!("A-{}", number % SKUS);
        let quantity = i64::from(number % 7 + 1);
        let message = receipt(&format!("r-{number}"), &sku, quantity);
        if number % 5 == 0 {
            messages.push(message.clone());
        }
        messages.push(message);
        *expected.entry(sku).or_insert(0) += quantity;
    }
    messages.shuffle(&mut rand::rng());
    (messages, expected)
}

#[test]
fn ten_thousand_receipts_with_repeats_in_any_order_are_counted_once_each() {
    run(async {
        let world = World::start().await;
        let (messages, expected) = receipts(10_000);
        for message in &messages {
            world.send(message).await;
        }
        world.until_on_hand(&expected).await;
        world.until_settled().await;
        assert_eq!(world.on_hand(&expected), expected);
        let metrics = world.counters.read();
        assert_eq!(
            (metrics.acknowledged, metrics.dead_lettered),
            (messages.len() as u64 + 1, 0)
        );
        world.stop().await;
    });
}

#[test]
fn a_connection_that_is_cut_again_and_again_loses_nothing_and_repeats_nothing() {
    run(async {
        let world = World::start().await;
        let (messages, expected) = receipts(4_000);
        for part in messages.chunks(messages.len() / 4) {
            for message in part {
                world.send(message).await;
            }
            let before = world.counters.read().connections;
            world
                .until("deliveries are under way", || world.counters.read().received > 0)
                .await;
            world.cut();
            world
                .until("it has connected again", || {
                    world.counters.read().connections > before
                })
                .await;
        }
        world.until_on_hand(&expected).await;
        world.until_settled().await;
        assert_eq!(world.on_hand(&expected), expected);
        assert!(world.counters.read().connections >= 5);
        world.stop().await;
    });
}

#[test]
fn a_store_that_fails_amid_the_stream_loses_nothing_and_repeats_nothing() {
    run(async {
        let world = World::start().await;
        let (messages, expected) = receipts(3_000);
        for (number, message) in messages.iter().enumerate() {
            if number % 500 == 250 {
                world.disk.fail([Fault::Lost, Fault::Unacknowledged]);
            }
            world.send(message).await;
        }
        world.until_on_hand(&expected).await;
        world.until_settled().await;
        assert_eq!(world.on_hand(&expected), expected);
        world.stop().await;
    });
}

#[test]
fn s57_a_channel_that_writes_stock_is_refused_once_and_audited() {
    run(async {
        let world = World::start_for("web").await;
        let order = |channel: &str, id: &str| {
            json!({ "schema": "lockstep.order.cancel", "version": 1, "id": id, "body": {
                "channel": channel, "number": "1", "reason": "not wanted" } })
        };
        let refused = [receipt("r-1", "A-0", 5), order("marketplace", "c-1")];
        for message in &refused {
            world.send(message).await;
        }
        // Its own order: there is none, but it may say so.
        world.send(&order("web", "c-2")).await;
        let letters = world.dead_letters(refused.len()).await;
        for (letter, attribute) in letters.iter().zip(["stock.on_hand", "order.cancellation"]) {
            assert_eq!(letter.header("x-lockstep-code"), "not-owner");
            let reason = letter.header("x-lockstep-reason");
            assert!(
                reason.contains(attribute) && reason.contains("web may not"),
                "{reason}"
            );
        }
        world
            .until("all is acknowledged", || world.counters.read().acknowledged == 3)
            .await;
        assert_eq!(world.counters.read().dead_lettered, 2);
        let audit = world.audit("web").await;
        assert_eq!(audit.total, 2);
        let attributes: Vec<_> = audit
            .newest
            .iter()
            .map(|noted| (noted.write.attribute.name(), noted.correlation.as_str()))
            .collect();
        assert_eq!(
            attributes,
            [("stock.on_hand", "r-1"), ("order.cancellation", "c-1")]
        );
        let untouched = BTreeMap::from([("A-0".to_owned(), 0)]);
        assert_eq!(world.on_hand(&untouched), untouched);
        world.stop().await;
    });
}

#[test]
fn each_bad_message_is_dead_lettered_with_its_reason_and_blocks_nobody() {
    run(async {
        let world = World::start().await;
        let good = receipt("good", "A-0", 1).to_string();
        let with = |pointer: &str, value: Value| {
            let mut message = receipt("bad", "A-0", 1);
            *message.pointer_mut(pointer).unwrap() = value;
            message.to_string().into_bytes()
        };
        let quantity = "/body/change/receipt/quantity";
        let json = || world.as_user().with_content_type("application/json".into());
        let cases: Vec<(&str, &str, Vec<u8>, BasicProperties)> = vec![
            ("malformed", "", good.as_bytes()[..40].to_vec(), json()),
            ("malformed", "", Vec::new(), json()),
            ("not-utf8", "", b"{\"schema\": \"\xff\"}".to_vec(), json()),
            ("too-deep", "", [b'['; 5_000].to_vec(), json()),
            ("too-large", "", vec![b' '; (1 << 20) + 1], json()),
            ("unknown-version", "version", with("/version", 2.into()), json()),
            ("unknown-schema", "schema", with("/schema", "x".into()), json()),
            (
                "invalid-field",
                "body.change.receipt.quantity",
                with(quantity, (-1).into()),
                json(),
            ),
            (
                "invalid-field",
                "body.change.receipt.quantity",
                with(quantity, u64::MAX.into()),
                json(),
            ),
            (
                "invalid-field",
                "body.change.receipt.quantity",
                with(quantity, "one".into()),
                json(),
            ),
            (
                "unknown-content-type",
                "",
                good.clone().into_bytes(),
                world.as_user().with_content_type("text/csv".into()),
            ),
            (
                "unknown-sender",
                "",
                good.clone().into_bytes(),
                BasicProperties::default(),
            ),
            (
                "missing-scope",
                "",
                json!({ "schema": "lockstep.price.set", "version": 1, "id": "p", "body": { "sku": "A-0",
                    "list": "standard", "currency": "EUR", "unit": "1.50", "rule": "L-1", "version": 1 } })
                .to_string()
                .into_bytes(),
                json(),
            ),
        ];
        for (_, _, body, properties) in &cases {
            world.send_raw(body, properties.clone()).await;
        }
        world.send_raw(good.as_bytes(), json()).await;
        let expected = BTreeMap::from([("A-0".to_owned(), 1)]);
        world.until_on_hand(&expected).await;
        world.until_settled().await;
        assert_eq!(world.on_hand(&expected), expected);

        let letters = world.dead_letters(cases.len()).await;
        for ((code, field, body, _), letter) in cases.iter().zip(&letters) {
            assert_eq!(
                (&letter.header("x-lockstep-code"), &letter.body),
                (&(*code).to_owned(), body)
            );
            // Which of its fields a tagged union names is the schema's matter; that it leads there is ours.
            let named = letter.header("x-lockstep-field");
            assert!(
                named == *field || !named.is_empty() && field.starts_with(&named),
                "{code}: {named}"
            );
            assert!(!letter.header("x-lockstep-reason").is_empty(), "{code}");
            assert_eq!(letter.header("x-lockstep-exchange"), world.names.ingress_exchange);
        }
        assert_eq!(letters.len(), cases.len());
        assert_eq!(world.counters.read().dead_lettered, cases.len() as u64);
        world.stop().await;
    });
}

#[test]
fn neither_long_names_nor_large_headers_keep_a_bad_message_from_the_dead_letters() {
    run(async {
        let world = World::start().await;
        let mut named_at_length = receipt("bad", "A-0", 1);
        named_at_length["body"]["k".repeat(200_000)] = json!(1);
        world.send(&named_at_length).await;
        for bytes in [60_000, 120_000] {
            let mut headers = FieldTable::default();
            headers.insert("note".into(), AMQPValue::LongString("n".repeat(bytes).into()));
            world.send_raw(b"", world.as_user().with_headers(headers)).await;
        }
        let letters = world.dead_letters(3).await;
        let field = letters[0].header("x-lockstep-field");
        assert!(
            field.starts_with("body.kkk") && field.len() < 500,
            "{} bytes",
            field.len()
        );
        assert_eq!(letters[1].header("note").len(), 60_000);
        assert!(letters[2].headers.contains_key("x-lockstep-headers-left-out"));
        for letter in &letters[1..] {
            assert_eq!(letter.header("x-lockstep-code"), "malformed");
        }
        world.stop().await;
    });
}

#[test]
fn a_dead_letter_waits_until_its_queue_is_there_again() {
    run(async {
        let world = World::start().await;
        world.delete_queue(&world.names.dead_letter).await;
        world.send_raw(b"not json", world.as_user()).await;
        world
            .until("the dead letter is confirmed", || {
                world.counters.read().dead_lettered == 1
            })
            .await;
        let letters = world.dead_letters(1).await;
        assert_eq!(letters[0].body, b"not json");
        world.until_settled().await;
        world.stop().await;
    });
}

#[test]
fn who_asks_is_answered_and_who_cannot_be_answered_blocks_nobody() {
    run(async {
        let world = World::start().await;
        let replies = world.queue(None).await;
        let full = world.queue(Some(0)).await;
        let asks = [
            (full.as_str(), receipt("1", "A-0", 1)),
            ("there-is-no-such-queue", receipt("2", "A-0", 2)),
            (replies.as_str(), receipt("3", "A-0", 4)),
            // Refused by the rules: answered, not dead-lettered.
            (replies.as_str(), shipment("4", "A-0")),
        ];
        for (reply_to, message) in asks {
            let properties = world.as_user().with_reply_to(reply_to.into());
            let id = message["id"].as_str().unwrap().to_owned();
            let properties = properties.with_correlation_id(id.as_str().into());
            world.send_raw(message.to_string().as_bytes(), properties).await;
        }
        let answers: BTreeMap<String, String> = world
            .take(&replies, 2)
            .await
            .into_iter()
            .map(|letter| {
                let answer: Value = serde_json::from_slice(&letter.body).unwrap();
                let outcome = answer["body"]["outcome"].as_str().unwrap().to_owned();
                (letter.correlation, outcome)
            })
            .collect();
        assert_eq!(answers["3"], "accepted");
        assert_eq!(answers["4"], "refused");
        let expected = BTreeMap::from([("A-0".to_owned(), 7)]);
        world.until_on_hand(&expected).await;
        world.until_settled().await;
        assert_eq!(world.on_hand(&expected), expected);
        let metrics = world.counters.read();
        assert_eq!(
            (
                metrics.replied,
                metrics.unanswered,
                metrics.dead_lettered,
                metrics.connections
            ),
            (2, 2, 0, 1)
        );
        world.stop().await;
    });
}

fn shipment(id: &str, sku: &str) -> Value {
    json!({ "schema": "lockstep.stock.event", "version": 1, "id": id, "body": { "sku": sku, "warehouse": "W1",
        "change": { "ship": { "hold": { "channel": "web", "number": "never", "line": 1 } } } } })
}

#[test]
fn status_events_come_in_order_for_each_order_with_ids_that_stay() {
    run(async {
        let world = World::start().await;
        let queue = world.events_queue("order.status.*").await;
        let orders = 300;
        for number in 0..orders {
            world.send(&order(number)).await;
            if number == orders / 2 {
                world.cut();
            }
        }
        world.until_settled().await;
        // An order without a price rests in an exception or is rejected: at least two changes each.
        let mut newest: HashMap<String, u64> = HashMap::new();
        let mut seen: HashMap<String, Vec<u8>> = HashMap::new();
        let mut distinct = HashSet::new();
        while newest.len() < 300 || newest.values().any(|sequence| *sequence < 2) {
            for letter in world.take(&queue, 1).await {
                let event: Value = serde_json::from_slice(&letter.body).unwrap();
                let id = event["id"].as_str().unwrap().to_owned();
                assert_eq!(id, letter.id);
                assert_eq!(letter.routing_key, "order.status.web");
                if let Some(before) = seen.insert(id, letter.body.clone()) {
                    assert_eq!(before, letter.body, "an id stands for one event");
                    continue;
                }
                let number = event["body"]["number"].as_str().unwrap().to_owned();
                let sequence = event["body"]["sequence"].as_u64().unwrap();
                assert!(distinct.insert((number.clone(), sequence)));
                let before = newest.insert(number.clone(), sequence).unwrap_or(0);
                assert_eq!(sequence, before + 1, "order {number}");
            }
        }
        world.stop().await;
    });
}

#[test]
fn s34_a_system_whose_numbers_are_missing_is_asked_to_count_again() {
    run(async {
        let world = World::start().await;
        let queue = world.events_queue("stock.resync.*").await;
        // One is missing, and more follow than are remembered.
        for number in (1..40).filter(|number| *number != 2) {
            let mut message = receipt(&format!("n-{number}"), "A-0", 1);
            message["body"]["sequence"] = number.into();
            world.send(&message).await;
        }
        let letters = world.take(&queue, 1).await;
        assert_eq!(letters[0].routing_key, "stock.resync.operator");
        let event: Value = serde_json::from_slice(&letters[0].body).unwrap();
        assert_eq!(event["schema"], "lockstep.stock.resync");
        assert_eq!(
            (&event["body"]["sku"], &event["body"]["source"]),
            (&"A-0".into(), &"operator".into())
        );
        assert_eq!(event["body"]["first_missing"], event["body"]["last_missing"]);
        world.stop().await;
    });
}

fn order(number: u32) -> Value {
    json!({ "schema": "lockstep.order.submit", "version": 1, "id": format!("o-{number}"), "body": {
        "channel": "web", "number": number.to_string(), "customer": "C-1", "currency": "EUR",
        "lines": [{ "sku": "A-0", "quantity": 1 }], "warehouses": ["W1"] } })
}

/// Sends a message and waits for what became of it.
async fn told(world: &World, replies: &str, id: &str, schema: &str, body: Value) -> Value {
    let message = json!({ "schema": schema, "version": 1, "id": id, "body": body });
    let properties = world.as_user().with_reply_to(replies.into());
    let properties = properties.with_correlation_id(id.into());
    world.send_raw(message.to_string().as_bytes(), properties).await;
    let letters = world.take(replies, 1).await;
    let answer: Value = serde_json::from_slice(&letters[0].body).unwrap();
    assert_eq!(
        (&answer["correlation_id"], letters.len()),
        (&id.into(), 1),
        "{answer}"
    );
    answer["body"].clone()
}

#[test]
fn s01_and_s16_prices_are_set_asked_for_in_bulk_kept_and_ordered_over_the_broker() {
    run(async {
        let scopes = "'stock:write', 'orders:write', 'prices:write', 'prices:read'";
        let world = World::start_with("operator", scopes).await;
        let replies = world.queue(None).await;
        let changes = world.events_queue("price.changed.standard").await;
        let sets = [
            (
                "lockstep.price.set",
                json!({ "sku": "A-1", "list": "standard", "currency": "EUR", "unit": "100.00", "rule": "LIST", "version": 3 }),
            ),
            (
                "lockstep.agreement.set",
                json!({ "agreement": "house", "version": 1, "currency": "EUR", "terms": [{ "rule": "SPRING", "version": 2,
                    "stage": "promotion", "effect": { "discount": { "percent": "3" } } }] }),
            ),
            (
                "lockstep.taxes.set",
                json!({ "jurisdiction": "TX", "version": 1, "rates": [{ "rule": "TX-SALES", "percent": "8.25" }] }),
            ),
            (
                "lockstep.contract.set",
                json!({ "customer": "C-1", "version": 17, "currency": "EUR", "tax": { "jurisdiction": "TX", "rounded": "order" },
                    "charges": [{ "rule": "FREIGHT", "version": 2, "kind": { "freight": { "per_unit": "1.25" } } }],
                    "terms": [{ "rule": "AGREED", "version": 17, "for": { "sku": "A-1" },
                        "effect": { "fixed": { "unit": "84.50", "breaks": [{ "from": 100, "unit": "82.00" }] } } }] }),
            ),
        ];
        for (place, (schema, body)) in sets.into_iter().enumerate() {
            let set = told(&world, &replies, &format!("set-{place}"), schema, body).await;
            assert_eq!(set["outcome"], "accepted", "{schema}: {set}");
        }
        // 120 × 82.00 less 3 % is 9,544.80; freight 150.00; tax 8.25 % of both is 799.82.
        let ask = json!({ "customer": "C-1", "currency": "EUR", "valid_minutes": 15, "lines": [{ "sku": "A-1", "quantity": 120 }] });
        let kept = told(&world, &replies, "ask", "lockstep.quote.request", ask).await;
        assert_eq!(
            (&kept["quote"]["total"], &kept["quote"]["number"]),
            (&"10494.62".into(), &1.into()),
            "{kept}"
        );
        let lines: Vec<_> = (0..10_000)
            .map(|line| json!({ "sku": format!("A-{}", line % 2 + 1), "quantity": 120 }))
            .collect();
        let bulk = json!({ "customer": "C-1", "currency": "EUR", "lines": lines });
        let sheet = &told(&world, &replies, "bulk", "lockstep.sheet.request", bulk).await["sheet"];
        let lines = sheet["lines"].as_array().unwrap();
        assert_eq!((lines.len(), &sheet["contract_version"]), (10_000, &17.into()));
        assert_eq!(
            (&lines[9_998]["price"]["amount"], &lines[9_998]["price"]["rule"]),
            (&"9544.80".into(), &"SPRING".into())
        );
        assert_eq!(lines[9_999]["refusal"]["code"], "no-price", "{}", lines[9_999]);
        assert_eq!(lines[9_999]["refusal"]["field"], "lines[9999].sku");

        // Only changes are told: the price as it was set, then as the edition has it, not what was made ready.
        let row = json!({ "sku": "A-1", "list": "standard", "currency": "EUR", "unit": "110.00", "rule": "LIST",
            "version": 1, "edition": "spring" });
        told(&world, &replies, "ready", "lockstep.price.set", row).await;
        let release = json!({ "list": "standard", "edition": "spring", "version": 1, "rows": 1 });
        told(&world, &replies, "release", "lockstep.edition.release", release).await;
        for (revision, unit) in [(1, "100.00"), (2, "110.00")] {
            let letter = &world.take(&changes, 1).await[0];
            let change: Value = serde_json::from_slice(&letter.body).unwrap();
            assert_eq!(
                (&change["body"]["revision"], &change["body"]["price"]["unit"]),
                (&revision.into(), &unit.into()),
                "{change}"
            );
        }

        let events = world.events_queue("order.status.*").await;
        let order = json!({ "channel": "web", "number": "1", "customer": "C-1", "currency": "EUR", "quote": 2,
            "lines": [{ "sku": "A-1", "quantity": 120 }], "warehouses": ["W1"] });
        told(&world, &replies, "order", "lockstep.order.submit", order).await;
        loop {
            let letter = &world.take(&events, 1).await[0];
            let event: Value = serde_json::from_slice(&letter.body).unwrap();
            let lapsed = &event["body"]["lapsed_quote"];
            if event["body"]["status"] != "pricing" {
                assert_eq!(
                    (&lapsed["quote"]["standing"], &lapsed["total"]),
                    (&"unknown".into(), &"10494.62".into()),
                    "{event}"
                );
                break;
            }
        }
        world.stop().await;
    });
}

#[test]
fn s40_promises_picks_and_backorder_limits_are_asked_for_and_set_over_the_broker() {
    run(async {
        let scopes = "'stock:write', 'stock:read', 'orders:write', 'prices:write'";
        let world = World::start_with("operator", scopes).await;
        let replies = world.queue(None).await;
        let told = async |id: &str, schema: &str, body: Value| told(&world, &replies, id, schema, body).await;
        let at = |change: Value| json!({ "sku": "A", "warehouse": "W1", "change": change });
        let item = json!({ "sku": "A", "version": 1, "tracking": { "lots": { "last_days_unsold": 0 } },
            "units": [{ "unit": "CASE", "base_units": 12 }] });
        told("item", "lockstep.item.set", item).await;
        let mut receipt = at(json!({ "receipt": { "quantity": 10, "document": "GR-1" } }));
        receipt["lots"] = json!([{ "lot": "L-2", "quantity": 4, "expires": "2099-06-30T00:00:00Z" },
            { "lot": "L-1", "quantity": 6, "expires": "2099-01-31T00:00:00Z" }]);
        assert_eq!(
            told("receipt", "lockstep.stock.event", receipt).await["outcome"],
            "accepted"
        );
        let due = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(48)).to_string();
        let expected = at(json!({ "expected": { "document": "PO-1", "quantity": 20, "due": due } }));
        told("expected", "lockstep.stock.event", expected).await;

        // Two cases are 24: 6 and 4 are there, the first to expire first, 14 come with the purchase order.
        let ask = json!({ "sku": "A", "warehouse": "W1", "quantity": 2, "unit": "CASE" });
        let answer = told("promise", "lockstep.promise.request", ask).await;
        let promise = &answer["promise"];
        assert_eq!(
            (&answer["quantity"], &promise["short"]),
            (&24.into(), &0.into()),
            "{answer}"
        );
        assert_eq!(
            (&promise["parts"][0]["quantity"], &promise["parts"][0]["until"]),
            (&6.into(), &"2099-01-31T00:00:00Z".into()),
            "{answer}"
        );
        assert_eq!(promise["parts"][1]["quantity"], 4, "{answer}");
        assert_eq!(
            (&promise["parts"][2]["quantity"], &promise["parts"][2]["document"]),
            (&14.into(), &"PO-1".into()),
            "{answer}"
        );

        let hold =
            at(json!({ "hold": { "hold": { "channel": "web", "number": "7", "line": 1 }, "quantity": 8 } }));
        told("hold", "lockstep.stock.event", hold).await;
        let ask = json!({ "sku": "A", "warehouse": "W1", "order": { "channel": "web", "number": "7" } });
        let picks = told("picks", "lockstep.picks.request", ask).await["picks"].clone();
        assert_eq!(
            (&picks[0]["lots"][0]["lot"], &picks[0]["lots"][0]["quantity"]),
            (&"L-1".into(), &6.into()),
            "{picks}"
        );
        assert_eq!(picks[0]["lots"][1]["quantity"], 2, "{picks}");

        let ask = json!({ "sku": "A", "warehouse": "W1" });
        let stock = told("stock", "lockstep.stock.request", ask).await["stock"].clone();
        assert_eq!((&stock["on_hand"], &stock["reserved"]), (&10.into(), &8.into()));
        assert_eq!(stock["receipts"][0]["document"], "PO-1");

        let negative = json!({ "schema": "lockstep.stock.event", "version": 1, "id": "negative",
            "body": at(json!({ "backorder-limit": { "limit": -1 } })) });
        world
            .send_raw(negative.to_string().as_bytes(), world.as_user())
            .await;
        let letter = &world.dead_letters(1).await[0];
        assert_eq!(letter.header("x-lockstep-code"), "invalid-field");
        assert!(letter.header("x-lockstep-field").starts_with("body.change"));
        let limit = at(json!({ "backorder-limit": { "limit": 5 } }));
        assert_eq!(
            told("limit", "lockstep.stock.event", limit).await["outcome"],
            "accepted"
        );
        world.stop().await;
    });
}
