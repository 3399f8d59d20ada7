//! The `[erp.odoo]` table: how our names become Odoo's.

use crate::egress::{InvalidSetting, within};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects::ChargeKind;
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
        }
    }
}

impl OdooConfig {
    pub(in crate::erp) fn validate(&self) -> Result<(), InvalidSetting> {
        let name = |key: &str, value: &str| {
            let is_name = value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
            if !value.is_empty() && value.len() <= 64 && is_name {
                return Ok(());
            }
            Err(InvalidSetting {
                key: format!("erp.odoo.{key}"),
                value: value.to_owned(),
                allowed: "1 to 64 letters, digits, _, - and .",
            })
        };
        self.database
            .as_deref()
            .map_or(Ok(()), |database| name("database", database))?;
        name("customer_field", &self.customer_field)?;
        name("product_field", &self.product_field)?;
        within(
            "erp.odoo.price_decimals",
            self.price_decimals.into(),
            0,
            12,
            "0 to 12",
        )?;
        let kinds = ChargeKind::ALL.map(ChargeKind::name);
        match self.charges.keys().find(|kind| !kinds.contains(&kind.as_str())) {
            None => Ok(()),
            Some(kind) => Err(InvalidSetting {
                key: "erp.odoo.charges".to_owned(),
                value: kind.clone(),
                allowed: "discount, freight and surcharge",
            }),
        }
    }
}
