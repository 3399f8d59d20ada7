//! The traffic of a small distributor: goods come in, orders are placed, cancelled and shipped.
//!
//! Drawn from a seed. Every operation has an id of its own and may be delivered any number of times.

use lockstep_runtime::placement::PartitionCount;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Through which channel all orders come.
pub const CHANNEL: &str = "shop";
pub const WAREHOUSES: [&str; 2] = ["W1", "W2"];
pub const SKUS: [&str; 8] = ["A-1", "A-2", "A-3", "B-1", "B-2", "C/1", "C.2", "D"];

/// One thing that somebody tells Lockstep.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The same however often it is delivered.
    pub id: String,
    pub act: Act,
}

/// What is told.
#[derive(Clone, Debug)]
pub enum Act {
    Price {
        sku: &'static str,
    },
    Receipt {
        sku: &'static str,
        warehouse: &'static str,
        quantity: i64,
    },
    Order {
        number: String,
        lines: Vec<(&'static str, i64)>,
        policy: &'static str,
    },
    Cancel {
        number: String,
    },
    Ship {
        number: String,
    },
}

impl Operation {
    pub fn schema(&self) -> &'static str {
        match self.act {
            Act::Price { .. } => "lockstep.price.set",
            Act::Receipt { .. } => "lockstep.stock.event",
            Act::Order { .. } => "lockstep.order.submit",
            Act::Cancel { .. } => "lockstep.order.cancel",
            Act::Ship { .. } => "lockstep.order.progress",
        }
    }

    /// The HTTP path and the request's body.
    pub fn request(&self) -> (String, Value) {
        match &self.act {
            Act::Price { sku } => ("/v1/prices".to_owned(), price(sku)),
            Act::Receipt {
                sku,
                warehouse,
                quantity,
            } => (
                "/v1/stock-events".to_owned(),
                json!({ "sku": sku, "warehouse": warehouse,
                    "change": { "receipt": { "quantity": quantity, "document": self.id } } }),
            ),
            Act::Order {
                number,
                lines,
                policy,
            } => ("/v1/orders".to_owned(), order(number, lines, policy)),
            Act::Cancel { number } => (
                format!("/v1/orders/{CHANNEL}/{number}/cancel"),
                json!({ "reason": "changed their mind" }),
            ),
            Act::Ship { number } => (
                format!("/v1/orders/{CHANNEL}/{number}/progress"),
                json!({ "step": { "ship": {} } }),
            ),
        }
    }

    /// The partition of what it is about, of so many.
    pub fn partition(&self, partitions: u16) -> u16 {
        let key = match &self.act {
            Act::Price { sku } | Act::Receipt { sku, .. } => (*sku).to_owned(),
            Act::Order { number, .. } | Act::Cancel { number } | Act::Ship { number } => {
                format!("{CHANNEL}/{number}")
            }
        };
        PartitionCount::new(partitions)
            .unwrap()
            .partition_of(key.as_bytes())
            .0
    }

    /// The canonical message.
    pub fn message(&self) -> Value {
        let (_, mut body) = self.request();
        if let Act::Cancel { number } | Act::Ship { number } = &self.act {
            body["channel"] = CHANNEL.into();
            body["number"] = number.as_str().into();
        }
        json!({ "schema": self.schema(), "version": 1, "id": self.id, "body": body })
    }
}

fn price(sku: &str) -> Value {
    json!({ "sku": sku, "list": "standard", "currency": "EUR", "unit": "12.50", "rule": "list-2026", "version": 1 })
}

fn order(number: &str, lines: &[(&str, i64)], policy: &str) -> Value {
    let lines: Vec<_> = lines
        .iter()
        .map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity }))
        .collect();
    json!({ "channel": CHANNEL, "number": number, "customer": "C-1", "currency": "EUR",
        "lines": lines, "warehouses": WAREHOUSES, "policy": policy })
}

/// The list prices without which nothing can be ordered.
pub fn prices() -> impl Iterator<Item = Operation> {
    SKUS.iter().enumerate().map(|(place, sku)| Operation {
        id: format!("price-{place}"),
        act: Act::Price { sku },
    })
}

/// One sender's endless stream of operations.
#[derive(Debug)]
pub struct Traffic {
    sender: String,
    random: StdRng,
    count: u64,
    orders: Vec<String>,
}

impl Traffic {
    pub fn new(sender: &str, seed: u64) -> Self {
        Self {
            sender: sender.to_owned(),
            random: StdRng::seed_from_u64(seed),
            count: 0,
            orders: Vec::new(),
        }
    }

    /// Something that happens with this chance, in percent.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn receipt(&mut self) -> Act {
        Act::Receipt {
            sku: SKUS.choose(&mut self.random).unwrap(),
            warehouse: WAREHOUSES.choose(&mut self.random).unwrap(),
            quantity: self.random.random_range(1..=20),
        }
    }

    fn order(&mut self, id: &str) -> Act {
        let count = self.random.random_range(1..=3);
        let skus: Vec<_> = SKUS.choose_multiple(&mut self.random, count).collect();
        let lines = skus
            .into_iter()
            .map(|sku| (*sku, self.random.random_range(1..=9)))
            .collect();
        self.orders.push(id.to_owned());
        Act::Order {
            number: id.to_owned(),
            lines,
            policy: if self.chance(30) {
                "partial"
            } else {
                "ship-complete"
            },
        }
    }

    /// The next operation; cancellations and shipments are of orders of this sender.
    pub fn next(&mut self) -> Operation {
        self.count += 1;
        let id = format!("{}-{}", self.sender, self.count);
        let known = self.orders.choose(&mut self.random).cloned();
        let act = match (self.random.random_range(0..100), known) {
            (0..10, Some(number)) => Act::Cancel { number },
            (10..25, Some(number)) => Act::Ship { number },
            (25..60, _) => self.receipt(),
            (_, _) => self.order(&id),
        };
        Operation { id, act }
    }
}
