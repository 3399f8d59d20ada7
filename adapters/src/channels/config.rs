//! The `[[channels]]` tables of the configuration.

use super::adobe_commerce::{self, AdobeCommerceConfig};
use super::amazon::{self, AmazonConfig};
use super::bigcommerce::{self, BigCommerceConfig};
use super::limits::{self, OperationConfig, RuleConfig};
use super::platform::{self, Plan, PlatformError};
use super::secret::{Secret, SecretSource};
use super::shopify::{self, ShopifyConfig};
use super::woocommerce::{self, WooCommerceConfig};
use crate::egress::{InvalidSetting, web_address, within};
use crate::file_drop::FileDropConfig;
use crate::webhooks::{self, OrderIntake};
use compact_str::CompactString;
use lockstep_actors::channels::{Kind, Tells};
use lockstep_actors::ids::{ListId, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_actors::quantity::Quantity;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a channel is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// By JSON to HTTP endpoints, signed if there is a secret.
    Http,
    /// Through AMQP exchanges.
    Amqp,
    /// By the GraphQL Admin API of a Shopify shop.
    Shopify,
    /// By Amazon's Listings Items API.
    Amazon,
    /// By EDI documents to a trading partner.
    Edi,
    /// By files in a directory.
    File,
    /// By the REST API of a WooCommerce shop.
    #[serde(rename = "woocommerce")]
    WooCommerce,
    /// By the REST Management API of a BigCommerce store.
    #[serde(rename = "bigcommerce")]
    BigCommerce,
    /// By the asynchronous bulk endpoints of Adobe Commerce or Magento Open Source.
    AdobeCommerce,
}

/// What a channel is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishedKind {
    /// Stock levels.
    Stock,
    /// List prices.
    Price,
    /// How the orders stand that it placed.
    OrderStatus,
}

impl PublishedKind {
    /// The engine's kind.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Stock => Kind::Stock,
            Self::Price => Kind::Price,
            Self::OrderStatus => Kind::Order,
        }
    }
}

/// Which prices a channel is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceListConfig {
    /// Of which list.
    pub list: ListId,
    /// In which currency.
    pub currency: Currency,
}

/// A channel's account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Its name: 1 to 32 of `a-z`, `0-9` and `-`. It is also that of its orders. Its consumers are called
    /// `channel/<name>`, `channel/<name>/price` and `channel/<name>/order`.
    pub name: String,
    /// How it is reached.
    pub kind: ChannelKind,
    /// What it is told; stock levels if absent.
    #[serde(default = "stock")]
    pub publishes: Vec<PublishedKind>,
    /// Which prices it is told.
    pub price_list: Option<PriceListConfig>,
    /// The endpoint for stock levels, for `http`; the shop's, store's or region's address, for other platforms behind HTTP.
    pub url: Option<String>,
    /// The endpoint for prices, for `http`.
    pub prices_url: Option<String>,
    /// The endpoint for how orders stand, for `http`.
    pub orders_url: Option<String>,
    /// What signs requests of `http`: `{ env = "NAME" }` or `{ file = "path" }`; unsigned if absent.
    pub signing_secret: Option<SecretSource>,
    /// The exchange for stock levels, for `amqp`.
    pub exchange: Option<String>,
    /// The exchange for prices, for `amqp`.
    pub prices_exchange: Option<String>,
    /// The exchange for how orders stand, for `amqp`.
    pub orders_exchange: Option<String>,
    /// The shop, for `shopify`.
    pub shopify: Option<ShopifyConfig>,
    /// The seller's account, for `amazon`.
    pub amazon: Option<AmazonConfig>,
    /// The shop, for `woocommerce`.
    pub woocommerce: Option<WooCommerceConfig>,
    /// The store, for `bigcommerce`.
    pub bigcommerce: Option<BigCommerceConfig>,
    /// The shop, for `adobe-commerce`.
    pub adobe_commerce: Option<AdobeCommerceConfig>,
    /// The directory, for `file`.
    pub file: Option<FileDropConfig>,
    /// How its orders come in: by signed webhooks for `shopify`, `woocommerce` and `http`, by asking for `shopify`, `woocommerce`, `amazon`,
    /// `bigcommerce` and `adobe-commerce`, from the directory for `file`.
    pub orders: Option<OrderIntake>,
    /// The trading partner, for `edi`: the name of one in `[[edi]]`.
    pub partner: Option<String>,
    /// Limits in the place of the platform's.
    #[serde(default)]
    pub limits: BTreeMap<CompactString, RuleConfig>,
    /// What is different about operations.
    #[serde(default)]
    pub operations: BTreeMap<CompactString, OperationConfig>,
    /// How long a request may take: 10 to 300,000 ms.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
    /// How many SKUs are looked at every minute for whether the channel shows what it was told: up to 10,000.
    #[serde(default = "ten")]
    pub samples_per_minute: u32,
    /// Only these warehouses count; all if empty.
    #[serde(default)]
    pub warehouses: Vec<WarehouseCode>,
    /// Levels are shown as the beginning of the band that they are in: up to 16 numbers from 1 on, rising. The number itself
    /// if empty.
    #[serde(default)]
    pub stock_bands: Vec<Quantity>,
}

/// What names the secret of webhooks.
const SECRET: &str = "{ env = \"NAME\" } or { file = \"path\" }";
/// How many bands a channel may have.
const MAX_BANDS: usize = 16;

fn stock() -> Vec<PublishedKind> {
    vec![PublishedKind::Stock]
}
fn ten() -> u32 {
    10
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
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.chars().all(allowed) {
            let (key, value) = ("channels.name".to_owned(), self.name.clone());
            return Err(InvalidSetting {
                key,
                value,
                allowed: "1 to 32 of a-z, 0-9 and -",
            });
        }
        within(
            &self.key("timeout_ms"),
            self.timeout_ms,
            10,
            300_000,
            "10 to 300000",
        )?;
        let samples = u64::from(self.samples_per_minute);
        within(&self.key("samples_per_minute"), samples, 0, 10_000, "0 to 10000")?;
        let bands = &self.stock_bands;
        let is_rising = bands.windows(2).all(|pair| pair[0] < pair[1]);
        let begins = bands.first().is_none_or(|first| *first > Quantity::ZERO);
        if bands.len() > MAX_BANDS || !is_rising || !begins {
            return Err(self.missing("stock_bands", "up to 16 numbers from 1 on, rising"));
        }
        let kinds = self.kinds();
        if kinds.is_empty() || kinds.len() != self.publishes.len() {
            return Err(self.missing(
                "publishes",
                "each of \"stock\", \"price\" and \"order-status\" once, and at least one",
            ));
        }
        if self.tells(Kind::Price) && self.price_list.is_none() {
            return Err(self.missing("price_list", "a list and a currency, to publish prices"));
        }
        self.validate_ways()?;
        self.validate_orders()?;
        self.plan().map(drop)
    }

    fn validate_orders(&self) -> Result<(), InvalidSetting> {
        let Some(orders) = &self.orders else {
            return Ok(());
        };
        if let Some(poll) = &orders.poll {
            poll.validate(&self.key("orders.poll"))?;
        }
        let (is_signed, is_polled) = (orders.signing_secret.is_some(), orders.poll.is_some());
        match self.kind {
            ChannelKind::File | ChannelKind::Http if is_polled => Err(self.missing(
                "orders.poll",
                "for shopify, woocommerce, amazon, bigcommerce and adobe-commerce only",
            )),
            ChannelKind::File if !is_signed => Ok(()),
            ChannelKind::File => Err(self.missing("orders.signing_secret", "none: files are not signed")),
            ChannelKind::Amazon | ChannelKind::BigCommerce | ChannelKind::AdobeCommerce if is_signed => {
                Err(self.missing("orders.signing_secret", "none: it is asked for its orders"))
            }
            ChannelKind::Amazon | ChannelKind::BigCommerce | ChannelKind::AdobeCommerce if !is_polled => {
                Err(self.missing("orders.poll", "a table, as in {}"))
            }
            ChannelKind::Http if !is_signed => Err(self.missing("orders.signing_secret", SECRET)),
            ChannelKind::Shopify | ChannelKind::WooCommerce if !is_signed && !is_polled => {
                Err(self.missing("orders.signing_secret", SECRET))
            }
            ChannelKind::Shopify
            | ChannelKind::WooCommerce
            | ChannelKind::Amazon
            | ChannelKind::BigCommerce
            | ChannelKind::AdobeCommerce
                if !orders.is_complete() =>
            {
                Err(self.missing(
                    "orders",
                    "a customer, and as many warehouses as an order may name",
                ))
            }
            ChannelKind::BigCommerce
                if !orders
                    .statuses
                    .iter()
                    .all(|status| webhooks::bigcommerce::can_be_taken(status)) =>
            {
                Err(self.missing(
                    "orders.statuses",
                    "names of a store's statuses in which an order can be taken, as in \"Awaiting Fulfillment\"",
                ))
            }
            ChannelKind::Http
            | ChannelKind::Shopify
            | ChannelKind::WooCommerce
            | ChannelKind::Amazon
            | ChannelKind::BigCommerce
            | ChannelKind::AdobeCommerce => Ok(()),
            ChannelKind::Amqp | ChannelKind::Edi => Err(self.missing(
                "orders",
                "none: neither has orders here; those of a trading partner stand in [[edi]]",
            )),
        }
    }

    /// Whether it is asked for its orders.
    fn polls_orders(&self) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.poll.is_some())
    }

    fn validate_ways(&self) -> Result<(), InvalidSetting> {
        for kind in self.kinds() {
            let (url_key, url) = self.endpoint(kind);
            let (exchange_key, exchange) = self.exchange(kind);
            match self.kind {
                ChannelKind::Shopify => {
                    web_address(&self.key("url"), self.url.as_deref()).map(drop)?;
                    let shop = self
                        .shopify
                        .as_ref()
                        .ok_or_else(|| self.missing("shopify", "a table"))?;
                    shop.validate(self, kind)?;
                }
                ChannelKind::Amazon => {
                    web_address(&self.key("url"), self.url.as_deref()).map(drop)?;
                    let seller = self
                        .amazon
                        .as_ref()
                        .ok_or_else(|| self.missing("amazon", "a table"))?;
                    seller.validate(self)?;
                }
                ChannelKind::WooCommerce => {
                    web_address(&self.key("url"), self.url.as_deref()).map(drop)?;
                    if self.woocommerce.is_none() {
                        return Err(self.missing("woocommerce", "a table"));
                    }
                }
                ChannelKind::BigCommerce => {
                    web_address(&self.key("url"), self.url.as_deref()).map(drop)?;
                    let store = self
                        .bigcommerce
                        .as_ref()
                        .ok_or_else(|| self.missing("bigcommerce", "a table"))?;
                    store.validate(self, kind)?;
                }
                ChannelKind::AdobeCommerce => {
                    web_address(&self.key("url"), self.url.as_deref()).map(drop)?;
                    let shop = self
                        .adobe_commerce
                        .as_ref()
                        .ok_or_else(|| self.missing("adobe_commerce", "a table"))?;
                    shop.validate(self)?;
                }
                ChannelKind::File => match &self.file {
                    Some(file) => within(
                        &self.key("file.poll_ms"),
                        file.poll_ms,
                        10,
                        3_600_000,
                        "10 to 3600000",
                    )?,
                    None => return Err(self.missing("file", "a table")),
                },
                ChannelKind::Edi if kind == Kind::Order => {
                    return Err(self.missing(
                        "publishes",
                        "stock and price: a partner is told of orders by [[edi]]",
                    ));
                }
                ChannelKind::Edi if self.partner.is_some() => {}
                ChannelKind::Edi => return Err(self.missing("partner", "the name of a partner in [[edi]]")),
                ChannelKind::Http => web_address(&self.key(url_key), url).map(drop)?,
                ChannelKind::Amqp if exchange.is_some_and(|name| !name.is_empty()) => {}
                ChannelKind::Amqp => return Err(self.missing(exchange_key, "the name of an exchange")),
            }
        }
        Ok(())
    }

    /// The full name of a setting.
    pub(super) fn key(&self, key: &str) -> String {
        format!("channels.{}.{key}", self.name)
    }

    pub(crate) fn missing(&self, key: &str, allowed: &'static str) -> InvalidSetting {
        InvalidSetting {
            key: self.key(key),
            value: String::new(),
            allowed,
        }
    }

    /// The credential that the setting `key` names.
    pub(crate) fn secret(&self, key: &'static str, source: &SecretSource) -> Result<Secret, PlatformError> {
        source.read().map_err(|cause| PlatformError::Secret {
            channel: self.name.clone(),
            key,
            cause,
        })
    }

    /// What the setting `key` names cannot be used.
    pub(crate) fn unusable(&self, key: &'static str, reason: String) -> PlatformError {
        PlatformError::File {
            channel: self.name.clone(),
            key,
            reason,
        }
    }

    /// The kinds that it is told, each once.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.publishes.iter().map(|published| published.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Whether it is told this kind.
    #[must_use]
    pub fn tells(&self, kind: Kind) -> bool {
        self.publishes.iter().any(|published| published.kind() == kind)
    }

    /// The setting that names the endpoint of a kind for `http`, and what it says.
    pub(super) fn endpoint(&self, kind: Kind) -> (&'static str, Option<&str>) {
        match kind {
            Kind::Stock => ("url", self.url.as_deref()),
            Kind::Price => ("prices_url", self.prices_url.as_deref()),
            Kind::Order => ("orders_url", self.orders_url.as_deref()),
        }
    }

    /// The setting that names the exchange of a kind for `amqp`, and what it says.
    fn exchange(&self, kind: Kind) -> (&'static str, Option<&str>) {
        match kind {
            Kind::Stock => ("exchange", self.exchange.as_deref()),
            Kind::Price => ("prices_exchange", self.prices_exchange.as_deref()),
            Kind::Order => ("orders_exchange", self.orders_exchange.as_deref()),
        }
    }

    /// The exchanges of what it is told, for `amqp`.
    #[must_use]
    pub fn exchanges(&self) -> BTreeMap<Kind, String> {
        let named = |kind| Some((kind, self.exchange(kind).1?.to_owned()));
        self.kinds().into_iter().filter_map(named).collect()
    }

    /// The name under which it reads the journals for a kind.
    #[must_use]
    pub fn consumer(&self, kind: Kind) -> String {
        consumer(&self.name, kind)
    }

    /// What it allows: the platform's limits and operations, and in their place what is configured.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first limit or operation that cannot be used.
    pub fn plan(&self) -> Result<Plan, InvalidSetting> {
        let mut plan = match self.kind {
            ChannelKind::Http | ChannelKind::Amqp => platform::generic(&self.kinds()),
            ChannelKind::Shopify => shopify::plan(&self.kinds(), self.timeout_ms),
            ChannelKind::Amazon => amazon::plan(&self.kinds(), self.timeout_ms, self.amazon.as_ref()),
            ChannelKind::Edi => crate::edi::plan(&self.kinds()),
            ChannelKind::File => crate::file_drop::plan(&self.kinds()),
            ChannelKind::WooCommerce => woocommerce::plan(&self.kinds(), self.timeout_ms),
            ChannelKind::BigCommerce => bigcommerce::plan(&self.kinds(), self.timeout_ms),
            ChannelKind::AdobeCommerce => {
                let queue = self.adobe_commerce.as_ref().map_or(0, |shop| shop.queue_seconds);
                adobe_commerce::plan(&self.kinds(), self.timeout_ms, queue)
            }
        };
        if self.polls_orders() {
            match self.kind {
                ChannelKind::Shopify => shopify::poll::add_to(&mut plan),
                ChannelKind::Amazon => amazon::poll::add_to(&mut plan),
                ChannelKind::WooCommerce => woocommerce::poll::add_to(&mut plan),
                ChannelKind::BigCommerce => bigcommerce::poll::add_to(&mut plan),
                ChannelKind::AdobeCommerce => adobe_commerce::poll::add_to(&mut plan),
                ChannelKind::Http | ChannelKind::Amqp | ChannelKind::Edi | ChannelKind::File => {}
            }
        }
        limits::apply(&self.name, &self.limits, &self.operations, &mut plan)?;
        for lane in plan.lanes.iter_mut().filter(|lane| lane.kind == Kind::Stock) {
            lane.tells = self.tells_stock();
        }
        Ok(plan)
    }

    /// Within a band nothing that is shown changes. But a shop counts down from the band what it sells itself, and only what it
    /// is told puts that right.
    fn tells_stock(&self) -> Tells {
        match self.kind {
            _ if self.stock_bands.is_empty() => Tells::All,
            ChannelKind::Http | ChannelKind::Amqp | ChannelKind::Edi | ChannelKind::File => Tells::Shown,
            ChannelKind::Shopify
            | ChannelKind::Amazon
            | ChannelKind::WooCommerce
            | ChannelKind::BigCommerce
            | ChannelKind::AdobeCommerce => Tells::All,
        }
    }
}

/// The name under which the channel `name` reads the journals for a kind.
#[must_use]
pub fn consumer(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Stock => format!("channel/{name}"),
        Kind::Price => format!("channel/{name}/price"),
        Kind::Order => format!("channel/{name}/order"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_refused_with_its_name() {
        let http = "name = 'shop'\nkind = 'http'\nurl = 'http://shop/levels'\n";
        let amqp = "name = 'shop'\nkind = 'amqp'\n";
        let bigcommerce = |orders: &str| {
            format!(
                "name = 'shop'\nkind = 'bigcommerce'\nurl = 'http://store'\n\
                 bigcommerce = {{ access_token = {{ env = 'TOKEN' }}, location = 1 }}\n{orders}"
            )
        };
        let cases = [
            (http.to_owned(), None),
            (format!("{http}timeout_ms = 1"), Some("channels.shop.timeout_ms")),
            (format!("{http}publishes = []"), Some("channels.shop.publishes")),
            (
                format!("{http}publishes = ['stock', 'stock']"),
                Some("channels.shop.publishes"),
            ),
            (
                format!("{http}publishes = ['price']"),
                Some("channels.shop.price_list"),
            ),
            (
                format!("{http}publishes = ['price']\nprice_list = {{ list = 'L', currency = 'EUR' }}"),
                Some("channels.shop.prices_url"),
            ),
            (
                format!("{http}limits.requests = {{ bucket = {{ burst = 0, refill = 1, per_ms = 1 }} }}"),
                Some("channels.shop.limits.requests"),
            ),
            (
                format!("{http}limits.daily = {{ window = {{ units = 5, per_ms = 86400000, urgent = 5 }} }}"),
                Some("channels.shop.limits.daily"),
            ),
            (
                format!("{http}operations.set-stock = {{ max_items = 0 }}"),
                Some("channels.shop.operations.set-stock.max_items"),
            ),
            (
                format!("{http}operations.set-prices = {{ max_items = 5 }}"),
                Some("channels.shop.operations.set-prices"),
            ),
            (
                format!("{http}operations.set-stock = {{ draws = {{ points = {{ per_request = 10 }} }} }}"),
                Some("channels.shop.operations.set-stock.draws"),
            ),
            (
                "name = 'shop'\nkind = 'http'".to_owned(),
                Some("channels.shop.url"),
            ),
            (
                "name = 'shop'\nkind = 'bigcommerce'\nurl = 'http://store'".to_owned(),
                Some("channels.shop.bigcommerce"),
            ),
            (
                "name = 'shop'\nkind = 'bigcommerce'\nurl = 'http://store'\n\
                bigcommerce = { access_token = { env = 'TOKEN' } }"
                    .to_owned(),
                Some("channels.shop.bigcommerce.location"),
            ),
            (
                "name = 'shop'\nkind = 'adobe-commerce'\nurl = 'http://shop'\n\
                adobe_commerce = { access_token = { env = 'TOKEN' }, queue_seconds = 0 }"
                    .to_owned(),
                Some("channels.shop.adobe_commerce.queue_seconds"),
            ),
            (
                bigcommerce("orders = { customer = 'C-1', warehouses = ['W1'] }"),
                Some("channels.shop.orders.poll"),
            ),
            (
                bigcommerce(
                    "orders = { customer = 'C-1', warehouses = ['W1'], poll = {}, statuses = ['Incomplete'] }",
                ),
                Some("channels.shop.orders.statuses"),
            ),
            (
                bigcommerce(
                    "orders = { customer = 'C-1', warehouses = ['W1'], poll = {}, statuses = ['Awaiting Payment'] }",
                ),
                None,
            ),
            (amqp.to_owned(), Some("channels.shop.exchange")),
            (format!("{amqp}exchange = 'stock'"), None),
            (
                "name = 'Shop 1'\nkind = 'amqp'\nexchange = 'stock'".to_owned(),
                Some("channels.name"),
            ),
        ];
        for (text, key) in cases {
            let config: ChannelConfig = toml::from_str(&text).unwrap();
            let refused = config.validate().err().map(|error| error.key);
            assert_eq!(refused.as_deref(), key, "{text}");
        }
        assert!(toml::from_str::<ChannelConfig>(&format!("{http}signing_secret = 's3cret'")).is_err());
    }

    #[test]
    fn a_channel_in_bands_is_told_what_changes_them_and_a_shop_that_counts_down_every_change() {
        let http = "name = 'shop'\nkind = 'http'\nurl = 'http://shop/levels'\n";
        let woocommerce = "name = 'shop'\nkind = 'woocommerce'\nurl = 'http://shop'\n";
        let bands = "stock_bands = [1, 10]\n";
        for (text, tells) in [
            (http.to_owned(), Tells::All),
            (format!("{http}{bands}"), Tells::Shown),
            (format!("{woocommerce}{bands}"), Tells::All),
        ] {
            let config: ChannelConfig = toml::from_str(&text).unwrap();
            assert_eq!(config.plan().unwrap().lanes[0].tells, tells, "{text}");
        }
    }

    #[test]
    fn configured_limits_stand_in_the_place_of_the_platforms() {
        let text = "name = 'shop'\nkind = 'http'\nurl = 'http://shop/levels'\n\
            limits.daily = { window = { units = 1000, per_ms = 86400000, urgent = 100 } }\n\
            operations.set-stock = { draws = { requests = { per_request = 1 }, daily = { per_request = 1 } }, max_items = 7 }";
        let config: ChannelConfig = toml::from_str(text).unwrap();
        let plan = config.plan().unwrap();
        let names: Vec<_> = plan
            .allowance
            .limits
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["requests", "connections", "daily"]);
        let operation = &plan.allowance.operations[0];
        assert_eq!((operation.max_items, operation.draws.len()), (7, 2));
    }
}
