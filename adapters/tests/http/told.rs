//! A channel is told how the orders stand that it has placed.

use crate::journey::{order, price, receipt};
use crate::rig::{PATIENCE, Rig, Setup, disk};
use lockstep_actors::channels::{
    Answer, Content, Engine, ItemVerdict, Kind, OrderShown, Request, Verdict, Work,
};
use lockstep_actors::orders::state::Status;
use lockstep_adapters::channels::{
    Account, ChannelConfig, KindFeed, Memory, Platform, ReadModel, Telling, changes_of, channel_handle, drive,
};
use lockstep_adapters::home::{Home, Stay};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// A platform that takes what it is told, and passes it on.
struct Told(mpsc::Sender<(String, OrderShown)>);

impl Platform for Told {
    async fn send(&self, request: &Request) -> Answer {
        let items = match &request.work {
            Work::Write(_, items) => items.as_slice(),
            Work::Read(..) | Work::Poll(..) => &[],
        };
        assert!(!items.is_empty(), "{request:?}");
        for item in items {
            let shown = match &item.content {
                Content::Order(_, shown) => Some(shown),
                Content::Stock(_) | Content::Price(_) => None,
            };
            let shown = shown.unwrap();
            self.0
                .send((item.key.to_string(), (**shown).clone()))
                .await
                .unwrap();
        }
        Verdict::Items(vec![ItemVerdict::Taken; items.len()]).into()
    }
}

/// 3 are ordered; 2 leave with 1Z1, then the last one with 1Z2. An order of another channel is not this one's.
#[actix_web::test]
async fn a_channel_is_told_of_its_own_orders_and_of_each_shipment() {
    let channel: ChannelConfig = serde_json::from_value(json!({
        "name": "web", "kind": "http", "orders_url": "http://shop.example/orders", "publishes": ["order-status"],
    }))
    .unwrap();
    channel.validate().unwrap();
    let setup = Setup {
        channels: vec![channel.clone()],
        ..Setup::default()
    };
    let rig = Rig::on(Arc::new(disk()), setup).await;
    let ingress = rig.node.ingress();
    let reference = Arc::clone(ingress.reference());
    let contents = ReadModel::new(reference, "web", Vec::new(), None).with_orders(ingress.clone());
    let consumer = channel.consumer(Kind::Order);
    let feed = ingress.feed_of_all(&consumer, changes_of(Kind::Order)).unwrap();
    let plan = channel.plan().unwrap();
    let engine = Engine::new(&plan.allowance, &plan.lanes, Duration::ZERO).unwrap();
    let (sender, mut told) = mpsc::channel(64);
    let (stop, stopped) = watch::channel(false);
    let (_handle, mut control) = channel_handle("web");
    let kind = Kind::Order;
    let feeds = vec![KindFeed { kind, feed }];
    let account = Account {
        engine,
        memory: Memory::default(),
        samples_per_minute: 0,
    };
    let driving = tokio::spawn(async move {
        let stay = Stay::until(stopped);
        drive(feeds, contents, Told(sender), account, &mut control, stay).await;
    });

    rig.post("/v1/stock-events", &receipt("A-1", 100)).await.ok();
    rig.post("/v1/prices", &price("A-1", "10.49")).await.ok();
    let mut elsewhere = order("9", "A-1", 1);
    elsewhere["channel"] = json!("other");
    rig.post("/v1/orders", &elsewhere).await.ok();
    rig.post("/v1/orders", &order("1", "A-1", 3)).await.ok();
    rig.until("/v1/orders/web/1", |answer| answer.body["status"] == "booked")
        .await;
    for (total, tracking, status) in [(2, "1Z1", "booked"), (3, "1Z2", "shipped")] {
        let ship = json!({ "step": { "ship": { "lines": [{ "line": 1, "total": total }], "carrier": "UPS",
            "tracking": tracking } } });
        rig.post("/v1/orders/web/1/progress", &ship).await.ok();
        rig.until("/v1/orders/web/1", |answer| {
            let shipments = answer.body["shipments"].as_array().map_or(0, Vec::len);
            answer.body["status"] == status && shipments == total - 1
        })
        .await;
    }
    let shipped = loop {
        let (key, shown) = told.recv().await.unwrap();
        assert_eq!(key, "web/1");
        if shown.status == Status::Shipped {
            break shown;
        }
    };
    let shipments: Vec<_> = shipped
        .shipments
        .iter()
        .map(|shipment| {
            let tracking = shipment.carriage.tracking.as_ref().unwrap().as_str();
            (shipment.number, tracking, shipment.lines[0].1.units())
        })
        .collect();
    assert_eq!(shipments, [(1, "1Z1", 2), (2, "1Z2", 1)]);
    stop.send(true).unwrap();
    driving.await.unwrap();
    rig.stop().await;
}

/// A platform that takes levels, and says of which SKUs.
struct Levels(mpsc::Sender<String>);

impl Platform for Levels {
    async fn send(&self, request: &Request) -> Answer {
        let items = match &request.work {
            Work::Write(_, items) => items.as_slice(),
            Work::Read(..) | Work::Poll(..) => &[],
        };
        for item in items {
            self.0.send(item.key.to_string()).await.unwrap();
        }
        Verdict::Items(vec![ItemVerdict::Taken; items.len()]).into()
    }
}

/// As on a node of a cluster whose lease ends, and which has the channel again later.
#[actix_web::test]
async fn a_channel_is_told_while_its_partition_is_here_and_each_time_from_where_it_was_left() {
    let channel: ChannelConfig = serde_json::from_value(json!({
        "name": "web", "kind": "http", "url": "http://shop.example/levels", "publishes": ["stock"],
    }))
    .unwrap();
    channel.validate().unwrap();
    let setup = Setup {
        channels: vec![channel.clone()],
        ..Setup::default()
    };
    let rig = Rig::on(Arc::new(disk()), setup).await;
    let ingress = rig.node.ingress();
    let contents = ReadModel::new(Arc::clone(ingress.reference()), "web", Vec::new(), None);
    let home = Home::of(&ingress, b"web");
    let (handle, control) = channel_handle("web");
    let handle = handle.at(home.clone());
    let consumer = channel.consumer(Kind::Stock);
    let kinds = vec![(Kind::Stock, consumer.clone())];
    let (sender, mut told) = mpsc::channel(64);
    let plan = channel.plan().unwrap();
    let telling = Telling::new(
        ingress.clone(),
        home,
        handle.clone(),
        contents,
        Levels(sender),
        plan,
        kinds,
    )
    .unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = actix_web::rt::spawn(telling.run(control, stopped));
    let until = async |what: &dyn Fn() -> bool| {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let is_behind = || {
        let consumers = ingress.metrics().consumers;
        let lag = consumers.iter().find(|lag| lag.consumer == consumer);
        lag.is_some_and(|lag| lag.entries > 0)
    };
    rig.post("/v1/stock-events", &receipt("A-1", 100)).await.ok();
    assert_eq!(told.recv().await.unwrap(), "A-1");
    until(&|| !is_behind() && handle.status.read().is_some()).await;
    assert!(handle.elsewhere().is_none());

    ingress.places().lease_until(Instant::now());
    until(&|| handle.status.read().is_none()).await;
    assert!(handle.elsewhere().is_some());

    ingress.places().lease_until(Instant::now() + PATIENCE);
    until(&|| handle.status.read().is_some()).await;
    rig.post("/v1/stock-events", &receipt("B-1", 5)).await.ok();
    assert_eq!(
        told.recv().await.unwrap(),
        "B-1",
        "what was told is not told again"
    );
    stop.send(true).unwrap();
    running.await.unwrap();
    rig.stop().await;
}
