//! The least price at which goods may be shown to everybody: what the house says about advertising them.
//!
//! What is agreed with a customer binds what that customer is quoted; what is shown to whoever looks is bound by the house alone.

use super::agreement::HOUSE;
use super::bound::advertised_of;
use super::candidate::for_each_in_scope;
use super::contract::{Budgets, Contract};
use super::hierarchy::{Hierarchy, behind};
use super::line::{Desk, Goods};
use super::resolve::Detail;
use super::term::Stage;
use crate::ids::{AgreementId, Sku};
use crate::money::Currency;
use crate::reference::Reference;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;

/// The least that may be shown for one base unit of a SKU in a currency, rounded up to that one's smallest unit; none if anything may.
#[must_use]
pub fn least_shown(sku: &Sku, currency: Currency, at: Timestamp, reference: &Reference) -> Option<Decimal> {
    at_house(sku, currency, at, reference, |desk, goods| {
        advertised_of(desk, goods)
    })?
}

/// When what the house says about advertising a SKU begins or ends.
#[must_use]
pub fn shown_boundaries(sku: &Sku, currency: Currency, reference: &Reference) -> Vec<Timestamp> {
    let dates = at_house(sku, currency, Timestamp::default(), reference, |desk, goods| {
        let mut dates = Vec::new();
        for_each_in_scope(&desk.hierarchy, goods, |candidate| {
            if candidate.term.stage == Stage::Advertised {
                let effective = candidate.term.effective;
                dates.extend([effective.from, effective.until].into_iter().flatten());
            }
        });
        dates
    });
    dates.unwrap_or_default()
}

/// A number that grows whenever the house says something else, or the catalogue does of a SKU.
#[must_use]
pub fn shown_revision(sku: &Sku, reference: &Reference) -> u64 {
    let house = AgreementId::new(HOUSE).ok();
    let house = house.and_then(|house| reference.newest_of_agreement(&house));
    let item = reference.newest_of_item(sku);
    let number = |sequence: Option<Sequence>| sequence.map_or(0, |sequence| sequence.0);
    number(house).saturating_add(number(item))
}

/// Asks the house about one base unit of a SKU; nothing if there is no house.
fn at_house<T>(
    sku: &Sku,
    currency: Currency,
    at: Timestamp,
    reference: &Reference,
    ask: impl FnOnce(&Desk<'_>, Goods<'_>) -> T,
) -> Option<T> {
    let behind = behind(None, reference).ok().filter(|behind| !behind.is_empty())?;
    let (contract, item) = (Contract::none(currency), reference.item(sku));
    let desk = Desk {
        contract: &contract,
        hierarchy: Hierarchy::of(&contract, &behind, currency, None),
        editions: None,
        currency,
        rates: None,
        volume: Decimal::ZERO,
        coupons: &[],
        used: None,
        budgets: &Budgets::default(),
        reference,
        as_of: at,
        detail: Detail::Waterfall,
        tax: None,
        ship_to: None,
    };
    let goods = Goods {
        sku,
        units: 1,
        item: item.as_deref(),
    };
    Some(ask(&desk, goods))
}
