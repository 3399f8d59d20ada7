//! What Odoo keeps the record of, read by `search_read`.
//!
//! | what | Odoo |
//! |---|---|
//! | stock | `product.product` with `qty_available`, in the context of the stock location of a warehouse |
//! | stock that has changed | `stock.move.line`, done, from or to that location; the newest of them is the count's version |
//! | receipts | `stock.move` from a supplier's location to a warehouse, each a document of its own: what comes in parts becomes another move |
//! | customers | `res.partner` |
//! | price lists | fixed prices of `product.pricelist.item`, product by product ([`super::prices`]); a field of the product's, as one list |
//! | contracts | `res.partner` with a price list of its own |
//!
//! Pages are cut by the id of records. Changes are found by `write_date`, which Odoo keeps of every record, in UTC, to the microsecond; it tells
//! it to the second. What changes twice within a second bears one version, but for stock, where moves of one second are counted.

use super::OdooErp;
use super::sale::exact;
use crate::erp::call::CallError;
use crate::erp::read::{self, Place, Record, Shelves, Warehouse, id_of, next_by_id};
use crate::erp::{Ask, ErpError, ErpSource, Page, ReadConfig, What};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lockstep_runtime::time::Timestamp;
use serde_json::{Number, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How many records are read beside those of a page: the rules of its products, the products of its moves.
pub(super) const MOST_RECORDS: u32 = 10_000;

/// The fields that the connector reckons itself.
pub(in crate::erp) const fn reckoned(what: What) -> &'static [&'static str] {
    match what {
        What::Stock => &["version", "unit"],
        What::Receipts => &["document", "quantity", "due", "version", "unit"],
        What::Customers => &["version"],
        What::PriceLists => &["version", "breaks", "break_units", "from", "until"],
        What::Contracts => &["version", "base_list", "terms", "currency"],
    }
}

impl OdooErp {
    async fn read_page(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        match ask.table.what {
            What::Stock => read::stock(self, ask).await,
            What::Receipts => self.receipts(ask).await,
            What::Customers => self.customers(ask).await,
            What::PriceLists => self.prices(ask).await,
            What::Contracts => self.contracts(ask).await,
        }
    }

    /// Where Odoo has a field of a message: where the table says, or where it is usually.
    pub(super) fn source<'t>(&'t self, table: &'t ReadConfig, field: &str) -> Option<&'t str> {
        let usual = match (table.what, field) {
            (_, "sku") => Some(self.mapping.product_field()),
            (_, "customer") => Some(self.mapping.customer_field()),
            (What::Stock, "on_hand") => Some("qty_available"),
            _ => None,
        };
        table.fields.get(field).map(String::as_str).or(usual)
    }

    /// The fields that a table takes from records as they are, and these.
    pub(super) fn fields(&self, table: &ReadConfig, besides: &[&str]) -> Vec<String> {
        let fields = table.what.fields().filter(|field| *field != "warehouse");
        let sources = fields.filter_map(|field| self.source(table, field));
        let all: BTreeSet<&str> = sources.chain(besides.iter().copied()).collect();
        all.into_iter().map(str::to_owned).collect()
    }

    pub(super) async fn search(
        &self,
        model: &str,
        domain: &[Value],
        limit: u32,
        fields: &[String],
        context: Value,
    ) -> Result<Vec<Record>, CallError> {
        let body = json!({ "domain": domain, "fields": fields, "order": "id asc", "limit": limit, "context": context });
        self.rpc.read(model, "search_read", body).await
    }

    async fn receipts(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        let (table, place) = (ask.table, Place::of(ask)?);
        let Some(warehouse) = self.warehouse_from(table, place.warehouse).await? else {
            return Ok(Page::default());
        };
        let mut domain = vec![
            json!(["location_id.usage", "=", "supplier"]),
            json!(["location_dest_id", "child_of", warehouse.whole]),
            json!(["id", ">", place.within(warehouse.id)]),
        ];
        domain.push(match ask.since {
            Some(since) => written_since(since)?,
            None => json!(["state", "in", TO_COME]),
        });
        domain.extend(table.own_domain().unwrap_or_default());
        let fields = named(["product_id", "state", "product_qty", "date", "write_date"]);
        let moves = self
            .search("stock.move", &domain, table.page_size, &fields, json!({}))
            .await?;
        let skus = self.skus_of(table, &moves).await?;
        let rows = moves.iter().filter_map(|one| {
            let sku = skus.get(&one.get("product_id").and_then(pointed)?)?;
            let is_to_come = TO_COME.contains(&one.get("state")?.as_str()?);
            let due = at(one, "date").filter(|_| is_to_come);
            let quantity = if is_to_come {
                at(one, "product_qty")
            } else {
                Some(json!(0))
            };
            table.row(|field| match field {
                "sku" => Some(sku.clone()),
                "warehouse" => Some(warehouse.name.clone()),
                "document" => Some(json!(format!("move-{}", id_of(one)))),
                "quantity" => quantity.clone(),
                "due" => due.clone(),
                // What is over has changed for the last time.
                "version" => Some(json!(version_of(one) + u64::from(!is_to_come))),
                _ => None,
            })
        });
        Ok(Page {
            rows: rows.collect(),
            next: warehouse.next_page(&moves, table.page_size),
            ..Page::default()
        })
    }

    /// What the products that these records point to are called here; those without a code are left out.
    async fn skus_of(
        &self,
        table: &ReadConfig,
        records: &[Record],
    ) -> Result<BTreeMap<i64, Value>, CallError> {
        let ids: BTreeSet<i64> = records
            .iter()
            .filter_map(|record| record.get("product_id").and_then(pointed))
            .collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sku = self.source(table, "sku").unwrap_or_default();
        let domain = [json!(["id", "in", ids]), json!([sku, "!=", false])];
        let everything = json!({ "active_test": false });
        let products = self
            .search(
                "product.product",
                &domain,
                MOST_RECORDS,
                &named([sku]),
                everything,
            )
            .await?;
        let skus = products.iter().map(|product| (id_of(product), at(product, sku)));
        Ok(skus.filter_map(|(id, sku)| Some((id, sku?))).collect())
    }

    async fn customers(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        let (table, customer) = (ask.table, self.source(ask.table, "customer").unwrap_or_default());
        let mut domain = vec![
            json!([customer, "!=", false]),
            json!(["id", ">", Place::of(ask)?.after]),
        ];
        if let Some(since) = ask.since {
            domain.push(written_since(since)?);
        }
        domain.extend(table.own_domain().unwrap_or_default());
        let fields = self.fields(table, &["active", "write_date"]);
        // Those who are archived as well.
        let everybody = json!({ "active_test": false });
        let partners = self
            .search("res.partner", &domain, table.page_size, &fields, everybody)
            .await?;
        let currency = self.company_currency().await?;
        let rows = partners.iter().filter_map(|partner| {
            table.row(|field| match (field, self.source(table, field)) {
                ("version", _) => Some(json!(version_of(partner))),
                (_, Some(path)) => at(partner, path),
                ("status", None) => {
                    let is_active = partner.get("active").and_then(Value::as_bool) == Some(true);
                    Some(json!(if is_active { "active" } else { "closed" }))
                }
                ("currency", None) => Some(currency.clone()),
                (_, None) => None,
            })
        });
        Ok(Page {
            rows: rows.collect(),
            next: next_by_id(&partners, table.page_size),
            ..Page::default()
        })
    }

    /// That of the one company that the user belongs to.
    pub(super) async fn company_currency(&self) -> Result<Value, CallError> {
        let companies = self
            .search("res.company", &[], 1, &named(["currency_id"]), json!({}))
            .await?;
        let currency = companies
            .first()
            .and_then(|company| pointed_name(company, "currency_id"));
        currency.ok_or_else(|| CallError::Unreadable("a company without a currency".to_owned()))
    }
}

impl Shelves for OdooErp {
    async fn warehouse_from(&self, _: &ReadConfig, id: i64) -> Result<Option<Warehouse>, CallError> {
        let fields = named(["code", "lot_stock_id", "view_location_id"]);
        let found = self
            .search(
                "stock.warehouse",
                &[json!(["id", ">=", id])],
                2,
                &fields,
                json!({}),
            )
            .await?;
        let Some(first) = found.first() else {
            return Ok(None);
        };
        let location = |field: &str| {
            let location = first.get(field).and_then(pointed);
            location.ok_or_else(|| CallError::Unreadable(format!("a warehouse without {field}")))
        };
        Ok(Some(Warehouse {
            id: id_of(first),
            whole: location("view_location_id")?,
            storage: location("lot_stock_id")?,
            name: first.get("code").cloned().unwrap_or_default(),
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
        let domain = [
            json!(["state", "=", "done"]),
            json!("|"),
            json!(["location_id", "child_of", warehouse.storage]),
            json!(["location_dest_id", "child_of", warehouse.storage]),
            written_since(since)?,
            json!(["id", ">", after]),
        ];
        let fields = named(["product_id", "write_date"]);
        self.search("stock.move.line", &domain, table.page_size, &fields, json!({}))
            .await
    }

    fn moved(movement: &Record) -> Option<i64> {
        movement.get("product_id").and_then(pointed)
    }

    fn version(known: u64, movement: &Record) -> u64 {
        counted(known, version_of(movement))
    }

    async fn goods_in(
        &self,
        table: &ReadConfig,
        warehouse: &Warehouse,
        which: Value,
    ) -> Result<Vec<Record>, CallError> {
        let sku = self.source(table, "sku").unwrap_or_default();
        let mut domain = vec![
            which,
            json!(["is_storable", "=", true]),
            json!([sku, "!=", false]),
        ];
        domain.extend(table.own_domain().unwrap_or_default());
        let fields = self.fields(table, &[]);
        let context = json!({ "location": warehouse.storage });
        self.search("product.product", &domain, table.page_size, &fields, context)
            .await
    }

    fn told_of(&self, table: &ReadConfig, goods: &Record, field: &str) -> Option<Value> {
        at(goods, self.source(table, field)?)
    }
}

/// What a move is that has not come in and is not given up.
const TO_COME: [&str; 4] = ["waiting", "confirmed", "partially_available", "assigned"];

impl ErpSource for OdooErp {
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

/// The id of the record that a field points to, as in `[7, "A record"]`.
pub(super) fn pointed(value: &Value) -> Option<i64> {
    value.get(0)?.as_i64()
}

/// The name of the record that a field points to.
pub(super) fn pointed_name(record: &Record, field: &str) -> Option<Value> {
    record.get(field)?.get(1).cloned()
}

/// What a record has of a field, as plain JSON. Odoo tells what is not there as false, moments as `2026-03-01 12:00:00`, and numbers in
/// binary floating point.
pub(super) fn at(record: &Record, field: &str) -> Option<Value> {
    let value = record.get(field)?;
    match value {
        Value::Bool(false) | Value::Null => None,
        Value::Number(number) => Some(json!(exact(number).to_string())),
        Value::String(text) => Some(match moment(text) {
            Some(moment) => json!(moment.to_string()),
            None => value.clone(),
        }),
        Value::Array(pair) => pair.get(1).cloned(),
        Value::Bool(true) | Value::Object(_) => Some(value.clone()),
    }
}

fn moment(text: &str) -> Option<jiff::Timestamp> {
    let there = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Some(there.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// When a record was last written, in microseconds, of which Odoo tells whole seconds.
pub(super) fn version_of(record: &Record) -> u64 {
    let written = record.get("write_date").and_then(Value::as_str).and_then(moment);
    let microseconds = written.and_then(|written| u64::try_from(written.as_microsecond()).ok());
    microseconds.unwrap_or_default()
}

/// The version of what was moved at these moments: the newest, and of moves in its second how many beyond the first.
fn counted(known: u64, moved: u64) -> u64 {
    const SECOND: u64 = 1_000_000;
    match (known / SECOND).cmp(&(moved / SECOND)) {
        std::cmp::Ordering::Less => moved,
        std::cmp::Ordering::Equal => known.saturating_add(1),
        std::cmp::Ordering::Greater => known,
    }
}

/// Records that were written since.
pub(super) fn written_since(since: Timestamp) -> Result<Value, CallError> {
    let unreadable = |error: jiff::Error| CallError::Refused(error.to_string());
    let since = jiff::Timestamp::from_millisecond(since.as_millis()).map_err(unreadable)?;
    let since = since.strftime("%Y-%m-%d %H:%M:%S").to_string();
    Ok(json!(["write_date", ">=", since]))
}

/// A number as Odoo tells it.
pub(super) fn decimal(record: &Record, field: &str) -> rust_decimal::Decimal {
    let number: Option<&Number> = record.get(field).and_then(Value::as_number);
    number.map(exact).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &Value) -> Record {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn records_are_read_in_odoos_own_forms() {
        let record = record(
            &json!({ "id": 1, "qty_available": 100.0, "lst_price": 0.30000000000000004, "ref": false,
            "date": "2026-12-24 09:30:00", "product_id": [7, "[A-1] Anchor"], "default_code": "A-1" }),
        );
        let cases = [
            ("qty_available", Some(json!("100"))),
            ("lst_price", Some(json!("0.3"))),
            ("ref", None),
            ("date", Some(json!("2026-12-24T09:30:00Z"))),
            ("product_id", Some(json!("[A-1] Anchor"))),
            ("default_code", Some(json!("A-1"))),
            ("nothing", None),
        ];
        for (field, expected) in cases {
            assert_eq!(at(&record, field), expected, "{field}");
        }
    }

    #[test]
    fn moves_of_one_second_are_counted() {
        let moves = [5_000_000, 7_000_000, 7_000_000, 6_000_000, 7_000_000];
        let version = moves.into_iter().fold(0, counted);
        assert_eq!(version, 7_000_002);
    }
}
