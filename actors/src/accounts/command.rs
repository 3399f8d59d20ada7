//! What someone may want of an account, and what it answers.

use super::state::{CreditTerms, Document, OpenOrder};
use crate::ids::{DocumentId, OrderKey};
use crate::money::{Currency, Money};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What someone wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountCommand {
    /// These terms hold from now on.
    Set {
        /// All of them.
        terms: CreditTerms,
        /// Their version; an older or equal one is ignored.
        version: u64,
    },
    /// The ERP has posted this.
    Post(Document),
    /// An order wants to be booked on credit. The order is told.
    Reserve(CreditRequest),
    /// An order has ended, or does not want what it asked for up to this attempt.
    Release {
        /// Which.
        order: OrderKey,
        /// Up to which of its attempts.
        attempt: u16,
    },
    /// An order comes in. It is told whether another one of late is like it.
    Introduce(Introduction),
    /// An order has come to nothing, and is like no other.
    Withdraw {
        /// Which.
        order: OrderKey,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

/// An order that comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// Which.
    pub order: OrderKey,
    /// Its attempt at pricing.
    pub attempt: u16,
    /// What it is about: the same for orders that are alike.
    pub fingerprint: u64,
    /// How long an order is remembered as like it, at most [`MAX_WINDOW`](super::state::MAX_WINDOW).
    pub window: Duration,
}

/// An order that wants to be booked on credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditRequest {
    /// Which.
    pub order: OrderKey,
    /// Its attempt; a later one stands in place of an earlier one, an earlier one means nothing any more.
    pub attempt: u16,
    /// What it comes to.
    pub amount: Money,
    /// On which ground.
    pub ground: CreditGround,
}

/// On which ground an order is to be granted credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CreditGround {
    /// That there is room.
    Limit,
    /// That a person has approved it, whether there is room or not.
    Approval,
    /// That it has been granted more: it is booked, and less is wanted of it now.
    Less,
}

/// Why an order gets no credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum CreditRefusal {
    /// Nobody has set any terms.
    #[error("the customer's account has no credit terms")]
    NoTerms,
    /// The account is on hold.
    #[error("the customer's account is on hold")]
    OnHold,
    /// The account is closed.
    #[error("the customer's account is closed")]
    Closed,
    /// The account is in another currency.
    #[error("the order is in {order}, but the account is kept in {account}")]
    OtherCurrency {
        /// The order's.
        order: Currency,
        /// The account's.
        account: Currency,
    },
    /// There is no room.
    #[error("with this order the customer owes {exposure}, more than {limit}")]
    OverLimit {
        /// With this order.
        exposure: Money,
        /// The limit.
        limit: Money,
    },
    /// Invoices are overdue.
    #[error("{amount} is overdue, the oldest invoice is {invoice}")]
    Overdue {
        /// How much.
        amount: Money,
        /// The one that is due longest.
        invoice: DocumentId,
    },
    /// Too many orders are open.
    #[error("more than {} orders of the customer are open", super::state::MAX_OPEN_ORDERS)]
    TooManyOrders,
}

/// Why nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum AccountRefusal {
    /// Another currency than that of the account.
    #[error("the account is kept in {account}, not in {found}")]
    OtherCurrency {
        /// The account's.
        account: Currency,
        /// What was sent.
        found: Currency,
    },
    /// An amount outside its bounds.
    #[error(
        "an amount is above 0 (a limit may be 0) and at most {}, with at most {} decimals, not {amount}",
        super::state::MAX_AMOUNT,
        super::state::MAX_AMOUNT_SCALE
    )]
    Amount {
        /// What was sent.
        amount: rust_decimal::Decimal,
    },
    /// The same document with another content.
    #[error(
        "document {document} was posted with another content; post the difference as a document of its own"
    )]
    Conflict {
        /// Which.
        document: DocumentId,
    },
    /// Older than what the account tells apart.
    #[error(
        "document {document} is older than the documents that this account still tells apart: post the difference under a new date"
    )]
    TooOld {
        /// Which.
        document: DocumentId,
    },
    /// No room for one more document.
    #[error(
        "the account has {} open documents, no more are kept",
        super::state::MAX_DOCUMENTS
    )]
    TooManyDocuments,
}

/// What an account answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountReply {
    /// Done, now or before.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// What becomes of an order's wish; the order is told as well.
    Credit(CreditAnswer),
    /// An attempt that means nothing any more.
    Ignored,
    /// How things stand.
    Account(Box<AccountSummary>),
    /// Nothing has changed.
    Refused(AccountRefusal),
}

/// What becomes of an order's wish for credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CreditAnswer {
    /// It may be booked.
    Granted,
    /// Not yet: it waits here until there is room.
    Waiting(CreditRefusal),
}

/// How an account stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountSummary {
    /// What holds; none where nobody has set any.
    pub terms: Option<CreditTerms>,
    /// Their version.
    pub version: u64,
    /// What is owed and what is going to be; none of an account that nothing has happened to.
    pub exposure: Option<Exposure>,
    /// What is overdue, beyond the days of grace.
    pub overdue: Option<Overdue>,
    /// Invoices that are not paid, the one that is due first first.
    pub open_invoices: Vec<OpenInvoice>,
    /// Orders that count, or wait for credit.
    pub orders: Vec<(OrderKey, OpenOrder)>,
}

/// What a customer owes and is going to owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// What open orders come to, as far as it is not invoiced.
    pub orders: Money,
    /// What is invoiced, less what is paid and credited; negative if the customer is owed.
    pub receivable: Money,
    /// Both.
    pub total: Money,
}

/// What is overdue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// How much.
    pub amount: Money,
    /// The invoice that is due longest.
    pub invoice: DocumentId,
    /// Since when.
    pub since: Timestamp,
}

/// An invoice that is not paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenInvoice {
    /// Which.
    pub invoice: DocumentId,
    /// Of which order.
    pub order: Option<OrderKey>,
    /// When it is due.
    pub due: Timestamp,
    /// What of it is not paid.
    pub open: Money,
}
