//! What comes back after goods have left, and what of their price is given back.
//!
//! Invariants:
//! - no more of a line is returned than has left, and no more credited than has left;
//! - each paper counts once, whatever it is repeated;
//! - of lots that a paper names no more comes back than has left of them for the line;
//! - what is credited of a line, part by part, adds up to its amount less its share of the order's discount, and to its tax, to the
//!   last smallest unit: each credit is what is due for all units so far less what was credited before;
//! - of what is due for its units a credit gives all, or less where it says so; the rest of that is not given back later;
//! - of freight no more is given back than was charged; so all credits together never come to more than the invoice.

use super::command::{
    CreditLine, CreditShare, CreditWish, FreightShare, GoodsReturn, OrderRefusal, ReturnLine,
};
use super::event::OrderEvent;
use super::flow::Flow;
use super::invoice::{step, tax_beside_lines};
use super::paper::{PaperKind, tell_erp};
use super::price::tell_contract_of_less;
use super::state::Placed;
use crate::ids::{DocumentId, LotCode, Sku, StockId, WarehouseCode};
use crate::inventory::command::{Condition, StockCommand};
use crate::inventory::lots::{LotRefusal, LotUnits, check_named, units_of};
use crate::kit::Component;
use crate::money::{Currency, RoundingMode};
use crate::pricing::catalogue::Tracking;
use crate::pricing::exact::less;
use crate::pricing::exact::share;
use crate::pricing::resolve::{OrderStepKind, PricedLine, Quote};
use crate::pricing::split::split;
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// How many lines of returns, and how many of credits, an order may have.
pub const MAX_LINES_BACK: usize = 1_000;

/// What becomes of goods that come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// They can be sold again.
    Restock,
    /// They are thrown away.
    Scrap,
}

/// Goods of a line that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedLine {
    /// By which paper.
    pub document: DocumentId,
    /// Of which line.
    pub line: u16,
    /// How much.
    pub quantity: PositiveQuantity,
    /// What became of it.
    pub disposition: Disposition,
    /// Where.
    pub warehouse: WarehouseCode,
    /// When.
    pub at: Timestamp,
    /// Of a kit: the component that came back alone, in its own base units.
    #[serde(default)]
    pub component: Option<Sku>,
    /// Of which lots it was, if the paper says so.
    #[serde(default)]
    pub lots: Vec<LotUnits>,
}

/// What of a line was given back in money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditedLine {
    /// By which paper.
    pub document: DocumentId,
    /// Of which line.
    pub line: u16,
    /// For how much of it.
    pub quantity: PositiveQuantity,
    /// Of its price, less its share of the order's discount.
    pub amount: Decimal,
    /// Of its tax: on top of that, or in it where prices contain it.
    pub tax: Decimal,
    /// What the customer gets.
    pub total: Decimal,
    /// When.
    pub at: Timestamp,
    /// What part of its price that is, as it was wanted.
    #[serde(default)]
    pub share: CreditShare,
}

/// What of an order's freight was given back in money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditedFreight {
    /// By which paper.
    pub document: DocumentId,
    /// What part of it that is, as it was wanted.
    pub share: FreightShare,
    /// Of what it costs.
    pub amount: Decimal,
    /// Of its tax: on top of that, or in it where prices contain it.
    pub tax: Decimal,
    /// What the customer gets.
    pub total: Decimal,
    /// When.
    pub at: Timestamp,
}

/// A part of a credit, as it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CreditPart {
    Goods(u16, PositiveQuantity, CreditShare),
    Freight(FreightShare),
}

/// Goods come back.
pub(super) fn take_back(flow: &mut Flow<'_>, wish: &GoodsReturn) -> Result<(), OrderRefusal> {
    let placed = &flow.placed;
    let of_paper = || {
        let returns = placed.returns.iter();
        returns.filter(|known| known.document == wish.document)
    };
    let wanted = wish.lines.iter().map(|line| {
        let known = of_paper().find(|known| known.line == line.line);
        // Where nothing is said it is where it was taken to then.
        let warehouse = line.warehouse.or(known.map(|known| known.warehouse));
        (
            line.line,
            line.quantity,
            line.disposition,
            line.component.clone(),
            warehouse,
            line.lots.clone(),
        )
    });
    let known = of_paper().map(|known| {
        (
            known.line,
            known.quantity,
            known.disposition,
            known.component.clone(),
            Some(known.warehouse),
            known.lots.clone(),
        )
    });
    if was_told(&wish.document, wanted, known, placed.returns.len())? {
        return Ok(());
    }
    let mut back = Vec::with_capacity(wish.lines.len());
    for (place, line) in wish.lines.iter().enumerate() {
        once(wish.lines[..place].iter().map(|other| other.line), line.line)?;
        may_come_back(placed, line)?;
        may_come_back_in_lots(flow, line).map_err(|refusal| OrderRefusal::Lots {
            line: line.line,
            refusal,
        })?;
        let parts = placed.parts(line.line);
        let shipped_from = parts.iter().find(|part| part.shipped > Quantity::ZERO);
        let warehouse = line.warehouse.or(shipped_from.map(|part| part.warehouse));
        back.push(ReturnedLine {
            document: wish.document.clone(),
            line: line.line,
            quantity: line.quantity,
            disposition: line.disposition,
            warehouse: warehouse.ok_or(OrderRefusal::UnknownLine { line: line.line })?,
            at: flow.now,
            component: line.component.clone(),
            lots: line.lots.clone(),
        });
    }
    for returned in back {
        restock(flow, &returned);
        flow.happens(OrderEvent::Returned { returned });
    }
    tell_contract_of_less(flow);
    Ok(())
}

/// Whether so much has left and is still out; of a kit, of each component that would come back.
fn may_come_back(placed: &Placed, back: &ReturnLine) -> Result<(), OrderRefusal> {
    let line = back.line;
    let Some(ordered) = placed.line(line) else {
        return Err(OrderRefusal::UnknownLine { line });
    };
    let is_out = |component: &Component, units: Quantity| {
        let shipped = placed
            .of_line(line)
            .filter(|part| part.component.as_ref() == Some(&component.sku));
        let shipped = shipped.fold(Quantity::ZERO, |sum, part| sum.plus(part.shipped));
        let left = shipped.minus(placed.component_returned(line, component));
        if units > left {
            return Err(OrderRefusal::MoreThanShipped { line, left });
        }
        Ok(())
    };
    if let Some(sku) = &back.component {
        let component = ordered.components.iter().find(|component| component.sku == *sku);
        let unknown = || OrderRefusal::UnknownComponent {
            line,
            sku: sku.clone(),
        };
        return is_out(component.ok_or_else(unknown)?, back.quantity.get());
    }
    within_shipped(placed, line, back.quantity, placed.returned(line))?;
    let mut components = ordered.components.iter();
    components.try_for_each(|component| is_out(component, component.units_of(back.quantity.get())))
}

/// Whether what comes back may be of the lots that the paper names: those that have left for the line and are still out.
fn may_come_back_in_lots(flow: &Flow<'_>, back: &ReturnLine) -> Result<(), LotRefusal> {
    let Some(ordered) = flow.placed.line(back.line).filter(|_| !back.lots.is_empty()) else {
        return Ok(());
    };
    if back.component.is_none() && !ordered.components.is_empty() {
        return Err(LotRefusal::OfKit);
    }
    let sku = back.component.as_ref().unwrap_or(&ordered.sku);
    check_named(&back.lots, sku, back.quantity.get(), flow.reference)?;
    for LotUnits { lot, quantity, .. } in &back.lots {
        let (asked, there) = (quantity.get(), still_out(&flow.placed, back, lot));
        if asked > there {
            let lot = lot.clone();
            return Err(LotRefusal::NotThere { lot, asked, there });
        }
    }
    Ok(())
}

/// How much of a lot has left for a line, or for a component of it, and has not come back.
fn still_out(placed: &Placed, back: &ReturnLine, lot: &LotCode) -> Quantity {
    let is_it = |known: &&LotUnits| known.lot == *lot;
    let parts = placed.of_line(back.line);
    let parts = parts.filter(|part| part.component == back.component);
    let shipped = parts.flat_map(|part| &part.lots).filter(is_it);
    let returns = placed.returns.iter();
    let returns = returns.filter(|known| known.line == back.line && known.component == back.component);
    let returned = returns.flat_map(|known| &known.lots).filter(is_it);
    units_of(shipped).minus(units_of(returned))
}

/// What can be sold again is stock again, of a kit its components; what is thrown away has left already.
fn restock(flow: &mut Flow<'_>, returned: &ReturnedLine) {
    let (Disposition::Restock, Some(line)) = (returned.disposition, flow.placed.line(returned.line)) else {
        return;
    };
    let goods: Vec<(Sku, PositiveQuantity)> = match &returned.component {
        Some(component) => vec![(component.clone(), returned.quantity)],
        None if line.components.is_empty() => vec![(line.sku.clone(), returned.quantity)],
        None => {
            let units = |component: &Component| {
                let units = component.units_of(returned.quantity.get()).positive()?;
                Some((component.sku.clone(), units))
            };
            line.components.iter().filter_map(units).collect()
        }
    };
    for (sku, quantity) in goods {
        let warehouse = returned.warehouse;
        let back = StockCommand::Return {
            quantity,
            condition: Condition::Sellable,
            order: Some(flow.order.clone()),
            document: returned.document.clone(),
        };
        let command = if returned.lots.is_empty() {
            back
        } else {
            StockCommand::InLots {
                lots: returned.lots.clone().into(),
                kept: Tracking::None,
                change: Box::new(back),
            }
        };
        flow.send((StockId { sku, warehouse }, command));
    }
}

/// Money is given back for a part of lines, and of the freight.
pub(super) fn credit_lines(flow: &mut Flow<'_>, wish: &CreditWish) -> Result<(), OrderRefusal> {
    let placed = &flow.placed;
    if wish.lines.is_empty() && wish.freight.is_none() {
        return Err(OrderRefusal::Lines { lines: 0 });
    }
    let goods = |line: &CreditLine| CreditPart::Goods(line.line, line.quantity, line.share);
    let freight = wish.freight.map(CreditPart::Freight);
    let wanted: Vec<_> = wish.lines.iter().map(goods).chain(freight).collect();
    let all = placed.credited.len() + placed.freight_credited.len();
    if was_told(
        &wish.document,
        wanted.into_iter(),
        credited_by(placed, &wish.document),
        all,
    )? {
        return Ok(());
    }
    let mut back = Vec::with_capacity(wish.lines.len());
    for (place, line) in wish.lines.iter().enumerate() {
        once(wish.lines[..place].iter().map(|other| other.line), line.line)?;
        within_shipped(placed, line.line, line.quantity, placed.credited(line.line))?;
        let due = due(placed, line)?;
        back.push(CreditedLine {
            document: wish.document.clone(),
            line: line.line,
            quantity: line.quantity,
            amount: due.amount,
            tax: due.tax,
            total: due.total,
            at: flow.now,
            share: line.share,
        });
    }
    let freight = match wish.freight {
        None => None,
        Some(share) => Some((share, freight_due(placed, share)?)),
    };
    for credited in back {
        flow.happens(OrderEvent::Credited { credited });
    }
    if let Some((share, due)) = freight {
        let freight = CreditedFreight {
            document: wish.document.clone(),
            share,
            amount: due.amount,
            tax: due.tax,
            total: due.total,
            at: flow.now,
        };
        flow.happens(OrderEvent::FreightCredited { freight });
    }
    tell_contract_of_less(flow);
    tell_erp(flow, PaperKind::Credit, &wish.document);
    Ok(())
}

/// What a paper has given back.
fn credited_by<'p>(placed: &'p Placed, document: &'p DocumentId) -> impl Iterator<Item = CreditPart> + 'p {
    let goods = placed
        .credited
        .iter()
        .filter(move |known| known.document == *document);
    let goods = goods.map(|known| CreditPart::Goods(known.line, known.quantity, known.share));
    let freight = placed.freight_credited.iter();
    let freight = freight.filter(move |known| known.document == *document);
    goods.chain(freight.map(|known| CreditPart::Freight(known.share)))
}

/// Whether the same paper was told before; one that says something else is refused, and so is one for which there is no
/// room beside the `all` lines that are kept.
fn was_told<Line: PartialEq>(
    document: &DocumentId,
    wanted: impl ExactSizeIterator<Item = Line>,
    known: impl Iterator<Item = Line>,
    all: usize,
) -> Result<bool, OrderRefusal> {
    let mut known = known.peekable();
    if known.peek().is_none() {
        return if all + wanted.len() > MAX_LINES_BACK {
            Err(OrderRefusal::TooManyDocuments)
        } else {
            Ok(false)
        };
    }
    if wanted.eq(known) {
        return Ok(true);
    }
    let document = document.clone();
    Err(OrderRefusal::DocumentConflict { document })
}

/// No more of a line comes back than has left and has not come back.
fn within_shipped(
    placed: &Placed,
    line: u16,
    quantity: PositiveQuantity,
    before: Quantity,
) -> Result<(), OrderRefusal> {
    let left = placed.shipped(line).minus(before);
    if quantity.get() > left {
        return Err(OrderRefusal::MoreThanShipped { line, left });
    }
    Ok(())
}

fn once(mut before: impl Iterator<Item = u16>, line: u16) -> Result<(), OrderRefusal> {
    if before.any(|other| other == line) {
        return Err(OrderRefusal::RepeatedLine { line });
    }
    Ok(())
}

/// Money that is due.
struct Due {
    amount: Decimal,
    tax: Decimal,
    /// What the customer gets.
    total: Decimal,
}

impl Due {
    fn of(quote: &Quote, amount: Decimal, tax: Decimal) -> Option<Self> {
        let total = if is_taxed_on_top(quote) {
            amount.checked_add(tax)?
        } else {
            amount
        };
        Some(Self { amount, tax, total })
    }
}

/// What is due for so many units more of a line, as far as it is wanted.
fn due(placed: &Placed, line: &CreditLine) -> Result<Due, OrderRefusal> {
    let unknown = OrderRefusal::UnknownLine { line: line.line };
    let quote = placed.quote.as_ref();
    let more = quote.and_then(|quote| Some((quote, due_for_more(placed, quote, line)?)));
    let (quote, (amount, tax)) = more.ok_or(unknown.clone())?;
    let currency = quote.total.currency;
    let wanted = match line.share {
        CreditShare::Whole => Some(amount),
        CreditShare::LessFee(fee) => less(amount, fee).map(|kept| RoundingMode::HalfUp.round(kept, currency)),
        CreditShare::Amount(stated) => {
            if stated < Decimal::ZERO || stated > amount || !is_whole(stated, currency) {
                let (line, most) = (line.line, amount);
                return Err(OrderRefusal::CreditAmount { line, most });
            }
            Some(stated)
        }
    };
    let due = wanted.and_then(|wanted| Due::of(quote, wanted, in_proportion(tax, wanted, amount, currency)?));
    due.ok_or(unknown)
}

/// What is due for so many units more of a line as a whole: amount and tax.
fn due_for_more(placed: &Placed, quote: &Quote, line: &CreditLine) -> Option<(Decimal, Decimal)> {
    let priced = quote.lines.iter().find(|priced| priced.line == line.line)?;
    let before = placed.credited(line.line).units();
    let after = before.checked_add(line.quantity.units())?;
    let (amount, tax) = due_for(quote, priced, after)?;
    let (amount_before, tax_before) = due_for(quote, priced, before)?;
    Some((amount.checked_sub(amount_before)?, tax.checked_sub(tax_before)?))
}

/// What is given back of the freight: no more than was charged and has not been given back. Before anything has left nothing
/// was charged.
fn freight_due(placed: &Placed, share: FreightShare) -> Result<Due, OrderRefusal> {
    let quote = placed.quote.as_ref().filter(|_| placed.has_shipped());
    let charged = quote.and_then(|quote| Some((quote, freight_of(quote)?)));
    let nothing = OrderRefusal::FreightAmount { most: Decimal::ZERO };
    let Some((quote, (freight, tax))) = charged else {
        return Err(nothing);
    };
    let before = placed.freight_credited.iter();
    let (amount_before, tax_before) = before.fold((Decimal::ZERO, Decimal::ZERO), |(amount, tax), known| {
        (amount.saturating_add(known.amount), tax.saturating_add(known.tax))
    });
    let most = freight.saturating_sub(amount_before);
    let currency = quote.total.currency;
    let amount = match share {
        FreightShare::Rest => most,
        FreightShare::Amount(amount) => amount,
    };
    if amount <= Decimal::ZERO || amount > most || !is_whole(amount, currency) {
        return Err(OrderRefusal::FreightAmount { most });
    }
    let tax = in_proportion(tax, amount_before.saturating_add(amount), freight, currency);
    let due = tax.and_then(|tax| Due::of(quote, amount, tax.checked_sub(tax_before)?));
    due.ok_or(nothing)
}

/// What the freight costs, and its part of the tax that no line bears, by what freight and surcharges cost.
fn freight_of(quote: &Quote) -> Option<(Decimal, Decimal)> {
    let freight = step(quote, OrderStepKind::Freight)?;
    let surcharges = step(quote, OrderStepKind::Surcharge)?;
    let tax = tax_beside_lines(quote)?;
    let both = freight.checked_add(surcharges)?;
    Some((freight, in_proportion(tax, freight, both, quote.total.currency)?))
}

/// So much of a whole's tax, rounded; none of nothing.
fn in_proportion(tax: Decimal, part: Decimal, whole: Decimal, currency: Currency) -> Option<Decimal> {
    if part == whole || whole == Decimal::ZERO {
        return Some(tax);
    }
    let exact = tax.checked_mul(part)?.checked_div(whole)?;
    Some(RoundingMode::HalfUp.round(exact, currency))
}

/// Whether an amount is in whole smallest units of its currency.
fn is_whole(amount: Decimal, currency: Currency) -> bool {
    RoundingMode::HalfUp.round(amount, currency) == amount
}

/// What is due for the first units of a line: its amount less its share of the order's discount, and its tax.
pub(super) fn due_for(quote: &Quote, priced: &PricedLine, units: i64) -> Option<(Decimal, Decimal)> {
    let (all, currency) = (priced.quantity.units(), quote.total.currency);
    let net = priced.amount.checked_sub(priced.order_discount)?;
    let amount = so_far(net, units, all, currency)?;
    let tax = so_far(line_tax(quote, priced)?, units, all, currency)?;
    Some((amount, tax))
}

/// Whether tax comes on top of the prices.
pub(super) fn is_taxed_on_top(quote: &Quote) -> bool {
    quote.order.iter().any(|step| step.kind == OrderStepKind::Tax)
}

/// The share of the first units, rounded.
pub(super) fn so_far(of: Decimal, units: i64, all: i64, currency: Currency) -> Option<Decimal> {
    let exact = share(of, units, all)?;
    Some(RoundingMode::HalfUp.round(exact, currency))
}

/// The tax of a line: its own, or its share of what the order is taxed, by largest remainder.
pub(super) fn line_tax(quote: &Quote, line: &PricedLine) -> Option<Decimal> {
    if let Some(tax) = line.tax {
        return Some(tax);
    }
    let Some(rule) = &line.tax_rule else {
        return Some(Decimal::ZERO);
    };
    let taxed = quote.taxes.iter().find(|tax| tax.rule == *rule)?;
    let alike: Vec<&PricedLine> = quote
        .lines
        .iter()
        .filter(|other| other.tax_rule.as_ref() == Some(rule))
        .collect();
    let mut weights = Vec::with_capacity(alike.len() + 1);
    for other in &alike {
        weights.push(other.amount.checked_sub(other.order_discount)?);
    }
    let goods = weights
        .iter()
        .try_fold(Decimal::ZERO, |sum, weight| sum.checked_add(*weight))?;
    // Freight and surcharges that are taxed alike.
    weights.push(taxed.base.checked_sub(goods)?.max(Decimal::ZERO));
    if weights.iter().all(|weight| *weight == Decimal::ZERO) {
        return Some(Decimal::ZERO);
    }
    let parts = split(taxed.amount, &weights, quote.total.currency)?;
    let place = alike.iter().position(|other| other.line == line.line)?;
    parts.get(place).copied()
}

impl Placed {
    /// How much of a line has come back.
    #[must_use]
    pub fn returned(&self, line: u16) -> Quantity {
        self.returned_as(line, Disposition::Restock)
            .plus(self.returned_as(line, Disposition::Scrap))
    }

    /// How much of a kit's component has come back, in kits or alone, in its base units.
    pub(super) fn component_returned(&self, line: u16, component: &Component) -> Quantity {
        let of_line = self.returns.iter().filter(|back| back.line == line);
        of_line.fold(Quantity::ZERO, |sum, back| match &back.component {
            None => sum.plus(component.units_of(back.quantity.get())),
            Some(sku) if *sku == component.sku => sum.plus(back.quantity.get()),
            Some(_) => sum,
        })
    }

    /// How much of a line has come back to this end; of a kit, whole.
    #[must_use]
    pub fn returned_as(&self, line: u16, disposition: Disposition) -> Quantity {
        let back = self.returns.iter();
        back.filter(|back| back.line == line && back.disposition == disposition && back.component.is_none())
            .fold(Quantity::ZERO, |sum, back| sum.plus(back.quantity.get()))
    }

    /// For how much of a line money was given back.
    #[must_use]
    pub fn credited(&self, line: u16) -> Quantity {
        let credited = self.credited.iter().filter(|credited| credited.line == line);
        credited.fold(Quantity::ZERO, |sum, credited| sum.plus(credited.quantity.get()))
    }
}
