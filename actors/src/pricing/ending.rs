//! Price endings: a unit price that ends as people expect it to, such as on 9.99.

use super::exact::multiple;
use super::list::{Place, PriceRefusal};
use crate::ids::RuleId;
use crate::money::{Currency, Price};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// How many price endings a contract or agreement may have.
pub const MAX_ENDINGS: usize = 8;

/// How unit prices of a currency end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceEnding {
    /// What explains it.
    pub rule: RuleId,
    /// The owner's version of the rule.
    pub version: u64,
    /// The currency of the prices.
    pub currency: Currency,
    /// The unit price becomes a multiple of this.
    pub multiple: Price,
    /// Which multiple.
    pub toward: Toward,
    /// And then so much less.
    pub less: Price,
}

/// Which multiple a price becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Toward {
    /// The nearest; the upper of two.
    #[default]
    Nearest,
    /// The next above.
    Up,
    /// The next below.
    Down,
}

impl PriceEnding {
    /// The unit price of a line of `units`; none if nothing would be left of it.
    #[must_use]
    pub fn unit(&self, amount: Decimal, units: i64) -> Option<Decimal> {
        let unit = multiple(amount, units, self.multiple.amount(), self.toward)?;
        unit.checked_sub(self.less.amount())
            .filter(|unit| *unit > Decimal::ZERO)
    }
}

pub(super) fn check(endings: &[PriceEnding]) -> Result<(), PriceRefusal> {
    if endings.len() > MAX_ENDINGS {
        return Err(PriceRefusal::TooManyEndings);
    }
    for (place, ending) in endings.iter().enumerate() {
        let placed = |refusal: PriceRefusal| Err(refusal.at(Place::Ending(ending.rule.clone())));
        if ending.multiple.amount() <= ending.less.amount() {
            return placed(PriceRefusal::EndingTakesAll {
                rule: ending.rule.clone(),
            });
        }
        if endings[..place]
            .iter()
            .any(|other| other.currency == ending.currency)
        {
            return placed(PriceRefusal::SameCurrency {
                currency: ending.currency,
            });
        }
    }
    Ok(())
}
