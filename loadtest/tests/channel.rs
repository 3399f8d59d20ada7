//! Channel egress against the emulated channel: it converges, never goes back, and keeps the limit.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use lockstep_actors::channels::{Kind, Report};
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{ChannelCommand, ChannelConfig, Webhook};
use lockstep_loadtest::emulate::channel::Options;
use lockstep_loadtest::emulate::{Emulator, Faults, Probability, channel};
use std::collections::BTreeMap;
use support::{Channel, assert_troubled, order, trouble};

fn config(emulator: &Emulator<channel::Channel>, burst: u32) -> ChannelConfig {
    let url = emulator.url();
    serde_json::from_value(serde_json::json!({
        "name": "shop", "kind": "http", "url": format!("{url}/levels"), "prices_url": format!("{url}/prices"),
        "orders_url": format!("{url}/orders"), "publishes": ["stock", "price", "order-status"], "price_list": { "list": "L", "currency": "EUR" },
        "limits": { "requests": { "bucket": { "burst": burst, "refill": 200, "per_ms": 1_000 } } },
        "operations": { "set-stock": { "max_items": 20 }, "set-prices": { "max_items": 20 } },
    }))
    .unwrap()
}

/// Changes 100 SKUs 20 times over, a price with every fifth, and waits until the channel's cursors stand at the ends.
async fn converge(options: Options, burst: u32) -> (Emulator<channel::Channel>, Report) {
    let emulator = channel::start(options).unwrap();
    let config = config(&emulator, burst);
    let mut shop = Channel::start(&config, Webhook::new(&config).unwrap());
    for round in 0..20 {
        for sku in 0..100 {
            let kind = if sku % 5 == 0 { Kind::Price } else { Kind::Stock };
            shop.change(kind, &format!("S{}", sku / 2), round * 100 + sku)
                .await;
        }
    }
    shop.converged().await;
    let report = shop.handle.ask(ChannelCommand::Show).await.unwrap().report;
    let levels = emulator.state().levels().into_iter();
    let levels: BTreeMap<_, _> = levels
        .map(|(sku, held)| (sku, (held.available, held.version)))
        .collect();
    assert_eq!(levels, shop.books.held(Kind::Stock));
    let prices = emulator.state().prices().into_iter();
    let cents = |amount: &str| amount.replace('.', "").parse().unwrap();
    let prices: BTreeMap<_, _> = prices
        .map(|(sku, held)| (sku, (cents(&held.amount), held.version)))
        .collect();
    assert_eq!(prices, shop.books.held(Kind::Price));
    shop.stop().await;
    (emulator, report)
}

fn troubled() -> Faults {
    Faults {
        item_fail: Probability::per_million(50_000),
        storm: Probability::per_million(200_000),
        ..trouble(50_000)
    }
}

fn throttled(report: &Report) -> u64 {
    report
        .operations
        .iter()
        .map(|operation| operation.throttled)
        .sum()
}

#[tokio::test]
async fn a_channel_in_trouble_converges_and_never_goes_back() {
    let options = Options {
        rate: "1000/s".parse().unwrap(),
        faults: troubled(),
        ..Options::default()
    };
    let (emulator, report) = converge(options, 50).await;
    assert_eq!(emulator.state().stats().stale_writes, 0);
    let met = emulator.met();
    assert_troubled(met);
    assert!(met.failed_items > 0 && met.storms > 0, "{met:?}");
    let retried: u64 = report.lanes.iter().map(|lane| lane.counts.retried).sum();
    assert!(throttled(&report) > 0 && retried > 0, "{report:?}");
    emulator.stop().await.unwrap();
}

/// Twenty orders, each told when it is booked, when a part has left and when all has; in trouble.
#[tokio::test]
async fn a_channel_in_trouble_knows_each_of_its_orders_and_shipments_once() {
    let options = Options {
        rate: "1000/s".parse().unwrap(),
        faults: troubled(),
        ..Options::default()
    };
    let emulator = channel::start(options).unwrap();
    let config = config(&emulator, 50);
    let mut shop = Channel::start(&config, Webhook::new(&config).unwrap());
    let first: &[(u16, i64)] = &[(1, 4)];
    let rest: &[(u16, i64)] = &[(1, 6), (2, 10)];
    let steps = [
        (5, Status::Booked, &[][..]),
        (7, Status::Booked, &[first]),
        (9, Status::Shipped, &[first, rest]),
    ];
    for (change, status, shipments) in steps {
        for number in 0..20 {
            let shown = order(status, &["A", "B"], shipments);
            shop.order(&format!("shop/{number}"), change, shown).await;
        }
    }
    shop.converged().await;
    let orders = emulator.state().orders();
    assert_eq!(orders.len(), 20);
    for (number, held) in &orders {
        let units: Vec<Vec<i64>> = held
            .shipments
            .iter()
            .map(|shipment| shipment.lines.iter().map(|line| line.quantity.units()).collect())
            .collect();
        let standing = (held.status.as_str(), held.version, units);
        assert_eq!(standing, ("shipped", 9, vec![vec![4], vec![6, 10]]), "{number}");
    }
    let stats = emulator.state().stats();
    assert_eq!((stats.stale_writes, stats.changed_shipments), (0, 0), "{stats:?}");
    shop.stop().await;
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn the_limit_of_the_channel_is_never_exceeded() {
    let options = Options {
        rate: "200/s".parse().unwrap(),
        burst: 3.try_into().unwrap(),
        ..Options::default()
    };
    let (emulator, _) = converge(options, 3).await;
    let stats = emulator.state().stats();
    assert_eq!(
        (emulator.met().throttled, stats.oversized, stats.stale_writes),
        (0, 0, 0),
        "{stats:?}"
    );
    assert!(
        stats.items < 2_000,
        "changes of one SKU are sent as one: {stats:?}"
    );
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn an_account_that_asks_too_much_is_throttled_and_converges() {
    let options = Options {
        rate: "100/s".parse().unwrap(),
        burst: 2.try_into().unwrap(),
        ..Options::default()
    };
    let (emulator, report) = converge(options, 1_000).await;
    assert!(throttled(&report) > 0);
    emulator.stop().await.unwrap();
}
