//! A shop behind Shopify's GraphQL Admin API, as far as inventory, price lists and the fulfilment of orders go, as strict as
//! the documentation.
//!
//! - `POST /admin/api/<version>/graphql.json` takes `inventorySetQuantities`, `priceListFixedPricesAdd` and a query of
//!   `nodes` with their variables; which of them is told by the name in the query. Without `X-Shopify-Access-Token` it
//!   answers 401.
//! - The same place takes the queries of `order` and `fulfillmentOrder`, `fulfillmentCreate` and `orderCancel`, of orders that were
//!   placed by `POST /emulator/orders/{number}` with `{"SKU": units}`, which is no part of Shopify's; `GET /emulator/fulfillments`
//!   tells what was fulfilled.
//! - Those orders are listed by the query of `orders`, whose lines beyond the tenth are read by another.
//! - Points: a bucket of `--bucket` that leaks `--restore` a second. A mutation costs 10, a query 1 and 3 for each node.
//!   What is asked for must be there, and what there is not is given back; else the answer is 200 with the error `THROTTLED`. A query of more than 1,000 points
//!   is refused. Each answer says what it cost and how full the bucket is
//!   (<https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits>).
//! - At most 250 elements in an array (<https://shopify.dev/docs/api/usage/limits>).
//! - `inventorySetQuantities` needs `@idempotent` with a key, and `changeFromQuantity` with each quantity, `null` to
//!   compare nothing (<https://shopify.dev/docs/api/admin-graphql/latest/mutations/inventorySetQuantities>). One element
//!   that cannot be set, and nothing is. A key that comes again gets the first answer
//!   (<https://shopify.dev/docs/api/usage/implementing-idempotency>).
//! - The inventory items `gid://shopify/InventoryItem/1` to `--items`, and the variants of the same numbers, are there.

mod orders;
mod shop;

pub use orders::Fulfillment;
pub use shop::ShopStats;

use super::channel::{Bucket, Rate};
use super::conduct::{Conduct, Course, Refusal, serve};
use super::{CannotShow, Emulator, EmulatorError, Fault, Faults, Played, parse_duration, without_arguments};
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use orders::Orders;
use serde::Deserialize;
use serde_json::{Value, json};
use shop::{Outcome, Shop};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the shop behaves.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many points come back in the long run.
    #[arg(long, default_value = "100/s")]
    pub restore: Rate,
    /// How many points there are at most.
    #[arg(long, default_value = "2000")]
    pub bucket: NonZeroU32,
    /// How many inventory items and variants there are.
    #[arg(long, default_value = "250000")]
    pub items: u64,
    /// How long until what has changed of an order is listed.
    #[arg(long, default_value = "0ms", value_parser = parse_duration)]
    pub order_delay: Duration,
    /// Which faults it meets its callers with.
    #[command(flatten)]
    pub faults: Faults,
}

impl Default for Options {
    /// A standard plan without faults, on any port of the loopback interface.
    fn default() -> Self {
        without_arguments()
    }
}

/// What a shop cannot show.
pub const CANNOT_SHOW: CannotShow = &[(Fault::ItemFailure, "a mutation takes all of its elements or none")];

#[derive(Debug, Deserialize)]
struct Call {
    query: String,
    #[serde(default)]
    variables: Value,
}

/// A shop that can be asked and looked at.
#[derive(Debug)]
pub struct Shopify {
    options: Options,
    conduct: Conduct,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    shop: Shop,
    points: Bucket,
    /// By idempotency key: the first answer.
    answered: HashMap<String, Value>,
    orders: Orders,
}

impl Shopify {
    fn new(options: Options) -> Result<Self, EmulatorError> {
        let points = Bucket::new(options.restore, options.bucket);
        Ok(Self {
            conduct: Conduct::new(options.faults, CANNOT_SHOW)?,
            state: Mutex::new(State {
                shop: Shop::new(options.items),
                points,
                answered: HashMap::new(),
                orders: Orders::default(),
            }),
            options,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> ShopStats {
        self.state().shop.stats
    }

    /// The quantity of each inventory item that was ever set.
    #[must_use]
    pub fn quantities(&self) -> BTreeMap<u64, i64> {
        self.state().shop.quantities()
    }

    /// The amount of each variant's price that was ever set.
    #[must_use]
    pub fn prices(&self) -> BTreeMap<u64, String> {
        self.state().shop.prices()
    }

    /// A customer of the shop buys: its quantity falls without us.
    pub fn sell(&self, item: u64, units: i64) {
        self.state().shop.sell(item, units);
    }

    /// A customer of the shop orders: so many of which SKU.
    pub fn place(&self, order: u64, lines: &[(&str, i64)]) {
        self.state().orders.place(order, lines, Timestamp::now());
    }

    /// It was placed so much earlier.
    pub fn age(&self, order: u64, by: Duration) {
        self.state().orders.age(order, by);
    }

    /// He cancels it, before anything has left.
    pub fn withdraw(&self, order: u64) {
        self.state().orders.withdraw(order, Timestamp::now());
    }

    /// All fulfilments that were created, the oldest first.
    #[must_use]
    pub fn fulfillments(&self) -> Vec<Fulfillment> {
        self.state().orders.fulfillments()
    }

    /// Whether an order shows as cancelled.
    #[must_use]
    pub fn is_cancelled(&self, order: u64) -> bool {
        self.state().orders.is_cancelled(order)
    }

    /// Takes what a call may cost at most.
    fn admits(&self, requested: u64) -> Result<u64, Refusal> {
        let now = self.conduct.now();
        let mut state = self.state();
        if state.points.take_many(requested, now).is_ok() {
            return Ok(requested);
        }
        let errors = json!([{ "message": "Throttled", "extensions": { "code": "THROTTLED" } }]);
        let cost = self.cost(&state, requested, None);
        let refusal = json!({ "errors": errors, "extensions": { "cost": cost } });
        Err(Box::new(HttpResponse::Ok().json(refusal)))
    }

    fn answer(&self, call: &Call, requested: u64, course: Course) -> HttpResponse {
        let mut state = self.state();
        let moments = (Timestamp::now(), self.options.order_delay);
        let outcome = carry_out(&mut state, call, course.is_behind, moments);
        let actual = actual(requested, &outcome);
        state.points.give_back(requested - actual);
        state.shop.stats.points += actual;
        let cost = self.cost(&state, requested, Some(actual));
        HttpResponse::Ok().json(match outcome {
            Outcome::Data(data) => json!({ "data": data, "extensions": { "cost": cost } }),
            Outcome::Error(message) => {
                json!({ "errors": [{ "message": message, "extensions": { "code": "BAD_REQUEST" } }],
                    "extensions": { "cost": cost } })
            }
        })
    }

    fn cost(&self, state: &State, requested: u64, actual: Option<u64>) -> Value {
        json!({
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": self.options.bucket.get(),
                "currentlyAvailable": state.points.available(self.conduct.now()),
                "restoreRate": self.options.restore.per_whole_second(),
            },
        })
    }
}

impl Played for Shopify {
    type Counts = ShopStats;

    fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    fn counts(&self) -> ShopStats {
        self.stats()
    }
}

/// Whether a call lists orders, or further lines of one.
fn lists(call: &Call) -> (bool, bool) {
    let orders = call
        .query
        .contains("orders(first: 10, after: $after, sortKey: UPDATED_AT");
    let lines = call.query.contains("lineItems(first: 100, after: $after)");
    (orders, lines)
}

fn cost(call: &Call) -> u64 {
    let nodes = call.variables["ids"].as_array().map_or(0, Vec::len);
    match lists(call) {
        (true, _) => return 2 + 10 * (ORDER + 2 + 10 * LINE),
        (_, true) => return 1 + 2 + 100 * LINE,
        (false, false) => {}
    }
    if call.query.contains("fulfillmentOrders(first: 5)") {
        return 1 + 2 + 5 * (1 + 2 + 10);
    }
    if call.query.contains("fulfillmentOrder(id:") {
        return 1 + 2 + 10;
    }
    if call.query.trim_start().starts_with("mutation") {
        10
    } else {
        1 + 3 * u64::try_from(nodes).unwrap_or(u64::MAX / 4)
    }
}

/// What an order costs without its lines: itself, its customer and its address.
const ORDER: u64 = 3;
/// What a line costs: itself, its price in a bag, and a discount in a bag.
const LINE: u64 = 6;

/// What an answer cost: of an order only what there is of it.
fn actual(requested: u64, outcome: &Outcome) -> u64 {
    let Outcome::Data(data) = outcome else {
        return requested;
    };
    let count = |value: &Value| value.as_array().map_or(0, Vec::len) as u64;
    if let Some(orders) = data.pointer("/orders/nodes").and_then(Value::as_array) {
        let each = orders
            .iter()
            .map(|order| ORDER + 2 + LINE * count(&order["lineItems"]["nodes"]));
        return requested.min(2 + each.sum::<u64>());
    }
    if let Some(lines) = data.pointer("/order/lineItems/nodes") {
        return requested.min(1 + 2 + LINE * count(lines));
    }
    let lines = data.pointer("/order/fulfillmentOrders/nodes/0/lineItems/nodes");
    match lines.and_then(Value::as_array) {
        Some(lines) => requested.min(1 + 2 + 1 + 2 + lines.len() as u64),
        None => requested,
    }
}

/// `moments` are now, and how far what is searched is behind.
fn carry_out(state: &mut State, call: &Call, behind: bool, moments: (Timestamp, Duration)) -> Outcome {
    let (now, delay) = moments;
    let too_long = |array: &Value| array.as_array().is_some_and(|array| array.len() > 250);
    let variables = &call.variables;
    let arrays = [
        &variables["ids"],
        &variables["prices"],
        &variables["input"]["quantities"],
    ];
    if arrays.into_iter().any(too_long) {
        state.shop.stats.oversized += 1;
        return Outcome::Error("The input array size is greater than the maximum allowed of 250.".to_owned());
    }
    match lists(call) {
        (true, _) => {
            state.shop.stats.listings += 1;
            let as_of = now.saturating_sub(delay).unwrap_or(now);
            return state.orders.list(variables, as_of);
        }
        (_, true) => return state.orders.list_lines(&variables["id"], &variables["after"]),
        (false, false) => {}
    }
    if call.query.contains("order(id:") {
        return state.orders.read(&variables["id"]);
    }
    if call.query.contains("fulfillmentOrder(id:") {
        return state.orders.read_lines(&variables["id"], &variables["after"]);
    }
    if call.query.contains("fulfillmentCreate") {
        return state.orders.fulfil(&variables["fulfillment"], now);
    }
    if call.query.contains("orderCancel") {
        return state.orders.cancel(variables, now);
    }
    if call.query.contains("priceListFixedPricesAdd") {
        return state.shop.add_prices(&variables["prices"]);
    }
    if !call.query.contains("inventorySetQuantities") {
        return state.shop.read(&variables["ids"], behind);
    }
    let Some(key) = variables["key"]
        .as_str()
        .filter(|_| call.query.contains("@idempotent(key: $key)"))
    else {
        return Outcome::Error("The @idempotent directive is required for this mutation.".to_owned());
    };
    if let Some(first) = state.answered.get(key) {
        return Outcome::Data(first.clone());
    }
    let outcome = state.shop.set_quantities(&variables["input"]["quantities"]);
    if let Outcome::Data(data) = &outcome {
        state.answered.insert(key.to_owned(), data.clone());
    }
    outcome
}

/// Starts the shop on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other or the address is taken.
pub fn start(options: Options) -> Result<Emulator<Shopify>, EmulatorError> {
    Emulator::serve(options.listen, Shopify::new(options)?, routes)
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/admin/api/{version}/graphql.json", web::post().to(graphql))
        .route("/emulator/orders/{number}", web::post().to(place))
        .route("/emulator/fulfillments", web::get().to(fulfillments));
}

async fn graphql(request: HttpRequest, shop: web::Data<Shopify>, call: web::Json<Call>) -> HttpResponse {
    if !request.headers().contains_key("x-shopify-access-token") {
        return HttpResponse::Unauthorized()
            .json(json!({ "errors": "[API] Invalid API key or access token" }));
    }
    let requested = cost(&call);
    if requested > 1_000 {
        let message =
            format!("Query cost is {requested}, which exceeds the single query max cost limit (1000).");
        let extensions = json!({ "code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": 1000 });
        return HttpResponse::Ok()
            .json(json!({ "errors": [{ "message": message, "extensions": extensions }] }));
    }
    let admit = move |shop: &Shopify| shop.admits(requested);
    let answer = move |shop: &Shopify, requested, course| shop.answer(&call, requested, course);
    serve(shop, "request", admit, answer).await
}

async fn place(
    shop: web::Data<Shopify>,
    number: web::Path<u64>,
    lines: web::Json<BTreeMap<String, i64>>,
) -> HttpResponse {
    let lines: Vec<_> = lines.iter().map(|(sku, units)| (sku.as_str(), *units)).collect();
    shop.place(*number, &lines);
    HttpResponse::NoContent().finish()
}

async fn fulfillments(shop: web::Data<Shopify>) -> HttpResponse {
    HttpResponse::Ok().json(shop.fulfillments())
}
