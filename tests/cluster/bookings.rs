//! The ERP has one node: it takes so many requests in time and at a time of all three together, and when that node is killed, or gives
//! everything up, another one goes on. The ERP knows no keys: whoever books an order that the one before has under way books it twice.

use super::kits::post;
use super::support::command::run;
use super::support::database::Database;
use super::support::poll::until;
use super::support::service::{Service, lockstep};
use super::{NAMES, Said, WITHIN, home_of, three_nodes};
use lockstep_adapters::erp::CONSUMER;
use lockstep_loadtest::emulate::erp::{self, Duplicates, Erp, Idempotency, Options};
use lockstep_loadtest::emulate::{Emulator, Faults};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

const SKU: &str = "A-1";

/// Ten requests a second, two at a time. Each is a lookup and a booking, so that the ERP has to take twenty a second; what it takes beyond
/// that after a rest is what two requests bring that were held up, twice.
const SETTINGS: &str = "timeout_ms = 1000\nconcurrency = 2\nrequests_per_minute = 600\nlookup_first = true\n";

fn strict() -> Options {
    Options {
        faults: Faults {
            latency: Duration::from_millis(100),
            ..Faults::default()
        },
        rate: Some("20/s".parse().unwrap()),
        burst: NonZeroU32::new(8).unwrap(),
        at_once: NonZeroU32::new(2),
        duplicates: Duplicates::Accept,
        idempotency: Idempotency::Ignore,
        ..Options::default()
    }
}

/// Three nodes and an ERP.
struct House {
    nodes: Vec<Service>,
    erp: Emulator<Erp>,
    database: Database,
}

impl House {
    async fn open() -> Self {
        let erp = erp::start(strict()).unwrap();
        let database = Database::new("bookings").await;
        let tables = format!("[erp]\nkind = \"http\"\nurl = {:?}\n{SETTINGS}", erp.url());
        let nodes = three_nodes(&database, &tables).await;
        let receipt = json!({ "sku": SKU, "warehouse": "W1",
            "change": { "receipt": { "quantity": 100_000, "document": "first" } } });
        post(&nodes[0], "/v1/stock-events", "first", &receipt).await;
        let price = json!({ "sku": SKU, "list": "standard", "currency": "EUR", "unit": "12.50", "rule": "LIST", "version": 1 });
        post(&nodes[0], "/v1/prices", "price", &price).await;
        let house = Self { nodes, erp, database };
        house.until_sellable().await;
        house
    }

    /// Waits until each node knows what there is and what it costs, by which orders are sourced.
    async fn until_sellable(&self) {
        let quote = json!({ "customer": "C-1", "currency": "EUR", "lines": [{ "sku": SKU, "quantity": 1 }] });
        for node in &self.nodes {
            until("stock and a price", WITHIN, async || {
                let level = node.door().look(&format!("/v1/availability?sku={SKU}")).await?;
                let asked = node.http.post(node.url("/v1/quotes")).json(&quote);
                let priced: Value = asked.send().await.ok()?.json().await.ok()?;
                let is_known = level["items"][0]["levels"][0]["on_hand"] == 100_000;
                (is_known && priced["total"] == "12.50").then_some(())
            })
            .await;
        }
    }

    /// Places orders, each at one of these nodes.
    async fn place(&self, orders: RangeInclusive<usize>, nodes: &[usize]) {
        for order in orders {
            let body = json!({ "channel": "shop", "number": order.to_string(), "customer": "C-1", "currency": "EUR",
                "lines": [{ "sku": SKU, "quantity": 1 }], "warehouses": ["W1"] });
            let node = &self.nodes[nodes[order % nodes.len()]];
            post(node, "/v1/orders", &format!("O-{order}"), &body).await;
        }
    }

    fn booked(&self) -> u64 {
        self.erp.state().stats().bookings
    }

    /// Waits until so much is booked there.
    async fn until_booked(&self, bookings: u64) {
        until(&format!("{bookings} bookings"), WITHIN, async || {
            (self.booked() >= bookings).then_some(())
        })
        .await;
    }

    /// Waits until these orders are booked, as a node shows them.
    async fn until_shown(&self, orders: RangeInclusive<usize>, node: usize) {
        let node = &self.nodes[node];
        for order in orders {
            let path = node.url(&format!("/v1/orders/shop/{order}"));
            until(&format!("{path} to be booked"), WITHIN, async || {
                let answer = node.http.get(&path).send().await.ok()?;
                let shown: Value = answer.error_for_status().ok()?.json().await.ok()?;
                let status = shown["status"].as_str()?;
                let is_on_its_way =
                    ["pricing", "reserving", "credit-check", "booking", "booked"].contains(&status);
                assert!(is_on_its_way, "{shown}");
                (status == "booked").then_some(())
            })
            .await;
        }
    }

    /// The node that asks the ERP.
    async fn home(&self) -> usize {
        home_of(&self.database, CONSUMER).await
    }

    /// That node alone shows that it asks, and has had these bookings confirmed.
    async fn is_asked_by_one(&self, home: usize, bookings: u64) {
        for (place, node) in self.nodes.iter().enumerate() {
            let confirmed = node
                .metric("lockstep_erp_calls_total{outcome=\"confirmed\"}")
                .await;
            let expected = if place == home { bookings } else { 0 };
            assert_eq!(confirmed, expected, "{} asks, not {}", NAMES[home], NAMES[place]);
            let text = node.http.get(node.url("/metrics")).send().await.unwrap();
            let asks = text.text().await.unwrap().contains("lockstep_erp_in_flight");
            assert_eq!(asks, place == home, "{}", NAMES[place]);
        }
    }

    async fn cluster(&self, node: usize, arguments: &[&str]) {
        let mut command = lockstep();
        command
            .arg("cluster")
            .args(arguments)
            .arg("--config")
            .arg(self.nodes[node].config());
        let printed = run(command).await;
        assert_eq!(printed.code, Some(0), "{}", printed.error);
    }
}

fn others(node: usize) -> Vec<usize> {
    (0..NAMES.len()).filter(|other| *other != node).collect()
}

#[tokio::test]
async fn an_erps_limits_hold_for_three_nodes_together_and_each_order_is_booked_once() {
    let mut house = House::open().await;
    let said = Said(&house.nodes);
    house.place(1..=40, &[0, 1, 2]).await;
    house.until_shown(1..=40, 0).await;
    house.is_asked_by_one(house.home().await, 40).await;
    drop(said);

    // Killed with calls under way and requests in line.
    house.place(41..=80, &[0, 1, 2]).await;
    let killed = house.home().await;
    house.until_booked(50).await;
    house.nodes[killed].kill().await;
    let left = others(killed);
    house.place(81..=90, &left).await;
    house
        .database
        .until_shared_by(&[NAMES[left[0]], NAMES[left[1]]])
        .await;
    house.until_shown(41..=90, left[0]).await;
    house.nodes[killed].start().await;
    house.database.until_shared_by(&NAMES).await;

    // Drained with calls under way: the one that goes on is there at once.
    let said = Said(&house.nodes);
    house.place(91..=130, &[0, 1, 2]).await;
    house.until_booked(100).await;
    let drained = house.home().await;
    let left = others(drained);
    house.cluster(left[0], &["drain", NAMES[drained]]).await;
    house
        .database
        .until_shared_by(&[NAMES[left[0]], NAMES[left[1]]])
        .await;
    house.place(131..=140, &[0, 1, 2]).await;
    house.until_shown(91..=140, left[0]).await;
    house.cluster(left[0], &["rebalance"]).await;
    house.database.until_shared_by(&NAMES).await;
    house.place(141..=150, &[0, 1, 2]).await;
    house.until_shown(141..=150, left[0]).await;

    for order in 1..=150 {
        let reference = format!("shop/{order}");
        let bookings = house.erp.state().bookings_of(&reference);
        assert_eq!(bookings.len(), 1, "{reference}: {bookings:?}");
    }
    let stats = house.erp.state().stats();
    assert_eq!(
        (house.erp.met().throttled, stats.double_booked, stats.bookings),
        (0, 0, 150),
        "{stats:?}"
    );
    drop(said);
    for node in &mut house.nodes {
        assert!(node.terminate().await.success(), "{}", node.log());
    }
    house.database.drop().await;
    house.erp.stop().await.unwrap();
}
