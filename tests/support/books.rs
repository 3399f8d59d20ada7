//! What the traffic must have come to, kept by hand, and the comparison with what the service and the ERP say.

use super::door::Door;
use super::poll::until;
use super::traffic::{Act, CHANNEL, Operation, SKUS};
use futures_util::stream::{self, StreamExt};
use lockstep_loadtest::emulate::erp::Erp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// What was acknowledged.
#[derive(Debug, Default)]
pub struct Books {
    received: BTreeMap<&'static str, i64>,
    orders: BTreeSet<String>,
    entries: BTreeSet<String>,
}

/// A SKU's stock over all warehouses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    pub on_hand: i64,
    pub reserved: i64,
}

/// Where an order ended.
#[derive(Debug)]
struct Ended {
    number: String,
    status: String,
    view: Value,
}

impl Books {
    /// Enters an acknowledged operation; once, however often it is acknowledged.
    pub fn enter(&mut self, operation: &Operation) {
        if !self.entries.insert(operation.id.clone()) {
            return;
        }
        match &operation.act {
            Act::Receipt { sku, quantity, .. } => *self.received.entry(sku).or_default() += quantity,
            Act::Order { number, .. } => {
                self.orders.insert(number.clone());
            }
            Act::Price { .. } | Act::Cancel { .. } | Act::Ship { .. } => {}
        }
    }

    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// Brings every order to its end, then compares everything with everything.
    pub async fn audit(&self, door: &Door, erp: &Erp) {
        let ending = stream::iter(&self.orders).map(|number| bring_to_end(door, number));
        let ended: Vec<Ended> = ending.buffered(8).collect().await;
        self.compare_stock(door, &ended).await;
        compare_bookings(erp, &ended);
        let mut by_status = BTreeMap::<&str, usize>::new();
        for order in &ended {
            *by_status.entry(&order.status).or_default() += 1;
        }
        println!("{} orders: {by_status:?}; ERP: {:?}", ended.len(), erp.stats());
        assert!(
            by_status.contains_key("shipped"),
            "nothing was sold: {by_status:?}"
        );
    }

    /// Goods received are on hand or have left with an order, to the unit.
    async fn compare_stock(&self, door: &Door, ended: &[Ended]) {
        let mut shipped = BTreeMap::<&str, i64>::new();
        for line in ended.iter().flat_map(Ended::lines) {
            let sku = line["sku"].as_str().unwrap();
            *shipped.entry(sku).or_default() += line["shipped"].as_i64().unwrap();
        }
        for sku in SKUS {
            let of = |books: &BTreeMap<&str, i64>| books.get(sku).copied().unwrap_or_default();
            let received = of(&self.received);
            let expected = Level {
                on_hand: received - of(&shipped),
                reserved: 0,
            };
            // The read model follows the commits.
            let what = format!(
                "{sku}: {received} received, {} shipped: {expected:?}",
                of(&shipped)
            );
            until(&what, Duration::from_secs(20), async || {
                (try_level(door, sku).await? == expected).then_some(())
            })
            .await;
        }
    }
}

impl Ended {
    fn lines(&self) -> impl Iterator<Item = &Value> {
        self.view["lines"].as_array().unwrap().iter()
    }
}

/// An order ships what it holds and gives up what waits; one that holds nothing or waits for a person is at its end.
async fn bring_to_end(door: &Door, number: &str) -> Ended {
    let path = format!("/v1/orders/{CHANNEL}/{number}");
    until(
        &format!("the end of order {number}"),
        SETTLED_WITHIN,
        async || {
            let view = door.look(&path).await?;
            match view["status"].as_str().unwrap() {
                status @ ("booked" | "backordered") => {
                    // Whatever becomes of it, the next look says where the order stands.
                    let _verdict = door.deliver(&next_step(number, status, &view)).await;
                    None
                }
                status @ ("shipped" | "closed" | "cancelled" | "rejected" | "exception") => Some(Ended {
                    number: number.to_owned(),
                    status: status.to_owned(),
                    view: view.clone(),
                }),
                _ => None,
            }
        },
    )
    .await
}

/// The same step of the same standing is the same operation.
fn next_step(number: &str, status: &str, view: &Value) -> Operation {
    let number = number.to_owned();
    Operation {
        id: format!("bring-{number}-on-from-{}", view["sequence"]),
        act: if status == "booked" {
            Act::Ship { number }
        } else {
            Act::Cancel { number }
        },
    }
}

/// Each order that the ERP should have is booked there once and stands; no order is booked twice.
fn compare_bookings(erp: &Erp, ended: &[Ended]) {
    for order in ended {
        let reference = format!("{CHANNEL}/{}", order.number);
        let bookings = erp.bookings_of(&reference);
        let standing = bookings.iter().filter(|booking| !booking.cancelled).count();
        assert!(bookings.len() <= 1, "{reference} is booked twice: {bookings:?}");
        match order.status.as_str() {
            "shipped" => assert_eq!(standing, 1, "{reference} left without a booking"),
            // What waited was given up after the rest had left.
            "closed" => assert_eq!(bookings.len(), 1, "{reference} left without a booking"),
            "cancelled" | "rejected" => {
                assert_eq!(standing, 0, "{reference} is still booked: {}", order.view);
            }
            _ => {}
        }
    }
    assert_eq!(erp.stats().double_booked, 0, "{:?}", erp.stats());
}

/// Reads a SKU's stock. No reading, at whatever moment, may show more promised than there is.
pub async fn try_level(door: &Door, sku: &str) -> Option<Level> {
    let query = sku.replace('/', "%2F");
    let answer = door.look(&format!("/v1/availability?sku={query}")).await?;
    let mut sum = Level::default();
    for level in answer["items"][0]["levels"].as_array().unwrap() {
        let read = |field: &str| level[field].as_i64().unwrap();
        assert!(read("available") >= 0, "oversold: {level}");
        assert!(read("reserved") <= read("on_hand"), "oversold: {level}");
        sum.on_hand += read("on_hand");
        sum.reserved += read("reserved");
    }
    Some(sum)
}
