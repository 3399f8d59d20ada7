//! Cancellations: which earlier sale each returned unit belongs to.
//!
//! Invariant: no more is given back to a sale than it sold of a SKU.

use super::invoice::{Invoice, Sale};
use super::line::GoodsLine;
use compact_str::CompactString;
use lockstep_actors::ids::{CustomerId, InvalidName, OrderKey, Sku};
use lockstep_actors::money::Price;
use lockstep_actors::quantity::PositiveQuantity;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A `C` invoice.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancellation {
    /// Its number.
    pub invoice: String,
    /// Whose it is.
    pub customer: CustomerId,
    /// The order that it takes back as a whole, if there is one. Not yet shipped, the order is cancelled.
    pub whole: Option<OrderKey>,
    /// What comes back if it is not.
    pub parts: Vec<ReturnPart>,
}

/// A part of a cancelled line that belongs to one sale, or to none that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct ReturnPart {
    /// The identity of the return: invoice, line of the file, part.
    pub document: String,
    /// What.
    pub sku: Sku,
    /// How much.
    pub quantity: PositiveQuantity,
    /// The order it was sold with; none if the file holds no such sale of this customer.
    pub order: Option<OrderKey>,
    /// What is credited for one unit, as the file says.
    pub credited: Price,
}

/// By SKU: how many units.
type Goods = BTreeMap<Sku, i64>;

struct Sold {
    order: OrderKey,
    /// What has not come back.
    left: Goods,
}

/// Which cancellations take back a whole order: the newest earlier sale to that customer of exactly these goods, each
/// sale once.
pub(super) struct Wholes(HashMap<CompactString, OrderKey>);

impl Wholes {
    /// Looks through all documents in file order.
    pub(super) fn find(invoices: &[Invoice]) -> Result<Self, InvalidName> {
        let mut sold: HashMap<&CustomerId, Vec<Sold>> = HashMap::new();
        let mut wholes = HashMap::new();
        for invoice in invoices {
            let sales = sold.entry(&invoice.customer).or_default();
            if !invoice.is_cancellation() {
                sales.extend(invoice.sales()?.iter().map(Sold::of));
                continue;
            }
            let wanted = cancelled_goods(invoice);
            if let Some(place) = sales.iter().rposition(|sold| sold.left == wanted) {
                wholes.insert(invoice.number.clone(), sales.remove(place).order);
            }
        }
        Ok(Self(wholes))
    }
}

fn cancelled_goods(invoice: &Invoice) -> Goods {
    let mut goods = Goods::new();
    for line in &invoice.lines {
        *goods.entry(line.sku.clone()).or_default() += line.quantity.saturating_neg();
    }
    goods
}

impl Sold {
    fn of(sale: &Sale) -> Self {
        let mut left = Goods::new();
        for line in &sale.lines {
            *left.entry(line.sku.clone()).or_default() += line.quantity.units();
        }
        Self {
            order: sale.order.clone(),
            left,
        }
    }
}

/// The sales so far, by customer.
pub(super) struct Ledger {
    sold: HashMap<CustomerId, Vec<Sold>>,
    wholes: Wholes,
    /// The orders that are taken back as a whole: nothing else is matched to them.
    spoken_for: HashSet<OrderKey>,
}

impl Ledger {
    pub(super) fn new(wholes: Wholes) -> Self {
        let spoken_for = wholes.0.values().cloned().collect();
        Self {
            sold: HashMap::new(),
            wholes,
            spoken_for,
        }
    }

    pub(super) fn sell(&mut self, sale: &Sale) {
        let sold = self.sold.entry(sale.customer.clone()).or_default();
        sold.push(Sold::of(sale));
    }

    /// Matches a cancellation: to the order that it takes back as a whole, else line by line to the newest sales that
    /// still have the goods.
    pub(super) fn cancel(&mut self, invoice: &Invoice) -> Cancellation {
        let whole = self.wholes.0.get(&invoice.number).cloned();
        let sales = self.sold.entry(invoice.customer.clone()).or_default();
        let mut parts = Parts::of(invoice);
        for line in &invoice.lines {
            let mut rest = line.quantity.saturating_neg();
            for sold in sales.iter_mut().rev() {
                let eligible = match &whole {
                    Some(whole) => sold.order == *whole,
                    None => !self.spoken_for.contains(&sold.order),
                };
                let left = sold.left.get_mut(&line.sku).filter(|left| eligible && **left > 0);
                if let Some(left) = left {
                    let units = rest.min(*left);
                    *left -= units;
                    rest -= units;
                    parts.give(line, units, Some(&sold.order));
                }
            }
            parts.give(line, rest, None);
        }
        Cancellation {
            invoice: invoice.number.to_string(),
            customer: invoice.customer.clone(),
            whole,
            parts: parts.parts,
        }
    }
}

/// The parts of a cancellation as they are found.
struct Parts<'a> {
    invoice: &'a Invoice,
    parts: Vec<ReturnPart>,
}

impl<'a> Parts<'a> {
    fn of(invoice: &'a Invoice) -> Self {
        Self {
            invoice,
            parts: Vec::new(),
        }
    }

    fn give(&mut self, line: &GoodsLine, units: i64, order: Option<&OrderKey>) {
        if let Ok(quantity) = PositiveQuantity::new(units) {
            self.parts.push(ReturnPart {
                document: format!("{}/{}/{}", self.invoice.number, line.row, self.parts.len() + 1),
                sku: line.sku.clone(),
                quantity,
                order: order.cloned(),
                credited: line.unit_price,
            });
        }
    }
}
