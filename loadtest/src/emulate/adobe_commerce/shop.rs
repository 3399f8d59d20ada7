//! What a shop holds, and the queue of its operations, pure.
//!
//! Invariant: operations are worked on in the order in which they came in, one at a time.

use super::criteria::Criteria;
use crate::emulate::channel::Rate;
use crate::emulate::fault::FaultTable;
use crate::emulate::{EmulatorError, Probability, Shipped};
use actix_web::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The most bodies of a bulk.
const BODIES: usize = 5_000;
/// The source that there is.
const SOURCE: &str = "default";
const COMPLETE: u64 = 1;
const FAILED_FOR_NOW: u64 = 2;
const FAILED: u64 = 3;
const OPEN: u64 = 4;

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkStats {
    /// Bulks with too many bodies.
    pub oversized: u64,
    /// Bulks that were accepted.
    pub bulks: u64,
    /// Bodies in the largest of them.
    pub largest: u64,
    /// Operations that ever waited at the same time.
    pub longest_queue: u64,
    /// Bodies that were rejected.
    pub rejected: u64,
    /// Operations that were complete.
    pub complete: u64,
    /// Operations that failed.
    pub failed_operations: u64,
    /// Operations that stay open.
    pub stuck: u64,
    /// Of the quantities that were set, those that were higher before.
    pub lowered: u64,
    /// Questions about bulks.
    pub questions: u64,
    /// Shipments that were created.
    pub shipments: u64,
    /// Orders that were listed.
    pub orders_listed: u64,
}

/// What a bulk is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    SourceItems,
    BasePrices,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Failed,
    Stuck,
}

#[derive(Debug)]
struct Operation {
    id: u64,
    topic: Topic,
    body: Value,
    came: Duration,
    status: u64,
    message: String,
    result: Option<String>,
}

/// An order as the shop shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Its state.
    pub state: String,
    /// Its status.
    pub status: String,
    /// Its shipments, the oldest first.
    pub shipments: Vec<Shipped>,
    #[serde(skip)]
    lines: Vec<Line>,
    #[serde(skip)]
    modified: Timestamp,
}

/// A line of an order. Each second one is of a configurable product: an item with the SKU and the price, and a child without.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    sku: String,
    ordered: i64,
    shipped: i64,
}

/// What the items of an order have as ids: the child comes after its parent.
fn item_id(place: usize) -> u64 {
    2 * place as u64 + 1
}

/// The line of an item without a parent.
fn line_of(item: u64) -> Option<usize> {
    (item % 2 == 1).then(|| usize::try_from(item / 2).ok())?
}

impl Line {
    fn items(&self, place: usize) -> Vec<Value> {
        let id = item_id(place);
        let cents = self.ordered * 1_049;
        let total: Value =
            serde_json::from_str(&format!("{}.{:02}", cents / 100, cents % 100)).unwrap_or_default();
        let kind = ["configurable", "simple"][place % 2];
        let mut items = vec![
            json!({ "item_id": id, "product_type": kind, "sku": self.sku, "qty_ordered": self.ordered, "qty_shipped": self.shipped,
            "qty_canceled": 0, "row_total": total, "discount_amount": 0, "discount_tax_compensation_amount": 0, "is_virtual": 0 }),
        ];
        if kind == "configurable" {
            items.push(
                json!({ "item_id": id + 1, "parent_item_id": id, "product_type": "simple", "sku": self.sku,
                "qty_ordered": self.ordered, "qty_shipped": 0, "qty_canceled": 0, "row_total": 0, "discount_amount": 0, "is_virtual": 0 }),
            );
        }
        items
    }
}

impl Order {
    fn told(&self, id: u64) -> Value {
        let lines = self.lines.iter().enumerate();
        let items: Vec<Value> = lines.flat_map(|(place, line)| line.items(place)).collect();
        let address = |first: &str, street: &str| {
            json!({ "firstname": first, "lastname": "Costello", "street": [street], "city": "Calder", "postcode": "49628-7978",
                "country_id": "US", "telephone": "(555) 229-3326" })
        };
        let assignment = json!({ "shipping": { "address": address("Veronica", "6146 Honey Bluff Parkway"),
            "method": "flatrate_flatrate" } });
        json!({
            "entity_id": id, "increment_id": format!("{id:09}"), "state": self.state, "status": self.status, "store_id": 1,
            "updated_at": self.modified.strftime("%Y-%m-%d %H:%M:%S").to_string(), "order_currency_code": "EUR",
            "customer_is_guest": 1, "billing_address": address("Jane", "1 Bill Street"), "items": items,
            "extension_attributes": { "shipping_assignments": [assignment] },
        })
    }
}

#[derive(Debug)]
pub(super) struct Shop {
    interval: Duration,
    faults: FaultTable<Fault>,
    bulks: BTreeMap<String, Vec<usize>>,
    operations: Vec<Operation>,
    /// Those that wait, by their places.
    queue: VecDeque<usize>,
    /// When the consumer is free.
    free: Duration,
    quantities: BTreeMap<String, i64>,
    /// Before their last changes.
    before: BTreeMap<String, i64>,
    prices: BTreeMap<String, String>,
    orders: BTreeMap<u64, Order>,
    pub(super) stats: BulkStats,
}

type Answer = (StatusCode, Value);

fn refuse(status: StatusCode, message: &str) -> Answer {
    (status, json!({ "message": message }))
}

fn missing() -> Answer {
    let message = "The entity that was requested doesn't exist. Verify the entity and try again.";
    refuse(StatusCode::NOT_FOUND, message)
}

/// The answer to a search among `all`.
fn answer_with(query: &BTreeMap<String, String>, all: impl Iterator<Item = Value>) -> Answer {
    match Criteria::read(query).and_then(|criteria| criteria.find(all)) {
        Ok(found) => (StatusCode::OK, found),
        Err(message) => refuse(StatusCode::BAD_REQUEST, &message),
    }
}

/// The SKU that a body is of, if it is well formed.
fn sku_of(topic: Topic, body: &Value) -> Option<&str> {
    let item = match topic {
        Topic::SourceItems => &body["sourceItems"][0],
        Topic::BasePrices => &body["prices"][0],
    };
    let is_whole = match topic {
        Topic::SourceItems => {
            item["quantity"].is_number() && item["source_code"].is_string() && item["status"].is_u64()
        }
        Topic::BasePrices => item["price"].is_number() && item["store_id"].is_u64(),
    };
    item["sku"]
        .as_str()
        .filter(|sku| is_whole && !sku.starts_with("ODD"))
}

impl Shop {
    /// Refuses probabilities that exceed certainty together.
    pub(super) fn new(
        seed: u64,
        work: Rate,
        item_fail: Probability,
        stuck: Probability,
    ) -> Result<Self, EmulatorError> {
        Ok(Self {
            interval: work.interval(),
            faults: FaultTable::new(seed, &[(item_fail, Fault::Failed), (stuck, Fault::Stuck)])?,
            bulks: BTreeMap::new(),
            operations: Vec::new(),
            queue: VecDeque::new(),
            free: Duration::ZERO,
            quantities: BTreeMap::new(),
            before: BTreeMap::new(),
            prices: BTreeMap::new(),
            orders: BTreeMap::new(),
            stats: BulkStats::default(),
        })
    }

    pub(super) fn quantities(&self) -> BTreeMap<String, i64> {
        self.quantities.clone()
    }

    pub(super) fn prices(&self) -> BTreeMap<String, String> {
        self.prices.clone()
    }

    pub(super) fn orders(&self) -> BTreeMap<u64, Order> {
        self.orders.clone()
    }

    /// Works on what the consumer comes to by this moment.
    pub(super) fn work(&mut self, now: Duration) {
        while let Some(place) = self.queue.front().copied() {
            let done = self.free.max(self.operations[place].came) + self.interval;
            if done > now {
                return;
            }
            self.queue.pop_front();
            self.free = done;
            self.work_on(place);
        }
    }

    fn work_on(&mut self, place: usize) {
        let operation = &self.operations[place];
        let (id, topic) = (operation.id, operation.topic);
        let sku = sku_of(topic, &operation.body).unwrap_or_default().to_owned();
        let (status, message, result) = match self.faults.draw(&sku, id) {
            Some(Fault::Stuck) => {
                self.stats.stuck += 1;
                return;
            }
            Some(Fault::Failed) => {
                let message = "Deadlock found when trying to get lock; try restarting transaction";
                (FAILED_FOR_NOW, message.to_owned(), None)
            }
            None => self.carry_out(place, &sku),
        };
        let counter = if status == COMPLETE {
            &mut self.stats.complete
        } else {
            &mut self.stats.failed_operations
        };
        *counter += 1;
        let operation = &mut self.operations[place];
        (operation.status, operation.message, operation.result) = (status, message, result);
    }

    fn carry_out(&mut self, place: usize, sku: &str) -> (u64, String, Option<String>) {
        let is_known = !sku.starts_with("GONE");
        let body = &self.operations[place].body;
        let done = |of: &str, result: &Value| {
            let message = format!("Service execution success {of}");
            (COMPLETE, message, Some(result.to_string()))
        };
        match self.operations[place].topic {
            Topic::SourceItems => {
                let item = &body["sourceItems"][0];
                if item["source_code"] != SOURCE {
                    return (FAILED, "Could not save Source Item".to_owned(), None);
                }
                if !is_known {
                    let message =
                        "The product that was requested doesn't exist. Verify the product and try again.";
                    return (FAILED, message.to_owned(), None);
                }
                let units = item["quantity"].as_i64().unwrap_or_default();
                if let Some(before) = self.quantities.insert(sku.to_owned(), units) {
                    self.stats.lowered += u64::from(before > units);
                    self.before.insert(sku.to_owned(), before);
                }
                done(
                    "Magento\\InventoryApi\\Api\\SourceItemsSaveInterface::execute",
                    &Value::Null,
                )
            }
            Topic::BasePrices => {
                let of = "Magento\\Catalog\\Api\\BasePriceStorageInterface::update";
                if !is_known {
                    let failed = json!([{ "message": "Invalid attribute %fieldName = %fieldValue.",
                        "parameters": ["SKU", sku] }]);
                    return done(of, &failed);
                }
                let price = body["prices"][0]["price"].to_string();
                self.prices.insert(sku.to_owned(), price);
                done(of, &json!([]))
            }
        }
    }

    pub(super) fn hand_in(&mut self, topic: Topic, bodies: &Value, now: Duration) -> Answer {
        let bodies = bodies.as_array().map(Vec::as_slice).unwrap_or_default();
        self.stats.largest = self.stats.largest.max(bodies.len() as u64);
        if bodies.is_empty() || bodies.len() > BODIES {
            self.stats.oversized += 1;
            let message = format!("Maximum items of type \"array\" is {BODIES}");
            return refuse(StatusCode::BAD_REQUEST, &message);
        }
        let number = self.stats.bulks;
        self.stats.bulks += 1;
        let uuid = format!("00000000-0000-4000-8000-{number:012}");
        let (mut places, mut items) = (Vec::new(), Vec::new());
        for (id, body) in bodies.iter().enumerate() {
            if sku_of(topic, body).is_none() {
                self.stats.rejected += 1;
                let message = format!("Error processing {id} element of input data");
                items.push(
                    json!({ "id": id, "status": "rejected", "error_message": message, "error_code": 0 }),
                );
                continue;
            }
            let place = self.operations.len();
            self.operations.push(Operation {
                id: place as u64,
                topic,
                body: body.clone(),
                came: now,
                status: OPEN,
                message: String::new(),
                result: None,
            });
            places.push(place);
            self.queue.push_back(place);
            items.push(json!({ "id": id, "data_hash": format!("{place:064x}"), "status": "accepted" }));
        }
        self.stats.longest_queue = self.stats.longest_queue.max(self.queue.len() as u64);
        let errors = places.len() < bodies.len();
        self.bulks.insert(uuid.clone(), places);
        (
            StatusCode::ACCEPTED,
            json!({ "bulk_uuid": uuid, "request_items": items, "errors": errors }),
        )
    }

    pub(super) fn status(&mut self, uuid: &str, is_behind: bool) -> Answer {
        self.stats.questions += 1;
        let Some(places) = self.bulks.get(uuid) else {
            return missing();
        };
        let operation = |place: &usize| {
            let operation = &self.operations[*place];
            if is_behind {
                return json!({ "id": operation.id, "bulk_uuid": uuid, "status": OPEN });
            }
            json!({ "id": operation.id, "bulk_uuid": uuid, "status": operation.status,
                "result_message": operation.message, "result_serialized_data": operation.result })
        };
        let operations: Vec<Value> = places.iter().map(operation).collect();
        (
            StatusCode::OK,
            json!({ "operations_list": operations, "bulk_id": uuid, "operation_count": places.len() }),
        )
    }

    pub(super) fn read(&self, query: &BTreeMap<String, String>, is_behind: bool) -> Answer {
        let shown = if is_behind { &self.before } else { &self.quantities };
        let all = shown.iter().map(|(sku, units)| {
            json!({ "sku": sku, "source_code": SOURCE, "quantity": units, "status": i32::from(*units > 0) })
        });
        answer_with(query, all)
    }

    pub(super) fn list_orders(&mut self, query: &BTreeMap<String, String>) -> Answer {
        let answer = answer_with(query, self.orders.iter().map(|(id, order)| order.told(*id)));
        self.stats.orders_listed += answer.1["items"]
            .as_array()
            .map_or(0, |listed| listed.len() as u64);
        answer
    }

    pub(super) fn place(&mut self, id: u64, lines: &[(&str, i64)]) {
        let lines = lines.iter().map(|(sku, units)| Line {
            sku: (*sku).to_owned(),
            ordered: *units,
            shipped: 0,
        });
        let order = Order {
            state: "processing".to_owned(),
            status: "processing".to_owned(),
            shipments: Vec::new(),
            lines: lines.collect(),
            modified: Timestamp::now(),
        };
        self.orders.insert(id, order);
    }

    pub(super) fn set_state(&mut self, id: u64, state: &str) {
        if let Some(order) = self.orders.get_mut(&id) {
            (order.state, order.status) = (state.to_owned(), state.to_owned());
            order.modified = Timestamp::now();
        }
    }

    pub(super) fn age(&mut self, id: u64, by: Duration) {
        if let Some(order) = self.orders.get_mut(&id) {
            order.modified = order.modified.saturating_sub(by).unwrap_or(order.modified);
        }
    }

    pub(super) fn read_order(&self, id: u64) -> Answer {
        let Some(order) = self.orders.get(&id) else {
            return missing();
        };
        (StatusCode::OK, order.told(id))
    }

    pub(super) fn ship(&mut self, id: u64, body: &Value) -> Answer {
        let Some(order) = self.orders.get_mut(&id) else {
            return missing();
        };
        let invalid = |why: &str| {
            let message = format!("Shipment Document Validation Error(s):\n{why}");
            refuse(StatusCode::BAD_REQUEST, &message)
        };
        if matches!(order.state.as_str(), "canceled" | "closed") {
            return invalid("A shipment cannot be created when an order has a status of Canceled");
        }
        let source = &body["arguments"]["extension_attributes"]["source_code"];
        if !source.is_null() && source != SOURCE {
            return invalid("The source is not known.");
        }
        let mut items = Vec::new();
        for item in body["items"].as_array().into_iter().flatten() {
            let place = item["order_item_id"].as_u64().and_then(line_of);
            let units = item["qty"].as_i64().unwrap_or_default();
            let open = place.and_then(|place| order.lines.get(place));
            let open = open.map_or(0, |line| line.ordered - line.shipped);
            match place {
                Some(place) if (1..=open).contains(&units) => items.push((place, units)),
                Some(_) | None => {
                    return invalid("The quantity to ship must not be greater than the unshipped quantity");
                }
            }
        }
        if items.is_empty() {
            return invalid("You can't create a shipment without products.");
        }
        let mut shipped = Vec::new();
        for (place, units) in items {
            let line = &mut order.lines[place];
            line.shipped += units;
            shipped.push((line.sku.clone(), units));
        }
        let text = |name: &str| body["tracks"][0][name].as_str().unwrap_or_default().to_owned();
        order.shipments.push(Shipped {
            tracking: text("track_number"),
            carrier: text("carrier_code"),
            lines: shipped,
        });
        if order.lines.iter().all(|line| line.ordered == line.shipped) {
            (order.state, order.status) = ("complete".to_owned(), "complete".to_owned());
        }
        order.modified = Timestamp::now();
        self.stats.shipments += 1;
        (StatusCode::OK, self.stats.shipments.into())
    }

    pub(super) fn cancel(&mut self, id: u64) -> Answer {
        match self.orders.get_mut(&id) {
            Some(order) if order.state == "processing" && order.shipments.is_empty() => {
                (order.state, order.status) = ("canceled".to_owned(), "canceled".to_owned());
                order.modified = Timestamp::now();
                (StatusCode::OK, true.into())
            }
            Some(_) => (StatusCode::OK, false.into()),
            None => missing(),
        }
    }

    pub(super) fn comment(&mut self, id: u64, body: &Value) -> Answer {
        let Some(order) = self.orders.get_mut(&id) else {
            return missing();
        };
        let history = &body["statusHistory"];
        if !history["comment"].is_string() {
            return refuse(
                StatusCode::BAD_REQUEST,
                "\"comment\" is required. Enter and try again.",
            );
        }
        if let Some(status) = history["status"].as_str() {
            status.clone_into(&mut order.status);
            order.modified = Timestamp::now();
        }
        (StatusCode::OK, true.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(sku: &str, units: i64) -> Value {
        json!({ "sourceItems": [{ "sku": sku, "source_code": SOURCE, "quantity": units, "status": 1 }] })
    }

    /// Ten operations a second: the first is done after 100 ms, the second after 200.
    #[test]
    fn operations_are_worked_on_one_by_one_and_each_has_its_own_outcome() {
        let never = Probability::NEVER;
        let mut shop = Shop::new(1, "10/s".parse().unwrap(), never, never).unwrap();
        let bodies = json!([stock("A", 5), stock("ODD", 1), stock("GONE-1", 1), stock("A", 4)]);
        let (status, answer) = shop.hand_in(Topic::SourceItems, &bodies, Duration::ZERO);
        assert_eq!(
            (status, answer["errors"].as_bool()),
            (StatusCode::ACCEPTED, Some(true))
        );
        assert_eq!(answer["request_items"][1]["status"], "rejected");
        let uuid = answer["bulk_uuid"].as_str().unwrap().to_owned();
        for (millis, expected, units) in [
            (99, [OPEN, OPEN, OPEN], None),
            (100, [COMPLETE, OPEN, OPEN], Some(5)),
            (299, [COMPLETE, FAILED, OPEN], Some(5)),
            (300, [COMPLETE, FAILED, COMPLETE], Some(4)),
        ] {
            shop.work(Duration::from_millis(millis));
            let (_, status) = shop.status(&uuid, false);
            let statuses = status["operations_list"].as_array().unwrap().iter();
            let statuses: Vec<_> = statuses.map(|one| one["status"].as_u64().unwrap()).collect();
            assert_eq!(statuses, expected, "after {millis} ms");
            assert_eq!(shop.quantities().get("A").copied(), units, "after {millis} ms");
        }
        assert_eq!(shop.stats.lowered, 1);
    }
}
