//! A seller's account behind Amazon's Selling Partner API, as far as quantities, prices and the shipments of orders go.
//!
//! - `POST /auth/o2/token` gives a token for any refresh token; without it a listing answers 403.
//! - `PATCH` and `GET /listings/2021-08-01/items/{seller}/{sku}`; SKUs that begin with `GONE` do not exist (404). A patch
//!   is answered `ACCEPTED` and shows after `--delay`
//!   (<https://developer-docs.amazon.com/sp-api/docs/merge-a-listing>); a share of `--item-fail` of them never shows and
//!   leaves an issue. A negative quantity is answered `INVALID`.
//! - Patching and reading have a bucket each, of `--burst` at `--rate`; without a token of it the answer is 429
//!   `QuotaExceeded`. Each answer says the rate in `x-amzn-RateLimit-Limit`
//!   (<https://developer-docs.amazon.com/sp-api/docs/listings-items-api-rate-limits>).
//! - Feeds of the type `JSON_LISTINGS_FEED`, `--feeds` of them in each `--feed-window`, and their documents and reports with the limits of
//!   the documentation at `--feed-rate` times (<https://developer-docs.amazon.com/sp-api/docs/feeds-api-rate-limits>): see [`feeds`].
//! - `GET /orders/v0/orders/{order}/orderItems`, 30 requests at once and one in two seconds, and `POST .../shipmentConfirmation`, 10 at
//!   once and two a second (<https://developer-docs.amazon.com/sp-api/docs/orders-api-v0-reference>).
//!   `GET /orders/2026-01-01/orders`, `searchOrders`, with a bucket of `--order-burst` at `--order-rate`. Orders are placed by
//!   `POST /emulator/orders/{order}` with `{"SKU": units}`, which is no part of Amazon's; `GET /emulator/packages` tells what was confirmed.

mod feeds;
mod orders;

pub use feeds::FeedStats;
pub use orders::Package;

use super::channel::{Bucket, Rate};
use super::conduct::{Conduct, Course, serve};
use super::{Emulator, EmulatorError, Fault, Faults, Played, Probability, parse_duration, without_arguments};
use actix_web::http::StatusCode;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use feeds::Feeds;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use orders::{Orders, Search, as_of};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How Amazon behaves.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many requests of an operation it takes in the long run.
    #[arg(long, default_value = "5/s")]
    pub rate: Rate,
    /// How many at once after a rest.
    #[arg(long, default_value = "5")]
    pub burst: NonZeroU32,
    /// How long until a patch shows.
    #[arg(long, default_value = "500ms", value_parser = parse_duration)]
    pub delay: Duration,
    /// How many searches for orders it takes in the long run.
    #[arg(long, default_value = "20/h")]
    pub order_rate: Rate,
    /// How many at once after a rest.
    #[arg(long, default_value = "20")]
    pub order_burst: NonZeroU32,
    /// How long until what has changed of an order is found.
    #[arg(long, default_value = "2m", value_parser = parse_duration)]
    pub order_delay: Duration,
    /// How long a message of a feed takes.
    #[arg(long, default_value = "5ms", value_parser = parse_duration)]
    pub feed_message: Duration,
    /// How many feeds may be created in a window.
    #[arg(long, default_value = "5")]
    pub feeds: usize,
    /// How long a window is.
    #[arg(long, default_value = "5m", value_parser = parse_duration)]
    pub feed_window: Duration,
    /// How many times the documented rates questions about feeds may be asked.
    #[arg(long, default_value = "1")]
    pub feed_rate: NonZeroU32,
    /// How often a feed ends as FATAL with half of it done.
    #[arg(long, default_value = "0")]
    pub feed_fatal: Probability,
    /// Which faults it meets its callers with.
    #[command(flatten)]
    pub faults: Faults,
}

impl Default for Options {
    /// The documented rates without faults, on any port of the loopback interface.
    fn default() -> Self {
        without_arguments()
    }
}

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingStats {
    /// Patches that were accepted.
    pub accepted: u64,
    /// Tokens that were given out.
    pub tokens: u64,
}

/// What a listing shows.
#[derive(Clone, Debug, Default)]
struct Listing {
    attributes: BTreeMap<String, Value>,
    /// Before the last change.
    before: BTreeMap<String, Value>,
    issues: Vec<Value>,
    /// What will show: from when, which attribute, what; nothing if it is going to fail.
    pending: Vec<(Duration, String, Option<Value>)>,
    /// When it was last patched singly, as was answered.
    patched: Duration,
}

impl Listing {
    /// Applies a patch at once; when it was last patched singly before.
    fn set(&mut self, patch: &Value) -> Duration {
        self.show(attribute_of(patch), patch["value"].clone());
        self.patched
    }

    fn show(&mut self, attribute: String, value: Value) {
        self.before.clone_from(&self.attributes);
        self.attributes.insert(attribute, value);
        self.issues.clear();
    }

    fn advance(&mut self, now: Duration) {
        let due = self.pending.iter().take_while(|(at, ..)| *at <= now).count();
        for (_, attribute, value) in self.pending.drain(..due).collect::<Vec<_>>() {
            match value {
                Some(value) => self.show(attribute, value),
                None => {
                    let message = "The submission was not processed; submit it again.";
                    self.issues = vec![json!({ "code": "99001", "message": message, "severity": "ERROR" })];
                }
            }
        }
    }
}

/// The attribute that a patch is of.
fn attribute_of(patch: &Value) -> String {
    let path = patch["path"].as_str().unwrap_or_default();
    path.trim_start_matches("/attributes/").to_owned()
}

const fn whole(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number - 1)
}

/// The listings and orders of a seller.
#[derive(Debug)]
pub struct Amazon {
    options: Options,
    conduct: Conduct,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    patches: Bucket,
    reads: Bucket,
    item_reads: Bucket,
    searches: Bucket,
    confirmations: Bucket,
    documents: Bucket,
    feed_reads: Bucket,
    feed_lists: Bucket,
    reports: Bucket,
    feeds: Feeds,
    loses_feed_answer: bool,
    orders: Orders,
    listings: BTreeMap<String, Listing>,
    stats: ListingStats,
}

impl Amazon {
    fn new(options: Options) -> Result<Self, EmulatorError> {
        // 0.0222 a second are 80 an hour, less a hundredth.
        let (times, eighty) = (options.feed_rate.get(), whole(80));
        let seldom = || {
            Bucket::new(
                Rate::per_hour(eighty.saturating_mul(options.feed_rate)),
                whole(10),
            )
        };
        Ok(Self {
            conduct: Conduct::new(options.faults, &[])?,
            state: Mutex::new(State {
                patches: Bucket::new(options.rate, options.burst),
                reads: Bucket::new(options.rate, options.burst),
                searches: Bucket::new(options.order_rate, options.order_burst),
                item_reads: Bucket::new(Rate::per_minute(whole(30)), whole(30)),
                confirmations: Bucket::new(Rate::per_second(whole(2)), whole(10)),
                documents: Bucket::new(Rate::per_minute(whole(30 * times)), whole(15)),
                feed_reads: Bucket::new(Rate::per_second(whole(2 * times)), whole(15)),
                feed_lists: seldom(),
                reports: seldom(),
                feeds: Feeds::new(&options.faults, options.feed_message, options.feed_fatal)?,
                loses_feed_answer: false,
                orders: Orders::default(),
                listings: BTreeMap::new(),
                stats: ListingStats::default(),
            }),
            options,
        })
    }

    /// The state as it is by now.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { feeds, listings, .. } = &mut *state;
        feeds.advance(listings, self.conduct.now());
        state
    }

    /// The next feed is created, and whoever creates it learns nothing of it.
    pub fn lose_next_feed_answer(&self) {
        self.state().loses_feed_answer = true;
    }

    /// The counts of feeds so far.
    #[must_use]
    pub fn feed_stats(&self) -> FeedStats {
        self.state().feeds.stats
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> ListingStats {
        self.state().stats
    }

    /// The quantity that each SKU shows.
    #[must_use]
    pub fn quantities(&self) -> BTreeMap<String, i64> {
        let now = self.conduct.now();
        let mut shown = BTreeMap::new();
        for (sku, listing) in &mut self.state().listings {
            listing.advance(now);
            let quantity = listing.attributes.get("fulfillment_availability");
            if let Some(quantity) = quantity.and_then(|value| value[0]["quantity"].as_i64()) {
                shown.insert(sku.clone(), quantity);
            }
        }
        shown
    }

    /// A customer orders: so many of which SKU.
    pub fn place(&self, order: &str, lines: &[(&str, i64)]) {
        self.state().orders.place(order, lines, Timestamp::now());
    }

    /// It was placed so much earlier.
    pub fn age(&self, order: &str, by: Duration) {
        self.state().orders.age(order, by);
    }

    /// It is cancelled before it was shipped.
    pub fn cancel(&self, order: &str) {
        self.state().orders.cancel(order, Timestamp::now());
    }

    /// By order: its packages by their references, and how often any was confirmed.
    #[must_use]
    pub fn packages(&self) -> BTreeMap<String, (BTreeMap<u64, Package>, u64)> {
        self.state().orders.packages()
    }

    fn patch(&self, state: &mut State, sku: &str, patch: &Value, request: u64, now: Duration) -> Value {
        let patch = &patch["patches"][0];
        let attribute = attribute_of(patch);
        let value = patch["value"].clone();
        if value[0]["quantity"].as_i64().is_some_and(|quantity| quantity < 0) {
            let issue =
                json!({ "code": "4000001", "message": "quantity must not be negative", "severity": "ERROR" });
            return json!({ "sku": sku, "status": "INVALID", "submissionId": request.to_string(), "issues": [issue] });
        }
        state.stats.accepted += 1;
        let fails = self.conduct.item_fails(sku, request);
        let listing = state.listings.entry(sku.to_owned()).or_default();
        let shows = (!fails).then_some(value);
        listing.issues.clear();
        listing.patched = now;
        listing.pending.push((now + self.options.delay, attribute, shows));
        json!({ "sku": sku, "status": "ACCEPTED", "submissionId": request.to_string(), "issues": [] })
    }
}

impl Played for Amazon {
    type Counts = ListingStats;

    fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    fn counts(&self) -> ListingStats {
        self.stats()
    }

    fn failure(&self, fault: Fault, status: StatusCode) -> HttpResponse {
        let mut response = HttpResponse::build(status);
        if fault == Fault::Storm {
            return response.json(quota_exceeded());
        }
        response.finish()
    }
}

fn quota_exceeded() -> Value {
    let message = "You exceeded your quota for the requested resource.";
    error("QuotaExceeded", message)
}

type Answer = (StatusCode, Value);

/// Answers what a bucket lets in. `rate` is what it refills a second, if that is told.
async fn gated(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    bucket: fn(&mut State) -> &mut Bucket,
    rate: &str,
    work: impl FnOnce(&Amazon, &mut State, Course) -> Answer + 'static,
) -> HttpResponse {
    let admits = move |state: &mut State, now| bucket(state).take(now).is_ok();
    answer(request, amazon, admits, rate, work).await
}

/// Answers whatever has a token and is admitted.
async fn answer(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    admits: impl FnOnce(&mut State, Duration) -> bool,
    rate: &str,
    work: impl FnOnce(&Amazon, &mut State, Course) -> Answer + 'static,
) -> HttpResponse {
    if !request.headers().contains_key("x-amz-access-token") {
        let denied = error("Unauthorized", "Access to requested resource is denied.");
        return HttpResponse::Forbidden().json(denied);
    }
    let rate = rate.to_owned();
    let limited = move |status| {
        let mut response = HttpResponse::build(status);
        if !rate.is_empty() {
            response.insert_header(("x-amzn-ratelimit-limit", rate.as_str()));
        }
        response
    };
    let refuse = limited.clone();
    let admit = move |amazon: &Amazon| {
        let now = amazon.conduct.now();
        if admits(&mut amazon.state(), now) {
            return Ok(());
        }
        let refusal = refuse(StatusCode::TOO_MANY_REQUESTS).json(quota_exceeded());
        Err(Box::new(refusal))
    };
    serve(amazon, "request", admit, move |amazon, (), course| {
        let (status, body) = work(amazon, &mut amazon.state(), course);
        if status == StatusCode::NO_CONTENT {
            return limited(status).finish();
        }
        limited(status).json(body)
    })
    .await
}

/// The most bytes of a document.
const DOCUMENT_BYTES: usize = 10_485_760;

fn error(code: &str, message: &str) -> Value {
    json!({ "errors": [{ "code": code, "message": message }] })
}

/// Starts the listings on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other or the address is taken.
pub fn start(options: Options) -> Result<Emulator<Amazon>, EmulatorError> {
    Emulator::serve(options.listen, Amazon::new(options)?, routes)
}

fn routes(config: &mut ServiceConfig) {
    let listing = "/listings/2021-08-01/items/{seller}/{sku}";
    config
        .route("/auth/o2/token", web::post().to(token))
        .route(listing, web::patch().to(patch))
        .route(listing, web::get().to(read))
        .route("/feeds/2021-06-30/documents", web::post().to(create_document))
        .route(
            "/feeds/2021-06-30/documents/{document}",
            web::get().to(show_document),
        )
        .route("/feeds/2021-06-30/feeds", web::post().to(create_feed))
        .route("/feeds/2021-06-30/feeds", web::get().to(list_feeds))
        .route("/feeds/2021-06-30/feeds/{feed}", web::get().to(show_feed))
        .service(
            web::resource("/emulator/documents/{document}")
                .app_data(web::PayloadConfig::new(DOCUMENT_BYTES))
                .route(web::put().to(upload))
                .route(web::get().to(download)),
        )
        .route("/orders/2026-01-01/orders", web::get().to(search))
        .route("/orders/v0/orders/{order}/orderItems", web::get().to(items))
        .route(
            "/orders/v0/orders/{order}/shipmentConfirmation",
            web::post().to(confirm),
        )
        .route("/emulator/orders/{order}", web::post().to(place))
        .route("/emulator/packages", web::get().to(packages));
}

async fn token(amazon: web::Data<Amazon>, body: String) -> HttpResponse {
    if !body.contains("grant_type=refresh_token") || !body.contains("client_secret=") {
        return HttpResponse::BadRequest().json(json!({ "error": "invalid_request" }));
    }
    amazon.state().stats.tokens += 1;
    HttpResponse::Ok().json(json!({ "access_token": "Atza|1", "token_type": "bearer", "expires_in": 3600 }))
}

/// Patches a listing, or shows it.
async fn listing(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    sku: String,
    patch: Option<Value>,
) -> HttpResponse {
    let bucket: fn(&mut State) -> &mut Bucket = match patch {
        Some(_) => |state| &mut state.patches,
        None => |state| &mut state.reads,
    };
    let rate = format!("{}.0", amazon.options.rate.per_whole_second());
    gated(request, amazon, bucket, &rate, move |amazon, state, course| {
        if sku.starts_with("GONE") {
            let message = format!("SKU {sku} not found");
            return (StatusCode::NOT_FOUND, error("NOT_FOUND", &message));
        }
        let now = amazon.conduct.now();
        let body = match &patch {
            Some(patch) => amazon.patch(state, &sku, patch, course.number, now),
            None => {
                let listing = state.listings.entry(sku.clone()).or_default();
                listing.advance(now);
                let shown = if course.is_behind {
                    &listing.before
                } else {
                    &listing.attributes
                };
                json!({ "sku": sku, "attributes": shown, "issues": listing.issues })
            }
        };
        (StatusCode::OK, body)
    })
    .await
}

async fn patch(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    path: web::Path<(String, String)>,
    body: web::Json<Value>,
) -> HttpResponse {
    listing(request, amazon, path.into_inner().1, Some(body.into_inner())).await
}

async fn read(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    listing(request, amazon, path.into_inner().1, None).await
}

/// Where a document is uploaded to or read.
fn address_of(host: &str, document: &str) -> String {
    format!("http://{host}/emulator/documents/{document}")
}

/// What was made or found, or why it was not.
fn made(status: StatusCode, made: Result<Value, String>) -> (StatusCode, Value) {
    match made {
        Ok(body) => (status, body),
        Err(message) => (StatusCode::BAD_REQUEST, error("InvalidInput", &message)),
    }
}

async fn create_document(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    body: web::Json<Value>,
) -> HttpResponse {
    let host = request.connection_info().host().to_owned();
    gated(
        request,
        amazon,
        |state| &mut state.documents,
        "",
        move |amazon, state, _| {
            let id = state.feeds.create_document(&body, amazon.conduct.now());
            let document = id.map(|id| json!({ "feedDocumentId": id, "url": address_of(&host, &id) }));
            made(StatusCode::CREATED, document)
        },
    )
    .await
}

async fn upload(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    document: web::Path<String>,
    content: String,
) -> HttpResponse {
    let kind = request
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let now = amazon.conduct.now();
    let taken = amazon
        .state()
        .feeds
        .upload(&document, kind.unwrap_or_default(), content, now);
    if taken {
        return HttpResponse::Ok().finish();
    }
    HttpResponse::Forbidden().body("SignatureDoesNotMatch")
}

async fn download(amazon: web::Data<Amazon>, document: web::Path<String>) -> HttpResponse {
    let mut state = amazon.state();
    let Some(content) = state.feeds.content(&document) else {
        return HttpResponse::NotFound().finish();
    };
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if !state.feeds.is_compressed(&document) {
        return response.body(content.to_owned());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(content.as_bytes());
    state.feeds.stats.compressed += 1;
    match written.and_then(|()| encoder.finish()) {
        Ok(compressed) => response.body(compressed),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn create_feed(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    body: web::Json<Value>,
) -> HttpResponse {
    let (most, window) = (amazon.options.feeds, amazon.options.feed_window);
    let admits = move |state: &mut State, now| state.feeds.admits(most, window, now);
    answer(request, amazon, admits, "", move |amazon, state, _| {
        let id = state.feeds.create(&body, amazon.conduct.now(), Timestamp::now());
        if std::mem::take(&mut state.loses_feed_answer) {
            let lost = error("InternalFailure", "Try again.");
            return (StatusCode::INTERNAL_SERVER_ERROR, lost);
        }
        made(
            StatusCode::ACCEPTED,
            id.map(|id| json!({ "feedId": id.to_string() })),
        )
    })
    .await
}

async fn show_feed(request: HttpRequest, amazon: web::Data<Amazon>, feed: web::Path<String>) -> HttpResponse {
    gated(
        request,
        amazon,
        |state| &mut state.feed_reads,
        "",
        move |_, state, _| match state.feeds.show(&feed) {
            Some(feed) => (StatusCode::OK, feed),
            None => (StatusCode::NOT_FOUND, error("NotFound", "There is no such feed.")),
        },
    )
    .await
}

async fn list_feeds(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    wanted: web::Query<BTreeMap<String, String>>,
) -> HttpResponse {
    gated(
        request,
        amazon,
        |state| &mut state.feed_lists,
        "",
        move |_, state, _| made(StatusCode::OK, state.feeds.list(&wanted)),
    )
    .await
}

async fn show_document(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    document: web::Path<String>,
) -> HttpResponse {
    let host = request.connection_info().host().to_owned();
    gated(
        request,
        amazon,
        |state| &mut state.reports,
        "",
        move |_, state, _| {
            if state.feeds.content(&document).is_none() {
                return (
                    StatusCode::NOT_FOUND,
                    error("NotFound", "There is no such document."),
                );
            }
            let url = address_of(&host, &document);
            let mut shown = json!({ "feedDocumentId": document.as_str(), "url": url });
            if state.feeds.is_compressed(&document) {
                shown["compressionAlgorithm"] = "GZIP".into();
            }
            (StatusCode::OK, shown)
        },
    )
    .await
}

async fn search(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    parameters: web::Query<BTreeMap<String, String>>,
) -> HttpResponse {
    let rate = amazon.options.order_rate.in_a_second();
    gated(
        request,
        amazon,
        |state| &mut state.searches,
        &rate,
        move |amazon, state, _| {
            let as_of = as_of(Timestamp::now(), amazon.options.order_delay);
            let found = Search::read(&parameters).and_then(|search| state.orders.search(&search, as_of));
            made(StatusCode::OK, found)
        },
    )
    .await
}

#[derive(Deserialize)]
struct NextPage {
    #[serde(rename = "NextToken")]
    token: Option<String>,
}

async fn items(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    order: web::Path<String>,
    page: web::Query<NextPage>,
) -> HttpResponse {
    gated(
        request,
        amazon,
        |state| &mut state.item_reads,
        "0.5",
        move |_, state, _| match state.orders.items(&order, page.token.as_deref()) {
            Some(items) => (StatusCode::OK, items),
            None => (
                StatusCode::NOT_FOUND,
                error("NOT_FOUND", "There is no such order."),
            ),
        },
    )
    .await
}

async fn confirm(
    request: HttpRequest,
    amazon: web::Data<Amazon>,
    order: web::Path<String>,
    body: web::Json<Value>,
) -> HttpResponse {
    gated(
        request,
        amazon,
        |state| &mut state.confirmations,
        "2.0",
        move |_, state, _| {
            let confirmed = state.orders.confirm(&order, &body, Timestamp::now());
            made(StatusCode::NO_CONTENT, confirmed.map(|()| Value::Null))
        },
    )
    .await
}

async fn place(
    amazon: web::Data<Amazon>,
    order: web::Path<String>,
    lines: web::Json<BTreeMap<String, i64>>,
) -> HttpResponse {
    let lines: Vec<_> = lines.iter().map(|(sku, units)| (sku.as_str(), *units)).collect();
    amazon.place(&order, &lines);
    HttpResponse::NoContent().finish()
}

async fn packages(amazon: web::Data<Amazon>) -> HttpResponse {
    HttpResponse::Ok().json(amazon.packages())
}
