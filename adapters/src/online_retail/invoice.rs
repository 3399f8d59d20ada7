//! Lines of one number as one document: a sale, or the cancellation of sales.

use super::line::GoodsLine;
use super::{CHANNEL, WALK_IN};
use compact_str::CompactString;
use jiff::civil::Date;
use lockstep_actors::ids::{CustomerId, InvalidName, OrderKey, Sku};
use lockstep_actors::money::Price;
use lockstep_actors::orders::state::MAX_LINES;
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_runtime::time::Timestamp;
use std::collections::HashMap;

/// A sale: one order. An invoice with more than [`MAX_LINES`] lines of goods becomes several.
#[derive(Clone, Debug, PartialEq)]
pub struct Sale {
    /// The order's key: `online-retail/<invoice>`, and for the further parts of a long invoice `.../<invoice>.2` and so on.
    pub order: OrderKey,
    /// Who bought.
    pub customer: CustomerId,
    /// When; the prices of that moment count.
    pub at: Timestamp,
    /// What; lines stay as they stand on the invoice, also two of one SKU.
    pub lines: Vec<SaleLine>,
}

/// A line of a sale.
#[derive(Clone, Debug, PartialEq)]
pub struct SaleLine {
    /// Its number, from 1.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much.
    pub quantity: PositiveQuantity,
    /// What the invoice says one unit cost.
    pub invoiced: Price,
}

/// A document of the file.
#[derive(Clone, Debug)]
pub(super) struct Invoice {
    pub(super) number: CompactString,
    pub(super) customer: CustomerId,
    pub(super) at: Timestamp,
    pub(super) date: Date,
    pub(super) lines: Vec<GoodsLine>,
}

impl Invoice {
    pub(super) fn is_cancellation(&self) -> bool {
        self.lines.first().is_some_and(GoodsLine::is_cancellation)
    }

    /// The orders that it becomes.
    pub(super) fn sales(&self) -> Result<Vec<Sale>, InvalidName> {
        let parts = self.lines.chunks(MAX_LINES).enumerate();
        parts
            .map(|(part, lines)| {
                let number = match part {
                    0 => self.number.clone(),
                    _ => compact_str::format_compact!("{}.{}", self.number, part + 1),
                };
                Ok(Sale {
                    order: OrderKey::new(CHANNEL, &number)?,
                    customer: self.customer.clone(),
                    at: self.at,
                    lines: (1..).zip(lines).filter_map(sale_line).collect(),
                })
            })
            .collect()
    }
}

fn sale_line((line, goods): (u16, &GoodsLine)) -> Option<SaleLine> {
    Some(SaleLine {
        line,
        sku: goods.sku.clone(),
        quantity: PositiveQuantity::new(goods.quantity).ok()?,
        invoiced: goods.unit_price,
    })
}

/// Gathers lines by number, in the order in which the numbers first appear. Customer and time are those of the first
/// line; the day never goes back.
pub(super) fn gather(lines: Vec<GoodsLine>) -> Result<Vec<Invoice>, InvalidName> {
    let mut known: HashMap<CompactString, usize> = HashMap::new();
    let mut invoices: Vec<Invoice> = Vec::new();
    let mut newest = Date::MIN;
    for line in lines {
        if let Some(&place) = known.get(&line.invoice) {
            invoices[place].lines.push(line);
            continue;
        }
        newest = newest.max(line.date);
        known.insert(line.invoice.clone(), invoices.len());
        let customer = match &line.customer {
            Some(customer) => customer.clone(),
            None => CustomerId::new(WALK_IN)?,
        };
        invoices.push(Invoice {
            number: line.invoice.clone(),
            customer,
            at: line.at,
            date: newest,
            lines: vec![line],
        });
    }
    Ok(invoices)
}
