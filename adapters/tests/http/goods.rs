//! What an order's lines are about, over HTTP: units, kits and lots.

use crate::journey::{price, receipt};
use crate::rig::Rig;
use serde_json::{Value, json};

fn ordered(number: &str, line: &Value) -> Value {
    json!({ "channel": "web", "number": number, "customer": "C-1", "currency": "EUR", "lines": [line],
        "warehouses": ["W1"] })
}

#[actix_web::test]
async fn a_line_in_cases_is_held_in_base_units_and_shown_as_it_was_ordered() {
    let rig = Rig::start().await;
    rig.post("/v1/stock-events", &receipt("A-1", 100)).await.ok();
    rig.post("/v1/prices", &price("A-1", "10.49")).await.ok();
    let item = json!({ "sku": "A-1", "version": 1, "units": [{ "unit": "CASE", "base_units": 24 }] });
    rig.post("/v1/items", &item).await.ok();
    let line = json!({ "sku": "A-1", "quantity": 3, "unit": "CASE" });
    rig.post("/v1/orders", &ordered("1", &line)).await.ok();
    let booked = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await
        .body;
    let line = &booked["lines"][0];
    assert_eq!((&line["ordered"], &line["reserved"]), (&72.into(), &72.into()));
    assert_eq!(line["ordered_as"], json!({ "quantity": 3, "unit": "CASE" }));
    let priced = &booked["price"]["lines"][0];
    assert_eq!(
        (&priced["quantity"], &priced["unit"]),
        (&72.into(), &"CASE".into())
    );

    let unknown = json!({ "sku": "A-1", "quantity": 1, "unit": "PALLET" });
    let refused = rig.post("/v1/orders", &ordered("2", &unknown)).await;
    refused.problem(422, "unit");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("line 1: unit: the catalogue does not say"),
        "{detail}"
    );
    let wrong = json!({ "sku": "A-1", "quantity": 1, "unit": "A UNIT OF FAR TOO LONG A NAME" });
    rig.post("/v1/orders", &ordered("3", &wrong))
        .await
        .problem(422, "invalid-field");
    rig.stop().await;
}

#[actix_web::test]
async fn s41_a_kit_is_as_available_as_its_components_and_is_sold_as_them() {
    let rig = Rig::start().await;
    rig.post("/v1/stock-events", &receipt("A-1", 9)).await.ok();
    rig.post("/v1/stock-events", &receipt("B-1", 3)).await.ok();
    rig.post("/v1/prices", &price("KIT", "25.00")).await.ok();
    let item = json!({ "sku": "KIT", "version": 1,
        "components": [{ "sku": "A-1", "quantity": 2 }, { "sku": "B-1", "quantity": 1 }] });
    rig.post("/v1/items", &item).await.ok();
    let available = async || {
        let body = rig.get("/v1/availability?sku=KIT&channel=web").await.ok().body;
        body["items"][0]["levels"][0]["available"].clone()
    };
    assert_eq!(available().await, 3);
    rig.post(
        "/v1/orders",
        &ordered("1", &json!({ "sku": "KIT", "quantity": 2 })),
    )
    .await
    .ok();
    let booked = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await
        .body;
    assert_eq!(booked["price"]["total"], "50.00");
    let components = &booked["lines"][0]["components"];
    assert_eq!(
        (&components[0]["reserved"], &components[1]["reserved"]),
        (&4.into(), &2.into())
    );
    assert_eq!(available().await, 1);
    let ship = json!({ "step": { "ship": {} } });
    rig.post("/v1/orders/web/1/progress", &ship).await.ok();
    rig.until("/v1/orders/web/1", |answer| answer.body["status"] == "shipped")
        .await;
    let back = json!({ "step": { "return": { "document": "R-1", "lines": [
        { "line": 1, "quantity": 1, "disposition": "restock", "component": "B-1" }] } } });
    rig.post("/v1/orders/web/1/progress", &back).await.ok();
    let level = rig.until("/v1/availability?sku=B-1", |answer| {
        answer.body["items"][0]["levels"][0]["available"] == 2
    });
    level.await;
    assert_eq!(available().await, 2);
    rig.stop().await;
}

#[actix_web::test]
async fn goods_come_and_leave_by_lot_and_pieces_by_serial_number() {
    let rig = Rig::start().await;
    for sku in ["FOOD", "TOOL"] {
        rig.post("/v1/prices", &price(sku, "10.49")).await.ok();
    }
    let food = json!({ "sku": "FOOD", "version": 1, "tracking": { "lots": { "last_days_unsold": 30 } } });
    let tool = json!({ "sku": "TOOL", "version": 1, "tracking": { "serials": {} } });
    rig.post("/v1/items", &json!([food, tool])).await.ok();
    let come = |id: &str, sku: &str, quantity: u64, lots: Value| {
        let mut event = receipt(sku, quantity);
        event["id"] = id.into();
        event["lots"] = lots;
        event
    };
    rig.post("/v1/stock-events", &receipt("FOOD", 3))
        .await
        .problem(422, "lots");
    let lots = json!([
        { "lot": "LATE", "quantity": 6, "expires": "2091-01-01T00:00:00Z" },
        { "lot": "SOON", "quantity": 4, "expires": "2090-01-01T00:00:00Z" }]);
    rig.post("/v1/stock-events", &come("r1", "FOOD", 10, lots))
        .await
        .ok();
    rig.post(
        "/v1/stock-events",
        &come("r2", "TOOL", 2, json!([{ "lot": "S-1" }, { "lot": "S-2" }])),
    )
    .await
    .ok();
    let level = rig.get("/v1/availability?sku=FOOD").await.ok().body;
    let shown = &level["items"][0]["levels"][0]["lots"];
    assert_eq!(
        (&shown[0]["lot"], &shown[1]["quantity"]),
        (&"SOON".into(), &6.into())
    );

    let mut order = ordered("1", &json!({ "sku": "FOOD", "quantity": 5 }));
    order["lines"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "sku": "TOOL", "quantity": 1 }));
    rig.post("/v1/orders", &order).await.ok();
    rig.until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await;
    let list = |query: &str| format!("/v1/pick-lists?sku=FOOD&warehouse=W1{query}");
    let picks = rig.get(&list("&order=web/1")).await.ok().body["picks"].clone();
    assert_eq!(
        (&picks[0]["number"], &picks[0]["lots"][0]["lot"]),
        (&"1".into(), &"SOON".into())
    );
    assert_eq!(picks[0]["lots"][1]["quantity"], 1, "{picks}");
    assert_eq!(rig.get(&list("&order=web/2")).await.ok().body["picks"], json!([]));
    rig.get(&list("&order=web")).await.problem(422, "invalid-field");
    rig.get("/v1/pick-lists?sku=FOOD")
        .await
        .problem(422, "invalid-field");
    let ship = |lots: Value| json!({ "step": { "ship": { "lines": [{ "line": 1, "total": 5 }, { "line": 2, "total": 1, "lots": lots }] } } });
    let progress = "/v1/orders/web/1/progress";
    rig.post(progress, &ship(json!([]))).await.problem(422, "lots");
    rig.post(progress, &ship(json!([{ "lot": "S-1" }, { "lot": "S-2" }])))
        .await
        .problem(422, "lots");
    rig.post(progress, &ship(json!([{ "lot": "S-2" }]))).await.ok();
    let shipped = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "shipped")
        .await
        .body;
    let of_line = |line: usize| {
        let lots = shipped["lines"][line]["lots"].as_array().unwrap().iter();
        lots.map(|lot| format!("{} {}", lot["quantity"], lot["lot"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of_line(0), of_line(1)),
        (vec!["4 SOON".into(), "1 LATE".into()], vec!["1 S-2".to_owned()])
    );
    rig.stop().await;
}
