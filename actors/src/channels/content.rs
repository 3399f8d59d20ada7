//! What a channel is told: the newest content of a key, and how pressing it is.

use super::order::OrderShown;
use crate::ids::WarehouseCode;
use crate::money::Currency;
use crate::quantity::Quantity;
use compact_str::CompactString;
use foldhash::quality::FixedState;
use rust_decimal::Decimal;
use std::fmt;
use std::hash::BuildHasher;

/// A kind of update. Each has a queue of its own in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// List prices, by SKU.
    Price,
    /// Stock levels, by SKU.
    Stock,
    /// How orders stand, by order. There is no end of them, so nothing is remembered of one that has been told.
    Order,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Price, Self::Stock, Self::Order];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Stock => "stock",
            Self::Order => "order",
        }
    }
}

/// What an update is about: a SKU, or an order as `channel/number`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub CompactString);

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A SKU's stock as a channel is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StockShown {
    /// What can be sold, in all warehouses that count.
    pub available: Quantity,
    /// The same by warehouse.
    pub by_warehouse: Vec<(WarehouseCode, Quantity)>,
}

/// A SKU's list price as a channel is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PriceShown {
    /// Of one base unit.
    pub amount: Decimal,
    /// In which currency.
    pub currency: Currency,
}

/// What a channel is told of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A list price.
    Price(PriceShown),
    /// A stock level.
    Stock(StockShown),
    /// How an order stands, and which of its changes of status that is.
    Order(u32, Box<OrderShown>),
}

impl Content {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Price(_) => Kind::Price,
            Self::Stock(_) => Kind::Stock,
            Self::Order(..) => Kind::Order,
        }
    }

    /// The number in it.
    #[must_use]
    pub fn measure(&self) -> Measure {
        match self {
            Self::Price(price) => Measure::Amount(price.amount),
            Self::Stock(stock) => Measure::Units(stock.available.units()),
            Self::Order(sequence, _) => Measure::Change(*sequence),
        }
    }
}

impl Content {
    /// What two contents that say the same have in common; none of orders, of which each change is told.
    #[must_use]
    pub fn print(&self) -> Option<u64> {
        match self {
            Self::Price(price) => Some(FixedState::default().hash_one(price)),
            Self::Stock(stock) => Some(FixedState::default().hash_one(stock)),
            Self::Order(..) => None,
        }
    }
}

/// The number in a content: what is compared, at a channel and here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Base units.
    Units(i64),
    /// Money.
    Amount(Decimal),
    /// The number of an order's change of status.
    Change(u32),
}

/// The newest content of a key, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Grows with every change of the key.
    pub version: u64,
    /// What it says.
    pub content: Content,
}

/// Where the newest contents are read. Two reads of a key give versions that never fall.
pub trait Source {
    /// The newest content of a key; none if there is nothing to tell, or if contents of the kind are brought with their changes.
    fn newest(&self, kind: Kind, key: &Key) -> Option<Newest>;
}

/// How pressing an update is, the most pressing first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nothing is left, and the channel shows something.
    SoldOut,
    /// So little is left, or so much less than is shown, that the channel may sell what is not there.
    OversellRisk,
    /// The channel asks too much.
    PriceDrop,
    /// By age.
    Routine,
    /// Told again, in case the channel shows something else.
    Background,
}

impl Urgency {
    /// Of this many units or fewer any loss is a risk: orders under way at the channel may be for as many.
    pub const RISKY_UNITS: i64 = 5;

    /// How pressing it is that a channel that shows `shown` learns of `newest`.
    #[must_use]
    pub fn of(newest: Measure, shown: Option<Measure>) -> Self {
        match (newest, shown) {
            (Measure::Units(0), Some(Measure::Units(0))) => Self::Routine,
            (Measure::Units(0), _) => Self::SoldOut,
            (Measure::Units(units), Some(Measure::Units(shown))) => {
                let risky = units <= Self::RISKY_UNITS || units.saturating_mul(2) <= shown;
                if units < shown && risky {
                    Self::OversellRisk
                } else {
                    Self::Routine
                }
            }
            (Measure::Units(units), _) if units <= Self::RISKY_UNITS => Self::OversellRisk,
            (Measure::Amount(amount), Some(Measure::Amount(shown))) if amount < shown => Self::PriceDrop,
            (Measure::Units(_) | Measure::Amount(_) | Measure::Change(_), _) => Self::Routine,
        }
    }

    /// Whether it may draw what limits keep back.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        match self {
            Self::SoldOut | Self::OversellRisk => true,
            Self::PriceDrop | Self::Routine | Self::Background => false,
        }
    }
}
