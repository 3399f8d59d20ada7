//! The way to the ERP and back: a port for bookings and a worker that carries requests and answers; a port for readings and a reader
//! that hands in what the ERP keeps the record of; connectors that serve both, and a table of what each can.
//!
//! Invariants:
//! - a request that may have reached the ERP and was not answered is [`ErpError::Unknown`], never anything milder;
//! - the booking's key is its reference and idempotency key: one key, one booking; that of the order, a paper's kind and number are
//!   the paper's: one key, one posting;
//! - a request's cursor moves on only when the answer to it is durable in the order;
//! - of the nodes of a cluster one asks the ERP at a time, for all ([`home`]): so its pace and the number of calls at a time are kept as
//!   a whole.

mod breaker;
mod call;
mod capability;
mod carrying;
mod config;
mod drafts;
mod http;
mod local;
mod odoo;
mod pace;
mod progress;
mod read;
mod request;
mod shared_pace;
mod tryton;
mod turns;
mod worker;

pub use breaker::Breaker;
pub use capability::{Ability, Capability};
pub use carrying::{Carrying, home};
pub use config::{ErpConfig, ErpKind, TokenError, TrytonConfig};
pub use http::{ConnectorError, HttpErp, HttpErpConfig, Request, RequestForm};
pub use local::LocalErp;
pub use odoo::{OdooConfig, OdooErp};
pub use pace::{Day, MaintenanceWindow, Pace};
pub use progress::Progress;
pub use read::{
    Ask, ErpReader, ErpSource, Mark, Page, ReadConfig, ReadCounters, ReadMetrics, Refused, Row, What,
    messages_of,
};
pub use request::{Called, ErpCounters, ErpMetrics, Handled, handle};
pub use shared_pace::SharedPace;
pub use tryton::TrytonErp;
pub use turns::Turns;
pub use worker::{Answers, CONSUMER, ErpWorker, Undeliverable};

use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::effects::{BookingRequest, ErpReference, PaperReference, PaperRequest};

/// Why the ERP did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErpError {
    /// It decided against it; asking again gives the same answer.
    #[error("the ERP refuses: {0}")]
    Rejected(String),
    /// It certainly did nothing; asking again may help.
    #[error("the ERP cannot be reached or is busy: {0}")]
    Transient(String),
    /// It was asked and did not answer: it may have done it.
    #[error("the ERP did not answer: {0}")]
    Unknown(String),
}

/// The ERP as orders need it. Each call is one attempt; who retries, and when, is the order's own decision.
pub trait ErpPort: Send + Sync {
    /// Books an order; if one is booked under its key already, tells that one's number.
    fn book(&self, request: &BookingRequest) -> impl Future<Output = Result<DocumentId, ErpError>> + Send;
    /// Cancels what is booked under our key. Nothing booked is success.
    fn cancel(&self, order: &ErpReference) -> impl Future<Output = Result<(), ErpError>> + Send;
    /// Posts a paper of an order that is booked; if it is posted under its key already, tells that one's number.
    fn post(&self, _paper: &PaperRequest) -> impl Future<Output = Result<DocumentId, ErpError>> + Send {
        std::future::ready(Err(not_posted()))
    }
    /// What is posted under a paper's key. Changes nothing.
    fn find_paper(
        &self,
        _paper: &PaperReference,
    ) -> impl Future<Output = Result<Option<DocumentId>, ErpError>> + Send {
        std::future::ready(Ok(None))
    }
    /// What is booked under our key. Changes nothing, so that a failure is never [`ErpError::Unknown`].
    fn lookup(
        &self,
        order: &ErpReference,
    ) -> impl Future<Output = Result<Option<DocumentId>, ErpError>> + Send;
}

/// The ERP that the configuration names.
#[derive(Debug)]
pub enum Erp {
    /// Lockstep is the book of record.
    Local(LocalErp),
    /// An ERP behind HTTP/JSON.
    Http(Box<HttpErp>),
    /// Tryton.
    Tryton(Box<TrytonErp>),
    /// Odoo.
    Odoo(Box<OdooErp>),
}

impl Erp {
    /// The connector that the configuration asks for; connects with its first call.
    ///
    /// # Errors
    /// [`ConnectorError`] if a setting or a secret cannot be used.
    pub fn of(config: &ErpConfig) -> Result<Self, ConnectorError> {
        Ok(match config.kind {
            ErpKind::Local => Self::Local(LocalErp),
            ErpKind::Http => Self::Http(Box::new(HttpErp::new(config)?)),
            ErpKind::Tryton => Self::Tryton(Box::new(TrytonErp::new(config)?)),
            ErpKind::Odoo => Self::Odoo(Box::new(OdooErp::new(config)?)),
        })
    }
}

/// The answer to a booking or paper that was withdrawn: a request that is read again after a crash may meet its own cancellation,
/// and is not booked anew.
fn does_not_stand() -> ErpError {
    ErpError::Rejected("the key is taken by what does not stand any more".to_owned())
}

/// The answer to a paper that a connector does not post.
fn not_posted() -> ErpError {
    let reason = "this connector posts no such papers; do so in the ERP, then dismiss this";
    ErpError::Rejected(reason.to_owned())
}

impl ErpSource for Erp {
    fn tells_changes(&self, what: What) -> bool {
        match self {
            Self::Local(_) => false,
            Self::Http(erp) => erp.tells_changes(what),
            Self::Tryton(erp) => erp.tells_changes(what),
            Self::Odoo(erp) => erp.tells_changes(what),
        }
    }

    async fn page(&self, ask: &Ask<'_>) -> Result<Page, ErpError> {
        match self {
            Self::Local(_) => Err(ErpError::Rejected("there is no ERP to read from".to_owned())),
            Self::Http(erp) => erp.page(ask).await,
            Self::Tryton(erp) => erp.page(ask).await,
            Self::Odoo(erp) => erp.page(ask).await,
        }
    }
}

impl ErpPort for Erp {
    async fn book(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        match self {
            Self::Local(erp) => erp.book(request).await,
            Self::Http(erp) => erp.book(request).await,
            Self::Tryton(erp) => erp.book(request).await,
            Self::Odoo(erp) => erp.book(request).await,
        }
    }

    async fn cancel(&self, order: &ErpReference) -> Result<(), ErpError> {
        match self {
            Self::Local(erp) => erp.cancel(order).await,
            Self::Http(erp) => erp.cancel(order).await,
            Self::Tryton(erp) => erp.cancel(order).await,
            Self::Odoo(erp) => erp.cancel(order).await,
        }
    }

    async fn post(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        match self {
            Self::Local(erp) => erp.post(paper).await,
            Self::Http(erp) => erp.post(paper).await,
            Self::Tryton(erp) => erp.post(paper).await,
            Self::Odoo(erp) => erp.post(paper).await,
        }
    }

    async fn find_paper(&self, paper: &PaperReference) -> Result<Option<DocumentId>, ErpError> {
        match self {
            Self::Local(erp) => erp.find_paper(paper).await,
            Self::Http(erp) => erp.find_paper(paper).await,
            Self::Tryton(erp) => erp.find_paper(paper).await,
            Self::Odoo(erp) => erp.find_paper(paper).await,
        }
    }

    async fn lookup(&self, order: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        match self {
            Self::Local(erp) => erp.lookup(order).await,
            Self::Http(erp) => erp.lookup(order).await,
            Self::Tryton(erp) => erp.lookup(order).await,
            Self::Odoo(erp) => erp.lookup(order).await,
        }
    }
}
