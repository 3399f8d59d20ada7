//! What the ERP keeps the record of, read in: stock, receipts, customers, price lists and contracts become the messages that any
//! system of record sends, and pass the same entrance: schema, limits, ownership, audit.
//!
//! Invariants:
//! - a reading counts as made only once all that it brought is durable: a decision, or a dead letter. The next one asks for what has
//!   changed since it began, less an overlap, so that neither an equal timestamp nor a late commit is missed;
//! - what is read twice has the effect of once: a message's id follows from what it says and its version there, and entities pass over
//!   versions that they know;
//! - no position is kept on disk: after a start, and from time to time, everything is read;
//! - pages, messages under way, letters of a reading and remembered receipts are bounded;
//! - of the nodes of a cluster that one reads which carries orders' requests as well ([`super::home`]): both keep one pace.

mod config;
mod counters;
mod message;
mod place;
mod position;
mod reader;
mod shelves;

pub(super) use config::validate;
pub use config::{ReadConfig, What};
pub use counters::{ReadCounters, ReadMetrics};
pub use message::messages_of;
pub(super) use place::{Place, Record, id_of, next_by_id, next_in_warehouse};
pub use reader::ErpReader;
pub(super) use shelves::{Shelves, Warehouse, stock};

use super::ErpError;
use lockstep_runtime::time::Timestamp;
use serde_json::Value;

/// What an ERP is asked for: one page.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What, and how it is mapped.
    pub table: &'a ReadConfig,
    /// Only what has changed since; everything if absent.
    pub since: Option<Timestamp>,
    /// Where the page before has ended; the first page if absent.
    pub mark: Option<&'a Mark>,
}

/// Where a page ends, in its connector's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(pub Value);

/// The fields of a message by their names there, from one row of the ERP's.
pub type Row = serde_json::Map<String, Value>;

/// What an ERP keeps in a form of its own that is none of ours, such as a price by a formula: it becomes a dead letter with the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// As far as it can be said.
    pub row: Row,
    /// What cannot, by name.
    pub reason: String,
}

/// What an ERP answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its rows.
    pub rows: Vec<Row>,
    /// What cannot be said in a row as it is meant there.
    pub refused: Vec<Refused>,
    /// Where the next page begins; absent on the last.
    pub next: Option<Mark>,
}

/// The ERP as what is read in comes from. A call changes nothing there, and may be made again.
pub trait ErpSource: Send + Sync {
    /// Whether it can be asked for what has changed since a moment.
    fn tells_changes(&self, what: What) -> bool;
    /// One page of at most [`ReadConfig::page_size`] rows.
    fn page(&self, ask: &Ask<'_>) -> impl Future<Output = Result<Page, ErpError>> + Send;
}
