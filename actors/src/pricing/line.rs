//! One line's price: the steps of its waterfall, in the declared order.

use super::bound::{PriceFlag, Span, cost, flag_stated, passed};
use super::budget::BudgetUse;
use super::candidate::{Ranked, of_stage, rank};
use super::catalogue::Item;
use super::contract::{Budgets, Contract, Rounding, RoundingLevel, UsedBudgets};
use super::edition::Editions;
use super::exact::{LIMIT, PLACES, each, times};
use super::explain::{Misses, near_misses};
use super::hierarchy::Hierarchy;
use super::index::{IndexValue, Indices};
use super::list::ListRow;
use super::price_change::in_force;
use super::rates::RateSet;
use super::resolve::{
    Detail, MAX_LINE_QUANTITY, Missed, PricedLine, QuoteLine, QuoteRefusal, Step, StepKind,
};
use super::stage::{Standing, choose, outcome};
use super::tax::TaxProfile;
use super::term::{Effect, Inheritance, Stage, Term};
use crate::ids::{BudgetId, CouponCode, IndexId, Region, RuleId, Sku};
use crate::money::{Currency, Price, RoundingMode};
use crate::quantity::PositiveQuantity;
use crate::reference::Reference;
use crate::units::{SizedUnit, UnitRefusal};
use lockstep_runtime::time::Timestamp;
use rust_decimal::{Decimal, RoundingStrategy};
use smallvec::SmallVec;

/// What all lines of a request share.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) contract: &'a Contract,
    pub(super) hierarchy: Hierarchy<'a>,
    /// The currency that is asked for.
    pub(super) currency: Currency,
    /// How currencies are converted, if they are.
    pub(super) rates: Option<&'a RateSet>,
    /// What the customer has bought in the period of its rebates by the ERP's report, in the contract's currency.
    pub(super) volume: Decimal,
    /// The editions of the base list, if it has any.
    pub(super) editions: Option<&'a Editions>,
    pub(super) coupons: &'a [CouponCode],
    /// How often the customer uses budgets; none for an order, of which each budget is asked.
    pub(super) used: Option<&'a UsedBudgets>,
    /// Of an order: the budgets that it has or does without.
    pub(super) budgets: &'a Budgets,
    pub(super) reference: &'a Reference,
    pub(super) as_of: Timestamp,
    pub(super) detail: Detail,
    /// How the customer is taxed: by its contract, else as its channel says.
    pub(super) tax: Option<TaxProfile>,
    /// Where goods are shipped to.
    pub(super) ship_to: Option<&'a Region>,
}

impl<'a> Desk<'a> {
    /// What an index says at the order's date.
    pub(super) fn index(&self, id: &IndexId) -> Option<IndexValue> {
        self.indices().value(id)
    }

    /// An amount in the contract's currency, in the one that is asked for.
    pub(super) fn as_asked(&self, amount: Decimal) -> Option<Decimal> {
        self.converted(amount, self.contract.currency, self.currency)
    }

    /// An amount in the currency that is asked for, in the contract's.
    pub(super) fn in_own(&self, amount: Decimal) -> Option<Decimal> {
        self.converted(amount, self.currency, self.contract.currency)
    }

    /// An amount in another currency, by the rates that count.
    pub(super) fn converted(&self, amount: Decimal, from: Currency, to: Currency) -> Option<Decimal> {
        if from == to {
            return Some(amount);
        }
        self.rates?.convert(amount, from, to)
    }

    pub(super) fn indices(&self) -> Indices<'a> {
        Indices {
            reference: self.reference,
            as_of: self.as_of,
        }
    }

    /// Whether a near miss is told: each if that was asked for, else what an order was refused.
    pub(super) fn tells(&self, reason: &Missed) -> bool {
        match self.detail {
            Detail::NearMisses => true,
            Detail::Waterfall => matches!(reason, Missed::BudgetRefused { .. }),
        }
    }

    /// Whether a budget has something left for whoever asks, or why not.
    pub(super) fn has_left(&self, id: &BudgetId) -> Result<(), Missed> {
        let budget = || id.clone();
        if self.budgets.without.contains(id) {
            return Err(Missed::BudgetRefused { budget: budget() });
        }
        if self.budgets.held.contains(id) {
            return Ok(());
        }
        let Some(left) = self.reference.budget(id) else {
            return Err(Missed::NoBudget { budget: budget() });
        };
        if let Some(currency) = left.other_than(self.contract.currency) {
            return Err(Missed::BudgetCurrency {
                budget: budget(),
                currency,
            });
        }
        if !left.is_open() {
            return Err(Missed::BudgetSpent { budget: budget() });
        }
        let uses = self
            .used
            .and_then(|used| used.get(id))
            .map_or(0, |counted| counted.uses);
        match left.most_by_customer() {
            Some(most) if self.used.is_some() && uses >= most => Err(Missed::UsedUp { budget: budget() }),
            Some(_) | None => Ok(()),
        }
    }
}

/// What a line is for, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goods<'a> {
    pub(super) sku: &'a Sku,
    /// In base units.
    pub(super) units: i64,
    pub(super) item: Option<&'a Item>,
}

/// What the terms of a line came to.
#[derive(Debug, Default)]
pub(super) struct Applied<'a> {
    /// Those that made steps, in the order of the steps.
    pub(super) terms: SmallVec<[&'a Term; 4]>,
    /// Those that were chosen, and lowered nothing when their turn came.
    pub(super) idle: SmallVec<[&'a Term; 2]>,
}

/// A promotion that is paid from a budget: the line's amount before and after it.
struct Funded {
    budget: BudgetId,
    /// None if the promotion has given the line its price.
    before: Option<Decimal>,
    after: Decimal,
}

impl Funded {
    /// What it gives within the bounds of the line; none if that is nothing.
    fn uses(self, span: &Span) -> Option<BudgetUse> {
        let Self {
            budget,
            before,
            after,
        } = self;
        let amount = before.map(|before| span.held(before).saturating_sub(span.held(after)));
        if amount == Some(Decimal::ZERO) {
            return None;
        }
        Some(BudgetUse {
            budget,
            amount: amount.unwrap_or_default(),
        })
    }
}

/// The steps of a line, each built on the one before.
struct Waterfall {
    units: i64,
    amount: Decimal,
    steps: Vec<Step>,
    funded: Vec<Funded>,
}

impl Waterfall {
    fn step(
        &mut self,
        kind: StepKind,
        rule: Option<(&RuleId, u64)>,
        after: Decimal,
    ) -> Result<(), QuoteRefusal> {
        if after.abs() > LIMIT {
            return Err(QuoteRefusal::Overflow);
        }
        self.steps.push(Step {
            kind,
            rule: rule.map(|(rule, _)| rule.clone()),
            version: rule.map_or(0, |(_, version)| version),
            before: self.amount,
            after,
            index: None,
        });
        self.amount = after;
        Ok(())
    }

    fn unit_price(&self) -> Result<Decimal, QuoteRefusal> {
        each(self.amount, self.units, PLACES, RoundingMode::HalfEven).ok_or(QuoteRefusal::Overflow)
    }

    fn standing<'a>(&self, list: Option<Decimal>, cost: Option<Decimal>, desk: &Desk<'a>) -> Standing<'a> {
        Standing {
            units: self.units,
            list,
            cost,
            indices: desk.indices(),
            volume: desk.volume,
            amount: (!self.steps.is_empty()).then_some(self.amount),
        }
    }
}

/// How many base units a line is for.
fn base_units(line: &QuoteLine, item: Option<&Item>) -> Result<PositiveQuantity, QuoteRefusal> {
    let Some(unit) = &line.unit else {
        return Ok(line.quantity);
    };
    if let Some(settled) = line.base_units {
        return Ok(settled);
    }
    let size = item.and_then(|item| item.size_of(unit));
    let size = size.ok_or_else(|| QuoteRefusal::UnknownUnit {
        line: line.line,
        sku: line.sku.clone(),
        unit: unit.clone(),
    })?;
    let units = SizedUnit { unit, size }.positive(line.quantity);
    units.map_err(|refusal| match refusal {
        UnitRefusal::TooMuch { .. } => QuoteRefusal::TooMuch {
            line: line.line,
            quantity: line.quantity,
        },
        UnitRefusal::Unknown(_) | UnitRefusal::NotWhole { .. } => QuoteRefusal::NotWhole {
            line: line.line,
            refusal,
        },
    })
}

/// Prices a line, given the list rows and the catalogue's entry of its SKU.
pub(super) fn price_line(
    desk: &Desk<'_>,
    line: &QuoteLine,
    rows: &[ListRow],
    item: Option<&Item>,
) -> Result<PricedLine, QuoteRefusal> {
    let quantity = base_units(line, item)?;
    if quantity.units() > MAX_LINE_QUANTITY {
        return Err(QuoteRefusal::TooMuch {
            line: line.line,
            quantity,
        });
    }
    let goods = Goods {
        sku: &line.sku,
        units: quantity.units(),
        item,
    };
    let mut waterfall = Waterfall {
        units: goods.units,
        amount: Decimal::ZERO,
        steps: Vec::with_capacity(8),
        funded: Vec::new(),
    };
    let row = list_row(desk, rows);
    list_steps(&mut waterfall, row)?;
    let ranked = rank(desk, goods);
    let mut applied = term_steps(&mut waterfall, desk, &ranked, item)?;
    if waterfall.steps.is_empty() {
        return Err(QuoteRefusal::NoPrice {
            line: line.line,
            sku: line.sku.clone(),
            list: desk.hierarchy.base_list().to_owned(),
            currency: desk.contract.currency,
        });
    }
    conversion_step(&mut waterfall, desk)?;
    ending_step(&mut waterfall, desk)?;
    let mut flags = bound_steps(&mut waterfall, desk, &ranked, goods, &mut applied)?;
    rounding_step(&mut waterfall, desk)?;
    let budgets = budget_uses(std::mem::take(&mut waterfall.funded), desk, &ranked, goods);
    let unit_price = match stated_step(&mut waterfall, desk, line)? {
        Some(stated) => {
            flag_stated(&mut flags, &ranked, waterfall.amount, goods, desk);
            stated
        }
        None => waterfall.unit_price()?,
    };
    let misses = match desk.detail {
        Detail::Waterfall if desk.budgets.without.is_empty() => Misses::default(),
        Detail::Waterfall | Detail::NearMisses => {
            near_misses(desk, goods, row, &ranked, (&applied, &waterfall.steps))
        }
    };
    Ok(PricedLine {
        line: line.line,
        sku: line.sku.clone(),
        quantity,
        sold_as: line.unit.clone().map(|unit| (unit, line.quantity)),
        unit_price,
        amount: waterfall.amount,
        waterfall: waterfall.steps,
        budgets,
        order_discount: Decimal::ZERO,
        tax: None,
        tax_rule: None,
        flags,
        near_misses: misses.told,
        near_misses_left_out: misses.left_out,
    })
}

fn list_row<'a>(desk: &Desk<'_>, rows: &'a [ListRow]) -> Option<&'a ListRow> {
    in_force(
        rows.iter(),
        desk.hierarchy.base_list(),
        desk.contract.currency,
        desk.editions,
        desk.as_of,
    )
}

fn list_steps(waterfall: &mut Waterfall, row: Option<&ListRow>) -> Result<(), QuoteRefusal> {
    let Some(row) = row else { return Ok(()) };
    let rule = Some((&row.rule, row.version));
    let plain = row.price.plain(waterfall.units).ok_or(QuoteRefusal::Overflow)?;
    waterfall.step(StepKind::BaseList, rule, plain)?;
    match row.price.broken(waterfall.units).ok_or(QuoteRefusal::Overflow)? {
        Some(broken) => waterfall.step(StepKind::ListBreak, rule, broken),
        None => Ok(()),
    }
}

fn term_steps<'a>(
    waterfall: &mut Waterfall,
    desk: &Desk<'a>,
    ranked: &Ranked<'a>,
    item: Option<&Item>,
) -> Result<Applied<'a>, QuoteRefusal> {
    let mut applied = Applied::default();
    let list = (!waterfall.steps.is_empty()).then_some(waterfall.amount);
    let cost = cost(item, desk.contract.currency, desk);
    for stage in [Stage::Standing, Stage::Agreed, Stage::Promotion] {
        let mode = desk.hierarchy.precedence.of(stage);
        let here = of_stage(ranked, stage, mode.inheritance == Inheritance::Nearest);
        if here.is_empty() {
            continue;
        }
        let found = waterfall.standing(list, cost, desk);
        for term in choose(mode.combination, &here, found)? {
            if apply(waterfall, term, waterfall.standing(list, cost, desk))? {
                applied.terms.push(term);
            } else {
                applied.idle.push(term);
            }
        }
    }
    Ok(applied)
}

/// Whether the term made a step: a promotion that lowers nothing does not.
fn apply(waterfall: &mut Waterfall, term: &Term, standing: Standing<'_>) -> Result<bool, QuoteRefusal> {
    let Some(found) = outcome(term, standing)? else {
        return Ok(false);
    };
    let rule = Some((&term.rule, term.version));
    match term.stage {
        Stage::Standing => waterfall.step(StepKind::StandingDiscount, rule, found.amount())?,
        Stage::Agreed => {
            waterfall.step(StepKind::AgreedPrice, rule, found.plain)?;
            if let (Effect::Indexed(formula), Some(step)) = (&term.effect, waterfall.steps.last_mut()) {
                step.index = standing.indices.value(&formula.index).map(Box::new);
            }
            if let Some(broken) = found.broken {
                waterfall.step(StepKind::AgreedBreak, rule, broken)?;
            }
        }
        Stage::Promotion if standing.amount.is_some_and(|before| found.amount() >= before) => {
            return Ok(false);
        }
        Stage::Promotion => {
            waterfall.step(StepKind::Promotion, rule, found.amount())?;
            if let Some(budget) = term.budget() {
                waterfall.funded.push(Funded {
                    budget: budget.clone(),
                    before: standing.amount,
                    after: found.amount(),
                });
            }
        }
        Stage::Ceiling | Stage::Floor | Stage::Advertised => return Ok(false),
    }
    Ok(true)
}

fn conversion_step(waterfall: &mut Waterfall, desk: &Desk<'_>) -> Result<(), QuoteRefusal> {
    let (from, to) = (desk.contract.currency, desk.currency);
    let Some(rates) = desk.rates.filter(|_| from != to) else {
        return Ok(());
    };
    let converted = rates.convert(waterfall.amount, from, to);
    let rule = Some((&rates.id, 0));
    waterfall.step(
        StepKind::Conversion,
        rule,
        converted.ok_or(QuoteRefusal::Overflow)?,
    )
}

/// An ending that would leave nothing of the price is passed over.
fn ending_step(waterfall: &mut Waterfall, desk: &Desk<'_>) -> Result<(), QuoteRefusal> {
    let Some(ending) = desk.hierarchy.ending else {
        return Ok(());
    };
    let Some(unit) = ending.unit(waterfall.amount, waterfall.units) else {
        return Ok(());
    };
    let after = times(unit, Decimal::from(waterfall.units)).ok_or(QuoteRefusal::Overflow)?;
    if after == waterfall.amount {
        return Ok(());
    }
    waterfall.step(StepKind::Ending, Some((&ending.rule, ending.version)), after)
}

/// The ceiling, then the floor, which has the last word; then whether the price may be shown.
fn bound_steps<'a>(
    waterfall: &mut Waterfall,
    desk: &Desk<'_>,
    ranked: &Ranked<'a>,
    goods: Goods<'_>,
    applied: &mut Applied<'a>,
) -> Result<Vec<PriceFlag>, QuoteRefusal> {
    let mut flags = Vec::new();
    // Few lines have any.
    if ranked
        .iter()
        .all(|candidate| candidate.term.stage < Stage::Ceiling)
    {
        return Ok(flags);
    }
    let stages = [
        (Stage::Ceiling, StepKind::Ceiling),
        (Stage::Floor, StepKind::Floor),
        (Stage::Advertised, StepKind::Floor),
    ];
    for (stage, kind) in stages {
        // What would be rounded below a floor is below it.
        let amount = match stage {
            Stage::Floor | Stage::Advertised => rounded(waterfall, desk)?,
            Stage::Standing | Stage::Agreed | Stage::Promotion | Stage::Ceiling => waterfall.amount,
        };
        let Some(found) = passed(stage, ranked, amount, goods, desk) else {
            continue;
        };
        if let Some(bound) = found.moved_to {
            waterfall.step(kind, Some((&found.term.rule, found.term.version)), bound)?;
        }
        applied.terms.push(found.term);
        flags.push(found.flag);
    }
    Ok(flags)
}

/// What the line's promotions take from budgets.
fn budget_uses(
    funded: Vec<Funded>,
    desk: &Desk<'_>,
    ranked: &Ranked<'_>,
    goods: Goods<'_>,
) -> Vec<BudgetUse> {
    if funded.is_empty() {
        return Vec::new();
    }
    let span = Span::of(ranked, goods, desk);
    let uses = funded.into_iter().filter_map(|funded| funded.uses(&span));
    uses.collect()
}

/// The amount as the contract rounds it.
fn rounded(waterfall: &Waterfall, desk: &Desk<'_>) -> Result<Decimal, QuoteRefusal> {
    let Rounding { mode, level } = desk.contract.rounding;
    let currency = desk.currency;
    let rounded = match level {
        RoundingLevel::Line => Some(mode.round(waterfall.amount, currency)),
        RoundingLevel::Unit => each(waterfall.amount, waterfall.units, currency.decimals(), mode)
            .and_then(|unit| times(unit, Decimal::from(waterfall.units))),
    };
    rounded.ok_or(QuoteRefusal::Overflow)
}

fn rounding_step(waterfall: &mut Waterfall, desk: &Desk<'_>) -> Result<(), QuoteRefusal> {
    let rounded = rounded(waterfall, desk)?;
    if rounded != waterfall.amount {
        return waterfall.step(StepKind::Rounding, None, rounded);
    }
    // The same, without zeros beyond the smallest unit.
    waterfall.amount = rounded;
    Ok(())
}

/// Whether the asker states another price than a line has.
pub(super) fn states_another(line: &PricedLine, asked: &QuoteLine) -> bool {
    let ours = || {
        each(
            line.amount,
            asked.quantity.units(),
            PLACES,
            RoundingMode::HalfEven,
        )
    };
    asked
        .stated_price
        .is_some_and(|stated| ours().is_none_or(|ours| is_another(stated.amount(), ours)))
}

/// Whether a stated price is not ours, shown to as many decimals as it has.
fn is_another(stated: Decimal, ours: Decimal) -> bool {
    let shows = |strategy| ours.round_dp_with_strategy(stated.scale(), strategy) == stated;
    !shows(RoundingStrategy::MidpointAwayFromZero) && !shows(RoundingStrategy::MidpointNearestEven)
}

/// Reckons a line that has its price already at what the asker states, if that is another one.
pub(super) fn restate(
    desk: &Desk<'_>,
    line: &mut PricedLine,
    asked: &QuoteLine,
    item: Option<&Item>,
) -> Result<(), QuoteRefusal> {
    let mut waterfall = Waterfall {
        units: line.quantity.units(),
        amount: line.amount,
        steps: std::mem::take(&mut line.waterfall),
        funded: Vec::new(),
    };
    if let Some(stated) = stated_step(&mut waterfall, desk, asked)? {
        line.unit_price = stated;
        let goods = Goods {
            sku: &asked.sku,
            units: waterfall.units,
            item,
        };
        flag_stated(&mut line.flags, &rank(desk, goods), waterfall.amount, goods, desk);
    }
    line.amount = waterfall.amount;
    line.waterfall = waterfall.steps;
    Ok(())
}

/// What the asker states in place of ours, unless it is ours: of one of the line's unit. What one base unit costs then.
fn stated_step(
    waterfall: &mut Waterfall,
    desk: &Desk<'_>,
    asked: &QuoteLine,
) -> Result<Option<Decimal>, QuoteRefusal> {
    let Some(stated) = asked.stated_price.map(Price::amount) else {
        return Ok(None);
    };
    let count = asked.quantity.units();
    let ours = each(waterfall.amount, count, PLACES, RoundingMode::HalfEven);
    if !is_another(stated, ours.ok_or(QuoteRefusal::Overflow)?) {
        return Ok(None);
    }
    let exact = times(stated, Decimal::from(count)).ok_or(QuoteRefusal::Overflow)?;
    let after = desk.contract.rounding.mode.round(exact, desk.currency);
    waterfall.step(StepKind::StatedPrice, None, after)?;
    if asked.unit.is_none() {
        return Ok(Some(stated));
    }
    waterfall.unit_price().map(Some)
}
