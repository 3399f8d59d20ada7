//! Orders that are put into a channel's directory.

use crate::journey::{price, receipt};
use crate::rig::Rig;
use lockstep_adapters::channels::ChannelConfig;
use lockstep_adapters::file_drop::OrderFiles;
use serde_json::json;
use std::fs;
use std::path::Path;
use tokio::sync::watch;

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// One file is good, one has a bad row among good ones, one is dropped a second time, and one is still being written.
#[actix_web::test]
async fn orders_are_taken_once_and_what_is_wrong_is_set_aside_with_its_reason() {
    let rig = Rig::start().await;
    rig.post("/v1/stock-events", &receipt("A-1", 100)).await.ok();
    rig.post("/v1/prices", &price("A-1", "10.49")).await.ok();
    let root = tempfile::tempdir().unwrap();
    let config: ChannelConfig = serde_json::from_value(json!({
        "name": "web", "kind": "file", "file": { "directory": root.path(), "poll_ms": 10 },
        "orders": { "customer": "C-1", "warehouses": ["W1"] },
    }))
    .unwrap();
    config.validate().unwrap();
    let files = OrderFiles::open(&config, rig.node.ingress()).unwrap().unwrap();
    let (stop, stopped) = watch::channel(false);
    let receiving = tokio::spawn(files.receive(stopped));
    let head = "number,sku,quantity,currency\n";
    let inbound = root.path().join("in");
    let put = |name: &str, text: &str| {
        fs::write(inbound.join(format!(".{name}")), text).unwrap();
        fs::rename(inbound.join(format!(".{name}")), inbound.join(name)).unwrap();
    };
    put("1.csv", &format!("{head}1,A-1,2,EUR\n"));
    put("2.csv", &format!("{head}2,A-1,3,EUR\n3,A-1,none,EUR\n"));
    put("3.csv", &format!("{head}1,A-1,2,EUR\n"));
    let other =
        json!({ "schema": "lockstep.stock.event", "version": 1, "id": "e-1", "body": receipt("A-1", 5) });
    put("4.ndjson", &format!("{other}\n"));
    put("5.csv", &format!("{head}5,A-1,2,EU"));
    for number in [1, 2] {
        rig.until(&format!("/v1/orders/web/{number}"), |answer| {
            answer.body["status"] == "booked"
        })
        .await;
    }
    while names(&inbound) != ["5.csv"] {
        tokio::task::yield_now().await;
    }
    assert_eq!(names(&root.path().join("archive")), ["1.csv", "3.csv"]);
    let failed = root.path().join("failed");
    assert_eq!(
        names(&failed),
        ["2.csv", "2.csv.reason", "4.ndjson", "4.ndjson.reason"]
    );
    let reason = |name: &str| fs::read_to_string(failed.join(name)).unwrap();
    assert!(
        reason("2.csv.reason").starts_with("line 3: "),
        "{}",
        reason("2.csv.reason")
    );
    assert!(
        reason("4.ndjson.reason").starts_with("line 1: "),
        "{}",
        reason("4.ndjson.reason")
    );
    let level = rig.get("/v1/availability?sku=A-1").await.ok().body;
    assert_eq!(level["items"][0]["levels"][0]["reserved"], 5, "each order once");
    stop.send(true).unwrap();
    receiving.await.unwrap();
    rig.stop().await;
}
