//! Quotes that are kept with the contract, so that an order may rely on them until their time is over.
//!
//! Invariants:
//! - numbers are dense within a customer and never used twice;
//! - at most [`MAX_KEPT`] quotes and [`MAX_KEPT_LINES`] lines of them are kept; one that is in force is never forgotten;
//! - an order that names a quote in force, of the same goods, costs what the quote says, whatever has changed since; where
//!   its channel states another price, the step to it starts from the quoted one, with the quote's freight zone and coupons.

use super::contract::QuoteRequest;
use super::resolve::Quote;
use crate::ids::{CouponCode, FreightZone, Region};
use crate::money::Money;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How many quotes a contract keeps.
pub const MAX_KEPT: usize = 64;
/// How many lines all quotes that a contract keeps have together.
pub const MAX_KEPT_LINES: usize = 2_000;
/// The longest time that a quote can be relied on, in minutes: 90 days.
pub const MAX_VALID_MINUTES: u32 = 129_600;

/// A quote's number within its customer, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QuoteNumber(pub u64);

impl fmt::Display for QuoteNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How long a quote can be relied on: whole minutes, from 1 to [`MAX_VALID_MINUTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Validity(u32);

/// A time that no quote can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quote can be relied on for 1 to {MAX_VALID_MINUTES} minutes, not {0}")]
pub struct ValidityOutOfRange(u32);

impl TryFrom<u32> for Validity {
    type Error = ValidityOutOfRange;
    fn try_from(minutes: u32) -> Result<Self, ValidityOutOfRange> {
        if (1..=MAX_VALID_MINUTES).contains(&minutes) {
            Ok(Self(minutes))
        } else {
            Err(ValidityOutOfRange(minutes))
        }
    }
}

impl From<Validity> for u32 {
    fn from(validity: Validity) -> Self {
        validity.0
    }
}

impl Validity {
    fn time(self) -> Duration {
        Duration::from_secs(60).saturating_mul(self.0)
    }
}

/// A quote that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptQuote {
    /// By which an order names it.
    pub number: QuoteNumber,
    /// The first moment at which an order no longer gets its price.
    pub until: Timestamp,
    /// What was quoted.
    pub quote: Box<Quote>,
    /// Where freight was reckoned to; none for where the contract says.
    #[serde(default)]
    pub zone: Option<FreightZone>,
    /// The coupons that the customer showed.
    #[serde(default)]
    pub coupons: Vec<CouponCode>,
    /// Where goods were to be shipped to; none for where the customer is taxed.
    #[serde(default)]
    pub ship_to: Option<Region>,
}

/// A contract's quotes, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptQuotes {
    /// The number of the last one.
    issued: u64,
    quotes: Vec<KeptQuote>,
}

/// The quote that an order relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteClaim {
    /// Which.
    pub number: QuoteNumber,
    /// When the order came in.
    pub at: Timestamp,
}

/// What became of the quote that an order named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedQuote {
    /// Which.
    pub number: QuoteNumber,
    /// Whether it was honoured, or why not.
    pub standing: QuoteStanding,
    /// What it said; none if it is not known.
    pub said: Option<QuoteTerms>,
}

/// What a quote said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteTerms {
    /// What was to be paid.
    pub total: Money,
    /// By which version of the contract.
    pub contract_version: u64,
    /// The first moment at which an order no longer gets it.
    pub until: Timestamp,
}

/// Whether an order got the price of the quote that it named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuoteStanding {
    /// It did.
    Honoured,
    /// The order came too late.
    Expired,
    /// The order has other goods, quantities or another currency than the quote.
    OtherGoods,
    /// A promotion that it counts on has no budget left.
    BudgetSpent,
    /// There is no such quote, or it was forgotten after its time.
    Unknown,
}

impl QuoteStanding {
    /// Its name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Expired => "expired",
            Self::OtherGoods => "other-goods",
            Self::BudgetSpent => "budget-spent",
            Self::Unknown => "unknown",
        }
    }
}

impl KeptQuotes {
    /// All of them, by number.
    #[must_use]
    pub fn as_slice(&self) -> &[KeptQuote] {
        &self.quotes
    }

    /// The next quote, and how many of those over by now have to be forgotten for it, the oldest first; none if those
    /// in force leave no room.
    pub(super) fn next(
        &self,
        quote: Quote,
        request: &QuoteRequest,
        validity: Validity,
        now: Timestamp,
    ) -> Option<(KeptQuote, Vec<QuoteNumber>)> {
        let mut count = self.quotes.len() + 1;
        let kept = self.quotes.iter().map(|kept| kept.quote.lines.len());
        let mut lines = kept.sum::<usize>() + quote.lines.len();
        let mut forgotten = Vec::new();
        for over in self.quotes.iter().filter(|kept| kept.until <= now) {
            if count <= MAX_KEPT && lines <= MAX_KEPT_LINES {
                break;
            }
            forgotten.push(over.number);
            count -= 1;
            lines -= over.quote.lines.len();
        }
        let kept = KeptQuote {
            number: QuoteNumber(self.issued.saturating_add(1)),
            until: now.after(validity.time()),
            quote: Box::new(quote),
            zone: request.zone.clone(),
            coupons: request.coupons.clone(),
            ship_to: request.ship_to.clone(),
        };
        (count <= MAX_KEPT && lines <= MAX_KEPT_LINES).then_some((kept, forgotten))
    }

    pub(super) fn keep(&mut self, kept: &KeptQuote, forgotten: &[QuoteNumber]) {
        self.quotes.retain(|known| !forgotten.contains(&known.number));
        self.issued = kept.number.0;
        self.quotes.push(kept.clone());
    }

    /// What becomes of the quote that an order names, and the quote if it is honoured.
    pub(super) fn claim(
        &self,
        claim: QuoteClaim,
        request: &QuoteRequest,
    ) -> (NamedQuote, Option<&KeptQuote>) {
        let found = self.quotes.iter().find(|kept| kept.number == claim.number);
        let standing = match found {
            None => QuoteStanding::Unknown,
            Some(kept) if kept.until <= claim.at => QuoteStanding::Expired,
            Some(kept) if !is_about(&kept.quote, request) => QuoteStanding::OtherGoods,
            Some(kept) if needs_spent(&kept.quote, request) => QuoteStanding::BudgetSpent,
            Some(_) => QuoteStanding::Honoured,
        };
        let named = NamedQuote {
            number: claim.number,
            standing,
            said: found.map(|kept| QuoteTerms {
                total: kept.quote.total,
                contract_version: kept.quote.contract_version,
                until: kept.until,
            }),
        };
        let honoured = found.filter(|_| standing == QuoteStanding::Honoured);
        (named, honoured)
    }
}

/// Whether a quote counts on a budget that has nothing left for the order.
fn needs_spent(quote: &Quote, request: &QuoteRequest) -> bool {
    let mut uses = quote.budgets.iter();
    uses.any(|used| request.budgets.without.contains(&used.budget))
}

/// Whether a request is for the goods of a quote, line by line, in its currency.
fn is_about(quote: &Quote, request: &QuoteRequest) -> bool {
    let mut lines = quote.lines.iter().zip(&request.lines);
    quote.total.currency == request.currency
        && quote.lines.len() == request.lines.len()
        && lines.all(|(priced, asked)| {
            // An order's lines are in base units by now.
            let units = asked
                .unit
                .as_ref()
                .map_or(Some(asked.quantity), |_| asked.base_units);
            priced.sku == asked.sku && units == Some(priced.quantity)
        })
}
