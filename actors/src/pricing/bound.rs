//! Floors, ceilings and advertised minimums: what a price may not pass, and what is done about one that does.

use super::candidate::{Ranked, of_stage};
use super::catalogue::Item;
use super::exact::{ratio_up, times};
use super::line::{Desk, Goods};
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
    let found = stages.map(|stage| passed(stage, ranked, amount, goods.units, goods.item, desk));
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
    if cost.currency == currency {
        return Some(cost.unit.amount());
    }
    desk.rates?.convert(cost.unit.amount(), cost.currency, currency)
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

/// Whether an amount passes the bound of a stage that comes first in rank among those that can be reckoned.
pub(super) fn passed<'a>(
    stage: Stage,
    ranked: &Ranked<'a>,
    amount: Decimal,
    units: i64,
    item: Option<&Item>,
    desk: &Desk<'_>,
) -> Option<Passed<'a>> {
    let reckoned = of_stage(ranked, stage, false).into_iter().find_map(|candidate| {
        let Effect::Bound { at, breach } = &candidate.term.effect else {
            return None;
        };
        unit_bound(*at, item, desk).map(|bound| (candidate.term, bound, *breach))
    });
    let (term, bound, breach) = reckoned?;
    let at_bound = times(bound, Decimal::from(units))?;
    let rule = term.rule.clone();
    let flag = match (stage, breach) {
        (Stage::Floor, _) | (Stage::Advertised, _) if amount >= at_bound => return None,
        (Stage::Ceiling, _) if amount <= at_bound => return None,
        (Stage::Floor, Breach::Adjust) => PriceFlag::Raised { rule, bound },
        (Stage::Floor, Breach::Hold) => PriceFlag::BelowFloor { rule, bound },
        (Stage::Ceiling, Breach::Adjust) => PriceFlag::Lowered { rule, bound },
        (Stage::Ceiling, Breach::Hold) => PriceFlag::AboveCeiling { rule, bound },
        (Stage::Advertised, Breach::Adjust | Breach::Hold) => PriceFlag::NotToBeShown { rule, bound },
        (Stage::Standing | Stage::Agreed | Stage::Promotion, _) => return None,
    };
    let moves = stage != Stage::Advertised && breach == Breach::Adjust;
    Some(Passed {
        term,
        moved_to: moves.then_some(at_bound),
        flag,
    })
}
