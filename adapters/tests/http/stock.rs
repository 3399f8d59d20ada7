//! Stock over HTTP: numbered changes, counts and what they include.

use crate::journey::{order, price};
use crate::rig::Rig;
use lockstep_actors::ids::DocumentId;
use lockstep_adapters::reconcile::{Coverage, SweepOptions, SweepReport, read, sweep};
use lockstep_adapters::schema::fields::Moment;
use lockstep_runtime::time::{Clock, SystemClock};
use serde_json::{Value, json};
use std::time::Duration;

fn event(id: &str, change: &Value) -> Value {
    json!({ "id": id, "sku": "A", "warehouse": "W1", "change": change })
}

fn numbered(sequence: u64, change: &Value) -> Value {
    let mut event = event(&format!("n-{sequence}-{change}"), change);
    event["sequence"] = sequence.into();
    event
}

async fn level(rig: &Rig) -> Value {
    let body = rig.get("/v1/availability?sku=A").await.ok().body;
    body["items"][0]["levels"][0].clone()
}

#[actix_web::test]
async fn s34_numbered_changes_and_counts_come_in_any_order() {
    let rig = Rig::start().await;
    let loss =
        |quantity: u64| json!({ "adjustment": { "kind": "loss", "quantity": quantity, "reason": "pick" } });
    let events = json!([
        numbered(40, &json!({ "count": { "on_hand": 100 } })),
        numbered(43, &loss(4)),
        numbered(41, &json!({ "receipt": { "quantity": 10, "document": "GR-1" } })),
        numbered(42, &loss(3)),
    ]);
    rig.post("/v1/stock-events", &events).await.ok();
    assert_eq!(level(&rig).await["available"], 103);
    let mut again = numbered(42, &loss(3));
    again["id"] = "another id".into();
    let repeated = rig.post("/v1/stock-events", &again).await.ok().body;
    assert_eq!(
        (&repeated["outcome"], &repeated["known_version"]),
        (&"stale".into(), &42.into())
    );
    let count = numbered(42, &json!({ "count": { "on_hand": 90 } }));
    rig.post("/v1/stock-events", &count).await.ok();
    assert_eq!(level(&rig).await["available"], 86);
    let odd = numbered(44, &json!({ "safety-stock": { "quantity": 1 } }));
    rig.post("/v1/stock-events", &odd)
        .await
        .problem(422, "invalid-field");
    rig.stop().await;
}

#[actix_web::test]
async fn s33_s37_a_count_says_which_orders_it_has_taken_off_and_a_shortfall_is_shown() {
    let rig = Rig::start().await;
    let hold = |number: &str, quantity: u64| {
        let hold = json!({ "channel": "web", "number": number, "line": 1 });
        event(number, &json!({ "hold": { "hold": hold, "quantity": quantity } }))
    };
    let receipt = json!({ "receipt": { "quantity": 100, "document": "GR-1" } });
    let through = json!([{ "channel": "web", "number": "O-55" }]);
    let events = json!([
        event("r", &receipt),
        hold("O-54", 5),
        hold("O-56", 7),
        event(
            "c1",
            &json!({ "count": { "on_hand": 80, "version": 1, "orders_through": through } })
        ),
    ]);
    rig.post("/v1/stock-events", &events).await.ok();
    let after = level(&rig).await;
    assert_eq!(
        (&after["available"], &after["shortfall"]),
        (&73.into(), &0.into())
    );
    let recount = event("c2", &json!({ "count": { "on_hand": 9, "version": 2 } }));
    rig.post("/v1/stock-events", &recount).await.ok();
    let after = level(&rig).await;
    assert_eq!((&after["available"], &after["shortfall"]), (&0.into(), &3.into()));
    let nameless = event("c3", &json!({ "count": { "on_hand": 9 } }));
    rig.post("/v1/stock-events", &nameless)
        .await
        .problem(422, "invalid-field");
    rig.stop().await;
}

#[actix_web::test]
async fn s25_a_policy_says_what_each_channel_sees_and_may_take() {
    let rig = Rig::start().await;
    let seen = async |channel: &str| {
        let path = format!("/v1/availability?sku=A&channel={channel}");
        let body = rig.get(&path).await.ok().body;
        assert_eq!(body["channel"], channel);
        body["items"][0]["levels"][0]["available"].clone()
    };
    let hold = |channel: &str, quantity: u64| {
        let hold = json!({ "channel": channel, "number": "1", "line": 1 });
        event(
            channel,
            &json!({ "hold": { "hold": hold, "quantity": quantity } }),
        )
    };
    let policy = json!({ "channel-policy": { "version": 1, "classes": [
        { "name": "b2b", "channels": ["edi"], "protected": { "units": 40 } },
        { "name": "market", "channels": ["amazon", "ebay"], "cap": { "units": 30 } } ] } });
    let events = json!([
        event("r", &json!({ "receipt": { "quantity": 90, "document": "GR-1" } })),
        event("p", &policy),
    ]);
    rig.post("/v1/stock-events", &events).await.ok();
    assert_eq!(
        (seen("edi").await, seen("web").await, seen("ebay").await),
        (90.into(), 50.into(), 30.into())
    );
    rig.post("/v1/stock-events", &hold("ebay", 31))
        .await
        .problem(409, "short");
    rig.post("/v1/stock-events", &hold("amazon", 30)).await.ok();
    assert_eq!(
        (seen("edi").await, seen("web").await, seen("ebay").await),
        (60.into(), 20.into(), 0.into())
    );
    let all = level(&rig).await;
    assert_eq!(
        (&all["available"], &all["classes"]),
        (
            &60.into(),
            &json!([{ "name": "b2b", "available": 60 }, { "name": "market", "available": 0 }])
        )
    );
    let twice = json!({ "channel-policy": { "version": 2, "classes": [
        { "name": "b2b", "channels": ["edi", "edi"] } ] } });
    rig.post("/v1/stock-events", &event("p2", &twice))
        .await
        .problem(422, "policy");
    rig.stop().await;
}

#[actix_web::test]
async fn what_is_kept_for_a_class_of_customers_is_promised_and_sold_to_them_alone() {
    let rig = Rig::start().await;
    let policy = json!({ "channel-policy": { "version": 1, "classes": [
        { "name": "strategic", "protected": { "units": 30 } } ] } });
    let events = json!([
        event("r", &json!({ "receipt": { "quantity": 90, "document": "GR-1" } })),
        event("p", &policy),
    ]);
    rig.post("/v1/stock-events", &events).await.ok();
    rig.post("/v1/prices", &price("A", "10.49")).await.ok();
    let agreement = json!({ "agreement": "key-accounts", "version": 1, "currency": "EUR", "customer_class": "strategic" });
    rig.post("/v1/agreements", &agreement).await.ok();
    let contract = json!({ "customer": "KEY", "version": 1, "currency": "EUR", "agreement": "key-accounts" });
    rig.post("/v1/contracts", &contract).await.ok();
    let quote = json!({ "customer": "KEY", "currency": "EUR", "lines": [{ "sku": "A", "quantity": 1 }] });
    let quoted = rig.post("/v1/quotes", &quote).await.ok().body;
    assert_eq!(quoted["customer_class"], "strategic", "{quoted}");
    let promised = async |class: Option<&str>| {
        let ask = json!({ "channel": "web", "customer_class": class,
            "lines": [{ "sku": "A", "quantity": 90, "warehouses": ["W1"] }] });
        let body = rig.post("/v1/promises", &ask).await.ok().body;
        body["lines"][0]["short"].clone()
    };
    assert_eq!(
        (promised(None).await, promised(Some("strategic")).await),
        (30.into(), 0.into())
    );
    let booked = async |number: &str, customer: &str, quantity: u64| {
        let mut order = order(number, "A", quantity);
        order["customer"] = customer.into();
        rig.post("/v1/orders", &order).await.ok();
        let place = format!("/v1/orders/web/{number}");
        let stands = |status: &Value| *status == "booked" || *status == "exception";
        rig.until(&place, |answer| stands(&answer.body["status"]))
            .await
            .body["status"]
            .clone()
    };
    assert_eq!(booked("1", "C-1", 61).await, "exception");
    assert_eq!(booked("2", "C-1", 60).await, "booked");
    assert_eq!(booked("3", "KEY", 30).await, "booked");
    assert_eq!(level(&rig).await["available"], 0);
    rig.stop().await;
}

#[actix_web::test]
async fn s23_s27_holds_are_taken_together_prolonged_reduced_and_given_away() {
    let rig = Rig::start().await;
    let tell = async |id: &str, change: Value| rig.post("/v1/stock-events", &event(id, &change)).await;
    let cart = json!({ "channel": "web", "number": "cart", "line": 1 });
    let receipt = json!({ "receipt": { "quantity": 5, "document": "GR-1" } });
    tell("1", receipt).await.ok();
    let together = |second: u64| {
        json!({ "hold-lines": { "order": { "channel": "web", "number": "cart" },
            "lines": [{ "line": 1, "quantity": 3 }, { "line": 2, "quantity": second }],
            "expires_at": "2999-01-01T00:00:00Z" } })
    };
    tell("2", together(3)).await.problem(409, "short");
    assert_eq!(level(&rig).await["reserved"], 0);
    tell("3", together(1)).await.ok();
    let now = level(&rig).await;
    assert_eq!((&now["reserved"], &now["soft"]), (&4.into(), &4.into()));
    let change = |to: Value| json!({ "change-hold": { "hold": cart, "to": to } });
    tell("4", change("firm".into())).await.ok();
    tell("5", change(json!({ "quantity": 2 }))).await.ok();
    let order = json!({ "channel": "web", "number": "O-1", "line": 1 });
    tell("6", change(json!({ "hold": order }))).await.ok();
    let now = level(&rig).await;
    assert_eq!(
        (&now["available"], &now["reserved"], &now["soft"]),
        (&2.into(), &3.into(), &1.into())
    );
    tell("7", json!({ "release": { "hold": cart } })).await.ok();
    assert_eq!(level(&rig).await["reserved"], 3);
    tell("8", json!({ "ship": { "hold": order } })).await.ok();
    assert_eq!(level(&rig).await["on_hand"], 3);
    rig.stop().await;
}

#[actix_web::test]
async fn what_is_sold_on_backorder_is_shown_up_to_its_limit_and_waits_for_the_whole() {
    let rig = Rig::start().await;
    let tell = async |id: &str, change: Value| rig.post("/v1/stock-events", &event(id, &change)).await;
    rig.post("/v1/prices", &price("A", "10.49")).await.ok();
    tell("1", json!({ "receipt": { "quantity": 5, "document": "GR-1" } }))
        .await
        .ok();
    tell("2", json!({ "backorder-limit": { "limit": 4 } })).await.ok();
    let shown = async || {
        let answer = rig.get("/v1/availability?sku=A&channel=web").await.ok().body;
        let level = &answer["items"][0]["levels"][0];
        [level["available"].clone(), level["ahead"].clone()]
    };
    assert_eq!(shown().await, [9.into(), 4.into()] as [Value; 2]);
    let order = |number: &str, quantity: u64| {
        let mut order = order(number, "A", quantity);
        order["policy"] = "ship-complete".into();
        order
    };
    rig.post("/v1/orders", &order("1", 8)).await.ok();
    rig.until("/v1/orders/web/1", |answer| {
        answer.body["status"] == "backordered"
    })
    .await;
    assert_eq!(shown().await, [1.into(), 1.into()] as [Value; 2]);
    rig.post("/v1/orders", &order("2", 2)).await.ok();
    rig.until("/v1/orders/web/2", |answer| {
        answer.body["exception"]["kind"] == "shortage"
    })
    .await;
    tell("3", json!({ "receipt": { "quantity": 3, "document": "GR-2" } }))
        .await
        .ok();
    rig.until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await;
    tell("4", json!({ "backorder-limit": { "limit": -1 } }))
        .await
        .problem(422, "invalid-field");
    rig.stop().await;
}

#[actix_web::test]
async fn s40_promises_name_dates_and_sources_for_many_lines() {
    let rig = Rig::start().await;
    let in_warehouse = |id: &str, warehouse: &str, change: Value| {
        let mut event = event(id, &change);
        event["warehouse"] = warehouse.into();
        event
    };
    let due = |days: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).to_string();
    let (soon, late) = (due(4), due(40));
    let expected = |document: &str, quantity: u64, due: &str| json!({ "expected": { "document": document, "quantity": quantity, "due": due } });
    let receipt =
        |quantity: u64| json!({ "receipt": { "quantity": quantity, "document": format!("GR-{quantity}") } });
    let events = json!([
        in_warehouse("1", "W1", receipt(5)),
        in_warehouse("2", "W1", expected("PO-1", 10, &soon)),
        in_warehouse("3", "W1", expected("PO-2", 15, &late)),
        in_warehouse("4", "W2", receipt(2)),
        in_warehouse(
            "5",
            "W1",
            json!({ "demand": { "document": "SO-1", "quantity": 1, "due": late } })
        ),
    ]);
    rig.post("/v1/stock-events", &events).await.ok();
    let line = |quantity: u64, warehouses: &[&str]| json!({ "sku": "A", "quantity": quantity, "warehouses": warehouses });
    let ask = json!({ "lines": [line(12, &["W1"]), line(4, &["W1", "W2"]),
        { "sku": "never seen", "quantity": 1, "warehouses": ["W1"] }] });
    let lines = rig.post("/v1/promises", &ask).await.ok().body["lines"].clone();
    let parts = |line: &Value| {
        let parts = line["parts"].as_array().unwrap().iter();
        parts
            .map(|part| {
                (
                    part["warehouse"].as_str().unwrap().to_owned(),
                    part["quantity"].as_i64().unwrap(),
                    part["document"].as_str().unwrap_or("on hand").to_owned(),
                )
            })
            .collect::<Vec<_>>()
    };
    let part = |warehouse: &str, quantity: i64, from: &str| (warehouse.to_owned(), quantity, from.to_owned());
    assert_eq!(
        parts(&lines[0]),
        [part("W1", 5, "on hand"), part("W1", 7, "PO-1")]
    );
    assert_eq!(lines[0]["date"].as_str().unwrap()[..10], soon[..10]);
    // What the first line takes is not promised twice.
    assert_eq!(
        parts(&lines[1]),
        [part("W2", 2, "on hand"), part("W1", 2, "PO-1")]
    );
    assert_eq!((&lines[2]["short"], &lines[2]["date"]), (&1.into(), &Value::Null));
    let short = json!({ "lines": [line(16, &["W1"])] });
    let lines = rig.post("/v1/promises", &short).await.ok().body["lines"].clone();
    assert_eq!((&lines[0]["short"], &lines[0]["date"]), (&1.into(), &Value::Null));
    let longer = json!({ "lines": [line(16, &["W1"])], "until": due(45) });
    let lines = rig.post("/v1/promises", &longer).await.ok().body["lines"].clone();
    assert_eq!(lines[0]["date"].as_str().unwrap()[..10], late[..10]);
    rig.post("/v1/promises", &json!({ "lines": [] }))
        .await
        .problem(422, "invalid-field");
    // Nothing was held.
    assert_eq!(level(&rig).await["available"], 5);
    rig.stop().await;
}

#[actix_web::test]
async fn s35_a_snapshot_is_compared_and_what_differs_is_repaired_or_raised() {
    let rig = Rig::start().await;
    let tell =
        async |id: &str, change: Value| rig.post("/v1/stock-events", &event(id, &change)).await.ok().body;
    tell("1", json!({ "receipt": { "quantity": 243, "document": "GR-1" } })).await;
    let snapshot = |on_hand: u64| json!({ "snapshot": { "case": "CASE-1", "on_hand": on_hand } });
    let repaired = tell("2", snapshot(240)).await;
    assert_eq!(repaired["reason"], "drift -3, repaired: nothing here explains it");
    assert_eq!(
        repaired["reconciliation"],
        json!({ "drift": -3, "verdict": "repaired", "cause": "unexplained" })
    );
    let raised = tell("3", snapshot(200)).await;
    assert_eq!(
        raised["reason"],
        "drift -40, raised to a person: nothing here explains it"
    );
    let now = level(&rig).await;
    assert_eq!((&now["on_hand"], &now["drift"]), (&240.into(), &(-40).into()));
    assert_eq!(now["drift_cause"], "unexplained");
    let open = rig.get("/v1/drifts?warehouse=W1").await.ok().body;
    let first = &open["drifts"][0];
    assert_eq!((&open["total"], &first["drift"]), (&1.into(), &(-40).into()));
    assert_eq!(
        (&first["sku"], &first["case"], &first["cause"]),
        (&now["sku"], &"CASE-1".into(), &"unexplained".into())
    );
    assert_eq!(rig.get("/v1/drifts?warehouse=W2").await.ok().body["total"], 0);
    rig.get("/v1/drifts?limit=0").await.problem(422, "invalid-field");
    tell("4", json!({ "count": { "on_hand": 200, "version": 1 } })).await;
    let now = level(&rig).await;
    assert_eq!((&now["on_hand"], &now["drift"]), (&200.into(), &Value::Null));
    rig.stop().await;
}

#[actix_web::test]
async fn all_that_stands_in_a_stock_is_shown_while_it_runs() {
    let rig = Rig::start().await;
    let tell =
        async |id: &str, change: Value| rig.post("/v1/stock-events", &event(id, &change)).await.ok().body;
    let adjust = |kind: &str, quantity: u64| json!({ "adjustment": { "kind": kind, "quantity": quantity, "reason": "seen" } });
    let hold = |number: &str, quantity: u64| json!({ "hold": { "hold": { "channel": "web", "number": number, "line": 1 }, "quantity": quantity } });
    let due = "2099-01-31T00:00:00Z";
    tell("1", json!({ "receipt": { "quantity": 50, "document": "GR-1" } })).await;
    tell("2", adjust("damage", 2)).await;
    tell("3", adjust("quarantine", 3)).await;
    let back = json!({ "return": { "quantity": 4, "condition": "to-inspect", "document": "RMA-1" } });
    tell("4", back).await;
    tell("5", json!({ "safety-stock": { "quantity": 5, "version": 2 } })).await;
    let late = tell("6", json!({ "safety-stock": { "quantity": 9, "version": 1 } })).await;
    assert_eq!(
        (&late["outcome"], &late["known_version"]),
        (&"stale".into(), &2.into())
    );
    tell("7", hold("1", 10)).await;
    tell(
        "8",
        json!({ "pick": { "hold": { "channel": "web", "number": "1", "line": 1 } } }),
    )
    .await;
    tell(
        "9",
        json!({ "expected": { "document": "PO-2", "quantity": 20, "due": due, "version": 1 } }),
    )
    .await;
    tell(
        "10",
        json!({ "transit": { "document": "PO-1", "quantity": 7, "due": "2098-01-31T00:00:00Z" } }),
    )
    .await;
    tell(
        "11",
        json!({ "demand": { "document": "SO-1", "quantity": 6, "due": due } }),
    )
    .await;
    tell("12", json!({ "snapshot": { "case": "NIGHT-1", "on_hand": 90 } })).await;
    // 54 - 2 - 3 - 4 can be sold, 10 are held and 5 kept back.
    let sku = level(&rig).await["sku"].as_str().unwrap().to_owned();
    let shown = rig
        .get(&format!("/v1/stock?sku={sku}&warehouse=W1"))
        .await
        .ok()
        .body;
    let units = |name: &str| shown[name].as_i64().unwrap();
    let buckets = [
        "on_hand",
        "available",
        "reserved",
        "soft",
        "allocated",
        "picked",
        "damaged",
        "quarantined",
        "returned",
    ];
    assert_eq!(buckets.map(units), [54, 30, 10, 0, 0, 10, 2, 3, 4]);
    let others = ["safety_stock", "in_transit", "expected", "shortfall", "waiting"];
    assert_eq!(others.map(units), [5, 7, 20, 0, 0]);
    assert_eq!(
        shown["receipts"],
        json!([{ "due": "2098-01-31T00:00:00Z", "document": "PO-1", "quantity": 7, "in_transit": true },
            { "due": due, "document": "PO-2", "quantity": 20 }])
    );
    assert_eq!(shown["demands"][0]["document"], "SO-1");
    assert_eq!(
        (&shown["drift"]["drift"], &shown["drift"]["cause"]),
        (&36.into(), &"unexplained".into())
    );

    rig.post("/v1/prices", &price(&sku, "10.49")).await.ok();
    let order = json!({ "channel": "web", "number": "9", "customer": "C-1", "currency": "EUR", "policy": "partial",
        "lines": [{ "sku": sku, "quantity": 33 }], "warehouses": ["W1"] });
    rig.post("/v1/orders", &order).await.ok();
    let path = format!("/v1/stock?sku={sku}&warehouse=W1");
    let waits = rig.until(&path, |answer| answer.body["waiting"] == 3).await.body;
    // Of 40 that are held 10 are picked.
    assert_eq!(
        (&waits["reserved"], &waits["allocated"]),
        (&40.into(), &30.into())
    );
    let first = &waits["backorders"][0];
    assert_eq!(
        (&first["place"], &first["number"], &first["waiting"]),
        (&1.into(), &"9".into(), &3.into())
    );
    assert_eq!(first["due"], "2098-01-31T00:00:00Z");

    // Of what nobody has heard there is nothing, and it is not called into being.
    let nothing = rig.get("/v1/stock?sku=NOBODY&warehouse=W1").await.ok().body;
    assert_eq!(
        (&nothing["on_hand"], &nothing["receipts"]),
        (&0.into(), &json!([]))
    );
    rig.get("/v1/stock?sku=NOBODY")
        .await
        .problem(422, "invalid-field");
    rig.stop().await;
}

#[actix_web::test]
async fn s36_a_file_is_compared_with_the_books_and_a_whole_warehouse_also_with_what_it_leaves_out() {
    let rig = Rig::start().await;
    let stock = |sku: &str, warehouse: &str, on_hand: u64| {
        json!({ "id": format!("{sku}{warehouse}"), "sku": sku, "warehouse": warehouse,
            "change": { "count": { "on_hand": on_hand, "version": 1 } } })
    };
    let events = json!([
        stock("A", "W1", 100),
        stock("B", "W1", 100),
        stock("C", "W1", 7),
        stock("D", "W1", 0),
        stock("C", "W2", 7),
    ]);
    rig.post("/v1/stock-events", &events).await.ok();
    // After all that the books have heard, as far as clocks may be apart.
    let soon = SystemClock.now().after(Duration::from_secs(120));
    let text = "sku,warehouse,on_hand,unit_value\nA,W1,100,2.00\nB,W1,97,2.00\nE,W1,x,\n";
    let compare = async |case: &str, coverage: Coverage| {
        let options = SweepOptions {
            url: rig.url(""),
            key: Some(rig.key.clone()),
            case: DocumentId::new(case).unwrap(),
            taken_at: Moment(soon),
            at_once: 2,
            batch: 1_000,
            load: 50,
            coverage,
        };
        let mut done = 0;
        let report = sweep(&options, read(text.as_bytes()).unwrap(), |more| done += more).await;
        assert_eq!(done, 3);
        report.unwrap()
    };
    let report = compare("CASE-1", Coverage::Named).await;
    let counts = |report: &SweepReport| (report.compared, report.equal, report.repaired, report.raised);
    assert_eq!(counts(&report), (2, 1, 1, 0));
    assert_eq!((report.not_compared, report.problems[0].line), (1, Some(4)));
    assert!(report.problems[0].reason.contains("on_hand"), "{report:?}");
    let sum = &report.causes["unexplained"];
    assert_eq!(
        (sum.pairs, sum.more, sum.less, sum.value.to_string()),
        (1, 0, 3, "6.00".into())
    );
    let difference = serde_json::to_value(&report.differences).unwrap();
    assert_eq!(
        difference,
        json!([{ "line": 3, "sku": "B", "warehouse": "W1", "seen": 97, "drift": -3, "verdict": "repaired",
            "cause": "unexplained" }])
    );
    // Under the same case no pair is repaired twice; another case finds everything in step.
    assert_eq!(compare("CASE-1", Coverage::Named).await.repaired, 1);
    assert_eq!(counts(&compare("CASE-2", Coverage::Named).await), (2, 2, 0, 0));
    assert_eq!(
        rig.get("/v1/availability?sku=B").await.ok().body["items"][0]["levels"][0]["on_hand"],
        97
    );
    // Of what the file leaves out in W1, the books have 7 of C.
    let whole = compare("CASE-3", Coverage::WholeWarehouses).await;
    assert_eq!(counts(&whole), (3, 2, 0, 1));
    let raised = &whole.differences[0];
    assert_eq!(
        (raised.line, raised.sku.as_str(), raised.found.drift.units()),
        (None, "C", -7)
    );
    let levels = rig
        .get("/v1/stock-levels?warehouse=W1&limit=2&after=A")
        .await
        .ok()
        .body;
    assert_eq!(
        (&levels["levels"][0]["sku"], &levels["next"]),
        (&"B".into(), &"C".into())
    );
    assert_eq!(levels["levels"][1]["drift"], -7);
    rig.stop().await;
}

#[actix_web::test]
async fn a_quantity_in_another_unit_is_converted_exactly_or_refused() {
    let rig = Rig::start().await;
    let item = json!({ "sku": "A", "version": 1, "units": [{ "unit": "CASE", "base_units": 24 },
        { "unit": "LB", "base_units": 5, "of": 2 }] });
    rig.post("/v1/items", &item).await.ok();
    let tell = async |id: &str, unit: &str, change: Value| {
        let mut event = event(id, &change);
        event["unit"] = unit.into();
        rig.post("/v1/stock-events", &event).await
    };
    let receipt =
        |quantity: u64| json!({ "receipt": { "quantity": quantity, "document": format!("GR-{quantity}") } });
    tell("1", "CASE", receipt(3)).await.ok();
    assert_eq!(level(&rig).await["on_hand"], 72);
    tell("2", "LB", receipt(4)).await.ok();
    assert_eq!(level(&rig).await["on_hand"], 82);
    let odd = tell("3", "LB", receipt(3)).await;
    odd.problem(422, "unit");
    assert_eq!(
        odd.body["detail"],
        "quantity: 3 LB is no whole number of base units"
    );
    tell("4", "PALLET", receipt(1)).await.problem(422, "unit");
    // A count of whole cases, as of a number, and a hold by the case.
    let mut count = event("5", &json!({ "count": { "on_hand": 2 } }));
    (count["unit"], count["sequence"]) = ("CASE".into(), 7.into());
    rig.post("/v1/stock-events", &count).await.ok();
    let hold = json!({ "channel": "web", "number": "1", "line": 1 });
    tell("6", "CASE", json!({ "hold": { "hold": hold, "quantity": 1 } }))
        .await
        .ok();
    let now = level(&rig).await;
    assert_eq!((&now["on_hand"], &now["reserved"]), (&48.into(), &24.into()));
    rig.stop().await;
}
