//! Rules on an order as a whole: discounts, freight, surcharges, rebates.
//!
//! Invariant of rules that were checked: no two are alike in kind, minimum, start, version and rule.

use super::list::{Effective, Place, PriceRefusal};
use super::rebate::Rebate;
use crate::ids::{BudgetId, CouponCode, FreightZone, RuleId};
use crate::money::{Percent, Price};
use serde::{Deserialize, Serialize};

/// How many such rules a contract or agreement may have.
pub const MAX_CHARGES: usize = 64;

/// A rule on an order as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// What explains it.
    pub rule: RuleId,
    /// The owner's version of the rule.
    pub version: u64,
    /// When it is in force.
    pub effective: Effective,
    /// The higher comes first.
    pub priority: u16,
    /// From which value of the goods on; zero for every order.
    pub minimum: Price,
    /// What it does.
    pub kind: ChargeKind,
    /// The coupon that must be shown.
    #[serde(default)]
    pub coupon: Option<CouponCode>,
    /// The budget that pays for it; only for discounts and freight.
    #[serde(default)]
    pub budget: Option<BudgetId>,
}

/// What a rule does to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChargeKind {
    /// Off the goods, spread over the lines.
    Discount(Part),
    /// Off the goods by what they come to, all of it or tier by tier; spread over the lines.
    DiscountByValue(Rebate),
    /// What it costs to bring it.
    Freight(Freight),
    /// On top, such as for small orders.
    Surcharge {
        /// How much.
        part: Part,
        /// Only for goods of less than this.
        below: Option<Price>,
    },
    /// Accrued for the customer, not on the invoice.
    Rebate(Rebate),
}

/// A part of the goods' value, or an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// So much of it.
    Percent(Percent),
    /// This.
    Amount(Price),
}

/// What it costs to bring an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Freight {
    /// Where to; none for everywhere.
    pub zone: Option<FreightZone>,
    /// For the order.
    pub base: Price,
    /// For each base unit.
    pub per_unit: Price,
    /// For each kilogram.
    pub per_kilogram: Price,
    /// At least this.
    pub least: Price,
    /// Nothing at all from this value of the goods on.
    pub free_from: Option<Price>,
}

impl ChargeKind {
    /// Whether a budget may pay for it: for what lowers the total.
    const fn may_be_paid(&self) -> bool {
        match self {
            Self::Discount(_) | Self::DiscountByValue(_) | Self::Freight(_) => true,
            Self::Surcharge { .. } | Self::Rebate(_) => false,
        }
    }

    const fn place(&self) -> u8 {
        match self {
            Self::Discount(_) | Self::DiscountByValue(_) => 0,
            Self::Freight(_) => 1,
            Self::Surcharge { .. } => 2,
            Self::Rebate(_) => 3,
        }
    }
}

pub(super) fn check(charges: &[Charge]) -> Result<(), PriceRefusal> {
    if charges.len() > MAX_CHARGES {
        return Err(PriceRefusal::TooManyCharges);
    }
    for (place, charge) in charges.iter().enumerate() {
        let placed = |refusal: PriceRefusal| refusal.at(Place::Charge(charge.rule.clone()));
        charge.check(&charges[..place]).map_err(placed)?;
    }
    Ok(())
}

impl Charge {
    fn check(&self, before: &[Self]) -> Result<(), PriceRefusal> {
        self.effective.check()?;
        if let ChargeKind::Rebate(rebate) | ChargeKind::DiscountByValue(rebate) = &self.kind {
            rebate.check(&self.rule)?;
        }
        if self.budget.is_some() && !self.kind.may_be_paid() {
            return Err(PriceRefusal::BudgetOfAnotherStage {
                rule: self.rule.clone(),
            });
        }
        let key = |of: &Self| (of.kind.place(), of.minimum, of.effective.from, of.version);
        let alike = |other: &Self| key(other) == key(self) && other.rule == self.rule;
        if before.iter().any(alike) {
            return Err(PriceRefusal::SameTerm {
                rule: self.rule.clone(),
            });
        }
        Ok(())
    }
}
