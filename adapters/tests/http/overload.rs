//! A full disk, a full mailbox, slow clients and clients that go away.

use crate::journey::{order, receipt};
use crate::rig::{Answer, PATIENCE, Rig, Setup, disk};
use lockstep_adapters::http::HttpConfig;
use lockstep_runtime::memory::{Fault, MemoryDisk};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::shard::ShardLimits;
use lockstep_runtime::store::{
    Claim, CommitBatch, PartitionState, Store, StoreError, StoreOpener, StoreReader,
};
use serde_json::json;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[actix_web::test]
async fn a_full_disk_is_a_503_with_the_reason_and_work_goes_on_when_space_returns() {
    let disk = disk();
    let rig = Rig::on(Arc::new(disk.clone()), Setup::default()).await;
    rig.post("/v1/stock-events", &receipt("A", 1)).await.ok();
    disk.fail([Fault::Full]);
    let refused = rig.post("/v1/stock-events", &receipt("B", 2)).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(!refused.header("retry-after").is_empty());
    let down = rig
        .until("/v1/ready", |answer| {
            answer.body["detail"].to_string().contains("no space left")
        })
        .await;
    down.problem(503, "not-ready");
    assert!(!down.header("retry-after").is_empty());
    // Liveness and what is known stay available.
    rig.get("/v1/health").await.ok();
    let known = rig.get("/v1/availability?sku=A").await.ok();
    assert_eq!(known.body["items"][0]["levels"][0]["on_hand"], 1);
    let refused = rig.post("/v1/orders", &order("1", "A", 1)).await;
    refused.problem(503, "not-ready");
    assert!(
        refused.body["detail"].as_str().unwrap().contains("no space left"),
        "{refused:?}"
    );

    disk.heal();
    rig.until("/v1/ready", |answer| answer.status == 200).await;
    rig.post("/v1/stock-events", &receipt("B", 2)).await.ok();
    let level = rig.get("/v1/availability?sku=B").await.ok().body;
    assert_eq!(
        level["items"][0]["levels"][0]["on_hand"], 2,
        "refused and repeated: counted once"
    );
    rig.stop().await;
}

/// A disk whose commits wait while the gate is shut.
#[derive(Clone)]
struct SlowDisk {
    disk: MemoryDisk,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl SlowDisk {
    fn new() -> Self {
        Self {
            disk: disk(),
            gate: Arc::new((Mutex::new(true), Condvar::new())),
        }
    }

    fn set_open(&self, open: bool) {
        *self.gate.0.lock().unwrap() = open;
        self.gate.1.notify_all();
    }
}

impl StoreOpener for SlowDisk {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(SlowStore {
            store: self.disk.open()?,
            gate: Arc::clone(&self.gate),
        }))
    }
}

struct SlowStore {
    store: Box<dyn Store>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Store for SlowStore {
    fn partition_count(&self) -> PartitionCount {
        self.store.partition_count()
    }
    fn acquire(&mut self, claims: &[Claim]) -> Result<Vec<PartitionState>, StoreError> {
        self.store.acquire(claims)
    }
    fn commit(&mut self, batches: &[CommitBatch]) -> Result<(), StoreError> {
        let open = self.gate.0.lock().unwrap();
        drop(self.gate.1.wait_while(open, |open| !*open).unwrap());
        self.store.commit(batches)
    }
    fn reader(&self) -> Arc<dyn StoreReader> {
        self.store.reader()
    }
}

#[actix_web::test]
async fn a_full_mailbox_is_a_503_and_what_was_taken_is_kept() {
    let slow = SlowDisk::new();
    let setup = Setup {
        mailbox: 1,
        limits: ShardLimits {
            batch_entries: 4,
            ..ShardLimits::default()
        },
        ..Setup::default()
    };
    let rig = Rig::on(Arc::new(slow.clone()), setup).await;
    slow.set_open(false);
    let send = |sku: String| {
        let request = rig.client.post(rig.url("/v1/stock-events")).bearer_auth(&rig.key);
        tokio::spawn(request.json(&receipt(&sku, 1)).send())
    };
    let mut waiting = Vec::new();
    // With the store at a stand, only so many can be taken: a request that is answered at once was refused.
    let refused = loop {
        assert!(waiting.len() < 100);
        let mut request = send(format!("S-{}", waiting.len()));
        match tokio::time::timeout(Duration::from_millis(200), &mut request).await {
            Ok(refused) => break Answer::of(refused.unwrap().unwrap()).await,
            Err(_) => waiting.push(request),
        }
    };
    refused.problem(503, "busy");
    assert!(!refused.header("retry-after").is_empty());
    assert!(!waiting.is_empty());
    rig.get("/v1/health").await.ok();
    slow.set_open(true);
    for (number, request) in waiting.into_iter().enumerate() {
        Answer::of(request.await.unwrap().unwrap()).await.ok();
        let level = rig
            .get(&format!("/v1/availability?sku=S-{number}"))
            .await
            .ok()
            .body;
        assert_eq!(level["items"][0]["levels"][0]["on_hand"], 1);
    }
    rig.stop().await;
}

#[actix_web::test]
async fn a_client_that_goes_away_loses_nothing() {
    let slow = SlowDisk::new();
    let rig = Rig::on(Arc::new(slow.clone()), Setup::default()).await;
    slow.set_open(false);
    let body = receipt("A", 6).to_string();
    let head = format!(
        "POST /v1/stock-events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        rig.key,
        body.len()
    );
    let mut socket = TcpStream::connect(rig.server.address()).await.unwrap();
    socket.write_all((head + &body).as_bytes()).await.unwrap();
    rig.until("/metrics", |answer| {
        String::from_utf8_lossy(&answer.bytes).contains("lockstep_shard_decided_total{shard=\"0\"} 1\n")
    })
    .await;
    drop(socket);
    slow.set_open(true);
    rig.until("/v1/availability?sku=A", |answer| {
        answer.body["items"][0]["levels"][0]["on_hand"] == 6
    })
    .await;
    let again = rig.post("/v1/stock-events", &receipt("A", 6)).await.ok();
    assert_eq!(again.body["repeated"], true);
    rig.stop().await;
}

#[actix_web::test]
async fn an_answer_that_takes_too_long_is_a_503_that_may_be_repeated() {
    let slow = SlowDisk::new();
    let mut setup = Setup::default();
    setup.config.request_timeout_ms = 200;
    let rig = Rig::on(Arc::new(slow.clone()), setup).await;
    slow.set_open(false);
    let late = rig.post_once("/v1/orders", "key-1", &order("1", "A", 1)).await;
    late.problem(503, "answer-timeout");
    assert!(!late.header("retry-after").is_empty());
    slow.set_open(true);
    rig.until("/v1/orders/web/1", |answer| answer.status == 200).await;
    rig.post_once("/v1/orders", "key-1", &order("1", "A", 1))
        .await
        .ok();
    rig.stop().await;
}

/// Reads until the server closes the connection.
async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut bytes)).await;
    assert!(
        read.is_ok(),
        "still open after {:?}",
        String::from_utf8_lossy(&bytes)
    );
    read.unwrap().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[actix_web::test]
async fn clients_that_dawdle_or_flood_are_let_go_and_others_are_served() {
    let mut setup = Setup::default();
    setup.config = HttpConfig {
        head_timeout_ms: 200,
        request_timeout_ms: 400,
        ..setup.config
    };
    let rig = Rig::on(Arc::new(disk()), setup).await;
    let mut slow_head = TcpStream::connect(rig.server.address()).await.unwrap();
    slow_head
        .write_all(b"GET /v1/health HTTP/1.1\r\nHos")
        .await
        .unwrap();
    let mut slow_body = TcpStream::connect(rig.server.address()).await.unwrap();
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"cha",
        rig.key
    );
    slow_body.write_all(head.as_bytes()).await.unwrap();
    let mut flood = TcpStream::connect(rig.server.address()).await.unwrap();
    flood.write_all(b"GET /v1/health HTTP/1.1\r\n").await.unwrap();
    let header = format!("X-Flood: {}\r\n", "x".repeat(8_000));
    for _ in 0..40 {
        if flood.write_all(header.as_bytes()).await.is_err() {
            break;
        }
    }
    rig.get("/v1/health").await.ok();
    let told = read_to_end(&mut slow_head).await;
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
    let told = read_to_end(&mut slow_body).await;
    assert!(
        told.starts_with("HTTP/1.1 408") && told.contains("connection: close"),
        "{told}"
    );
    let mut rest = Vec::new();
    // The connection of a flood may be reset before anything is told.
    drop(
        tokio::time::timeout(PATIENCE, flood.read_to_end(&mut rest))
            .await
            .unwrap(),
    );
    let told = String::from_utf8_lossy(&rest).into_owned();
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 4"), "{told}");
    rig.stop().await;
}

#[actix_web::test]
async fn a_node_that_stops_says_so_and_finishes_what_it_has_begun() {
    let rig = Rig::start().await;
    rig.post("/v1/stock-events", &receipt("A", 1)).await.ok();
    let (node, server, client) = (rig.node, rig.server, rig.client.clone());
    let url = format!("http://{}", server.address());
    node.shutdown().await;
    let ready = Answer::of(client.get(format!("{url}/v1/ready")).send().await.unwrap()).await;
    ready.problem(503, "not-ready");
    let late = client
        .post(format!("{url}/v1/stock-events"))
        .bearer_auth(&rig.key);
    let late = Answer::of(
        late.json(&json!([receipt("B", 1), receipt("C", 1)]))
            .send()
            .await
            .unwrap(),
    )
    .await;
    late.problem(503, "not-ready");
    assert_eq!(late.body["results"].as_array().unwrap().len(), 2);
    server.stop().await.unwrap();
    assert!(client.get(format!("{url}/v1/health")).send().await.is_err());
}
