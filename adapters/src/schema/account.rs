//! Customers' accounts: the terms of their credit, what the ERP posts to them, and how they stand.

use super::error::DecodeError;
use super::fields::{Amount, Code, CurrencyCode, Moment};
use super::message::{Body, Command};
use super::stock::OrderReference;
use lockstep_actors::accounts::command::{AccountCommand, AccountSummary, OpenInvoice};
use lockstep_actors::accounts::state::{
    AccountStatus, CreditTerms, Document, DocumentKind, OpenOrder, OrderCredit,
};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{CustomerId, DocumentId, OrderKey, SystemName};
use lockstep_actors::money::{Currency, Money};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.account.set`: on which terms a customer gets credit, as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountSet {
    /// Whose account.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// The terms' version; an equal or older one changes nothing.
    pub version: u64,
    /// Whether the customer gets credit; `active` if absent.
    #[serde(default)]
    pub status: AccountStanding,
    /// The currency that the account is kept in. Once something is posted it stays.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// Up to how much the customer may owe, open orders included.
    pub limit: Amount,
    /// How many days an invoice may be overdue before orders wait; any number if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_days: Option<u16>,
}

/// Whether a customer gets credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountStanding {
    /// Yes.
    #[default]
    Active,
    /// Not now; a person may approve an order.
    OnHold,
    /// No, whoever approves.
    Closed,
}

impl From<AccountStanding> for AccountStatus {
    fn from(standing: AccountStanding) -> Self {
        match standing {
            AccountStanding::Active => Self::Active,
            AccountStanding::OnHold => Self::OnHold,
            AccountStanding::Closed => Self::Closed,
        }
    }
}

impl From<AccountStatus> for AccountStanding {
    fn from(status: AccountStatus) -> Self {
        match status {
            AccountStatus::Active => Self::Active,
            AccountStatus::OnHold => Self::OnHold,
            AccountStatus::Closed => Self::Closed,
        }
    }
}

impl Body for AccountSet {
    const SCHEMA: &'static str = "lockstep.account.set";
}

impl Command for AccountSet {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let terms = CreditTerms {
            status: self.status.into(),
            limit: Money {
                amount: self.limit.get(),
                currency: self.currency,
            },
            grace_days: self.grace_days,
        };
        let version = self.version;
        Ok(Message::Account(
            self.customer,
            AccountCommand::Set { terms, version },
        ))
    }
}

/// `lockstep.account.document`: the ERP has posted something to a customer's account. Kind and number are its identity: sent
/// again it counts once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountDocument {
    /// To whose account.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// Its number among those of its kind.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// What it is.
    pub kind: PostingKind,
    /// In which currency: that of the account.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// How much, tax included; above 0.
    pub amount: Amount,
    /// Its date.
    pub dated: Moment,
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PostingKind {
    /// The customer owes it.
    Invoice {
        /// For which order; it then counts no longer as open order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderReference>,
        /// When it is due.
        due: Moment,
    },
    /// The customer has paid it.
    Payment {
        /// For which invoice; on account if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Code>")]
        invoice: Option<DocumentId>,
    },
    /// The customer need not pay it.
    CreditNote {
        /// Of which invoice; on account if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Code>")]
        invoice: Option<DocumentId>,
    },
}

impl Body for AccountDocument {
    const SCHEMA: &'static str = "lockstep.account.document";
}

impl Command for AccountDocument {
    fn into_message(self, _source: &SystemName) -> Result<Message, DecodeError> {
        let kind = match self.kind {
            PostingKind::Invoice { order, due } => DocumentKind::Invoice {
                order: order
                    .map(|order| order.key("body.kind.invoice.order"))
                    .transpose()?,
                due: due.0,
            },
            PostingKind::Payment { invoice } => DocumentKind::Payment { invoice },
            PostingKind::CreditNote { invoice } => DocumentKind::CreditNote { invoice },
        };
        let document = Document {
            id: self.document,
            kind,
            amount: Money {
                amount: self.amount.get(),
                currency: self.currency,
            },
            dated: self.dated.0,
        };
        Ok(Message::Account(self.customer, AccountCommand::Post(document)))
    }
}

/// A customer's account as it stands, answered over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AccountView {
    /// Whose.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// On which terms it gets credit; absent where nobody has set any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<TermsView>,
    /// What it owes and is going to owe; absent of an account that nothing has happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<ExposureView>,
    /// What is overdue, beyond the days of grace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue: Option<OverdueView>,
    /// Invoices that are not paid, the one that is due first first.
    pub open_invoices: Vec<OpenInvoiceView>,
    /// Orders that count, or wait for credit.
    pub orders: Vec<AccountOrderView>,
}

/// On which terms a customer gets credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TermsView {
    /// Whether it gets any.
    pub status: AccountStanding,
    /// Up to how much.
    #[schemars(with = "Amount")]
    pub limit: Decimal,
    /// How many days an invoice may be overdue; any number if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_days: Option<u16>,
    /// The terms' version.
    pub version: u64,
}

/// What a customer owes and is going to owe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExposureView {
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// What open orders come to, as far as it is not invoiced.
    #[schemars(with = "Amount")]
    pub orders: Decimal,
    /// What is invoiced, less what is paid and credited; negative if the customer is owed.
    #[schemars(with = "Amount")]
    pub receivable: Decimal,
    /// Both.
    #[schemars(with = "Amount")]
    pub total: Decimal,
}

/// What is overdue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OverdueView {
    /// How much.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
    /// The invoice that is due longest.
    #[schemars(with = "Code")]
    pub invoice: DocumentId,
    /// When it was due.
    pub since: Moment,
}

/// An invoice that is not paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OpenInvoiceView {
    /// Which.
    #[schemars(with = "Code")]
    pub invoice: DocumentId,
    /// For which order: channel/number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// When it is due.
    pub due: Moment,
    /// What of it is not paid.
    #[schemars(with = "Amount")]
    pub open: Decimal,
}

/// An order that counts, or waits for credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AccountOrderView {
    /// Which: channel/number.
    pub order: String,
    /// What it comes to.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
    /// What of it is invoiced, and counts as that.
    #[schemars(with = "Amount")]
    pub invoiced: Decimal,
    /// Since when it waits for credit; absent once it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Moment>,
}

impl From<OpenInvoice> for OpenInvoiceView {
    fn from(invoice: OpenInvoice) -> Self {
        Self {
            invoice: invoice.invoice,
            order: invoice.order.map(|order| order.to_string()),
            due: Moment(invoice.due),
            open: invoice.open.amount,
        }
    }
}

impl From<(OrderKey, OpenOrder)> for AccountOrderView {
    fn from((order, open): (OrderKey, OpenOrder)) -> Self {
        Self {
            order: order.to_string(),
            amount: open.amount.amount,
            invoiced: open.invoiced,
            waiting_since: match open.standing {
                OrderCredit::Granted => None,
                OrderCredit::Waiting { since } => Some(Moment(since)),
            },
        }
    }
}

impl AccountView {
    /// The account of `customer` as `summary` says.
    #[must_use]
    pub fn new(customer: CustomerId, summary: AccountSummary) -> Self {
        Self {
            customer,
            terms: summary.terms.map(|terms| TermsView {
                status: terms.status.into(),
                limit: terms.limit.amount,
                grace_days: terms.grace_days,
                version: summary.version,
            }),
            exposure: summary.exposure.map(|exposure| ExposureView {
                currency: exposure.total.currency,
                orders: exposure.orders.amount,
                receivable: exposure.receivable.amount,
                total: exposure.total.amount,
            }),
            overdue: summary.overdue.map(|overdue| OverdueView {
                amount: overdue.amount.amount,
                invoice: overdue.invoice,
                since: Moment(overdue.since),
            }),
            open_invoices: summary.open_invoices.into_iter().map(Into::into).collect(),
            orders: summary.orders.into_iter().map(Into::into).collect(),
        }
    }
}
