//! A WooCommerce shop behind its REST API, as far as stock and prices of products, and status and notes of orders go.
//!
//! - `POST /wp-json/wc/v3/products/batch` and `.../products/{id}/variations/batch` with `{"update": [...]}`: 200 with a
//!   result for each, in their order; more than 100 is answered 413 `woocommerce_rest_request_entity_too_large`
//!   (<https://woocommerce.github.io/woocommerce-rest-api-docs/#batch-update-products>).
//! - Ids from 1,000 on are variations of the product with a thousandth of the id; above 900,000 there are none. What does not
//!   exist, or is written as what it is not, is an error of that item alone, with code, message and status.
//! - `stock_quantity` is an integer and `regular_price` a string, else the item gets `rest_invalid_param`.
//! - `GET` of the same places with `include` shows at most `per_page` of them.
//! - `GET` and `PUT /wp-json/wc/v3/orders/{id}`: its status, one of those that the shop knows
//!   (<https://woocommerce.github.io/woocommerce-rest-api-docs/#order-properties>); `GET` and `POST .../notes`, where a note that is sent
//!   twice stands twice (<https://woocommerce.github.io/woocommerce-rest-api-docs/#create-an-order-note>). Orders 1 to 900,000 are there.
//! - `GET /wp-json/wc/v3/orders` lists the orders that were placed by `POST /emulator/orders/{id}` with `{"SKU": units}`, which is no part
//!   of WooCommerce's: changed after `modified_after`, in one of the statuses of `status`, by `orderby` and `order`, `per_page` (100 at most)
//!   from `offset` on (<https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-orders>). The shop's clock is an hour ahead of
//!   GMT: without `dates_are_gmt` that is compared, and a moment with a zone is taken for one of the shop's, as WordPress does.
//! - Without basic authentication the answer is 401.
//! - The API has no limit of its own. Its host has one here: a bucket of `--burst` at `--rate`, then 429 with `Retry-After`.

use super::channel::{Bucket, Rate};
use super::conduct::{Conduct, Course, serve};
use super::{Emulator, EmulatorError, Faults, Played, without_arguments};
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most items of a batch.
const BATCH: usize = 100;
/// The highest id that there is.
const LAST_ID: u64 = 900_000;

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

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopStats {
    /// Items that were written.
    pub written: u64,
    /// Items that got an error.
    pub refused: u64,
    /// Batches of more than a hundred.
    pub too_large: u64,
    /// Items in the largest batch.
    pub largest: u64,
    /// Orders that were listed.
    pub listed: u64,
}

/// What the shop shows of a product or variation.
#[derive(Clone, Debug, Default)]
struct Product {
    stock: Option<i64>,
    /// Before the last change.
    before: Option<i64>,
    price: String,
}

/// What the shop shows of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Its status.
    pub status: String,
    /// Its notes, the oldest first.
    pub notes: Vec<String>,
}

impl Default for Order {
    /// Paid, and waiting for its goods.
    fn default() -> Self {
        Self {
            status: "processing".to_owned(),
            notes: Vec::new(),
        }
    }
}

/// The statuses that the shop knows.
const STATUSES: [&str; 8] = [
    "pending",
    "processing",
    "on-hold",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "trash",
];

/// What a customer has ordered.
#[derive(Clone, Debug)]
struct Placed {
    lines: Vec<(String, i64)>,
    modified: Timestamp,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    products: BTreeMap<u64, Product>,
    orders: BTreeMap<u64, Order>,
    placed: BTreeMap<u64, Placed>,
    stats: ShopStats,
}

/// The shop.
#[derive(Debug)]
pub struct Shop {
    conduct: Conduct,
    state: Mutex<State>,
}

/// The product that a variation belongs to; none of what is a product itself.
fn parent(id: u64) -> Option<u64> {
    (id >= 1_000).then_some(id / 1_000)
}

/// How far the shop's clock is ahead of GMT.
const ZONE: SignedDuration = SignedDuration::from_hours(1);

/// To the second, as the shop keeps it.
fn gmt(moment: Timestamp) -> civil::DateTime {
    let moment = jiff::tz::Offset::UTC.to_datetime(moment);
    moment.with().subsec_nanosecond(0).build().unwrap_or(moment)
}

fn of_the_shop(moment: Timestamp) -> civil::DateTime {
    gmt(moment).saturating_add(ZONE)
}

/// A moment in a parameter, by the shop's clock.
fn moment(text: &str) -> Result<civil::DateTime, &'static str> {
    match text.parse::<Timestamp>() {
        Ok(zoned) => Ok(of_the_shop(zoned)),
        Err(_) => text.parse().map_err(|_| "modified_after"),
    }
}

impl State {
    fn set_status(&mut self, order: u64, status: &str) {
        status.clone_into(&mut self.orders.entry(order).or_default().status);
        self.touch(order);
    }

    fn touch(&mut self, order: u64) {
        if let Some(placed) = self.placed.get_mut(&order) {
            placed.modified = Timestamp::now();
        }
    }

    fn told(&self, id: u64) -> Option<Value> {
        let placed = self.placed.get(&id)?;
        let lines = placed.lines.iter().map(|(sku, units)| {
            let cents = units * 1_049;
            json!({ "sku": sku, "quantity": units, "price": 10.49, "total": format!("{}.{:02}", cents / 100, cents % 100) })
        });
        Some(json!({
            "id": id, "number": id.to_string(), "status": self.orders.get(&id).map(|order| order.status.clone()),
            "currency": "EUR", "customer_id": 0,
            "date_modified": of_the_shop(placed.modified).to_string(), "date_modified_gmt": gmt(placed.modified).to_string(),
            "billing": { "first_name": "John", "last_name": "Doe", "address_1": "969 Market", "city": "San Francisco",
                "postcode": "94103", "country": "US" },
            "shipping": { "first_name": "", "last_name": "", "address_1": "", "postcode": "" },
            "line_items": lines.collect::<Vec<_>>(),
        }))
    }
}

impl Shop {
    fn new(options: &Options) -> Result<Self, EmulatorError> {
        Ok(Self {
            conduct: Conduct::new(options.faults, &[])?,
            state: Mutex::new(State {
                bucket: Bucket::new(options.rate, options.burst),
                products: BTreeMap::new(),
                orders: BTreeMap::new(),
                placed: BTreeMap::new(),
                stats: ShopStats::default(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> ShopStats {
        self.state().stats
    }

    /// Stock and price that each product or variation shows.
    #[must_use]
    pub fn shown(&self) -> BTreeMap<u64, (Option<i64>, String)> {
        let state = self.state();
        let products = state.products.iter();
        products
            .map(|(id, product)| (*id, (product.stock, product.price.clone())))
            .collect()
    }

    /// The orders that anybody has asked for or written.
    #[must_use]
    pub fn orders(&self) -> BTreeMap<u64, Order> {
        self.state().orders.clone()
    }

    /// Somebody in the shop gives an order another status.
    pub fn set_status(&self, order: u64, status: &str) {
        self.state().set_status(order, status);
    }

    /// A customer orders and pays: so many of which SKU.
    pub fn place(&self, order: u64, lines: &[(&str, i64)]) {
        let lines = lines.iter().map(|(sku, units)| ((*sku).to_owned(), *units));
        let placed = Placed {
            lines: lines.collect(),
            modified: Timestamp::now(),
        };
        let mut state = self.state();
        state.orders.entry(order).or_default();
        state.placed.insert(order, placed);
    }

    /// It was placed so much earlier.
    pub fn age(&self, order: u64, by: Duration) {
        if let Some(placed) = self.state().placed.get_mut(&order) {
            placed.modified = placed.modified.saturating_sub(by).unwrap_or(placed.modified);
        }
    }

    /// Somebody in the shop deletes an order.
    pub fn delete(&self, order: u64) {
        let mut state = self.state();
        state.placed.remove(&order);
        state.orders.remove(&order);
    }

    /// An order that was placed, as the API and a webhook show it.
    #[must_use]
    pub fn told(&self, order: u64) -> Option<Value> {
        self.state().told(order)
    }

    /// The orders that were asked for; says which parameter is invalid.
    fn list(state: &State, wanted: &WantedOrders) -> Result<Vec<Value>, &'static str> {
        if !(1..=BATCH).contains(&wanted.per_page) {
            return Err("per_page");
        }
        if !["date", "id", "include", "title", "slug", "modified"].contains(&wanted.orderby.as_str()) {
            return Err("orderby");
        }
        let statuses: Vec<&str> = wanted.status.split(',').collect();
        if statuses != ["any"] && !statuses.iter().all(|status| STATUSES.contains(status)) {
            return Err("status");
        }
        let after = wanted.modified_after.as_deref().map(moment).transpose()?;
        let is_wanted = |id: &u64, placed: &Placed| {
            let status = state.orders.get(id).map_or("", |order| order.status.as_str());
            let shown = if wanted.dates_are_gmt {
                gmt(placed.modified)
            } else {
                of_the_shop(placed.modified)
            };
            (statuses == ["any"] || statuses.contains(&status)) && after.is_none_or(|after| shown > after)
        };
        let placed = state.placed.iter().filter(|entry| is_wanted(entry.0, entry.1));
        let mut placed: Vec<(&u64, &Placed)> = placed.collect();
        placed.sort_by_key(|(id, placed)| match wanted.orderby.as_str() {
            "id" => (civil::DateTime::MIN, **id),
            _ => (gmt(placed.modified), **id),
        });
        match wanted.order.as_str() {
            "asc" => {}
            "desc" => placed.reverse(),
            _ => return Err("order"),
        }
        let page = placed.into_iter().skip(wanted.offset).take(wanted.per_page);
        Ok(page.filter_map(|(id, _)| state.told(*id)).collect())
    }

    /// Answers to a batch of updates of products, or of the variations of one.
    fn batch(&self, of: Option<u64>, body: &Value, request: u64) -> HttpResponse {
        let state = &mut *self.state();
        let updates = body["update"].as_array().map(Vec::as_slice).unwrap_or_default();
        state.stats.largest = state.stats.largest.max(updates.len() as u64);
        if updates.len() > BATCH {
            state.stats.too_large += 1;
            let message = format!("Unable to accept more than {BATCH} items for this request.");
            return HttpResponse::PayloadTooLarge().json(error(
                "woocommerce_rest_request_entity_too_large",
                &message,
                413,
            ));
        }
        let results: Vec<Value> = updates
            .iter()
            .map(|update| {
                let id = update["id"].as_u64().unwrap_or_default();
                match self.update(state, of, id, update, request) {
                    Ok(()) => {
                        state.stats.written += 1;
                        let product = state.products.get(&id).cloned().unwrap_or_default();
                        json!({ "id": id, "stock_quantity": product.stock, "regular_price": product.price })
                    }
                    Err(error) => {
                        state.stats.refused += 1;
                        json!({ "id": id, "error": error })
                    }
                }
            })
            .collect();
        HttpResponse::Ok().json(json!({ "update": results }))
    }

    fn update(
        &self,
        state: &mut State,
        of: Option<u64>,
        id: u64,
        update: &Value,
        request: u64,
    ) -> Result<(), Value> {
        if !(1..=LAST_ID).contains(&id) || parent(id) != of {
            return Err(error("woocommerce_rest_product_invalid_id", "Invalid ID.", 400));
        }
        if self.conduct.item_fails(&id.to_string(), request) {
            return Err(error(
                "woocommerce_rest_cannot_edit",
                "Deadlock found; try again.",
                500,
            ));
        }
        let invalid = |name: &str| {
            Err(error(
                "rest_invalid_param",
                &format!("Invalid parameter(s): {name}"),
                400,
            ))
        };
        let (stock, price) = (update.get("stock_quantity"), update.get("regular_price"));
        if stock.is_some_and(|stock| !stock.is_i64()) || (stock.is_some() && update["manage_stock"] != true) {
            return invalid("stock_quantity");
        }
        if price.is_some_and(|price| !price.is_string()) {
            return invalid("regular_price");
        }
        let product = state.products.entry(id).or_default();
        if let Some(stock) = stock.and_then(Value::as_i64) {
            product.before = product.stock.replace(stock);
        }
        if let Some(price) = price.and_then(Value::as_str) {
            price.clone_into(&mut product.price);
        }
        Ok(())
    }
}

impl Played for Shop {
    type Counts = ShopStats;

    fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    fn counts(&self) -> ShopStats {
        self.stats()
    }
}

async fn answer(
    request: HttpRequest,
    shop: web::Data<Shop>,
    work: impl FnOnce(&Shop, Course) -> HttpResponse + 'static,
) -> HttpResponse {
    if !request.headers().contains_key(AUTHORIZATION) {
        let message = "Sorry, you cannot list resources.";
        let refusal = error("woocommerce_rest_cannot_view", message, 401);
        return HttpResponse::Unauthorized().json(refusal);
    }
    let admit = |shop: &Shop| {
        let now = shop.conduct.now();
        let taken = shop.state().bucket.take(now);
        taken.map_err(|_| Box::new(throttled()))
    };
    serve(shop, "request", admit, move |shop, (), course| work(shop, course)).await
}

/// Answers about an order that is there.
async fn answer_about(
    request: HttpRequest,
    shop: web::Data<Shop>,
    id: u64,
    work: impl FnOnce(&mut Order) -> Result<Value, Value> + 'static,
) -> HttpResponse {
    answer(request, shop, move |shop, _| {
        if !(1..=LAST_ID).contains(&id) {
            let refusal = error("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 404);
            return HttpResponse::NotFound().json(refusal);
        }
        let mut state = shop.state();
        let order = state.orders.entry(id).or_default();
        let before = order.status.clone();
        let done = work(order);
        if order.status != before {
            state.touch(id);
        }
        match done {
            Ok(shown) => HttpResponse::Ok().json(shown),
            Err(refusal) => HttpResponse::BadRequest().json(refusal),
        }
    })
    .await
}

fn error(code: &str, message: &str, status: u16) -> Value {
    json!({ "code": code, "message": message, "data": { "status": status } })
}

fn throttled() -> HttpResponse {
    let mut answer = HttpResponse::TooManyRequests();
    answer.insert_header(("retry-after", "1")).finish()
}

/// Starts the shop on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other or the address is taken.
pub fn start(options: Options) -> Result<Emulator<Shop>, EmulatorError> {
    Emulator::serve(options.listen, Shop::new(&options)?, routes)
}

fn routes(config: &mut ServiceConfig) {
    let products = "/wp-json/wc/v3/products";
    let variations = format!("{products}/{{product}}/variations");
    config
        .route(&format!("{products}/batch"), web::post().to(write_products))
        .route(products, web::get().to(read_products))
        .route(&format!("{variations}/batch"), web::post().to(write_variations))
        .route(&variations, web::get().to(read_variations))
        .route("/wp-json/wc/v3/orders", web::get().to(list_orders))
        .route("/emulator/orders/{id}", web::post().to(place))
        .route("/wp-json/wc/v3/orders/{id}", web::get().to(read_order))
        .route("/wp-json/wc/v3/orders/{id}", web::put().to(write_order))
        .route("/wp-json/wc/v3/orders/{id}/notes", web::get().to(read_notes))
        .route("/wp-json/wc/v3/orders/{id}/notes", web::post().to(add_note));
}

async fn write_products(request: HttpRequest, shop: web::Data<Shop>, body: web::Json<Value>) -> HttpResponse {
    answer(request, shop, move |shop, course| {
        shop.batch(None, &body, course.number)
    })
    .await
}

async fn write_variations(
    request: HttpRequest,
    shop: web::Data<Shop>,
    product: web::Path<u64>,
    body: web::Json<Value>,
) -> HttpResponse {
    answer(request, shop, move |shop, course| {
        shop.batch(Some(*product), &body, course.number)
    })
    .await
}

#[derive(Deserialize)]
struct Wanted {
    include: String,
    per_page: usize,
}

fn listed(shop: &Shop, wanted: &Wanted, is_behind: bool) -> HttpResponse {
    if wanted.per_page > BATCH {
        return HttpResponse::BadRequest().json(error(
            "rest_invalid_param",
            "Invalid parameter(s): per_page",
            400,
        ));
    }
    let ids = wanted.include.split(',').filter_map(|id| id.parse::<u64>().ok());
    let state = shop.state();
    let shown = ids.filter_map(|id| {
        let product = state.products.get(&id)?;
        let stock = if is_behind { product.before } else { product.stock };
        Some(json!({ "id": id, "stock_quantity": stock }))
    });
    HttpResponse::Ok().json(shown.take(wanted.per_page).collect::<Vec<_>>())
}

async fn read_products(
    request: HttpRequest,
    shop: web::Data<Shop>,
    wanted: web::Query<Wanted>,
) -> HttpResponse {
    answer(request, shop, move |shop, course| {
        listed(shop, &wanted, course.is_behind)
    })
    .await
}

async fn read_variations(
    request: HttpRequest,
    shop: web::Data<Shop>,
    _product: web::Path<u64>,
    wanted: web::Query<Wanted>,
) -> HttpResponse {
    answer(request, shop, move |shop, course| {
        listed(shop, &wanted, course.is_behind)
    })
    .await
}

#[derive(Deserialize)]
struct WantedOrders {
    modified_after: Option<String>,
    #[serde(default)]
    dates_are_gmt: bool,
    #[serde(default = "any")]
    status: String,
    #[serde(default = "date")]
    orderby: String,
    #[serde(default = "desc")]
    order: String,
    #[serde(default = "ten")]
    per_page: usize,
    #[serde(default)]
    offset: usize,
}

fn any() -> String {
    "any".to_owned()
}
fn date() -> String {
    "date".to_owned()
}
fn desc() -> String {
    "desc".to_owned()
}
fn ten() -> usize {
    10
}

async fn list_orders(
    request: HttpRequest,
    shop: web::Data<Shop>,
    wanted: web::Query<WantedOrders>,
) -> HttpResponse {
    answer(request, shop, move |shop, _| {
        let state = &mut *shop.state();
        match Shop::list(state, &wanted) {
            Ok(orders) => {
                state.stats.listed += orders.len() as u64;
                HttpResponse::Ok().json(orders)
            }
            Err(parameter) => {
                let message = format!("Invalid parameter(s): {parameter}");
                HttpResponse::BadRequest().json(error("rest_invalid_param", &message, 400))
            }
        }
    })
    .await
}

async fn place(
    shop: web::Data<Shop>,
    id: web::Path<u64>,
    lines: web::Json<BTreeMap<String, i64>>,
) -> HttpResponse {
    let lines: Vec<_> = lines.iter().map(|(sku, units)| (sku.as_str(), *units)).collect();
    shop.place(*id, &lines);
    HttpResponse::NoContent().finish()
}

fn shown(id: u64, order: &Order) -> Value {
    json!({ "id": id, "status": order.status })
}

async fn read_order(request: HttpRequest, shop: web::Data<Shop>, id: web::Path<u64>) -> HttpResponse {
    answer_about(request, shop, *id, move |order| Ok(shown(*id, order))).await
}

async fn write_order(
    request: HttpRequest,
    shop: web::Data<Shop>,
    id: web::Path<u64>,
    body: web::Json<Value>,
) -> HttpResponse {
    answer_about(request, shop, *id, move |order| match body["status"].as_str() {
        Some(status) if STATUSES.contains(&status) => {
            status.clone_into(&mut order.status);
            Ok(shown(*id, order))
        }
        Some(_) | None => Err(error("rest_invalid_param", "Invalid parameter(s): status", 400)),
    })
    .await
}

async fn read_notes(request: HttpRequest, shop: web::Data<Shop>, id: web::Path<u64>) -> HttpResponse {
    answer_about(request, shop, *id, move |order| {
        let notes = order.notes.iter().map(|note| json!({ "note": note }));
        Ok(notes.collect())
    })
    .await
}

async fn add_note(
    request: HttpRequest,
    shop: web::Data<Shop>,
    id: web::Path<u64>,
    body: web::Json<Value>,
) -> HttpResponse {
    answer_about(request, shop, *id, move |order| match body["note"].as_str() {
        Some(note) => {
            order.notes.push(note.to_owned());
            Ok(json!({ "note": note }))
        }
        None => Err(error(
            "rest_missing_callback_param",
            "Missing parameter(s): note",
            400,
        )),
    })
    .await
}
