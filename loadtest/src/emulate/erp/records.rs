//! What the ERP keeps the record of, pure: rows by kind and key, each with the moment at which it was last told.
//!
//! Strict: a request that names what is not there, or no page, is refused.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What can be read.
pub(super) const KINDS: [&str; 5] = ["stock", "receipts", "customers", "price-lists", "contracts"];
/// How many rows a page may have.
const MAX_LIMIT: usize = 1_000;

/// The query of a reading.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    /// Only what was told since this moment; everything if empty.
    since: String,
    /// Only keys behind this one; from the first if empty.
    after: String,
    /// How many rows.
    limit: usize,
}

#[derive(Clone, Debug)]
struct Record {
    told: jiff::Timestamp,
    row: Value,
}

/// The records.
#[derive(Debug, Default)]
pub(super) struct Records {
    kinds: BTreeMap<String, BTreeMap<String, Record>>,
    /// How many pages were asked for.
    pages: u64,
}

impl Records {
    /// Says how a record stands from now on. A row without a version gets the moment.
    pub(super) fn tell(&mut self, kind: &str, key: &str, mut row: Value, now: jiff::Timestamp) {
        if row.get("version").is_none() {
            row["version"] = json!(now.to_string());
        }
        let record = Record { told: now, row };
        self.kinds
            .entry(kind.to_owned())
            .or_default()
            .insert(key.to_owned(), record);
    }

    /// A record is there no more.
    pub(super) fn forget(&mut self, kind: &str, key: &str) {
        if let Some(records) = self.kinds.get_mut(kind) {
            records.remove(key);
        }
    }

    /// How many pages were asked for.
    pub(super) const fn pages(&self) -> u64 {
        self.pages
    }

    /// A page.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(super) fn page(&mut self, kind: &str, query: &Query) -> Result<Value, String> {
        self.pages += 1;
        let since: Option<jiff::Timestamp> = match query.since.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|error| format!("since: {error}"))?),
        };
        if !(1..=MAX_LIMIT).contains(&query.limit) {
            return Err(format!("limit: must be 1 to {MAX_LIMIT}, not {}", query.limit));
        }
        let empty = BTreeMap::new();
        let records = self.kinds.get(kind).unwrap_or(&empty);
        let mut found = records
            .iter()
            .filter(|(key, _)| query.after.is_empty() || **key > query.after)
            .filter(|(_, record)| since.is_none_or(|since| record.told >= since));
        let page: Vec<_> = found.by_ref().take(query.limit).collect();
        let more = found.next().is_some();
        let next = page.last().filter(|_| more).map(|(key, _)| key.as_str());
        let rows: Vec<&Value> = page.iter().map(|(_, record)| &record.row).collect();
        Ok(json!({ "rows": rows, "next": next }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(since: &str, after: &str, limit: usize) -> Query {
        Query {
            since: since.to_owned(),
            after: after.to_owned(),
            limit,
        }
    }

    #[test]
    fn records_are_told_page_by_page_and_since_a_moment() {
        let mut records = Records::default();
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        for (key, second) in [("A", 10), ("B", 20), ("C", 20)] {
            records.tell("stock", key, json!({ "sku": key }), at(second));
        }
        let keys = |page: Value| -> (Vec<String>, Value) {
            let rows = page["rows"].as_array().unwrap().iter();
            let skus = rows.map(|row| row["sku"].as_str().unwrap().to_owned());
            (skus.collect(), page["next"].clone())
        };
        let first = keys(records.page("stock", &query("", "", 2)).unwrap());
        assert_eq!(first, (vec!["A".to_owned(), "B".to_owned()], json!("B")));
        let last = keys(records.page("stock", &query("", "B", 2)).unwrap());
        assert_eq!(last, (vec!["C".to_owned()], Value::Null));
        let since = at(20).to_string();
        let changed = keys(records.page("stock", &query(&since, "", 9)).unwrap());
        assert_eq!(changed.0, ["B", "C"]);
        for wrong in [query("yesterday", "", 2), query("", "", 0), query("", "", 5_000)] {
            assert!(records.page("stock", &wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(records.pages(), 6);
    }
}
