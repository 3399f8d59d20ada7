//! Many items in one request, and requests that come more than once.

use crate::journey::{order, price, receipt};
use crate::rig::Rig;
use serde_json::{Value, json};

async fn on_hand(rig: &Rig, sku: &str) -> Value {
    let body = rig.get(&format!("/v1/availability?sku={sku}")).await.ok().body;
    body["items"][0]["levels"][0]["on_hand"].clone()
}

#[actix_web::test]
async fn the_same_key_three_times_is_one_order_and_equal_answers() {
    let rig = Rig::start().await;
    rig.post("/v1/stock-events", &receipt("A", 100)).await.ok();
    rig.post("/v1/prices", &price("A", "2.00")).await.ok();
    let first = rig
        .post_once("/v1/orders", "key-1", &order("1", "A", 3))
        .await
        .ok();
    assert_eq!(first.header("idempotent-replayed"), "");
    rig.until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await;
    for _ in 0..2 {
        let again = rig
            .post_once("/v1/orders", "key-1", &order("1", "A", 3))
            .await
            .ok();
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("idempotent-replayed"), "true");
    }
    let level = rig.get("/v1/availability?sku=A").await.ok().body;
    assert_eq!(level["items"][0]["levels"][0]["available"], 97);

    // The key stands for that order, whatever the new one is.
    let other = rig.post_once("/v1/orders", "key-1", &order("1", "A", 4)).await;
    other.problem(422, "idempotency-key-reused");
    let other = rig.post_once("/v1/orders", "key-1", &order("2", "A", 3)).await;
    other.problem(422, "idempotency-key-reused");
    rig.get("/v1/orders/web/2").await.problem(404, "unknown-order");
    // Without a key the order's own number does the same.
    rig.post("/v1/orders", &order("1", "A", 3)).await.ok();
    rig.post("/v1/orders", &order("1", "A", 4))
        .await
        .problem(409, "conflict");
    rig.post_once("/v1/orders", "key-2", &order("1", "A", 4))
        .await
        .problem(409, "conflict");
    rig.stop().await;
}

#[actix_web::test]
async fn a_key_used_before_a_restart_never_hides_another_content() {
    let disk = std::sync::Arc::new(crate::rig::disk());
    let rig = Rig::on(disk.clone(), crate::rig::Setup::default()).await;
    rig.post_once("/v1/orders", "key-1", &order("1", "A", 3))
        .await
        .ok();
    rig.stop().await;
    let rig = Rig::on(disk, crate::rig::Setup::default()).await;
    let other = rig.post_once("/v1/orders", "key-1", &order("1", "A", 4)).await;
    other.problem(409, "conflict");
    rig.stop().await;
}

#[actix_web::test]
async fn each_item_of_a_batch_has_its_own_result_and_a_repeat_changes_nothing() {
    let rig = Rig::start().await;
    let mut negative = receipt("B", 1);
    negative["change"]["receipt"]["quantity"] = (-5).into();
    let mut loss = receipt("C", 1);
    loss["change"] = json!({ "adjustment": { "kind": "loss", "quantity": 9, "reason": "counted" } });
    let mut nameless = receipt("D", 1);
    nameless.as_object_mut().unwrap().remove("id");
    let batch = json!([receipt("A", 7), negative, loss, nameless, receipt("E", 8), 17]);
    let mixed = rig.post("/v1/stock-events", &batch).await;
    assert_eq!(
        (mixed.status.as_u16(), &mixed.body["accepted"]),
        (207, &2.into()),
        "{mixed:?}"
    );
    let results = mixed.body["results"].as_array().unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|result| (&result["outcome"], &result["code"], &result["field"]))
        .map(|(outcome, code, field)| (outcome.as_str(), code.as_str(), field.as_str()))
        .collect();
    let refused = Some("refused");
    let invalid = Some("invalid-field");
    let expected = [
        (Some("accepted"), None, None),
        (refused, invalid, Some("change.receipt.quantity")),
        (refused, Some("out-of-range"), None),
        (refused, invalid, Some("id")),
        (Some("accepted"), None, None),
        (refused, invalid, None),
    ];
    assert_eq!(told, expected, "{mixed:?}");
    assert_eq!(results[4]["id"], "receipt-E");

    let again = rig
        .post("/v1/stock-events", &json!([receipt("A", 7), receipt("E", 8)]))
        .await;
    assert_eq!((again.status.as_u16(), &again.body["accepted"]), (200, &2.into()));
    assert_eq!(again.body["results"][0]["repeated"], true);
    assert_eq!(
        (on_hand(&rig, "A").await, on_hand(&rig, "E").await),
        (7.into(), 8.into())
    );
    let other = rig.post("/v1/stock-events", &receipt("A", 70)).await;
    other.problem(422, "idempotency-key-reused");
    rig.stop().await;
}

#[actix_web::test]
async fn a_key_makes_a_whole_batch_idempotent() {
    let rig = Rig::start().await;
    let nameless = |sku: &str| {
        let mut item = receipt(sku, 4);
        item.as_object_mut().unwrap().remove("id");
        item
    };
    let batch = json!([nameless("A"), nameless("A"), nameless("B")]);
    for _ in 0..2 {
        let answer = rig.post_once("/v1/stock-events", "wave-1", &batch).await.ok();
        assert_eq!(answer.body["accepted"], 3);
    }
    rig.post_once("/v1/stock-events", "one", &nameless("B"))
        .await
        .ok();
    assert_eq!(
        (on_hand(&rig, "A").await, on_hand(&rig, "B").await),
        (8.into(), 8.into())
    );
    rig.stop().await;
}

#[actix_web::test]
async fn a_batch_is_decided_in_order_and_bounded() {
    let rig = Rig::start().await;
    let count = |version: u64| {
        json!({ "id": format!("count-{version}"), "sku": "A", "warehouse": "W1",
            "change": { "count": { "on_hand": version, "version": version } } })
    };
    let counts: Vec<_> = (1..=1_000).map(count).collect();
    let answer = rig.post("/v1/stock-events", &counts.into()).await.ok();
    assert_eq!(answer.body["accepted"], 1_000);
    // A count that came before an older one would have made that one stale.
    let stale = answer.body["results"].as_array().unwrap().iter();
    assert_eq!(stale.filter(|result| result["outcome"] == "stale").count(), 0);
    assert_eq!(on_hand(&rig, "A").await, 1_000);
    let counts: Vec<_> = (1..=1_001).map(count).collect();
    rig.post("/v1/stock-events", &counts.into())
        .await
        .problem(422, "invalid-field");
    rig.post("/v1/stock-events", &json!([]))
        .await
        .problem(422, "invalid-field");

    let prices = json!([price("A", "1.00"), price("B", "-1.00"), price("C", "3.00")]);
    let mixed = rig.post("/v1/prices", &prices).await;
    assert_eq!((mixed.status.as_u16(), &mixed.body["accepted"]), (207, &2.into()));
    assert_eq!(mixed.body["results"][1]["field"], "unit");
    rig.stop().await;
}
