//! Price lists and contracts from Tryton's module `sale_price_list`.
//!
//! A line of a price list is a formula in Python. It is not translated: Tryton itself is asked what each product costs by the list, one of it
//! and so many as its lines name (`sale_price_uom` in the context of the list and a quantity), and that is the list's price here, with
//! the others as its breaks. So it is Tryton's own price, to its own decimals. What does not follow from list prices and the list alone is refused by
//! the name of the list: formulas with the cost price, of whose changes nothing tells; prices that include tax; parts of units; a product that
//! is sold in another unit than its default unit.
//!
//! A party with a sale price list has a contract whose base list is that one.

use super::super::call::CallError;
use super::super::read::{Place, Record, id_of, next_by_id, next_in_warehouse};
use super::super::{Ask, Page, ReadConfig, Refused, Row};
use super::TrytonErp;
use super::reading::{at, changed_since, named, text, version_of};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The model of price lists.
const LISTS: &str = "product.price_list";
/// What is read of them.
const FIELDS: [&str; 9] = [
    "name",
    "price",
    "tax_included",
    "write_date",
    "create_date",
    "lines.formula",
    "lines.quantity",
    "lines.write_date",
    "lines.create_date",
];
/// At so many quantities a list may be asked for its prices.
const MOST_QUANTITIES: usize = 16;

impl TrytonErp {
    async fn lists(&self, which: Value, limit: u32, path: &str) -> Result<Vec<Record>, CallError> {
        if !self.has_model(LISTS).await? {
            let reason = "Tryton has no price lists; activate its module sale_price_list";
            return Err(CallError::Transient(reason.to_owned()));
        }
        let domain = [json!(["company", "=", self.rpc.company().await?]), which];
        let mut fields = named(FIELDS);
        if !fields.iter().any(|field| field == path) {
            fields.push(path.to_owned());
        }
        self.search(LISTS, &domain, limit, fields, json!({})).await
    }

    /// A page of the products' prices by a list, one list after the other. `path` is where a list has its name.
    pub(super) async fn price_lists(&self, ask: &Ask<'_>, path: &str) -> Result<Page, CallError> {
        let (table, place) = (ask.table, Place::of(ask)?);
        let lists = self.lists(json!(["id", ">=", place.warehouse]), 2, path).await?;
        let Some(list) = lists.first() else {
            return Ok(Page::default());
        };
        let (id, next) = (id_of(list), lists.get(1).map(id_of));
        let quantities = match quantities(list) {
            Ok(quantities) => quantities,
            Err(reason) => return Ok(self.without(table, list, path, &reason, next)),
        };
        let sku = self.source(table, "sku").unwrap_or_default();
        let mut domain = vec![json!([sku, "!=", null]), json!(["id", ">", place.within(id)])];
        if let Some(since) = ask.since {
            let micros = u64::try_from(since.as_millis())
                .unwrap_or_default()
                .saturating_mul(1_000);
            if version_of_list(list) < micros {
                let (product, template) = (changed_since("", since)?, changed_since("template.", since)?);
                domain.push(json!(["OR", [product], [template]]));
            }
        }
        domain.extend(table.own_domain().unwrap_or_default());
        let mut fields = named([
            "sale_price_uom",
            "default_uom",
            "sale_uom",
            "write_date",
            "create_date",
            "template.write_date",
            "template.create_date",
        ]);
        fields.extend(
            self.sources(table)
                .into_iter()
                .filter(|source| *source != path)
                .map(str::to_owned),
        );
        let context = json!({ "price_list": id, "quantity": 1 });
        let found = self
            .search("product.product", &domain, table.page_size, fields, context)
            .await;
        let products = match found {
            // A formula that Tryton cannot reckon.
            Err(CallError::Refused(reason)) => return Ok(self.without(table, list, path, &reason, next)),
            found => found?,
        };
        let currency = self.company_currency().await?;
        let breaks = self.breaks(id, &products, &quantities).await?;
        let mut page = Page {
            next: next_in_warehouse(&products, table.page_size, id, next),
            ..Page::default()
        };
        for product in &products {
            let Some(unit) = at(product, "sale_price_uom").filter(|unit| !unit.is_null()) else {
                continue;
            };
            let of_product = breaks_of(&unit, breaks.get(&id_of(product)));
            let version = version_of(product, &["", "template."]).max(version_of_list(list));
            let row = table.row(|field| match field {
                "list" => at(list, path),
                "currency" => Some(currency.clone()),
                "unit" => Some(unit.clone()),
                "breaks" => Some(of_product.clone()),
                "rule" => Some(json!(format!("price-list-{id}"))),
                "version" => Some(json!(version)),
                field => at(product, self.source(table, field)?),
            });
            let is_in_its_unit = product.get("sale_uom") == product.get("default_uom");
            match row {
                Some(row) if is_in_its_unit => page.rows.push(row),
                Some(row) => {
                    let sku = at(product, sku)
                        .as_ref()
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned();
                    let reason = format!("{sku} is sold in another unit than its default unit in Tryton");
                    page.refused.push(Refused { row, reason });
                }
                None => {}
            }
        }
        Ok(page)
    }

    /// A list that is not read.
    fn without(
        &self,
        table: &ReadConfig,
        list: &Record,
        path: &str,
        reason: &str,
        next: Option<i64>,
    ) -> Page {
        let row = table.row(|field| (field == "list").then(|| at(list, path)).flatten());
        let refused = row.map(|row| refusal(row, list, reason));
        Page {
            refused: refused.into_iter().collect(),
            next: next.and_then(|next| next_in_warehouse(&[], table.page_size, 0, Some(next))),
            ..Page::default()
        }
    }

    /// By product what it costs at these quantities.
    async fn breaks(
        &self,
        list: i64,
        products: &[Record],
        quantities: &BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Vec<(i64, Value)>>, CallError> {
        let ids: Vec<i64> = products.iter().map(id_of).collect();
        let mut breaks: BTreeMap<i64, Vec<(i64, Value)>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(breaks);
        }
        for quantity in quantities {
            let context = json!({ "price_list": list, "quantity": quantity });
            let parameters = vec![json!(ids), json!(["sale_price_uom"])];
            let told: Vec<Record> = self
                .rpc
                .read_in("model.product.product.read", parameters, context)
                .await?;
            for product in &told {
                if let Some(unit) = at(product, "sale_price_uom").filter(|unit| !unit.is_null()) {
                    breaks.entry(id_of(product)).or_default().push((*quantity, unit));
                }
            }
        }
        Ok(breaks)
    }

    pub(super) async fn contracts(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        let (table, customer) = (ask.table, self.source(ask.table, "customer").unwrap_or_default());
        let company = self.rpc.company().await?;
        let own = |clause: Value| json!(["sale_price_lists", "where", [["company", "=", company], clause]]);
        if !self.has_model("party.party.sale_price_list").await? {
            let reason = "parties have no price lists in Tryton; activate its module sale_price_list";
            return Err(CallError::Transient(reason.to_owned()));
        }
        let mut domain = vec![
            json!([customer, "!=", null]),
            json!(["id", ">", Place::of(ask)?.after]),
            own(json!(["sale_price_list", "!=", null])),
        ];
        if let Some(since) = ask.since {
            let of_list = changed_since("sale_price_list.", since)?;
            domain.push(json!([
                "OR",
                [changed_since("", since)?],
                [own(changed_since("", since)?)],
                [own(of_list)]
            ]));
        }
        domain.extend(table.own_domain().unwrap_or_default());
        let mut fields = named([
            "sale_price_list",
            "write_date",
            "create_date",
            "sale_price_lists.write_date",
            "sale_price_lists.create_date",
        ]);
        fields.extend(self.sources(table).into_iter().map(str::to_owned));
        let parties = self
            .search("party.party", &domain, table.page_size, fields, json!({}))
            .await?;
        let ids: BTreeSet<i64> = parties.iter().filter_map(list_of).collect();
        let lists = if ids.is_empty() {
            Vec::new()
        } else {
            let most = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            self.lists(json!(["id", "in", ids]), most, "name").await?
        };
        let currency = self.company_currency().await?;
        let mut page = Page {
            next: next_by_id(&parties, table.page_size),
            ..Page::default()
        };
        for party in &parties {
            let list = list_of(party).and_then(|id| lists.iter().find(|list| id_of(list) == id));
            let Some(list) = list else {
                continue;
            };
            let own = party
                .get("sale_price_lists.")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let own = own.filter_map(Value::as_object).map(|own| version_of(own, &[""]));
            // Its lines are the list's own affair.
            let versions = own.chain([version_of(party, &[""]), version_of(list, &[""])]);
            let version = versions.max().unwrap_or_default();
            let row = table.row(|field| match (field, self.source(table, field)) {
                ("version", _) => Some(json!(version)),
                ("base_list", _) => at(list, "name"),
                (_, Some(path)) => at(party, path),
                ("currency", None) => Some(currency.clone()),
                ("terms", None) => Some(json!([])),
                (_, None) => None,
            });
            match (row, quantities(list)) {
                (Some(row), Ok(_)) => page.rows.push(row),
                (Some(row), Err(reason)) => page.refused.push(refusal(row, list, &reason)),
                (None, _) => {}
            }
        }
        Ok(page)
    }
}

fn refusal(row: Row, list: &Record, reason: &str) -> Refused {
    let who = row.get("customer").and_then(Value::as_str);
    let who = who
        .map(|customer| format!("{customer} buys at "))
        .unwrap_or_default();
    Refused {
        reason: format!(
            "{who}price list {} in Tryton: {reason}",
            text(list, "name").unwrap_or_default()
        ),
        row,
    }
}

fn list_of(party: &Record) -> Option<i64> {
    party.get("sale_price_list")?.as_i64()
}

fn lines(list: &Record) -> impl Iterator<Item = &Record> {
    let lines = list.get("lines.").and_then(Value::as_array);
    lines.into_iter().flatten().filter_map(Value::as_object)
}

/// When a list, or a line of it, was last written.
fn version_of_list(list: &Record) -> u64 {
    let lines = lines(list).map(|line| version_of(line, &[""]));
    lines.chain([version_of(list, &[""])]).max().unwrap_or_default()
}

/// The quantities above one at which a list may say another price; why it is not read otherwise.
fn quantities(list: &Record) -> Result<BTreeSet<i64>, String> {
    if list.get("tax_included").and_then(Value::as_bool) == Some(true) {
        return Err("its prices include tax".to_owned());
    }
    let is_of_cost = text(list, "price") == Some("cost_price");
    let mut quantities = BTreeSet::new();
    for line in lines(list) {
        let formula = text(line, "formula").unwrap_or_default();
        if formula.contains("cost_price") || is_of_cost && formula.contains("unit_price") {
            return Err(format!(
                "{formula} follows the cost price, of whose changes nothing tells"
            ));
        }
        let Some(told) = line.get("quantity").filter(|quantity| !quantity.is_null()) else {
            continue;
        };
        let quantity = told
            .to_string()
            .parse::<Decimal>()
            .ok()
            .map(|quantity| quantity.normalize());
        let whole = quantity.filter(|quantity| quantity.fract().is_zero());
        let whole = whole.and_then(|quantity| i64::try_from(quantity).ok());
        let whole = whole.ok_or_else(|| format!("{formula} is for {told} on, which is no whole number"))?;
        if whole > 1 {
            quantities.insert(whole);
        }
    }
    if quantities.len() > MOST_QUANTITIES {
        return Err(format!("it names more than {MOST_QUANTITIES} quantities"));
    }
    Ok(quantities)
}

/// The prices at greater quantities that are others than the one before.
fn breaks_of(unit: &Value, told: Option<&Vec<(i64, Value)>>) -> Value {
    let mut before = unit;
    let mut breaks = Vec::new();
    for (from, unit) in told.into_iter().flatten() {
        if unit != before {
            breaks.push(json!({ "from": from, "unit": unit }));
            before = unit;
        }
    }
    Value::Array(breaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &Value, lines: &[(&str, Value)]) -> Record {
        let mut list = fields.as_object().unwrap().clone();
        let lines = lines
            .iter()
            .map(|(formula, quantity)| json!({ "formula": formula, "quantity": quantity }));
        list.insert("lines.".to_owned(), lines.collect());
        list
    }

    #[test]
    fn what_does_not_follow_from_list_prices_alone_is_refused_by_its_formula() {
        let plain = json!({ "price": "list_price", "tax_included": false });
        let half = [
            ("unit_price * 0.5", json!(10.0)),
            ("12.50", json!(null)),
            ("list_price", json!(1.0)),
        ];
        assert_eq!(quantities(&list(&plain, &half)), Ok(BTreeSet::from([10])));
        let cases = [
            (
                json!({ "tax_included": true }),
                "list_price",
                json!(null),
                "include tax",
            ),
            (
                plain.clone(),
                "cost_price * 1.2",
                json!(null),
                "cost_price * 1.2 follows the cost price",
            ),
            (
                json!({ "price": "cost_price" }),
                "unit_price * 1.2",
                json!(null),
                "follows the cost price",
            ),
            (plain, "unit_price", json!(1.5), "for 1.5 on"),
        ];
        for (fields, formula, quantity, reason) in cases {
            let refusal = quantities(&list(&fields, &[(formula, quantity)])).unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
        }
    }

    #[test]
    fn a_break_is_where_the_price_becomes_another() {
        let told = [(5, json!("2.5000")), (10, json!("2.2500")), (20, json!("2.2500"))];
        let breaks = breaks_of(&json!("2.5000"), Some(&told.to_vec()));
        assert_eq!(breaks, json!([{ "from": 10, "unit": "2.2500" }]));
    }
}
