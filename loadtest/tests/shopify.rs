//! Egress to a Shopify shop that enforces what the documentation says: points, arrays of 250, comparing.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use lockstep_actors::channels::Kind;
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{ChannelConfig, Shopify};
use lockstep_loadtest::emulate::shopify::{self, Fulfillment, Options};
use lockstep_loadtest::emulate::{Emulator, Faults, Probability};
use std::collections::BTreeMap;
use std::fmt::Write;
use support::{Channel, assert_troubled, order, skus, trouble};

struct Shop {
    emulator: Emulator<shopify::Shopify>,
    channel: Channel,
    _files: tempfile::TempDir,
}

impl Shop {
    /// A shop with the SKUs S1 to S1000, and one more that it does not know.
    fn open(options: Options, batch: usize) -> Self {
        let emulator = shopify::start(options).unwrap();
        let files = tempfile::tempdir().unwrap();
        let mut rows = String::from("sku,inventory_item,variant\nGONE,999999999,999999999\n");
        for number in 1..=1_000 {
            writeln!(rows, "S{number},{number},{number}").unwrap();
        }
        let items = files.path().join("items.csv");
        std::fs::write(&items, rows).unwrap();
        let token = files.path().join("token");
        std::fs::write(&token, "shpat_test\n").unwrap();
        let config: ChannelConfig = serde_json::from_value(serde_json::json!({
            "name": "shop", "kind": "shopify", "url": emulator.url(), "timeout_ms": 1_000,
            "publishes": ["stock", "price", "order-status"], "price_list": { "list": "L", "currency": "EUR" },
            "operations": { "set-stock": { "max_items": batch } },
            "shopify": {
                "access_token": { "file": token }, "items": items,
                "location": "gid://shopify/Location/1", "price_list": "gid://shopify/PriceList/1",
            },
        }))
        .unwrap();
        let channel = Channel::start(&config, Shopify::new(&config).unwrap());
        Self {
            emulator,
            channel,
            _files: files,
        }
    }

    fn number(sku: &str) -> u64 {
        sku.trim_start_matches('S').parse().unwrap()
    }

    fn assert_converged(&self) {
        let expected = |kind| {
            self.channel
                .books
                .held(kind)
                .into_iter()
                .filter(|(sku, _)| sku != "GONE")
        };
        let stock: BTreeMap<u64, i64> = expected(Kind::Stock)
            .map(|(sku, (units, _))| (Self::number(&sku), units))
            .collect();
        assert_eq!(self.emulator.state().quantities(), stock);
        let prices = expected(Kind::Price).map(|(sku, (cents, _))| (Self::number(&sku), cents));
        let shown = self.emulator.state().prices().into_iter();
        let shown: BTreeMap<u64, i64> = shown
            .map(|(variant, amount)| (variant, amount.replace('.', "").parse().unwrap()))
            .collect();
        assert_eq!(shown, prices.collect());
    }
}

/// 100 points a second are 10 mutations a second: 1,000 SKUs in 4 full requests, then what changes.
#[tokio::test]
async fn s52_a_standard_shop_is_never_asked_too_much() {
    let mut shop = Shop::open(Options::default(), 250);
    let (all, tenth) = (skus(1..=1_000), skus(1..=100));
    shop.channel.change_all(&[Kind::Stock], 5, &all).await;
    shop.channel.change_all(&[Kind::Price], 5, &tenth).await;
    shop.channel.converged().await;
    shop.assert_converged();
    let (stats, met) = (shop.emulator.state().stats(), shop.emulator.met());
    assert_eq!(
        (met.throttled, stats.oversized, stats.stale),
        (0, 0, 0),
        "{stats:?} {met:?}"
    );
    assert!(
        stats.quantities_set < 5_000,
        "changes of one SKU are sent as one: {stats:?}"
    );
    shop.channel.stop().await;
}

/// The shop sells by itself: what it shows is not what it was told, and it is found out by comparing.
#[tokio::test]
async fn an_order_in_the_shop_is_noticed_by_comparing() {
    let mut shop = Shop::open(Options::default(), 250);
    shop.channel.change(Kind::Stock, "S1", 100).await;
    shop.channel.change(Kind::Stock, "S2", 100).await;
    shop.channel.converged().await;
    shop.emulator.state().sell(1, 3);
    shop.channel.change(Kind::Stock, "S1", 80).await;
    shop.channel.change(Kind::Stock, "S2", 70).await;
    shop.channel.converged().await;
    shop.assert_converged();
    let stats = shop.emulator.state().stats();
    assert_eq!((stats.stale, stats.read), (1, 1), "{stats:?}");
    shop.channel.stop().await;
}

#[tokio::test]
async fn s54_what_the_shop_does_not_know_is_an_exception_in_its_words_and_the_rest_goes() {
    let mut shop = Shop::open(Options::default(), 250);
    for name in ["S1", "GONE", "UNLISTED", "S2"] {
        shop.channel.change(Kind::Stock, name, 50).await;
    }
    shop.channel.converged().await;
    let refused = shop.channel.refused().await;
    assert_eq!(refused.len(), 2, "{refused:?}");
    let of = |sku: &str| refused[&(Kind::Stock, sku.to_owned())].as_str();
    assert!(
        of("GONE").contains("The specified inventory item could not be found."),
        "{refused:?}"
    );
    assert!(!of("UNLISTED").is_empty());
    assert_eq!(
        shop.emulator.state().quantities(),
        BTreeMap::from([(1, 50), (2, 50)])
    );
    shop.channel.stop().await;
}

#[tokio::test]
async fn a_shop_in_trouble_converges() {
    let options = Options {
        restore: "1000/s".parse().unwrap(),
        faults: Faults {
            stale_read: Probability::per_million(100_000),
            storm: Probability::per_million(150_000),
            ..trouble(50_000)
        },
        ..Options::default()
    };
    let mut shop = Shop::open(options, 10);
    shop.channel.change_all(&[Kind::Stock], 10, &skus(1..=200)).await;
    shop.channel.converged().await;
    shop.assert_converged();
    assert_troubled(shop.emulator.met());
    assert!(shop.emulator.met().storms > 0);
    shop.channel.stop().await;
}

fn fulfilled(order: u64, tracking: &str, lines: &[(&str, i64)]) -> Fulfillment {
    Fulfillment {
        order,
        tracking: Some(tracking.to_owned()),
        lines: lines
            .iter()
            .map(|(sku, units)| ((*sku).to_owned(), *units))
            .collect(),
    }
}

#[tokio::test]
async fn each_shipment_is_fulfilled_once_however_often_it_is_told() {
    let mut shop = Shop::open(Options::default(), 250);
    shop.emulator.state().place(7, &[("S1", 10), ("S2", 10)]);
    let skus = ["S1", "S2"];
    let first: &[(u16, i64)] = &[(1, 4)];
    let rest: &[(u16, i64)] = &[(1, 6), (2, 10)];
    shop.channel
        .order("shop/7", 5, order(Status::Booked, &skus, &[first]))
        .await;
    shop.channel.converged().await;
    let told = vec![fulfilled(7, "1Z1", &[("S1", 4)])];
    assert_eq!(shop.emulator.state().fulfillments(), told);
    for change in [6, 7] {
        let shown = order(Status::Shipped, &skus, &[first, rest]);
        shop.channel.order("shop/7", change, shown).await;
        shop.channel.converged().await;
    }
    let told = [&told[..], &[fulfilled(7, "1Z2", &[("S1", 6), ("S2", 10)])]].concat();
    assert_eq!(shop.emulator.state().fulfillments(), told);
    let met = shop.emulator.met();
    assert_eq!(met.throttled, 0, "{met:?}");
    shop.channel.stop().await;
}

#[tokio::test]
async fn a_shop_in_trouble_has_each_shipment_once() {
    let options = Options {
        restore: "1000/s".parse().unwrap(),
        faults: trouble(50_000),
        ..Options::default()
    };
    let mut shop = Shop::open(options, 250);
    let lines: &[(u16, i64)] = &[(1, 5)];
    for number in 1..=20 {
        shop.emulator.state().place(number, &[("S1", 10)]);
        for (change, shipments) in [(5, &[lines][..]), (6, &[lines, lines])] {
            let shown = order(Status::Shipped, &["S1"], shipments);
            shop.channel.order(&format!("shop/{number}"), change, shown).await;
        }
    }
    shop.channel.converged().await;
    let mut told = shop.emulator.state().fulfillments();
    told.sort_by_key(|told| (told.order, told.tracking.clone()));
    let expected =
        (1..=20).flat_map(|number| ["1Z1", "1Z2"].map(|tracking| fulfilled(number, tracking, &[("S1", 5)])));
    assert_eq!(told, expected.collect::<Vec<_>>());
    assert_troubled(shop.emulator.met());
    assert!(shop.emulator.met().storms > 0);
    shop.channel.stop().await;
}

#[tokio::test]
async fn an_order_that_is_given_up_is_cancelled_and_what_cannot_be_is_an_exception() {
    let mut shop = Shop::open(Options::default(), 250);
    for number in [1, 2] {
        shop.emulator.state().place(number, &[("S1", 10)]);
    }
    let given_up = || order(Status::Cancelled, &["S1"], &[]);
    shop.channel.order("shop/1", 4, given_up()).await;
    // Twice the same, one that the shop does not know, and goods that the customer did not order there.
    shop.channel.order("shop/1", 5, given_up()).await;
    shop.channel.order("shop/99", 4, given_up()).await;
    let other: &[(u16, i64)] = &[(1, 3)];
    shop.channel
        .order("shop/2", 6, order(Status::Shipped, &["S9"], &[other]))
        .await;
    // A status that a shop has nothing to do with.
    shop.channel
        .order("shop/3", 3, order(Status::Booked, &["S1"], &[]))
        .await;
    shop.channel.converged().await;
    assert!(shop.emulator.state().is_cancelled(1));
    let refused = shop.channel.refused().await;
    let refused: Vec<_> = refused
        .iter()
        .map(|((_, order), reason)| (order.as_str(), reason.as_str()))
        .collect();
    let expected = [
        (
            "shop/2",
            "3 of S9 have left, and the shop's order has none open to be fulfilled",
        ),
        ("shop/99", "the shop has no such order"),
    ];
    assert_eq!(refused, expected);
    shop.channel.stop().await;
}
