//! Where pages of records end that have ids: cut by id, so that what is added or changed meanwhile moves nothing, and warehouse by
//! warehouse where records are told by warehouse.

use super::super::call::CallError;
use super::{Ask, Mark};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A record as an ERP tells it: fields by name.
pub(in crate::erp) type Record = Map<String, Value>;

/// Where a page ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(in crate::erp) struct Place {
    /// The warehouse's id, where pages go by warehouse.
    pub(in crate::erp) warehouse: i64,
    /// The last record's id.
    pub(in crate::erp) after: i64,
}

impl Place {
    /// Where the page before has ended.
    pub(in crate::erp) fn of(ask: &Ask<'_>) -> Result<Self, CallError> {
        let place = ask.mark.map(|mark| Self::deserialize(&mark.0)).transpose();
        Ok(place
            .map_err(|error| CallError::Unreadable(error.to_string()))?
            .unwrap_or_default())
    }

    fn mark(self) -> Mark {
        Mark(json!({ "warehouse": self.warehouse, "after": self.after }))
    }

    /// Where a page goes on within this warehouse: of one that has gone meanwhile the next one is read from its beginning.
    pub(in crate::erp) fn within(self, warehouse: i64) -> i64 {
        if self.warehouse == warehouse {
            self.after
        } else {
            0
        }
    }
}

/// Where the page after one of these records of a warehouse begins; `next` is the warehouse after it.
pub(in crate::erp) fn next_in_warehouse(
    records: &[Record],
    limit: u32,
    warehouse: i64,
    next: Option<i64>,
) -> Option<Mark> {
    let place = match full_page_ends(records, limit) {
        Some(after) => Place { warehouse, after },
        None => Place {
            warehouse: next?,
            after: 0,
        },
    };
    Some(place.mark())
}

/// Where the page after one of these records begins.
pub(in crate::erp) fn next_by_id(records: &[Record], limit: u32) -> Option<Mark> {
    let after = full_page_ends(records, limit)?;
    let place = Place { warehouse: 0, after };
    Some(place.mark())
}

/// The last record's id of a page that is full.
fn full_page_ends(records: &[Record], limit: u32) -> Option<i64> {
    let is_full = records.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    records.last().filter(|_| is_full).map(id_of)
}

pub(in crate::erp) fn id_of(record: &Record) -> i64 {
    record.get("id").and_then(Value::as_i64).unwrap_or_default()
}
