//! A burst: stock moves and prices change at a set rate, and orders come in beside.

use super::super::{MeasureError, unexpected};
use crate::distributor::{self, Size};
use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::ids::{ListId, RuleId, Sku};
use lockstep_actors::money::{Currency, Price};
use lockstep_actors::pricing::contract::DEFAULT_LIST;
use lockstep_actors::pricing::list::{Effective, ListPriceCommand, ListRow};
use lockstep_actors::pricing::scale::Scale;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Delivery, Envelope, MessageId, Provenance, Responder};
use rust_decimal::Decimal;
use std::time::{Duration, Instant};

/// Of so many changes one is a price's.
const PRICE_EVERY: u64 = 10;
/// The ids of orders' messages begin here, beyond those of changes.
const ORDERS: u128 = 1 << 96;

/// What changes, from a seed.
pub(super) struct Traffic(distributor::Distributor);

impl Traffic {
    pub(super) fn new(seed: u64, skus: u32) -> Result<Self, MeasureError> {
        let size = Size {
            skus,
            warehouses: 3,
            contracts: 50,
        };
        let distributor = distributor::Distributor::new(seed, size).map_err(unexpected)?;
        Ok(Self(distributor))
    }

    /// Prices, contracts and opening stock.
    pub(super) async fn open(&self, ingress: &Ingress<Distributor>) -> Result<(), MeasureError> {
        let prices = self.0.list_prices().chain(self.0.contracts());
        let stock = self
            .0
            .opening_stock()
            .map(|movement| movement.map(|movement| movement.message));
        for (number, message) in (0_u64..).zip(prices.chain(stock)) {
            let message = message.map_err(unexpected)?;
            let id = MessageId::of("opening", &number.to_string());
            let submitted = ingress.submit(delivery(id, message)).await;
            submitted.map_err(|rejected| unexpected(rejected.cause))?;
        }
        Ok(())
    }

    /// Hands in changes of stock and prices and orders, each at its moment; how many changes there were.
    pub(super) fn burst(
        &self,
        ingress: &Ingress<Distributor>,
        rate: u64,
        orders: u64,
        length: Duration,
    ) -> Result<u64, MeasureError> {
        let began = Instant::now();
        let (mut changes, mut ordered) = (0_u64, 0_u64);
        while began.elapsed() < length {
            let passed = began.elapsed().as_micros();
            let due = |rate: u64| u64::try_from(u128::from(rate) * passed / 1_000_000).unwrap_or(u64::MAX);
            while changes < due(rate) {
                let message = self.change(changes)?;
                // A full mailbox: what is late is made up for afterwards.
                if ingress
                    .try_submit(delivery(MessageId(u128::from(changes) + 1), message))
                    .is_err()
                {
                    break;
                }
                changes += 1;
            }
            while ordered < due(orders) {
                let (key, request) = self.0.order(ordered).map_err(unexpected)?;
                let message = distributor::Distributor::submission(key, request);
                let id = MessageId(ORDERS + u128::from(ordered));
                if ingress.try_submit(delivery(id, message)).is_err() {
                    break;
                }
                ordered += 1;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(changes)
    }

    fn change(&self, number: u64) -> Result<Message, MeasureError> {
        let movement = self.0.warehouse_event(number).map_err(unexpected)?;
        if number.is_multiple_of(PRICE_EVERY) {
            return price(movement.sku, number);
        }
        Ok(movement.message)
    }
}

/// A new price; one of a later number is newer.
fn price(sku: Sku, number: u64) -> Result<Message, MeasureError> {
    let cents = i64::try_from(100 + number % 10_000).map_err(unexpected)?;
    let row = ListRow {
        list: ListId::new(DEFAULT_LIST).map_err(unexpected)?,
        currency: Currency::new("EUR").map_err(unexpected)?,
        effective: Effective::default(),
        price: Scale::flat(Price::new(Decimal::new(cents, 2)).map_err(unexpected)?),
        rule: RuleId::new("list-2026").map_err(unexpected)?,
        version: number + 2,
        edition: None,
    };
    Ok(Message::ListPrice(sku, ListPriceCommand::Set(Box::new(row))))
}

fn delivery(id: MessageId, message: Message) -> Delivery<Distributor> {
    Delivery {
        envelope: Envelope {
            id,
            provenance: Provenance {
                source: "operator".into(),
                correlation: "burst".into(),
                causation: None,
            },
            message,
        },
        responder: Responder::nobody(),
    }
}
