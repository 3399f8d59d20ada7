//! Orders that platforms announce: signed, durable before they are answered, once.

use crate::journey::{price, receipt};
use crate::rig::{Answer, Rig, Setup, disk};
use base64::Engine;
use hmac::{Hmac, Mac};
use lockstep_adapters::channels::ChannelConfig;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;

const SECRET: &str = "shpss_1";

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

/// A service with the shop `web`, which announces its orders.
async fn shop() -> (Rig, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    let secret = files.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let channel: ChannelConfig = serde_json::from_value(json!({
        "name": "web", "kind": "shopify",
        "orders": { "signing_secret": { "file": secret }, "customer": "C-1", "warehouses": ["W1"] },
    }))
    .unwrap();
    let setup = Setup {
        channels: vec![channel],
        ..Setup::default()
    };
    let rig = Rig::on(Arc::new(disk()), setup).await;
    rig.post("/v1/stock-events", &receipt("A-1", 100)).await.ok();
    rig.post("/v1/prices", &price("A-1", "10.49")).await.ok();
    (rig, files)
}

async fn call(rig: &Rig, topic: &str, id: &str, body: &str, signature: &str) -> Answer {
    let request = rig
        .client
        .post(rig.url("/v1/webhooks/web"))
        .header("X-Shopify-Topic", topic)
        .header("X-Shopify-Webhook-Id", id)
        .header("X-Shopify-Hmac-Sha256", signature)
        .header("Content-Type", "application/json");
    Answer::of(request.body(body.to_owned()).send().await.unwrap()).await
}

async fn announced(rig: &Rig, topic: &str, id: &str, body: &Value) -> Value {
    let body = body.to_string();
    let answer = call(rig, topic, id, &body, &signature(&body)).await.ok();
    answer.body["outcome"].clone()
}

fn order(number: u64) -> Value {
    json!({ "id": number, "name": format!("#{number}"), "currency": "EUR", "cancel_reason": "customer",
        "line_items": [{ "sku": "A-1", "quantity": 2, "price": "10.49", "requires_shipping": true }] })
}

#[actix_web::test]
async fn an_order_is_taken_once_however_often_it_is_announced() {
    let (rig, _files) = shop().await;
    for id in ["w-1", "w-1", "w-2"] {
        assert_eq!(announced(&rig, "orders/create", id, &order(1)).await, "decided");
    }
    let shown = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await
        .body;
    assert_eq!(
        (&shown["customer"], &shown["lines"][0]["ordered"]),
        (&json!("C-1"), &json!(2))
    );
    let level = rig.get("/v1/availability?sku=A-1").await.ok().body;
    assert_eq!(level["items"][0]["levels"][0]["reserved"], 2);
    let other = announced(&rig, "products/update", "w-3", &json!({ "id": 5 })).await;
    assert_eq!(other, "nothing");
    rig.stop().await;
}

#[actix_web::test]
async fn without_the_platforms_signature_nothing_is_looked_at() {
    let (rig, _files) = shop().await;
    let body = order(1).to_string();
    let signed = signature(&body);
    for (body, claimed) in [
        (body.as_str(), ""),
        (&body, "AAAA"),
        (&body, &signed[1..]),
        (&body.replace("\"A-1\"", "\"A-2\""), &signed),
        ("{", &signed),
    ] {
        call(&rig, "orders/create", "w-1", body, claimed)
            .await
            .problem(401, "unauthorized");
    }
    let elsewhere = rig.client.post(rig.url("/v1/webhooks/other")).body(body);
    Answer::of(elsewhere.send().await.unwrap())
        .await
        .problem(404, "no-such-resource");
    rig.get("/v1/orders/web/1").await.problem(404, "unknown-order");
    let metrics = rig.get("/metrics").await.ok();
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    assert!(
        metrics.contains("lockstep_webhooks_total{channel=\"web\",outcome=\"unsigned\"} 5"),
        "{metrics}"
    );
    rig.stop().await;
}

#[actix_web::test]
async fn a_cancellation_that_overtakes_its_order_cancels_it() {
    let (rig, _files) = shop().await;
    for (topic, id) in [
        ("orders/cancelled", "w-2"),
        ("orders/cancelled", "w-2"),
        ("orders/create", "w-1"),
    ] {
        assert_eq!(announced(&rig, topic, id, &order(7)).await, "decided", "{topic}");
    }
    let shown = rig
        .until("/v1/orders/web/7", |answer| answer.body["status"] == "cancelled")
        .await
        .body;
    assert_eq!(shown["reason"], "cancelled in the shop: customer");
    rig.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_taken_is_a_dead_letter_that_can_be_repaired_and_replayed() {
    let (rig, _files) = shop().await;
    let mut wrong = order(3);
    wrong["currency"] = json!("EURO");
    for id in ["w-1", "w-1", "w-2"] {
        assert_eq!(
            announced(&rig, "orders/create", id, &wrong).await,
            "dead-lettered"
        );
    }
    let mut unreadable = order(4);
    unreadable["line_items"][0]["sku"] = Value::Null;
    assert_eq!(
        announced(&rig, "orders/create", "w-4", &unreadable).await,
        "dead-lettered"
    );
    // The list follows the letters.
    let listed = rig
        .until("/v1/dead-letters", |answer| {
            answer.body["letters"].as_array().map(Vec::len) == Some(3)
        })
        .await;
    let letters = listed.body["letters"].clone();
    let heads: Vec<_> = letters
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| {
            (
                letter["source"].clone(),
                letter["code"].clone(),
                letter["field"].clone(),
            )
        })
        .collect();
    // The same content under two ids of the platform is two messages.
    let invalid = (json!("web"), json!("invalid-field"), json!("body.currency"));
    let missing = (json!("web"), json!("unreadable"), json!("line_items[0].sku"));
    assert_eq!(heads, [invalid.clone(), invalid, missing]);
    let letter = format!("/v1/dead-letters/{}", letters[0]["letter"].as_str().unwrap());
    let mut message = rig.get(&letter).await.ok().body["message"].clone();
    message["body"]["currency"] = json!("EUR");
    let repair = json!({ "ask": { "repair": { "message": message } } });
    rig.post(&letter, &repair).await.ok();
    rig.post(&letter, &json!({ "ask": { "replay": {} } })).await.ok();
    rig.until("/v1/orders/web/3", |answer| answer.body["status"] == "booked")
        .await;
    rig.stop().await;
}
