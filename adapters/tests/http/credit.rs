//! Credit over HTTP: terms, documents, an order that waits for room, and who may see and write what.

use crate::rig::{Answer, Rig, Setup, disk, issue};
use lockstep_actors::governance::ownership::Ownership;
use lockstep_actors::orders::checks::{ChannelRules, OrderRules};
use lockstep_actors::orders::credit::CreditRule;
use lockstep_actors::orders::sourcing::Network;
use lockstep_actors::reference::Reference;
use lockstep_adapters::identity::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;

async fn checked() -> Rig {
    let rules = ChannelRules {
        credit: Some(CreditRule::default()),
        ..ChannelRules::default()
    };
    let rules = OrderRules([("web".into(), rules)].into());
    let setup = Setup {
        reference: Reference::of(Ownership::standard(), Network::default()).checking(rules),
        ..Setup::default()
    };
    Rig::on(Arc::new(disk()), setup).await
}

fn posting(document: &str, amount: &str, kind: &Value) -> Value {
    json!({ "customer": "C-1", "document": document, "currency": "EUR", "amount": amount,
        "dated": "2026-03-01T00:00:00Z", "kind": kind })
}

fn exposure(account: &Answer) -> [&str; 3] {
    ["orders", "receivable", "total"].map(|part| account.body["exposure"][part].as_str().unwrap())
}

#[actix_web::test]
async fn s46_a_credit_hold_is_released_by_a_payment() {
    let rig = checked().await;
    let stock = json!({ "id": "receipt-1", "sku": "A-1", "warehouse": "W1",
        "change": { "receipt": { "quantity": 100, "document": "GR-1" } } });
    rig.post("/v1/stock-events", &stock).await.ok();
    let price = json!({ "sku": "A-1", "list": "standard", "currency": "EUR", "unit": "29.50", "rule": "LIST",
        "version": 1 });
    rig.post("/v1/prices", &price).await.ok();
    let terms = json!({ "customer": "C-1", "version": 1, "currency": "EUR", "limit": "50000.00" });
    rig.post("/v1/accounts", &terms).await.ok();
    let invoice = posting(
        "R-1",
        "47200.00",
        &json!({ "invoice": { "due": "2036-03-31T00:00:00Z" } }),
    );
    let posted = rig
        .post("/v1/account-documents", &json!([invoice, invoice]))
        .await
        .ok();
    assert_eq!(posted.body["accepted"], 2, "{posted:?}");
    let order = json!({ "channel": "web", "number": "1", "customer": "C-1", "currency": "EUR", "warehouses": ["W1"],
        "lines": [{ "sku": "A-1", "quantity": 100 }] });
    rig.post("/v1/orders", &order).await.ok();
    let raised = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "exception")
        .await;
    assert_eq!(raised.body["exception"]["kind"], "credit-hold");
    assert_eq!(raised.body["exception"]["case"]["owner"], "credit");
    assert_eq!(raised.body["credit"], "waiting");
    assert_eq!(raised.body["lines"][0]["reserved"], 100);
    let account = rig.get("/v1/accounts/C-1").await.ok();
    assert_eq!(exposure(&account), ["0", "47200.00", "47200.00"]);
    assert!(account.body["orders"][0]["waiting_since"].is_string());

    let payment = posting("P-1", "500.00", &json!({ "payment": { "invoice": "R-1" } }));
    rig.post("/v1/account-documents", &payment).await.ok();
    let booked = rig
        .until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await;
    assert_eq!(booked.body["credit"], "granted");
    let account = rig.get("/v1/accounts/C-1").await.ok();
    assert_eq!(exposure(&account), ["2950.00", "46700.00", "49650.00"]);
    assert_eq!(account.body["open_invoices"][0]["open"], "46700.00");
    rig.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_posted_is_refused_with_its_reason() {
    let rig = checked().await;
    let terms = json!({ "customer": "C-1", "version": 2, "currency": "EUR", "limit": "100" });
    rig.post("/v1/accounts", &terms).await.ok();
    let payment = posting("P-1", "5.00", &json!({ "payment": {} }));
    rig.post("/v1/account-documents", &payment).await.ok();
    let other = posting("P-1", "6.00", &json!({ "payment": {} }));
    rig.post("/v1/account-documents", &other)
        .await
        .problem(409, "conflict");
    let nothing = posting("P-2", "0", &json!({ "payment": {} }));
    rig.post("/v1/account-documents", &nothing)
        .await
        .problem(422, "amount");
    let dollars = json!({ "customer": "C-1", "version": 3, "currency": "USD", "limit": "100" });
    rig.post("/v1/accounts", &dollars)
        .await
        .problem(422, "other-currency");
    let web = issue(&rig.file, "web", &[Scope::OrdersWrite, Scope::AccountsWrite]);
    // A running server reads new keys within a moment.
    let answer = loop {
        let request = rig.client.request(Method::POST, rig.url("/v1/accounts"));
        let answer = Answer::of(request.bearer_auth(&web).json(&terms).send().await.unwrap()).await;
        if answer.status != 401 {
            break answer;
        }
    };
    answer.problem(403, "not-owner");
    let request = rig
        .client
        .request(Method::GET, rig.url("/v1/accounts/C-1"))
        .bearer_auth(&web);
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    rig.stop().await;
}
