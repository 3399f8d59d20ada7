//! The `[erp]` table of the configuration. The token itself never stands in it.

use super::http::HttpErpConfig;
use super::odoo::OdooConfig;
use super::pace::{self, MaintenanceWindow, Pace};
use super::read::{self, ReadConfig};
use crate::egress::{InvalidSetting, web_address, web_client, within};
use lockstep_actors::ids::WarehouseCode;
use lockstep_actors::orders::effects::ChargeKind;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// See [`ErpConfig::last_calls`].
const LONGEST_LAST_CALLS: Duration = Duration::from_secs(10);

/// Which ERP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErpKind {
    /// Lockstep is the book of record.
    #[default]
    Local,
    /// An ERP behind HTTP/JSON.
    Http,
    /// Tryton, over JSON-RPC.
    Tryton,
    /// Odoo, over its JSON-2 API.
    Odoo,
}

/// How the ERP is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErpConfig {
    /// Which ERP.
    pub kind: ErpKind,
    /// Its base URL, for all but `local`.
    pub url: Option<String>,
    /// The environment variable that holds the bearer token, the password of Tryton's user, or the API key of Odoo's.
    pub token_env: Option<String>,
    /// The file that holds the same.
    pub token_file: Option<PathBuf>,
    /// How Tryton is spoken to.
    pub tryton: Option<TrytonConfig>,
    /// How Odoo is spoken to.
    pub odoo: Option<OdooConfig>,
    /// How an ERP behind HTTP is spoken to, if not in the standard form.
    pub http: Option<HttpErpConfig>,
    /// How long a call may take before its outcome counts as unknown: 10 to 300,000 ms.
    pub timeout_ms: u64,
    /// How many calls may be under way: 1 to 256.
    pub concurrency: usize,
    /// Asks before each booking whether the order is booked: for ERPs that do not honour idempotency keys.
    pub lookup_first: bool,
    /// After so many failures in a row the ERP is left alone: 1 to 10,000.
    pub breaker_failures: u32,
    /// For so long: 10 to 600,000 ms.
    pub breaker_pause_ms: u64,
    /// How many requests of orders it takes a minute, evenly spaced: 1 to 60,000; as many as come if absent. A request
    /// may be more than one call.
    pub requests_per_minute: Option<u32>,
    /// When it is maintained and not asked.
    pub maintenance: Vec<MaintenanceWindow>,
    /// What is read from it.
    pub read: Vec<ReadConfig>,
}

/// The `[erp.tryton]` table: the database, the user, and how our names become Tryton's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrytonConfig {
    /// The database.
    pub database: String,
    /// The user that sales are made by; its password is `erp.token_env` or `erp.token_file`, its company the seller.
    pub user: String,
    /// The field of a party that holds our customer id.
    pub customer_field: String,
    /// The field of a product that holds our SKU.
    pub product_field: String,
    /// How many decimals a unit price has there: `price_decimal` in Tryton's own configuration; 0 to 12.
    pub price_decimals: u32,
    /// The products as which `discount`, `freight` and `surcharge` are booked.
    pub charges: BTreeMap<String, String>,
    /// The codes of Tryton's warehouses by ours. If there are any, a sale's warehouse is the one that holds most of it.
    pub warehouses: BTreeMap<WarehouseCode, String>,
}

impl Default for TrytonConfig {
    fn default() -> Self {
        Self {
            database: String::new(),
            user: "lockstep".to_owned(),
            customer_field: "code".to_owned(),
            product_field: "code".to_owned(),
            price_decimals: 4,
            charges: BTreeMap::new(),
            warehouses: BTreeMap::new(),
        }
    }
}

impl TrytonConfig {
    fn validate(&self) -> Result<(), InvalidSetting> {
        let mapping = SaleMapping {
            connector: "tryton",
            price_decimals: self.price_decimals.into(),
            charges: &self.charges,
        };
        mapping.validate(&[
            ("database", &self.database),
            ("customer_field", &self.customer_field),
            ("product_field", &self.product_field),
        ])
    }
}

/// How our words are an ERP's, for connectors that book sales.
pub(in crate::erp) struct SaleMapping<'c> {
    /// As in the configuration.
    pub(in crate::erp) connector: &'static str,
    pub(in crate::erp) price_decimals: u64,
    pub(in crate::erp) charges: &'c BTreeMap<String, String>,
}

impl SaleMapping<'_> {
    /// Checks it, with what are names in the ERP by their keys.
    pub(in crate::erp) fn validate(&self, names: &[(&str, &str)]) -> Result<(), InvalidSetting> {
        let key = |key: &str| format!("erp.{}.{key}", self.connector);
        let is_name = |value: &str| {
            let mut bytes = value.bytes();
            let fits = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
            !value.is_empty() && value.len() <= 64 && fits
        };
        if let Some((name, value)) = names.iter().find(|(_, value)| !is_name(value)) {
            return Err(InvalidSetting {
                key: key(name),
                value: (*value).to_owned(),
                allowed: "1 to 64 letters, digits, _, - and .",
            });
        }
        within(&key("price_decimals"), self.price_decimals, 0, 12, "0 to 12")?;
        let kinds = ChargeKind::ALL.map(ChargeKind::name);
        match self.charges.keys().find(|kind| !kinds.contains(&kind.as_str())) {
            None => Ok(()),
            Some(kind) => Err(InvalidSetting {
                key: key("charges"),
                value: kind.clone(),
                allowed: "discount, freight and surcharge",
            }),
        }
    }
}

impl Default for ErpConfig {
    fn default() -> Self {
        Self {
            kind: ErpKind::Local,
            url: None,
            token_env: None,
            token_file: None,
            tryton: None,
            odoo: None,
            http: None,
            timeout_ms: 10_000,
            concurrency: 16,
            lookup_first: false,
            breaker_failures: 10,
            breaker_pause_ms: 5_000,
            requests_per_minute: None,
            maintenance: Vec::new(),
            read: Vec::new(),
        }
    }
}

impl ErpConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        within("erp.timeout_ms", self.timeout_ms, 10, 300_000, "10 to 300000")?;
        let concurrency = u64::try_from(self.concurrency).unwrap_or(u64::MAX);
        within("erp.concurrency", concurrency, 1, 256, "1 to 256")?;
        within(
            "erp.breaker_failures",
            self.breaker_failures.into(),
            1,
            10_000,
            "1 to 10000",
        )?;
        within(
            "erp.breaker_pause_ms",
            self.breaker_pause_ms,
            10,
            600_000,
            "10 to 600000",
        )?;
        pace::validate(self.requests_per_minute, &self.maintenance)?;
        read::validate(&self.read, self.kind)?;
        match self.kind {
            ErpKind::Local => Ok(()),
            ErpKind::Http => {
                self.base_url()?;
                self.http.clone().unwrap_or_default().validate()
            }
            ErpKind::Tryton => {
                self.base_url()?;
                self.tryton.clone().unwrap_or_default().validate()
            }
            ErpKind::Odoo => {
                self.base_url()?;
                if self.token_env.is_none() && self.token_file.is_none() {
                    return Err(InvalidSetting {
                        key: "erp.token_env".to_owned(),
                        value: String::new(),
                        allowed: "the variable that holds the API key, or erp.token_file its file",
                    });
                }
                self.odoo.clone().unwrap_or_default().validate()
            }
        }
    }

    pub(super) fn base_url(&self) -> Result<reqwest::Url, InvalidSetting> {
        web_address("erp.url", self.url.as_deref())
    }

    /// The client of an ERP. A connection that is not made in time is told apart from an answer that does not come.
    pub(super) fn client(&self) -> reqwest::ClientBuilder {
        let timeout = Duration::from_millis(self.timeout_ms);
        web_client(timeout).connect_timeout(timeout)
    }

    /// When it may be asked.
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace::new(self.requests_per_minute, self.maintenance.clone())
    }

    /// How long calls under way, and the answers to orders, are waited for when their node is to ask no more: as long as a call may
    /// take, and no longer than 10 s, for whoever has an order may be out of reach. The node that goes on begins as much later.
    #[must_use]
    pub fn last_calls(&self) -> Duration {
        Duration::from_millis(self.timeout_ms).min(LONGEST_LAST_CALLS)
    }

    /// How long the ERP is left alone.
    #[must_use]
    pub fn breaker_pause(&self) -> Duration {
        Duration::from_millis(self.breaker_pause_ms)
    }

    /// Reads the bearer token from where the configuration says; none if it says nothing.
    ///
    /// # Errors
    /// [`TokenError`] if it is not there.
    pub fn token(&self) -> Result<Option<String>, TokenError> {
        if let Some(name) = &self.token_env {
            let token = std::env::var(name).map_err(|_| TokenError::Environment(name.clone()))?;
            return Ok(Some(token.trim().to_owned()));
        }
        let Some(path) = &self.token_file else {
            return Ok(None);
        };
        let token = std::fs::read_to_string(path).map_err(|cause| TokenError::File {
            path: path.clone(),
            cause,
        })?;
        Ok(Some(token.trim().to_owned()))
    }
}

/// The bearer token is not where the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No such variable.
    #[error("erp.token_env names the variable {0:?}, which is not set or no text; set it or remove the key")]
    Environment(String),
    /// No such file.
    #[error("erp.token_file {path} cannot be read: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_refused_with_its_name() {
        let cases = [
            ("", None),
            ("kind = 'http'\nurl = 'http://erp:80/api'", None),
            ("kind = 'http'", Some("erp.url")),
            ("kind = 'http'\nurl = 'erp.example'", Some("erp.url")),
            ("kind = 'http'\nurl = 'ftp://erp'", Some("erp.url")),
            (
                "kind = 'tryton'\nurl = 'http://erp:8000'",
                Some("erp.tryton.database"),
            ),
            (
                "kind = 'tryton'\nurl = 'http://erp:8000'\ntryton = { database = 'sales' }",
                None,
            ),
            (
                "kind = 'tryton'\nurl = 'http://erp:8000'\ntryton = { database = 'a/b' }",
                Some("erp.tryton.database"),
            ),
            (
                "kind = 'tryton'\nurl = 'http://e'\ntryton = { database = 's', charges = { tip = 'T' } }",
                Some("erp.tryton.charges"),
            ),
            (
                "kind = 'odoo'\nurl = 'https://odoo.example'",
                Some("erp.token_env"),
            ),
            (
                "kind = 'odoo'\nurl = 'https://odoo.example'\ntoken_env = 'ODOO_KEY'\n\
                 odoo = { database = 'sales', pricelists = { EUR = 1 } }",
                None,
            ),
            (
                "kind = 'odoo'\nurl = 'https://e'\ntoken_env = 'K'\nodoo = { price_decimals = 13 }",
                Some("erp.odoo.price_decimals"),
            ),
            ("timeout_ms = 0", Some("erp.timeout_ms")),
            ("concurrency = 1000", Some("erp.concurrency")),
            ("breaker_failures = 0", Some("erp.breaker_failures")),
            ("breaker_pause_ms = 1", Some("erp.breaker_pause_ms")),
            ("[[read]]\nwhat = 'stock'", Some("erp.read[0].what")),
            (
                "kind = 'http'\nurl = 'http://erp'\n[[read]]\nwhat = 'stock'\n[[read]]\nwhat = 'contracts'",
                None,
            ),
            (
                "kind = 'http'\nurl = 'http://erp'\n[http]\nrows = 'rows'",
                Some("erp.http.rows"),
            ),
        ];
        for (text, key) in cases {
            let config: ErpConfig = toml::from_str(text).unwrap();
            assert_eq!(
                config.validate().err().map(|error| error.key).as_deref(),
                key,
                "{text}"
            );
        }
        assert!(toml::from_str::<ErpConfig>("token = 'secret'").is_err());
    }
}
