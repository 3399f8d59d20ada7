//! From priced lines to an order's total: order discount, freight, surcharges, tax; and the rebates that accrue beside.

use super::bound::floor_of;
use super::budget::BudgetUse;
use super::catalogue::Item;
use super::charge::{Charge, ChargeKind, Freight, Part};
use super::exact::{LIMIT, share, times};
use super::explain::Misses;
use super::line::Desk;
use super::order_explain::{Came, order_misses};
use super::rebate::Rebate;
use super::resolve::{
    Accrual, Detail, Missed, OrderStep, OrderStepKind, PricedLine, QuoteRefusal, TaxedAmount, Withheld,
};
use super::split::split;
use super::tax::{TaxBasis, TaxLevel, TaxProfile, TaxRate, TaxRates};
use crate::ids::{FreightZone, RuleId, TaxCategory};
use crate::money::{Currency, Percent, Price};
use rust_decimal::Decimal;
use std::sync::Arc;

/// What an order as a whole comes to.
#[derive(Debug)]
pub(super) struct OrderTotal {
    pub(super) steps: Vec<OrderStep>,
    pub(super) taxes: Vec<TaxedAmount>,
    pub(super) rebates: Vec<Accrual>,
    pub(super) total: Decimal,
    pub(super) misses: Misses,
    /// What its discount and its freight take from budgets.
    pub(super) budgets: Vec<BudgetUse>,
}

/// What the catalogue says of each line.
type Items<'a> = &'a [Option<Arc<Item>>];

type Result<T> = std::result::Result<T, QuoteRefusal>;

/// A rule on orders, and the currency that its amounts are in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ruling<'a> {
    pub(super) charge: &'a Charge,
    pub(super) currency: Currency,
}

impl Ruling<'_> {
    /// Whether it counts in the currency that is asked for: if its amounts are in that one, or can be converted and are not given
    /// in it by a rule of the same id.
    pub(super) fn counts(self, desk: &Desk<'_>) -> bool {
        if self.currency == desk.currency {
            return true;
        }
        let levels = desk.hierarchy.levels.iter();
        let asked = levels.filter(|level| level.currency == desk.currency);
        let is_given = asked
            .flat_map(|level| level.charges)
            .any(|other| other.rule == self.charge.rule);
        !is_given
            && desk
                .rates
                .is_some_and(|rates| rates.covers(self.currency, desk.currency))
    }

    /// Whether it is in force, its coupon is shown and its budget has something left, or why not.
    pub(super) fn applies(self, desk: &Desk<'_>) -> std::result::Result<(), Missed> {
        let Charge {
            effective,
            coupon,
            budget,
            ..
        } = self.charge;
        if let Some(reason) = Missed::of_dates(*effective, desk.as_of) {
            return Err(reason);
        }
        if let Some(coupon) = coupon.as_ref().filter(|coupon| !desk.coupons.contains(coupon)) {
            return Err(Missed::NoCoupon {
                coupon: coupon.clone(),
            });
        }
        budget.as_ref().map_or(Ok(()), |budget| desk.has_left(budget))
    }

    /// What it takes from its budget, if it has one and gives something.
    fn uses(self, desk: &Desk<'_>, given: Decimal) -> Result<Option<BudgetUse>> {
        let Some(budget) = self.charge.budget.clone().filter(|_| given > Decimal::ZERO) else {
            return Ok(None);
        };
        let amount = bounded(desk.in_own(given))?;
        Ok(Some(BudgetUse { budget, amount }))
    }

    /// An amount of it in the currency that is asked for; what no order may come to is told as twice the most.
    pub(super) fn asked(self, desk: &Desk<'_>, price: Price) -> Decimal {
        let beyond = LIMIT.saturating_add(LIMIT);
        let converted = desk.converted(price.amount(), self.currency, desk.currency);
        converted.map_or(beyond, |amount| amount.min(beyond))
    }

    /// An amount in its currency.
    fn own(self, desk: &Desk<'_>, asked: Decimal) -> Result<Decimal> {
        bounded(desk.converted(asked, desk.currency, self.currency))
    }

    /// What comes out in its currency, rounded to the smallest unit of the one that is asked for.
    fn rounded(self, desk: &Desk<'_>, own: Option<Decimal>) -> Result<Decimal> {
        let asked = own.and_then(|own| desk.converted(own, self.currency, desk.currency));
        let mode = desk.contract.rounding.mode;
        Ok(mode.round(bounded(asked)?, desk.currency))
    }

    fn named(&self) -> (&RuleId, u64) {
        (&self.charge.rule, self.charge.version)
    }
}

fn bounded(amount: Option<Decimal>) -> Result<Decimal> {
    amount
        .filter(|amount| amount.abs() <= LIMIT)
        .ok_or(QuoteRefusal::Overflow)
}

/// The steps of an order, each built on the one before.
struct Steps(Vec<OrderStep>);

impl Steps {
    fn reached(&self) -> Decimal {
        self.0.last().map_or(Decimal::ZERO, |step| step.after)
    }

    fn add(&mut self, kind: OrderStepKind, rule: Option<(&RuleId, u64)>, by: Decimal) -> Result<()> {
        let before = self.reached();
        self.0.push(OrderStep {
            kind,
            rule: rule.map(|(rule, _)| rule.clone()),
            version: rule.map_or(0, |(_, version)| version),
            before,
            after: bounded(before.checked_add(by))?,
            withheld: Vec::new(),
        });
        Ok(())
    }
}

/// Adds up an order of a customer who has `bought` so much before, in the contract's currency. Spreads its discount over
/// `lines`, and what they are taxed.
pub(super) fn add_up(
    desk: &Desk<'_>,
    (zone, bought): (Option<&FreightZone>, Decimal),
    lines: &mut [PricedLine],
    items: Items<'_>,
    rates: &impl TaxRates,
) -> Result<OrderTotal> {
    let sum = lines
        .iter()
        .try_fold(Decimal::ZERO, |sum, line| sum.checked_add(line.amount));
    let goods = bounded(sum)?;
    let mut steps = Steps(Vec::with_capacity(4));
    steps.add(OrderStepKind::Goods, None, goods)?;
    // They may have been added up before, at other prices.
    for line in lines.iter_mut() {
        (line.order_discount, line.tax, line.tax_rule) = (Decimal::ZERO, None, None);
    }
    let charges = ranked(desk, goods);
    let mut budgets = Vec::new();
    budgets.extend(discount(desk, &charges, &mut steps, lines, items)?);
    let net = steps.reached();
    let freight = freight(desk, &charges, zone, net, (&*lines, items))?;
    if let Some(Carriage { rule, amount, given }) = freight {
        steps.add(OrderStepKind::Freight, Some(rule.named()), amount)?;
        budgets.extend(rule.uses(desk, given)?);
    }
    for (rule, part) in surcharges(desk, &charges, net) {
        let amount = part_of(desk, rule, part, net)?;
        steps.add(OrderStepKind::Surcharge, Some(rule.named()), amount)?;
    }
    let on_top = bounded(steps.reached().checked_sub(net))?;
    let taxes = match &desk.tax {
        Some(profile) => taxes(desk, profile, lines, items, on_top, rates)?,
        None => Vec::new(),
    };
    if desk
        .tax
        .as_ref()
        .is_some_and(|profile| profile.basis == TaxBasis::Net)
    {
        for tax in &taxes {
            steps.add(OrderStepKind::Tax, Some((&tax.rule, tax.version)), tax.amount)?;
        }
    }
    Ok(OrderTotal {
        rebates: accrued(desk, &charges, bought, net)?,
        total: steps.reached(),
        steps: steps.0,
        taxes,
        budgets,
        misses: match desk.detail {
            Detail::Waterfall if desk.budgets.without.is_empty() => Misses::default(),
            Detail::Waterfall | Detail::NearMisses => {
                let came = Came {
                    ranked: &charges,
                    freight: freight.map(|carriage| carriage.rule),
                    zone,
                    goods,
                    net,
                };
                order_misses(desk, &came)
            }
        },
    })
}

/// The charges that apply, in their rank: priority, nearness, minimum, start, version, rule.
pub(super) fn ranked<'a>(desk: &Desk<'a>, goods: Decimal) -> Vec<Ruling<'a>> {
    let mut found: Vec<(usize, Decimal, Ruling<'a>)> = Vec::new();
    for (level, of) in desk.hierarchy.levels.iter().enumerate() {
        for charge in of.charges {
            let rule = Ruling {
                charge,
                currency: of.currency,
            };
            if rule.applies(desk).is_ok() && rule.counts(desk) {
                let minimum = rule.asked(desk, charge.minimum);
                found.extend((minimum <= goods).then_some((level, minimum, rule)));
            }
        }
    }
    found.sort_by(|(level, minimum, one), (other_level, other_minimum, other)| {
        let (one, other) = (one.charge, other.charge);
        let key = |minimum: &Decimal, charge: &Charge| (*minimum, charge.effective.from, charge.version);
        other
            .priority
            .cmp(&one.priority)
            .then_with(|| level.cmp(other_level))
            .then_with(|| key(other_minimum, other).cmp(&key(minimum, one)))
            .then_with(|| other.rule.cmp(&one.rule))
    });
    found.into_iter().map(|(_, _, rule)| rule).collect()
}

fn percent_of(amount: Decimal, percent: Percent) -> Option<Decimal> {
    let mut factor = percent.get();
    factor.set_scale(factor.scale() + 2).ok()?;
    times(amount, factor)
}

/// Rounded to the currency's smallest unit.
fn part_of(desk: &Desk<'_>, rule: Ruling<'_>, part: Part, of: Decimal) -> Result<Decimal> {
    let exact = match part {
        Part::Percent(percent) => bounded(percent_of(of, percent))?,
        Part::Amount(amount) => rule.asked(desk, amount),
    };
    Ok(desk.contract.rounding.mode.round(exact, desk.currency))
}

/// What goods earn by tiers, rounded to the currency's smallest unit.
fn earned(desk: &Desk<'_>, rule: Ruling<'_>, tiers: &Rebate, goods: Decimal) -> Result<Decimal> {
    rule.rounded(desk, tiers.earned(rule.own(desk, goods)?))
}

/// The discount that counts: the first in rank.
pub(super) fn discount_of<'a>(charges: &[Ruling<'a>]) -> Option<Ruling<'a>> {
    let is_discount = |rule: &&Ruling<'_>| match &rule.charge.kind {
        ChargeKind::Discount(_) | ChargeKind::DiscountByValue(_) => true,
        ChargeKind::Freight(_) | ChargeKind::Surcharge { .. } | ChargeKind::Rebate(_) => false,
    };
    charges.iter().find(is_discount).copied()
}

/// The first in rank, never more than the goods; each line gets its share, as far as its floor lets it.
fn discount(
    desk: &Desk<'_>,
    charges: &[Ruling<'_>],
    steps: &mut Steps,
    lines: &mut [PricedLine],
    items: Items<'_>,
) -> Result<Option<BudgetUse>> {
    let goods = steps.reached();
    let Some(rule) = discount_of(charges) else {
        return Ok(None);
    };
    let amount = match &rule.charge.kind {
        ChargeKind::Discount(part) => part_of(desk, rule, *part, goods)?,
        ChargeKind::DiscountByValue(tiers) => earned(desk, rule, tiers, goods)?,
        ChargeKind::Freight(_) | ChargeKind::Surcharge { .. } | ChargeKind::Rebate(_) => Decimal::ZERO,
    };
    let amount = amount.min(goods);
    if amount == Decimal::ZERO {
        return Ok(None);
    }
    let weights: Vec<Decimal> = lines.iter().map(|line| line.amount).collect();
    let parts = split(amount, &weights, desk.currency).ok_or(QuoteRefusal::Overflow)?;
    let (mut given, mut withheld) = (amount, Vec::new());
    for ((line, item), part) in lines.iter_mut().zip(items).zip(parts) {
        line.order_discount = part;
        if let Some(held) = below_floor(desk, line, item.as_deref())? {
            line.order_discount = bounded(part.checked_sub(held.amount))?;
            given = bounded(given.checked_sub(held.amount))?;
            withheld.push(held);
        }
    }
    steps.add(OrderStepKind::Discount, Some(rule.named()), -given)?;
    if let Some(step) = steps.0.last_mut() {
        step.withheld = withheld;
    }
    rule.uses(desk, given)
}

/// What of a line's part of the discount would take it below its floor.
fn below_floor(desk: &Desk<'_>, line: &PricedLine, item: Option<&Item>) -> Result<Option<Withheld>> {
    let Some(floor) = floor_of(desk, line, item) else {
        return Ok(None);
    };
    // A floor beyond all bounds leaves no room.
    let least = floor.least(desk).unwrap_or(Decimal::MAX);
    let room = line.amount.saturating_sub(least).max(Decimal::ZERO);
    let held = bounded(line.order_discount.checked_sub(room))?;
    Ok((held > Decimal::ZERO).then(|| Withheld {
        line: line.line,
        rule: floor.term.rule.clone(),
        version: floor.term.version,
        amount: held,
    }))
}

/// The freight that counts: the first in rank that goes to the zone.
pub(super) fn freight_of<'a>(
    charges: &[Ruling<'a>],
    zone: Option<&FreightZone>,
) -> Option<(Ruling<'a>, &'a Freight)> {
    charges.iter().find_map(|rule| match &rule.charge.kind {
        ChargeKind::Freight(freight) if freight.zone.is_none() || freight.zone.as_ref() == zone => {
            Some((*rule, freight))
        }
        ChargeKind::Freight(_)
        | ChargeKind::Discount(_)
        | ChargeKind::DiscountByValue(_)
        | ChargeKind::Surcharge { .. }
        | ChargeKind::Rebate(_) => None,
    })
}

/// What it costs to bring an order.
#[derive(Clone, Copy, Debug)]
struct Carriage<'a> {
    rule: Ruling<'a>,
    amount: Decimal,
    /// How much less that is than without the rule, if a budget pays for it.
    given: Decimal,
}

/// What it costs to bring the order, if anything says so.
fn freight<'a>(
    desk: &Desk<'_>,
    charges: &[Ruling<'a>],
    zone: Option<&FreightZone>,
    net: Decimal,
    (lines, items): (&[PricedLine], Items<'_>),
) -> Result<Option<Carriage<'a>>> {
    let Some((rule, terms)) = freight_of(charges, zone) else {
        return Ok(None);
    };
    let amount = fare(desk, rule, terms, net, (lines, items))?;
    if rule.charge.budget.is_none() {
        let given = Decimal::ZERO;
        return Ok(Some(Carriage { rule, amount, given }));
    }
    // A budget pays what it lowers; where it lowers nothing it is passed over.
    let others = charges
        .iter()
        .filter(|other| !std::ptr::eq(other.charge, rule.charge));
    let others: Vec<Ruling<'a>> = others.copied().collect();
    let without = freight(desk, &others, zone, net, (lines, items))?;
    let given = without.map_or(Decimal::ZERO, |without| without.amount.saturating_sub(amount));
    if given > Decimal::ZERO {
        Ok(Some(Carriage { rule, amount, given }))
    } else {
        Ok(without)
    }
}

/// What freight costs by a rule.
fn fare(
    desk: &Desk<'_>,
    rule: Ruling<'_>,
    freight: &Freight,
    net: Decimal,
    (lines, items): (&[PricedLine], Items<'_>),
) -> Result<Decimal> {
    if freight
        .free_from
        .is_some_and(|from| rule.asked(desk, from) <= net)
    {
        return Ok(Decimal::ZERO);
    }
    let exact = carried(freight, lines, items).map(|exact| exact.max(freight.least.amount()));
    rule.rounded(desk, exact)
}

fn carried(freight: &Freight, lines: &[PricedLine], items: Items<'_>) -> Option<Decimal> {
    let (mut units, mut grams) = (0_i64, 0_u64);
    for (line, item) in lines.iter().zip(items) {
        units = units.checked_add(line.quantity.units())?;
        let each = item.as_ref().map_or(0, |item| u64::from(item.grams));
        let weight = each.checked_mul(line.quantity.units().unsigned_abs())?;
        grams = grams.checked_add(weight)?;
    }
    let kilograms = Decimal::try_from_i128_with_scale(i128::from(grams), 3).ok()?;
    freight
        .base
        .amount()
        .checked_add(times(freight.per_unit.amount(), Decimal::from(units))?)?
        .checked_add(times(freight.per_kilogram.amount(), kilograms)?)
}

/// All that apply, in their rank.
fn surcharges<'a>(desk: &Desk<'_>, charges: &[Ruling<'a>], net: Decimal) -> Vec<(Ruling<'a>, Part)> {
    let of = |rule: &Ruling<'a>| match &rule.charge.kind {
        ChargeKind::Surcharge { part, below } if below.is_none_or(|below| net < rule.asked(desk, below)) => {
            Some((*rule, *part))
        }
        ChargeKind::Surcharge { .. }
        | ChargeKind::Discount(_)
        | ChargeKind::DiscountByValue(_)
        | ChargeKind::Freight(_)
        | ChargeKind::Rebate(_) => None,
    };
    charges.iter().filter_map(of).collect()
}

/// What the goods are taxed, and what comes on top of them.
fn taxes(
    desk: &Desk<'_>,
    profile: &TaxProfile,
    lines: &mut [PricedLine],
    items: Items<'_>,
    on_top: Decimal,
    rates: &impl TaxRates,
) -> Result<Vec<TaxedAmount>> {
    if let Some(exemption) = &profile.exemption
        && exemption.effective.at(desk.as_of)
    {
        return Ok(Vec::new());
    }
    let mut groups: Vec<(TaxRate, u64, Decimal, Decimal)> = Vec::new();
    let jurisdiction = profile.jurisdiction_of(desk.ship_to, rates);
    let mut add = |category: Option<&TaxCategory>, amount: Decimal| -> Result<(Decimal, RuleId)> {
        let (rate, version) =
            rates
                .rate(&jurisdiction, category, desk.as_of)
                .ok_or_else(|| QuoteRefusal::NoTaxRate {
                    jurisdiction: jurisdiction.clone(),
                    category: category.map_or_else(|| "standard".to_owned(), ToString::to_string),
                })?;
        let exact = tax_of(amount, rate.percent, profile.basis)?;
        let tax = desk.contract.rounding.mode.round(exact, desk.currency);
        let rule = rate.rule.clone();
        match groups
            .iter_mut()
            .find(|(other, ..)| other.rule == rate.rule && other.percent == rate.percent)
        {
            Some((_, _, base, sum)) => {
                *base = bounded(base.checked_add(amount))?;
                *sum = bounded(sum.checked_add(tax))?;
            }
            None => groups.push((rate, version, amount, tax)),
        }
        Ok((tax, rule))
    };
    for (line, item) in lines.iter_mut().zip(items) {
        let net = bounded(line.amount.checked_sub(line.order_discount))?;
        let category = item.as_ref().and_then(|item| item.tax.as_ref());
        let (tax, rule) = add(category, net).map_err(|refusal| refusal.of_line(line.line, &line.sku))?;
        line.tax_rule = Some(rule);
        if profile.level == TaxLevel::Line {
            line.tax = Some(tax);
        }
    }
    if on_top != Decimal::ZERO {
        add(None, on_top)?;
    }
    let told = |(rate, version, base, by_line): (TaxRate, u64, Decimal, Decimal)| {
        let amount = match profile.level {
            TaxLevel::Line => by_line,
            TaxLevel::Order => {
                let exact = tax_of(base, rate.percent, profile.basis)?;
                desk.contract.rounding.mode.round(exact, desk.currency)
            }
        };
        Ok(TaxedAmount {
            rule: rate.rule,
            version,
            percent: rate.percent,
            base,
            amount,
            jurisdiction: Some(jurisdiction.clone()),
        })
    };
    groups.into_iter().map(told).collect()
}

/// The tax on an amount, or in it, to ten decimals.
fn tax_of(amount: Decimal, percent: Percent, basis: TaxBasis) -> Result<Decimal> {
    let tax = match basis {
        TaxBasis::Net => percent_of(amount, percent),
        // rate ÷ (100 + rate), both in 10^-4 percent.
        TaxBasis::Gross => {
            let mut parts = percent.get();
            parts.rescale(Percent::MAX_SCALE);
            let parts = i64::try_from(parts.mantissa()).ok();
            parts.and_then(|parts| share(amount, parts, 1_000_000 + parts))
        }
    };
    bounded(tax)
}

/// What accrues when `net` comes to what was bought before, in the contract's currency.
fn accrued(desk: &Desk<'_>, charges: &[Ruling<'_>], bought: Decimal, net: Decimal) -> Result<Vec<Accrual>> {
    if !charges
        .iter()
        .any(|rule| matches!(rule.charge.kind, ChargeKind::Rebate(_)))
    {
        return Ok(Vec::new());
    }
    let before = bounded(desk.as_asked(bought))?;
    rebates(desk, charges, before, bounded(before.checked_add(net))?)
}

/// What accrues of every rebate when a volume becomes another one, rounded to the currency's smallest unit.
pub(super) fn rebates(
    desk: &Desk<'_>,
    charges: &[Ruling<'_>],
    before: Decimal,
    after: Decimal,
) -> Result<Vec<Accrual>> {
    let base = bounded(after.checked_sub(before))?;
    let mut found = Vec::new();
    for rule in charges {
        let charge = rule.charge;
        let rebate = match &charge.kind {
            ChargeKind::Rebate(rebate) => rebate,
            ChargeKind::Discount(_)
            | ChargeKind::DiscountByValue(_)
            | ChargeKind::Freight(_)
            | ChargeKind::Surcharge { .. } => continue,
        };
        let (from, to) = (rule.own(desk, before)?, rule.own(desk, after)?);
        let exact = to.checked_sub(from).and_then(|more| rebate.accrues(from, more));
        found.push(Accrual {
            rule: charge.rule.clone(),
            version: charge.version,
            base,
            amount: rule.rounded(desk, exact)?,
        });
    }
    Ok(found)
}
