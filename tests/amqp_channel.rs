//! Promise 5 for a channel behind an AMQP exchange: through kills of the process its newest message of each SKU says what
//! the stock is, and none older comes with a higher version. And the metrics of a whole service name each series once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::books::try_level;
use support::broker::Sender;
use support::poll::until;
use support::service::Service;
use support::traffic::{Act, Operation, SKUS, Traffic};

const SEED: u64 = 20_261_127;
const KILLS: usize = 3;
const BETWEEN: usize = 60;
const CONVERGES_WITHIN: Duration = Duration::from_secs(30);

/// The newest level of each SKU that a consumer of the channel knows.
#[derive(Debug, Default)]
struct Shelf(BTreeMap<String, (u64, i64)>);

impl Shelf {
    /// Takes a message as a consumer should: an older version changes nothing, and one version never says two things.
    fn take(&mut self, routing_key: &str, body: &serde_json::Value) {
        let sku = body["sku"].as_str().unwrap();
        assert_eq!(routing_key, sku);
        let new = (
            body["version"].as_u64().unwrap(),
            body["available"].as_i64().unwrap(),
        );
        let known = self.0.entry(sku.to_owned()).or_insert(new);
        assert!(known.0 != new.0 || *known == new, "{sku}: {known:?} and {new:?}");
        if new.0 > known.0 {
            *known = new;
        }
    }

    fn available(&self, sku: &str) -> Option<i64> {
        self.0.get(sku).map(|(_, available)| *available)
    }
}

fn channel(exchange: &str) -> String {
    format!(
        "[[channels]]\nname = \"marketplace\"\nkind = \"amqp\"\nexchange = {exchange:?}\n\
         limits.requests = {{ bucket = {{ burst = 50, refill = 50, per_ms = 1000 }} }}\n\
         operations.set-stock = {{ max_items = 3 }}\n"
    )
}

/// The receipts alone: what they come to is known without an order's fate.
fn receipts(traffic: &mut Traffic, count: usize) -> Vec<Operation> {
    let receipts = std::iter::repeat_with(|| traffic.next());
    receipts
        .filter(|operation| matches!(operation.act, Act::Receipt { .. }))
        .take(count)
        .collect()
}

#[tokio::test]
async fn a_channel_behind_an_exchange_converges_through_kills() {
    let mut sender = Sender::new("channel");
    let exchange = format!("{}-levels", sender.prefix);
    let queue = sender.bind_queue_to_topics(&exchange).await;
    let mut service = Service::new(&format!("{}\n{}", sender.tables(), channel(&exchange)));
    service.start().await;
    let (mut traffic, mut received) = (Traffic::new("c", SEED), BTreeMap::<&str, i64>::new());
    for kill in 0..=KILLS {
        for operation in receipts(&mut traffic, BETWEEN) {
            let body = serde_json::to_vec(&operation.message()).unwrap();
            sender.publish("application/json", &body).await;
            if let Act::Receipt { sku, quantity, .. } = operation.act {
                *received.entry(sku).or_default() += quantity;
            }
        }
        if kill < KILLS {
            service.kill().await;
            service.start().await;
        }
    }
    let mut shelf = Shelf::default();
    until("the channel's newest levels", CONVERGES_WITHIN, async || {
        while let Some((key, body)) = sender.next(&queue).await {
            shelf.take(&key, &serde_json::from_slice(&body).unwrap());
        }
        let all = SKUS
            .iter()
            .all(|sku| shelf.available(sku) == received.get(sku).copied());
        all.then_some(())
    })
    .await;
    for sku in SKUS {
        let level = try_level(&service.door(), sku).await.unwrap();
        assert_eq!(Some(level.on_hand), shelf.available(sku), "{sku}");
    }
    each_series_is_named_once(&service).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    sender.delete(&queue, &exchange).await;
    sender.clean_up().await;
}

async fn each_series_is_named_once(service: &Service) {
    let answer = service.http.get(service.url("/metrics")).send().await.unwrap();
    let text = answer.error_for_status().unwrap().text().await.unwrap();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "{series} occurs twice");
    }
    for needed in [
        "lockstep_shard_decided_total",
        "lockstep_channel",
        "lockstep_amqp",
        "lockstep_erp",
    ] {
        assert!(
            seen.iter().any(|series| series.starts_with(needed)),
            "no {needed} in {text}"
        );
    }
}
