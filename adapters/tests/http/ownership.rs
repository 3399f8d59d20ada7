//! A system writes what it owns; anything else is refused, once, and told.

use crate::journey::{order, receipt};
use crate::rig::{Answer, Rig, issue};
use lockstep_adapters::identity::Scope;
use reqwest::Method;
use serde_json::{Value, json};

/// A system with every scope: what holds it back is ownership alone.
struct System<'a> {
    rig: &'a Rig,
    key: String,
}

impl<'a> System<'a> {
    fn named(rig: &'a Rig, name: &str) -> Self {
        let key = issue(&rig.file, name, &[Scope::Admin]);
        Self { rig, key }
    }

    async fn post(&self, path: &str, idempotency: &str, body: &Value) -> Answer {
        let request = self.rig.client.request(Method::POST, self.rig.url(path));
        let request = request
            .bearer_auth(&self.key)
            .header("Idempotency-Key", idempotency);
        Answer::of(request.json(body).send().await.unwrap()).await
    }

    /// Waits until the running server knows the key.
    async fn known(self) -> Self {
        loop {
            let request = self.rig.client.get(self.rig.url("/v1/availability?sku=A"));
            let answer = Answer::of(request.bearer_auth(&self.key).send().await.unwrap()).await;
            if answer.status != 401 {
                return self;
            }
        }
    }
}

#[actix_web::test]
async fn s57_a_channel_cannot_write_stock_nor_another_channels_order() {
    let rig = Rig::start().await;
    let (web, wms) = (
        System::named(&rig, "web").known().await,
        System::named(&rig, "wms").known().await,
    );
    let refused = web.post("/v1/stock-events", "e-1", &receipt("A", 5)).await;
    refused.problem(403, "not-owner");
    let detail = refused.body["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("web may not update stock.on_hand"), "{detail}");
    assert!(detail.contains("erp, operator, wms"), "{detail}");
    // Sent again it is the same refusal, not a second one.
    web.post("/v1/stock-events", "e-1", &receipt("A", 5))
        .await
        .problem(403, "not-owner");
    wms.post("/v1/stock-events", "e-2", &receipt("A", 5)).await.ok();
    let level = rig.get("/v1/availability?sku=A").await.ok().body;
    assert_eq!(level["items"][0]["levels"][0]["on_hand"], 5);

    // Its own order; and one that another system wants to cancel.
    web.post("/v1/orders", "o-1", &order("1", "A", 1)).await.ok();
    let cancel = json!({ "reason": "competition" });
    let market = System::named(&rig, "marketplace").known().await;
    market
        .post("/v1/orders/web/1/cancel", "c-1", &cancel)
        .await
        .problem(403, "not-owner");
    wms.post("/v1/orders", "o-2", &order("2", "A", 1))
        .await
        .problem(403, "not-owner");
    web.post(
        "/v1/orders/web/1/progress",
        "p-1",
        &json!({ "step": { "close": {} } }),
    )
    .await
    .problem(403, "not-owner");
    web.post("/v1/orders/web/1/cancel", "c-2", &cancel).await.ok();
    rig.stop().await;
}

#[actix_web::test]
async fn in_a_batch_only_what_is_not_owned_is_refused() {
    let rig = Rig::start().await;
    let wms = System::named(&rig, "wms").known().await;
    let item = |id: &str, change: Value| json!({ "id": id, "sku": "A", "warehouse": "W1", "change": change });
    let batch = json!([
        item("1", json!({ "receipt": { "quantity": 5, "document": "GR-1" } })),
        item("2", json!({ "safety-stock": { "quantity": 2 } })),
        item("3", json!({ "receipt": { "quantity": 1, "document": "GR-2" } })),
    ]);
    let answer = wms.post("/v1/stock-events", "b-1", &batch).await;
    assert_eq!(answer.status, 207, "{answer:?}");
    let codes: Vec<_> = answer.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["outcome"].clone(), result["code"].clone()))
        .collect();
    let accepted = (json!("accepted"), Value::Null);
    assert_eq!(
        codes,
        [accepted.clone(), (json!("refused"), json!("not-owner")), accepted]
    );
    let text = String::from_utf8(rig.get("/metrics").await.ok().bytes).unwrap();
    assert!(text.contains("lockstep_refused_writes_total 1"), "{text}");
    rig.stop().await;
}
