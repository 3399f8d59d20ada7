//! What Odoo keeps the record of and is only read here: records of models by id, with the moment at which each was last written, which it
//! keeps to the microsecond and tells to the second.

use super::books::Fault;
use super::search::{self, Record};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Models that are read, with their fields; those with a point in their name can only be searched for.
const MODELS: [(&str, &[&str]); 8] = [
    ("res.company", &["name", "currency_id"]),
    (
        "stock.warehouse",
        &["code", "name", "lot_stock_id", "view_location_id"],
    ),
    (
        "res.partner",
        &[
            "ref",
            "name",
            "active",
            "credit_limit",
            "specific_property_product_pricelist",
            "write_date",
        ],
    ),
    (
        "product.product",
        &[
            "default_code",
            "active",
            "is_storable",
            "lst_price",
            "qty_available",
            "product_tmpl_id",
            "write_date",
        ],
    ),
    (
        "stock.move.line",
        &[
            "product_id",
            "state",
            "location_id",
            "location_dest_id",
            "write_date",
        ],
    ),
    (
        "stock.move",
        &[
            "product_id",
            "state",
            "location_id.usage",
            "location_dest_id",
            "product_qty",
            "date",
            "write_date",
        ],
    ),
    (
        "product.pricelist",
        &["name", "currency_id", "active", "write_date"],
    ),
    (
        "product.pricelist.item",
        &[
            "pricelist_id",
            "applied_on",
            "compute_price",
            "product_id",
            "product_tmpl_id",
            "fixed_price",
            "percent_price",
            "base",
            "min_quantity",
            "date_start",
            "date_end",
            "write_date",
        ],
    ),
];

/// The records.
#[derive(Debug)]
pub(super) struct Records {
    models: BTreeMap<&'static str, BTreeMap<i64, Record>>,
}

impl Records {
    pub(super) fn new() -> Self {
        let models = MODELS.iter().map(|(model, _)| (*model, BTreeMap::new()));
        let mut records = Self {
            models: models.collect(),
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        records.tell(
            "res.company",
            1,
            json!({ "name": "Wholesale", "currency_id": [1, "EUR"] }),
            now,
        );
        for (id, code) in [(1, "WH"), (2, "EAST")] {
            let values = json!({ "code": code, "name": code, "lot_stock_id": [id * 10 + 1, format!("{code}/Stock")],
                "view_location_id": [id * 10, code] });
            records.tell("stock.warehouse", id, values, now);
        }
        records
    }

    /// Says how a record stands from now on; fields that are left out stay as they were. A location of a warehouse lies within its
    /// view: that of id 11 in 10. What is on hand of a product stands by location in `qty_available`.
    ///
    /// # Panics
    /// If the model is not known.
    #[expect(clippy::panic, reason = "a test that tells what is not known shall fail")]
    pub(super) fn tell(&mut self, model: &str, id: i64, values: Value, now: jiff::Timestamp) {
        let Some(records) = self.models.get_mut(model) else {
            panic!("no model {model}");
        };
        let record = records.entry(id).or_default();
        record.insert("id".to_owned(), json!(id));
        record.insert("write_date".to_owned(), json!(written(now)));
        let Value::Object(values) = values else {
            return;
        };
        for (field, value) in values {
            if let Some(location) = value[0].as_i64().filter(|_| field.starts_with("location")) {
                let view = location / 10 * 10;
                record.insert(format!("{field}.within"), json!([location, view]));
            }
            record.insert(field, value);
        }
    }

    pub(super) fn forget(&mut self, model: &str, id: i64) {
        if let Some(records) = self.models.get_mut(model) {
            records.remove(&id);
        }
    }

    pub(super) fn search(&self, model: &str, body: &Value) -> Result<Value, Fault> {
        let known = MODELS.iter().find(|(name, _)| *name == model);
        let (_, fields) = known.ok_or(Fault::NoRoute)?;
        let everybody = body["context"]["active_test"] == false;
        let location = &body["context"]["location"];
        let records = self.models.get(model).into_iter().flat_map(BTreeMap::values);
        let records = records
            .filter(|record| everybody || record.get("active") != Some(&json!(false)))
            .map(|record| {
                let mut record = record.clone();
                if let Some(by_location) = record.get("qty_available") {
                    let there = by_location[location.to_string()].as_f64().unwrap_or_default();
                    record.insert("qty_available".to_owned(), json!(there));
                }
                record
            });
        search::read(records, fields, body)
    }
}

/// A moment as in `2026-03-01 12:00:00.123456`.
fn written(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}
