//! Bad input: each class of it is answered with a status, a code and the field, and the next request is served.

use crate::journey::order;
use crate::rig::{Answer, Rig};
use reqwest::Method;
use serde_json::{Value, json};

/// A name, a body, and the status, code and field that it is refused with.
type Case = (&'static str, Vec<u8>, u16, &'static str, Option<&'static str>);

async fn send(rig: &Rig, path: &str, content_type: &str, body: Vec<u8>) -> Answer {
    let request = rig
        .request(Method::POST, path)
        .header("content-type", content_type);
    Answer::of(request.body(body).send().await.unwrap()).await
}

fn with(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut order = order("1", "A", 1);
    change(&mut order);
    order.to_string().into_bytes()
}

#[actix_web::test]
async fn every_class_of_malformed_body_is_refused_by_name() {
    let rig = Rig::start().await;
    let whole = order("1", "A", 1).to_string().into_bytes();
    let quantity = |quantity: Value| with(|order| order["lines"][0]["quantity"] = quantity);
    let mut not_utf8 = whole.clone();
    let place = not_utf8.windows(3).position(|three| three == b"C-1").unwrap();
    not_utf8[place] = 0xff;
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep_field = with(|order| order["more"] = json!(null));
    let deep_field = String::from_utf8(deep_field)
        .unwrap()
        .replace("null", &format!("{}1{}", "[".repeat(100), "]".repeat(100)));
    let overflow = String::from_utf8(quantity(json!(1)))
        .unwrap()
        .replace("\"quantity\":1", "\"quantity\":99999999999999999999999999");
    let cases: Vec<Case> = vec![
        ("empty", Vec::new(), 400, "malformed", None),
        (
            "truncated",
            whole[..whole.len() / 2].to_vec(),
            400,
            "malformed",
            None,
        ),
        ("no JSON", b"<order/>".to_vec(), 400, "malformed", None),
        (
            "trailing",
            [whole.as_slice(), b"{}"].concat(),
            400,
            "malformed",
            None,
        ),
        ("not UTF-8", not_utf8, 400, "not-utf8", None),
        ("deep", deep.into_bytes(), 400, "too-deep", None),
        ("deep field", deep_field.into_bytes(), 400, "too-deep", None),
        ("array", b"[]".to_vec(), 422, "invalid-field", None),
        (
            "wrong type",
            quantity(json!("1")),
            422,
            "invalid-field",
            Some("lines[0].quantity"),
        ),
        (
            "fraction",
            quantity(json!(1.5)),
            422,
            "invalid-field",
            Some("lines[0].quantity"),
        ),
        (
            "negative",
            quantity(json!(-1)),
            422,
            "invalid-field",
            Some("lines[0].quantity"),
        ),
        (
            "zero",
            quantity(json!(0)),
            422,
            "invalid-field",
            Some("lines[0].quantity"),
        ),
        (
            "huge",
            quantity(json!(i64::MAX)),
            422,
            "invalid-field",
            Some("lines[0].quantity"),
        ),
        (
            "overflow",
            overflow.into_bytes(),
            422,
            "invalid-field",
            Some("lines[0].quantity"),
        ),
        (
            "unknown",
            with(|order| order["colour"] = json!(1)),
            422,
            "invalid-field",
            Some("colour"),
        ),
        (
            "slash",
            with(|order| order["channel"] = json!("a/b")),
            422,
            "invalid-field",
            Some("channel"),
        ),
        (
            "currency",
            with(|order| order["currency"] = json!("eur")),
            422,
            "invalid-field",
            Some("currency"),
        ),
        (
            "no lines",
            with(|order| order["lines"] = json!([])),
            422,
            "invalid-field",
            Some("lines"),
        ),
        (
            "too much for a line",
            quantity(json!(10_000_001)),
            422,
            "too-much",
            None,
        ),
        (
            "a line twice",
            with(|order| {
                order["lines"] = json!([{ "line": 1, "sku": "A", "quantity": 1 }, { "line": 1, "sku": "A", "quantity": 1 }]);
            }),
            422,
            "repeated-line",
            None,
        ),
    ];
    for (name, body, status, code, field) in cases {
        let answer = send(&rig, "/v1/orders", "application/json", body).await;
        assert_eq!(
            (
                answer.status.as_u16(),
                answer.body["code"].as_str(),
                answer.body["field"].as_str()
            ),
            (status, Some(code), field),
            "{name}: {answer:?}"
        );
        answer.problem(status, code);
    }
    rig.get("/v1/orders/web/1").await.problem(404, "unknown-order");
    rig.post("/v1/orders", &order("1", "A", 1)).await.ok();
    rig.stop().await;
}

#[actix_web::test]
async fn message_pack_is_refused_alike() {
    let rig = Rig::start().await;
    let whole = rmp_serde::to_vec_named(&order("1", "A", 1)).unwrap();
    let truncated = whole[..whole.len() - 3].to_vec();
    send(&rig, "/v1/orders", "application/msgpack", truncated)
        .await
        .problem(400, "malformed");
    let negative = rmp_serde::to_vec_named(&order("1", "A", 0)).unwrap();
    let answer = send(&rig, "/v1/orders", "application/msgpack", negative).await;
    answer.problem(422, "invalid-field");
    assert_eq!(answer.body["field"], "lines[0].quantity");
    let deep = [vec![0x91; 5_000], vec![1]].concat();
    send(&rig, "/v1/stock-events", "application/msgpack", deep)
        .await
        .problem(400, "too-deep");
    rig.stop().await;
}

#[actix_web::test]
async fn the_wrong_content_type_and_oversized_bodies_are_refused_before_they_are_read() {
    let rig = Rig::start().await;
    let body = order("1", "A", 1).to_string().into_bytes();
    for content_type in [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
    ] {
        let answer = send(&rig, "/v1/orders", content_type, body.clone()).await;
        answer.problem(415, "unsupported-media-type");
    }
    let none = rig
        .request(Method::POST, "/v1/orders")
        .body(body)
        .send()
        .await
        .unwrap();
    Answer::of(none).await.problem(415, "unsupported-media-type");

    let oversized = vec![b' '; (1 << 20) + 1];
    send(&rig, "/v1/orders", "application/json", oversized.clone())
        .await
        .problem(413, "too-large");
    // Without a length announced, the limit holds as well.
    let told = rig.send_in_chunks("/v1/orders", &oversized).await;
    assert!(
        told.starts_with("HTTP/1.1 413") && told.contains("too-large"),
        "{told}"
    );
    let key = "k".repeat(129);
    let answer = rig.post_once("/v1/orders", &key, &order("1", "A", 1)).await;
    answer.problem(422, "invalid-field");
    assert_eq!(answer.body["field"], "Idempotency-Key");
    for causation in ["k".repeat(129), String::new()] {
        let request = rig.request(Method::POST, "/v1/orders");
        let request = request
            .header("X-Causation-Id", causation)
            .json(&order("1", "A", 1));
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.problem(422, "invalid-field");
        assert_eq!(answer.body["field"], "X-Causation-Id");
    }
    rig.stop().await;
}
