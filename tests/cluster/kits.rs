//! A channel is told of a kit whose components lie on different nodes: after the last change it shows what can be assembled, whichever
//! node saw which component first.

use super::support::broker::{PARTITIONS, Sender};
use super::support::database::Database;
use super::support::poll::until;
use super::support::service::Service;
use super::support::traffic::SKUS;
use super::{Said, WITHIN, three_nodes};
use lockstep_loadtest::emulate::channel;
use lockstep_runtime::placement::PartitionCount;
use serde_json::{Value, json};

/// How often both components change at once.
const ROUNDS: i64 = 40;

pub(super) async fn post(node: &Service, path: &str, id: &str, body: &Value) {
    until(&format!("{path} to take {id}"), WITHIN, async || {
        let asked = node
            .http
            .post(node.url(path))
            .header("idempotency-key", id)
            .json(body);
        let answer = asked.send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
}

async fn receive(node: &Service, sku: &str, number: i64) {
    let id = format!("{sku}-{number}");
    let body =
        json!({ "sku": sku, "warehouse": "W1", "change": { "receipt": { "quantity": 1, "document": id } } });
    post(node, "/v1/stock-events", &id, &body).await;
}

/// Two SKUs that different nodes have.
async fn apart(database: &Database) -> (&'static str, &'static str) {
    let mut owners = Vec::new();
    for sku in SKUS {
        let partitions = PartitionCount::new(PARTITIONS).unwrap();
        let partition = partitions.partition_of(sku.as_bytes()).0;
        owners.push((sku, database.owner_of(partition).await));
    }
    let (first, owner) = &owners[0];
    let other = owners.iter().find(|(_, other)| other != owner);
    (first, other.unwrap().0)
}

#[tokio::test]
async fn a_kit_whose_components_change_on_two_nodes_at_once_is_told_as_it_is_in_the_end() {
    let database = Database::new("kits").await;
    let broker = Sender::new("kits");
    let shop = channel::start(channel::Options::default()).unwrap();
    let tables = format!(
        "{}\n[[channels]]\nname = \"shop\"\nkind = \"http\"\nurl = \"{}/levels\"\n",
        broker.tables(),
        shop.url()
    );
    let mut nodes = three_nodes(&database, &tables).await;
    let said = Said(&nodes);
    let (one, other) = apart(&database).await;
    let item = json!({ "sku": "KIT", "version": 1,
        "components": [{ "sku": one, "quantity": 1 }, { "sku": other, "quantity": 1 }] });
    post(&nodes[0], "/v1/items", "item", &item).await;
    for round in 1..=ROUNDS {
        tokio::join!(receive(&nodes[1], one, round), receive(&nodes[2], other, round));
        until(
            &format!("a channel that shows {round} kits"),
            WITHIN,
            async || {
                let kit = shop.state().levels().remove("KIT")?;
                (kit.available == round).then_some(())
            },
        )
        .await;
    }
    // What is read of other nodes' partitions says how old it is at most.
    for node in &nodes {
        let answer = node
            .http
            .get(node.url("/v1/availability?sku=KIT"))
            .send()
            .await
            .unwrap();
        let age = answer.headers()["x-lockstep-read-model-age"].to_str().unwrap();
        assert!(age.parse::<u64>().unwrap() < 10_000, "{age} ms");
    }
    drop(said);
    for node in &mut nodes {
        assert!(node.terminate().await.success(), "{}", node.log());
    }
    broker.clean_up().await;
    database.drop().await;
    shop.stop().await.unwrap();
}
