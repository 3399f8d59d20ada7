//! What is known of an account, and what follows from it.

use super::command::{
    AccountSummary, CreditGround, CreditRefusal, CreditRequest, Exposure, OpenInvoice, Overdue,
};
use super::event::AccountEvent;
use crate::ids::{DocumentId, OrderKey};
use crate::money::{Currency, Money};
use crate::pricing::exact::LIMIT;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many documents an account keeps apart. Once there are more, the older half of those that are settled is forgotten,
/// and documents that are as old as those are no longer taken.
pub const MAX_DOCUMENTS: usize = 10_000;
/// How many orders of a customer may be open, those that wait included.
pub const MAX_OPEN_ORDERS: usize = 10_000;
/// How many orders an account remembers to find like ones; the oldest go first.
pub const MAX_INTRODUCED: usize = 10_000;
/// How long it remembers them at most.
pub const MAX_WINDOW: Duration = Duration::from_secs(90 * 86_400);
/// The largest amount: 10^12.
pub const MAX_AMOUNT: Decimal = LIMIT;
/// The most decimals of an amount.
pub const MAX_AMOUNT_SCALE: u32 = 6;

/// Whether a customer gets credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountStatus {
    /// Yes.
    Active,
    /// Not now; a person may approve an order.
    OnHold,
    /// No, whoever approves.
    Closed,
}

/// On which terms a customer gets credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditTerms {
    /// Whether it gets any.
    pub status: AccountStatus,
    /// Up to how much.
    pub limit: Money,
    /// How many days an invoice may be overdue before orders wait; none for any number.
    pub grace_days: Option<u16>,
}

/// Something that the ERP has posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its number among those of its kind.
    pub id: DocumentId,
    /// What it is.
    pub kind: DocumentKind,
    /// How much; above 0.
    pub amount: Money,
    /// Its date.
    pub dated: Timestamp,
}

/// What a document is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// The customer owes it.
    Invoice {
        /// For which order.
        order: Option<OrderKey>,
        /// When it is due.
        due: Timestamp,
    },
    /// The customer has paid it.
    Payment {
        /// For which invoice; none for on account.
        invoice: Option<DocumentId>,
    },
    /// The customer need not pay it.
    CreditNote {
        /// Of which invoice; none for on account.
        invoice: Option<DocumentId>,
    },
}

/// An invoice as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Invoice {
    order: Option<OrderKey>,
    due: Timestamp,
    dated: Timestamp,
    amount: Decimal,
    /// Paid or credited.
    paid: Decimal,
}

/// A payment or credit note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Settlement {
    invoice: Option<DocumentId>,
    dated: Timestamp,
    amount: Decimal,
}

/// An order that counts, or waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// Its attempt.
    pub attempt: u16,
    /// What it comes to; it counts only in the currency of the account.
    pub amount: Money,
    /// What of it is invoiced, and counts as that.
    pub invoiced: Decimal,
    /// Whether it counts.
    pub standing: OrderCredit,
}

/// Whether an order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderCredit {
    /// It may be booked, and counts.
    Granted,
    /// It waits for room.
    Waiting {
        /// Since when.
        since: Timestamp,
    },
}

impl OpenOrder {
    /// What it adds to the exposure.
    fn counts(&self) -> Decimal {
        match self.standing {
            OrderCredit::Granted => to_be_invoiced(self.amount.amount, self.invoiced),
            OrderCredit::Waiting { .. } => Decimal::ZERO,
        }
    }
}

fn to_be_invoiced(amount: Decimal, invoiced: Decimal) -> Decimal {
    amount.saturating_sub(invoiced).max(Decimal::ZERO)
}

/// An account; empty before anything has happened to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountState {
    terms: Option<CreditTerms>,
    version: u64,
    /// That of the first terms or document.
    currency: Option<Currency>,
    invoices: BTreeMap<DocumentId, Invoice>,
    payments: BTreeMap<DocumentId, Settlement>,
    credit_notes: BTreeMap<DocumentId, Settlement>,
    orders: BTreeMap<OrderKey, OpenOrder>,
    /// Paid for invoices that are not known.
    paid_ahead: BTreeMap<DocumentId, Decimal>,
    /// Paid without an invoice, or beyond it.
    on_account: Decimal,
    /// What is invoiced less what is paid, over all that ever was.
    receivable: Decimal,
    /// The sum of what the orders add.
    reserved: Decimal,
    forgotten_before: Option<Timestamp>,
    /// Orders of late: when each came in, and what it is about.
    #[serde(default)]
    introduced: BTreeMap<OrderKey, (Timestamp, u64)>,
}

impl AccountState {
    pub(super) fn version(&self) -> Option<u64> {
        self.terms.map(|_| self.version)
    }

    pub(super) fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// The earliest order since then, but this one, that is about the same.
    pub(super) fn alike(&self, order: &OrderKey, fingerprint: u64, since: Timestamp) -> Option<&OrderKey> {
        let others = self.introduced.iter().filter(|(key, _)| *key != order);
        let alike = others.filter(|(_, (at, about))| *about == fingerprint && *at > since);
        alike.min_by_key(|(key, (at, _))| (*at, *key)).map(|(key, _)| key)
    }

    pub(super) fn is_introduced(&self, order: &OrderKey) -> bool {
        self.introduced.contains_key(order)
    }

    pub(super) fn order(&self, order: &OrderKey) -> Option<&OpenOrder> {
        self.orders.get(order)
    }

    /// The orders that wait, the one that has waited longest first.
    pub(super) fn waiting(&self) -> Vec<(OrderKey, OpenOrder)> {
        let mut found: Vec<_> = self
            .orders
            .iter()
            .filter_map(|(key, order)| match order.standing {
                OrderCredit::Waiting { since } => Some((since, key, order)),
                OrderCredit::Granted => None,
            })
            .collect();
        found.sort_by_key(|(since, key, _)| (*since, *key));
        let owned = |(_, key, order): (_, &OrderKey, &OpenOrder)| (key.clone(), order.clone());
        found.into_iter().map(owned).collect()
    }

    /// The document of this kind and number, as it was posted.
    pub(super) fn posted(&self, document: &Document) -> Option<Document> {
        let currency = self.currency?;
        let (kind, dated, amount) = match &document.kind {
            DocumentKind::Invoice { .. } => {
                let known = self.invoices.get(&document.id)?;
                let (order, due) = (known.order.clone(), known.due);
                (DocumentKind::Invoice { order, due }, known.dated, known.amount)
            }
            DocumentKind::Payment { .. } => {
                let known = self.payments.get(&document.id)?;
                let invoice = known.invoice.clone();
                (DocumentKind::Payment { invoice }, known.dated, known.amount)
            }
            DocumentKind::CreditNote { .. } => {
                let known = self.credit_notes.get(&document.id)?;
                let invoice = known.invoice.clone();
                (DocumentKind::CreditNote { invoice }, known.dated, known.amount)
            }
        };
        Some(Document {
            id: document.id.clone(),
            kind,
            amount: Money { amount, currency },
            dated,
        })
    }

    pub(super) fn is_forgotten(&self, dated: Timestamp) -> bool {
        self.forgotten_before.is_some_and(|before| dated < before)
    }

    pub(super) fn documents(&self) -> usize {
        self.invoices.len() + self.payments.len() + self.credit_notes.len()
    }

    /// Before which date the older half of what is settled lies; none if nothing is settled.
    pub(super) fn to_be_forgotten(&self) -> Option<Timestamp> {
        let invoices = self.invoices.values();
        let settled = invoices.filter(|invoice| invoice.paid >= invoice.amount);
        let settlements = self.payments.values().chain(self.credit_notes.values());
        let mut dates: Vec<_> = settled
            .map(|invoice| invoice.dated)
            .chain(settlements.map(|settlement| settlement.dated))
            .collect();
        dates.sort_unstable();
        let middle = dates.get(dates.len() / 2)?;
        Some(middle.after(Duration::from_millis(1)))
    }

    /// Whether an order may be booked, in place of what it asked for earlier.
    pub(super) fn judge(&self, request: &CreditRequest, now: Timestamp) -> Result<(), CreditRefusal> {
        if request.ground == CreditGround::Less {
            return Ok(());
        }
        let terms = self.terms.ok_or(CreditRefusal::NoTerms)?;
        if terms.status == AccountStatus::Closed {
            return Err(CreditRefusal::Closed);
        }
        if terms.limit.currency != request.amount.currency {
            return Err(CreditRefusal::OtherCurrency {
                order: request.amount.currency,
                account: terms.limit.currency,
            });
        }
        let known = self.orders.get(&request.order);
        if known.is_none() && self.orders.len() >= MAX_OPEN_ORDERS {
            return Err(CreditRefusal::TooManyOrders);
        }
        if request.ground == CreditGround::Approval {
            return Ok(());
        }
        if terms.status == AccountStatus::OnHold {
            return Err(CreditRefusal::OnHold);
        }
        if let Some(overdue) = self.overdue(now) {
            return Err(CreditRefusal::Overdue {
                amount: overdue.amount,
                invoice: overdue.invoice,
            });
        }
        let invoiced = known.map_or(Decimal::ZERO, |order| order.invoiced);
        let others = self.reserved - known.map_or(Decimal::ZERO, OpenOrder::counts);
        let amount = self.receivable + others + to_be_invoiced(request.amount.amount, invoiced);
        let currency = terms.limit.currency;
        if amount > terms.limit.amount {
            return Err(CreditRefusal::OverLimit {
                exposure: Money { amount, currency },
                limit: terms.limit,
            });
        }
        Ok(())
    }

    /// What is overdue beyond the days of grace. What is paid without an invoice goes to the invoices that are due first.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<Overdue> {
        let (terms, currency) = (self.terms?, self.currency?);
        let grace = Duration::from_secs(u64::from(terms.grace_days?) * 86_400);
        let mut amount = -self.on_account - self.paid_ahead.values().sum::<Decimal>();
        let mut oldest: Option<(Timestamp, &DocumentId)> = None;
        for (id, invoice) in &self.invoices {
            let open = invoice.amount - invoice.paid;
            let is_due = invoice.due.after(grace) < now;
            if is_due || open < Decimal::ZERO {
                amount += open;
            }
            if is_due && open > Decimal::ZERO && oldest.is_none_or(|oldest| (invoice.due, id) < oldest) {
                oldest = Some((invoice.due, id));
            }
        }
        let (since, invoice) = oldest?;
        (amount > Decimal::ZERO).then(|| Overdue {
            amount: Money { amount, currency },
            invoice: invoice.clone(),
            since,
        })
    }

    /// How it stands, for readers.
    pub(super) fn summary(&self, now: Timestamp) -> AccountSummary {
        let money = |amount: Decimal, currency| Money { amount, currency };
        let exposure = self.currency.map(|currency| Exposure {
            orders: money(self.reserved, currency),
            receivable: money(self.receivable, currency),
            total: money(self.reserved + self.receivable, currency),
        });
        let mut open_invoices: Vec<_> = self
            .invoices
            .iter()
            .filter(|(_, invoice)| invoice.paid < invoice.amount)
            .filter_map(|(id, invoice)| {
                Some(OpenInvoice {
                    invoice: id.clone(),
                    order: invoice.order.clone(),
                    due: invoice.due,
                    open: money(invoice.amount - invoice.paid, self.currency?),
                })
            })
            .collect();
        open_invoices.sort_by_key(|invoice| invoice.due);
        AccountSummary {
            terms: self.terms,
            version: self.version,
            exposure,
            overdue: self.overdue(now),
            open_invoices,
            orders: self
                .orders
                .iter()
                .map(|(key, order)| (key.clone(), order.clone()))
                .collect(),
        }
    }

    pub(super) fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::TermsSet { terms, version } => {
                self.terms = Some(*terms);
                self.version = *version;
                self.currency = Some(terms.limit.currency);
            }
            AccountEvent::Posted(document) => self.post(document),
            AccountEvent::Granted {
                order,
                attempt,
                amount,
            } => self.open(order, *attempt, *amount, OrderCredit::Granted),
            AccountEvent::Waiting {
                order,
                attempt,
                amount,
                since,
            } => {
                let standing = OrderCredit::Waiting { since: *since };
                self.open(order, *attempt, *amount, standing);
            }
            AccountEvent::Released { order } => {
                if let Some(order) = self.orders.remove(order) {
                    self.reserved -= order.counts();
                }
            }
            AccountEvent::Introduced {
                order,
                fingerprint,
                at,
            } => self.introduce(order, *fingerprint, *at),
            AccountEvent::Withdrawn { order } => drop(self.introduced.remove(order)),
            AccountEvent::Forgotten { before } => self.forget(*before),
        }
    }

    fn open(&mut self, order: &OrderKey, attempt: u16, amount: Money, standing: OrderCredit) {
        let before = self.orders.remove(order);
        let open = OpenOrder {
            attempt,
            amount,
            invoiced: before.as_ref().map_or(Decimal::ZERO, |order| order.invoiced),
            standing,
        };
        self.reserved += open.counts() - before.as_ref().map_or(Decimal::ZERO, OpenOrder::counts);
        self.orders.insert(order.clone(), open);
    }

    fn introduce(&mut self, order: &OrderKey, fingerprint: u64, at: Timestamp) {
        let first = self.introduced.get(order).map_or(at, |(first, _)| *first);
        self.introduced
            .retain(|_, (came, _)| at.since(*came) <= MAX_WINDOW);
        if self.introduced.len() >= MAX_INTRODUCED {
            let oldest = self
                .introduced
                .iter()
                .min_by_key(|(key, (came, _))| (*came, *key));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.introduced.remove(&oldest);
            }
        }
        self.introduced.insert(order.clone(), (first, fingerprint));
    }

    fn post(&mut self, document: &Document) {
        let Money { amount, currency } = document.amount;
        self.currency.get_or_insert(currency);
        match &document.kind {
            DocumentKind::Invoice { order, due } => {
                let invoice = Invoice {
                    order: order.clone(),
                    due: *due,
                    dated: document.dated,
                    amount,
                    paid: self.paid_ahead.remove(&document.id).unwrap_or_default(),
                };
                self.receivable += amount;
                self.invoices.insert(document.id.clone(), invoice);
                if let Some(order) = order.as_ref().and_then(|order| self.orders.get_mut(order)) {
                    let before = order.counts();
                    order.invoiced += amount;
                    self.reserved += order.counts() - before;
                }
            }
            DocumentKind::Payment { invoice } => {
                let settlement = self.settle(invoice.as_ref(), document);
                self.payments.insert(document.id.clone(), settlement);
            }
            DocumentKind::CreditNote { invoice } => {
                let settlement = self.settle(invoice.as_ref(), document);
                self.credit_notes.insert(document.id.clone(), settlement);
            }
        }
    }

    fn settle(&mut self, invoice: Option<&DocumentId>, document: &Document) -> Settlement {
        let amount = document.amount.amount;
        self.receivable -= amount;
        match invoice {
            None => self.on_account += amount,
            Some(id) => match self.invoices.get_mut(id) {
                Some(known) => known.paid += amount,
                None => *self.paid_ahead.entry(id.clone()).or_default() += amount,
            },
        }
        Settlement {
            invoice: invoice.cloned(),
            dated: document.dated,
            amount,
        }
    }

    /// What is settled and older leaves nothing but its part of the sums.
    fn forget(&mut self, before: Timestamp) {
        self.forgotten_before = Some(before);
        let on_account = &mut self.on_account;
        self.invoices.retain(|_, invoice| {
            let keep = invoice.dated >= before || invoice.paid < invoice.amount;
            if !keep {
                *on_account += invoice.paid - invoice.amount;
            }
            keep
        });
        for settlements in [&mut self.payments, &mut self.credit_notes] {
            settlements.retain(|_, settlement| {
                let keep = settlement.dated >= before;
                if !keep
                    && let Some(invoice) = &settlement.invoice
                    && let Some(ahead) = self.paid_ahead.get_mut(invoice)
                {
                    *ahead -= settlement.amount;
                    *on_account += settlement.amount;
                }
                keep
            });
        }
        self.paid_ahead.retain(|_, ahead| *ahead > Decimal::ZERO);
    }
}
