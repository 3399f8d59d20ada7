//! Egress to Amazon's listings: a rate an operation, accepted is not the final word.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

mod support;

use lockstep_actors::channels::Kind;
use lockstep_actors::ids::CarrierCode;
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{Amazon, ChannelCommand, ChannelConfig};
use lockstep_loadtest::emulate::amazon::{self, Options};
use lockstep_loadtest::emulate::{Emulator, Probability};
use std::collections::BTreeMap;
use std::time::Duration;
use support::{Channel, order};

struct Seller {
    emulator: Emulator<amazon::Amazon>,
    channel: Channel,
    _files: tempfile::TempDir,
}

impl Seller {
    fn open(options: Options) -> Self {
        let emulator = amazon::start(options).unwrap();
        let files = tempfile::tempdir().unwrap();
        let secret = files.path().join("secret");
        std::fs::write(&secret, "s\n").unwrap();
        let secret = serde_json::json!({ "file": secret });
        let config: ChannelConfig = serde_json::from_value(serde_json::json!({
            "name": "amazon-de", "kind": "amazon", "publishes": ["stock", "order-status"], "url": emulator.url(), "timeout_ms": 1_000,
            "amazon": {
                "seller": "A1", "carriers": { "DHL-EXPRESS": "DHL" }, "marketplace": "A1PA6795UKMFR9", "token_url": format!("{}/auth/o2/token", emulator.url()),
                "client_id": secret, "client_secret": secret, "refresh_token": secret,
            },
        }))
        .unwrap();
        let channel = Channel::start(&config, Amazon::new(&config).unwrap());
        Self {
            emulator,
            channel,
            _files: files,
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
        late_fail: Probability::per_million(100_000),
        ..Options::default()
    };
    let mut seller = Seller::open(options);
    for round in 1..=3 {
        for number in 1..=60 {
            seller
                .channel
                .change(Kind::Stock, &format!("S{number}"), round * 100 + number)
                .await;
        }
    }
    seller.channel.change(Kind::Stock, "GONE-1", 5).await;
    seller.channel.converged().await;
    let view = seller.channel.handle.ask(ChannelCommand::Show).await.unwrap();
    let stats = seller.emulator.state().stats();
    assert_eq!((stats.throttled, stats.tokens), (0, 1), "{stats:?}");
    assert!(stats.failed_later > 0 && stats.accepted < 180, "{stats:?}");
    // What failed later was submitted again; what does not exist is an exception in Amazon's words.
    seller.assert_converged();
    let refused: Vec<_> = view
        .refused
        .iter()
        .map(|item| (item.key.as_str(), item.reason.as_str()))
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].0 == "GONE-1" && refused[0].1.contains("SKU GONE-1 not found"),
        "{refused:?}"
    );
    seller.channel.stop().await;
}

#[tokio::test]
async fn a_seller_in_trouble_converges() {
    let options = Options {
        rate: "100/s".parse().unwrap(),
        delay: Duration::from_millis(20),
        fail: Probability::per_million(50_000),
        fail_after_commit: Probability::per_million(50_000),
        ..Options::default()
    };
    let mut seller = Seller::open(options);
    for number in 1..=60 {
        seller
            .channel
            .change(Kind::Stock, &format!("S{number}"), number)
            .await;
    }
    seller.channel.converged().await;
    seller.assert_converged();
    let stats = seller.emulator.state().stats();
    assert!(stats.failed > 0 && stats.throttled == 0, "{stats:?}");
    seller.channel.stop().await;
}

/// An order of three SKUs in two packages, one by a carrier that Amazon has a code for; told twice, through failures.
/// A package: reference, carrier, tracking number, and how much of which SKUs is in it.
type Told = (u64, String, String, Vec<(String, i64)>);

#[tokio::test]
async fn each_package_is_confirmed_once_and_what_lacks_a_tracking_number_is_an_exception() {
    let options = Options {
        fail: Probability::per_million(100_000),
        fail_after_commit: Probability::per_million(100_000),
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
    let view = seller.channel.handle.ask(ChannelCommand::Show).await.unwrap();
    let refused: Vec<_> = view.refused.iter().map(|item| item.reason.as_str()).collect();
    assert_eq!(
        refused,
        ["shipment 1 has no carrier or no tracking number, which Amazon needs"]
    );
    assert_eq!(seller.emulator.state().stats().throttled, 0);
    seller.channel.stop().await;
}
