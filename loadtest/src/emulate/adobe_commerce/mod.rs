//! A shop of Adobe Commerce behind its REST API, as far as bulks of source items and base prices, and the shipments, cancellation and
//! status of orders go.
//!
//! - `POST /rest/{view}/async/bulk/V1/inventory/source-items` and `.../products/base-prices` with an array of bodies: 202 with an item
//!   for each, `accepted` or `rejected`; more than 5,000 bodies are answered 400
//!   (<https://developer.adobe.com/commerce/webapi/rest/use-rest/bulk-endpoints/>,
//!   <https://developer.adobe.com/commerce/webapi/get-started/api-security/>). SKUs that begin with `ODD` are rejected.
//! - A consumer takes the operations one by one at `--work`. `GET /rest/{view}/V1/bulk/{uuid}/detailed-status` lists them with their
//!   statuses 1 to 4 (<https://developer.adobe.com/commerce/webapi/rest/use-rest/operation-status-endpoints/>), or as they were before
//!   the first was taken, in a share of `--stale-read` of the answers. A share of `--item-fail` fails for now, and a share of `--stuck`
//!   stays open for good. SKUs that begin with `GONE` do not exist: a source item of one fails for good, and a base price of one
//!   is listed as not set in the result of an operation that is complete.
//! - `GET /rest/{view}/V1/inventory/source-items` by `sku` and `source_code`
//!   (<https://developer.adobe.com/commerce/webapi/rest/inventory/manage-source-items/>).
//! - `GET /rest/{view}/V1/orders` by search criteria: see [`criteria`]. Each second line of an order is of a configurable product, with a
//!   parent and a child item.
//! - `GET /rest/{view}/V1/orders/{id}`, `POST .../orders/{id}/cancel`, `.../orders/{id}/comments` and `.../order/{id}/ship`
//!   (<https://developer.adobe.com/commerce/webapi/rest/tutorials/orders/order-create-shipment/>), of orders that were placed by `POST
//!   /emulator/orders/{id}` with `{"SKU": units}`, which is no part of Adobe's; `GET /emulator/shipments` tells what was shipped.
//! - Without a bearer token the answer is 401. The API has no limit of its own. Its host has one here: a bucket of `--burst` at
//!   `--rate`, then 429 with `Retry-After`.

mod criteria;
mod shop;

pub use shop::{BulkStats, Order};

use super::channel::{Bucket, Rate};
use super::conduct::{Conduct, Course, serve};
use super::{Emulator, EmulatorError, Fault, Faults, Played, Probability, without_arguments};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use shop::{Shop, Topic};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the shop behaves.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many requests its host takes in the long run.
    #[arg(long, default_value = "5/s")]
    pub rate: Rate,
    /// How many at once after a rest.
    #[arg(long, default_value = "5")]
    pub burst: NonZeroU32,
    /// How many operations the consumer works on.
    #[arg(long, default_value = "50/s")]
    pub work: Rate,
    /// How often an operation stays open for good.
    #[arg(long, default_value = "0")]
    pub stuck: Probability,
    /// Which faults it meets its callers with.
    #[command(flatten)]
    pub faults: Faults,
}

impl Default for Options {
    /// A small host without faults, on any port of the loopback interface.
    fn default() -> Self {
        without_arguments()
    }
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    shop: Shop,
}

/// A shop that can be asked and looked at.
#[derive(Debug)]
pub struct AdobeCommerce {
    conduct: Conduct,
    state: Mutex<State>,
}

impl AdobeCommerce {
    fn new(options: &Options) -> Result<Self, EmulatorError> {
        Ok(Self {
            conduct: Conduct::new(options.faults, &[])?,
            state: Mutex::new(State {
                bucket: Bucket::new(options.rate, options.burst),
                shop: Shop::new(
                    options.faults.seed,
                    options.work,
                    options.faults.item_fail,
                    options.stuck,
                )?,
            }),
        })
    }

    /// The state as it is by now.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.shop.work(self.conduct.now());
        state
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> BulkStats {
        self.state().shop.stats
    }

    /// The quantity of each SKU that was ever set.
    #[must_use]
    pub fn quantities(&self) -> BTreeMap<String, i64> {
        self.state().shop.quantities()
    }

    /// The base price of each SKU that was ever set.
    #[must_use]
    pub fn prices(&self) -> BTreeMap<String, String> {
        self.state().shop.prices()
    }

    /// A customer of the shop orders: so many of which SKU.
    pub fn place(&self, order: u64, lines: &[(&str, i64)]) {
        self.state().shop.place(order, lines);
    }

    /// Somebody in the shop gives an order another state, and the status of that name.
    pub fn set_state(&self, order: u64, state: &str) {
        self.state().shop.set_state(order, state);
    }

    /// It was placed so much earlier.
    pub fn age(&self, order: u64, by: Duration) {
        self.state().shop.age(order, by);
    }

    /// The orders as the shop shows them.
    #[must_use]
    pub fn orders(&self) -> BTreeMap<u64, Order> {
        self.state().shop.orders()
    }
}

impl Played for AdobeCommerce {
    type Counts = BulkStats;

    fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    fn counts(&self) -> BulkStats {
        self.stats()
    }
}

async fn answer(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    work: impl FnOnce(&mut Shop, Duration, Course) -> (StatusCode, Value) + 'static,
) -> HttpResponse {
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if !token.is_some_and(|token| token.starts_with("Bearer ")) {
        let message = "The consumer isn't authorized to access %resources.";
        return HttpResponse::Unauthorized().json(json!({ "message": message }));
    }
    let admit = |shop: &AdobeCommerce| {
        let now = shop.conduct.now();
        let taken = shop.state().bucket.take(now);
        taken.map_err(|_| Box::new(shop.failure(Fault::Storm, StatusCode::TOO_MANY_REQUESTS)))
    };
    serve(shop, "request", admit, move |shop, (), course| {
        let now = shop.conduct.now();
        let (status, body) = work(&mut shop.state().shop, now, course);
        HttpResponse::build(status).json(body)
    })
    .await
}

/// Starts the shop on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other or the address is taken.
pub fn start(options: Options) -> Result<Emulator<AdobeCommerce>, EmulatorError> {
    Emulator::serve(options.listen, AdobeCommerce::new(&options)?, routes)
}

fn routes(config: &mut ServiceConfig) {
    config
        .route(
            "/rest/{view}/async/bulk/V1/inventory/source-items",
            web::post().to(hand_in_source_items),
        )
        .route(
            "/rest/{view}/async/bulk/V1/products/base-prices",
            web::post().to(hand_in_prices),
        )
        .route(
            "/rest/{view}/V1/bulk/{uuid}/detailed-status",
            web::get().to(read_status),
        )
        .route(
            "/rest/{view}/V1/inventory/source-items",
            web::get().to(read_source_items),
        )
        .route("/rest/{view}/V1/orders", web::get().to(list_orders))
        .route("/rest/{view}/V1/orders/{id}", web::get().to(read_order))
        .route("/rest/{view}/V1/order/{id}/ship", web::post().to(ship))
        .route("/rest/{view}/V1/orders/{id}/cancel", web::post().to(cancel))
        .route("/rest/{view}/V1/orders/{id}/comments", web::post().to(comment))
        .route("/emulator/orders/{id}", web::post().to(place))
        .route("/emulator/shipments", web::get().to(shipments));
}

async fn hand_in_source_items(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    body: web::Json<Value>,
) -> HttpResponse {
    answer(request, shop, move |shop, now, _| {
        shop.hand_in(Topic::SourceItems, &body, now)
    })
    .await
}

async fn hand_in_prices(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    body: web::Json<Value>,
) -> HttpResponse {
    answer(request, shop, move |shop, now, _| {
        shop.hand_in(Topic::BasePrices, &body, now)
    })
    .await
}

async fn read_status(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    answer(request, shop, move |shop, _, course| {
        shop.status(&path.1, course.is_behind)
    })
    .await
}

async fn read_source_items(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    query: web::Query<BTreeMap<String, String>>,
) -> HttpResponse {
    answer(request, shop, move |shop, _, course| {
        shop.read(&query, course.is_behind)
    })
    .await
}

async fn list_orders(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    query: web::Query<BTreeMap<String, String>>,
) -> HttpResponse {
    answer(request, shop, move |shop, _, _| shop.list_orders(&query)).await
}

async fn read_order(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    path: web::Path<(String, u64)>,
) -> HttpResponse {
    let id = path.1;
    answer(request, shop, move |shop, _, _| shop.read_order(id)).await
}

async fn ship(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    path: web::Path<(String, u64)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let id = path.1;
    answer(request, shop, move |shop, _, _| shop.ship(id, &body)).await
}

async fn cancel(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    path: web::Path<(String, u64)>,
) -> HttpResponse {
    let id = path.1;
    answer(request, shop, move |shop, _, _| shop.cancel(id)).await
}

async fn comment(
    request: HttpRequest,
    shop: web::Data<AdobeCommerce>,
    path: web::Path<(String, u64)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let id = path.1;
    answer(request, shop, move |shop, _, _| shop.comment(id, &body)).await
}

async fn place(
    shop: web::Data<AdobeCommerce>,
    id: web::Path<u64>,
    lines: web::Json<BTreeMap<String, i64>>,
) -> HttpResponse {
    let lines: Vec<_> = lines.iter().map(|(sku, units)| (sku.as_str(), *units)).collect();
    shop.place(*id, &lines);
    HttpResponse::NoContent().finish()
}

async fn shipments(shop: web::Data<AdobeCommerce>) -> HttpResponse {
    HttpResponse::Ok().json(shop.orders())
}
