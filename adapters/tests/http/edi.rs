//! How the exchange with a trading partner stands, over HTTP: with a directory of files, and days that pass.

use super::journey::{price, receipt};
use super::rig::{PATIENCE, Rig, Setup, disk};
use lockstep_actors::edi::partner::EDI;
use lockstep_actors::orders::effects::EVENTS;
use lockstep_adapters::edi::{FOLLOWER, Partner, PartnerConfig, follow_orders};
use lockstep_runtime::feed::FeedFilter;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The system's clock, so many seconds behind.
struct LateClock(AtomicU64);

impl Clock for LateClock {
    fn now(&self) -> Timestamp {
        let behind = i64::try_from(self.0.load(Ordering::Relaxed)).unwrap();
        Timestamp::from_millis(SystemClock.now().as_millis() - behind * 1_000)
    }
}

fn config(directory: &Path) -> PartnerConfig {
    serde_json::from_value(json!({
        "name": "acme", "directory": directory, "poll_ms": 10, "acknowledge_hours": 24,
        "ours": { "qualifier": "ZZ", "id": "LOCKSTEP" }, "theirs": { "qualifier": "01", "id": "012345678" },
        "orders": { "customer": "C-1", "currency": "EUR", "warehouses": ["W1"] },
    }))
    .unwrap()
}

fn interchange(kind: &str, control: u32, set: &str) -> String {
    format!(
        "ISA*00*          *00*          *01*012345678      *ZZ*LOCKSTEP       *261128*0930*U*00401*{control:09}*0*P*>~\
         GS*{kind}*012345678*LOCKSTEP*20261128*0930*{control}*X*004010~{set}GE*1*{control}~IEA*1*{control:09}~"
    )
}

fn put(directory: &Path, name: &str, text: &str) {
    let unfinished = directory.join("in").join(format!(".{name}"));
    std::fs::write(&unfinished, text).unwrap();
    std::fs::rename(unfinished, directory.join("in").join(name)).unwrap();
}

async fn file_of(directory: &Path, set: &str) -> PathBuf {
    let (out, suffix, deadline) = (
        directory.join("out"),
        format!("-{set}.edi"),
        Instant::now() + PATIENCE,
    );
    loop {
        let entries = std::fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let found = entries
            .into_iter()
            .find(|path| path.to_str().unwrap().ends_with(&suffix));
        if let Some(path) = found {
            return path;
        }
        assert!(Instant::now() < deadline, "no {set}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn overdue_by_metrics(rig: &Rig) -> String {
    let text = String::from_utf8(rig.get("/metrics").await.ok().bytes).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("lockstep_edi_overdue{"));
    line.unwrap().to_owned()
}

#[actix_web::test]
async fn a_997_that_does_not_come_is_told_as_overdue_until_it_does() {
    const LATE: u64 = 25 * 3_600;
    let place = tempfile::tempdir().unwrap();
    let partner = Partner::open(config(place.path())).unwrap();
    let clock = Arc::new(LateClock(AtomicU64::new(LATE)));
    let setup = Setup {
        partners: vec![partner.clone()],
        clock: Arc::<LateClock>::clone(&clock),
        ..Setup::default()
    };
    let rig = Rig::on(Arc::new(disk()), setup).await;
    let ingress = rig.node.ingress();
    let (stop, stopped) = watch::channel(false);
    let orders = ingress.feed(FOLLOWER, FeedFilter::Port(EVENTS)).unwrap();
    let documents = ingress
        .feed(&partner.config().consumer(), FeedFilter::Port(EDI))
        .unwrap();
    actix_web::rt::spawn(partner.receive(ingress.clone(), stopped.clone()));
    actix_web::rt::spawn(partner.deliver(documents, stopped.clone()));
    actix_web::rt::spawn(follow_orders(
        orders,
        vec![partner.config()],
        ingress.clone(),
        stopped,
    ));

    let before = rig.get("/v1/edi").await.ok().body;
    assert_eq!(
        (&before["partners"][0]["name"], &before["partners"][0]["awaited"]),
        (&"acme".into(), &0.into())
    );
    assert_eq!(before["partners"][0]["last_out"], Value::Null);
    rig.post("/v1/stock-events", &receipt("A-1", 100)).await.ok();
    rig.post("/v1/prices", &price("A-1", "12.50")).await.ok();
    let set = "ST*850*0001~BEG*00*SA*4711**20261128~PO1*1*4*EA*12.50*PE*VN*A-1~CTT*1~SE*5*0001~";
    put(place.path(), "order.edi", &interchange("PO", 905, set));
    file_of(place.path(), "855").await;
    let waiting = rig.get("/v1/edi").await.ok().body["partners"][0].clone();
    let group = waiting["unacknowledged"][0].clone();
    assert_eq!(
        (
            &waiting["last_in"]["control"],
            &waiting["awaited"],
            &waiting["overdue"]
        ),
        (&905.into(), &1.into(), &0.into())
    );
    assert_eq!(
        (
            &group["set"],
            &group["subject"],
            &group["control"],
            &group["overdue"]
        ),
        (
            &"855".into(),
            &"acme/4711".into(),
            &waiting["last_out"],
            &false.into()
        )
    );
    assert!(group["age_seconds"].as_u64().unwrap() >= LATE, "{group}");
    assert_eq!(
        overdue_by_metrics(&rig).await,
        "lockstep_edi_overdue{partner=\"acme\"} 0"
    );

    // A day and an hour later.
    clock.0.store(0, Ordering::Relaxed);
    let late = rig
        .until("/v1/edi", |answer| answer.body["partners"][0]["overdue"] == 1)
        .await;
    assert_eq!(late.body["partners"][0]["unacknowledged"][0]["overdue"], true);
    assert_eq!(
        overdue_by_metrics(&rig).await,
        "lockstep_edi_overdue{partner=\"acme\"} 1"
    );

    let control = &group["control"];
    let set = format!("ST*997*0001~AK1*PR*{control}~AK9*A*1*1*1~SE*4*0001~");
    put(place.path(), "late.edi", &interchange("FA", 906, &set));
    let done = rig
        .until("/v1/edi", |answer| answer.body["partners"][0]["awaited"] == 0)
        .await
        .body["partners"][0]
        .clone();
    assert_eq!(
        (
            &done["overdue"],
            &done["overdue_total"],
            &done["acknowledged_total"]
        ),
        (&0.into(), &1.into(), &1.into())
    );
    assert_eq!(done["last_in"]["control"], 906);
    assert_eq!(
        overdue_by_metrics(&rig).await,
        "lockstep_edi_overdue{partner=\"acme\"} 0"
    );
    stop.send_replace(true);
    rig.stop().await;
}
