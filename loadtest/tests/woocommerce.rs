//! Egress to a WooCommerce shop: batches of 100, a result an item, a host that counts requests.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

mod support;

use lockstep_actors::channels::Kind;
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{ChannelCommand, ChannelConfig, WooCommerce};
use lockstep_loadtest::emulate::woocommerce::{self, Options, Shop};
use lockstep_loadtest::emulate::{Emulator, Probability};
use std::collections::BTreeMap;
use support::{Channel, order};

/// SKUs `P1` to `P500` are products, `V10.1` to `V10.9` variations of product 10; `GONE` does not exist in the shop.
struct Store {
    emulator: Emulator<Shop>,
    channel: Channel,
    ids: BTreeMap<String, u64>,
    _files: tempfile::TempDir,
}

impl Store {
    fn open(options: &Options) -> Self {
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

#[tokio::test]
async fn s54_full_batches_and_bad_items_cost_themselves() {
    let mut store = Store::open(&host());
    for round in 1..=3 {
        for number in 1..=500 {
            store
                .channel
                .change(Kind::Stock, &format!("P{number}"), round * 1_000 + number)
                .await;
        }
    }
    for number in 1..=500 {
        store
            .channel
            .change(Kind::Price, &format!("P{number}"), 100 + number)
            .await;
    }
    store.channel.change(Kind::Stock, "GONE", 5).await;
    store.channel.change(Kind::Stock, "NOWHERE", 5).await;
    store.channel.converged().await;
    let view = store.channel.handle.ask(ChannelCommand::Show).await.unwrap();
    let stats = store.emulator.state().stats();
    assert_eq!(
        (stats.throttled, stats.too_large, stats.failed),
        (0, 0, 0),
        "{stats:?}"
    );
    assert!(stats.largest == 100, "{stats:?}");
    store.assert_converged();
    let refused: BTreeMap<_, _> = view
        .refused
        .iter()
        .map(|item| (item.key.as_str(), item.reason.as_str()))
        .collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert_eq!(
        refused["GONE"],
        "Invalid ID. (woocommerce_rest_product_invalid_id)"
    );
    assert!(
        refused["NOWHERE"].contains("file of the shop's products"),
        "{refused:?}"
    );
    store.channel.stop().await;
}

#[tokio::test]
async fn products_and_variations_converge_through_storms_and_failures() {
    let options = Options {
        rate: "200/s".parse().unwrap(),
        burst: "200".parse().unwrap(),
        fail: Probability::per_million(100_000),
        fail_after_commit: Probability::per_million(100_000),
        item_fail: Probability::per_million(50_000),
        storm: Probability::per_million(50_000),
        ..host()
    };
    let mut store = Store::open(&options);
    let skus: Vec<String> = store
        .ids
        .keys()
        .filter(|sku| sku.len() < 4 || sku.starts_with('V'))
        .cloned()
        .collect();
    for round in 1..=3 {
        for (place, sku) in (1..).zip(&skus) {
            store
                .channel
                .change(Kind::Stock, sku, round * 1_000 + place)
                .await;
            store.channel.change(Kind::Price, sku, round * 100 + place).await;
        }
    }
    store.channel.converged().await;
    store.assert_converged();
    let stats = store.emulator.state().stats();
    assert!(
        stats.failed > 0 && stats.refused > 0 && stats.throttled == 0,
        "{stats:?}"
    );
    store.channel.stop().await;
}

/// Each shipment is a note once and each order ends as completed, through failures, and what the shop's people have decided stays.
#[tokio::test]
async fn orders_are_told_once_in_trouble_and_a_refund_is_left_alone() {
    let options = Options {
        rate: "200/s".parse().unwrap(),
        burst: 20.try_into().unwrap(),
        fail: Probability::per_million(50_000),
        fail_after_commit: Probability::per_million(100_000),
        storm: Probability::per_million(50_000),
        ..Options::default()
    };
    let mut store = Store::open(&options);
    store.emulator.state().set_status(8, "refunded");
    let first: &[(u16, i64)] = &[(1, 4)];
    let rest: &[(u16, i64)] = &[(1, 6), (2, 10)];
    for (change, status, shipments) in [
        (7, Status::Booked, &[first][..]),
        (9, Status::Shipped, &[first, rest]),
    ] {
        for number in 1..=8 {
            let shown = order(status, &["P1", "P2"], shipments);
            store.channel.order(&format!("woo/{number}"), change, shown).await;
        }
    }
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
    let view = store.channel.handle.ask(ChannelCommand::Show).await.unwrap();
    assert_eq!(view.refused.len(), 1, "{:?}", view.refused);
    assert_eq!(view.refused[0].key, "woo/900001");
    let stats = store.emulator.state().stats();
    assert!(stats.failed > 0 && stats.throttled == 0, "{stats:?}");
    store.channel.stop().await;
}
