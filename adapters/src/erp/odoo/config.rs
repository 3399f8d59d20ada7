//! The `[erp.odoo]` table: how our names become Odoo's.

use crate::egress::InvalidSetting;
use crate::erp::config::SaleMapping;
use lockstep_actors::ids::WarehouseCode;
use lockstep_actors::money::Currency;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How Odoo is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OdooConfig {
    /// The database, where a server has several.
    pub database: Option<String>,
    /// The field of a contact that holds our customer id.
    pub customer_field: String,
    /// The field of a product that holds our SKU.
    pub product_field: String,
    /// How many decimals a unit price has there: the accuracy "Product Price"; 0 to 12.
    pub price_decimals: u32,
    /// The products as which `discount`, `freight` and `surcharge` are booked.
    pub charges: BTreeMap<String, String>,
    /// The ids of price lists by currency; the customer's own where there is none.
    pub pricelists: BTreeMap<Currency, i64>,
    /// The short names of Odoo's warehouses by ours. If there are any, an order's warehouse is the one that holds most of it.
    pub warehouses: BTreeMap<WarehouseCode, String>,
}

impl Default for OdooConfig {
    fn default() -> Self {
        Self {
            database: None,
            customer_field: "ref".to_owned(),
            product_field: "default_code".to_owned(),
            price_decimals: 2,
            charges: BTreeMap::new(),
            pricelists: BTreeMap::new(),
            warehouses: BTreeMap::new(),
        }
    }
}

impl OdooConfig {
    pub(in crate::erp) fn validate(&self) -> Result<(), InvalidSetting> {
        let mapping = SaleMapping {
            connector: "odoo",
            price_decimals: self.price_decimals.into(),
            charges: &self.charges,
        };
        let database = self.database.as_deref().map(|database| ("database", database));
        let mut names: Vec<_> = database.into_iter().collect();
        names.push(("customer_field", self.customer_field.as_str()));
        names.push(("product_field", self.product_field.as_str()));
        mapping.validate(&names)
    }
}
