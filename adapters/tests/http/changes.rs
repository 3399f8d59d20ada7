//! Orders that their customers change, goods that come from elsewhere, and what is promised, over HTTP.

use crate::journey::price;
use crate::rig::Rig;
use serde_json::{Value, json};

fn event(id: &str, sku: &str, warehouse: &str, change: &Value) -> Value {
    json!({ "id": id, "sku": sku, "warehouse": warehouse, "change": change })
}

fn receipt(id: &str, sku: &str, warehouse: &str, quantity: u64) -> Value {
    let change = json!({ "receipt": { "quantity": quantity, "document": "GR-1" } });
    event(id, sku, warehouse, &change)
}

fn order(number: &str, quantities: &[u64], policy: &str) -> Value {
    let lines: Vec<_> = quantities
        .iter()
        .map(|quantity| json!({ "sku": "A-1", "quantity": quantity }))
        .collect();
    json!({ "channel": "web", "number": number, "customer": "C-1", "currency": "EUR", "lines": lines,
        "warehouses": ["W1", "W2"], "policy": policy })
}

async fn booked(rig: &Rig, order: &Value) -> Value {
    rig.post("/v1/orders", order).await.ok();
    let path = format!("/v1/orders/web/{}", order["number"].as_str().unwrap());
    rig.until(&path, |answer| answer.body["status"] == "booked")
        .await
        .body
}

#[actix_web::test]
async fn s45_each_line_of_a_change_is_answered_and_the_erp_is_told_once() {
    let rig = Rig::start().await;
    rig.post("/v1/prices", &price("A-1", "2.50")).await.ok();
    rig.post("/v1/stock-events", &receipt("r1", "A-1", "W1", 10))
        .await
        .ok();
    booked(&rig, &order("1", &[6, 2], "ship-complete")).await;
    let change = |document: &str, lines: Value| json!({ "document": document, "reason": "the customer wants less", "lines": lines });
    let path = "/v1/orders/web/1/change";
    let wish = change(
        "CH-1",
        json!([{ "line": 1, "quantity": 4 }, { "line": 2, "quantity": 3 }, { "line": 7, "quantity": 0 }]),
    );
    let answer = rig.post(path, &wish).await.ok().body;
    let lines = &answer["change"]["lines"];
    assert_eq!(
        (&lines[0]["answer"], &lines[0]["quantity"]),
        (&"accepted".into(), &4.into())
    );
    assert_eq!(
        (&lines[1]["answer"], &lines[1]["because"]),
        (&"rejected".into(), &"more".into())
    );
    assert_eq!(lines[2]["because"], "unknown-line");
    // Sent again, the same answer; another content under its number is none.
    assert_eq!(rig.post(path, &wish).await.ok().body["change"], answer["change"]);
    rig.post(path, &change("CH-1", json!([{ "line": 1, "quantity": 1 }])))
        .await
        .problem(409, "document-conflict");
    rig.post(path, &change("CH-2", json!([{ "line": 1, "quantity": -1 }])))
        .await
        .problem(422, "invalid-field");
    rig.post("/v1/orders/web/1/progress", &json!({ "step": { "release": {} } }))
        .await
        .ok();
    let answer = rig
        .post(path, &change("CH-3", json!([{ "line": 1, "quantity": 0 }])))
        .await
        .ok();
    assert_eq!(answer.body["change"]["lines"][0]["because"], "in-hand");
    let shown = rig
        .until("/v1/orders/web/1", |answer| {
            answer.body["papers"][0]["standing"] == "posted"
        })
        .await
        .body;
    assert_eq!(
        (&shown["lines"][0]["reserved"], &shown["lines"][0]["cancelled"]),
        (&4.into(), &2.into())
    );
    assert_eq!(
        (
            shown["changes"].as_array().unwrap().len(),
            shown["papers"].as_array().unwrap().len()
        ),
        (2, 1)
    );
    assert!(
        shown["papers"][0]["erp_number"]
            .as_str()
            .unwrap()
            .starts_with("L-"),
        "{shown}"
    );
    rig.stop().await;
}

#[actix_web::test]
async fn a_credit_is_posted_in_the_erp() {
    let rig = Rig::start().await;
    rig.post("/v1/prices", &price("A-1", "2.50")).await.ok();
    rig.post("/v1/stock-events", &receipt("r1", "A-1", "W1", 10))
        .await
        .ok();
    booked(&rig, &order("1", &[6], "ship-complete")).await;
    rig.post("/v1/orders/web/1/progress", &json!({ "step": { "ship": {} } }))
        .await
        .ok();
    rig.until("/v1/orders/web/1", |answer| answer.body["status"] == "shipped")
        .await;
    let credit =
        json!({ "step": { "credit": { "document": "CN-1", "lines": [{ "line": 1, "quantity": 2 }] } } });
    rig.post("/v1/orders/web/1/progress", &credit).await.ok();
    let shown = rig
        .until("/v1/orders/web/1", |answer| {
            answer.body["papers"][0]["standing"] == "posted"
        })
        .await
        .body;
    assert_eq!(
        (&shown["papers"][0]["kind"], &shown["credits"][0]["total"]),
        (&"credit".into(), &"5.00".into())
    );
    // Less a fee: of 2.50 it is 2.125, rounded. More than is due, and freight that was not charged, are not given back.
    let part = |document: &str, part: Value| json!({ "step": { "credit": { "document": document, "lines": [{ "line": 1, "quantity": 1, "part": part }] } } });
    let place = "/v1/orders/web/1/progress";
    rig.post(place, &part("CN-2", json!({ "less-percent": "15" })))
        .await
        .ok();
    let shown = rig.get("/v1/orders/web/1").await.ok().body;
    assert_eq!(shown["credits"][1]["total"], "2.13", "{shown}");
    rig.post(place, &part("CN-3", json!({ "amount": "2.51" })))
        .await
        .problem(409, "credit-amount");
    for freight in [json!({ "rest": {} }), json!({ "amount": "1.00" })] {
        let credit = json!({ "step": { "credit": { "document": "CN-3", "freight": freight } } });
        rig.post(place, &credit).await.problem(409, "freight-amount");
    }
    rig.stop().await;
}

#[actix_web::test]
async fn a_line_and_a_hold_move_to_another_warehouse() {
    let rig = Rig::start().await;
    rig.post("/v1/prices", &price("A-1", "2.50")).await.ok();
    for (id, warehouse) in [("r1", "W1"), ("r2", "W2")] {
        rig.post("/v1/stock-events", &receipt(id, "A-1", warehouse, 10))
            .await
            .ok();
    }
    booked(&rig, &order("1", &[6], "ship-complete")).await;
    let relocate = json!({ "step": { "relocate": { "line": 1, "from": "W1", "to": "W2" } } });
    rig.post("/v1/orders/web/1/progress", &relocate).await.ok();
    let place = json!([{ "warehouse": "W2", "quantity": 6 }]);
    rig.until("/v1/orders/web/1", |answer| {
        answer.body["lines"][0]["reserved_in"] == place
    })
    .await;
    rig.post("/v1/orders/web/1/progress", &relocate)
        .await
        .problem(409, "not-movable");
    let available = async |warehouse: &str| {
        let body = rig.get("/v1/availability?sku=A-1").await.ok().body;
        let mut levels = body["items"][0]["levels"].as_array().unwrap().clone().into_iter();
        levels.find(|level| level["warehouse"] == warehouse).unwrap()["available"].clone()
    };
    assert_eq!(
        (available("W1").await, available("W2").await),
        (10.into(), 4.into())
    );
    // A cart of a system that reserves by itself.
    let hold = json!({ "channel": "web", "number": "cart-1", "line": 1 });
    let held = json!({ "hold": { "hold": hold, "quantity": 4 } });
    rig.post("/v1/stock-events", &event("h1", "A-1", "W2", &held))
        .await
        .ok();
    let moved = json!({ "change-hold": { "hold": hold, "to": { "warehouse": "W1" } } });
    let asked = rig
        .post("/v1/stock-events", &event("m1", "A-1", "W2", &moved))
        .await
        .ok()
        .body;
    assert_eq!(asked["reason"], "W1 is asked to hold it instead");
    rig.until("/v1/availability?sku=A-1", |answer| {
        let levels = &answer.body["items"][0]["levels"];
        (&levels[0]["available"], &levels[1]["available"]) == (&6.into(), &4.into())
    })
    .await;
    rig.stop().await;
}

#[actix_web::test]
async fn what_waits_and_what_is_made_of_others_is_promised_by_date() {
    let rig = Rig::start().await;
    rig.post("/v1/prices", &price("A-1", "2.50")).await.ok();
    rig.post("/v1/stock-events", &receipt("r1", "A-1", "W1", 5))
        .await
        .ok();
    rig.post("/v1/stock-events", &receipt("r2", "B-1", "W1", 9))
        .await
        .ok();
    let due = |id: &str, date: &str| {
        let change = json!({ "expected": { "document": "PO-1", "quantity": 20, "due": date } });
        event(id, "A-1", "W1", &change)
    };
    rig.post("/v1/stock-events", &due("p1", "2090-03-01T00:00:00Z"))
        .await
        .ok();
    let kit = json!({ "sku": "KIT", "version": 1,
        "components": [{ "sku": "A-1", "quantity": 2 }, { "sku": "B-1", "quantity": 1 }] });
    rig.post("/v1/items", &kit).await.ok();
    let ask = json!({ "until": "2091-01-01T00:00:00Z",
        "lines": [{ "sku": "KIT", "quantity": 5, "warehouses": ["W1"] }] });
    let line = rig.post("/v1/promises", &ask).await.ok().body["lines"][0].clone();
    // 5 A make two kits now; the third has the last of them and one of the order.
    let parts = line["parts"].as_array().unwrap();
    assert_eq!(
        (parts.len(), &parts[0]["quantity"], &parts[1]["quantity"]),
        (2, &2.into(), &3.into()),
        "{line}"
    );
    assert_eq!(line["date"], "2090-03-01T00:00:00Z");
    assert_eq!(parts[1]["components"][1]["document"], "PO-1", "{line}");

    let shown = booked(&rig, &order("1", &[8], "partial")).await;
    assert_eq!(
        shown["lines"][0]["promised_for"], "2090-03-01T00:00:00Z",
        "{shown}"
    );
    rig.post("/v1/stock-events", &due("p2", "2090-04-01T00:00:00Z"))
        .await
        .ok();
    rig.until("/v1/orders/web/1", |answer| {
        answer.body["lines"][0]["promised_for"] == "2090-04-01T00:00:00Z"
    })
    .await;
    rig.stop().await;
}
