//! The warehouses of a sweep: what they have, what they told, and what went wrong between them and Lockstep.
//!
//! Invariant: pair `n` follows from seed and number alone.

use super::super::{MeasureError, unexpected};
use lockstep_actors::ids::{DocumentId, HoldId, OrderKey, Reason, Sku, StockId, SystemName, WarehouseCode};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::command::{Adjustment, HoldMode, HoldStock, StockCommand};
use lockstep_actors::inventory::numbering::ChangeNumber;
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_adapters::schema::outbound::DriftCause;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How many warehouses the pairs lie in.
const WAREHOUSES: u64 = 10;

/// What went wrong with a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A numbered change was lost, and a later one came.
    LostBetween,
    /// The last numbered change was lost.
    LostLast,
    /// A receipt was told twice, under two numbers.
    Doubled,
    /// A numbered change comes after the sweep.
    Late,
    /// Somebody changed the stock there by hand.
    Manual,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::LostBetween,
        Self::LostLast,
        Self::Doubled,
        Self::Late,
        Self::Manual,
    ];

    /// What the sweep should find.
    pub(super) fn cause(self) -> DriftCause {
        match self {
            Self::LostBetween | Self::LostLast => DriftCause::MissingChange,
            Self::Doubled => DriftCause::DoubledChange,
            Self::Late => DriftCause::ChangesUnderWay,
            Self::Manual => DriftCause::ManualChange,
        }
    }
}

/// What looks like a fault and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookalike {
    /// Two equal pallets came under one paper.
    EqualPallets,
    /// Stock has moved since the snapshot was taken.
    MovedSince,
    /// Goods were picked, and have left there.
    Picked,
    /// A unit's difference.
    Small,
}

/// A pair: what there is, and what is told when.
pub(super) struct Pair {
    pub(super) id: StockId,
    pub(super) fault: Option<Fault>,
    pub(super) lookalike: Option<Lookalike>,
    /// What the warehouse sees.
    pub(super) seen: i64,
    /// The last number that this includes.
    pub(super) through: u64,
    /// Told long before the sweep.
    pub(super) early: Vec<StockCommand>,
    /// Told just before it.
    pub(super) fresh: Vec<StockCommand>,
    /// Told after it.
    pub(super) late: Vec<StockCommand>,
}

/// All pairs.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) pairs: u64,
    pub(super) faults: u64,
}

impl World {
    /// Which fault a pair has: they lie evenly, each kind in turn.
    fn fault(self, number: u64) -> Option<Fault> {
        let every = (self.pairs / self.faults.max(1)).max(1);
        let place = number / every;
        let is_faulty = number % every == every / 2 && place < self.faults;
        let kinds = Fault::ALL.len() as u64;
        is_faulty.then(|| Fault::ALL[usize::try_from(place % kinds).unwrap_or(0)])
    }

    pub(super) fn id(self, number: u64) -> Result<StockId, MeasureError> {
        Ok(StockId {
            sku: Sku::new(&format!("SKU-{:06}", number / WAREHOUSES)).map_err(unexpected)?,
            warehouse: WarehouseCode::new(&format!("W{}", number % WAREHOUSES)).map_err(unexpected)?,
        })
    }

    pub(super) fn pair(self, number: u64) -> Result<Pair, MeasureError> {
        let mut random = StdRng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let opening = random.random_range(100..1_000_i64);
        // More than the half percent that is tolerated of a thousand.
        let units = random.random_range(8..48_i64);
        let fault = self.fault(number);
        let lookalike = match random.random_range(0..100_u32) {
            0 => Some(Lookalike::EqualPallets),
            1 => Some(Lookalike::MovedSince),
            2 => Some(Lookalike::Picked),
            3 => Some(Lookalike::Small),
            _ => None,
        };
        let lookalike = lookalike.filter(|_| fault.is_none());
        let mut pair = Pair {
            id: self.id(number)?,
            fault,
            lookalike,
            seen: opening,
            through: 1,
            early: vec![receipt(1, opening, "opening")?],
            fresh: Vec::new(),
            late: Vec::new(),
        };
        match fault {
            Some(fault) => pair.go_wrong(fault, units)?,
            None => pair.look_wrong(lookalike, units)?,
        }
        Ok(pair)
    }
}

impl Pair {
    fn go_wrong(&mut self, fault: Fault, units: i64) -> Result<(), MeasureError> {
        match fault {
            Fault::LostBetween => {
                self.early.push(receipt(3, 1, "GR-3")?);
                (self.seen, self.through) = (self.seen - units + 1, 3);
            }
            Fault::LostLast => (self.seen, self.through) = (self.seen - units, 2),
            Fault::Doubled => {
                self.early.push(receipt(2, units, "GR-2")?);
                self.early.push(receipt(3, units, "GR-2")?);
                (self.seen, self.through) = (self.seen + units, 3);
            }
            Fault::Late => {
                self.fresh.push(receipt(3, 1, "GR-3")?);
                self.late.push(loss(2, units)?);
                (self.seen, self.through) = (self.seen - units + 1, 3);
            }
            Fault::Manual => self.seen += if units % 2 == 0 { units } else { -units },
        }
        Ok(())
    }

    fn look_wrong(&mut self, lookalike: Option<Lookalike>, units: i64) -> Result<(), MeasureError> {
        match lookalike {
            Some(Lookalike::EqualPallets) => {
                self.early.push(receipt(2, units, "GR-2")?);
                self.early.push(receipt(3, units, "GR-2")?);
                (self.seen, self.through) = (self.seen + 2 * units, 3);
            }
            Some(Lookalike::MovedSince) => self.fresh.push(loss(2, units)?),
            Some(Lookalike::Picked) => {
                let id = HoldId {
                    order: OrderKey::new("web", self.id.sku.as_str()).map_err(unexpected)?,
                    line: 1,
                    attempt: 1,
                };
                self.fresh.push(StockCommand::Hold(HoldStock {
                    id: id.clone(),
                    quantity: quantity(units)?,
                    mode: HoldMode::All,
                    expires: None,
                    priority: Priority::default(),
                    answer_to: None,
                    customer_class: None,
                }));
                self.fresh.push(StockCommand::ConfirmPick { id });
                self.seen -= units;
            }
            Some(Lookalike::Small) => self.seen -= 1,
            None => {
                self.early.push(loss(2, units)?);
                (self.seen, self.through) = (self.seen - units, 2);
            }
        }
        Ok(())
    }
}

fn quantity(units: i64) -> Result<PositiveQuantity, MeasureError> {
    PositiveQuantity::new(units).map_err(unexpected)
}

fn numbered(number: u64, change: StockCommand) -> Result<StockCommand, MeasureError> {
    Ok(StockCommand::Numbered {
        source: SystemName::new("wms").map_err(unexpected)?,
        number: ChangeNumber::new(number).ok_or_else(|| unexpected("a change without a number"))?,
        change: Box::new(change),
    })
}

fn receipt(number: u64, units: i64, document: &str) -> Result<StockCommand, MeasureError> {
    let change = StockCommand::Receive {
        quantity: quantity(units)?,
        document: DocumentId::new(document).map_err(unexpected)?,
    };
    numbered(number, change)
}

fn loss(number: u64, units: i64) -> Result<StockCommand, MeasureError> {
    let change = StockCommand::Adjust {
        change: Adjustment::Loss,
        quantity: quantity(units)?,
        reason: Reason::new("picked elsewhere").map_err(unexpected)?,
        document: Some(DocumentId::new(&format!("PK-{number}")).map_err(unexpected)?),
    };
    numbered(number, change)
}
