//! Who is let in, and to what.

use crate::journey::{order, price, receipt};
use crate::rig::{Answer, PATIENCE, Rig, Setup, disk, issue};
use lockstep_adapters::http::HttpConfig;
use lockstep_adapters::identity::Scope;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn answer(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

fn rates() -> Value {
    json!({ "source": "ecb", "set": "ecb/1", "from": "2026-01-01T00:00:00Z", "pivot": "EUR",
        "rates": [{ "currency": "USD", "rate": "1.0873" }] })
}

/// Every guarded endpoint: what it takes, and a good request.
fn guarded() -> Vec<(Scope, Method, &'static str, Value)> {
    let quote = json!({ "customer": "C", "currency": "EUR", "lines": [{ "sku": "A", "quantity": 1 }] });
    let contract = json!({ "customer": "C", "version": 1, "currency": "EUR", "base_list": "standard" });
    vec![
        (Scope::PricesWrite, Method::POST, "/v1/prices", price("A", "1.00")),
        (Scope::PricesWrite, Method::PUT, "/v1/prices", price("A", "1.00")),
        (
            Scope::PricesWrite,
            Method::POST,
            "/v1/contracts",
            contract.clone(),
        ),
        (Scope::PricesWrite, Method::PUT, "/v1/contracts", contract),
        (
            Scope::PricesWrite,
            Method::POST,
            "/v1/agreements",
            json!({ "agreement": "G", "version": 1, "currency": "EUR" }),
        ),
        (
            Scope::PricesWrite,
            Method::POST,
            "/v1/items",
            json!({ "sku": "A", "version": 1 }),
        ),
        (Scope::PricesWrite, Method::POST, "/v1/rates", rates()),
        (
            Scope::PricesWrite,
            Method::POST,
            "/v1/taxes",
            json!({ "jurisdiction": "TX", "version": 1, "rates": [] }),
        ),
        (
            Scope::PricesWrite,
            Method::POST,
            "/v1/volumes",
            json!({ "customer": "C", "version": 1, "value": "1000.00" }),
        ),
        (
            Scope::StockWrite,
            Method::POST,
            "/v1/stock-events",
            receipt("A", 9),
        ),
        (Scope::OrdersWrite, Method::POST, "/v1/orders", order("1", "A", 1)),
        (Scope::OrdersRead, Method::GET, "/v1/orders/web/1", Value::Null),
        (
            Scope::OrdersWrite,
            Method::POST,
            "/v1/orders/web/1/cancel",
            json!({ "reason": "no" }),
        ),
        (
            Scope::StockRead,
            Method::GET,
            "/v1/availability?sku=A",
            Value::Null,
        ),
        (Scope::PricesRead, Method::POST, "/v1/quotes", quote),
        (Scope::MetricsRead, Method::GET, "/metrics", Value::Null),
    ]
}

#[actix_web::test]
async fn every_endpoint_asks_for_a_key_with_its_scope() {
    let rig = Rig::start().await;
    let keys: Vec<_> = Scope::ALL
        .map(|scope| (scope, issue(&rig.file, "operator", &[scope])))
        .into();
    let send = |method: &Method, path: &str, body: &Value, key: Option<&str>| {
        let mut request = rig.client.request(method.clone(), rig.url(path));
        if !body.is_null() {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request
    };
    // The key ring looks at its file now and then.
    let deadline = Instant::now() + PATIENCE;
    let admin = &keys.iter().find(|(scope, _)| *scope == Scope::Admin).unwrap().1;
    while answer(send(&Method::GET, "/metrics", &Value::Null, Some(admin)))
        .await
        .status
        != 200
    {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (needed, method, path, body) in guarded() {
        let without = answer(send(&method, path, &body, None)).await;
        without.problem(401, "unauthorized");
        assert!(without.header("www-authenticate").starts_with("Bearer"));
        let mut wrong = admin.clone();
        wrong.truncate(wrong.len() - 1);
        for wrong in [wrong.as_str(), "lsk_x_y", "nonsense"] {
            answer(send(&method, path, &body, Some(wrong)))
                .await
                .problem(401, "unauthorized");
        }
        let basic = send(&method, path, &body, None).header("Authorization", format!("Basic {admin}"));
        answer(basic).await.problem(401, "unauthorized");
        for (scope, key) in &keys {
            let found = answer(send(&method, path, &body, Some(key))).await;
            if *scope == needed || *scope == Scope::Admin {
                // An order that another key has just cancelled may be in the way, but not the door.
                let let_in = found.status.is_success() || found.status == 409;
                assert!(let_in, "{method} {path} {scope}: {found:?}");
            } else {
                found.problem(403, "missing-scope");
                assert!(
                    found.body["detail"].as_str().unwrap().contains(needed.as_str()),
                    "{found:?}"
                );
            }
        }
    }
    for open in ["/v1/health", "/v1/ready", "/v1/openapi.json"] {
        assert_eq!(answer(rig.client.get(rig.url(open))).await.status, 200, "{open}");
    }
    rig.stop().await;
}

#[actix_web::test]
async fn a_revoked_key_is_soon_refused() {
    let rig = Rig::start().await;
    rig.get("/metrics").await.ok();
    let id = rig.file.list().unwrap()[0].id.clone();
    rig.file.revoke(&id).unwrap();
    rig.until("/metrics", |answer| answer.status == 401)
        .await
        .problem(401, "unauthorized");
    rig.stop().await;
}

#[actix_web::test]
async fn anonymous_callers_are_let_in_on_loopback_only_where_that_is_asked_for() {
    let mut setup = Setup::default();
    setup.config = HttpConfig {
        anonymous_on_loopback: true,
        ..setup.config
    };
    let rig = Rig::on(Arc::new(disk()), setup).await;
    let post = || {
        rig.client
            .post(rig.url("/v1/stock-events"))
            .json(&receipt("A", 1))
    };
    answer(post()).await.ok();
    // A wrong key is no reason to look away from it.
    answer(post().bearer_auth("lsk_x_y"))
        .await
        .problem(401, "unauthorized");
    // Passed on by a proxy, or by a browser for a page of another name.
    answer(post().header("X-Forwarded-For", "10.0.0.9"))
        .await
        .problem(401, "unauthorized");
    answer(post().header("Host", "shop.example"))
        .await
        .problem(401, "unauthorized");
    rig.stop().await;
}
