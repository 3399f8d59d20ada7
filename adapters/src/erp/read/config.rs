//! The `[[erp.read]]` tables: what is read, how often, and how the ERP's fields become those of messages.

use super::super::capability::{Ability, Capability};
use super::super::config::ErpKind;
use super::Row;
use crate::egress::{InvalidSetting, within};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many tables there may be.
const MAX_TABLES: usize = 16;
/// The longest source, constant, value or domain, in bytes.
const MAX_TEXT_BYTES: usize = 4_096;
/// As many significant digits a number of JSON may have to be read exactly as it is written: a double keeps 15.
const EXACT_DIGITS: usize = 15;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// What is on hand of a SKU in a warehouse.
    Stock,
    /// What is to come, and when.
    Receipts,
    /// On which terms customers get credit.
    Customers,
    /// List prices.
    PriceLists,
    /// What is agreed with customers.
    Contracts,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Whole,
    Amount,
    Moment,
    /// A number, or a moment, which counts in microseconds.
    Version,
    /// Whatever the message has there.
    AsItIs,
}

use Shape::{Amount, AsItIs, Moment, Text, Version, Whole};

/// The fields of each, by their names in the message.
type Fields = &'static [(&'static str, Shape)];

const STOCK: Fields = &[
    ("sku", Text),
    ("warehouse", Text),
    ("on_hand", Whole),
    ("version", Version),
    ("unit", Text),
    ("unit_value", Amount),
];
const RECEIPTS: Fields = &[
    ("sku", Text),
    ("warehouse", Text),
    ("document", Text),
    ("quantity", Whole),
    ("due", Moment),
    ("version", Version),
    ("unit", Text),
];
const CUSTOMERS: Fields = &[
    ("customer", Text),
    ("version", Version),
    ("status", Text),
    ("currency", Text),
    ("limit", Amount),
    ("grace_days", Whole),
];
const PRICE_LISTS: Fields = &[
    ("sku", Text),
    ("list", Text),
    ("currency", Text),
    ("unit", Amount),
    ("rule", Text),
    ("version", Version),
    ("from", Moment),
    ("until", Moment),
    ("edition", Text),
    ("standing", Text),
    ("breaks", AsItIs),
    ("break_units", Text),
];
const CONTRACTS: Fields = &[
    ("customer", Text),
    ("version", Version),
    ("currency", Text),
    ("base_list", Text),
    ("customer_class", Text),
    ("agreement", Text),
    ("precedence", AsItIs),
    ("terms", AsItIs),
    ("time_zone", Text),
    ("endings", AsItIs),
    ("charges", AsItIs),
    ("tax", AsItIs),
    ("zone", Text),
    ("rates", Text),
    ("rounding", Text),
    ("rounded", Text),
    ("status", Text),
];

impl What {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Stock,
        Self::Receipts,
        Self::Customers,
        Self::PriceLists,
        Self::Contracts,
    ];

    /// What it is called, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Receipts => "receipts",
            Self::Customers => "customers",
            Self::PriceLists => "price-lists",
            Self::Contracts => "contracts",
        }
    }

    const fn shapes(self) -> Fields {
        match self {
            Self::Stock => STOCK,
            Self::Receipts => RECEIPTS,
            Self::Customers => CUSTOMERS,
            Self::PriceLists => PRICE_LISTS,
            Self::Contracts => CONTRACTS,
        }
    }

    /// The names of its fields.
    pub fn fields(self) -> impl Iterator<Item = &'static str> {
        self.shapes().iter().map(|(name, _)| *name)
    }

    const fn allowed(self) -> &'static str {
        match self {
            Self::Stock => "sku, warehouse, on_hand, version, unit and unit_value",
            Self::Receipts => "sku, warehouse, document, quantity, due, version and unit",
            Self::Customers => "customer, version, status, currency, limit and grace_days",
            Self::PriceLists => {
                "sku, list, currency, unit, rule, version, from, until, edition, standing, breaks and break_units"
            }
            Self::Contracts => "the fields of lockstep.contract.set",
        }
    }
}

/// A table of `[[erp.read]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadConfig {
    /// What is read.
    pub what: What,
    /// How often: 1 to 86,400 s. Where the ERP can say what has changed, only that is read.
    #[serde(default = "minute")]
    pub every_seconds: u64,
    /// How often everything is read: 1 to 2,592,000 s; also after each start.
    #[serde(default = "day")]
    pub whole_every_seconds: u64,
    /// How many rows a page has at most: 1 to 1,000.
    #[serde(default = "page")]
    pub page_size: u32,
    /// How far a reading of changes reaches behind the one before: longer than the clocks there and here differ, and than a
    /// transaction there may last. 0 to 86,400 s.
    #[serde(default = "overlap")]
    pub overlap_seconds: u64,
    /// How far the first reading of changes after a start reaches back: as long as the service may be down without its first
    /// reading of everything finding a drift. 0 to 8,760 h.
    #[serde(default = "lookback")]
    pub lookback_hours: u64,
    /// Where the ERP has a field of the message: a JSON Pointer into a row of an ERP behind HTTP, the path of a field in Tryton, a field
    /// in Odoo.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Fields that are the same in every message.
    #[serde(default)]
    pub constants: BTreeMap<String, String>,
    /// By field: what the ERP's values are called here. What is not listed stays as it is; an empty text leaves the row out.
    #[serde(default)]
    pub values: BTreeMap<String, BTreeMap<String, String>>,
    /// Which records of Tryton's or Odoo's, as a domain in JSON, such as `[["categories.name", "=", "Wholesale"]]`.
    #[serde(default)]
    pub domain: Option<String>,
}

const fn minute() -> u64 {
    60
}

const fn day() -> u64 {
    86_400
}

const fn page() -> u32 {
    200
}

const fn overlap() -> u64 {
    300
}

const fn lookback() -> u64 {
    72
}

/// Checks all tables for a connector.
pub(in crate::erp) fn validate(tables: &[ReadConfig], kind: ErpKind) -> Result<(), InvalidSetting> {
    if tables.len() > MAX_TABLES {
        return Err(wrong(
            "erp.read".to_owned(),
            &tables.len().to_string(),
            "at most 16 tables",
        ));
    }
    for (place, table) in tables.iter().enumerate() {
        table.validate(&format!("erp.read[{place}]"), kind)?;
    }
    Ok(())
}

fn wrong(key: String, value: &str, allowed: &'static str) -> InvalidSetting {
    InvalidSetting {
        key,
        value: value.to_owned(),
        allowed,
    }
}

impl ReadConfig {
    /// A table with everything as it is if nothing else is said.
    #[must_use]
    pub fn new(what: What) -> Self {
        Self {
            what,
            every_seconds: minute(),
            whole_every_seconds: day(),
            page_size: page(),
            overlap_seconds: overlap(),
            lookback_hours: lookback(),
            fields: BTreeMap::new(),
            constants: BTreeMap::new(),
            values: BTreeMap::new(),
            domain: None,
        }
    }

    fn validate(&self, key: &str, kind: ErpKind) -> Result<(), InvalidSetting> {
        if let Ability::Cannot(_) = kind.ability(Capability::Tell(self.what)) {
            let allowed = "what this connector can tell; `lockstep erp capabilities` shows it";
            return Err(wrong(format!("{key}.what"), self.what.name(), allowed));
        }
        let limits = [
            ("every_seconds", self.every_seconds, 1, 86_400, "1 to 86400"),
            (
                "whole_every_seconds",
                self.whole_every_seconds,
                1,
                2_592_000,
                "1 to 2592000",
            ),
            ("page_size", self.page_size.into(), 1, 1_000, "1 to 1000"),
            ("overlap_seconds", self.overlap_seconds, 0, 86_400, "0 to 86400"),
            ("lookback_hours", self.lookback_hours, 0, 8_760, "0 to 8760"),
        ];
        for (name, value, least, most, allowed) in limits {
            within(&format!("{key}.{name}"), value, least, most, allowed)?;
        }
        let maps = [
            ("fields", self.fields.keys().collect::<Vec<_>>()),
            ("constants", self.constants.keys().collect()),
            ("values", self.values.keys().collect()),
        ];
        for (map, names) in maps {
            let unknown = names
                .into_iter()
                .find(|name| !self.what.fields().any(|field| field == name.as_str()));
            if let Some(name) = unknown {
                return Err(wrong(format!("{key}.{map}"), name, self.what.allowed()));
            }
        }
        let values = self.values.values().flatten().flat_map(|(from, to)| [from, to]);
        let mut texts = self.fields.values().chain(self.constants.values()).chain(values);
        if let Some(long) = texts.find(|text| text.len() > MAX_TEXT_BYTES) {
            return Err(wrong(key.to_owned(), long, "texts of at most 4096 bytes"));
        }
        match kind {
            // What cannot tell is refused above.
            ErpKind::Local => Ok(()),
            ErpKind::Http => self.validate_http(key),
            ErpKind::Tryton => self.validate_records(key, super::super::tryton::reckoned(self.what)),
            ErpKind::Odoo => self.validate_records(key, super::super::odoo::reckoned(self.what)),
        }
    }

    fn validate_http(&self, key: &str) -> Result<(), InvalidSetting> {
        for (name, pointer) in &self.fields {
            super::super::http::is_pointer(&format!("{key}.fields.{name}"), pointer)?;
        }
        match &self.domain {
            None => Ok(()),
            Some(domain) => {
                let allowed = "a domain for Tryton and Odoo alone; say it in the path of the request";
                Err(wrong(format!("{key}.domain"), domain, allowed))
            }
        }
    }

    /// Of an ERP that is read record by record, and whose connector reckons these fields itself.
    fn validate_records(&self, key: &str, reckoned: &[&str]) -> Result<(), InvalidSetting> {
        if let Some(name) = reckoned.iter().find(|name| self.fields.contains_key(**name)) {
            let allowed = "other fields: this one the connector reckons itself";
            return Err(wrong(format!("{key}.fields"), name, allowed));
        }
        if self.what == What::Customers
            && !self.fields.contains_key("limit")
            && !self.constants.contains_key("limit")
        {
            let allowed =
                "the field of a customer that has the credit limit, or the same for all in constants.limit";
            return Err(wrong(format!("{key}.fields.limit"), "", allowed));
        }
        self.own_domain().map(drop).ok_or_else(|| {
            let domain = self.domain.as_deref().unwrap_or_default();
            wrong(
                format!("{key}.domain"),
                domain,
                "a domain in JSON, as in [[\"code\", \"=like\", \"A%\"]]",
            )
        })
    }

    /// The clauses of the table's own domain; none if it is no domain.
    pub(in crate::erp) fn own_domain(&self) -> Option<Vec<Value>> {
        match &self.domain {
            None => Some(Vec::new()),
            Some(text) if text.len() <= MAX_TEXT_BYTES => serde_json::from_str(text).ok(),
            Some(_) => None,
        }
    }

    pub(super) fn every(&self) -> Duration {
        Duration::from_secs(self.every_seconds)
    }

    /// A row of the ERP's as the fields of the message, each from the constant or from what the connector finds for it; none if
    /// the row is left out. What cannot be read is left as it is: the entrance refuses it by its name.
    pub(in crate::erp) fn row(&self, find: impl Fn(&'static str) -> Option<Value>) -> Option<Row> {
        let mut row = Row::new();
        for (name, shape) in self.what.shapes() {
            let value = match self.constants.get(*name) {
                Some(constant) => Value::String(constant.clone()),
                None => match find(name).filter(|value| !value.is_null()) {
                    Some(value) => self.renamed(name, value),
                    None => continue,
                },
            };
            if value.as_str() == Some("") && self.values.contains_key(*name) {
                return None;
            }
            row.insert((*name).to_owned(), shape.of(value));
        }
        Some(row)
    }

    fn renamed(&self, name: &str, value: Value) -> Value {
        let renamed = self
            .values
            .get(name)
            .and_then(|values| values.get(&text(&value)?));
        renamed.map_or(value, |renamed| Value::String(renamed.clone()))
    }
}

/// A text, number or truth value as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Shape {
    /// The value as a message has it; as it is, if it cannot be read as such.
    fn of(self, value: Value) -> Value {
        let read = match self {
            Self::Text => text(&value).map(Value::String),
            Self::Whole => whole(&value).map(Value::from),
            Self::Amount => amount(&value).map(Value::String),
            Self::Moment => value.as_str().and_then(day_begins).map(Value::String),
            Self::Version => version(&value).map(Value::from),
            Self::AsItIs => None,
        };
        read.unwrap_or(value)
    }
}

/// A whole number, also one that is written with a point, as `6.0`.
fn whole(value: &Value) -> Option<i64> {
    let number: Decimal = text(value)?.trim().parse().ok()?;
    number
        .fract()
        .is_zero()
        .then(|| i64::try_from(number).ok())
        .flatten()
}

/// The exact text of an amount. A number of JSON passes through a double, which keeps so many digits as they were written.
fn amount(value: &Value) -> Option<String> {
    let text = text(value)?;
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_exact = value.is_string() || value.is_i64() || value.is_u64() || digits <= EXACT_DIGITS;
    is_exact.then_some(text)
}

/// A day as its first moment in UTC.
fn day_begins(text: &str) -> Option<String> {
    let day: jiff::civil::Date = (text.len() == 10).then(|| text.parse().ok()).flatten()?;
    Some(format!("{day}T00:00:00Z"))
}

fn version(value: &Value) -> Option<u64> {
    let text = text(value)?;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let moment: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_microsecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table(text: &str) -> ReadConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn fields_become_those_of_the_message_whatever_form_the_erp_has_them_in() {
        let table = table(
            "what = 'stock'\nconstants = { unit = 'EA' }\nvalues = { warehouse = { '1' = 'W1', TRANSIT = '' } }",
        );
        let row = |warehouse: Value, on_hand: Value, version: Value| {
            let row = json!({ "sku": 4711, "warehouse": warehouse, "on_hand": on_hand, "version": version,
                "unit_value": 2.55, "unit": "box" });
            table.row(|name| row.get(name).cloned())
        };
        let moment = "2026-03-01T12:00:00.000001Z";
        let expected = json!({ "sku": "4711", "warehouse": "W1", "on_hand": 6, "version": 1_772_366_400_000_001_u64,
            "unit": "EA", "unit_value": "2.55" });
        assert_eq!(
            row(json!(1), json!(6.0), json!(moment)).map(Value::Object),
            Some(expected)
        );
        let other = row(json!("W2"), json!("7"), json!("42")).unwrap();
        assert_eq!(
            (&other["warehouse"], &other["on_hand"], &other["version"]),
            (&json!("W2"), &json!(7), &json!(42))
        );
        assert_eq!(row(json!("TRANSIT"), json!(1), json!(1)), None);
        // What is no whole number is not rounded: the entrance refuses it by name.
        assert_eq!(
            row(json!(1), json!(2.5), json!(1)).unwrap()["on_hand"],
            json!(2.5)
        );
        assert!(
            !row(json!(1), Value::Null, json!(1))
                .unwrap()
                .contains_key("on_hand")
        );
    }

    #[test]
    fn amounts_are_exact_or_left_to_be_refused() {
        let cases = [
            (json!("12.5000"), Some("12.5000")),
            (json!(12.5), Some("12.5")),
            (json!(123_456_789_012_345_678_u64), Some("123456789012345678")),
            (json!(1_234_567_890.123_456_7), None),
            (json!([1]), None),
        ];
        for (value, expected) in cases {
            assert_eq!(amount(&value).as_deref(), expected, "{value}");
        }
        assert_eq!(day_begins("2026-12-24").as_deref(), Some("2026-12-24T00:00:00Z"));
        assert_eq!(day_begins("24.12.2026"), None);
    }

    #[test]
    fn a_wrong_table_is_refused_by_its_key() {
        use ErpKind::{Http, Local, Odoo, Tryton};
        let cases = [
            (Http, "what = 'contracts'", None),
            (Local, "what = 'stock'", Some("erp.read[0].what")),
            (Tryton, "what = 'contracts'", None),
            (
                Odoo,
                "what = 'contracts'\nfields = { terms = 'x' }",
                Some("erp.read[0].fields"),
            ),
            (Odoo, "what = 'customers'", Some("erp.read[0].fields.limit")),
            (
                Tryton,
                "what = 'stock'\nfields = { on_hand = 'forecast_quantity' }",
                None,
            ),
            (
                Tryton,
                "what = 'stock'\nfields = { version = 'id' }",
                Some("erp.read[0].fields"),
            ),
            (Tryton, "what = 'customers'", Some("erp.read[0].fields.limit")),
            (Tryton, "what = 'customers'\nconstants = { limit = '0' }", None),
            (
                Tryton,
                "what = 'stock'\ndomain = 'salable'",
                Some("erp.read[0].domain"),
            ),
            (
                Tryton,
                "what = 'stock'\ndomain = '[[\"salable\", \"=\", true]]'",
                None,
            ),
            (Http, "what = 'stock'\ndomain = '[]'", Some("erp.read[0].domain")),
            (
                Http,
                "what = 'stock'\nfields = { sku = 'item' }",
                Some("erp.read[0].fields.sku"),
            ),
            (
                Http,
                "what = 'stock'\nfields = { item = '/item' }",
                Some("erp.read[0].fields"),
            ),
            (
                Http,
                "what = 'stock'\nevery_seconds = 0",
                Some("erp.read[0].every_seconds"),
            ),
            (
                Http,
                "what = 'stock'\npage_size = 5000",
                Some("erp.read[0].page_size"),
            ),
            (
                Http,
                "what = 'stock'\nlookback_hours = 9000",
                Some("erp.read[0].lookback_hours"),
            ),
        ];
        for (kind, text, key) in cases {
            let refused = validate(&[table(text)], kind).err().map(|error| error.key);
            assert_eq!(refused.as_deref(), key, "{text}");
        }
        let many = vec![table("what = 'stock'"); MAX_TABLES + 1];
        assert_eq!(validate(&many, Http).unwrap_err().key, "erp.read");
        assert!(toml::from_str::<ReadConfig>("what = 'invoices'").is_err());
    }
}
