//! What is to be paid for the part of an order that has left.
//!
//! Invariant: of an order that has left as a whole it is the order's own total; of a part, what is left out is what would be
//! credited for it, to the last smallest unit. Freight and surcharges are those of the whole order.

use super::after_sales::{due_for, is_taxed_on_top, line_tax, so_far};
use crate::money::Money;
use crate::pricing::resolve::{OrderStepKind, Quote};
use crate::quantity::{PositiveQuantity, Quantity};
use rust_decimal::Decimal;

/// What is to be paid, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// The lines of which anything has left.
    pub lines: Vec<InvoiceLine>,
    /// What is taken off the lines' amounts.
    pub discount: Decimal,
    /// Freight.
    pub freight: Decimal,
    /// Surcharges.
    pub surcharges: Decimal,
    /// Tax, on top of that or in it.
    pub tax: Decimal,
    /// Whether it comes on top.
    pub taxed_on_top: bool,
    /// What is to be paid.
    pub total: Money,
}

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceLine {
    /// The order's number for it.
    pub line: u16,
    /// How much has left.
    pub quantity: PositiveQuantity,
    /// What a base unit costs, to ten decimals; the amount is what counts.
    pub unit_price: Decimal,
    /// The line's amount.
    pub amount: Decimal,
}

impl Invoice {
    /// What is to be paid for what has left, by line; `None` if it is beyond all bounds.
    #[must_use]
    pub fn of(quote: &Quote, left: &[(u16, Quantity)]) -> Option<Self> {
        let currency = quote.total.currency;
        let (mut lines, mut net, mut gross) = (Vec::new(), Decimal::ZERO, Decimal::ZERO);
        let mut tax = tax_beside_lines(quote)?;
        for priced in &quote.lines {
            let units = left.iter().find(|(line, _)| *line == priced.line);
            let Some(quantity) = units.and_then(|(_, quantity)| quantity.positive()) else {
                continue;
            };
            let amount = so_far(priced.amount, quantity.units(), priced.quantity.units(), currency)?;
            let (due, due_tax) = due_for(quote, priced, quantity.units())?;
            gross = gross.checked_add(amount)?;
            net = net.checked_add(due)?;
            tax = tax.checked_add(due_tax)?;
            lines.push(InvoiceLine {
                line: priced.line,
                quantity,
                unit_price: priced.unit_price,
                amount,
            });
        }
        let (freight, surcharges) = (
            step(quote, OrderStepKind::Freight)?,
            step(quote, OrderStepKind::Surcharge)?,
        );
        let taxed_on_top = is_taxed_on_top(quote);
        let mut total = net.checked_add(freight)?.checked_add(surcharges)?;
        if taxed_on_top {
            total = total.checked_add(tax)?;
        }
        Some(Self {
            lines,
            discount: gross.checked_sub(net)?,
            freight,
            surcharges,
            tax,
            taxed_on_top,
            total: Money {
                amount: total,
                currency,
            },
        })
    }
}

/// The tax that no line bears: of freight and surcharges.
pub(super) fn tax_beside_lines(quote: &Quote) -> Option<Decimal> {
    let mut taxed = quote.taxes.iter();
    let all = taxed.try_fold(Decimal::ZERO, |sum, taxed| sum.checked_add(taxed.amount))?;
    let mut lines = quote.lines.iter();
    lines.try_fold(all, |left, priced| left.checked_sub(line_tax(quote, priced)?))
}

/// What the order's steps of a kind come to.
pub(super) fn step(quote: &Quote, kind: OrderStepKind) -> Option<Decimal> {
    let steps = quote.order.iter().filter(|step| step.kind == kind);
    steps
        .map(|step| step.after.checked_sub(step.before))
        .sum::<Option<Decimal>>()
}
