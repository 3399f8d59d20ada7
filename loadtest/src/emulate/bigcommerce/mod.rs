//! A BigCommerce store behind its REST Management API, as far as inventory at a location, price lists and the shipments and status
//! of orders go, as strict as the documentation.
//!
//! - `PUT /stores/{hash}/v3/inventory/adjustments/absolute`, up to 2,000 items; one that cannot be made and none is: 422
//!   (<https://developer.bigcommerce.com/docs/rest-management/inventory/adjustments#absolute-adjustment>). Adjustments that overlap
//!   are counted, as their order is hard to predict
//!   (<https://developer.bigcommerce.com/docs/store-operations/catalog/inventory-adjustments#concurrent-absolute-adjustments>).
//! - `GET /stores/{hash}/v3/inventory/locations/{id}/items` with `sku:in` shows an adjustment `--delay` later
//!   (<https://developer.bigcommerce.com/docs/store-operations/catalog/inventory-adjustments>).
//! - `PUT /stores/{hash}/v3/pricelists/{id}/records`, up to 1,000 records, two requests at a time, else 429; what is not taken
//!   stands in `batch_errors` of a 422, and the others are
//!   (<https://developer.bigcommerce.com/docs/rest-management/price-lists/price-lists-records#upsert-price-list-records>).
//! - SKUs that begin with `GONE` do not exist.
//! - `GET` and `PUT /stores/{hash}/v2/orders/{id}`, `GET .../products`, `POST .../shipments`, where the same shipment sent twice
//!   stands there twice if enough is open (<https://developer.bigcommerce.com/docs/rest-management/orders>), of orders that were
//!   placed by `POST /emulator/orders/{id}` with `{"SKU": units}`, which is no part of BigCommerce's; `GET /emulator/shipments` tells
//!   what was shipped.
//! - `GET /stores/{hash}/v2/orders` by `min_date_modified` and `min_id`, sorted and paged, 250 a page at most, with consignments and their
//!   lines if asked for them (<https://developer.bigcommerce.com/docs/rest-management/orders#get-all-orders>); 204 if there are none. Of the
//!   lines of a consignment no more than fifty are shown, as many as a list has by default. Any other parameter is answered 400.
//! - A quota of `--quota` requests in each `--window`, told in every answer's headers; beyond it 429
//!   (<https://docs.bigcommerce.com/developer/docs/overview/api-fundamentals/rate-limits>). A storm is a 429 without those headers, as a
//!   store under load answers. Without `X-Auth-Token` the answer is 401.

mod store;

pub use store::{Order, StoreStats};

use super::conduct::{Conduct, Course, Refusal, serve};
use super::{Emulator, EmulatorError, Fault, Faults, Played, parse_duration, without_arguments};
use actix_web::http::StatusCode;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Store, WantedOrders};

/// How many upserts of price records there may be at a time.
const UPSERTS: u64 = 2;

/// How the store behaves.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many requests it takes in a window.
    #[arg(long, default_value = "150")]
    pub quota: NonZeroU32,
    /// How long a window is.
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub window: Duration,
    /// How long until an adjustment shows to those who read.
    #[arg(long, default_value = "0ms", value_parser = parse_duration)]
    pub delay: Duration,
    /// Which faults it meets its callers with.
    #[command(flatten)]
    pub faults: Faults,
}

impl Default for Options {
    /// A store of the plan Standard without faults, on any port of the loopback interface.
    fn default() -> Self {
        without_arguments()
    }
}

/// Which requests may not overlap at will.
#[derive(Clone, Copy, Debug)]
enum Bulk {
    None,
    Adjustments,
    PriceRecords,
}

/// The headers that tell of the quota.
type Headers = Vec<(&'static str, String)>;

/// The quota of a window, which begins with the first request in it.
#[derive(Debug)]
struct Quota {
    units: u64,
    window: Duration,
    began: Duration,
    used: u64,
}

impl Quota {
    /// Takes a unit; false if there is none.
    fn take(&mut self, now: Duration) -> bool {
        if now >= self.began + self.window {
            (self.began, self.used) = (now, 0);
        }
        let is_left = self.used < self.units;
        self.used += u64::from(is_left);
        is_left
    }

    fn headers(&self, now: Duration) -> Headers {
        let resets_in = (self.began + self.window).saturating_sub(now);
        let left = self.units.saturating_sub(self.used);
        vec![
            ("x-rate-limit-time-window-ms", self.window.as_millis().to_string()),
            (
                "x-rate-limit-time-reset-ms",
                resets_in.as_nanos().div_ceil(1_000_000).to_string(),
            ),
            ("x-rate-limit-requests-quota", self.units.to_string()),
            ("x-rate-limit-requests-left", left.to_string()),
        ]
    }
}

#[derive(Debug)]
struct State {
    quota: Quota,
    store: Store,
    adjusting: u64,
    upserting: u64,
}

impl State {
    fn under_way(&mut self, bulk: Bulk) -> Option<&mut u64> {
        match bulk {
            Bulk::None => None,
            Bulk::Adjustments => Some(&mut self.adjusting),
            Bulk::PriceRecords => Some(&mut self.upserting),
        }
    }
}

/// A store that can be asked and looked at.
#[derive(Debug)]
pub struct BigCommerce {
    conduct: Conduct,
    state: Mutex<State>,
}

impl BigCommerce {
    fn new(options: &Options) -> Result<Self, EmulatorError> {
        Ok(Self {
            conduct: Conduct::new(options.faults, &[])?,
            state: Mutex::new(State {
                quota: Quota {
                    units: u64::from(options.quota.get()),
                    window: options.window,
                    began: Duration::ZERO,
                    used: 0,
                },
                store: Store::new(options.delay),
                adjusting: 0,
                upserting: 0,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.state().store.stats
    }

    /// The level of each SKU that was ever set.
    #[must_use]
    pub fn levels(&self) -> BTreeMap<String, i64> {
        self.state().store.levels()
    }

    /// The price of each SKU that was ever set.
    #[must_use]
    pub fn prices(&self) -> BTreeMap<String, String> {
        self.state().store.prices()
    }

    /// A customer of the store orders: so many of which SKU, each to the address of that number.
    pub fn place(&self, order: u64, lines: &[(&str, i64, u64)]) {
        self.state().store.place(order, lines);
    }

    /// Somebody in the store gives an order another status.
    pub fn set_status(&self, order: u64, status: u64) {
        self.state().store.set_status(order, status);
    }

    /// It was placed so much earlier.
    pub fn age(&self, order: u64, by: Duration) {
        self.state().store.age(order, by);
    }

    /// Somebody in the store archives an order.
    pub fn archive(&self, order: u64) {
        self.state().store.archive(order);
    }

    /// The orders as the store shows them.
    #[must_use]
    pub fn orders(&self) -> BTreeMap<u64, Order> {
        self.state().store.orders()
    }

    /// Somebody else takes so many requests of the quota.
    pub fn draw(&self, requests: u64) {
        let now = self.conduct.now();
        let mut state = self.state();
        for _ in 0..requests {
            state.quota.take(now);
        }
    }

    /// The headers of the answer to a request that is let in, and of a bulk from then on that it is under way; else the answer to one
    /// that is not.
    fn admits(&self, bulk: Bulk) -> Result<Headers, Refusal> {
        let now = self.conduct.now();
        let mut state = self.state();
        let is_left = state.quota.take(now);
        let headers = state.quota.headers(now);
        let may_begin = !matches!(bulk, Bulk::PriceRecords) || state.upserting < UPSERTS;
        if !is_left || !may_begin {
            return Err(Box::new(refuse(StatusCode::TOO_MANY_REQUESTS, &headers)));
        }
        let overlaps = matches!(bulk, Bulk::Adjustments) && state.adjusting > 0;
        state.store.stats.overlapping += u64::from(overlaps);
        state.under_way(bulk).into_iter().for_each(|count| *count += 1);
        Ok(headers)
    }
}

/// A request that was let in, until it is carried out or turned away.
struct UnderWay {
    store: web::Data<BigCommerce>,
    bulk: Bulk,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.store.state();
        state
            .under_way(self.bulk)
            .into_iter()
            .for_each(|count| *count -= 1);
    }
}

impl Played for BigCommerce {
    type Counts = StoreStats;

    fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    fn counts(&self) -> StoreStats {
        self.stats()
    }

    /// What stands before a store under load does not know the quota.
    fn failure(&self, fault: Fault, status: StatusCode) -> HttpResponse {
        if fault == Fault::FailureAfterCommit {
            return HttpResponse::build(status).finish();
        }
        refuse(status, &[])
    }
}

fn refuse(status: StatusCode, headers: &[(&'static str, String)]) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or_default();
    let problem = json!({ "status": status.as_u16(), "title": title,
        "type": "/api-docs/getting-started/api-status-codes", "errors": {} });
    respond(status, headers, &problem)
}

fn respond(status: StatusCode, headers: &[(&'static str, String)], body: &Value) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    for (name, value) in headers {
        response.insert_header((*name, value.as_str()));
    }
    if status == StatusCode::NO_CONTENT {
        return response.finish();
    }
    response.json(body)
}

async fn answer(
    request: HttpRequest,
    store: web::Data<BigCommerce>,
    bulk: Bulk,
    work: impl FnOnce(&mut Store, Duration, Course) -> (StatusCode, Value) + 'static,
) -> HttpResponse {
    if !request.headers().contains_key("x-auth-token") {
        let problem = json!({ "status": 401, "title": "X-Auth-Token header is required" });
        return respond(StatusCode::UNAUTHORIZED, &[], &problem);
    }
    let shared = store.clone();
    let admit = move |store: &BigCommerce| {
        let headers = store.admits(bulk)?;
        let store = shared;
        Ok((UnderWay { store, bulk }, headers))
    };
    serve(
        store,
        "request",
        admit,
        move |store, (under_way, headers), course| {
            let now = store.conduct.now();
            let (status, body) = work(&mut store.state().store, now, course);
            drop(under_way);
            respond(status, &headers, &body)
        },
    )
    .await
}

/// Starts the store on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other or the address is taken.
pub fn start(options: Options) -> Result<Emulator<BigCommerce>, EmulatorError> {
    Emulator::serve(options.listen, BigCommerce::new(&options)?, routes)
}

fn routes(config: &mut ServiceConfig) {
    let order = "/stores/{hash}/v2/orders/{id}";
    config
        .route(
            "/stores/{hash}/v3/inventory/adjustments/absolute",
            web::put().to(adjust),
        )
        .route(
            "/stores/{hash}/v3/inventory/locations/{location}/items",
            web::get().to(read_levels),
        )
        .route(
            "/stores/{hash}/v3/pricelists/{list}/records",
            web::put().to(set_prices),
        )
        .route("/stores/{hash}/v2/orders", web::get().to(list_orders))
        .route(order, web::get().to(read_order))
        .route(order, web::put().to(write_order))
        .route(&format!("{order}/products"), web::get().to(read_lines))
        .route(&format!("{order}/shipments"), web::post().to(ship))
        .route("/emulator/orders/{id}", web::post().to(place))
        .route("/emulator/shipments", web::get().to(shipments));
}

async fn adjust(request: HttpRequest, store: web::Data<BigCommerce>, body: web::Json<Value>) -> HttpResponse {
    answer(request, store, Bulk::Adjustments, move |store, now, _| {
        store.adjust(&body, now)
    })
    .await
}

#[derive(Deserialize)]
struct Skus {
    #[serde(rename = "sku:in")]
    skus: String,
}

async fn read_levels(
    request: HttpRequest,
    store: web::Data<BigCommerce>,
    wanted: web::Query<Skus>,
) -> HttpResponse {
    answer(request, store, Bulk::None, move |store, now, course| {
        store.read_levels(&wanted.skus, now, course.is_behind)
    })
    .await
}

async fn set_prices(
    request: HttpRequest,
    store: web::Data<BigCommerce>,
    path: web::Path<(String, u64)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let (list, platform) = (path.1, store.clone());
    answer(request, store, Bulk::PriceRecords, move |store, _, course| {
        let fails = |sku: &str| platform.conduct.item_fails(sku, course.number);
        store.set_prices(list, &body, fails)
    })
    .await
}

async fn list_orders(
    request: HttpRequest,
    store: web::Data<BigCommerce>,
    wanted: web::Query<WantedOrders>,
) -> HttpResponse {
    answer(request, store, Bulk::None, move |store, _, _| {
        store.list_orders(&wanted)
    })
    .await
}

async fn read_order(
    request: HttpRequest,
    store: web::Data<BigCommerce>,
    path: web::Path<(String, u64)>,
) -> HttpResponse {
    let id = path.1;
    answer(request, store, Bulk::None, move |store, _, _| {
        store.read_order(id)
    })
    .await
}

async fn write_order(
    request: HttpRequest,
    store: web::Data<BigCommerce>,
    path: web::Path<(String, u64)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let id = path.1;
    answer(request, store, Bulk::None, move |store, _, _| {
        store.write_order(id, &body)
    })
    .await
}

#[derive(Deserialize)]
struct Page {
    #[serde(default = "first")]
    page: usize,
    #[serde(default = "fifty")]
    limit: usize,
}

fn first() -> usize {
    1
}

fn fifty() -> usize {
    50
}

async fn read_lines(
    request: HttpRequest,
    store: web::Data<BigCommerce>,
    path: web::Path<(String, u64)>,
    page: web::Query<Page>,
) -> HttpResponse {
    let (id, from) = (path.1, page.page.saturating_sub(1).saturating_mul(page.limit));
    let limit = page.limit;
    answer(request, store, Bulk::None, move |store, _, _| {
        store.read_lines(id, from, limit)
    })
    .await
}

async fn ship(
    request: HttpRequest,
    store: web::Data<BigCommerce>,
    path: web::Path<(String, u64)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let id = path.1;
    answer(request, store, Bulk::None, move |store, _, _| {
        store.ship(id, &body)
    })
    .await
}

async fn place(
    store: web::Data<BigCommerce>,
    id: web::Path<u64>,
    lines: web::Json<BTreeMap<String, i64>>,
) -> HttpResponse {
    let lines: Vec<_> = lines
        .iter()
        .map(|(sku, units)| (sku.as_str(), *units, 1))
        .collect();
    store.place(*id, &lines);
    HttpResponse::NoContent().finish()
}

async fn shipments(store: web::Data<BigCommerce>) -> HttpResponse {
    HttpResponse::Ok().json(store.orders())
}
