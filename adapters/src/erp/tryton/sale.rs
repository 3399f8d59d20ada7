//! An order as a sale of Tryton's, and a sale of Tryton's as what became of an order.

use super::super::ErpError;
use super::super::call::CallError;
use super::super::config::TrytonConfig;
use super::super::drafts::{self, Fate, Item, Wish, WishLine};
use super::rpc::Rpc;
use lockstep_actors::ids::{DocumentId, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects::ChargeKind;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is read of a sale.
pub(super) const FIELDS: [&str; 6] = [
    "state",
    "number",
    "sale_date",
    "untaxed_amount",
    "lines.sequence",
    "lines.amount",
];

/// Tryton's form of a decimal.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Number {
    decimal: Decimal,
}

/// A sale as Tryton tells it.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::erp) struct Sale {
    pub(super) id: i64,
    pub(super) state: String,
    pub(super) number: Option<String>,
    sale_date: Option<Value>,
    untaxed_amount: Option<Number>,
    #[serde(rename = "lines.", default)]
    lines: Vec<SaleLine>,
}

#[derive(Clone, Debug, Deserialize)]
struct SaleLine {
    sequence: Option<u32>,
    amount: Option<Number>,
}

impl drafts::Sale for Sale {
    fn id(&self) -> i64 {
        self.id
    }

    /// Confirming a sale gives it its date; nothing else does.
    fn fate(&self) -> Fate {
        match (self.state.as_str(), &self.sale_date) {
            ("draft" | "quotation" | "cancelled", None) => Fate::Loose,
            ("draft" | "quotation" | "cancelled", Some(_)) => Fate::Withdrawn,
            _ => Fate::Stands,
        }
    }

    fn is_cancelled(&self) -> bool {
        self.state == "cancelled"
    }

    fn number(&self) -> Result<DocumentId, CallError> {
        let number = self.number.as_deref().unwrap_or_default();
        DocumentId::new(number)
            .map_err(|error| CallError::Unreadable(format!("the sale's number {number:?}: {error}")))
    }
}

impl Sale {
    /// Whether Tryton has begun to deliver.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state.as_str(), "processing" | "done")
    }

    /// Whether Tryton reckons every line as we do, and so the whole.
    pub(super) fn agrees_with(&self, wish: &Wish) -> Result<(), ErpError> {
        let told = self
            .lines
            .iter()
            .filter_map(|line| Some((line.sequence?, line.amount?.decimal)));
        let sum = self
            .untaxed_amount
            .map(|number| number.decimal)
            .unwrap_or_default();
        drafts::compare("Tryton", wish, &told.collect(), sum)
    }
}

/// What Tryton calls what an order speaks of.
#[derive(Clone, Debug)]
pub(super) struct Goods {
    pub(super) party: Party,
    pub(super) products: BTreeMap<String, Product>,
    pub(super) currency: i64,
    /// Tryton's own choice if none.
    pub(super) warehouse: Option<i64>,
}

/// A sale that is to be made.
#[derive(Clone, Debug)]
pub(in crate::erp) struct Ordered {
    pub(super) wish: Wish,
    /// The sale that it takes back from, if it is a return.
    pub(super) returns: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    id: i64,
    address: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    id: i64,
    unit: i64,
}

/// How our fields become Tryton's.
#[derive(Debug)]
pub(super) struct Mapping {
    config: TrytonConfig,
}

#[derive(Deserialize)]
struct PartyRow {
    id: i64,
    addresses: Vec<i64>,
}

impl Mapping {
    pub(super) fn new(config: TrytonConfig) -> Self {
        Self { config }
    }

    /// The field of a product that holds our SKU.
    pub(super) fn product_field(&self) -> &str {
        &self.config.product_field
    }

    /// The field of a party that holds our customer id.
    pub(super) fn customer_field(&self) -> &str {
        &self.config.customer_field
    }

    pub(super) async fn party(&self, rpc: &Rpc, wish: &Wish) -> Result<Party, ErpError> {
        let (field, customer) = (&self.config.customer_field, wish.customer.as_str());
        let parameters = search(&json!([field, "=", customer]), 2, json!(["addresses"]));
        let rows: Vec<PartyRow> = rpc
            .read("model.party.party.search_read", parameters)
            .await
            .map_err(CallError::harmless)?;
        match rows.as_slice() {
            [party] => {
                let address = party.addresses.first().copied().ok_or_else(|| {
                    ErpError::Rejected(format!("customer {customer} has no address in Tryton; add one"))
                })?;
                Ok(Party {
                    id: party.id,
                    address,
                })
            }
            [] => Err(ErpError::Rejected(format!(
                "no party in Tryton has the {field} {customer}"
            ))),
            _ => Err(ErpError::Rejected(format!(
                "several parties in Tryton have the {field} {customer}"
            ))),
        }
    }

    /// Tryton's warehouse for ours; none where warehouses are not told.
    pub(super) async fn warehouse(
        &self,
        rpc: &Rpc,
        warehouse: Option<WarehouseCode>,
    ) -> Result<Option<i64>, ErpError> {
        let Some(ours) = warehouse.filter(|_| !self.config.warehouses.is_empty()) else {
            return Ok(None);
        };
        let code = self.config.warehouses.get(&ours).ok_or_else(|| {
            ErpError::Rejected(format!(
                "name Tryton's warehouse for {ours} in erp.tryton.warehouses"
            ))
        })?;
        let domain = json!([["code", "=", code], ["type", "=", "warehouse"]]);
        let parameters = vec![domain, json!(0), json!(1), Value::Null, json!(["code"])];
        let rows: Vec<Map<String, Value>> = rpc
            .read("model.stock.location.search_read", parameters)
            .await
            .map_err(CallError::harmless)?;
        let id = id_of(rows.first());
        id.map(Some)
            .ok_or_else(|| ErpError::Rejected(format!("no warehouse in Tryton has the code {code}")))
    }

    pub(super) async fn currency(&self, rpc: &Rpc, wish: &Wish) -> Result<i64, ErpError> {
        let code = wish.currency.to_string();
        let parameters = search(&json!(["code", "=", code]), 1, json!(["code"]));
        let rows: Vec<Map<String, Value>> = rpc
            .read("model.currency.currency.search_read", parameters)
            .await
            .map_err(CallError::harmless)?;
        id_of(rows.first())
            .ok_or_else(|| ErpError::Rejected(format!("Tryton has no currency {code}; activate it")))
    }

    /// Every product that the order and its charges need, by our name.
    pub(super) async fn products(
        &self,
        rpc: &Rpc,
        wish: &Wish,
    ) -> Result<BTreeMap<String, Product>, ErpError> {
        let codes = wish.lines.iter().map(|line| self.code(line));
        let codes: BTreeSet<&str> = codes.collect::<Result<_, _>>()?;
        let field = self.config.product_field.as_str();
        let limit = codes.len().saturating_mul(2);
        let parameters = search(&json!([field, "in", codes]), limit, json!([field, "default_uom"]));
        let rows: Vec<Map<String, Value>> = rpc
            .read("model.product.product.search_read", parameters)
            .await
            .map_err(CallError::harmless)?;
        let mut products = BTreeMap::new();
        for row in &rows {
            let code = row
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let unit = row.get("default_uom").and_then(Value::as_i64);
            if let (Some(id), Some(unit)) = (id_of(Some(row)), unit)
                && products.insert(code.clone(), Product { id, unit }).is_some()
            {
                return Err(ErpError::Rejected(format!(
                    "several products in Tryton have the {field} {code}"
                )));
            }
        }
        match codes.into_iter().find(|code| !products.contains_key(*code)) {
            Some(code) => Err(ErpError::Rejected(format!(
                "no product in Tryton has the {field} {code}"
            ))),
            None => Ok(products),
        }
    }

    /// The code of a line's product.
    fn code<'a>(&'a self, line: &'a WishLine) -> Result<&'a str, ErpError> {
        match &line.item {
            Item::Goods(sku) => Ok(sku.as_str()),
            Item::Charge(kind) => self.charge_product(*kind),
        }
    }

    fn charge_product(&self, kind: ChargeKind) -> Result<&str, ErpError> {
        let name = kind.name();
        self.config.charges.get(name).map(String::as_str).ok_or_else(|| {
            ErpError::Rejected(format!(
                "the order has a {name}; name the product for it in erp.tryton.charges.{name}"
            ))
        })
    }

    /// The values that a sale is created from. A return is invoiced at once, whether goods come back or not; what comes back is
    /// received by whoever says so.
    pub(super) fn sale(&self, ordered: &Ordered, goods: &Goods, company: i64) -> Result<Value, ErpError> {
        let wish = &ordered.wish;
        let mut lines = Vec::with_capacity(wish.lines.len());
        for line in &wish.lines {
            let price = self.unit_price(line, wish.currency)?;
            let product = product(goods, self.code(line)?)?;
            lines.push(line_of(line.sequence, product, line.units, price));
        }
        let mut values = json!({
            "company": company,
            "party": goods.party.id,
            "invoice_address": goods.party.address,
            "shipment_address": goods.party.address,
            "currency": goods.currency,
            "reference": wish.key,
            "lines": [["create", lines]],
        });
        if let Some(sale) = ordered.returns {
            values["origin"] = json!(format!("sale.sale,{sale}"));
            values["invoice_method"] = json!("order");
            values["shipment_method"] = json!("manual");
        }
        if let Some(warehouse) = goods.warehouse {
            values["warehouse"] = json!(warehouse);
        }
        Ok(values)
    }

    /// The unit price that gives the line's amount. Tryton rounds half to even.
    fn unit_price(&self, line: &WishLine, currency: Currency) -> Result<Decimal, ErpError> {
        let decimals = self.config.price_decimals;
        let price = line.price_that_fits(currency, decimals, RoundingStrategy::MidpointNearestEven);
        price.ok_or_else(|| {
            ErpError::Rejected(format!(
                "line {}: no unit price with {decimals} decimals gives {} for {}; raise price_decimal in \
                 Tryton's configuration and erp.tryton.price_decimals here",
                line.sequence, line.amount, line.units
            ))
        })
    }
}

fn search(clause: &Value, limit: usize, fields: Value) -> Vec<Value> {
    vec![json!([clause]), json!(0), json!(limit), Value::Null, fields]
}

fn id_of(row: Option<&Map<String, Value>>) -> Option<i64> {
    row?.get("id")?.as_i64()
}

fn product(goods: &Goods, code: &str) -> Result<Product, ErpError> {
    let product = goods.products.get(code).copied();
    product.ok_or_else(|| ErpError::Rejected(format!("no product in Tryton for {code}")))
}

fn line_of(sequence: u32, product: Product, quantity: i64, unit_price: Decimal) -> Value {
    json!({
        "type": "line",
        "sequence": sequence,
        "product": product.id,
        "unit": product.unit,
        "quantity": quantity,
        "unit_price": { "__class__": "Decimal", "decimal": unit_price.to_string() },
    })
}
