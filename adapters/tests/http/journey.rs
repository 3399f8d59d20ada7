//! An order's whole way over HTTP, and every endpoint's good case.

use crate::rig::{Answer, Rig, Setup, disk};
use lockstep_runtime::message::MessageId;
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn receipt(sku: &str, quantity: u64) -> Value {
    json!({ "id": format!("receipt-{sku}"), "sku": sku, "warehouse": "W1",
        "change": { "receipt": { "quantity": quantity, "document": "GR-1" } } })
}

pub(crate) fn price(sku: &str, unit: &str) -> Value {
    json!({ "sku": sku, "list": "standard", "currency": "EUR", "unit": unit,
        "breaks": [{ "from": 10, "unit": "9.99" }], "rule": "LIST-2026", "version": 1 })
}

pub(crate) fn order(number: &str, sku: &str, quantity: u64) -> Value {
    json!({ "channel": "web", "number": number, "customer": "C-1", "currency": "EUR",
        "lines": [{ "sku": sku, "quantity": quantity }], "warehouses": ["W1"] })
}

fn contract() -> Value {
    json!({ "customer": "C-1", "version": 1, "currency": "EUR", "base_list": "standard",
        "terms": [{ "rule": "C-1-2026", "version": 4, "effect": { "discount": { "percent": "3.3" } } }] })
}

async fn set_up(rig: &Rig) {
    rig.post("/v1/stock-events", &receipt("A-1", 100)).await.ok();
    rig.post("/v1/prices", &price("A-1", "10.49")).await.ok();
    rig.post("/v1/contracts", &contract()).await.ok();
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

/// Every step begins where the one before ended, of the lines and of the order, whose first is the sum of the lines and
/// whose last is the total, to the last minor unit.
pub(crate) fn assert_explained(quote: &Value) {
    let mut total = Decimal::ZERO;
    for line in quote["lines"].as_array().unwrap() {
        let mut amount = Decimal::ZERO;
        for step in line["waterfall"].as_array().unwrap() {
            assert_eq!(decimal(&step["before"]), amount, "{line}");
            amount = decimal(&step["after"]);
        }
        assert_eq!(decimal(&line["amount"]), amount, "{line}");
        assert!(amount.scale() <= 2, "{line}");
        total += amount;
    }
    let mut reached = Decimal::ZERO;
    let order = quote["order"].as_array().unwrap();
    for step in order {
        assert_eq!(decimal(&step["before"]), reached, "{quote}");
        reached = decimal(&step["after"]);
    }
    assert_eq!(decimal(&order[0]["after"]), total, "{quote}");
    assert_eq!(decimal(&quote["total"]), reached, "{quote}");
}

#[actix_web::test]
async fn an_order_is_taken_priced_reserved_booked_shipped_and_closed() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let taken = rig.post("/v1/orders", &order("4711/a ü", "A-1", 12)).await;
    assert_eq!(taken.status, 202, "{taken:?}");
    let place = taken.header("location").to_owned();
    assert_eq!(place, "/v1/orders/web/4711%2Fa%20%C3%BC");
    let booked = rig
        .until(&place, |answer| answer.body["status"] == "booked")
        .await
        .body;
    assert_eq!(
        (&booked["channel"], &booked["number"]),
        (&"web".into(), &"4711/a ü".into())
    );
    assert!(booked["erp_number"].as_str().unwrap().starts_with("L-"));
    assert_eq!(booked["lines"][0]["reserved"], 12);
    assert_explained(&booked["price"]);
    // 12 at the break of 9.99, less 3.3 %: 115.92396.
    assert_eq!(booked["price"]["total"], "115.92");

    let level = rig.get("/v1/availability?sku=A-1").await.ok().body;
    let level = &level["items"][0]["levels"][0];
    assert_eq!(
        (&level["on_hand"], &level["available"]),
        (&100.into(), &88.into())
    );

    for step in ["release", "pick", "ship"] {
        rig.post(&format!("{place}/progress"), &json!({ "step": { step: {} } }))
            .await
            .ok();
    }
    rig.until(&place, |answer| answer.body["status"] == "shipped")
        .await;
    let closed = rig
        .request(Method::POST, &format!("{place}/progress"))
        .header("X-Causation-Id", "INVOICE-7")
        .json(&json!({ "step": { "close": {} } }))
        .send()
        .await
        .unwrap();
    let closed = Answer::of(closed).await.ok();
    assert_eq!(closed.body["status"], "closed");
    let history = rig.get(&format!("{place}/history")).await.ok().body;
    let steps = history["steps"].as_array().unwrap();
    let statuses: Vec<_> = steps
        .iter()
        .map(|step| step["status"].as_str().unwrap())
        .collect();
    let expected = [
        "pricing",
        "reserving",
        "booking",
        "booked",
        "released",
        "picked",
        "shipping",
        "shipped",
        "closed",
    ];
    assert_eq!(statuses, expected);
    let first = &steps[0];
    assert_eq!(
        (&first["cause"], &first["by"]),
        (&"it comes in".into(), &"operator".into())
    );
    assert_eq!(first["correlation_id"], history["correlation_id"]);
    // Closed in a conversation of its own.
    assert_eq!(
        steps[8]["correlation_id"].as_str(),
        Some(closed.header("x-correlation-id"))
    );
    let invoice = MessageId::of("operator", "INVOICE-7");
    assert_eq!(steps[8]["causation_id"], format!("{:032x}", invoice.0));
    let level = rig.get("/v1/availability?sku=A-1").await.ok().body;
    assert_eq!(level["items"][0]["levels"][0]["on_hand"], 88);
    let late = rig
        .post(&format!("{place}/cancel"), &json!({ "reason": "too late" }))
        .await;
    late.problem(409, "already-shipped");
    // Whoever looks later finds that it was refused, to whom, and why.
    let found = rig
        .until("/v1/refusals?code=already-shipped&channel=web", |answer| {
            answer.body["total"] == 1
        })
        .await
        .body;
    let refused = &found["refusals"][0];
    assert_eq!(
        [&refused["system"], &refused["wanted"], &refused["number"]],
        [&json!("operator"), &json!("cancel"), &json!("4711/a ü")]
    );
    assert_eq!(
        refused["correlation_id"].as_str(),
        Some(late.header("x-correlation-id"))
    );
    assert_eq!(found["systems"][0]["orders"], 1, "{found}");
    let none = rig.get("/v1/refusals?system=wms").await.ok().body;
    assert_eq!(none["total"], 0);
    rig.get("/v1/refusals?limit=1001")
        .await
        .problem(422, "invalid-field");
    rig.stop().await;
}

#[actix_web::test]
async fn an_order_is_cancelled_and_its_stock_is_free_again() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    rig.post("/v1/orders", &order("1", "A-1", 40)).await.ok();
    rig.until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await;
    rig.post(
        "/v1/orders/web/1/cancel",
        &json!({ "reason": "changed their mind" }),
    )
    .await
    .ok();
    let cancelled = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "cancelled")
        .await;
    assert_eq!(cancelled.body["reason"], "changed their mind");
    let level = rig.get("/v1/availability?sku=A-1").await.ok().body;
    assert_eq!(level["items"][0]["levels"][0]["available"], 100);
    rig.stop().await;
}

#[actix_web::test]
async fn s48_a_backorder_is_granted_by_a_receipt_and_the_rest_of_another_is_given_up() {
    let rig = Rig::start().await;
    rig.post("/v1/stock-events", &receipt("A-1", 6)).await.ok();
    rig.post("/v1/prices", &price("A-1", "10.49")).await.ok();
    for (number, priority) in [("1", 50), ("2", 1)] {
        let mut partial = order(number, "A-1", 10);
        partial["policy"] = "partial".into();
        partial["priority"] = priority.into();
        rig.post("/v1/orders", &partial).await.ok();
        let path = format!("/v1/orders/web/{number}");
        rig.until(&path, |answer| answer.body["erp_number"].is_string())
            .await;
    }
    let ship = json!({ "step": { "ship": {} } });
    rig.post("/v1/orders/web/1/progress", &ship).await.ok();
    let waiting = rig
        .until("/v1/orders/web/1", |answer| {
            answer.body["status"] == "backordered"
        })
        .await;
    let line = &waiting.body["lines"][0];
    assert_eq!((&line["shipped"], &line["backordered"]), (&6.into(), &4.into()));

    // Eleven come: ten for the second order, which is more urgent, one for the first.
    let more = json!({ "id": "receipt-2", "sku": "A-1", "warehouse": "W1",
        "change": { "receipt": { "quantity": 11, "document": "GR-2" } } });
    rig.post("/v1/stock-events", &more).await.ok();
    for (number, reserved, backordered) in [("2", 10, 0), ("1", 1, 3)] {
        let path = format!("/v1/orders/web/{number}");
        let granted = rig.until(&path, |answer| answer.body["status"] == "booked").await;
        let line = &granted.body["lines"][0];
        assert_eq!(line["reserved"], reserved, "{line}");
        assert_eq!(line["backordered"], backordered, "{line}");
    }
    let reason = json!({ "reason": "enough" });
    rig.post("/v1/orders/web/1/cancel", &reason).await.ok();
    let given_up = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "shipped")
        .await;
    let line = &given_up.body["lines"][0];
    assert_eq!((&line["shipped"], &line["cancelled"]), (&6.into(), &4.into()));
    let mut late = order("3", "A-1", 1);
    late["priority"] = 0.into();
    let refused = rig.post("/v1/orders", &late).await;
    assert!(
        refused.body["detail"].as_str().unwrap().contains("priority"),
        "{refused:?}"
    );
    rig.stop().await;
}

#[actix_web::test]
async fn s17_a_price_of_the_channel_outside_of_the_tolerance_waits_for_approval() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let mut dear = order("1", "A-1", 2);
    dear["lines"][0]["unit_price"] = "9.99".into();
    rig.post("/v1/orders", &dear).await.ok();
    let raised = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "exception")
        .await;
    assert_eq!(raised.body["exception"]["kind"], "price-differs");
    let approve = json!({ "resolution": { "approve": { "reason": "as agreed by phone" } } });
    rig.post("/v1/orders/web/1/resolve", &approve).await.ok();
    let booked = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await
        .body;
    assert_eq!(booked["agreed_prices"][0]["unit_price"], "9.99");
    assert_eq!(booked["total"], "19.98");
    assert_eq!(booked["price"]["total"], "19.98");
    let waterfall = booked["price"]["lines"][0]["waterfall"].as_array().unwrap();
    assert_eq!(waterfall.last().unwrap()["kind"], "stated-price");
    assert_eq!(booked["notes"][0]["act"], "approve");
    rig.post("/v1/orders/web/1/resolve", &approve)
        .await
        .problem(409, "not-now");
    rig.stop().await;
}

#[actix_web::test]
async fn an_exception_stands_with_its_reason_until_a_person_settles_it() {
    let rig = Rig::start().await;
    rig.post("/v1/stock-events", &receipt("A-1", 5)).await.ok();
    rig.post("/v1/prices", &price("A-1", "10.49")).await.ok();
    rig.post("/v1/orders", &order("1", "A-1", 9)).await.ok();
    let raised = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "exception")
        .await;
    assert_eq!(raised.body["exception"]["kind"], "shortage");

    let more = json!({ "id": "receipt-2", "sku": "A-1", "warehouse": "W1",
        "change": { "receipt": { "quantity": 5, "document": "GR-2" } } });
    rig.post("/v1/stock-events", &more).await.ok();
    let retry = json!({ "resolution": { "retry": {} } });
    rig.post("/v1/orders/web/1/resolve", &retry).await.ok();
    rig.until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await;
    rig.post("/v1/orders/web/1/resolve", &retry)
        .await
        .problem(409, "not-now");

    rig.post("/v1/orders", &order("2", "UNPRICED", 1)).await.ok();
    let raised = rig
        .until("/v1/orders/web/2", |answer| answer.body["status"] == "exception")
        .await;
    assert_eq!(raised.body["exception"]["kind"], "no-price");
    assert_eq!(raised.body["exception"]["case"]["owner"], "pricing");
    let other = json!({ "resolution": { "reassign": { "to": "customer-service" } } });
    rig.post("/v1/orders/web/2/resolve", &other).await.ok();
    let wrong = json!({ "resolution": { "correct": { "reason": "wrong article",
        "lines": [{ "sku": "A-1", "quantity": 99 }] } } });
    rig.post("/v1/orders/web/2/resolve", &wrong).await.ok();
    let short = rig
        .until("/v1/orders/web/2", |answer| {
            answer.body["exception"]["kind"] == "shortage"
        })
        .await;
    assert_eq!(short.body["lines"][0]["sku"], "A-1");
    let acts: Vec<_> = short.body["notes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| &note["act"])
        .collect();
    assert_eq!(acts, ["reassign", "correct"]);
    let reject = json!({ "resolution": { "reject": { "reason": "not ours" } } });
    rig.post("/v1/orders/web/2/resolve", &reject).await.ok();
    rig.until("/v1/orders/web/2", |answer| answer.body["status"] == "rejected")
        .await;
    rig.stop().await;
}

#[actix_web::test]
async fn a_quote_is_explained_and_refused_with_its_reason() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let ask = json!({ "customer": "C-1", "currency": "EUR",
        "lines": [{ "sku": "A-1", "quantity": 3 }, { "sku": "A-1", "quantity": 10 }] });
    let quote = rig.post("/v1/quotes", &ask).await.ok().body;
    assert_explained(&quote);
    // 3 × 10.49 × 0.967 = 30.43149; 10 × 9.99 × 0.967 = 96.6033.
    assert_eq!(quote["total"], "127.03");
    assert_eq!(quote["contract_version"], 1);
    let kinds: Vec<_> = quote["lines"][1]["waterfall"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        ["base-list", "list-break", "standing-discount", "rounding"]
    );

    let unknown = json!({ "customer": "C-1", "currency": "EUR", "lines": [{ "sku": "B", "quantity": 1 }] });
    rig.post("/v1/quotes", &unknown).await.problem(422, "no-price");
    let stranger = json!({ "customer": "C-9", "currency": "EUR", "customers": "known",
        "lines": [{ "sku": "A-1", "quantity": 1 }] });
    rig.post("/v1/quotes", &stranger)
        .await
        .problem(422, "unknown-customer");
    rig.stop().await;
}

#[actix_web::test]
async fn versioned_facts_that_come_late_change_nothing_and_say_so() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let put = |path: &str, body: &Value| rig.request(Method::PUT, path).json(body).send();
    let stale = Answer::of(put("/v1/prices", &price("A-1", "11.00")).await.unwrap())
        .await
        .ok();
    assert_eq!(
        (&stale.body["outcome"], &stale.body["known_version"]),
        (&"stale".into(), &1.into())
    );
    let stale = Answer::of(put("/v1/contracts", &contract()).await.unwrap())
        .await
        .ok();
    assert_eq!(stale.body["outcome"], "stale");
    let mut wrong = price("A-1", "11.00");
    wrong["version"] = 2.into();
    wrong["breaks"] = json!([{ "from": 20, "unit": "9" }, { "from": 10, "unit": "8" }]);
    rig.post("/v1/prices", &wrong)
        .await
        .problem(422, "breaks-not-rising");
    rig.stop().await;
}

#[actix_web::test]
async fn message_pack_goes_in_and_out() {
    let rig = Rig::start().await;
    let request = rig
        .request(Method::POST, "/v1/stock-events")
        .header("content-type", "application/msgpack")
        .body(rmp_serde::to_vec_named(&receipt("A-1", 7)).unwrap());
    let answer = Answer::of(request.send().await.unwrap()).await.ok();
    assert_eq!(answer.header("content-type"), "application/msgpack");
    let body: Value = rmp_serde::from_slice(&answer.bytes).unwrap();
    assert_eq!(
        (&body["outcome"], &body["available"]),
        (&"accepted".into(), &7.into())
    );
    let request = rig
        .request(Method::GET, "/v1/availability?sku=A-1&sku=NEVER")
        .header("accept", "application/msgpack");
    let answer = Answer::of(request.send().await.unwrap()).await.ok();
    let body: Value = rmp_serde::from_slice(&answer.bytes).unwrap();
    assert_eq!(body["items"][0]["levels"][0]["available"], 7);
    assert_eq!(body["items"][1], json!({ "sku": "NEVER", "levels": [] }));
    rig.stop().await;
}

#[actix_web::test]
async fn a_conversation_keeps_its_id_and_a_bad_one_is_replaced() {
    let rig = Rig::start().await;
    let submit = rig
        .request(Method::POST, "/v1/orders")
        .header("X-Correlation-Id", "conversation-7")
        .json(&order("1", "A-1", 1));
    let answer = Answer::of(submit.send().await.unwrap()).await.ok();
    assert_eq!(answer.header("x-correlation-id"), "conversation-7");
    assert_eq!(
        rig.get("/v1/orders/web/1").await.body["correlation_id"],
        "conversation-7"
    );
    let long = "x".repeat(129);
    let request = rig
        .request(Method::GET, "/v1/health")
        .header("X-Correlation-Id", &long);
    let answer = Answer::of(request.send().await.unwrap()).await.ok();
    assert_eq!(answer.header("x-correlation-id").len(), 36);
    rig.stop().await;
}

#[actix_web::test]
async fn the_operators_endpoints_answer() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    assert_eq!(rig.get("/v1/health").await.ok().body["status"], "alive");
    assert_eq!(rig.get("/v1/ready").await.ok().body["status"], "ready");
    let document = rig.get("/v1/openapi.json").await.ok().body;
    assert_eq!(document["openapi"], "3.1.0");
    rig.get("/v2/orders").await.problem(404, "no-such-resource");
    let wrong = rig.get("/v1/orders").await;
    wrong.problem(405, "method-not-allowed");
    assert_eq!(wrong.header("allow"), "POST");
    rig.get("/v1/orders/web/none").await.problem(404, "unknown-order");
    rig.get("/v1/availability").await.problem(422, "invalid-field");

    let text = String::from_utf8(rig.get("/metrics").await.ok().bytes).unwrap();
    let value = |sample: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(sample));
        let line = line.unwrap_or_else(|| panic!("no {sample} in {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("lockstep_shard_decided_total{shard=\"0\"}") >= 3.0);
    assert!(value("lockstep_writer_commits_total ") >= 1.0);
    assert!(value("lockstep_ready ") == 1.0);
    assert!(value("lockstep_erp_calls_total{outcome=\"confirmed\"}") == 0.0);
    assert!(
        value("lockstep_http_requests_total{method=\"POST\",route=\"/v1/contracts\",status=\"200\"}") == 1.0
    );
    assert!(value("lockstep_http_request_seconds_count{route=\"/v1/prices\"}") == 1.0);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, number) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("lockstep_"), "{line}");
        number.parse::<f64>().unwrap();
        let family = name.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .fold(family, |name, end| name.strip_suffix(end).unwrap_or(name));
        assert!(text.contains(&format!("# HELP {family} ")), "{line}");
    }
    rig.stop().await;
}

#[actix_web::test]
async fn an_order_says_from_which_warehouses_it_is_taken_and_why() {
    let rig = Rig::start().await;
    let stock = |sku: &str, warehouse: &str, quantity: u64| {
        json!({ "id": format!("{sku}-{warehouse}"), "sku": sku, "warehouse": warehouse,
            "change": { "receipt": { "quantity": quantity, "document": "GR-1" } } })
    };
    let stock = json!([stock("A", "W1", 10), stock("A", "W2", 6), stock("B", "W2", 5)]);
    rig.post("/v1/stock-events", &stock).await.ok();
    for sku in ["A", "B"] {
        rig.post("/v1/prices", &price(sku, "2.00")).await.ok();
    }
    let mut order = order("1", "A", 6);
    order["lines"] = json!([{ "sku": "A", "quantity": 6 }, { "sku": "B", "quantity": 5 }]);
    order["warehouses"] = json!(["W1", "W2"]);
    order["sourcing"] = json!("fewest-splits");
    rig.post("/v1/orders", &order).await.ok();
    let booked = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await
        .body;
    let expected =
        json!({ "policy": "fewest-splits", "chosen": ["W2"], "excluded": [], "cost": 0, "uncovered": 0 });
    assert_eq!(booked["sourcing"], expected);
    let levels = rig.get("/v1/availability?sku=A").await.ok().body;
    let levels = &levels["items"][0]["levels"];
    assert_eq!(
        (&levels[0]["available"], &levels[1]["available"]),
        (&10.into(), &0.into())
    );

    order["number"] = "2".into();
    order["sourcing"] = "closest".into();
    rig.post("/v1/orders", &order).await.problem(422, "invalid-field");
}

#[actix_web::test]
async fn the_desk_lists_what_waits_and_survives_a_restart() {
    let opener = Arc::new(disk());
    let rig = Rig::on(opener.clone(), Setup::default()).await;
    rig.post("/v1/stock-events", &receipt("A-1", 5)).await.ok();
    rig.post("/v1/prices", &price("A-1", "10.49")).await.ok();
    rig.post("/v1/orders", &order("1", "A-1", 9)).await.ok();
    rig.post("/v1/orders", &order("2", "UNPRICED", 1)).await.ok();
    rig.post("/v1/orders", &order("3", "A-1", 1)).await.ok();
    rig.until("/v1/orders/web/3", |answer| answer.body["status"] == "booked")
        .await;
    rig.post("/v1/orders", &order("3", "A-1", 2))
        .await
        .problem(409, "conflict");
    let all = rig
        .until("/v1/exceptions", |answer| answer.body["total"] == 3)
        .await;
    let kinds = |answer: &Answer| -> Vec<String> {
        let list = answer.body["exceptions"].as_array().unwrap();
        list.iter()
            .map(|one| one["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    // By time left: 4 h, 4 h, 8 h.
    assert_eq!(kinds(&all)[2], "shortage");
    let first = &all.body["exceptions"][0];
    assert_eq!(
        (&first["number"], &first["case"]["owner"]),
        (&"2".into(), &"pricing".into())
    );
    let restarted = {
        rig.stop().await;
        Rig::on(opener, Setup::default()).await
    };
    let rig = restarted;
    for (query, expected) in [
        ("", 3),
        ("?owner=purchasing", 1),
        ("?owner=pricing&kind=shortage", 0),
        ("?kind=duplicate&channel=web", 1),
        ("?channel=edi", 0),
        ("?older_than_seconds=3600", 0),
        ("?limit=1", 3),
    ] {
        let found = rig.get(&format!("/v1/exceptions{query}")).await.ok();
        assert_eq!(found.body["total"], expected, "{query}");
    }
    for query in ["?limit=0", "?limit=1001", "?owner=nobody", "?age=1"] {
        rig.get(&format!("/v1/exceptions{query}"))
            .await
            .problem(422, "invalid-field");
    }
    let one = rig.get("/v1/orders/web/3/exceptions").await.ok();
    assert_eq!(one.body["open"][0]["actions"], json!(["dismiss"]));
    let shown = rig.get("/v1/orders/web/3").await.ok();
    assert_eq!(shown.body["contested"]["lines"][0]["quantity"], 2);
    let dismiss = json!({ "resolution": { "dismiss": { "reason": "typed twice" } } });
    rig.post("/v1/orders/web/3/resolve", &dismiss).await.ok();
    let reject = json!({ "resolution": { "reject": { "reason": "no such article" } } });
    rig.post("/v1/orders/web/2/resolve", &reject).await.ok();
    rig.until("/v1/exceptions", |answer| answer.body["total"] == 1)
        .await;
    let one = rig.get("/v1/orders/web/3/exceptions").await.ok();
    assert_eq!(one.body["notes"][0]["act"], "dismiss");
    rig.stop().await;
}

#[actix_web::test]
async fn s44_steps_before_their_order_wait_for_it_and_what_left_comes_back() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let pay = json!({ "step": { "pay": { "document": "P-1", "currency": "EUR", "amount": "20.29" } } });
    for step in [
        json!({ "step": { "close": {} } }),
        json!({ "step": { "ship": {} } }),
        pay,
    ] {
        let waits = rig.post("/v1/orders/web/1/progress", &step).await.ok();
        assert_eq!(waits.status, 202, "{waits:?}");
        assert!(waits.body["waits_until"].is_string() && waits.body["status"].is_null());
    }
    rig.post("/v1/orders", &order("1", "A-1", 2)).await.ok();
    let closed = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "closed")
        .await;
    assert_eq!(closed.body["payments"][0]["document"], "P-1");
    let back = json!({ "step": { "return": { "document": "RT-1",
        "lines": [{ "line": 1, "quantity": 1, "disposition": "restock" }] } } });
    rig.post("/v1/orders/web/1/progress", &back).await.ok();
    let credit = |document: &str, quantity: u64| {
        json!({ "step": { "credit": { "document": document,
            "lines": [{ "line": 1, "quantity": quantity }] } } })
    };
    rig.post("/v1/orders/web/1/progress", &credit("CR-1", 2))
        .await
        .ok();
    let shown = rig.get("/v1/orders/web/1").await.ok().body;
    assert_eq!(shown["lines"][0]["restocked"], 1);
    assert_eq!(shown["returns"][0]["disposition"], "restock");
    assert_eq!(shown["credits"][0]["total"], shown["total"], "{shown}");
    rig.post("/v1/orders/web/1/progress", &credit("CR-2", 1))
        .await
        .problem(409, "more-than-shipped");
    rig.stop().await;
}
