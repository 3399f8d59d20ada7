//! Egress to a shop of Adobe Commerce: bulks that are accepted and worked on later, an outcome an item.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

mod support;

use lockstep_actors::channels::Kind;
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{AdobeCommerce, ChannelConfig};
use lockstep_loadtest::emulate::adobe_commerce::{self, Options};
use lockstep_loadtest::emulate::{Emulator, Faults, Probability, Shipped};
use std::collections::BTreeMap;
use support::{Channel, assert_troubled, order, skus, trouble};

struct Shop {
    emulator: Emulator<adobe_commerce::AdobeCommerce>,
    channel: Channel,
    _files: tempfile::TempDir,
}

impl Shop {
    /// A channel with the limits of the documentation and bulks of `batch`, to a shop on a host that allows as much.
    fn open(options: Options, batch: usize) -> Self {
        Self::limited(options, batch, 60, &serde_json::json!({}))
    }

    /// A channel that waits two seconds for the final word on a bulk, to a shop that works on a thousand operations a second.
    fn fast(options: &Options, batch: usize) -> Self {
        let options = Options {
            work: "1000/s".parse().unwrap(),
            ..*options
        };
        Self::wide(&options, batch, 2)
    }

    /// A channel with wide limits, to a shop on a fast host.
    fn wide(options: &Options, batch: usize, queue_seconds: u64) -> Self {
        let wide = serde_json::json!({ "bucket": { "burst": 20, "refill": 20, "per_ms": 1_000 } });
        let limits = serde_json::json!({ "bulks": wide, "questions": wide, "requests": wide });
        let options = Options {
            rate: "60/s".parse().unwrap(),
            burst: "60".parse().unwrap(),
            ..*options
        };
        Self::limited(options, batch, queue_seconds, &limits)
    }

    /// A channel that waits 500 ms for an answer and so many seconds for the final word on a bulk.
    fn limited(options: Options, batch: usize, queue_seconds: u64, limits: &serde_json::Value) -> Self {
        let emulator = adobe_commerce::start(options).unwrap();
        let files = tempfile::tempdir().unwrap();
        let token = files.path().join("token");
        std::fs::write(&token, "token_1\n").unwrap();
        let config: ChannelConfig = serde_json::from_value(serde_json::json!({
            "name": "ac", "kind": "adobe-commerce", "url": emulator.url(), "timeout_ms": 500,
            "publishes": ["stock", "price", "order-status"], "price_list": { "list": "retail", "currency": "EUR" },
            "limits": limits,
            "operations": { "set-stock": { "max_items": batch }, "set-prices": { "max_items": batch } },
            "adobe_commerce": { "access_token": { "file": token }, "queue_seconds": queue_seconds, "carriers": { "UPS": "ups" } },
        }))
        .unwrap();
        let channel = Channel::start(&config, AdobeCommerce::new(&config).unwrap());
        Self {
            emulator,
            channel,
            _files: files,
        }
    }

    fn assert_converged(&self) {
        let held = |kind| {
            let held = self.channel.books.held(kind).into_iter();
            held.filter(|(sku, _)| sku.starts_with('S'))
                .map(|(sku, (number, _))| (sku, number))
        };
        let stock: BTreeMap<String, i64> = held(Kind::Stock).collect();
        assert_eq!(self.emulator.state().quantities(), stock);
        let cents = |price: &String| {
            let (whole, part) = price.split_once('.').unwrap_or((price, ""));
            format!("{whole}{part:0<2}").parse::<i64>().unwrap()
        };
        let prices: BTreeMap<String, i64> = held(Kind::Price).collect();
        let shown = self.emulator.state().prices();
        let shown: BTreeMap<String, i64> = shown
            .iter()
            .map(|(sku, price)| (sku.clone(), cents(price)))
            .collect();
        assert_eq!(shown, prices);
    }

    async fn change_all(&mut self, rounds: i64, numbers: u64) {
        let kinds = [Kind::Stock, Kind::Price];
        self.channel.change_all(&kinds, rounds, &skus(1..=numbers)).await;
    }
}

/// Five hundred SKUs that change five times, to a consumer that works on 400 operations a second: the host's limit is kept, and what
/// the shop will not have stands among the exceptions in its words.
#[tokio::test]
async fn s56_a_bulk_counts_only_once_it_is_worked_on_and_each_item_has_its_own_outcome() {
    let options = Options {
        work: "400/s".parse().unwrap(),
        ..Options::default()
    };
    let mut shop = Shop::open(options, 100);
    shop.change_all(5, 500).await;
    for sku in ["GONE-1", "ODD-1"] {
        shop.channel.change(Kind::Stock, sku, 5).await;
        shop.channel.change(Kind::Price, sku, 500).await;
    }
    shop.channel.converged().await;
    shop.assert_converged();
    let (stats, met) = (shop.emulator.state().stats(), shop.emulator.met());
    assert_eq!(
        (met.throttled, stats.oversized, met.failed),
        (0, 0, 0),
        "{stats:?} {met:?}"
    );
    assert!(
        stats.largest == 100 && stats.complete < 5_000,
        "changes of one SKU are sent as one: {stats:?}"
    );
    let refused = shop.channel.refused().await;
    let gone = "The product that was requested doesn't exist. Verify the product and try again.";
    let not_set = "Invalid attribute %fieldName = %fieldValue. (SKU, GONE-1)";
    let of = |kind: Kind, sku: &str| refused[&(kind, sku.to_owned())].as_str();
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert_eq!(
        (of(Kind::Stock, "GONE-1"), of(Kind::Price, "GONE-1")),
        (gone, not_set)
    );
    for kind in [Kind::Stock, Kind::Price] {
        assert!(of(kind, "ODD-1").starts_with("Error processing"), "{refused:?}");
    }
    shop.channel.stop().await;
}

/// Twenty bulks of five could be handed in within a second; the shop works on ten in that time.
#[tokio::test]
async fn no_more_than_four_bulks_wait_in_the_shop() {
    let options = Options {
        work: "50/s".parse().unwrap(),
        ..Options::default()
    };
    let mut shop = Shop::wide(&options, 5, 60);
    shop.channel.change_all(&[Kind::Stock], 1, &skus(1..=100)).await;
    shop.channel.converged().await;
    shop.assert_converged();
    let (stats, met) = (shop.emulator.state().stats(), shop.emulator.met());
    assert!(
        stats.longest_queue <= 20 && met.throttled == 0 && stats.failed_operations == 0,
        "{stats:?} {met:?}"
    );
    shop.channel.stop().await;
}

#[tokio::test]
async fn a_shop_in_trouble_converges() {
    let options = Options {
        faults: Faults {
            stale_read: Probability::per_million(50_000),
            item_fail: Probability::per_million(50_000),
            ..trouble(40_000)
        },
        ..Options::default()
    };
    let mut shop = Shop::fast(&options, 10);
    shop.change_all(5, 100).await;
    shop.channel.converged().await;
    shop.assert_converged();
    assert!(shop.emulator.state().stats().failed_operations > 0);
    assert_troubled(shop.emulator.met());
    shop.channel.stop().await;
}

/// An operation that is never worked on leaves its bulk without a final word; what it carried goes again.
#[tokio::test]
async fn what_the_shop_never_works_on_is_written_again() {
    let options = Options {
        stuck: Probability::per_million(20_000),
        ..Options::default()
    };
    let mut shop = Shop::fast(&options, 5);
    shop.change_all(1, 60).await;
    shop.channel.converged().await;
    shop.assert_converged();
    assert!(shop.emulator.state().stats().stuck > 0);
    assert_eq!(shop.emulator.met().throttled, 0);
    shop.channel.stop().await;
}

/// A bulk is given up after 500 ms; the newer value is worked on; then the older bulk comes in, and its value does not stay.
#[tokio::test]
async fn an_older_bulk_that_arrives_late_does_not_stay() {
    let mut shop = Shop::fast(&Options::default(), 5);
    shop.emulator.hold_next();
    shop.channel.change(Kind::Stock, "S1", 5).await;
    shop.emulator.until_held(1).await;
    shop.channel.change(Kind::Stock, "S1", 9).await;
    let shows =
        |units: i64| move |shop: &adobe_commerce::AdobeCommerce| shop.quantities().get("S1") == Some(&units);
    shop.emulator.until(shows(9)).await;
    shop.emulator.release();
    shop.channel.converged().await;
    shop.assert_converged();
    assert_eq!(shop.emulator.state().stats().lowered, 1);
    shop.channel.stop().await;
}

#[tokio::test]
async fn orders_are_told_once_in_trouble_and_what_cannot_be_is_an_exception() {
    let options = Options {
        faults: trouble(40_000),
        ..Options::default()
    };
    let mut shop = Shop::fast(&options, 10);
    let skus = ["S1", "S2"];
    for number in 1..=10 {
        shop.emulator.state().place(number, &[("S1", 10), ("S2", 10)]);
    }
    shop.emulator.state().set_state(8, "closed");
    shop.channel.ship_in_two("ac", 1..=8, &skus).await;
    for number in [9, 99] {
        let given_up = order(Status::Rejected, &skus, &[]);
        shop.channel.order(&format!("ac/{number}"), 4, given_up).await;
    }
    let mut worded = order(Status::Released, &skus, &[]);
    worded.word = Some("picking".into());
    shop.channel.order("ac/10", 5, worded).await;
    shop.channel.converged().await;
    let orders = shop.emulator.state().orders();
    let shipment = |number: u32, lines: &[(&str, i64)]| {
        let lines: Vec<(String, i64)> = lines
            .iter()
            .map(|(sku, units)| ((*sku).to_owned(), *units))
            .collect();
        Shipped {
            tracking: format!("1Z{number}"),
            carrier: "ups".to_owned(),
            lines,
        }
    };
    let told = [shipment(1, &[("S1", 4)]), shipment(2, &[("S1", 6), ("S2", 10)])];
    for number in 1..=7 {
        let held = &orders[&number];
        assert_eq!(
            (held.state.as_str(), &held.shipments[..]),
            ("complete", &told[..]),
            "{number}"
        );
    }
    assert_eq!(orders[&8].shipments.len(), 0);
    assert_eq!(
        (orders[&9].state.as_str(), orders[&10].status.as_str()),
        ("canceled", "picking")
    );
    let refused = shop.channel.refused().await;
    assert_eq!(refused.len(), 2, "{refused:?}");
    let of = |order: &str| refused[&(Kind::Order, order.to_owned())].as_str();
    assert_eq!(
        of("ac/8"),
        "goods have left for an order that the shop shows as closed"
    );
    assert!(of("ac/99").contains("The entity that was requested doesn't exist."));
    assert_troubled(shop.emulator.met());
    shop.channel.stop().await;
}
