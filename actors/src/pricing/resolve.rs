//! From list and contract to a price with its waterfall. Pure.
//!
//! Precedence, always in this order:
//! 1. the contract's base list, the row in force that started last;
//! 2. that row's quantity break;
//! 3. a discount: the one for the SKU if there is one in force, else the one for everything;
//! 4. a fixed price for the SKU (or, failing that, for everything) replaces what stands before it; then its own
//!    quantity break;
//! 5. rounding.
//!
//! Of several terms of one kind and scope in force, the one that started last counts, then the higher version, then
//! the higher rule id. Quantity breaks are for all units of the line.
//!
//! All products are exact: a price has at most 16 digits, a discount 7, and a line [`MAX_LINE_QUANTITY`] units.

use super::contract::{Contract, ContractState, ContractStatus, Customers, DEFAULT_LIST, QuoteRequest};
use super::contract::{Effect, Rounding, RoundingLevel, Scope, Term};
use super::list::{Break, ListRow, reached};
use crate::ids::{CustomerId, ListId, RuleId, Sku};
use crate::money::{Currency, Money, Price};
use crate::orders::state::MAX_LINES;
use crate::quantity::PositiveQuantity;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The largest quantity of one line: 10^7 units, so that every step stays exact in 28 digits.
pub const MAX_LINE_QUANTITY: i64 = 10_000_000;

/// A line to be priced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteLine {
    /// The asker's number for it.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much.
    pub quantity: PositiveQuantity,
}

/// A price, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The lines, as asked for.
    pub lines: Vec<PricedLine>,
    /// Their sum.
    pub total: Money,
    /// The contract's version; 0 for a customer without one.
    pub contract_version: u64,
    /// As of when.
    pub as_of: Timestamp,
}

/// A line's price, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// The asker's number for it.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much.
    pub quantity: PositiveQuantity,
    /// The price of one base unit; exact unless the contract rounds unit prices.
    pub unit_price: Decimal,
    /// The line's amount, rounded to the currency's smallest unit.
    pub amount: Decimal,
    /// How it came about; each step begins where the one before ended, the first at zero.
    pub waterfall: Vec<Step>,
}

/// A step of a waterfall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What kind of step.
    pub kind: StepKind,
    /// The rule that made it; none for rounding.
    pub rule: Option<RuleId>,
    /// The rule's version; 0 for rounding.
    pub version: u64,
    /// The unit price after it.
    pub unit: Decimal,
    /// The line's amount before it.
    pub before: Decimal,
    /// The line's amount after it.
    pub after: Decimal,
}

/// What kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// The base list's price.
    BaseList,
    /// The list's price for this quantity.
    ListBreak,
    /// The contract's discount.
    ContractDiscount,
    /// The contract's fixed price.
    ContractPrice,
    /// The contract's fixed price for this quantity.
    ContractBreak,
    /// Rounding to the currency's smallest unit.
    Rounding,
}

/// Why there is no price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum QuoteRefusal {
    /// The channel sells only to customers with a contract.
    #[error("customer {customer} has no contract, and this channel sells only to known customers")]
    UnknownCustomer {
        /// Who asked.
        customer: CustomerId,
    },
    /// The customer may not buy now.
    #[error("customer {customer} is blocked")]
    Blocked {
        /// Who asked.
        customer: CustomerId,
    },
    /// The contract is in another currency.
    #[error("asked for in {asked}, but the contract is in {contract}")]
    OtherCurrency {
        /// What was asked for.
        asked: Currency,
        /// What the contract says.
        contract: Currency,
    },
    /// Nothing says what it costs.
    #[error("line {line}: no price for {sku} in list {list} in {currency}, and none in the contract")]
    NoPrice {
        /// The line.
        line: u16,
        /// What.
        sku: Sku,
        /// The list looked into.
        list: ListId,
        /// The currency looked for.
        currency: Currency,
    },
    /// A line that is too large to price exactly.
    #[error("line {line}: at most {MAX_LINE_QUANTITY} units in one line, not {quantity}")]
    TooMuch {
        /// The line.
        line: u16,
        /// How much was asked for.
        quantity: PositiveQuantity,
    },
    /// Too many lines or none.
    #[error("between 1 and {MAX_LINES} lines, not {lines}")]
    Lines {
        /// How many there are.
        lines: u64,
    },
    /// More than a decimal holds.
    #[error("the total is too large")]
    Overflow,
}

/// Prices the lines of a request. `prices` gives a SKU's list rows.
///
/// # Errors
/// [`QuoteRefusal`], for the first thing that is in the way.
pub fn resolve(
    customer: &CustomerId,
    state: &ContractState,
    request: &QuoteRequest,
    now: Timestamp,
    prices: impl Fn(&Sku) -> Option<Arc<[ListRow]>>,
) -> Result<Quote, QuoteRefusal> {
    if request.lines.is_empty() || request.lines.len() > MAX_LINES {
        return Err(QuoteRefusal::Lines {
            lines: request.lines.len() as u64,
        });
    }
    let fallback;
    let contract = match &state.contract {
        Some(contract) => contract,
        None => {
            fallback = without_contract(customer, request)?;
            &fallback
        }
    };
    if contract.status == ContractStatus::Blocked {
        return Err(QuoteRefusal::Blocked {
            customer: customer.clone(),
        });
    }
    if contract.currency != request.currency {
        return Err(QuoteRefusal::OtherCurrency {
            asked: request.currency,
            contract: contract.currency,
        });
    }
    let as_of = request.as_of.unwrap_or(now);
    let lines = request
        .lines
        .iter()
        .map(|line| {
            price_line(
                contract,
                line,
                as_of,
                prices(&line.sku).as_deref().unwrap_or_default(),
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    let total = lines
        .iter()
        .try_fold(Decimal::ZERO, |sum, line| sum.checked_add(line.amount))
        .ok_or(QuoteRefusal::Overflow)?;
    Ok(Quote {
        lines,
        total: Money {
            amount: total,
            currency: contract.currency,
        },
        contract_version: state.version,
        as_of,
    })
}

fn without_contract(customer: &CustomerId, request: &QuoteRequest) -> Result<Contract, QuoteRefusal> {
    let unknown = || QuoteRefusal::UnknownCustomer {
        customer: customer.clone(),
    };
    match request.customers {
        Customers::Known => Err(unknown()),
        Customers::Anybody => Ok(Contract {
            currency: request.currency,
            base_list: ListId::new(DEFAULT_LIST).map_err(|_| unknown())?,
            terms: Vec::new(),
            rounding: Rounding::default(),
            status: ContractStatus::Active,
        }),
    }
}

/// The steps of a line, each built on the one before.
struct Waterfall {
    quantity: Decimal,
    unit: Decimal,
    amount: Decimal,
    steps: Vec<Step>,
}

impl Waterfall {
    fn step_to_unit(
        &mut self,
        kind: StepKind,
        rule: Option<(&RuleId, u64)>,
        unit: Decimal,
    ) -> Result<(), QuoteRefusal> {
        let after = unit.checked_mul(self.quantity).ok_or(QuoteRefusal::Overflow)?;
        self.unit = unit;
        self.step_to_amount(kind, rule, after);
        Ok(())
    }

    fn step_to_amount(&mut self, kind: StepKind, rule: Option<(&RuleId, u64)>, after: Decimal) {
        self.steps.push(Step {
            kind,
            rule: rule.map(|(rule, _)| rule.clone()),
            version: rule.map_or(0, |(_, version)| version),
            unit: self.unit,
            before: self.amount,
            after,
        });
        self.amount = after;
    }
}

fn price_line(
    contract: &Contract,
    line: &QuoteLine,
    as_of: Timestamp,
    rows: &[ListRow],
) -> Result<PricedLine, QuoteRefusal> {
    if line.quantity.units() > MAX_LINE_QUANTITY {
        return Err(QuoteRefusal::TooMuch {
            line: line.line,
            quantity: line.quantity,
        });
    }
    let mut waterfall = Waterfall {
        quantity: Decimal::from(line.quantity.units()),
        unit: Decimal::ZERO,
        amount: Decimal::ZERO,
        steps: Vec::with_capacity(4),
    };
    list_steps(&mut waterfall, contract, line, as_of, rows)?;
    contract_steps(&mut waterfall, contract, line, as_of)?;
    if waterfall.steps.is_empty() {
        return Err(QuoteRefusal::NoPrice {
            line: line.line,
            sku: line.sku.clone(),
            list: contract.base_list.clone(),
            currency: contract.currency,
        });
    }
    round(&mut waterfall, contract)?;
    Ok(PricedLine {
        line: line.line,
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit_price: waterfall.unit,
        amount: waterfall.amount,
        waterfall: waterfall.steps,
    })
}

fn list_steps(
    waterfall: &mut Waterfall,
    contract: &Contract,
    line: &QuoteLine,
    as_of: Timestamp,
    rows: &[ListRow],
) -> Result<(), QuoteRefusal> {
    let row = rows
        .iter()
        .filter(|row| row.list == contract.base_list && row.currency == contract.currency)
        .filter(|row| row.effective.at(as_of))
        .max_by_key(|row| row.effective.from);
    let Some(row) = row else { return Ok(()) };
    let rule = Some((&row.rule, row.version));
    waterfall.step_to_unit(StepKind::BaseList, rule, row.unit.amount())?;
    match reached(&row.breaks, line.quantity) {
        Some(at) => waterfall.step_to_unit(StepKind::ListBreak, rule, at.value.amount()),
        None => Ok(()),
    }
}

fn contract_steps(
    waterfall: &mut Waterfall,
    contract: &Contract,
    line: &QuoteLine,
    as_of: Timestamp,
) -> Result<(), QuoteRefusal> {
    let discount = |term: &&Term| matches!(term.effect, Effect::Discount { .. });
    let fixed = |term: &&Term| matches!(term.effect, Effect::Fixed { .. });
    // A discount needs something to be taken off.
    if !waterfall.steps.is_empty()
        && let Some(term) = in_force(contract, &line.sku, as_of, discount)
    {
        apply_term(waterfall, term, line.quantity)?;
    }
    match in_force(contract, &line.sku, as_of, fixed) {
        Some(term) => apply_term(waterfall, term, line.quantity),
        None => Ok(()),
    }
}

/// The term that counts: the SKU's before everything's, then the last to start, then version, then rule id.
fn in_force<'a>(
    contract: &'a Contract,
    sku: &Sku,
    as_of: Timestamp,
    of_kind: impl Fn(&&'a Term) -> bool,
) -> Option<&'a Term> {
    contract
        .terms
        .iter()
        .filter(of_kind)
        .filter(|term| term.effective.at(as_of))
        .filter_map(|term| match &term.scope {
            Scope::Everything => Some((0, term)),
            Scope::Sku(of) => (of == sku).then_some((1, term)),
        })
        .max_by_key(|(specific, term)| (*specific, term.effective.from, term.version, &term.rule))
        .map(|(_, term)| term)
}

fn apply_term(
    waterfall: &mut Waterfall,
    term: &Term,
    quantity: PositiveQuantity,
) -> Result<(), QuoteRefusal> {
    let rule = Some((&term.rule, term.version));
    match &term.effect {
        Effect::Fixed { unit, breaks } => {
            waterfall.step_to_unit(StepKind::ContractPrice, rule, unit.amount())?;
            let at: Option<&Break<Price>> = reached(breaks, quantity);
            match at {
                Some(at) => waterfall.step_to_unit(StepKind::ContractBreak, rule, at.value.amount()),
                None => Ok(()),
            }
        }
        Effect::Discount { percent, breaks } => {
            let percent = reached(breaks, quantity).map_or(*percent, |at| at.value);
            let unit = percent.off(waterfall.unit).ok_or(QuoteRefusal::Overflow)?;
            waterfall.step_to_unit(StepKind::ContractDiscount, rule, unit)
        }
    }
}

fn round(waterfall: &mut Waterfall, contract: &Contract) -> Result<(), QuoteRefusal> {
    let Rounding { mode, level } = contract.rounding;
    match level {
        RoundingLevel::Unit => {
            let unit = mode.round(waterfall.unit, contract.currency);
            if unit != waterfall.unit {
                waterfall.step_to_unit(StepKind::Rounding, None, unit)?;
            }
        }
        RoundingLevel::Line => {
            let amount = mode.round(waterfall.amount, contract.currency);
            if amount != waterfall.amount {
                waterfall.step_to_amount(StepKind::Rounding, None, amount);
            }
        }
    }
    Ok(())
}
