//! What is sent: the traffic of a distributor, the same for the same seed.
//!
//! Invariant: a message is a function of seed, run and number alone, so that any may be made anew.

use clap::ValueEnum;
use lockstep_adapters::schema::{BodyFormat, EncodeError, encode_body};
use rand::rngs::StdRng;
use rand::seq::index;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// How many holds live before the oldest is released.
const LIVE_HOLDS: u64 = 500;
/// How much of each SKU is received in each warehouse before orders and holds are sent.
const FIRST_STOCK: u64 = 1_000_000_000;
const CHANNEL: &str = "loadtest";

/// Which traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Receipts of goods.
    Stock,
    /// Orders of 5 to 20 lines.
    Orders,
    /// Holds, each released when 500 later ones stand.
    Reservations,
    /// Seven parts stock, two parts reservations, one part orders.
    Mixed,
}

/// How bodies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// JSON.
    Json,
    /// MessagePack.
    Msgpack,
}

impl From<Format> for BodyFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Msgpack => Self::MessagePack,
        }
    }
}

/// A seeded source of messages.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) kind: Kind,
    pub(super) format: BodyFormat,
    pub(super) skus: u32,
    pub(super) warehouses: u32,
    pub(super) seed: u64,
    /// Sets this run's ids apart from an earlier one's, whose repeats would be recognised.
    pub(super) run: String,
}

/// A message before it is written for one of the doors.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) schema: &'static str,
    pub(super) path: &'static str,
    pub(super) body: Value,
}

impl Item {
    fn stock(id: String, sku: &str, warehouse: &str, change: &Value) -> Self {
        Self {
            id,
            schema: "lockstep.stock.event",
            path: "/v1/stock-events",
            body: json!({ "sku": sku, "warehouse": warehouse, "change": change }),
        }
    }

    /// What names its partition.
    pub(super) fn key(&self) -> String {
        let text = |field: &str| self.body[field].as_str().unwrap_or_default();
        match text("sku") {
            "" => format!("{}/{}", text("channel"), text("number")),
            sku => sku.to_owned(),
        }
    }

    /// The canonical message, as AMQP takes it.
    pub(super) fn message(&self, format: BodyFormat) -> Result<Vec<u8>, EncodeError> {
        let whole = json!({ "schema": self.schema, "version": 1, "id": self.id, "body": self.body });
        encode_body(format, &whole)
    }

    /// The body alone, as HTTP takes it.
    pub(super) fn request(&self, format: BodyFormat) -> Result<Vec<u8>, EncodeError> {
        encode_body(format, &self.body)
    }
}

impl Workload {
    /// The `number`-th message.
    pub(super) fn item(&self, number: u64) -> Item {
        match self.kind {
            Kind::Stock => self.receipt(number),
            Kind::Orders => self.order(number),
            Kind::Reservations => self.reservation(number),
            Kind::Mixed => match number % 10 {
                0..7 => self.receipt(number),
                part @ (7 | 8) => self.reservation(number / 10 * 2 + part - 7),
                _ => self.order(number),
            },
        }
    }

    /// What must be there before: prices and stock of every SKU. Nothing for a workload of receipts.
    pub(super) fn preparation(&self) -> Vec<Item> {
        if self.kind == Kind::Stock {
            return Vec::new();
        }
        let mut items = Vec::new();
        for sku in 0..self.skus {
            items.push(self.price(sku));
            for warehouse in 0..self.warehouses {
                let document = format!("FIRST-{}", self.run);
                let change = json!({ "receipt": { "quantity": FIRST_STOCK, "document": document } });
                let id = format!("{}-first-{sku}-{warehouse}", self.run);
                items.push(Item::stock(
                    id,
                    &sku_code(sku),
                    &warehouse_code(warehouse),
                    &change,
                ));
            }
        }
        items
    }

    fn price(&self, sku: u32) -> Item {
        Item {
            id: format!("{}-price-{sku}", self.run),
            schema: "lockstep.price.set",
            path: "/v1/prices",
            body: json!({ "sku": sku_code(sku), "list": "standard", "currency": "EUR", "unit": "12.50",
                "rule": format!("LOAD-{sku}"), "version": 1 }),
        }
    }

    fn draw(&self, number: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number))
    }

    fn place(&self, draw: &mut StdRng) -> (String, String) {
        let sku = draw.random_range(0..self.skus);
        (
            sku_code(sku),
            warehouse_code(draw.random_range(0..self.warehouses)),
        )
    }

    fn receipt(&self, number: u64) -> Item {
        let mut draw = self.draw(number);
        let (sku, warehouse) = self.place(&mut draw);
        let document = format!("GR-{}-{number}", self.run);
        let change = json!({ "receipt": { "quantity": draw.random_range(1..=20), "document": document } });
        Item::stock(format!("{}-{number}", self.run), &sku, &warehouse, &change)
    }

    /// Even numbers hold, odd ones release an old hold once there is one.
    fn reservation(&self, number: u64) -> Item {
        let id = format!("{}-hold-{number}", self.run);
        let (pair, releases) = (number / 2, number % 2 == 1);
        let released = pair.checked_sub(LIVE_HOLDS).filter(|_| releases);
        let held = released.map_or(number, |pair| pair * 2);
        let (sku, warehouse) = self.place(&mut self.draw(held));
        let hold = json!({ "channel": CHANNEL, "number": format!("{}-{held}", self.run), "line": 1 });
        let change = match released {
            Some(_) => json!({ "release": { "hold": hold } }),
            None => json!({ "hold": { "hold": hold, "quantity": 1 } }),
        };
        Item::stock(id, &sku, &warehouse, &change)
    }

    fn order(&self, number: u64) -> Item {
        let mut draw = self.draw(number);
        let most = usize::try_from(self.skus).unwrap_or(usize::MAX);
        let wanted = draw.random_range(5..=20_usize).min(most);
        let lines: Vec<_> = index::sample(&mut draw, most, wanted)
            .into_iter()
            .map(|sku| json!({ "sku": format!("LOAD-{sku:06}"), "quantity": draw_quantity(number, sku) }))
            .collect();
        let warehouses: Vec<_> = (0..self.warehouses.min(16)).map(warehouse_code).collect();
        Item {
            id: format!("{}-order-{number}", self.run),
            schema: "lockstep.order.submit",
            path: "/v1/orders",
            body: json!({ "channel": CHANNEL, "number": format!("{}-{number}", self.run),
                "customer": format!("C-{}", draw.random_range(0..1000)), "currency": "EUR",
                "lines": lines, "warehouses": warehouses }),
        }
    }
}

fn draw_quantity(number: u64, sku: usize) -> u64 {
    (number + sku as u64) % 5 + 1
}

fn sku_code(sku: u32) -> String {
    format!("LOAD-{sku:06}")
}

fn warehouse_code(warehouse: u32) -> String {
    format!("W{}", warehouse + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::ids::SystemName;
    use lockstep_adapters::schema::decode;
    use std::collections::BTreeSet;

    fn workload(kind: Kind, format: BodyFormat) -> Workload {
        Workload {
            kind,
            format,
            skus: 50,
            warehouses: 3,
            seed: 7,
            run: "test".to_owned(),
        }
    }

    #[test]
    fn every_message_is_one_that_lockstep_reads_and_none_repeats_an_id() {
        let sender = SystemName::new("loadtest").unwrap();
        for kind in [Kind::Stock, Kind::Orders, Kind::Reservations, Kind::Mixed] {
            for format in [BodyFormat::Json, BodyFormat::MessagePack] {
                let workload = workload(kind, format);
                let items = workload.preparation().into_iter();
                let mut ids = BTreeSet::new();
                for item in items.chain((0..3000).map(|number| workload.item(number))) {
                    decode(format, &item.message(format).unwrap(), &sender).unwrap();
                    assert!(ids.insert(item.id.clone()), "{} twice in {kind:?}", item.id);
                }
            }
        }
    }

    #[test]
    fn every_release_is_of_a_hold_that_was_sent_long_before() {
        let workload = workload(Kind::Reservations, BodyFormat::Json);
        let mut held = BTreeSet::new();
        let mut releases = 0;
        for number in 0..5000 {
            let body = workload.item(number).body;
            let of = |change: &Value| {
                format!(
                    "{}/{}/{}",
                    body["sku"], body["warehouse"], change["hold"]["number"]
                )
            };
            match body["change"].get("release") {
                Some(release) => {
                    assert!(held.remove(&of(release)), "{body} was not held");
                    releases += 1;
                }
                None => drop(held.insert(of(&body["change"]["hold"]))),
            }
        }
        assert!(releases > 1000);
    }
}
