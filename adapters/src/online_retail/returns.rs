//! Cancellations: which earlier sale each returned unit belongs to.
//!
//! Invariant: no more is given back to a sale than it sold of a SKU.

use super::invoice::{Invoice, Sale};
use lockstep_actors::ids::{CustomerId, OrderKey, Sku};
use lockstep_actors::money::Price;
use lockstep_actors::quantity::PositiveQuantity;
use std::collections::{BTreeMap, HashMap};

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

struct Sold {
    order: OrderKey,
    /// By SKU: what has not come back.
    left: BTreeMap<Sku, i64>,
    untouched: bool,
}

/// The sales so far, by customer.
#[derive(Default)]
pub(super) struct Ledger {
    sold: HashMap<CustomerId, Vec<Sold>>,
}

impl Ledger {
    pub(super) fn sell(&mut self, sale: &Sale) {
        let mut left = BTreeMap::new();
        for line in &sale.lines {
            *left.entry(line.sku.clone()).or_default() += line.quantity.units();
        }
        let sold = Sold {
            order: sale.order.clone(),
            left,
            untouched: true,
        };
        self.sold.entry(sale.customer.clone()).or_default().push(sold);
    }

    /// Matches a cancellation: to the newest sale of exactly these goods, else line by line to the newest sales that
    /// still have them.
    pub(super) fn cancel(&mut self, invoice: &Invoice) -> Cancellation {
        let sales = self.sold.entry(invoice.customer.clone()).or_default();
        let mut wanted: BTreeMap<Sku, i64> = BTreeMap::new();
        for line in &invoice.lines {
            *wanted.entry(line.sku.clone()).or_default() += line.quantity.saturating_neg();
        }
        let whole = sales
            .iter()
            .rposition(|sold| sold.untouched && sold.left == wanted);
        let order = whole
            .and_then(|place| sales.get(place))
            .map(|sold| sold.order.clone());
        let mut parts = Vec::new();
        for line in &invoice.lines {
            let mut rest = line.quantity.saturating_neg();
            let mut give = |units: i64, order: Option<OrderKey>| {
                if let Ok(quantity) = PositiveQuantity::new(units) {
                    parts.push(ReturnPart {
                        document: format!("{}/{}/{}", invoice.number, line.row, parts.len() + 1),
                        sku: line.sku.clone(),
                        quantity,
                        order,
                        credited: line.unit_price,
                    });
                }
            };
            let only = |place: usize| whole.is_none_or(|whole| whole == place);
            for (_, sold) in sales
                .iter_mut()
                .enumerate()
                .rev()
                .filter(|(place, _)| only(*place))
            {
                let Some(left) = sold.left.get_mut(&line.sku) else {
                    continue;
                };
                let units = rest.min(*left);
                if units > 0 {
                    *left -= units;
                    rest -= units;
                    sold.untouched = false;
                    give(units, Some(sold.order.clone()));
                }
            }
            give(rest, None);
        }
        Cancellation {
            invoice: invoice.number.to_string(),
            customer: invoice.customer.clone(),
            whole: order,
            parts,
        }
    }
}
