//! Price lists and contracts from Odoo's price lists.
//!
//! A rule of a price list (`product.pricelist.item`) that fixes the price of a product or of its template's variants is a price here, with the
//! quantities from which others hold as its breaks. Odoo takes the first rule that fits, by `applied_on`, the greater `min_quantity`, the newer
//! rule (<https://www.odoo.com/documentation/19.0/applications/sales/sales/products_prices/prices/pricing.html>); what cannot be said so is
//! refused by the name of rule and list: rules that follow another price, parts of units, periods that overlap otherwise than here the later
//! one counts.
//!
//! A customer with a price list of its own has a contract whose base list bears that one's name. If the list is nothing but a discount on
//! everything the base list is `standard`, and the discount a term.

use super::OdooErp;
use super::reading::{MOST_RECORDS, at, decimal, named, pointed, pointed_name, version_of, written_since};
use crate::erp::call::CallError;
use crate::erp::read::{Place, Record, id_of, next_by_id};
use crate::erp::{Ask, Page, ReadConfig, Refused, Row};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The model of price lists' rules.
const RULES: &str = "product.pricelist.item";
/// What is read of a rule.
const RULE_FIELDS: [&str; 12] = [
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
];
/// For which goods a rule is that names its product, the nearer first.
const OF_PRODUCTS: [&str; 2] = ["0_product_variant", "1_product"];

/// A price in force in a period, from one on and from greater quantities on.
#[derive(Debug, PartialEq)]
struct Period {
    from: Option<Value>,
    until: Option<Value>,
    unit: Decimal,
    breaks: Vec<(i64, Decimal)>,
    version: u64,
    /// The newest rule's id.
    rule: i64,
}

impl OdooErp {
    pub(super) async fn prices(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        let (table, after) = (ask.table, Place::of(ask)?.after);
        let sku = self.source(table, "sku").unwrap_or_default();
        let mut domain = vec![json!([sku, "!=", false]), json!(["id", ">", after])];
        let own_field = self.source(table, "unit");
        if let Some(since) = ask.since {
            let written = written_since(since)?;
            if own_field.is_some() {
                domain.push(written);
            } else {
                domain.extend(self.products_of_rules(written).await?);
            }
        }
        domain.extend(table.own_domain().unwrap_or_default());
        let fields = self.fields(table, &["product_tmpl_id", "write_date"]);
        let products = self
            .search("product.product", &domain, table.page_size, &fields, json!({}))
            .await?;
        let mut page = Page {
            next: next_by_id(&products, table.page_size),
            ..Page::default()
        };
        if own_field.is_some() {
            let currency = self.company_currency().await?;
            let rows = products.iter();
            page.rows
                .extend(rows.filter_map(|product| self.own_price(table, product, &currency)));
        } else {
            self.listed(table, &products, &mut page).await?;
        }
        Ok(page)
    }

    /// A price that stands in a field of the product's, as one list.
    fn own_price(&self, table: &ReadConfig, product: &Record, currency: &Value) -> Option<Row> {
        table.row(|field| match (field, self.source(table, field)) {
            ("version", _) => Some(json!(version_of(product))),
            (_, Some(path)) => at(product, path),
            ("list", None) => Some(json!("standard")),
            ("rule", None) => Some(json!("erp-list")),
            ("currency", None) => Some(currency.clone()),
            (_, None) => None,
        })
    }

    /// The products of which rules were written since.
    async fn products_of_rules(&self, written: Value) -> Result<Vec<Value>, CallError> {
        let domain = [json!(["applied_on", "in", OF_PRODUCTS]), written];
        let rules = self.rules(&domain).await?;
        let of = |field: &str| -> BTreeSet<i64> {
            let ids = rules.iter().filter_map(|rule| rule.get(field).and_then(pointed));
            ids.collect()
        };
        Ok(vec![
            json!("|"),
            json!(["id", "in", of("product_id")]),
            json!(["product_tmpl_id", "in", of("product_tmpl_id")]),
        ])
    }

    async fn rules(&self, domain: &[Value]) -> Result<Vec<Record>, CallError> {
        let fields = named(RULE_FIELDS);
        let rules = self
            .search(RULES, domain, MOST_RECORDS, &fields, json!({}))
            .await?;
        if rules.len() >= usize::try_from(MOST_RECORDS).unwrap_or(usize::MAX) {
            let reason = format!(
                "Odoo has {MOST_RECORDS} rules of price lists for a page; read with a smaller page_size"
            );
            return Err(CallError::Transient(reason));
        }
        Ok(rules)
    }

    /// The prices of these products in all price lists.
    async fn listed(
        &self,
        table: &ReadConfig,
        products: &[Record],
        page: &mut Page,
    ) -> Result<(), CallError> {
        let ids: Vec<i64> = products.iter().map(id_of).collect();
        let templates: BTreeSet<i64> = products
            .iter()
            .filter_map(|product| product.get("product_tmpl_id").and_then(pointed))
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let domain = [
            json!(["applied_on", "in", OF_PRODUCTS]),
            json!("|"),
            json!(["product_id", "in", ids]),
            json!(["product_tmpl_id", "in", templates]),
        ];
        let rules = self.rules(&domain).await?;
        let lists = self.lists(&rules).await?;
        for product in products {
            let mut by_list: BTreeMap<i64, Vec<&Record>> = BTreeMap::new();
            for rule in rules.iter().filter(|rule| is_for(rule, product)) {
                if let Some(list) = rule.get("pricelist_id").and_then(pointed) {
                    by_list.entry(list).or_default().push(rule);
                }
            }
            for (list, rules) in by_list {
                if let Some(list) = lists.get(&list) {
                    self.of_product(table, product, list, &rules, page);
                }
            }
        }
        Ok(())
    }

    /// The price lists that rules belong to, by id.
    async fn lists(&self, rules: &[Record]) -> Result<BTreeMap<i64, Record>, CallError> {
        let ids: BTreeSet<i64> = rules
            .iter()
            .filter_map(|rule| rule.get("pricelist_id").and_then(pointed))
            .collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let fields = named(["name", "currency_id", "write_date"]);
        let lists = self
            .search(
                "product.pricelist",
                &[json!(["id", "in", ids])],
                MOST_RECORDS,
                &fields,
                json!({}),
            )
            .await?;
        Ok(lists.into_iter().map(|list| (id_of(&list), list)).collect())
    }

    /// What a list says of a product.
    fn of_product(
        &self,
        table: &ReadConfig,
        product: &Record,
        list: &Record,
        rules: &[&Record],
        page: &mut Page,
    ) {
        let sku = at(product, self.source(table, "sku").unwrap_or_default());
        let row = |period: Option<&Period>| {
            table.row(|field| match field {
                "sku" => sku.clone(),
                "list" => at(list, "name"),
                "currency" => pointed_name(list, "currency_id"),
                "unit" => period.map(|period| json!(period.unit.to_string())),
                "rule" => period.map(|period| json!(format!("item-{}", period.rule))),
                "version" => period.map(|period| json!(period.version)),
                "from" => period.and_then(|period| period.from.clone()),
                "until" => period.and_then(|period| period.until.clone()),
                "breaks" => period.map(breaks),
                _ => None,
            })
        };
        match periods(rules) {
            Ok(periods) => page
                .rows
                .extend(periods.iter().filter_map(|period| row(Some(period)))),
            Err(reason) => page.refused.extend(row(None).map(|row| Refused {
                reason: format!(
                    "{} in price list {}: {reason}",
                    sku.as_ref().and_then(Value::as_str).unwrap_or_default(),
                    list.get("name").and_then(Value::as_str).unwrap_or_default()
                ),
                row,
            })),
        }
    }

    pub(super) async fn contracts(&self, ask: &Ask<'_>) -> Result<Page, CallError> {
        const OWN_LIST: &str = "specific_property_product_pricelist";
        let (table, customer) = (ask.table, self.source(ask.table, "customer").unwrap_or_default());
        let mut domain = vec![
            json!([customer, "!=", false]),
            json!([OWN_LIST, "!=", false]),
            json!(["id", ">", Place::of(ask)?.after]),
        ];
        if let Some(since) = ask.since {
            let written = written_since(since)?;
            let rules = self.rules(std::slice::from_ref(&written)).await?;
            let changed: BTreeSet<i64> = rules
                .iter()
                .filter_map(|rule| rule.get("pricelist_id").and_then(pointed))
                .collect();
            domain.extend([json!("|"), written, json!([OWN_LIST, "in", changed])]);
        }
        domain.extend(table.own_domain().unwrap_or_default());
        let fields = self.fields(table, &[OWN_LIST, "write_date"]);
        let partners = self
            .search("res.partner", &domain, table.page_size, &fields, json!({}))
            .await?;
        let ids: BTreeSet<i64> = partners
            .iter()
            .filter_map(|partner| partner.get(OWN_LIST).and_then(pointed))
            .collect();
        let rules = if ids.is_empty() {
            Vec::new()
        } else {
            self.rules(&[json!(["pricelist_id", "in", ids])]).await?
        };
        let lists = self.lists(&rules).await?;
        let mut page = Page {
            next: next_by_id(&partners, table.page_size),
            ..Page::default()
        };
        for partner in &partners {
            let own = partner
                .get(OWN_LIST)
                .and_then(pointed)
                .and_then(|own| lists.get(&own));
            if let Some(list) = own {
                let of_list =
                    |rule: &&Record| rule.get("pricelist_id").and_then(pointed) == Some(id_of(list));
                let rules: Vec<&Record> = rules.iter().filter(of_list).collect();
                self.contract(table, partner, list, &rules, &mut page);
            }
        }
        Ok(page)
    }

    fn contract(
        &self,
        table: &ReadConfig,
        partner: &Record,
        list: &Record,
        rules: &[&Record],
        page: &mut Page,
    ) {
        let written = rules.iter().map(|rule| version_of(rule));
        let version = written.chain([version_of(partner), version_of(list)]).max();
        let said = terms_of(rules);
        let (base_list, terms) = match &said {
            Ok(None) => (at(list, "name"), Some(json!([]))),
            Ok(Some(term)) => (Some(json!("standard")), Some(json!([term]))),
            Err(_) => (None, None),
        };
        let row = table.row(|field| match (field, self.source(table, field)) {
            ("version", _) => version.map(Value::from),
            (_, Some(path)) => at(partner, path),
            ("currency", None) => pointed_name(list, "currency_id"),
            ("base_list", None) => base_list.clone(),
            ("terms", None) => terms.clone(),
            (_, None) => None,
        });
        let Some(row) = row else {
            return;
        };
        match said {
            Ok(_) => page.rows.push(row),
            Err(reason) => {
                let list = list.get("name").and_then(Value::as_str).unwrap_or_default();
                let customer = self.source(table, "customer").and_then(|path| at(partner, path));
                let customer = customer
                    .as_ref()
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                page.refused.push(Refused {
                    row,
                    reason: format!("{customer} buys at price list {list}: {reason}"),
                });
            }
        }
    }
}

/// Whether a rule is for a product, itself or as a variant of its template.
fn is_for(rule: &Record, product: &Record) -> bool {
    let points_to = |field: &str| rule.get(field).and_then(pointed);
    match rule.get("applied_on").and_then(Value::as_str) {
        Some("0_product_variant") => points_to("product_id") == Some(id_of(product)),
        Some("1_product") => {
            let template = product.get("product_tmpl_id").and_then(pointed);
            template.is_some() && points_to("product_tmpl_id") == template
        }
        Some(_) | None => false,
    }
}

fn breaks(period: &Period) -> Value {
    let breaks = period.breaks.iter();
    breaks
        .map(|(from, unit)| json!({ "from": from, "unit": unit.to_string() }))
        .collect()
}

/// From which quantity on a rule holds.
fn quantity_of(rule: &Record) -> Result<i64, String> {
    let quantity = decimal(rule, "min_quantity").max(Decimal::ONE);
    if !quantity.fract().is_zero() {
        return Err(format!(
            "rule {} is for {quantity} on, which is no whole number",
            id_of(rule)
        ));
    }
    i64::try_from(quantity).map_err(|error| format!("rule {}: {error}", id_of(rule)))
}

/// What the rules of a list say of a product, period by period.
fn periods(rules: &[&Record]) -> Result<Vec<Period>, String> {
    let mut by_period: BTreeMap<(Option<String>, Option<String>), Vec<&Record>> = BTreeMap::new();
    for rule in rules {
        let kind = rule
            .get("compute_price")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if kind != "fixed" {
            return Err(format!("rule {} follows another price ({kind})", id_of(rule)));
        }
        let moment = |field| at(rule, field).and_then(|moment| moment.as_str().map(str::to_owned));
        let period = (moment("date_start"), moment("date_end"));
        by_period.entry(period).or_default().push(rule);
    }
    let mut periods = Vec::with_capacity(by_period.len());
    for ((from, until), rules) in by_period {
        periods.push(period(from.map(Value::from), until.map(Value::from), &rules)?);
    }
    for (place, earlier) in periods.iter().enumerate() {
        for later in &periods[place + 1..] {
            if overlap(earlier, later) && !is_newer_throughout(later, earlier) {
                return Err(format!(
                    "rules {} and {} are in force at a time, and not the one that begins later is the newer",
                    earlier.rule, later.rule
                ));
            }
        }
    }
    Ok(periods)
}

/// Periods are sorted by their beginning. Here the one that begins later counts; in Odoo the newer rule, if it is of as many units.
fn is_newer_throughout(later: &Period, earlier: &Period) -> bool {
    later.from != earlier.from
        && later.rule > earlier.rule
        && later.breaks.is_empty()
        && earlier.breaks.is_empty()
}

fn overlap(earlier: &Period, later: &Period) -> bool {
    let begins = later.from.as_ref().and_then(Value::as_str);
    let ends = earlier.until.as_ref().and_then(Value::as_str);
    match (begins, ends) {
        (Some(begins), Some(ends)) => begins < ends,
        (None, _) | (_, None) => true,
    }
}

/// The first rule that fits, for every quantity at which another one may.
fn period(from: Option<Value>, until: Option<Value>, rules: &[&Record]) -> Result<Period, String> {
    let mut ranked: Vec<(bool, i64, i64, &Record)> = Vec::with_capacity(rules.len());
    for rule in rules {
        let is_of_variant = rule.get("applied_on").and_then(Value::as_str) == Some(OF_PRODUCTS[0]);
        ranked.push((is_of_variant, quantity_of(rule)?, id_of(rule), rule));
    }
    ranked.sort_by_key(|(is_of_variant, quantity, id, _)| (!is_of_variant, -quantity, -id));
    let quantities: BTreeSet<i64> = ranked.iter().map(|(_, quantity, ..)| *quantity).collect();
    let mut steps: Vec<(i64, Decimal)> = Vec::with_capacity(quantities.len());
    for quantity in quantities {
        let fits = ranked.iter().find(|(_, least, ..)| *least <= quantity);
        let price = fits.map(|(.., rule)| decimal(rule, "fixed_price"));
        if let Some(price) = price.filter(|price| steps.last().is_none_or(|(_, last)| last != price)) {
            steps.push((quantity, price));
        }
    }
    let version = rules
        .iter()
        .map(|rule| version_of(rule))
        .max()
        .unwrap_or_default();
    let rule = rules.iter().map(|rule| id_of(rule)).max().unwrap_or_default();
    match steps.split_first() {
        Some(((1, unit), breaks)) => Ok(Period {
            from,
            until,
            unit: *unit,
            breaks: breaks.to_vec(),
            version,
            rule,
        }),
        Some(((least, _), _)) => Err(format!("it has no price for less than {least}")),
        None => Err("it has no rule".to_owned()),
    }
}

/// The term that the rules of a list come to beside their prices; none if all of them are prices of products.
fn terms_of(rules: &[&Record]) -> Result<Option<Value>, String> {
    let text = |rule: &Record, field: &str| {
        let text = rule.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let of_products = |rule: &&&Record| {
        OF_PRODUCTS.contains(&text(rule, "applied_on").as_str()) && text(rule, "compute_price") == "fixed"
    };
    let others: Vec<&&Record> = rules.iter().filter(|rule| !of_products(rule)).collect();
    let Some(rule) = others.first() else {
        return Ok(None);
    };
    let is_discount = text(rule, "applied_on") == "3_global"
        && text(rule, "compute_price") == "percentage"
        && matches!(text(rule, "base").as_str(), "list_price" | "");
    let is_always = at(rule, "date_start").is_none() && at(rule, "date_end").is_none();
    if rules.len() > 1 || !is_discount || !is_always || quantity_of(rule)? > 1 {
        return Err(format!(
            "rule {} ({}, {}) is no price of a product, and no discount on everything that stands alone",
            id_of(rule),
            text(rule, "applied_on"),
            text(rule, "compute_price")
        ));
    }
    let percent = decimal(rule, "percent_price").to_string();
    Ok(Some(
        json!({ "rule": format!("item-{}", id_of(rule)), "version": version_of(rule),
        "effect": { "discount": { "percent": percent } } }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: i64, on: &str, least: f64, price: f64) -> Record {
        json!({ "id": id, "applied_on": on, "compute_price": "fixed", "min_quantity": least, "fixed_price": price,
            "write_date": "2026-03-01 12:00:00" })
        .as_object()
        .unwrap()
        .clone()
    }

    fn with(mut rule: Record, fields: &[(&str, Value)]) -> Record {
        for (field, value) in fields {
            rule.insert((*field).to_owned(), value.clone());
        }
        rule
    }

    /// The unit price of a period, and its breaks.
    type Told = (String, Vec<(i64, String)>);

    fn told(rules: &[Record]) -> Result<Vec<Told>, String> {
        let rules: Vec<&Record> = rules.iter().collect();
        let periods = periods(&rules)?.into_iter().map(|period| {
            let breaks = period.breaks.iter();
            let breaks = breaks.map(|(from, unit)| (*from, unit.to_string())).collect();
            (period.unit.to_string(), breaks)
        });
        Ok(periods.collect())
    }

    #[test]
    fn the_first_rule_that_fits_gives_the_price_at_every_quantity() {
        const VARIANT: &str = "0_product_variant";
        const TEMPLATE: &str = "1_product";
        let one = |unit: &str, breaks: &[(i64, &str)]| {
            let breaks = breaks.iter().map(|(from, unit)| (*from, (*unit).to_owned()));
            Ok(vec![(unit.to_owned(), breaks.collect())])
        };
        let cases = [
            (vec![rule(1, TEMPLATE, 0.0, 12.5)], one("12.5", &[])),
            // The variant's own price, however few the template's is for.
            (
                vec![rule(1, TEMPLATE, 0.0, 12.5), rule(2, VARIANT, 10.0, 11.0)],
                one("12.5", &[(10, "11")]),
            ),
            (
                vec![rule(1, TEMPLATE, 5.0, 9.0), rule(2, VARIANT, 1.0, 11.0)],
                one("11", &[]),
            ),
            // Of equal ones the newer.
            (
                vec![rule(1, VARIANT, 0.0, 12.5), rule(2, VARIANT, 1.0, 11.0)],
                one("11", &[]),
            ),
            (
                vec![rule(1, VARIANT, 10.0, 12.5)],
                Err("it has no price for less than 10".to_owned()),
            ),
            (
                vec![rule(1, VARIANT, 1.5, 12.5)],
                Err("rule 1 is for 1.5 on, which is no whole number".to_owned()),
            ),
            (
                vec![with(
                    rule(1, VARIANT, 0.0, 1.0),
                    &[("compute_price", json!("formula"))],
                )],
                Err("rule 1 follows another price (formula)".to_owned()),
            ),
        ];
        for (rules, expected) in cases {
            assert_eq!(told(&rules), expected, "{rules:?}");
        }
    }

    #[test]
    fn a_period_that_begins_later_counts_if_its_rule_is_the_newer() {
        let summer = [
            ("date_start", json!("2026-06-01 00:00:00")),
            ("date_end", json!("2026-09-01 00:00:00")),
        ];
        let always = |id| rule(id, "1_product", 0.0, 12.5);
        let in_summer = |id| with(rule(id, "1_product", 0.0, 11.0), &summer);
        let told_newer = told(&[always(1), in_summer(2)]).unwrap();
        assert_eq!(
            told_newer,
            [("12.5".to_owned(), Vec::new()), ("11".to_owned(), Vec::new())]
        );
        let refusal = told(&[always(3), in_summer(2)]).unwrap_err();
        assert!(
            refusal.contains("rules 3 and 2 are in force at a time"),
            "{refusal}"
        );
    }

    #[test]
    fn a_list_is_prices_or_one_discount_on_everything() {
        let discount = |id| {
            with(
                rule(id, "3_global", 0.0, 0.0),
                &[
                    ("compute_price", json!("percentage")),
                    ("base", json!("list_price")),
                    ("percent_price", json!(12.5)),
                ],
            )
        };
        let price = rule(1, "1_product", 0.0, 12.5);
        assert_eq!(terms_of(&[&price]), Ok(None));
        let term = terms_of(&[&discount(2)]).unwrap().unwrap();
        assert_eq!(term["effect"], json!({ "discount": { "percent": "12.5" } }));
        let by_category = with(discount(3), &[("applied_on", json!("2_product_category"))]);
        let formula = with(discount(4), &[("compute_price", json!("formula"))]);
        let of_many = with(discount(5), &[("min_quantity", json!(10.0))]);
        for rules in [
            vec![&price, &discount(2)],
            vec![&by_category],
            vec![&formula],
            vec![&of_many],
        ] {
            let refusal = terms_of(&rules).unwrap_err();
            assert!(refusal.contains("is no price of a product"), "{refusal}");
        }
    }
}
