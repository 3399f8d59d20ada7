//! An order as a sales order of Odoo's, and a sales order of Odoo's as what became of an order.

use super::config::OdooConfig;
use super::rpc::Rpc;
use crate::erp::ErpError;
use crate::erp::call::CallError;
use crate::erp::drafts::{self, Fate, Item, Wish, WishLine};
use lockstep_actors::ids::{CustomerId, DocumentId, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects::ChargeKind;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is read of a sale.
pub(super) const FIELDS: [&str; 5] = [
    "name",
    "state",
    "amount_untaxed",
    "currency_id",
    "partner_invoice_id",
];
/// What is read of a line.
pub(super) const LINE_FIELDS: [&str; 5] = [
    "sequence",
    "price_subtotal",
    "product_uom_qty",
    "qty_delivered",
    "qty_invoiced",
];
/// To how many decimals amounts are read: what lies behind them is of binary floating point.
const EXACT: u32 = 6;

/// A sale as Odoo tells it.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::erp) struct Sale {
    id: i64,
    name: String,
    state: String,
    amount_untaxed: Number,
    /// Id and name, or false.
    currency_id: Value,
    /// As well.
    partner_invoice_id: Value,
}

/// A line of one.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    pub(super) id: i64,
    pub(super) sequence: u32,
    price_subtotal: Number,
    product_uom_qty: Number,
    qty_delivered: Number,
    qty_invoiced: Number,
}

/// What a number of Odoo's means.
pub(super) fn exact(number: &Number) -> Decimal {
    let text = number.to_string();
    let decimal = text.parse().or_else(|_| Decimal::from_scientific(&text));
    decimal.unwrap_or_default().round_dp(EXACT).normalize()
}

impl drafts::Sale for Sale {
    fn id(&self) -> i64 {
        self.id
    }

    fn fate(&self) -> Fate {
        match self.state.as_str() {
            "draft" | "sent" => Fate::Loose,
            "cancel" => Fate::Withdrawn,
            _ => Fate::Stands,
        }
    }

    fn is_cancelled(&self) -> bool {
        self.state == "cancel"
    }

    fn number(&self) -> Result<DocumentId, CallError> {
        DocumentId::new(&self.name).map_err(|error| {
            CallError::Unreadable(format!("the sales order's name {:?}: {error}", self.name))
        })
    }
}

impl Sale {
    /// What Odoo calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whom it is invoiced to, by id.
    pub(super) fn invoiced_to(&self) -> Option<i64> {
        self.partner_invoice_id[0].as_i64()
    }

    /// Its currency, by id.
    pub(super) fn currency(&self) -> Option<i64> {
        self.currency_id[0].as_i64()
    }

    /// Whether somebody has marked the quotation as sent.
    pub(super) fn is_sent(&self) -> bool {
        self.state == "sent"
    }

    /// Whether Odoo reckons in the order's currency, every line as we do, and so the whole.
    pub(super) fn agrees_with(&self, wish: &Wish, lines: &[Line]) -> Result<(), ErpError> {
        let currency = self.currency_id[1].as_str().unwrap_or_default();
        if currency != wish.currency.code() {
            return Err(ErpError::Rejected(format!(
                "Odoo would book in {currency}, not in {ours}; name a price list for it in erp.odoo.pricelists.{ours}",
                ours = wish.currency
            )));
        }
        let told = lines
            .iter()
            .map(|line| (line.sequence, exact(&line.price_subtotal)));
        drafts::compare("Odoo", wish, &told.collect(), exact(&self.amount_untaxed))
    }
}

impl Line {
    /// What has been done about it, if anything.
    pub(super) fn is_under_way(&self) -> Option<&'static str> {
        if exact(&self.qty_delivered) > Decimal::ZERO {
            return Some("delivered");
        }
        (exact(&self.qty_invoiced) > Decimal::ZERO).then_some("invoiced")
    }

    /// How many were ordered.
    pub(super) fn ordered(&self) -> Decimal {
        exact(&self.product_uom_qty)
    }
}

/// How our fields become Odoo's.
#[derive(Debug)]
pub(super) struct Mapping {
    config: OdooConfig,
}

impl Mapping {
    pub(super) fn new(config: OdooConfig) -> Self {
        Self { config }
    }

    /// The id of the customer.
    pub(super) async fn partner(&self, rpc: &Rpc, customer: &CustomerId) -> Result<i64, ErpError> {
        let (field, customer) = (&self.config.customer_field, customer.as_str());
        let body = json!({ "domain": [[field, "=", customer]], "fields": [field], "limit": 2 });
        let rows: Vec<Map<String, Value>> = rpc
            .read("res.partner", "search_read", body)
            .await
            .map_err(CallError::harmless)?;
        match rows.as_slice() {
            [row] => id_of(row).ok_or_else(|| drafts::overtaken("Odoo tells a contact without an id")),
            [] => Err(ErpError::Rejected(format!(
                "no contact in Odoo has the {field} {customer}"
            ))),
            _ => Err(ErpError::Rejected(format!(
                "several contacts in Odoo have the {field} {customer}"
            ))),
        }
    }

    /// The field of a product that holds our SKU.
    pub(super) fn product_field(&self) -> &str {
        &self.config.product_field
    }

    /// The field of a contact that holds our customer id.
    pub(super) fn customer_field(&self) -> &str {
        &self.config.customer_field
    }

    /// Odoo's warehouse for ours; none where warehouses are not told.
    pub(super) async fn warehouse(
        &self,
        rpc: &Rpc,
        warehouse: Option<WarehouseCode>,
    ) -> Result<Option<i64>, ErpError> {
        let Some(ours) = warehouse.filter(|_| !self.config.warehouses.is_empty()) else {
            return Ok(None);
        };
        let code = self.config.warehouses.get(&ours).ok_or_else(|| {
            ErpError::Rejected(format!("name Odoo's warehouse for {ours} in erp.odoo.warehouses"))
        })?;
        let body = json!({ "domain": [["code", "=", code]], "fields": ["code"], "limit": 1 });
        let rows: Vec<Map<String, Value>> = rpc
            .read("stock.warehouse", "search_read", body)
            .await
            .map_err(CallError::harmless)?;
        let id = rows.first().and_then(id_of);
        id.map(Some)
            .ok_or_else(|| ErpError::Rejected(format!("no warehouse in Odoo has the short name {code}")))
    }

    /// The ids of every product that the order and its charges need, by our name.
    pub(super) async fn products(&self, rpc: &Rpc, wish: &Wish) -> Result<BTreeMap<String, i64>, ErpError> {
        let codes = wish.lines.iter().map(|line| self.code(line));
        let codes: BTreeSet<&str> = codes.collect::<Result<_, _>>()?;
        let field = self.config.product_field.as_str();
        let limit = codes.len().saturating_mul(2);
        let body = json!({ "domain": [[field, "in", codes]], "fields": [field], "limit": limit });
        let rows: Vec<Map<String, Value>> = rpc
            .read("product.product", "search_read", body)
            .await
            .map_err(CallError::harmless)?;
        let mut products = BTreeMap::new();
        for row in &rows {
            let code = row.get(field).and_then(Value::as_str).unwrap_or_default();
            if let Some(id) = id_of(row)
                && products.insert(code.to_owned(), id).is_some()
            {
                return Err(ErpError::Rejected(format!(
                    "several products in Odoo have the {field} {code}"
                )));
            }
        }
        match codes.into_iter().find(|code| !products.contains_key(*code)) {
            Some(code) => Err(ErpError::Rejected(format!(
                "no product in Odoo has the {field} {code}"
            ))),
            None => Ok(products),
        }
    }

    /// The code of a line's product.
    pub(super) fn code<'a>(&'a self, line: &'a WishLine) -> Result<&'a str, ErpError> {
        match &line.item {
            Item::Goods(sku) => Ok(sku.as_str()),
            Item::Charge(kind) => self.charge_product(*kind),
        }
    }

    fn charge_product(&self, kind: ChargeKind) -> Result<&str, ErpError> {
        let name = kind.name();
        self.config.charges.get(name).map(String::as_str).ok_or_else(|| {
            ErpError::Rejected(format!(
                "the order has a {name}; name the product for it in erp.odoo.charges.{name}"
            ))
        })
    }

    /// The values that a sale is created from.
    pub(super) fn sale(
        &self,
        wish: &Wish,
        partner: i64,
        products: &BTreeMap<String, i64>,
        warehouse: Option<i64>,
    ) -> Result<Value, ErpError> {
        let mut lines = Vec::with_capacity(wish.lines.len());
        for line in &wish.lines {
            let price = self.unit_price(line, wish.currency)?;
            let product = products.get(self.code(line)?).copied();
            lines.push(line_of(line.sequence, product, line.units, price));
        }
        let mut values = json!({ "partner_id": partner, "client_order_ref": wish.key, "order_line": lines });
        if let Some(pricelist) = self.config.pricelists.get(&wish.currency) {
            values["pricelist_id"] = (*pricelist).into();
        }
        if let Some(warehouse) = warehouse {
            values["warehouse_id"] = warehouse.into();
        }
        Ok(values)
    }

    /// The unit price that gives the line's amount. Odoo rounds half away from zero.
    pub(super) fn unit_price(&self, line: &WishLine, currency: Currency) -> Result<Decimal, ErpError> {
        let decimals = self.config.price_decimals;
        let price = line.price_that_fits(currency, decimals, RoundingStrategy::MidpointAwayFromZero);
        price.ok_or_else(|| {
            ErpError::Rejected(format!(
                "line {}: no unit price with {decimals} decimals gives {} for {}; raise the accuracy \"Product Price\" in Odoo and \
                 erp.odoo.price_decimals here",
                line.sequence, line.amount, line.units
            ))
        })
    }
}

pub(super) fn id_of(row: &Map<String, Value>) -> Option<i64> {
    row.get("id")?.as_i64()
}

/// The JSON number with these digits.
pub(super) fn number(amount: Decimal) -> Value {
    serde_json::from_str(&amount.to_string()).unwrap_or(Value::Null)
}

/// A command that creates a line; the price as the JSON number with its digits.
fn line_of(sequence: u32, product: Option<i64>, quantity: i64, unit_price: Decimal) -> Value {
    let price = number(unit_price);
    json!([0, 0, { "sequence": sequence, "product_id": product, "product_uom_qty": quantity, "price_unit": price, "discount": 0 }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_what_their_floating_point_numbers_mean() {
        let cases = [
            ("11487.75", "11487.75"),
            ("0.30000000000000004", "0.3"),
            ("1e-7", "0"),
            ("250000.0", "250000"),
            ("-3.05", "-3.05"),
        ];
        for (told, meant) in cases {
            let number: Number = serde_json::from_str(told).unwrap();
            assert_eq!(exact(&number).to_string(), meant, "{told}");
        }
        let written = line_of(1, Some(7), 50, "229.755".parse().unwrap());
        assert!(
            written.to_string().contains("\"price_unit\":229.755"),
            "{written}"
        );
    }
}
