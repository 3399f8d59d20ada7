//! What Tryton keeps the record of, read over the same calls that its own clients make.
//!
//! | what | Tryton |
//! |---|---|
//! | stock | `product.product` with `quantity`, in the context of a warehouse: what lies in its storage zone today, in the product's default unit |
//! | stock that has changed | `stock.move`, done, from or to the storage zone; the newest of them is the count's version |
//! | receipts | `stock.move` from a supplier to a warehouse with a planned date, each a document of its own: Tryton splits a move that comes in parts |
//! | customers | `party.party` |
//! | list prices | `product.product` with `list_price_used`, in the company's currency; or its price lists ([`super::price_lists`]) |
//! | contracts | `party.party` with a sale price list |
//!
//! Pages are cut by the id of records, so that what is added or changed meanwhile moves nothing; stock and receipts go warehouse by
//! warehouse. Changes are found by `write_date` and `create_date`, which Tryton keeps of every record
//! (<https://docs.tryton.org/latest/server/ref/models.html>): the moment at which the transaction began by the database's clock, in UTC, as the
//! server sets the time zone of its sessions.

use super::super::call::CallError;
use super::super::read::{self, Place, Record, Shelves, Warehouse, id_of, next_by_id};
use super::super::{Ask, ErpError, ErpSource, Page, ReadConfig, What};
use super::TrytonErp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use lockstep_runtime::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The fields that the connector reckons itself.
pub(in crate::erp) const fn reckoned(what: What) -> &'static [&'static str] {
    match what {
        What::Stock => &["version", "unit"],
        What::Receipts => &["document", "quantity", "due", "version", "unit"],
        What::Customers | What::PriceLists => &["version"],
        What::Contracts => &["version", "base_list", "currency", "terms"],
    }
}

impl TrytonErp {
    async fn read_page(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        match ask.table.what {
            What::Stock => read::stock(self, ask).await,
            What::Receipts => self.receipts(ask).await,
            What::Customers => self.customers(ask).await,
            What::PriceLists => match ask.table.fields.get("list") {
                Some(path) => self.price_lists(ask, path).await,
                None => self.list_prices(ask).await,
            },
            What::Contracts => self.contracts(ask).await,
        }
    }

    /// Where Tryton has a field of a message: where the table says, or where it is usually.
    pub(super) fn source<'t>(&'t self, table: &'t ReadConfig, field: &str) -> Option<&'t str> {
        let usual = match (table.what, field) {
            (_, "sku") => Some(self.mapping.product_field()),
            (_, "customer") => Some(self.mapping.customer_field()),
            (_, "warehouse") => Some("code"),
            (What::Stock, "on_hand") => Some("quantity"),
            (What::PriceLists, "unit") => Some("list_price_used"),
            _ => None,
        };
        table.fields.get(field).map(String::as_str).or(usual)
    }

    /// The fields that a table takes from records as they are, but for the warehouse's.
    pub(super) fn sources<'t>(&'t self, table: &'t ReadConfig) -> BTreeSet<&'t str> {
        let fields = table.what.fields().filter(|field| *field != "warehouse");
        fields.filter_map(|field| self.source(table, field)).collect()
    }

    pub(super) async fn search(
        &self,
        model: &str,
        domain: &[Value],
        limit: u32,
        fields: Vec<String>,
        context: Value,
    ) -> Result<Vec<Record>, CallError> {
        let by_id = json!([["id", "ASC"]]);
        let parameters = vec![json!(domain), json!(0), json!(limit), by_id, json!(fields)];
        let method = format!("model.{model}.search_read");
        let mut records: Vec<Record> = self.rpc.read_in(&method, parameters, context).await?;
        // Tryton reads what it has found in an order of its own.
        records.sort_by_key(id_of);
        Ok(records)
    }

    async fn receipts(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        let (table, place) = (ask.table, Place::of(ask)?);
        let Some(warehouse) = self.warehouse_from(table, place.warehouse).await? else {
            return Ok(Page::default());
        };
        let after = place.within(warehouse.id);
        let sku = format!("product.{}", self.source(table, "sku").unwrap_or_default());
        let mut domain = vec![
            json!(["company", "=", self.rpc.company().await?]),
            json!(["from_location.type", "=", "supplier"]),
            json!(["to_location", "child_of", [warehouse.whole], "parent"]),
            json!([sku, "!=", null]),
            json!(["id", ">", after]),
        ];
        domain.push(match ask.since {
            Some(since) => changed_since("", since)?,
            None => json!(["state", "in", ["draft", "assigned"]]),
        });
        domain.extend(table.own_domain().unwrap_or_default());
        let mut fields = named([
            "state",
            "internal_quantity",
            "planned_date",
            "write_date",
            "create_date",
        ]);
        fields.push(sku.clone());
        let moves = self
            .search("stock.move", &domain, table.page_size, fields, json!({}))
            .await?;
        let rows = moves.iter().filter_map(|one| {
            let is_to_come = matches!(text(one, "state"), Some("draft" | "assigned"));
            let due = at(one, "planned_date").filter(|_| is_to_come);
            // Without a date nothing can be promised from it.
            let quantity = if due.is_some() {
                at(one, "internal_quantity")
            } else {
                Some(json!(0))
            };
            table.row(|field| match field {
                "sku" => at(one, &sku),
                "warehouse" => Some(warehouse.name.clone()),
                "document" => Some(json!(format!("move-{}", id_of(one)))),
                "quantity" => quantity.clone(),
                "due" => due.clone(),
                "version" => Some(json!(version_of(one, &[""]))),
                _ => None,
            })
        });
        Ok(Page {
            rows: rows.collect(),
            next: warehouse.next_page(&moves, table.page_size),
            ..Page::default()
        })
    }

    async fn customers(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        let (table, customer) = (ask.table, self.source(ask.table, "customer").unwrap_or_default());
        let mut domain = vec![
            json!([customer, "!=", null]),
            json!(["id", ">", Place::of(ask)?.after]),
        ];
        if let Some(since) = ask.since {
            domain.push(changed_since("", since)?);
        }
        domain.extend(table.own_domain().unwrap_or_default());
        let mut fields = named(["active", "write_date", "create_date"]);
        fields.extend(self.sources(table).into_iter().map(str::to_owned));
        // Those who are not active any more as well: a clause on `active` would not count within the alternatives of the domain.
        let everybody = json!({ "active_test": false });
        let parties = self
            .search("party.party", &domain, table.page_size, fields, everybody)
            .await?;
        let currency = self.company_currency().await?;
        let rows = parties.iter().filter_map(|party| {
            table.row(|field| match (field, self.source(table, field)) {
                ("version", _) => Some(json!(version_of(party, &[""]))),
                (_, Some(path)) => at(party, path),
                ("status", None) => {
                    let is_active = party.get("active").and_then(Value::as_bool) == Some(true);
                    Some(json!(if is_active { "active" } else { "closed" }))
                }
                ("currency", None) => Some(currency.clone()),
                (_, None) => None,
            })
        });
        Ok(Page {
            rows: rows.collect(),
            next: next_by_id(&parties, table.page_size),
            ..Page::default()
        })
    }

    async fn list_prices(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        let (table, sku) = (ask.table, self.source(ask.table, "sku").unwrap_or_default());
        let mut domain = vec![
            json!([sku, "!=", null]),
            json!(["id", ">", Place::of(ask)?.after]),
        ];
        if let Some(since) = ask.since {
            // Writing a list price writes the product, or the template that it stands in for all variants.
            let (product, template) = (changed_since("", since)?, changed_since("template.", since)?);
            domain.push(json!(["OR", [product], [template]]));
        }
        domain.extend(table.own_domain().unwrap_or_default());
        let mut fields = named([
            "write_date",
            "create_date",
            "template.write_date",
            "template.create_date",
        ]);
        fields.extend(self.sources(table).into_iter().map(str::to_owned));
        let products = self
            .search("product.product", &domain, table.page_size, fields, json!({}))
            .await?;
        let currency = self.company_currency().await?;
        let priced = products.iter().filter(|product| {
            let price = self.source(table, "unit").and_then(|path| at(product, path));
            table.constants.contains_key("unit") || price.is_some_and(|price| !price.is_null())
        });
        let rows = priced.filter_map(|product| {
            table.row(|field| match (field, self.source(table, field)) {
                ("version", _) => Some(json!(version_of(product, &["", "template."]))),
                (_, Some(path)) => at(product, path),
                ("list", None) => Some(json!("standard")),
                ("rule", None) => Some(json!("erp-list")),
                ("currency", None) => Some(currency.clone()),
                (_, None) => None,
            })
        });
        Ok(Page {
            rows: rows.collect(),
            next: next_by_id(&products, table.page_size),
            ..Page::default()
        })
    }

    pub(super) async fn company_currency(&self) -> Result<Value, CallError> {
        let parameters = vec![json!([self.rpc.company().await?]), json!(["currency.code"])];
        let companies: Vec<Record> = self.rpc.read("model.company.company.read", parameters).await?;
        let currency = companies.first().and_then(|company| at(company, "currency.code"));
        currency.ok_or_else(|| CallError::Unreadable("a company without a currency".to_owned()))
    }
}

impl Shelves for TrytonErp {
    async fn warehouse_from(&self, table: &ReadConfig, id: i64) -> Result<Option<Warehouse>, CallError> {
        let name = self.source(table, "warehouse").unwrap_or_default();
        let domain = [
            json!(["type", "=", "warehouse"]),
            json!([name, "!=", null]),
            json!(["id", ">=", id]),
        ];
        let fields = vec![name.to_owned(), "storage_location".to_owned()];
        let found = self
            .search("stock.location", &domain, 2, fields, json!({}))
            .await?;
        let Some(first) = found.first() else {
            return Ok(None);
        };
        let storage = first.get("storage_location").and_then(Value::as_i64);
        Ok(Some(Warehouse {
            id: id_of(first),
            // A warehouse is a location itself.
            whole: id_of(first),
            storage: storage
                .ok_or_else(|| CallError::Unreadable("a warehouse without a storage zone".to_owned()))?,
            name: at(first, name).unwrap_or_default(),
            next: found.get(1).map(id_of),
        }))
    }

    async fn moves(
        &self,
        table: &ReadConfig,
        warehouse: &Warehouse,
        after: i64,
        since: Timestamp,
    ) -> Result<Vec<Record>, CallError> {
        let within = |field: &str| json!([field, "child_of", [warehouse.storage], "parent"]);
        let domain = [
            json!(["company", "=", self.rpc.company().await?]),
            json!(["state", "=", "done"]),
            json!(["OR", [within("from_location")], [within("to_location")]]),
            changed_since("", since)?,
            json!(["id", ">", after]),
        ];
        let fields = named(["product", "write_date", "create_date"]);
        self.search("stock.move", &domain, table.page_size, fields, json!({}))
            .await
    }

    fn moved(movement: &Record) -> Option<i64> {
        movement.get("product").and_then(Value::as_i64)
    }

    fn version(known: u64, movement: &Record) -> u64 {
        known.max(version_of(movement, &[""]))
    }

    async fn goods_in(
        &self,
        table: &ReadConfig,
        warehouse: &Warehouse,
        which: Value,
    ) -> Result<Vec<Record>, CallError> {
        let sku = self.source(table, "sku").unwrap_or_default();
        let mut domain = vec![which, json!(["type", "=", "goods"]), json!([sku, "!=", null])];
        domain.extend(table.own_domain().unwrap_or_default());
        // Without the storage zone alone, goods that have come in and are not put away, and those that wait for the carrier, count.
        let context =
            json!({ "locations": [warehouse.whole], "stock_skip_warehouse": true, "with_childs": true });
        let fields = self.sources(table).into_iter().map(str::to_owned).collect();
        self.search("product.product", &domain, table.page_size, fields, context)
            .await
    }

    fn told_of(&self, table: &ReadConfig, goods: &Record, field: &str) -> Option<Value> {
        at(goods, self.source(table, field)?)
    }
}

impl ErpSource for TrytonErp {
    fn tells_changes(&self, _what: What) -> bool {
        true
    }

    async fn page(&self, ask: &Ask<'_>) -> Result<Page, ErpError> {
        self.places
            .take(async { self.read_page(ask).await.map_err(CallError::harmless) })
            .await
    }
}

pub(super) fn named<const N: usize>(fields: [&str; N]) -> Vec<String> {
    fields.map(str::to_owned).into()
}

pub(super) fn text<'r>(record: &'r Record, field: &str) -> Option<&'r str> {
    record.get(field)?.as_str()
}

/// What stands at a path such as `product.code`, as plain JSON.
pub(super) fn at(record: &Record, path: &str) -> Option<Value> {
    match path.split_once('.') {
        Some((field, rest)) => at(record.get(&format!("{field}."))?.as_object()?, rest),
        None => record.get(path).map(plain),
    }
}

/// Tryton's own forms of decimals, moments and days as texts.
fn plain(value: &Value) -> Value {
    let class = value.get("__class__").and_then(Value::as_str);
    let text = match class {
        Some("Decimal") => value.get("decimal").and_then(Value::as_str).map(str::to_owned),
        Some("datetime") => moment(value).map(|moment| moment.to_string()),
        Some("date") => day(value).map(|day| day.to_string()),
        Some(_) | None => None,
    };
    text.map_or_else(|| value.clone(), Value::String)
}

fn number<T: TryFrom<i64>>(value: &Value, name: &str) -> Option<T> {
    T::try_from(value.get(name)?.as_i64()?).ok()
}

fn day(value: &Value) -> Option<Date> {
    Date::new(
        number(value, "year")?,
        number(value, "month")?,
        number(value, "day")?,
    )
    .ok()
}

/// Tryton's moments are in UTC and name no zone.
fn moment(value: &Value) -> Option<jiff::Timestamp> {
    let nanoseconds = number::<i32>(value, "microsecond")?.checked_mul(1_000)?;
    let there = DateTime::new(
        number(value, "year")?,
        number(value, "month")?,
        number(value, "day")?,
        number(value, "hour")?,
        number(value, "minute")?,
        number(value, "second")?,
        nanoseconds,
    );
    let zoned = there.ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

/// When a record, or one that it points to, was last written, in microseconds.
pub(super) fn version_of(record: &Record, prefixes: &[&str]) -> u64 {
    let microseconds = |path: String| -> Option<u64> {
        let written: jiff::Timestamp = at(record, &path)?.as_str()?.parse().ok()?;
        u64::try_from(written.as_microsecond()).ok()
    };
    let newest = prefixes
        .iter()
        .flat_map(|prefix| ["write_date", "create_date"].map(|field| format!("{prefix}{field}")))
        .filter_map(microseconds)
        .max();
    newest.unwrap_or_default()
}

/// Records that were written since, or made since and not written again.
pub(super) fn changed_since(prefix: &str, since: Timestamp) -> Result<Value, CallError> {
    let unreadable = |error: jiff::Error| CallError::Refused(error.to_string());
    let since = jiff::Timestamp::from_millisecond(since.as_millis()).map_err(unreadable)?;
    let there = since.to_zoned(TimeZone::UTC).datetime();
    let since = json!({
        "__class__": "datetime",
        "year": there.year(),
        "month": there.month(),
        "day": there.day(),
        "hour": there.hour(),
        "minute": there.minute(),
        "second": there.second(),
        "microsecond": there.subsec_nanosecond() / 1_000,
    });
    let (written, made) = (format!("{prefix}write_date"), format!("{prefix}create_date"));
    Ok(json!([
        "OR",
        [[written, ">=", since]],
        [[written, "=", null], [made, ">=", since]]
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &Value) -> Record {
        value.as_object().unwrap().clone()
    }

    fn written(second: i64, microsecond: i64) -> Value {
        json!({ "__class__": "datetime", "year": 2026, "month": 11, "day": 28, "hour": 22, "minute": 43,
            "second": second, "microsecond": microsecond })
    }

    #[test]
    fn records_are_read_in_trytons_own_forms() {
        let record = record(
            &json!({ "id": 1, "quantity": 100.0, "write_date": null, "create_date": written(46, 35_754),
            "planned_date": { "__class__": "date", "year": 2026, "month": 12, "day": 24 },
            "list_price_used": { "__class__": "Decimal", "decimal": "12.5000" },
            "product.": { "id": 7, "code": "A-1" }, "shipment.": null }),
        );
        let cases = [
            ("product.code", Some(json!("A-1"))),
            ("planned_date", Some(json!("2026-12-24"))),
            ("create_date", Some(json!("2026-11-28T22:43:46.035754Z"))),
            ("list_price_used", Some(json!("12.5000"))),
            ("quantity", Some(json!(100.0))),
            ("shipment.number", None),
            ("nothing", None),
        ];
        for (path, expected) in cases {
            assert_eq!(at(&record, path), expected, "{path}");
        }
    }

    #[test]
    fn a_version_is_the_newest_moment_at_which_anything_of_it_was_written() {
        let made = record(&json!({ "write_date": null, "create_date": written(1, 5) }));
        let product = record(
            &json!({ "write_date": written(1, 7), "create_date": written(1, 5),
            "template.": { "write_date": written(2, 0), "create_date": written(1, 5) } }),
        );
        let base = version_of(&made, &[""]);
        assert_eq!(version_of(&product, &[""]), base + 2);
        assert_eq!(version_of(&product, &["", "template."]), base + 999_995);
        assert_eq!(version_of(&record(&json!({})), &[""]), 0);
    }

    #[test]
    fn what_was_made_and_never_written_again_has_changed_as_well() {
        let since = Timestamp::from_millis(1_772_366_400_123);
        let moment = json!({ "__class__": "datetime", "year": 2026, "month": 3, "day": 1, "hour": 12, "minute": 0,
            "second": 0, "microsecond": 123_000 });
        let expected = json!([
            "OR",
            [["template.write_date", ">=", moment]],
            [
                ["template.write_date", "=", null],
                ["template.create_date", ">=", moment]
            ]
        ]);
        assert_eq!(changed_since("template.", since), Ok(expected));
    }
}
