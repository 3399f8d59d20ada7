//! Floors, ceilings and advertised minimums: what a price may not pass, and what is done about one that does.

use super::candidate::{Ranked, of_stage, rank};
use super::catalogue::Item;
use super::contract::RoundingLevel;
use super::exact::{ratio_up, times};
use super::line::{Desk, Goods};
use super::resolve::PricedLine;
use super::term::{Bound, Breach, Effect, Stage, Term};
use crate::ids::RuleId;
use crate::money::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What someone should know about a line's price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum PriceFlag {
    /// It was raised to its floor.
    #[error("raised to the floor of {bound} by rule {rule}")]
    Raised {
        /// The rule.
        rule: RuleId,
        /// The floor of one base unit.
        bound: Decimal,
    },
    /// It was lowered to its ceiling.
    #[error("lowered to the ceiling of {bound} by rule {rule}")]
    Lowered {
        /// The rule.
        rule: RuleId,
        /// The ceiling of one base unit.
        bound: Decimal,
    },
    /// It is below its floor: nothing may be ordered at it.
    #[error("below the floor of {bound} of rule {rule}")]
    BelowFloor {
        /// The rule.
        rule: RuleId,
        /// The floor of one base unit.
        bound: Decimal,
    },
    /// It is above its ceiling: nothing may be ordered at it.
    #[error("above the ceiling of {bound} of rule {rule}")]
    AboveCeiling {
        /// The rule.
        rule: RuleId,
        /// The ceiling of one base unit.
        bound: Decimal,
    },
    /// It may be sold at, but not shown.
    #[error("below the advertised minimum of {bound} of rule {rule}: it must not be shown")]
    NotToBeShown {
        /// The rule.
        rule: RuleId,
        /// The least that may be shown for one base unit.
        bound: Decimal,
    },
}

impl PriceFlag {
    /// Its name, for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Raised { .. } => "raised",
            Self::Lowered { .. } => "lowered",
            Self::BelowFloor { .. } => "below-floor",
            Self::AboveCeiling { .. } => "above-ceiling",
            Self::NotToBeShown { .. } => "not-to-be-shown",
        }
    }

    /// Whether a line with it may not be ordered until a person has decided.
    #[must_use]
    pub const fn holds(&self) -> bool {
        match self {
            Self::BelowFloor { .. } | Self::AboveCeiling { .. } => true,
            Self::Raised { .. } | Self::Lowered { .. } | Self::NotToBeShown { .. } => false,
        }
    }

    /// Whether it tells of a step of the waterfall rather than of the price at its end.
    const fn is_of_step(&self) -> bool {
        match self {
            Self::Raised { .. } | Self::Lowered { .. } => true,
            Self::BelowFloor { .. } | Self::AboveCeiling { .. } | Self::NotToBeShown { .. } => false,
        }
    }

    /// Of a price that is not ours to move.
    fn unmoved(self) -> Self {
        match self {
            Self::Raised { rule, bound } | Self::BelowFloor { rule, bound } => {
                Self::BelowFloor { rule, bound }
            }
            Self::Lowered { rule, bound } | Self::AboveCeiling { rule, bound } => {
                Self::AboveCeiling { rule, bound }
            }
            Self::NotToBeShown { rule, bound } => Self::NotToBeShown { rule, bound },
        }
    }
}

/// What someone should know about a line at the price that its channel states: the channel has said it to its customer, so that
/// no bound moves it.
pub(super) fn flag_stated(
    flags: &mut Vec<PriceFlag>,
    ranked: &Ranked<'_>,
    amount: Decimal,
    goods: Goods<'_>,
    desk: &Desk<'_>,
) {
    flags.retain(PriceFlag::is_of_step);
    let stages = [Stage::Ceiling, Stage::Floor, Stage::Advertised];
    let found = stages.map(|stage| passed(stage, ranked, amount, goods, desk));
    flags.extend(found.into_iter().flatten().map(|found| found.flag.unmoved()));
}

/// A bound that a line's amount has passed.
pub(super) struct Passed<'a> {
    pub(super) term: &'a Term,
    /// The amount at the bound, if the price is to be moved there.
    pub(super) moved_to: Option<Decimal>,
    pub(super) flag: PriceFlag,
}

/// What a SKU costs its distributor, in a currency.
pub(super) fn cost(item: Option<&Item>, currency: Currency, desk: &Desk<'_>) -> Option<Decimal> {
    let cost = item?.cost?;
    desk.converted(cost.unit.amount(), cost.currency, currency)
}

/// The bound of one base unit; none if it is a margin and the cost is not known.
pub(super) fn unit_bound(bound: Bound, item: Option<&Item>, desk: &Desk<'_>) -> Option<Decimal> {
    match bound {
        Bound::Price(price) => Some(price.amount()),
        // Rounded up, so that the margin is reached.
        Bound::Margin(margin) => ratio_up(
            cost(item, desk.currency, desk)?,
            Decimal::ONE_HUNDRED,
            Decimal::ONE_HUNDRED.checked_sub(margin.get())?,
            desk.currency.decimals(),
        ),
    }
}

/// The bound of a stage that counts for a line.
pub(super) struct Reckoned<'a> {
    pub(super) term: &'a Term,
    breach: Breach,
    /// Of one base unit.
    unit: Decimal,
    /// Of the whole line, not rounded.
    amount: Decimal,
}

impl Reckoned<'_> {
    /// The amount of the line at the bound. At a floor it is rounded up to what amounts are rounded to, so that rounding
    /// takes none below it.
    fn moved_to(&self, units: i64, desk: &Desk<'_>) -> Option<Decimal> {
        match (self.term.stage, desk.contract.rounding.level) {
            (Stage::Floor, RoundingLevel::Line) => self.least(desk),
            (Stage::Floor, RoundingLevel::Unit) => times(rounded_up(self.unit, desk)?, Decimal::from(units)),
            (Stage::Standing | Stage::Agreed | Stage::Promotion | Stage::Ceiling | Stage::Advertised, _) => {
                Some(self.amount)
            }
        }
    }

    /// The least amount in whole units of the currency that is not below the bound.
    pub(super) fn least(&self, desk: &Desk<'_>) -> Option<Decimal> {
        rounded_up(self.amount, desk)
    }
}

/// Up to the smallest unit of the currency that is asked for.
fn rounded_up(amount: Decimal, desk: &Desk<'_>) -> Option<Decimal> {
    ratio_up(amount, Decimal::ONE, Decimal::ONE, desk.currency.decimals())
}

/// Of the bounds of a stage the first in rank that can be reckoned.
fn reckoned<'a>(
    stage: Stage,
    ranked: &Ranked<'a>,
    goods: Goods<'_>,
    desk: &Desk<'_>,
) -> Option<Reckoned<'a>> {
    let of_stage = of_stage(ranked, stage, false).into_iter();
    let (term, unit, breach) = of_stage.into_iter().find_map(|candidate| {
        let Effect::Bound { at, breach } = &candidate.term.effect else {
            return None;
        };
        unit_bound(*at, goods.item, desk).map(|unit| (candidate.term, unit, *breach))
    })?;
    Some(Reckoned {
        term,
        breach,
        unit,
        amount: times(unit, Decimal::from(goods.units))?,
    })
}

/// The floor of a line that has its price.
pub(super) fn floor_of<'a>(desk: &Desk<'a>, line: &PricedLine, item: Option<&Item>) -> Option<Reckoned<'a>> {
    let goods = Goods {
        sku: &line.sku,
        units: line.quantity.units(),
        item,
    };
    reckoned(Stage::Floor, &rank(desk, goods), goods, desk)
}

/// The advertised minimum of goods, rounded up.
pub(super) fn advertised_of(desk: &Desk<'_>, goods: Goods<'_>) -> Option<Decimal> {
    reckoned(Stage::Advertised, &rank(desk, goods), goods, desk)?.least(desk)
}

/// Whether an amount passes the bound of a stage that counts.
pub(super) fn passed<'a>(
    stage: Stage,
    ranked: &Ranked<'a>,
    amount: Decimal,
    goods: Goods<'_>,
    desk: &Desk<'_>,
) -> Option<Passed<'a>> {
    let found = reckoned(stage, ranked, goods, desk)?;
    let (rule, bound) = (found.term.rule.clone(), found.unit);
    let flag = match (stage, found.breach) {
        (Stage::Floor, _) | (Stage::Advertised, _) if amount >= found.amount => return None,
        (Stage::Ceiling, _) if amount <= found.amount => return None,
        (Stage::Floor, Breach::Adjust) => PriceFlag::Raised { rule, bound },
        (Stage::Floor, Breach::Hold) => PriceFlag::BelowFloor { rule, bound },
        (Stage::Ceiling, Breach::Adjust) => PriceFlag::Lowered { rule, bound },
        (Stage::Ceiling, Breach::Hold) => PriceFlag::AboveCeiling { rule, bound },
        (Stage::Advertised, Breach::Adjust | Breach::Hold) => PriceFlag::NotToBeShown { rule, bound },
        (Stage::Standing | Stage::Agreed | Stage::Promotion, _) => return None,
    };
    let moves = stage != Stage::Advertised && found.breach == Breach::Adjust;
    let moved_to = found.moved_to(goods.units, desk).filter(|_| moves);
    Some(Passed {
        term: found.term,
        moved_to,
        flag,
    })
}

/// Between which amounts the bounds that move a price leave a line, in the contract's currency.
#[derive(Debug, Default)]
pub(super) struct Span {
    least: Option<Decimal>,
    most: Option<Decimal>,
}

impl Span {
    pub(super) fn of(ranked: &Ranked<'_>, goods: Goods<'_>, desk: &Desk<'_>) -> Self {
        let at = |stage| {
            let found = reckoned(stage, ranked, goods, desk)?;
            match found.breach {
                Breach::Adjust => desk.in_own(found.moved_to(goods.units, desk)?),
                Breach::Hold => None,
            }
        };
        Self {
            least: at(Stage::Floor),
            most: at(Stage::Ceiling),
        }
    }

    /// What the bounds make of an amount: the ceiling first, then the floor.
    pub(super) fn held(&self, amount: Decimal) -> Decimal {
        let amount = self.most.map_or(amount, |most| amount.min(most));
        self.least.map_or(amount, |least| amount.max(least))
    }
}
