//! Egress to Amazon's listings: a rate an operation, accepted is not the final word.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use lockstep_actors::channels::Kind;
use lockstep_actors::ids::CarrierCode;
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{Amazon, ChannelCommand, ChannelConfig, outlast};
use lockstep_loadtest::emulate::amazon::{self, Options};
use lockstep_loadtest::emulate::{Emulator, Faults, Probability};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::{Channel, assert_troubled, order, skus, trouble};

struct Seller {
    emulator: Emulator<amazon::Amazon>,
    channel: Channel,
    config: ChannelConfig,
    _files: tempfile::TempDir,
}

/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(20);

impl Seller {
    fn open(options: Options) -> Self {
        let emulator = amazon::start(options).unwrap();
        let files = tempfile::tempdir().unwrap();
        let secret = files.path().join("secret");
        std::fs::write(&secret, "s\n").unwrap();
        let secret = serde_json::json!({ "file": secret });
        let wide = serde_json::json!({ "bucket": { "burst": 10, "refill": 10, "per_ms": 1_000 } });
        let config: ChannelConfig = serde_json::from_value(serde_json::json!({
            "name": "amazon-de", "kind": "amazon", "publishes": ["stock", "order-status"], "url": emulator.url(), "timeout_ms": 1_000,
            "amazon": {
                "seller": "A1", "carriers": { "DHL-EXPRESS": "DHL" }, "marketplace": "A1PA6795UKMFR9", "token_url": format!("{}/auth/o2/token", emulator.url()),
                "client_id": secret, "client_secret": secret, "refresh_token": secret, "feed_at_least": 100,
            },
            "limits": { "documents": wide, "feeds": wide, "ask-feed": wide, "reports": wide, "list-feeds": wide },
        }))
        .unwrap();
        let channel = Channel::start(&config, Amazon::new(&config).unwrap());
        Self {
            emulator,
            channel,
            config,
            _files: files,
        }
    }

    /// A seller whose account has a hundred patches a second and as many feeds and questions about them as are needed.
    fn with_feeds(options: &Options) -> Self {
        Self::open(Options {
            rate: "100/s".parse().unwrap(),
            burst: "100".parse().unwrap(),
            delay: Duration::from_millis(20),
            feeds: 1_000,
            feed_rate: "500".parse().unwrap(),
            ..*options
        })
    }

    /// So many SKUs are in stock before the channel is told of anything.
    fn stock(&self, skus: i64) {
        for number in 1..=skus {
            self.channel
                .books
                .change(Kind::Stock, &format!("S{number}"), number + 10);
        }
    }

    async fn resync(&self) {
        self.channel.handle.ask(ChannelCommand::Resync).await.unwrap();
    }

    /// Waits until everything has been told.
    async fn until_told(&mut self) {
        self.channel.converged().await;
        loop {
            let view = self.channel.handle.ask(ChannelCommand::Show).await.unwrap();
            let lanes = &view.report.lanes;
            if lanes.iter().all(|lane| lane.resync.is_none() && lane.untold == 0) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until Amazon has worked on so many messages of feeds.
    async fn until_applied(&self, messages: u64) {
        while self.emulator.state().feed_stats().applied < messages {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn assert_converged(&self) {
        let held = self.channel.books.held(Kind::Stock).into_iter();
        let stock: BTreeMap<_, _> = held
            .filter(|(sku, _)| !sku.starts_with("GONE"))
            .map(|(sku, (units, _))| (sku, units))
            .collect();
        assert_eq!(self.emulator.state().quantities(), stock);
    }
}

/// The account has a higher rate than the documentation's: it is learnt from the first answers, and never exceeded.
#[tokio::test]
async fn s56_what_is_accepted_counts_only_when_it_shows_and_the_rate_is_learnt() {
    let options = Options {
        rate: "100/s".parse().unwrap(),
        delay: Duration::from_millis(50),
        faults: Faults {
            item_fail: Probability::per_million(100_000),
            ..Faults::default()
        },
        ..Options::default()
    };
    let mut seller = Seller::open(options);
    seller.channel.change_all(&[Kind::Stock], 3, &skus(1..=60)).await;
    seller.channel.change(Kind::Stock, "GONE-1", 5).await;
    seller.channel.converged().await;
    let (stats, met) = (seller.emulator.state().stats(), seller.emulator.met());
    assert_eq!((met.throttled, stats.tokens), (0, 1), "{stats:?} {met:?}");
    assert!(met.failed_items > 0 && stats.accepted < 180, "{stats:?} {met:?}");
    // What failed later was submitted again; what does not exist is an exception in Amazon's words.
    seller.assert_converged();
    let refused = seller.channel.refused().await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    let gone = &refused[&(Kind::Stock, "GONE-1".to_owned())];
    assert!(gone.contains("SKU GONE-1 not found"), "{refused:?}");
    seller.channel.stop().await;
}

#[tokio::test]
async fn a_seller_in_trouble_converges() {
    let options = Options {
        rate: "100/s".parse().unwrap(),
        delay: Duration::from_millis(20),
        faults: Faults {
            item_fail: Probability::per_million(50_000),
            stale_read: Probability::per_million(50_000),
            ..trouble(40_000)
        },
        ..Options::default()
    };
    let mut seller = Seller::open(options);
    seller.channel.change_all(&[Kind::Stock], 1, &skus(1..=60)).await;
    seller.channel.converged().await;
    seller.assert_converged();
    assert_troubled(seller.emulator.met());
    seller.channel.stop().await;
}

/// A package: reference, carrier, tracking number, and how much of which SKUs is in it.
type Told = (u64, String, String, Vec<(String, i64)>);

/// An order of three SKUs in two packages, one by a carrier that Amazon has a code for; told twice, through failures.
#[tokio::test]
async fn each_package_is_confirmed_once_and_what_lacks_a_tracking_number_is_an_exception() {
    let options = Options {
        faults: trouble(50_000),
        ..Options::default()
    };
    let mut seller = Seller::open(options);
    let skus = ["S1", "S2", "S3"];
    for number in ["302-1", "302-2"] {
        seller.emulator.state().place(number, &skus.map(|sku| (sku, 10)));
    }
    let first: &[(u16, i64)] = &[(1, 4), (3, 10)];
    let rest: &[(u16, i64)] = &[(1, 6), (2, 10)];
    let mut shown = order(Status::Booked, &skus, &[first]);
    shown.shipments[0].carriage.carrier = CarrierCode::new("DHL-EXPRESS").ok();
    seller.channel.order("amazon-de/302-1", 5, shown.clone()).await;
    seller.channel.converged().await;
    let mut all = order(Status::Shipped, &skus, &[first, rest]);
    all.shipments[0] = shown.shipments[0].clone();
    for change in [7, 8] {
        seller.channel.order("amazon-de/302-1", change, all.clone()).await;
        seller.channel.converged().await;
    }
    let mut bare = order(Status::Shipped, &skus, &[rest]);
    bare.shipments[0].carriage.tracking = None;
    seller.channel.order("amazon-de/302-2", 7, bare).await;
    seller.channel.converged().await;
    let packages = seller.emulator.state().packages();
    let told = |number: &str| -> Vec<Told> {
        let packages = packages[number].0.clone().into_iter();
        packages
            .map(|(reference, package)| {
                (
                    reference,
                    package.carrier,
                    package.tracking,
                    package.lines.into_iter().collect(),
                )
            })
            .collect()
    };
    let lines = |lines: &[(&str, i64)]| {
        lines
            .iter()
            .map(|(sku, units)| ((*sku).to_owned(), *units))
            .collect()
    };
    let expected: Vec<Told> = vec![
        (1, "DHL".into(), "1Z1".into(), lines(&[("S1", 4), ("S3", 10)])),
        (2, "Other".into(), "1Z2".into(), lines(&[("S1", 6), ("S2", 10)])),
    ];
    assert_eq!(told("302-1"), expected);
    assert_eq!(packages["302-1"].1, 2, "each was confirmed once");
    assert_eq!(told("302-2"), []);
    let refused = seller.channel.refused().await;
    let reasons: Vec<_> = refused.values().map(String::as_str).collect();
    assert_eq!(
        reasons,
        ["shipment 1 has no carrier or no tracking number, which Amazon needs"]
    );
    assert_eq!(seller.emulator.met().throttled, 0);
    seller.channel.stop().await;
}

/// 3,000 SKUs would take ten minutes at the documented five a second. What changes while the feed is worked on is patched at once,
/// written over by the feed, and patched again.
#[tokio::test]
async fn s57_everything_is_told_by_a_feed_beside_live_changes_and_no_older_value_stays() {
    let mut seller = Seller::with_feeds(&Options::default());
    seller.stock(3_000);
    for sku in ["GONE-1", "ODD-1"] {
        seller.channel.books.change(Kind::Stock, sku, 5);
    }
    seller.resync().await;
    seller.until_applied(100).await;
    // Of its later messages, in the order of SKUs.
    for number in 2_900..3_000 {
        seller.channel.change(Kind::Stock, &format!("S{number}"), 0).await;
    }
    while !(2_900..3_000)
        .all(|number| seller.emulator.state().quantities().get(&format!("S{number}")) == Some(&0))
    {
        assert!(
            seller.emulator.state().feed_stats().applied < 2_000,
            "the feed was faster than the patches"
        );
        tokio::time::sleep(LOOK).await;
    }
    seller.until_told().await;
    let (stats, feeds) = (
        seller.emulator.state().stats(),
        seller.emulator.state().feed_stats(),
    );
    assert_eq!(
        (feeds.created, feeds.largest, feeds.applied, feeds.compressed),
        (1, 3_002, 3_000, 1),
        "{feeds:?}"
    );
    assert_eq!(feeds.written_over, 100, "{feeds:?}");
    assert_eq!(seller.emulator.met().throttled, 0);
    // Each of the hundred before it, after it, and once more if the first one never showed.
    assert!(stats.accepted <= 300, "{stats:?}");
    let held = seller.channel.books.held(Kind::Stock).into_iter();
    let stock: BTreeMap<_, _> = held
        .filter(|(sku, _)| sku.starts_with('S'))
        .map(|(sku, (units, _))| (sku, units))
        .collect();
    assert_eq!(seller.emulator.state().quantities(), stock);
    let refused = seller.channel.refused().await;
    assert_eq!(refused.len(), 2, "{refused:?}");
    let of = |sku: &str| refused[&(Kind::Stock, sku.to_owned())].as_str();
    assert_eq!(of("ODD-1"), "90225 The value is not valid.");
    assert!(of("GONE-1").contains("SKU GONE-1 not found"), "{refused:?}");
    seller.channel.stop().await;
}

#[tokio::test]
async fn few_skus_are_patched_singly() {
    let mut seller = Seller::with_feeds(&Options::default());
    seller.stock(99);
    seller.resync().await;
    seller.until_told().await;
    seller.assert_converged();
    assert_eq!(seller.emulator.state().feed_stats().created, 0);
    seller.channel.stop().await;
}

/// Some messages are lost, a feed breaks off, requests fail before and after they have had their effect.
#[tokio::test]
async fn feeds_in_trouble_converge() {
    let options = Options {
        faults: Faults {
            item_fail: Probability::per_million(20_000),
            ..trouble(20_000)
        },
        feed_fatal: Probability::per_million(400_000),
        ..Options::default()
    };
    let mut seller = Seller::with_feeds(&options);
    seller.stock(300);
    seller.resync().await;
    for round in 0..3 {
        for number in 1..=60 {
            let sku = format!("S{}", number * 5);
            seller
                .channel
                .change(Kind::Stock, &sku, round * 100 + number)
                .await;
        }
        seller.until_told().await;
        seller.assert_converged();
        seller.resync().await;
    }
    seller.until_told().await;
    seller.assert_converged();
    let feeds = seller.emulator.state().feed_stats();
    assert!(feeds.lost > 0 && feeds.fatal > 0, "{feeds:?}");
    assert_troubled(seller.emulator.met());
    seller.channel.stop().await;
}

#[tokio::test]
async fn a_feed_whose_creation_had_no_answer_is_looked_for_and_not_created_again() {
    let mut seller = Seller::with_feeds(&Options::default());
    seller.stock(300);
    seller.emulator.state().lose_next_feed_answer();
    seller.resync().await;
    seller.until_told().await;
    seller.assert_converged();
    let (stats, feeds) = (
        seller.emulator.state().stats(),
        seller.emulator.state().feed_stats(),
    );
    assert_eq!(
        (feeds.created, feeds.applied, stats.accepted),
        (1, 300, 0),
        "{feeds:?} {stats:?}"
    );
    seller.channel.stop().await;
}

/// The feed of a process that is gone writes over what the next one has told; so that one tells everything once it has ended.
#[tokio::test]
async fn a_feed_of_before_the_start_is_outlasted() {
    let mut seller = Seller::with_feeds(&Options {
        feed_message: Duration::from_millis(25),
        ..Options::default()
    });
    // The feed of before, in the order of its SKUs: S9 is among its last.
    seller.stock(400);
    seller.resync().await;
    seller.until_applied(1).await;
    let amazon = Arc::new(Amazon::new(&seller.config).unwrap());
    let next = Channel::start(&seller.config, Arc::clone(&amazon));
    let before = std::mem::replace(&mut seller.channel, next);
    before.stop().await;
    seller.stock(400);
    let handle = seller.channel.handle.clone();
    let outlasting = tokio::spawn(async move { outlast(&amazon, &handle, LOOK).await });
    seller.channel.change(Kind::Stock, "S9", 0).await;
    while seller.emulator.state().quantities().get("S9") != Some(&0) {
        tokio::time::sleep(LOOK).await;
    }
    seller.until_applied(400).await;
    outlasting.await.unwrap();
    seller.until_told().await;
    seller.assert_converged();
    let feeds = seller.emulator.state().feed_stats();
    assert_eq!((feeds.created, feeds.written_over), (2, 1), "{feeds:?}");
    seller.channel.stop().await;
}
