//! A database of a test's own in the PostgreSQL of this machine, dropped after it.

use super::poll::until;
use lockstep_runtime::journal::Blob;
use lockstep_runtime::message::Origin;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};

const SERVER: &str = "postgres://postgres@127.0.0.1:5432/";
/// Where the server listens.
pub const ADDRESS: &str = "127.0.0.1:5432";

/// The database, and a connection to look into it.
pub struct Database {
    pub url: String,
    name: String,
    client: Mutex<Arc<Client>>,
}

/// A server that is just starting is waited for.
async fn connect(url: &str) -> Client {
    let connecting = async || tokio_postgres::connect(url, NoTls).await.ok();
    let connected = until(
        "a connection to the database",
        Duration::from_secs(30),
        connecting,
    );
    let (client, connection) = connected.await;
    tokio::spawn(connection);
    client
}

impl Database {
    pub async fn new(test: &str) -> Self {
        let name = format!("lockstep_{test}_{}", std::process::id());
        let server = connect(&format!("{SERVER}postgres")).await;
        server
            .batch_execute(&format!("create database {name}"))
            .await
            .unwrap();
        let url = format!("{SERVER}{name}");
        let client = Mutex::new(Arc::new(connect(&url).await));
        Self { url, name, client }
    }

    /// The connection; a new one if the server was restarted meanwhile.
    async fn client(&self) -> Arc<Client> {
        let mut client = self.client.lock().await;
        if client.is_closed() {
            *client = Arc::new(connect(&self.url).await);
        }
        Arc::clone(&client)
    }

    /// Its URL by way of another address.
    pub fn url_through(&self, address: SocketAddr) -> String {
        self.url.replace(ADDRESS, &address.to_string())
    }

    /// How many partitions a node has whose lease lasts; 0 if there is no table yet.
    pub async fn partitions_of(&self, node: &str) -> i64 {
        let held = "select count(*) from lockstep.placement p join lockstep.node n on n.id = p.owner \
            where n.name = $1 and n.lease_until > clock_timestamp()";
        let row = self.client().await.query_one(held, &[&node]).await;
        row.map_or(0, |row| row.get(0))
    }

    /// Who has a partition.
    pub async fn owner_of(&self, partition: u16) -> String {
        let owner = "select owner from lockstep.placement where partition = $1";
        let row = self
            .client()
            .await
            .query_one(owner, &[&i32::from(partition)])
            .await;
        row.unwrap().get(0)
    }

    /// The name of the node that has a partition.
    pub async fn node_of(&self, partition: u16) -> String {
        let name = "select n.name from lockstep.placement p join lockstep.node n on n.id = p.owner where p.partition = $1";
        let row = self
            .client()
            .await
            .query_one(name, &[&i32::from(partition)])
            .await;
        row.unwrap().get(0)
    }

    /// Waits until these nodes, and no others, have all sixteen partitions in even shares.
    pub async fn until_shared_by(&self, nodes: &[&str]) {
        until(
            &format!("even shares of {nodes:?}"),
            Duration::from_secs(60),
            async || {
                let mut shares = Vec::new();
                for node in nodes {
                    shares.push(self.partitions_of(node).await);
                }
                let is_even = shares.iter().max()? - shares.iter().min()? <= 1;
                (is_even && shares.iter().sum::<i64>() == 16).then_some(())
            },
        )
        .await;
    }

    /// Entries that two owners wrote under one number, or numbers that are missing: none, if epochs fence.
    pub async fn gaps(&self) -> i64 {
        let gaps = "select count(*) from (select end_sequence, lead(first_sequence) over \
            (partition by partition order by first_sequence) as next from lockstep.journal) j \
            where next is not null and next <> end_sequence";
        self.client().await.query_one(gaps, &[]).await.unwrap().get(0)
    }

    /// The ids of the messages that a partition has taken from outside, in the order in which they were decided.
    pub async fn decided(&self, partition: u16) -> Vec<String> {
        let blobs = "select body from lockstep.journal where partition = $1 order by first_sequence";
        let rows = self
            .client()
            .await
            .query(blobs, &[&i32::from(partition)])
            .await
            .unwrap();
        let mut decided = Vec::new();
        for row in rows {
            for entry in Blob::parse(row.get(0)).unwrap().iter().map(Result::unwrap) {
                if matches!(entry.origin, Origin::External(_)) {
                    decided.push(entry.provenance().correlation.to_string());
                }
            }
        }
        decided
    }

    /// Runs a statement.
    pub async fn execute(&self, statement: &str) {
        self.client().await.batch_execute(statement).await.unwrap();
    }

    pub async fn drop(self) {
        drop(self.client);
        let server = connect(&format!("{SERVER}postgres")).await;
        let dropping = format!("drop database {} with (force)", self.name);
        server.batch_execute(&dropping).await.unwrap();
    }
}
