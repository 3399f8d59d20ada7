//! An order as a sale of Tryton's, and a sale of Tryton's as what became of an order.

use super::super::ErpError;
use super::super::call::CallError;
use super::super::config::TrytonConfig;
use super::super::drafts::{self, CHARGES_FROM, Fate};
use super::rpc::Rpc;
use lockstep_actors::ids::DocumentId;
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects::{BookingCharge, BookingLine, BookingRequest};
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
    pub(super) fn agrees_with(&self, request: &BookingRequest) -> Result<(), ErpError> {
        let told = self
            .lines
            .iter()
            .filter_map(|line| Some((line.sequence?, line.amount?.decimal)));
        let sum = self
            .untaxed_amount
            .map(|number| number.decimal)
            .unwrap_or_default();
        drafts::compare("Tryton", request, &told.collect(), sum)
    }
}

/// What Tryton calls what an order speaks of.
#[derive(Clone, Debug)]
pub(super) struct Goods {
    pub(super) party: Party,
    pub(super) products: BTreeMap<String, Product>,
    pub(super) currency: i64,
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

    pub(super) async fn party(&self, rpc: &Rpc, request: &BookingRequest) -> Result<Party, ErpError> {
        let (field, customer) = (&self.config.customer_field, request.customer.as_str());
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

    pub(super) async fn currency(&self, rpc: &Rpc, request: &BookingRequest) -> Result<i64, ErpError> {
        let code = request.currency.to_string();
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
        request: &BookingRequest,
    ) -> Result<BTreeMap<String, Product>, ErpError> {
        let mut codes: BTreeSet<&str> = request.lines.iter().map(|line| line.sku.as_str()).collect();
        for charge in &request.charges {
            codes.insert(self.charge_product(charge)?);
        }
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

    fn charge_product(&self, charge: &BookingCharge) -> Result<&str, ErpError> {
        let name = charge.kind.name();
        self.config.charges.get(name).map(String::as_str).ok_or_else(|| {
            ErpError::Rejected(format!(
                "the order has a {name}; name the product for it in erp.tryton.charges.{name}"
            ))
        })
    }

    /// The values that a sale is created from.
    pub(super) fn sale(
        &self,
        request: &BookingRequest,
        goods: &Goods,
        company: i64,
    ) -> Result<Value, CallError> {
        let mut lines = Vec::with_capacity(request.lines.len() + request.charges.len());
        for line in &request.lines {
            let price = self.unit_price(line, request.currency)?;
            let product = product(goods, line.sku.as_str())?;
            lines.push(line_of(
                line.line.into(),
                product,
                line.quantity.get().units(),
                price,
            ));
        }
        for (sequence, charge) in (CHARGES_FROM..).zip(&request.charges) {
            let code = self
                .charge_product(charge)
                .map_err(|error| CallError::Refused(error.to_string()))?;
            lines.push(line_of(sequence, product(goods, code)?, 1, charge.amount));
        }
        Ok(json!({
            "company": company,
            "party": goods.party.id,
            "invoice_address": goods.party.address,
            "shipment_address": goods.party.address,
            "currency": goods.currency,
            "reference": request.reference.key(),
            "lines": [["create", lines]],
        }))
    }

    /// The unit price that gives the line's amount. Tryton rounds half to even.
    fn unit_price(&self, line: &BookingLine, currency: Currency) -> Result<Decimal, CallError> {
        let decimals = self.config.price_decimals;
        let price = drafts::unit_price(line, currency, decimals, RoundingStrategy::MidpointNearestEven);
        price.ok_or_else(|| {
            CallError::Refused(format!(
                "line {}: no unit price with {decimals} decimals gives {} for {}; raise price_decimal in \
                 Tryton's configuration and erp.tryton.price_decimals here",
                line.line,
                line.amount,
                line.quantity.get().units()
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

fn product(goods: &Goods, code: &str) -> Result<Product, CallError> {
    let product = goods.products.get(code).copied();
    product.ok_or_else(|| CallError::Refused(format!("no product in Tryton for {code}")))
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
