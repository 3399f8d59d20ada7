//! What a channel is told by a served binary: only what changes what it shows, where it is shown bands; and as if nothing had
//! happened, when the process dies while it is told everything again, or has used some of the calls of its day.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use lockstep_loadtest::emulate::channel::{Channel, Options};
use lockstep_loadtest::emulate::{Emulator, channel};
use serde_json::{Value, json};
use std::time::Duration;
use support::poll::until;
use support::service::Service;

const WITHIN: Duration = Duration::from_secs(60);

fn emulator() -> Emulator<Channel> {
    channel::start(Options::default()).unwrap()
}

fn tables(shop: &Emulator<Channel>, settings: &str) -> String {
    let url = shop.url();
    format!("[[channels]]\nname = \"shop\"\nkind = \"http\"\nurl = \"{url}/levels\"\n{settings}\n")
}

async fn post(service: &Service, path: &str, body: &Value) -> Value {
    let request = service.http.post(service.url(path)).json(body);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    answer.json().await.unwrap()
}

async fn receive(service: &Service, sku: &str, units: u64, id: &str) {
    let receipt = json!({ "id": id, "sku": sku, "warehouse": "W1",
        "change": { "receipt": { "quantity": units, "document": id } } });
    post(service, "/v1/stock-events", &receipt).await;
}

/// What has been noted until now is durable with the next commit.
async fn commit(service: &Service) {
    let price = json!({ "sku": "S0", "list": "standard", "currency": "EUR", "unit": "1.00", "rule": "LIST", "version": 1 });
    post(service, "/v1/prices", &price).await;
}

/// How the channel stands.
async fn standing(service: &Service) -> Value {
    let answer = service.http.get(service.url("/v1/channels/shop")).send().await;
    answer.unwrap().json().await.unwrap()
}

async fn until_shown(shop: &Emulator<Channel>, sku: &str, available: i64) {
    until(&format!("{available} of {sku}"), WITHIN, async || {
        let shown = shop.state().levels().get(sku).map(|level| level.available);
        (shown == Some(available)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_channel_in_bands_is_told_when_a_band_changes_and_at_no_other_change() {
    let shop = emulator();
    let mut service = Service::new(&tables(&shop, "stock_bands = [1, 10, 100]"));
    service.start().await;
    receive(&service, "A", 50, "r-0").await;
    until_shown(&shop, "A", 10).await;
    for number in 1..=4 {
        receive(&service, "A", 10, &format!("r-{number}")).await;
        service.caught_up().await;
    }
    assert_eq!(shop.state().stats().items, 1, "90 is shown as 10, as 50 is");
    receive(&service, "A", 10, "r-5").await;
    until_shown(&shop, "A", 100).await;
    service.caught_up().await;
    service.kill().await;
    service.start().await;
    // What the channel took is not known any more: it is told once, and from then on known again.
    receive(&service, "A", 10, "r-6").await;
    service.caught_up().await;
    let after_start = shop.state().stats().items;
    receive(&service, "A", 10, "r-7").await;
    service.caught_up().await;
    let stats = shop.state().stats();
    assert_eq!(
        (after_start, stats.items, stats.stale_writes),
        (3, 3, 0),
        "{stats:?}"
    );
    assert!(service.terminate().await.success(), "{}", service.log());
    shop.stop().await.unwrap();
}

#[tokio::test]
async fn telling_everything_again_goes_on_after_a_kill_where_it_stood() {
    const SKUS: u64 = 400;
    let shop = emulator();
    // 100 a second.
    let settings = "limits.requests = { bucket = { burst = 1, refill = 20, per_ms = 1000 } }\n\
        operations.set-stock = { max_items = 5 }";
    let mut service = Service::new(&tables(&shop, settings));
    service.start().await;
    for sku in 0..SKUS {
        receive(&service, &format!("S{sku}"), 5, &format!("r-{sku}")).await;
    }
    service.caught_up().await;
    let before = shop.state().stats().items;
    post(&service, "/v1/channels/shop", &json!({ "ask": "resync" })).await;
    let left = |standing: &Value| standing["kinds"][0]["resync"]["left"].as_u64();
    until("half of it told", WITHIN, async || {
        left(&standing(&service).await).filter(|left| *left <= SKUS / 2)
    })
    .await;
    post(&service, "/v1/channels/shop", &json!({ "ask": "pause-resync" })).await;
    until("it rests", WITHIN, async || {
        let standing = standing(&service).await;
        (standing["kinds"][0]["untold"] == left(&standing).unwrap()).then_some(())
    })
    .await;
    receive(&service, "OTHER", 5, "r-other").await;
    service.caught_up().await;
    commit(&service).await;
    service.kill().await;
    let told = shop.state().stats().items - before;
    service.start().await;
    let resumed = standing(&service).await["kinds"][0]["resync"].clone();
    assert_eq!(resumed["paused"], true, "an operator has stopped it: {resumed}");
    let still = resumed["left"].as_u64().unwrap();
    assert!(
        still < SKUS && still >= SKUS - told,
        "{still} are left after {told}"
    );
    post(&service, "/v1/channels/shop", &json!({ "ask": "resume-resync" })).await;
    until("the end of it", WITHIN, async || {
        left(&standing(&service).await).is_none().then_some(())
    })
    .await;
    let items = shop.state().stats().items - before;
    assert!(
        (SKUS..SKUS + 100).contains(&items),
        "{items} were told: each once, but for those of the last moment"
    );
    service.terminate().await;
    service.start().await;
    assert_eq!(left(&standing(&service).await), None, "it is over for good");
    service.terminate().await;
    shop.stop().await.unwrap();
}

#[tokio::test]
async fn the_calls_of_a_day_are_counted_over_a_kill() {
    let shop = emulator();
    let settings = "limits.daily = { window = { units = 10, per_ms = 86400000 } }\n\
        operations.set-stock = { draws = { daily = { per_request = 1 } }, max_items = 1 }";
    let mut service = Service::new(&tables(&shop, settings));
    service.start().await;
    let drawn = async |service: &Service| {
        let limits = standing(service).await["limits"].clone();
        let limits = limits.as_array().unwrap().clone();
        let daily = limits.into_iter().find(|limit| limit["name"] == "daily");
        daily.unwrap()["drawn"].as_u64().unwrap()
    };
    for sku in 0..4 {
        receive(&service, &format!("S{sku}"), 5, &format!("r-{sku}")).await;
    }
    service.caught_up().await;
    assert_eq!(drawn(&service).await, 4);
    commit(&service).await;
    service.kill().await;
    service.start().await;
    assert_eq!(drawn(&service).await, 4, "of the time before");
    for sku in 10..20 {
        receive(&service, &format!("S{sku}"), 5, &format!("r-{sku}")).await;
    }
    until("all calls of the day", WITHIN, async || {
        (drawn(&service).await == 10).then_some(())
    })
    .await;
    let untold = |standing: &Value| standing["kinds"][0]["untold"].as_u64().unwrap();
    until("the rest that waits", WITHIN, async || {
        (untold(&standing(&service).await) == 4).then_some(())
    })
    .await;
    let met = shop.met();
    assert_eq!((met.requests, met.throttled), (10, 0), "{met:?}");
    service.terminate().await;
    shop.stop().await.unwrap();
}
