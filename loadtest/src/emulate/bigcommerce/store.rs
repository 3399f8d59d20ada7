//! What a store holds, pure.

use crate::emulate::Shipped;
use actix_web::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most items of an adjustment.
const ADJUSTMENTS: usize = 2_000;
/// The most records of an upsert.
const PRICE_RECORDS: usize = 1_000;
/// The most units of an item at a location.
const MOST_UNITS: i64 = 2_147_483_647;
/// The most entries of a list.
const LIST: usize = 250;
/// How many a list has by default.
const LINES: usize = 50;
const SHIPPED: u64 = 2;
const PARTIALLY_SHIPPED: u64 = 3;
const AWAITING_FULFILLMENT: u64 = 11;
const LAST_STATUS: u64 = 14;

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStats {
    /// Requests with too many items.
    pub oversized: u64,
    /// Adjustments that began while another was under way.
    pub overlapping: u64,
    /// Requests of adjustments that were carried out.
    pub adjustments: u64,
    /// Items in the largest of them.
    pub largest: u64,
    /// Levels that were set.
    pub levels_set: u64,
    /// Of these, levels that were higher before.
    pub lowered: u64,
    /// Prices that were set.
    pub prices_set: u64,
    /// Levels that were read.
    pub read: u64,
    /// Shipments that were created.
    pub shipments: u64,
    /// Orders that were listed.
    pub orders_listed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    units: i64,
    /// Before the last change.
    before: i64,
    changed: Duration,
}

/// An order as the store shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The id of its status.
    pub status: u64,
    /// Its shipments, the oldest first.
    pub shipments: Vec<Shipped>,
    #[serde(skip)]
    lines: Vec<Line>,
    #[serde(skip)]
    modified: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    sku: String,
    address: u64,
    ordered: i64,
    shipped: i64,
}

/// What is asked for of the orders.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedOrders {
    min_date_modified: Option<String>,
    #[serde(default)]
    min_id: u64,
    sort: Option<String>,
    #[serde(default = "first")]
    page: usize,
    #[serde(default = "fifty")]
    limit: usize,
    include: Option<String>,
    consignment_structure: Option<String>,
}

fn first() -> usize {
    1
}

fn fifty() -> usize {
    LINES
}

/// A moment as RFC 2822 or ISO 8601 writes it.
fn moment(text: &str) -> Result<Timestamp, jiff::Error> {
    text.parse()
        .or_else(|_| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text))
}

impl Line {
    fn told(&self, order: u64, place: usize) -> Value {
        let total = |cents: i64| format!("{}.{:02}00", cents / 100, cents % 100);
        json!({ "id": place, "order_id": order, "order_address_id": self.address, "sku": self.sku, "type": "physical",
            "quantity": self.ordered, "quantity_shipped": self.shipped, "total_ex_tax": total(self.ordered * 1_049),
            "applied_discounts": [], "parent_order_product_id": null })
    }
}

impl Order {
    /// As the list shows it; the lines of a consignment are cut off where a list of lines is by default.
    fn told(&self, id: u64, with_lines: bool) -> Value {
        let modified = self.modified.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        let resource = |name: &str| json!({ "url": format!("/stores/hash/v2/orders/{id}/{name}"), "resource": format!("/orders/{id}/{name}") });
        let mut order = json!({
            "id": id, "customer_id": 0, "status_id": self.status, "date_modified": modified, "currency_code": "EUR",
            "default_currency_code": "EUR", "products": resource("products"), "consignments": resource("consignments"),
            "billing_address": { "first_name": "Trisha", "last_name": "McLaughlin", "street_1": "1 Bill Street", "city": "Austin",
                "zip": "78751", "country_iso2": "US" },
        });
        if with_lines {
            let addresses: BTreeSet<u64> = self.lines.iter().map(|line| line.address).collect();
            let shipping = addresses.into_iter().map(|address| {
                let lines = self.lines.iter().enumerate().filter(|(_, line)| line.address == address);
                let lines = lines.map(|(place, line)| line.told(id, place)).take(LINES);
                json!({ "id": address, "first_name": "Jane", "last_name": "Doe", "street_1": "123 Main Street", "city": "Austin",
                    "zip": "12345", "country_iso2": "US", "line_items": lines.collect::<Vec<_>>() })
            });
            order["consignments"] = json!({ "pickups": [], "shipping": shipping.collect::<Vec<_>>(), "downloads": [],
                "email": { "gift_certificates": [] } });
        }
        order
    }
}

#[derive(Debug)]
pub(super) struct Store {
    delay: Duration,
    levels: BTreeMap<String, Level>,
    prices: BTreeMap<String, String>,
    orders: BTreeMap<u64, Order>,
    pub(super) stats: StoreStats,
}

type Answer = (StatusCode, Value);

fn problem(status: StatusCode, title: &str, errors: &Value) -> Answer {
    let url = "https://developer.bigcommerce.com/api-docs/getting-started/api-status-codes";
    (
        status,
        json!({ "status": status.as_u16(), "title": title, "type": url, "errors": errors }),
    )
}

/// An error of the older version of the API.
fn error(status: StatusCode, message: &str) -> Answer {
    (status, json!([{ "status": status.as_u16(), "message": message }]))
}

fn not_found() -> Answer {
    error(StatusCode::NOT_FOUND, "The requested resource was not found.")
}

fn is_known(sku: &str) -> bool {
    !sku.is_empty() && !sku.starts_with("GONE")
}

impl Store {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            delay,
            levels: BTreeMap::new(),
            prices: BTreeMap::new(),
            orders: BTreeMap::new(),
            stats: StoreStats::default(),
        }
    }

    pub(super) fn levels(&self) -> BTreeMap<String, i64> {
        let levels = self.levels.iter();
        levels.map(|(sku, level)| (sku.clone(), level.units)).collect()
    }

    pub(super) fn prices(&self) -> BTreeMap<String, String> {
        self.prices.clone()
    }

    pub(super) fn orders(&self) -> BTreeMap<u64, Order> {
        self.orders.clone()
    }

    pub(super) fn place(&mut self, id: u64, lines: &[(&str, i64, u64)]) {
        let lines = lines.iter().map(|(sku, ordered, address)| Line {
            sku: (*sku).to_owned(),
            address: *address,
            ordered: *ordered,
            shipped: 0,
        });
        let order = Order {
            status: AWAITING_FULFILLMENT,
            shipments: Vec::new(),
            lines: lines.collect(),
            modified: Timestamp::now(),
        };
        self.orders.insert(id, order);
    }

    pub(super) fn set_status(&mut self, id: u64, status: u64) {
        if let Some(order) = self.orders.get_mut(&id) {
            (order.status, order.modified) = (status, Timestamp::now());
        }
    }

    pub(super) fn age(&mut self, id: u64, by: Duration) {
        if let Some(order) = self.orders.get_mut(&id) {
            order.modified = order.modified.saturating_sub(by).unwrap_or(order.modified);
        }
    }

    pub(super) fn archive(&mut self, id: u64) {
        self.orders.remove(&id);
    }

    pub(super) fn list_orders(&mut self, wanted: &WantedOrders) -> Answer {
        let refuse = |field: &str| {
            let message = format!("The field '{field}' is invalid.");
            error(StatusCode::BAD_REQUEST, &message)
        };
        if !(1..=LIST).contains(&wanted.limit) || wanted.page == 0 {
            return refuse("limit");
        }
        let since = match wanted.min_date_modified.as_deref().map(moment).transpose() {
            Ok(since) => since.unwrap_or(Timestamp::MIN),
            Err(_) => return refuse("min_date_modified"),
        };
        let with_lines = match (wanted.include.as_deref(), wanted.consignment_structure.as_deref()) {
            (Some("consignments.line_items"), Some("object")) => true,
            (None, _) => false,
            (Some(_), _) => return refuse("include"),
        };
        // To the second, as it is shown.
        let is_wanted = |(id, order): &(&u64, &Order)| {
            **id >= wanted.min_id && order.modified.as_second() >= since.as_second()
        };
        let mut listed: Vec<(&u64, &Order)> = self.orders.iter().filter(is_wanted).collect();
        match wanted.sort.as_deref() {
            None | Some("id:asc" | "id") => {}
            Some("id:desc") => listed.reverse(),
            Some("date_modified:asc" | "date_modified") => listed.sort_by_key(|(_, order)| order.modified),
            Some(_) => return refuse("sort"),
        }
        let from = (wanted.page - 1).saturating_mul(wanted.limit);
        let page = listed.into_iter().skip(from).take(wanted.limit);
        let page: Vec<Value> = page.map(|(id, order)| order.told(*id, with_lines)).collect();
        self.stats.orders_listed += page.len() as u64;
        if page.is_empty() {
            return (StatusCode::NO_CONTENT, Value::Null);
        }
        (StatusCode::OK, page.into())
    }

    pub(super) fn adjust(&mut self, body: &Value, now: Duration) -> Answer {
        let items = body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.stats.largest = self.stats.largest.max(items.len() as u64);
        if items.len() > ADJUSTMENTS {
            self.stats.oversized += 1;
            return problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Limit of 2000 items exceeded",
                &json!({}),
            );
        }
        let mut adjusted = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let units = item["quantity"].as_i64();
            let units = units.filter(|units| (0..=MOST_UNITS).contains(units));
            let (Some(sku), Some(units), Some(_)) =
                (item["sku"].as_str(), units, item["location_id"].as_u64())
            else {
                let errors =
                    json!({ (format!("items.{place}")): "sku, location_id and quantity are required" });
                let title = "Payload contains invalid fields";
                return problem(StatusCode::UNPROCESSABLE_ENTITY, title, &errors);
            };
            if !is_known(sku) {
                let title = format!("[Item with sku {sku} does not exist]");
                return problem(StatusCode::UNPROCESSABLE_ENTITY, &title, &json!({}));
            }
            adjusted.push((sku.to_owned(), units));
        }
        self.stats.adjustments += 1;
        let number = self.stats.adjustments;
        for (sku, units) in adjusted {
            let level = self.levels.entry(sku).or_default();
            self.stats.levels_set += 1;
            self.stats.lowered += u64::from(units < level.units);
            (level.before, level.units, level.changed) = (level.units, units, now);
        }
        (
            StatusCode::OK,
            json!({ "transaction_id": format!("transaction-{number}") }),
        )
    }

    pub(super) fn read_levels(&mut self, skus: &str, now: Duration, is_behind: bool) -> Answer {
        let mut data = Vec::new();
        for sku in skus.split(',') {
            self.stats.read += 1;
            if let Some(level) = self.levels.get(sku) {
                let shows = !is_behind && now >= level.changed + self.delay;
                let units = if shows { level.units } else { level.before };
                data.push(json!({ "identity": { "sku": sku }, "available_to_sell": units,
                    "total_inventory_onhand": units }));
            }
        }
        (StatusCode::OK, json!({ "data": data, "meta": {} }))
    }

    /// Records that fail are not set.
    pub(super) fn set_prices(&mut self, list: u64, body: &Value, fails: impl Fn(&str) -> bool) -> Answer {
        let records = body.as_array().map(Vec::as_slice).unwrap_or_default();
        self.stats.largest = self.stats.largest.max(records.len() as u64);
        if records.len() > PRICE_RECORDS {
            self.stats.oversized += 1;
            return problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Limit of 1000 items exceeded",
                &json!({}),
            );
        }
        let mut errors = Vec::new();
        for record in records {
            let sku = record["sku"].as_str().unwrap_or_default();
            let price = Some(&record["price"]).filter(|price| price.is_number());
            let is_currency = record["currency"].as_str().is_some_and(|code| code.len() == 3);
            let wrong = match price {
                _ if !is_known(sku) => json!({ "sku": format!("The sku {sku} is not known.") }),
                _ if !is_currency => json!({ "currency": "The currency is required." }),
                None => json!({ "price": "The price has to be a number." }),
                Some(_) if fails(sku) => json!({ "price": "The price could not be saved." }),
                Some(price) => {
                    self.stats.prices_set += 1;
                    self.prices.insert(sku.to_owned(), price.to_string());
                    continue;
                }
            };
            let data = json!({ "price_list_id": list, "sku": sku, "currency": record["currency"] });
            errors.push(json!({ "data": data, "field_errors": wrong }));
        }
        if errors.is_empty() {
            return (StatusCode::OK, json!({ "data": {}, "meta": {} }));
        }
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({ "batch_errors": errors }),
        )
    }

    pub(super) fn read_order(&self, id: u64) -> Answer {
        match self.orders.get(&id) {
            Some(order) => (StatusCode::OK, json!({ "id": id, "status_id": order.status })),
            None => not_found(),
        }
    }

    pub(super) fn write_order(&mut self, id: u64, body: &Value) -> Answer {
        let status = body["status_id"].as_u64().filter(|status| *status <= LAST_STATUS);
        match (self.orders.get_mut(&id), status) {
            (Some(order), Some(status)) => {
                (order.status, order.modified) = (status, Timestamp::now());
                self.read_order(id)
            }
            (Some(_), None) => error(StatusCode::BAD_REQUEST, "The field 'status_id' is invalid."),
            (None, _) => not_found(),
        }
    }

    pub(super) fn read_lines(&self, id: u64, from: usize, limit: usize) -> Answer {
        let Some(order) = self.orders.get(&id) else {
            return not_found();
        };
        if limit > LIST {
            return error(StatusCode::BAD_REQUEST, "The field 'limit' is invalid.");
        }
        let lines = order.lines.iter().enumerate().skip(from).take(limit);
        let lines: Vec<Value> = lines.map(|(place, line)| line.told(id, place)).collect();
        if lines.is_empty() {
            return (StatusCode::NO_CONTENT, Value::Null);
        }
        (StatusCode::OK, lines.into())
    }

    pub(super) fn ship(&mut self, id: u64, body: &Value) -> Answer {
        let Some(order) = self.orders.get_mut(&id) else {
            return not_found();
        };
        let refuse = |field: &str| {
            let message = format!("The field '{field}' is invalid.");
            error(StatusCode::BAD_REQUEST, &message)
        };
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let (tracking, carrier) = (text("tracking_number"), text("tracking_carrier"));
        if tracking.chars().count() > 50 {
            return refuse("tracking_number");
        }
        let Some(address) = body["order_address_id"].as_u64() else {
            return refuse("order_address_id");
        };
        let mut items = Vec::new();
        for item in body["items"].as_array().into_iter().flatten() {
            let place = item["order_product_id"]
                .as_u64()
                .and_then(|id| usize::try_from(id).ok());
            let units = item["quantity"].as_i64().unwrap_or_default();
            let fits =
                |line: &&Line| line.address == address && (1..=line.ordered - line.shipped).contains(&units);
            match place.and_then(|place| Some((place, order.lines.get(place).filter(fits)?))) {
                Some((place, _)) => items.push((place, units)),
                None => return refuse("items"),
            }
        }
        if items.is_empty() {
            return refuse("items");
        }
        let mut shipped = Vec::new();
        for (place, units) in items {
            order.lines[place].shipped += units;
            shipped.push((order.lines[place].sku.clone(), units));
        }
        order.shipments.push(Shipped {
            tracking: tracking.to_owned(),
            carrier: carrier.to_owned(),
            lines: shipped,
        });
        let is_all = order.lines.iter().all(|line| line.shipped == line.ordered);
        order.status = if is_all { SHIPPED } else { PARTIALLY_SHIPPED };
        order.modified = Timestamp::now();
        self.stats.shipments += 1;
        (
            StatusCode::CREATED,
            json!({ "id": self.stats.shipments, "order_id": id }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_that_cannot_be_adjusted_and_none_is_but_price_records_are_taken_singly() {
        let mut store = Store::new(Duration::ZERO);
        let item = |sku: &str| json!({ "location_id": 1, "sku": sku, "quantity": 5 });
        let mixed = json!({ "items": [item("A"), item("GONE-1")] });
        assert_eq!(
            store.adjust(&mixed, Duration::ZERO).0,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        assert!(store.levels().is_empty());
        let record = |sku: &str| json!({ "sku": sku, "currency": "EUR", "price": 1.5 });
        let (status, answer) = store.set_prices(2, &json!([record("A"), record("GONE-1")]), |_| false);
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer["batch_errors"][0]["data"]["sku"], "GONE-1");
        assert_eq!(
            store.prices(),
            BTreeMap::from([("A".to_owned(), "1.5".to_owned())])
        );
    }

    #[test]
    fn no_more_is_shipped_than_is_open_and_to_one_address() {
        let mut store = Store::new(Duration::ZERO);
        store.place(7, &[("A", 10, 51), ("B", 5, 52)]);
        let shipment = |address: u64, line: u64, units: i64| {
            json!({ "order_address_id": address, "tracking_number": "1Z",
                "items": [{ "order_product_id": line, "quantity": units }] })
        };
        let cases = [
            (shipment(51, 0, 11), StatusCode::BAD_REQUEST, AWAITING_FULFILLMENT),
            (shipment(51, 1, 1), StatusCode::BAD_REQUEST, AWAITING_FULFILLMENT),
            (shipment(51, 0, 10), StatusCode::CREATED, PARTIALLY_SHIPPED),
            (shipment(52, 1, 5), StatusCode::CREATED, SHIPPED),
            (shipment(52, 1, 1), StatusCode::BAD_REQUEST, SHIPPED),
        ];
        for (body, status, standing) in cases {
            assert_eq!(store.ship(7, &body).0, status, "{body}");
            assert_eq!(store.orders()[&7].status, standing, "{body}");
        }
    }
}
