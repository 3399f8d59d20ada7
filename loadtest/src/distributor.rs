//! A generated distributor: catalogue, contracts, opening stock, and the traffic of a day, all from one seed.
//!
//! Invariant: message `n` of each kind follows from the seed alone, so that a run can be repeated.

use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    CustomerId, DocumentId, InvalidName, ListId, OrderKey, Reason, RuleId, Sku, StockId, WarehouseCode,
};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::command::{Adjustment, StockCommand};
use lockstep_actors::money::{Currency, MoneyError, Percent, Price};
use lockstep_actors::orders::command::{OrderCommand, OrderLine, OrderRequest};
use lockstep_actors::orders::delivery::Delivery;
use lockstep_actors::orders::sourcing::Sourcing;
use lockstep_actors::orders::state::Policy;
use lockstep_actors::pricing::contract::{Contract, ContractCommand, Customers, DEFAULT_LIST};
use lockstep_actors::pricing::list::{Effective, ListPriceCommand, ListRow};
use lockstep_actors::pricing::scale::{Break, Scale};
use lockstep_actors::pricing::term::{Effect, Scope, Term};
use lockstep_actors::quantity::{PositiveQuantity, QuantityOutOfRange};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;

/// How large the distributor is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// SKUs.
    pub skus: u32,
    /// Warehouses.
    pub warehouses: u32,
    /// Customer contracts.
    pub contracts: u32,
}

/// A generated value that the domain does not take, which is a defect of the generator.
#[derive(Debug, thiserror::Error)]
#[error("the generator made something that is no {0}")]
pub struct Defect(String);

impl From<InvalidName> for Defect {
    fn from(error: InvalidName) -> Self {
        Self(format!("name: {error}"))
    }
}

impl From<MoneyError> for Defect {
    fn from(error: MoneyError) -> Self {
        Self(format!("money: {error}"))
    }
}

impl From<QuantityOutOfRange> for Defect {
    fn from(error: QuantityOutOfRange) -> Self {
        Self(format!("quantity: {error}"))
    }
}

/// What changes the books of a SKU, and by how much if it is taken.
#[derive(Clone, Debug)]
pub struct Movement {
    /// The message.
    pub message: Message,
    /// The SKU.
    pub sku: Sku,
    /// What comes on hand; negative for a loss.
    pub units: i64,
    /// Whether it is a receipt, rather than a correction.
    pub is_receipt: bool,
}

/// The distributor.
#[derive(Clone, Debug)]
pub struct Distributor {
    seed: u64,
    size: Size,
    currency: Currency,
    warehouses: Vec<WarehouseCode>,
}

impl Distributor {
    /// The distributor of a seed; at least one of everything.
    ///
    /// # Errors
    /// [`Defect`], for more than 9,999 warehouses.
    pub fn new(seed: u64, size: Size) -> Result<Self, Defect> {
        let size = Size {
            skus: size.skus.max(1),
            warehouses: size.warehouses.max(1),
            contracts: size.contracts.max(1),
        };
        let warehouses: Result<_, _> = (1..=size.warehouses)
            .map(|number| WarehouseCode::new(&format!("W{number}")))
            .collect();
        Ok(Self {
            seed,
            size,
            currency: Currency::new("EUR")?,
            warehouses: warehouses?,
        })
    }

    fn random(&self, kind: u64, number: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ (kind << 56) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn sku(number: u32) -> Result<Sku, Defect> {
        Ok(Sku::new(&format!("SKU-{number:06}"))?)
    }

    /// A SKU by popularity: the square makes the first tenth of them a third of all sales.
    fn popular(&self, random: &mut StdRng) -> Result<Sku, Defect> {
        let part = u64::from(random.random_range(0..1_000_000_u32));
        let square = part * part / 1_000_000;
        let number = square * u64::from(self.size.skus) / 1_000_000;
        Self::sku(u32::try_from(number).unwrap_or(0))
    }

    /// List prices, contracts and opening stock, in this order.
    ///
    /// # Errors
    /// [`Defect`].
    pub fn list_prices(&self) -> impl Iterator<Item = Result<Message, Defect>> + '_ {
        (0..self.size.skus).map(|number| {
            let mut random = self.random(1, number.into());
            let cents = random.random_range(100..50_000_i64);
            let row = ListRow {
                list: ListId::new(DEFAULT_LIST)?,
                currency: self.currency,
                effective: Effective::default(),
                price: Scale::stepped(
                    Price::new(Decimal::new(cents, 2))?,
                    vec![Break {
                        from: PositiveQuantity::new(24)?,
                        value: Price::new(Decimal::new(cents * 9 / 10, 2))?,
                    }],
                ),
                rule: RuleId::new("list-2026")?,
                version: 1,
                edition: None,
            };
            Ok(Message::ListPrice(
                Self::sku(number)?,
                ListPriceCommand::Set(Box::new(row)),
            ))
        })
    }

    /// Every customer's contract.
    pub fn contracts(&self) -> impl Iterator<Item = Result<Message, Defect>> + '_ {
        (0..self.size.contracts).map(|number| {
            let mut random = self.random(2, number.into());
            let mut terms = vec![Term::plain(
                RuleId::new(&format!("contract-{number}-discount"))?,
                1,
                Scope::Everything,
                Effect::Discount(Scale::flat(Percent::new(Decimal::new(
                    random.random_range(0..200_i64),
                    1,
                ))?)),
            )];
            let mut fixed = std::collections::BTreeSet::new();
            for place in 0..10_u32 {
                let sku = self.popular(&mut random)?;
                if fixed.insert(sku.clone()) {
                    let cents = random.random_range(80..40_000_i64);
                    terms.push(Term::plain(
                        RuleId::new(&format!("contract-{number}-price-{place}"))?,
                        1,
                        Scope::Sku(sku),
                        Effect::Fixed(Scale::flat(Price::new(Decimal::new(cents, 2))?)),
                    ));
                }
            }
            let contract = Box::new(Contract {
                terms: terms.into(),
                ..Contract::none(self.currency)
            });
            let command = ContractCommand::Upsert { contract, version: 1 };
            Ok(Message::Contract(Self::customer(number)?, command))
        })
    }

    fn customer(number: u32) -> Result<CustomerId, Defect> {
        Ok(CustomerId::new(&format!("C-{number:05}"))?)
    }

    /// The opening stock of every SKU in every warehouse.
    pub fn opening_stock(&self) -> impl Iterator<Item = Result<Movement, Defect>> + '_ {
        let places =
            (0..self.size.skus).flat_map(|sku| self.warehouses.iter().map(move |place| (sku, *place)));
        places.map(|(number, warehouse)| {
            let mut random = self.random(3, u64::from(number));
            let units = random.random_range(5..60_i64);
            self.receipt(Self::sku(number)?, warehouse, units, "opening")
        })
    }

    fn receipt(
        &self,
        sku: Sku,
        warehouse: WarehouseCode,
        units: i64,
        document: &str,
    ) -> Result<Movement, Defect> {
        let command = StockCommand::Receive {
            quantity: PositiveQuantity::new(units)?,
            document: DocumentId::new(document)?,
        };
        let id = StockId {
            sku: sku.clone(),
            warehouse,
        };
        Ok(Movement {
            message: Message::Stock(id, command),
            sku,
            units,
            is_receipt: true,
        })
    }

    /// Event `number` of the warehouses' day: mostly receipts, some goods found, some lost.
    ///
    /// # Errors
    /// [`Defect`].
    pub fn warehouse_event(&self, number: u64) -> Result<Movement, Defect> {
        let mut random = self.random(4, number);
        let sku = self.popular(&mut random)?;
        let warehouse = self.warehouses[random.random_range(0..self.warehouses.len())];
        let units = random.random_range(1..20_i64);
        let change = match random.random_range(0..10_u32) {
            0 => Adjustment::Gain,
            1 => Adjustment::Loss,
            _ => return self.receipt(sku, warehouse, units, &format!("GR-{number}")),
        };
        let command = StockCommand::Adjust {
            change,
            quantity: PositiveQuantity::new(units)?,
            reason: Reason::new("cycle count")?,
            document: None,
        };
        let id = StockId {
            sku: sku.clone(),
            warehouse,
        };
        Ok(Movement {
            message: Message::Stock(id, command),
            sku,
            units: if change == Adjustment::Gain { units } else { -units },
            is_receipt: false,
        })
    }

    /// Order `number` of the day: 1 to 10 lines, from a contract customer, out of up to three warehouses.
    ///
    /// # Errors
    /// [`Defect`].
    pub fn order(&self, number: u64) -> Result<(OrderKey, OrderRequest), Defect> {
        let mut random = self.random(5, number);
        let mut lines = Vec::new();
        for line in 1..=random.random_range(1..=10_u16) {
            let sku = self.popular(&mut random)?;
            let quantity = PositiveQuantity::new(random.random_range(1..=6_i64))?;
            lines.push(OrderLine {
                line,
                sku,
                quantity,
                channel_price: None,
                ordered_as: None,
                substitutes: None,
                components: Vec::new(),
            });
        }
        let first = random.random_range(0..self.warehouses.len());
        let count = self.warehouses.len();
        let warehouses = (0..count.min(3)).map(|step| self.warehouses[(first + step) % count]);
        let channel = if random.random_bool(0.6) {
            "web-shop"
        } else {
            "marketplace"
        };
        let request = OrderRequest {
            customer: Self::customer(random.random_range(0..self.size.contracts))?,
            currency: self.currency,
            lines,
            warehouses: warehouses.collect(),
            sourcing: Sourcing::default(),
            ship_to_region: None,
            policy: if random.random_bool(0.5) {
                Policy::ShipComplete
            } else {
                Policy::Partial
            },
            priority: Priority::default(),
            customers: Customers::Known,
            price_as_of: None,
            purchase_order: None,
            coupons: Vec::new(),
            delivery: Delivery::default(),
            quote: None,
        };
        Ok((OrderKey::new(channel, &format!("D{number:07}"))?, request))
    }

    /// The message that submits an order.
    #[must_use]
    pub fn submission(key: OrderKey, request: OrderRequest) -> Message {
        Message::Order(key, OrderCommand::Submit(Box::new(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_day_again_and_another_seed_another_one() {
        let size = Size {
            skus: 1_000,
            warehouses: 5,
            contracts: 50,
        };
        let day = |seed| {
            let distributor = Distributor::new(seed, size).unwrap();
            (0..100)
                .map(|number| format!("{:?}", distributor.order(number).unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(day(1), day(1));
        assert_ne!(day(1), day(2));
        let distributor = Distributor::new(1, size).unwrap();
        assert_eq!(distributor.opening_stock().filter(Result::is_ok).count(), 5_000);
        assert_eq!(distributor.list_prices().filter(Result::is_ok).count(), 1_000);
        assert_eq!(distributor.contracts().filter(Result::is_ok).count(), 50);
    }
}
