//! The orders of a channel are asked for by one node alone, and by another one when that is gone: each of them is placed once.

use super::kits::post;
use super::support::broker::Sender;
use super::support::database::Database;
use super::support::poll::until;
use super::support::service::Service;
use super::{NAMES, Said, WITHIN, home_of, three_nodes};
use lockstep_loadtest::emulate::{Emulator, bigcommerce};
use serde_json::{Value, json};
use std::ops::RangeInclusive;

const SKUS: u64 = 4;
/// How many polls of one node are waited for, to see that no other one polls.
const POLLS: u64 = 3;

/// One of each of two SKUs.
fn skus(order: u64) -> [String; 2] {
    [order, order + 1].map(|number| format!("S{}", number % SKUS + 1))
}

struct House {
    store: Emulator<bigcommerce::BigCommerce>,
    nodes: Vec<Service>,
    database: Database,
    broker: Sender,
    _token: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let store = bigcommerce::start(bigcommerce::Options {
            quota: "10000".parse().unwrap(),
            ..bigcommerce::Options::default()
        })
        .unwrap();
        let token = tempfile::tempdir().unwrap();
        let file = token.path().join("token");
        std::fs::write(&file, "token").unwrap();
        let database = Database::new("polling").await;
        let broker = Sender::new("polling");
        let tables = format!(
            "{}\n[[channels]]\nname = \"shop\"\nkind = \"bigcommerce\"\nurl = \"{}/stores/abc\"\n\
             limits.requests = {{ window = {{ units = 1000, per_ms = 1000 }} }}\n\
             [channels.bigcommerce]\naccess_token = {{ file = {file:?} }}\nlocation = 1\n\
             [channels.orders]\ncustomer = \"C-1\"\nwarehouses = [\"W1\"]\npoll = {{ every_seconds = 1 }}\n",
            broker.tables(),
            store.url()
        );
        let nodes = three_nodes(&database, &tables).await;
        for number in 1..=SKUS {
            let sku = format!("S{number}");
            let receipt = json!({ "sku": sku, "warehouse": "W1",
                "change": { "receipt": { "quantity": 1_000, "document": "first" } } });
            post(&nodes[0], "/v1/stock-events", &format!("first-{sku}"), &receipt).await;
            let price = json!({ "sku": sku, "list": "standard", "currency": "EUR", "unit": "10.49", "rule": "LIST", "version": 1 });
            post(&nodes[0], "/v1/prices", &format!("price-{sku}"), &price).await;
        }
        Self {
            store,
            nodes,
            database,
            broker,
            _token: token,
        }
    }

    fn place(&self, orders: RangeInclusive<u64>) {
        for order in orders {
            let skus = skus(order);
            let lines: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 1, 51)).collect();
            self.store.state().place(order, &lines);
        }
    }

    /// The node that has the partition of the channel's name.
    async fn poller(&self) -> usize {
        home_of(&self.database, "shop").await
    }

    /// How many polls a node has completed.
    async fn polls(&self, node: usize) -> u64 {
        let name = "lockstep_order_polls_total{channel=\"shop\",outcome=\"complete\"}";
        self.nodes[node].metric(name).await
    }

    /// Waits for some more polls of this node, and sees that no other one of these polls.
    async fn polls_alone(&self, poller: usize, among: &[usize]) {
        let mut before = Vec::new();
        for node in among {
            before.push(self.polls(*node).await);
        }
        let goal = self.polls(poller).await + POLLS;
        until("more polls", WITHIN, async || {
            (self.polls(poller).await >= goal).then_some(())
        })
        .await;
        for (node, before) in among.iter().zip(before) {
            if *node != poller {
                assert_eq!(self.polls(*node).await, before, "{} polls beside", NAMES[*node]);
            }
        }
    }

    async fn get(&self, node: usize, path: &str) -> Option<Value> {
        let node = &self.nodes[node];
        let answer = node.http.get(node.url(path)).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    async fn until_booked(&self, orders: RangeInclusive<u64>, node: usize) {
        for order in orders {
            let path = format!("/v1/orders/shop/{order}");
            until(&format!("{path} to be booked"), WITHIN, async || {
                let shown = self.get(node, &path).await?;
                (shown["status"] == "booked" && shown["contested"].is_null()).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn one_node_alone_asks_for_orders_and_another_takes_over_when_it_dies() {
    let mut house = House::open().await;
    let first = house.poller().await;
    house.place(1..=10);
    house.until_booked(1..=10, 0).await;
    let said = Said(&house.nodes);
    house.polls_alone(first, &[0, 1, 2]).await;
    drop(said);

    house.place(11..=15);
    house.nodes[first].kill().await;
    house.place(16..=25);
    let left: Vec<usize> = (0..3).filter(|node| *node != first).collect();
    let names: Vec<&str> = left.iter().map(|node| NAMES[*node]).collect();
    house.database.until_shared_by(&names).await;
    house.until_booked(1..=25, left[0]).await;
    let second = house.poller().await;
    assert_ne!(second, first);
    house.polls_alone(second, &left).await;

    house.nodes[first].start().await;
    let said = Said(&house.nodes);
    house.database.until_shared_by(&NAMES).await;
    house.place(26..=30);
    house.until_booked(1..=30, left[0]).await;
    house.polls_alone(house.poller().await, &[0, 1, 2]).await;

    for number in 1..=SKUS {
        let sku = format!("S{number}");
        let ordered = (1..=30).flat_map(skus).filter(|other| *other == sku).count();
        let path = format!("/v1/availability?sku={sku}");
        until(
            &format!("{ordered} of {sku} to be reserved"),
            WITHIN,
            async || {
                let level = house.get(left[0], &path).await?;
                (level["items"][0]["levels"][0]["reserved"] == ordered).then_some(())
            },
        )
        .await;
    }
    for node in 0..3 {
        let letters = house.get(node, "/v1/dead-letters").await.unwrap();
        assert_eq!(letters["letters"], json!([]), "{letters}");
    }
    assert_eq!(house.store.met().throttled, 0);
    drop(said);
    for node in &mut house.nodes {
        assert!(node.terminate().await.success(), "{}", node.log());
    }
    house.broker.clean_up().await;
    house.database.drop().await;
    house.store.stop().await.unwrap();
}
