//! Egress to a BigCommerce store: a quota of requests, one bulk at a time, a request that is refused as a whole.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

mod support;

use lockstep_actors::channels::Kind;
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{BigCommerce, ChannelCommand, ChannelConfig};
use lockstep_loadtest::emulate::bigcommerce::{self, Options};
use lockstep_loadtest::emulate::{Emulator, Faults, Probability, Shipped};
use std::collections::BTreeMap;
use std::time::Duration;
use support::{Channel, assert_troubled, order, skus, trouble};

struct Store {
    emulator: Emulator<bigcommerce::BigCommerce>,
    channel: Channel,
    _files: tempfile::TempDir,
}

impl Store {
    /// A channel that knows the quota of `options`.
    fn open(options: Options, batch: usize) -> Self {
        let per_ms = u64::try_from(options.window.as_millis()).unwrap();
        let window = serde_json::json!({ "units": options.quota, "per_ms": per_ms });
        let limits = serde_json::json!({ "requests": { "window": window } });
        Self::limited(options, batch, &limits)
    }

    /// A channel that waits 500 ms for an answer; `batch` items a request.
    fn limited(options: Options, batch: usize, limits: &serde_json::Value) -> Self {
        let emulator = bigcommerce::start(options).unwrap();
        let files = tempfile::tempdir().unwrap();
        let token = files.path().join("token");
        std::fs::write(&token, "token_1\n").unwrap();
        let config: ChannelConfig = serde_json::from_value(serde_json::json!({
            "name": "bc", "kind": "bigcommerce", "url": format!("{}/stores/abc123", emulator.url()), "timeout_ms": 500,
            "publishes": ["stock", "price", "order-status"], "price_list": { "list": "retail", "currency": "EUR" },
            "limits": limits,
            "operations": { "set-stock": { "max_items": batch }, "set-prices": { "max_items": batch } },
            "bigcommerce": { "access_token": { "file": token }, "location": 1, "price_list": 2,
                "carriers": { "UPS": "ups" } },
        }))
        .unwrap();
        let channel = Channel::start(&config, BigCommerce::new(&config).unwrap());
        Self {
            emulator,
            channel,
            _files: files,
        }
    }

    fn assert_converged(&self) {
        let held = |kind| self.channel.books.held(kind).into_iter();
        let stock = held(Kind::Stock).filter(|(sku, _)| !sku.starts_with("GONE"));
        let stock: BTreeMap<String, i64> = stock.map(|(sku, (units, _))| (sku, units)).collect();
        assert_eq!(self.emulator.state().levels(), stock);
        let cents = |price: &String| {
            let (whole, part) = price.split_once('.').unwrap_or((price, ""));
            format!("{whole}{part:0<2}").parse::<i64>().unwrap()
        };
        let prices = held(Kind::Price).filter(|(sku, _)| !sku.starts_with("GONE"));
        let prices: BTreeMap<String, i64> = prices.map(|(sku, (cents, _))| (sku, cents)).collect();
        let shown = self.emulator.state().prices();
        let shown: BTreeMap<String, i64> = shown
            .iter()
            .map(|(sku, price)| (sku.clone(), cents(price)))
            .collect();
        assert_eq!(shown, prices);
    }
}

const BOTH: [Kind; 2] = [Kind::Stock, Kind::Price];

/// A tenth of the plan Standard's quota, in a thirtieth of its window.
fn standard() -> Options {
    Options {
        quota: "15".parse().unwrap(),
        window: Duration::from_secs(1),
        faults: Faults {
            latency: Duration::from_millis(5),
            ..Faults::default()
        },
        ..Options::default()
    }
}

#[tokio::test]
async fn s52_the_quota_is_kept_bulks_never_overlap_and_what_is_unknown_costs_itself() {
    let mut store = Store::open(standard(), 100);
    store.channel.change_all(&BOTH, 5, &skus(1..=500)).await;
    store.channel.change(Kind::Stock, "GONE-1", 5).await;
    store.channel.change(Kind::Price, "GONE-2", 500).await;
    store.channel.converged().await;
    store.assert_converged();
    let (stats, met) = (store.emulator.state().stats(), store.emulator.met());
    assert_eq!(
        (met.throttled, stats.oversized, met.failed, stats.overlapping),
        (0, 0, 0, 0),
        "{stats:?} {met:?}"
    );
    assert!(
        stats.largest == 100 && stats.levels_set < 2_500,
        "changes of one SKU are sent as one: {stats:?}"
    );
    let refused = store.channel.refused().await;
    assert_eq!(refused.len(), 2, "{refused:?}");
    let of = |kind: Kind, sku: &str| refused[&(kind, sku.to_owned())].as_str();
    assert!(
        of(Kind::Stock, "GONE-1").contains("[Item with sku GONE-1 does not exist]"),
        "{refused:?}"
    );
    assert_eq!(of(Kind::Price, "GONE-2"), "sku: The sku GONE-2 is not known.");
    store.channel.stop().await;
}

/// A quota that is hardly met.
fn wide(faults: Faults) -> Options {
    Options {
        quota: "200".parse().unwrap(),
        window: Duration::from_secs(1),
        faults,
        ..Options::default()
    }
}

/// The account has 200 requests and not the 150 of the plan Standard, of which somebody else has taken 100.
#[tokio::test]
async fn the_quota_is_learnt_from_the_headers() {
    let options = Options {
        quota: "200".parse().unwrap(),
        window: Duration::from_secs(3_600),
        ..Options::default()
    };
    let mut store = Store::limited(options, 1, &serde_json::json!({}));
    store.emulator.state().draw(100);
    for number in 1..=60 {
        store
            .channel
            .change(Kind::Stock, &format!("S{number}"), number)
            .await;
    }
    store.channel.converged().await;
    let view = store.channel.handle.ask(ChannelCommand::Show).await.unwrap();
    let requests = view
        .report
        .limits
        .iter()
        .find(|limit| limit.name == "requests")
        .unwrap();
    assert_eq!((requests.drawn, requests.of), (160, 200));
    store.channel.stop().await;
}

#[tokio::test]
async fn a_store_in_trouble_converges() {
    let mut store = Store::open(
        wide(Faults {
            stale_read: Probability::per_million(50_000),
            ..trouble(100_000)
        }),
        10,
    );
    store.channel.change_all(&BOTH, 5, &skus(1..=100)).await;
    store.channel.converged().await;
    store.assert_converged();
    assert_troubled(store.emulator.met());
    assert!(store.emulator.met().storms > 0);
    store.channel.stop().await;
}

/// Records that fail are exceptions, and the others of their requests are set.
#[tokio::test]
async fn s54_a_price_record_that_fails_costs_itself() {
    let mut store = Store::open(
        wide(Faults {
            item_fail: Probability::per_million(50_000),
            ..Faults::default()
        }),
        10,
    );
    store.channel.change_all(&[Kind::Price], 1, &skus(1..=100)).await;
    store.channel.converged().await;
    let refused = store.channel.refused().await;
    assert!(!refused.is_empty() && refused.len() < 20, "{refused:?}");
    for sku in skus(1..=100) {
        // One that is refused may have been set with a request in which another one failed.
        let is_dealt_with = store.emulator.state().prices().contains_key(&sku)
            || refused.contains_key(&(Kind::Price, sku.clone()));
        assert!(is_dealt_with, "{sku}");
    }
    store.channel.stop().await;
}

/// A request is given up after 500 ms; the newer value is taken; then the older one arrives, and does not stay.
#[tokio::test]
async fn an_older_value_that_arrives_late_does_not_stay() {
    let mut store = Store::open(wide(Faults::default()), 10);
    store.emulator.hold_next();
    store.channel.change(Kind::Stock, "A", 5).await;
    store.emulator.until_held(1).await;
    store.channel.change(Kind::Stock, "A", 9).await;
    let shows = |units: i64| move |store: &bigcommerce::BigCommerce| store.levels().get("A") == Some(&units);
    store.emulator.until(shows(9)).await;
    store.emulator.release();
    store.emulator.until(shows(5)).await;
    store.channel.converged().await;
    store.assert_converged();
    assert_eq!(store.emulator.state().stats().lowered, 1);
    store.channel.stop().await;
}

/// Each shipment is there once and by address, and each order ends as shipped or cancelled, through failures; what the store's people
/// have decided stays.
#[tokio::test]
async fn orders_are_told_once_in_trouble_and_what_is_refunded_is_an_exception() {
    let mut store = Store::open(wide(trouble(50_000)), 10);
    let skus = ["S1", "S2"];
    for number in 1..=10 {
        store
            .emulator
            .state()
            .place(number, &[("S1", 10, 51), ("S2", 10, 52)]);
    }
    store.emulator.state().set_status(8, 4);
    store.channel.ship_in_two("bc", 1..=8, &skus).await;
    for number in [9, 99] {
        let given_up = order(Status::Rejected, &skus, &[]);
        store.channel.order(&format!("bc/{number}"), 4, given_up).await;
    }
    store.channel.converged().await;
    let orders = store.emulator.state().orders();
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
    let told = [
        shipment(1, &[("S1", 4)]),
        shipment(2, &[("S1", 6)]),
        shipment(2, &[("S2", 10)]),
    ];
    for number in 1..=7 {
        let held = &orders[&number];
        assert_eq!((held.status, &held.shipments[..]), (2, &told[..]), "{number}");
    }
    assert_eq!((orders[&8].status, orders[&8].shipments.len()), (4, 0));
    assert_eq!((orders[&9].status, orders[&10].status), (5, 11));
    let refused = store.channel.refused().await;
    assert_eq!(refused.len(), 2, "{refused:?}");
    let of = |order: &str| refused[&(Kind::Order, order.to_owned())].as_str();
    assert_eq!(
        of("bc/8"),
        "goods have left for an order that the store shows as Refunded"
    );
    assert!(of("bc/99").contains("The requested resource was not found."));
    assert_troubled(store.emulator.met());
    store.channel.stop().await;
}
