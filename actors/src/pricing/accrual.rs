//! What rebates accrue as orders count to a customer's volume, and what is taken back as less is left of them.

use super::contract::{Budgets, ContractEvent, ContractState, Customers, QuoteRequest};
use super::order_total::{ranked, rebates};
use super::purchase::Purchase;
use super::resolve::{Accrual, Detail, OrderStepKind, Quote, QuoteRefusal, at_desk};
use crate::ids::{CustomerId, OrderKey};
use crate::money::Currency;
use crate::reference::Reference;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;

/// A customer, what is agreed with it, and the order that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account<'a> {
    pub(super) customer: &'a CustomerId,
    pub(super) state: &'a ContractState,
    pub(super) order: &'a OrderKey,
    pub(super) reference: &'a Reference,
}

impl Account<'_> {
    /// An order counts from the moment at which its contract prices it, if it accrues anything or counts by now.
    pub(super) fn priced(&self, attempt: u16, quote: &Quote, at: Timestamp) -> Option<ContractEvent> {
        let known = self.known();
        if known.is_none() && quote.rebates.is_empty() || known.is_some_and(|known| known.attempt > attempt) {
            return None;
        }
        let purchase = self.purchase(attempt, quote, at).ok()?;
        let accrued = match known {
            None => quote.rebates.clone(),
            Some(known) if *known == purchase => return None,
            Some(known) => self.moved(&purchase, known.counts(), purchase.counts()).ok()?,
        };
        Some(self.event(Some(purchase), accrued))
    }

    /// Less is left of an order than counts.
    pub(super) fn less_left(&self, attempt: u16, left: Decimal) -> Option<ContractEvent> {
        let known = self.known()?;
        if known.attempt > attempt || left >= known.left {
            return None;
        }
        let left = left.max(Decimal::ZERO);
        let purchase = Purchase {
            left,
            ..known.clone()
        };
        // Where its rules are not known any more it accrues nothing, and counts no more either.
        let moved = self.moved(&purchase, known.counts(), purchase.counts());
        let kept = Some(purchase).filter(|purchase| !purchase.left.is_zero());
        Some(self.event(kept, moved.unwrap_or_default()))
    }

    /// What accrues for an order that relies on a quote: by what was bought until the order came.
    pub(super) fn of_kept(&self, quote: &Quote, at: Timestamp) -> Result<Vec<Accrual>, QuoteRefusal> {
        let purchase = self.purchase(0, quote, at)?;
        self.moved(&purchase, Some(Decimal::ZERO), purchase.counts())
    }

    fn known(&self) -> Option<&Purchase> {
        self.state.purchases.orders().get(self.order)
    }

    fn event(&self, purchase: Option<Purchase>, accrued: Vec<Accrual>) -> ContractEvent {
        ContractEvent::OrderCounted {
            order: self.order.clone(),
            purchase,
            accrued,
        }
    }

    fn purchase(&self, attempt: u16, quote: &Quote, at: Timestamp) -> Result<Purchase, QuoteRefusal> {
        let currency = quote.total.currency;
        let after = |of: &[OrderStepKind]| {
            let mut steps = quote.order.iter();
            let last = steps.rfind(|step| of.contains(&step.kind));
            last.map_or(Decimal::ZERO, |step| step.after)
        };
        let goods = after(&[OrderStepKind::Goods, OrderStepKind::Discount]);
        let value = at_desk(
            Some(self.order),
            (self.customer, self.state),
            &asking(currency, at),
            at,
            self.reference,
            |desk| desk.in_own(goods).ok_or(QuoteRefusal::Overflow),
        )?;
        Ok(Purchase {
            at,
            attempt,
            currency,
            gross: after(&[OrderStepKind::Goods]),
            goods,
            left: goods,
            value,
        })
    }

    /// What accrues, by the rules as of a purchase, when it counts `after` in place of `before`.
    fn moved(
        &self,
        purchase: &Purchase,
        before: Option<Decimal>,
        after: Option<Decimal>,
    ) -> Result<Vec<Accrual>, QuoteRefusal> {
        let (Some(before), Some(after)) = (before, after) else {
            return Err(QuoteRefusal::Overflow);
        };
        let others = self.state.bought_without(Some(self.order));
        let request = asking(purchase.currency, purchase.at);
        at_desk(
            Some(self.order),
            (self.customer, self.state),
            &request,
            purchase.at,
            self.reference,
            |desk| {
                let with = |counts: Decimal| {
                    let volume = others
                        .checked_add(counts)
                        .and_then(|volume| desk.as_asked(volume));
                    volume.ok_or(QuoteRefusal::Overflow)
                };
                rebates(desk, &ranked(desk, purchase.gross), with(before)?, with(after)?)
            },
        )
    }
}

/// A question about what holds as of a moment, and about no goods.
fn asking(currency: Currency, at: Timestamp) -> QuoteRequest {
    QuoteRequest {
        currency,
        rates: None,
        lines: Vec::new(),
        coupons: Vec::new(),
        zone: None,
        as_of: Some(at),
        customers: Customers::Anybody,
        detail: Detail::Waterfall,
        budgets: Budgets::default(),
        channel: None,
        ship_to: None,
    }
}
