//! The levels that stand behind a customer: the contract itself, then agreement after agreement, at last the house.

use super::agreement::{Agreement, HOUSE, MAX_LEVELS};
use super::charge::Charge;
use super::contract::{Contract, DEFAULT_LIST};
use super::ending::PriceEnding;
use super::resolve::QuoteRefusal;
use super::term::{Precedence, Terms};
use crate::ids::{AgreementId, ClassName, ListId};
use crate::money::Currency;
use crate::reference::Reference;
use smallvec::SmallVec;
use std::sync::Arc;

/// The agreements behind a contract, the nearest first.
pub(super) type Behind = SmallVec<[Arc<Agreement>; MAX_LEVELS + 1]>;

/// A level's terms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level<'a> {
    pub(super) terms: &'a Terms,
    pub(super) currency: Currency,
    pub(super) charges: &'a [Charge],
}

/// All that is agreed with a customer, the nearest level first.
#[derive(Debug)]
pub(super) struct Hierarchy<'a> {
    pub(super) levels: SmallVec<[Level<'a>; MAX_LEVELS + 2]>,
    /// None for the default list.
    base_list: Option<&'a ListId>,
    pub(super) precedence: Precedence,
    /// How unit prices of the currency that is asked for end.
    pub(super) ending: Option<&'a PriceEnding>,
    /// The class in which the customer is served from stock.
    pub(super) customer_class: Option<&'a ClassName>,
}

/// Looks up the agreements behind a contract that stands on `nearest`.
///
/// # Errors
/// [`QuoteRefusal::UnknownAgreement`] for one that was never made, since a price without it would be wrong;
/// [`QuoteRefusal::TooManyLevels`] for too many of them, or for agreements that stand on each other.
pub(super) fn behind(nearest: Option<&AgreementId>, reference: &Reference) -> Result<Behind, QuoteRefusal> {
    let mut found = Behind::new();
    let mut next = nearest.cloned();
    while let Some(id) = next {
        if found.len() == MAX_LEVELS {
            return Err(QuoteRefusal::TooManyLevels { agreement: id });
        }
        let Some(agreement) = reference.agreement(&id) else {
            return Err(QuoteRefusal::UnknownAgreement { agreement: id });
        };
        next = agreement.parent.clone();
        found.push(agreement);
    }
    let house = AgreementId::new(HOUSE).ok();
    found.extend(house.and_then(|house| reference.agreement(&house)));
    Ok(found)
}

/// The class in which a customer is served from stock: what the contract says, else the nearest level behind it that does.
///
/// # Errors
/// Those of [`behind`].
pub(super) fn customer_class(
    contract: Option<&Contract>,
    reference: &Reference,
) -> Result<Option<ClassName>, QuoteRefusal> {
    let own = contract.and_then(|contract| contract.customer_class.as_ref());
    let behind = behind(
        contract.and_then(|contract| contract.agreement.as_ref()),
        reference,
    )?;
    Ok(nearest_class(own, &behind).cloned())
}

fn nearest_class<'a>(own: Option<&'a ClassName>, behind: &'a Behind) -> Option<&'a ClassName> {
    let shared = behind.iter().map(|agreement| agreement.customer_class.as_ref());
    std::iter::once(own).chain(shared).flatten().next()
}

impl<'a> Hierarchy<'a> {
    /// The list that prices are taken from.
    pub(super) fn base_list(&self) -> &str {
        self.base_list.map_or(DEFAULT_LIST, ListId::as_str)
    }

    /// What a level does not say, the next one behind it does.
    /// Where no level names a list, that of the channel counts that it is sold over.
    pub(super) fn of(
        contract: &'a Contract,
        behind: &'a Behind,
        currency: Currency,
        of_channel: Option<&'a ListId>,
    ) -> Self {
        let own = Level {
            terms: &contract.terms,
            currency: contract.currency,
            charges: &contract.charges,
        };
        let shared = behind.iter().map(|agreement| Level {
            terms: &agreement.terms,
            currency: agreement.currency,
            charges: &agreement.charges,
        });
        let lists = behind.iter().map(|agreement| agreement.base_list.as_ref());
        let list = std::iter::once(contract.base_list.as_ref())
            .chain(lists)
            .chain(std::iter::once(of_channel))
            .flatten()
            .next();
        let precedences = behind.iter().map(|agreement| agreement.precedence);
        let precedence = std::iter::once(contract.precedence)
            .chain(precedences)
            .flatten()
            .next();
        Self {
            levels: std::iter::once(own).chain(shared).collect(),
            base_list: list,
            precedence: precedence.unwrap_or_default(),
            ending: std::iter::once(&contract.endings)
                .chain(behind.iter().map(|agreement| &agreement.endings))
                .flatten()
                .find(|ending| ending.currency == currency),
            customer_class: nearest_class(contract.customer_class.as_ref(), behind),
        }
    }
}
