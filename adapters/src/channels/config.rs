//! The `[[channels]]` tables of the configuration.

use super::schedule::Limits;
use crate::egress::{InvalidSetting, web_address, within};
use lockstep_actors::ids::WarehouseCode;
use serde::Deserialize;
use std::time::Duration;

/// How a channel is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// By JSON to an HTTP endpoint.
    Http,
    /// Through an AMQP exchange.
    Amqp,
}

/// A channel's account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Its name: 1 to 32 of `a-z`, `0-9` and `-`. Its consumer is called `channel/<name>`.
    pub name: String,
    /// How it is reached.
    pub kind: ChannelKind,
    /// The endpoint, for `http`.
    pub url: Option<String>,
    /// The exchange, for `amqp`.
    pub exchange: Option<String>,
    /// How many requests it takes at once after a rest: 1 to 100,000.
    #[serde(default = "ten")]
    pub burst: u32,
    /// How many requests it takes in each period: 1 to 100,000.
    #[serde(default = "ten")]
    pub refill: u32,
    /// The period: 1 to 86,400,000 ms.
    #[serde(default = "second")]
    pub per_ms: u64,
    /// How many SKUs a request carries at most: 1 to 10,000.
    #[serde(default = "hundred")]
    pub batch: u32,
    /// How long a request may take: 10 to 300,000 ms.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
    /// Only these warehouses count; all if empty.
    #[serde(default)]
    pub warehouses: Vec<WarehouseCode>,
}

fn ten() -> u32 {
    10
}
fn hundred() -> u32 {
    100
}
fn second() -> u64 {
    1_000
}
fn ten_seconds() -> u64 {
    10_000
}

impl ChannelConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let of = |key: &str| format!("channels.{}.{key}", self.name);
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.chars().all(allowed) {
            let (key, value) = ("channels.name".to_owned(), self.name.clone());
            return Err(InvalidSetting {
                key,
                value,
                allowed: "1 to 32 of a-z, 0-9 and -",
            });
        }
        within(&of("burst"), self.burst.into(), 1, 100_000, "1 to 100000")?;
        within(&of("refill"), self.refill.into(), 1, 100_000, "1 to 100000")?;
        within(&of("per_ms"), self.per_ms, 1, 86_400_000, "1 to 86400000")?;
        within(&of("batch"), self.batch.into(), 1, 10_000, "1 to 10000")?;
        within(&of("timeout_ms"), self.timeout_ms, 10, 300_000, "10 to 300000")?;
        match self.kind {
            ChannelKind::Http => web_address(&of("url"), self.url.as_deref()).map(drop),
            ChannelKind::Amqp if self.exchange.as_deref().is_some_and(|name| !name.is_empty()) => Ok(()),
            ChannelKind::Amqp => Err(InvalidSetting {
                key: of("exchange"),
                value: String::new(),
                allowed: "the name of an exchange",
            }),
        }
    }

    /// The name under which it reads the journals.
    #[must_use]
    pub fn consumer(&self) -> String {
        format!("channel/{}", self.name)
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            interval: Duration::from_millis(self.per_ms) / self.refill.max(1),
            burst: self.burst.max(1),
            batch: usize::try_from(self.batch.max(1)).unwrap_or(usize::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_refused_with_its_name() {
        let http = "name = 'shop'\nkind = 'http'\nurl = 'http://shop/levels'\n";
        let cases = [
            (http.to_owned(), None),
            (format!("{http}batch = 0"), Some("channels.shop.batch")),
            (format!("{http}burst = 0"), Some("channels.shop.burst")),
            (format!("{http}per_ms = 0"), Some("channels.shop.per_ms")),
            (
                "name = 'shop'\nkind = 'http'".to_owned(),
                Some("channels.shop.url"),
            ),
            (
                "name = 'shop'\nkind = 'amqp'".to_owned(),
                Some("channels.shop.exchange"),
            ),
            (
                "name = 'shop'\nkind = 'amqp'\nexchange = 'stock'".to_owned(),
                None,
            ),
            (
                "name = 'Shop 1'\nkind = 'amqp'\nexchange = 'stock'".to_owned(),
                Some("channels.name"),
            ),
        ];
        for (text, key) in cases {
            let config: ChannelConfig = toml::from_str(&text).unwrap();
            assert_eq!(
                config.validate().err().map(|error| error.key).as_deref(),
                key,
                "{text}"
            );
        }
    }
}
