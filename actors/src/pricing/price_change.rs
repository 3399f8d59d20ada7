//! What a SKU's list price is at a moment, and what is told once it is another one: base prices are published by change,
//! not by recounting the list.

use super::edition::Editions;
use super::list::{ListPriceState, ListRow};
use super::scale::Scale;
use crate::ids::{EditionId, ListId, RuleId, Sku};
use crate::money::{Currency, Price};
use crate::orders::effects::{EVENTS, FORM, outbound};
use crate::reference::Reference;
use lockstep_runtime::entity::Outbound;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

impl ListRow {
    /// From when on it counts; none inside for always before, none at all if it belongs to an edition without a beginning.
    #[must_use]
    pub fn start(&self, editions: Option<&Editions>) -> Option<Option<Timestamp>> {
        match &self.edition {
            None => Some(self.effective.from),
            Some(edition) => Some(self.effective.from.max(Some(editions?.begins(edition)?))),
        }
    }
}

/// The row of a list that is in force: the one that started last; of equal starts the higher version, then the greater
/// rule.
#[must_use]
pub fn in_force<'a>(
    rows: impl Iterator<Item = &'a ListRow>,
    list: &str,
    currency: Currency,
    editions: Option<&Editions>,
    at: Timestamp,
) -> Option<&'a ListRow> {
    let here = rows.filter(|row| row.list.as_str() == list && row.currency == currency);
    let begun = here.filter_map(|row| {
        let start = row.start(editions)?;
        let is_over = row.effective.until.is_some_and(|until| until <= at);
        (start.is_none_or(|start| start <= at) && !is_over).then_some((start, row))
    });
    let last = begun.max_by(|(start, row), (other_start, other)| {
        start
            .cmp(other_start)
            .then_with(|| row.version.cmp(&other.version))
            .then_with(|| row.rule.cmp(&other.rule))
    });
    last.map(|(_, row)| row)
}

/// A list price is another one, told to whoever follows list prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListPriceChanged {
    /// The version of the form.
    pub form: u16,
    /// What.
    pub sku: Sku,
    /// Of which list.
    pub list: ListId,
    /// In which currency.
    pub currency: Currency,
    /// The number of the SKU's last change of price: a change with a lower one is older.
    pub revision: u64,
    /// Since when.
    pub at: Timestamp,
    /// The price; none if the list has none any more.
    pub price: Option<PriceInForce>,
}

/// A list price in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceInForce {
    /// Of one base unit, and for larger quantities.
    pub price: Scale<Price>,
    /// What explains it.
    pub rule: RuleId,
    /// The owner's version of the row.
    pub version: u64,
    /// The edition of the list that it came with.
    pub edition: Option<EditionId>,
}

/// The prices that are other ones `now` than those that were told last, each as it is told.
pub(super) fn changed(
    sku: &Sku,
    before: &ListPriceState,
    after: &ListPriceState,
    now: Timestamp,
    reference: &Reference,
) -> Vec<Outbound> {
    let mut pairs: Vec<(&ListId, Currency)> = Vec::new();
    for row in before.rows().chain(after.rows()) {
        if !pairs.contains(&(&row.list, row.currency)) {
            pairs.push((&row.list, row.currency));
        }
    }
    let mut told = Vec::new();
    for (list, currency) in pairs {
        let editions = reference.editions(list.as_str());
        let editions = editions.as_deref();
        let was = in_force(before.rows(), list.as_str(), currency, editions, before.told());
        let is = in_force(after.rows(), list.as_str(), currency, editions, now);
        if was.map(|row| &row.price) != is.map(|row| &row.price) {
            let changed = ListPriceChanged {
                form: FORM,
                sku: sku.clone(),
                list: list.clone(),
                currency,
                revision: before.revision().saturating_add(1),
                at: now,
                price: is.map(|row| PriceInForce {
                    price: row.price.clone(),
                    rule: row.rule.clone(),
                    version: row.version,
                    edition: row.edition.clone(),
                }),
            };
            told.push(outbound(EVENTS, &changed));
        }
    }
    told
}
