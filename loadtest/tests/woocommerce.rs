//! Egress to a WooCommerce shop: batches of 100, a result an item, a host that counts requests.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use lockstep_actors::channels::Kind;
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{ChannelConfig, WooCommerce};
use lockstep_loadtest::emulate::woocommerce::{self, Options, Shop};
use lockstep_loadtest::emulate::{Emulator, Faults, Probability};
use std::collections::BTreeMap;
use support::{Channel, assert_troubled, order, trouble};

/// SKUs `P1` to `P500` are products, `V10.1` to `V10.9` variations of product 10; `GONE` does not exist in the shop.
struct Store {
    emulator: Emulator<Shop>,
    channel: Channel,
    ids: BTreeMap<String, u64>,
    _files: tempfile::TempDir,
}

impl Store {
    fn open(options: Options) -> Self {
        let emulator = woocommerce::start(options).unwrap();
        let files = tempfile::tempdir().unwrap();
        let secret = files.path().join("secret");
        std::fs::write(&secret, "ck_1\n").unwrap();
        let (mut ids, mut rows) = (
            BTreeMap::new(),
            "sku,product,variation\nGONE,900001,\n".to_owned(),
        );
        for number in 1..=500_u64 {
            ids.insert(format!("P{number}"), number);
            rows.push_str(&format!("P{number},{number},\n"));
        }
        for number in 1..=9_u64 {
            ids.insert(format!("V10.{number}"), 10_000 + number);
            rows.push_str(&format!("V10.{number},10,{}\n", 10_000 + number));
        }
        let products = files.path().join("products.csv");
        std::fs::write(&products, rows).unwrap();
        let secret = serde_json::json!({ "file": secret });
        let rate = serde_json::json!({ "bucket": { "burst": 20, "refill": 20, "per_ms": 1_000 } });
        let config: ChannelConfig = serde_json::from_value(serde_json::json!({
            "name": "woo", "kind": "woocommerce", "url": emulator.url(), "timeout_ms": 1_000,
            "publishes": ["stock", "price", "order-status"], "price_list": { "list": "retail", "currency": "EUR" },
            "limits": { "requests": rate },
            "woocommerce": { "consumer_key": secret, "consumer_secret": secret, "products": products },
        }))
        .unwrap();
        config.validate().unwrap();
        let channel = Channel::start(&config, WooCommerce::new(&config).unwrap());
        Self {
            emulator,
            channel,
            ids,
            _files: files,
        }
    }

    fn assert_converged(&self) {
        let shown = self.emulator.state().shown();
        for (sku, (units, _)) in self.channel.books.held(Kind::Stock) {
            if let Some(id) = self.ids.get(&sku) {
                assert_eq!(shown[id].0, Some(units), "{sku}");
            }
        }
        for (sku, (cents, _)) in self.channel.books.held(Kind::Price) {
            let price = format!("{}.{:02}", cents / 100, cents % 100);
            assert_eq!(shown[&self.ids[&sku]].1, price, "{sku}");
        }
    }
}

/// The host's limit is the channel's; products alone, so that a request is a call.
fn host() -> Options {
    Options {
        rate: "20/s".parse().unwrap(),
        burst: "20".parse().unwrap(),
        ..Options::default()
    }
}

/// A host whose limit is not met, in trouble.
fn troubled(faults: Faults) -> Options {
    Options {
        rate: "200/s".parse().unwrap(),
        burst: "200".parse().unwrap(),
        faults,
        ..Options::default()
    }
}

#[tokio::test]
async fn s54_full_batches_and_bad_items_cost_themselves() {
    let mut store = Store::open(host());
    let products: Vec<String> = (1..=500).map(|number| format!("P{number}")).collect();
    store.channel.change_all(&[Kind::Stock], 3, &products).await;
    store.channel.change_all(&[Kind::Price], 1, &products).await;
    store.channel.change(Kind::Stock, "GONE", 5).await;
    store.channel.change(Kind::Stock, "NOWHERE", 5).await;
    store.channel.converged().await;
    let (stats, met) = (store.emulator.state().stats(), store.emulator.met());
    assert_eq!(
        (met.throttled, stats.too_large, met.failed, stats.largest),
        (0, 0, 0, 100),
        "{stats:?} {met:?}"
    );
    store.assert_converged();
    let refused = store.channel.refused().await;
    assert_eq!(refused.len(), 2, "{refused:?}");
    let of = |sku: &str| refused[&(Kind::Stock, sku.to_owned())].as_str();
    assert_eq!(of("GONE"), "Invalid ID. (woocommerce_rest_product_invalid_id)");
    assert!(
        of("NOWHERE").contains("file of the shop's products"),
        "{refused:?}"
    );
    store.channel.stop().await;
}

#[tokio::test]
async fn products_and_variations_converge_through_storms_and_failures() {
    let mut store = Store::open(troubled(Faults {
        item_fail: Probability::per_million(50_000),
        stale_read: Probability::per_million(50_000),
        ..trouble(80_000)
    }));
    let skus: Vec<String> = store
        .ids
        .keys()
        .filter(|sku| sku.len() < 4 || sku.starts_with('V'))
        .cloned()
        .collect();
    store
        .channel
        .change_all(&[Kind::Stock, Kind::Price], 3, &skus)
        .await;
    store.channel.converged().await;
    store.assert_converged();
    assert!(store.emulator.state().stats().refused > 0);
    assert_troubled(store.emulator.met());
    store.channel.stop().await;
}

/// Each shipment is a note once and each order ends as completed, through failures, and what the shop's people have decided stays.
#[tokio::test]
async fn orders_are_told_once_in_trouble_and_a_refund_is_left_alone() {
    let mut store = Store::open(troubled(trouble(80_000)));
    store.emulator.state().set_status(8, "refunded");
    store.channel.ship_in_two("woo", 1..=8, &["P1", "P2"]).await;
    store
        .channel
        .order("woo/9", 4, order(Status::Rejected, &["P1"], &[]))
        .await;
    store
        .channel
        .order("woo/900001", 4, order(Status::Rejected, &["P1"], &[]))
        .await;
    store.channel.converged().await;
    let mut orders = store.emulator.state().orders();
    assert_eq!(orders.remove(&9).unwrap().status, "cancelled");
    let notes = [
        "Shipment 1: 4 x P1, with UPS, tracking number 1Z1",
        "Shipment 2: 6 x P1, 10 x P2, with UPS, tracking number 1Z2",
    ];
    for (number, held) in &orders {
        let status = if *number == 8 { "refunded" } else { "completed" };
        assert_eq!(
            (held.status.as_str(), &held.notes[..]),
            (status, &notes.map(str::to_owned)[..]),
            "{number}"
        );
    }
    assert_eq!(orders.len(), 8);
    let refused = store.channel.refused().await;
    let refused: Vec<_> = refused.keys().map(|(_, order)| order.as_str()).collect();
    assert_eq!(refused, ["woo/900001"]);
    assert_troubled(store.emulator.met());
    store.channel.stop().await;
}
