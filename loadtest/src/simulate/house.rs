//! The systems around Lockstep, as they behave: channels that take orders, a WMS that numbers what it does, an ERP that sends
//! contracts and invoices, people at the exception desk, and some that may not write at all.
//!
//! Everything they say goes through the broker, which delivers at least once. What they know to be true is kept here, so that
//! the end can be compared with it.

use super::assortment;
use super::clock::Millis;
use super::merchandise::{Merchandise, class_of_customer};
use super::pieces::{Pieces, Tale, is_by_piece};
use super::plant::Plant;
use super::promotions;
use super::random::Random;
use super::workload::Habits;
use crate::distributor::{Distributor as Trade, Movement, Size};
use compact_str::CompactString;
use lockstep_actors::accounts::command::AccountCommand;
use lockstep_actors::accounts::state::{AccountStatus, CreditTerms};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    CustomerId, DocumentId, OrderKey, Reason, Sku, StockId, SystemName, WarehouseCode,
};
use lockstep_actors::inventory::command::{Adjustment, StockCommand};
use lockstep_actors::inventory::count::StockCount;
use lockstep_actors::money::{Currency, Money, Price};
use lockstep_actors::orders::checks::{ChannelRules, OrderRules, PackRule};
use lockstep_actors::orders::command::OrderRequest;
use lockstep_actors::orders::credit::CreditRule;
use lockstep_actors::orders::delivery::{AddressField, DeliveryRules};
use lockstep_actors::orders::sourcing::{Network, Site};
use lockstep_actors::pricing::contract::ContractCommand;
use lockstep_actors::pricing::list::ListPriceCommand;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

/// How large the house is: small enough that orders meet each other.
pub(super) const SIZE: Size = Size {
    skus: 24,
    warehouses: 3,
    contracts: 6,
};
/// A warehouse that serves none of the channels.
pub(super) const NOT_SERVED: &str = "W9";
/// SKUs that are only counted and moved by the WMS.
const COUNTED: [&str; 3] = ["COUNTED-1", "COUNTED-2", "COUNTED-3"];

/// Why something is sent, which is what its answer means to who sent it.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// Part of what the house begins with, or changes about prices and contracts.
    Trade,
    /// An order comes in.
    Submit(usize),
    /// Somebody does something about an order.
    Act(usize),
    /// The warehouse says what of an order leaves.
    Ship(usize),
    /// Somebody looks at an order.
    Look(usize),
    /// Goods move by so much if it is taken.
    Move(StockId, i64),
    /// The warehouse tells of pieces with serial numbers.
    Pieces(StockId, Tale),
    /// The warehouse asks which pieces are to be picked for whom.
    Picks(StockId),
    /// Goods have moved by so much, whatever is answered.
    Fact,
    /// It cannot be digested.
    Poison,
    /// Its sender does not own what it writes.
    Rogue,
}

/// A message to be sent: by whom, in which conversation, and why.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) source: &'static str,
    pub(super) correlation: CompactString,
    pub(super) message: Message,
    pub(super) purpose: Purpose,
}

/// An order, as the house sees it.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) key: OrderKey,
    pub(super) request: OrderRequest,
    /// How many of its messages are not acknowledged.
    pub(super) pending: usize,
    /// Which changes of status were told.
    pub(super) told: BTreeSet<u32>,
    /// How often its exception was tried again.
    pub(super) tries: u32,
    pub(super) is_cancelled: bool,
    pub(super) returns: u32,
    pub(super) papers: u32,
    /// Whether something will look at it.
    pub(super) is_watched: bool,
}

/// What the house knows.
pub(super) struct House {
    trade: Trade,
    pub(super) habits: Habits,
    pub(super) plant: Option<Plant>,
    pub(super) orders: Vec<Script>,
    pub(super) by_key: BTreeMap<OrderKey, usize>,
    /// What is physically there, but for what orders took and brought back.
    pub(super) moved: BTreeMap<StockId, i64>,
    /// The last number of the WMS, by stock.
    numbers: BTreeMap<StockId, u64>,
    /// The last version of a count, by stock.
    counts: BTreeMap<StockId, u64>,
    movements: u64,
    contracts: u64,
    /// How many lots have come.
    pub(super) lots: u64,
    pub(super) pieces: Pieces,
    pub(super) merchandise: Merchandise,
    /// No more orders; people settle everything, and goods come for everybody.
    pub(super) is_closing: bool,
}

pub(super) fn warehouse(number: u32) -> Option<WarehouseCode> {
    WarehouseCode::new(&format!("W{number}")).ok()
}

/// The stocks of these goods in the three warehouses.
pub(super) fn everywhere(skus: &[&str]) -> Vec<StockId> {
    let places = skus.iter().flat_map(|sku| (1..=3).map(move |place| (sku, place)));
    places
        .filter_map(|(sku, place)| {
            Some(StockId {
                sku: Sku::new(sku).ok()?,
                warehouse: warehouse(place)?,
            })
        })
        .collect()
}

/// The rules of the house's channels: the marketplace sells on credit, trading partners on credit and by strict rules.
pub(super) fn order_rules() -> OrderRules {
    let marketplace = ChannelRules {
        credit: Some(CreditRule { keep_stock_hours: 1 }),
        duplicate_window_hours: Some(24),
        ..ChannelRules::default()
    };
    let edi = ChannelRules {
        minimum_amount: euros(50),
        approve_alone_up_to: euros(400),
        pack_multiples: PackRule::Hold,
        delivery: DeliveryRules {
            address: vec![AddressField::City],
            ..DeliveryRules::default()
        },
        ..marketplace.clone()
    };
    OrderRules([("marketplace".into(), marketplace), ("edi".into(), edi)].into())
}

fn euros(amount: i64) -> BTreeMap<Currency, Price> {
    let currency = Currency::new("EUR").ok();
    let price = Price::new(Decimal::new(amount, 0)).ok();
    currency.zip(price).into_iter().collect()
}

/// The house's warehouses: one of them serves nobody who orders here.
pub(super) fn network() -> Network {
    let site = Site {
        channels: vec!["counter".into()],
        ..Site::default()
    };
    let code = WarehouseCode::new(NOT_SERVED).ok();
    Network(code.map(|code| (code, site)).into_iter().collect())
}

/// The system that a channel's orders come from.
pub(super) fn system_of(order: &OrderKey) -> &'static str {
    match order.channel() {
        "marketplace" => "marketplace",
        "edi" => "edi",
        _ => "web-shop",
    }
}

pub(super) fn reason(text: &str) -> Option<Reason> {
    Reason::new(text).ok()
}

pub(super) fn mail(
    source: &'static str,
    correlation: &str,
    message: impl Into<Message>,
    purpose: Purpose,
) -> Mail {
    Mail {
        source,
        correlation: correlation.into(),
        message: message.into(),
        purpose,
    }
}

/// Prices and terms as this house has them: breaks that orders reach, promotions, something off for what was bought before.
fn of_the_house(mut message: Message, percent: i64) -> Message {
    if let Message::ListPrice(_, ListPriceCommand::Set(row)) = &mut message {
        assortment::lower_breaks(row);
    } else if let Message::Contract(customer, ContractCommand::Upsert { contract, .. }) = &mut message {
        contract.customer_class = class_of_customer(customer);
        // What cannot be added is left out: the terms are the generator's.
        promotions::add_to(contract, percent);
    }
    message
}

impl House {
    /// The house of a seed. `None` would be a defect of the generator.
    pub(super) fn new(seed: u64, habits: Habits, plant: Option<Plant>) -> Option<Self> {
        Some(Self {
            trade: Trade::new(seed, SIZE).ok()?,
            habits,
            plant,
            orders: Vec::new(),
            by_key: BTreeMap::new(),
            moved: BTreeMap::new(),
            numbers: BTreeMap::new(),
            counts: BTreeMap::new(),
            movements: 0,
            contracts: 1,
            lots: 0,
            pieces: Pieces::default(),
            merchandise: Merchandise::default(),
            is_closing: false,
        })
    }

    /// What the house begins with: prices, contracts, credit, stock.
    pub(super) fn opening(&mut self, random: &mut Random) -> Vec<Mail> {
        let mut mails = Vec::new();
        let prices = self.trade.list_prices().chain(self.trade.contracts()).flatten();
        mails.extend(prices.map(|message| mail("erp", "opening", of_the_house(message, 5), Purpose::Trade)));
        mails.extend(assortment::opening());
        mails.extend((0..SIZE.contracts).filter_map(|number| Self::credit(number, 1, 5_000)));
        let stock: Vec<Movement> = self.trade.opening_stock().flatten().collect();
        mails.extend(
            stock
                .into_iter()
                .filter_map(|movement| Self::unnumbered(movement, "opening")),
        );
        for sku in COUNTED {
            let sku = Sku::new(sku).ok();
            let id = sku
                .zip(warehouse(1))
                .map(|(sku, warehouse)| StockId { sku, warehouse });
            mails.extend(id.and_then(|id| self.numbered(&id, 100)));
        }
        mails.extend(self.first_declarations(random));
        mails
    }

    fn credit(number: u32, version: u64, limit: i64) -> Option<Mail> {
        let terms = CreditTerms {
            status: AccountStatus::Active,
            limit: Money {
                amount: Decimal::new(limit, 0),
                currency: Currency::new("EUR").ok()?,
            },
            grace_days: None,
        };
        let customer = CustomerId::new(&format!("C-{number:05}")).ok()?;
        let message = (customer, AccountCommand::Set { terms, version });
        Some(mail("erp", "credit", message, Purpose::Trade))
    }

    fn unnumbered(movement: Movement, correlation: &str) -> Option<Mail> {
        let Message::Stock(id, _) = &movement.message else {
            return None;
        };
        let purpose = Purpose::Move(id.clone(), movement.units);
        Some(mail("wms", correlation, movement.message, purpose))
    }

    /// A change that the WMS numbers: it has happened.
    fn numbered(&mut self, id: &StockId, units: i64) -> Option<Mail> {
        let number = self.numbers.entry(id.clone()).or_default();
        *number += 1;
        let number = *number;
        let quantity = PositiveQuantity::new(units.abs()).ok()?;
        let change = if units > 0 {
            StockCommand::Receive {
                quantity,
                document: DocumentId::new(&format!("WMS-{number}")).ok()?,
            }
        } else {
            StockCommand::Adjust {
                change: Adjustment::Loss,
                quantity,
                reason: reason("cycle count")?,
                document: None,
            }
        };
        *self.moved.entry(id.clone()).or_default() += units;
        let command = StockCommand::Numbered {
            source: SystemName::new("wms").ok()?,
            number: NonZeroU64::new(number)?,
            change: Box::new(change),
        };
        Some(mail("wms", "wave", (id.clone(), command), Purpose::Fact))
    }

    /// Something happens in a warehouse. `on_hand` says what the books say is there.
    pub(super) fn warehouse_event(
        &mut self,
        random: &mut Random,
        now: Millis,
        on_hand: impl Fn(&StockId) -> i64,
    ) -> Option<Mail> {
        self.movements += 1;
        match random.between(0, 14) {
            12.. => self.piece_event(random),
            0..=3 => {
                let sku = random.pick(&COUNTED)?;
                let id = StockId {
                    sku: Sku::new(sku).ok()?,
                    warehouse: warehouse(1)?,
                };
                // What is planted in counts shows where there are some.
                let counted = if self.plant == Some(Plant::OlderAbsolute) {
                    75
                } else {
                    25
                };
                if random.percent(counted) {
                    return self.count(&id);
                }
                let there = self.moved.get(&id).copied().unwrap_or(0);
                let units = random.between(-there.min(20), 20);
                self.numbered(&id, if units == 0 { 7 } else { units })
            }
            4..=5 => {
                let id = self.sold(random)?;
                let there = on_hand(&id);
                let units = if there > 1 && random.percent(self.habits.losses) {
                    // Goods are not there after all, held or not: some, or all of them.
                    let most = if random.percent(50) { there } else { there / 2 };
                    -random.between(1, most + 1)
                } else {
                    random.between(1, 12)
                };
                self.numbered(&id, units)
            }
            6..=7 => self.lots_come(random, now),
            _ => Self::unnumbered(self.trade.warehouse_event(self.movements).ok()?, "wave"),
        }
    }

    pub(super) fn sold(&self, random: &mut Random) -> Option<StockId> {
        let number = random.between(0, SIZE.skus.into());
        Some(StockId {
            sku: Sku::new(&format!("SKU-{number:06}")).ok()?,
            warehouse: warehouse(u32::try_from(random.between(1, 4)).ok()?)?,
        })
    }

    /// The WMS counts: what is there, as of its last number.
    pub(super) fn count(&mut self, id: &StockId) -> Option<Mail> {
        let version = self.counts.entry(id.clone()).or_default();
        *version += 1;
        let count = StockCount {
            on_hand: Quantity::new(self.moved.get(id).copied().unwrap_or(0)).ok()?,
            source: SystemName::new("wms").ok()?,
            version: *version,
            through: self.numbers.get(id).copied().and_then(NonZeroU64::new),
            orders_through: Vec::new(),
        };
        Some(mail(
            "wms",
            "count",
            (id.clone(), StockCommand::Count(count)),
            Purpose::Fact,
        ))
    }

    /// Whether the WMS numbers all that happens to a stock, so that it may count it at any time.
    pub(super) fn is_counted(id: &StockId) -> bool {
        COUNTED.contains(&id.sku.as_str())
    }

    /// Prices, contracts or credit change.
    pub(super) fn trade_event(&mut self, seed: u64, random: &mut Random) -> Option<Mail> {
        if random.percent(12) {
            return self.declare(random);
        }
        self.contracts += 1;
        let version = self.contracts;
        if random.percent(30) {
            let number = u32::try_from(random.between(0, SIZE.contracts.into())).ok()?;
            let (least, most) = self.habits.credit;
            return Self::credit(number, version, random.between(least, most));
        }
        // Terms and prices of another house, under a newer version.
        let other = Trade::new(seed.wrapping_add(version), SIZE).ok()?;
        let message = if random.percent(50) {
            let place = random.below(usize::try_from(SIZE.contracts).ok()?);
            let mut message = of_the_house(other.contracts().nth(place)?.ok()?, random.between(1, 30));
            if let Message::Contract(_, ContractCommand::Upsert { version: of, .. }) = &mut message {
                *of = version;
            }
            message
        } else {
            let place = random.below(usize::try_from(SIZE.skus).ok()?);
            let mut message = of_the_house(other.list_prices().nth(place)?.ok()?, 0);
            if let Message::ListPrice(_, ListPriceCommand::Set(row)) = &mut message {
                row.version = version;
            }
            message
        };
        Some(mail("erp", "trade", message, Purpose::Trade))
    }

    /// A SKU may be sold before it is there, so much of it, or no more.
    pub(super) fn declare(&self, random: &mut Random) -> Option<Mail> {
        let limit = random.percent(70).then(|| Quantity::new(random.between(0, 30)));
        let command = StockCommand::SetBackorderLimit {
            limit: limit.transpose().ok()?,
        };
        Some(mail(
            "erp",
            "declare",
            (self.sold(random)?, command),
            Purpose::Trade,
        ))
    }

    /// An order comes in.
    pub(super) fn new_order(&mut self, random: &mut Random) -> Option<Mail> {
        let place = self.orders.len();
        let (mut key, mut request) = self.trade.order(u64::try_from(place).ok()?).ok()?;
        request.lines.truncate(4);
        assortment::vary(&mut request, random);
        if random.percent(self.habits.strict) {
            key = OrderKey::new("edi", key.number()).ok()?;
            assortment::make_difficult(&mut request, random);
        }
        for line in &mut request.lines {
            // Pieces come one by one.
            let units = if is_by_piece(&line.sku) {
                line.quantity.units().min(3)
            } else {
                line.quantity.units() * self.habits.greed
            };
            line.quantity = PositiveQuantity::new(units).ok()?;
        }
        if key.channel() != "web-shop" && random.percent(50) {
            request.purchase_order = DocumentId::new(&format!("PO-{}", random.between(0, 50))).ok();
        }
        if random.percent(self.habits.stated_prices)
            && let Some(line) = request.lines.first_mut()
        {
            line.channel_price = Price::new(Decimal::new(random.between(100, 40_000), 2)).ok();
        }
        let script = Script {
            key: key.clone(),
            request: request.clone(),
            pending: 1,
            told: BTreeSet::new(),
            tries: 0,
            is_cancelled: false,
            returns: 0,
            papers: 0,
            is_watched: false,
        };
        self.by_key.insert(key.clone(), place);
        self.orders.push(script);
        Some(Self::submission(key, request, place))
    }

    pub(super) fn submission(key: OrderKey, request: OrderRequest, place: usize) -> Mail {
        let (source, correlation) = (system_of(&key), key.number().to_owned());
        mail(
            source,
            &correlation,
            Trade::submission(key, request),
            Purpose::Submit(place),
        )
    }

    /// Goods for everybody, so that nobody waits for long.
    pub(super) fn restock(&mut self) -> Vec<Mail> {
        let mut mails = Vec::new();
        for sku in 0..SIZE.skus {
            for place in 1..=SIZE.warehouses {
                let sku = Sku::new(&format!("SKU-{sku:06}")).ok();
                let id = sku
                    .zip(warehouse(place))
                    .map(|(sku, warehouse)| StockId { sku, warehouse });
                mails.extend(id.and_then(|id| self.numbered(&id, 2_000)));
            }
        }
        mails.extend(self.restock_lots());
        mails.extend(self.restock_pieces());
        mails.extend(self.last_declarations());
        mails
    }

    /// A system writes what it does not own.
    pub(super) fn rogue(&self, random: &mut Random) -> Option<Mail> {
        let command = StockCommand::Adjust {
            change: Adjustment::Gain,
            quantity: PositiveQuantity::new(1_000).ok()?,
            reason: reason("I would like to sell more")?,
            document: None,
        };
        let message = (self.sold(random)?, command);
        Some(mail("web-shop", "rogue", message, Purpose::Rogue))
    }

    /// A message that no entity can digest: its conversation's name is longer than a journal entry may say.
    pub(super) fn poison(&self, random: &mut Random) -> Option<Mail> {
        let command = StockCommand::SetSafetyStock {
            quantity: Quantity::new(1).ok()?,
        };
        let message = (self.sold(random)?, command);
        let correlation = "x".repeat(lockstep_runtime::message::MAX_CORRELATION_BYTES + 1);
        Some(mail("erp", &correlation, message, Purpose::Poison))
    }
}
