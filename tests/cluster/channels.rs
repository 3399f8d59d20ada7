//! An account at a channel has one node: its limits hold as a whole however many nodes there are, it is asked about on any of them, and
//! when its node is killed or paused another one goes on.

use super::support::broker::Sender;
use super::support::database::Database;
use super::support::poll::until;
use super::support::service::Service;
use super::support::traffic::SKUS;
use super::{NAMES, Said, WITHIN, home_of, three_nodes};
use lockstep_loadtest::emulate::Emulator;
use lockstep_loadtest::emulate::channel::{self, Channel, Options};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::cell::Cell;
use std::num::NonZeroU32;

/// The whole of what the account may: a request a tenth of a second, five at once after a rest, an item in each.
const LIMITS: &str = "[channels.limits]\nrequests = { bucket = { burst = 5, refill = 10, per_ms = 1000 } }\n\
    [channels.operations.set-stock]\nmax_items = 1\n";

fn strict() -> Options {
    Options {
        rate: "10/s".parse().unwrap(),
        burst: NonZeroU32::new(5).unwrap(),
        batch: 1,
        ..Options::default()
    }
}

/// Three nodes, a shop, and how much of each SKU has been received.
struct House {
    nodes: Vec<Service>,
    shop: Emulator<Channel>,
    database: Database,
    broker: Sender,
    received: [Cell<i64>; SKUS.len()],
    numbers: Cell<u64>,
}

impl House {
    async fn open(name: &str) -> Self {
        let database = Database::new(name).await;
        let broker = Sender::new(name);
        let shop = channel::start(strict()).unwrap();
        let tables = format!(
            "{}\n[[channels]]\nname = \"shop\"\nkind = \"http\"\nurl = \"{}/levels\"\n{LIMITS}",
            broker.tables(),
            shop.url()
        );
        let nodes = three_nodes(&database, &tables).await;
        Self {
            nodes,
            shop,
            database,
            broker,
            received: [const { Cell::new(0) }; SKUS.len()],
            numbers: Cell::new(0),
        }
    }

    /// One of each SKU more, each told one of these nodes.
    async fn receive(&self, nodes: &[usize]) {
        for (place, sku) in SKUS.iter().enumerate() {
            let number = self.numbers.get() + 1;
            self.numbers.set(number);
            let body = json!({ "sku": sku, "warehouse": "W1",
                "change": { "receipt": { "quantity": 1, "document": format!("R-{number}") } } });
            let node = &self.nodes[nodes[place % nodes.len()]];
            until(&format!("receipt {number}"), WITHIN, async || {
                let asked = node
                    .http
                    .post(node.url("/v1/stock-events"))
                    .header("idempotency-key", format!("R-{number}"))
                    .json(&body);
                asked.send().await.ok()?.status().is_success().then_some(())
            })
            .await;
            let received = &self.received[place];
            received.set(received.get() + 1);
        }
    }

    /// Receives until the shop has met so many requests more.
    async fn receive_for(&self, requests: u64, nodes: &[usize]) {
        let end = self.shop.met().requests + requests;
        while self.shop.met().requests < end {
            self.receive(nodes).await;
        }
    }

    async fn until_shown(&self) {
        until("a shop that shows what there is", WITHIN, async || {
            let shown = self.shop.state().levels();
            let is_shown = |(sku, received): (&&str, &Cell<i64>)| {
                shown.get(*sku).map(|level| level.available) == Some(received.get())
            };
            SKUS.iter().zip(&self.received).all(is_shown).then_some(())
        })
        .await;
    }

    /// The node that tells the shop.
    async fn home(&self) -> usize {
        home_of(&self.database, "shop").await
    }

    async fn ask(&self, node: usize, ask: &str) -> Value {
        let node = &self.nodes[node];
        until(&format!("an answer to {ask}"), WITHIN, async || {
            let asked = node
                .http
                .post(node.url("/v1/channels/shop"))
                .json(&json!({ "ask": ask }));
            let answer = asked.send().await.ok()?;
            if !answer.status().is_success() {
                return None;
            }
            answer.json().await.ok()
        })
        .await
    }

    async fn state(&self, node: usize) -> Value {
        let node = &self.nodes[node];
        until("how the shop stands", WITHIN, async || {
            let answer = node.http.get(node.url("/v1/channels")).send().await.ok()?;
            let body: Value = answer.json().await.ok()?;
            body["channels"].get(0).cloned()
        })
        .await
    }

    async fn close(mut self) {
        let (stats, met) = (self.shop.state().stats(), self.shop.met());
        assert_eq!((met.throttled, stats.oversized), (0, 0), "{met:?} {stats:?}");
        for node in &mut self.nodes {
            assert!(node.terminate().await.success(), "{}", node.log());
        }
        self.broker.clean_up().await;
        self.database.drop().await;
        self.shop.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_accounts_limit_holds_for_three_nodes_together_and_any_of_them_is_asked_about_it() {
    let house = House::open("account").await;
    let said = Said(&house.nodes);
    // Three nodes that each used all of it would be refused two thirds.
    house.receive_for(60, &[0, 1, 2]).await;
    house.until_shown().await;
    assert_eq!(house.shop.met().throttled, 0);
    let home = house.home().await;
    for (place, node) in house.nodes.iter().enumerate() {
        let text = node
            .http
            .get(node.url("/metrics"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let tells = text.contains("lockstep_channel_paused{");
        assert_eq!(
            tells,
            place == home,
            "{} has the channel, not {place}",
            NAMES[home]
        );
        node.caught_up().await;
    }
    let others: Vec<usize> = (0..NAMES.len()).filter(|node| *node != home).collect();
    assert_eq!(house.ask(others[0], "pause").await["paused"], true);
    assert_eq!(house.state(others[1]).await["paused"], true);
    assert_eq!(house.ask(others[1], "resume").await["paused"], false);

    let before = (house.shop.state().stats().repeated, house.shop.met().requests);
    let asked = house.ask(others[0], "resync").await;
    assert_eq!(asked["kinds"][0]["resync"]["total"], SKUS.len());
    until("an end of telling everything again", WITHIN, async || {
        house.state(others[1]).await["kinds"][0]
            .get("resync")
            .is_none()
            .then_some(())
    })
    .await;
    let after = (house.shop.state().stats().repeated, house.shop.met().requests);
    assert_eq!(
        (after.0 - before.0, after.1 - before.1),
        (SKUS.len() as u64, SKUS.len() as u64),
        "everything, whichever node has it, once"
    );
    drop(said);
    house.close().await;
}

#[tokio::test]
async fn another_node_goes_on_when_the_one_that_tells_a_channel_is_killed_or_paused() {
    let mut house = House::open("successor").await;
    house.receive_for(20, &[0, 1, 2]).await;

    let killed = house.home().await;
    house.nodes[killed].kill().await;
    let left: Vec<usize> = (0..NAMES.len()).filter(|node| *node != killed).collect();
    // Some of what it had not told is in partitions that were never its own.
    house.receive(&left).await;
    house
        .database
        .until_shared_by(&[NAMES[left[0]], NAMES[left[1]]])
        .await;
    house.until_shown().await;
    house.nodes[killed].start().await;
    house.database.until_shared_by(&NAMES).await;
    house.receive_for(20, &[0, 1, 2]).await;

    let paused = house.home().await;
    house.nodes[paused].signal(Signal::STOP);
    let left: Vec<usize> = (0..NAMES.len()).filter(|node| *node != paused).collect();
    house
        .database
        .until_shared_by(&[NAMES[left[0]], NAMES[left[1]]])
        .await;
    house.receive_for(20, &left).await;
    house.until_shown().await;
    house.nodes[paused].signal(Signal::CONT);
    house.database.until_shared_by(&NAMES).await;
    house.receive_for(20, &[0, 1, 2]).await;
    house.until_shown().await;
    for node in &house.nodes {
        node.caught_up().await;
    }
    house.close().await;
}
