//! The `[[edi]]` tables of the configuration: one a trading partner.

use super::syntax::{Delimiters, Header};
use crate::egress::{InvalidSetting, within};
use crate::schema::order::{ShortagePolicy, SourcingPolicy};
use lockstep_actors::ids::{CustomerId, PartnerName, UnitOfMeasure, WarehouseCode};
use lockstep_actors::money::Currency;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The most partners.
pub const MAX_PARTNERS: usize = 64;
/// The most warehouses that a partner's orders may be taken from.
const MAX_WAREHOUSES: usize = crate::schema::limits::MAX_WAREHOUSES;

/// A document that goes to a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Outgoing {
    /// Purchase order acknowledgement.
    #[serde(rename = "855")]
    OrderAcknowledgement,
    /// Ship notice.
    #[serde(rename = "856")]
    ShipNotice,
    /// Invoice.
    #[serde(rename = "810")]
    Invoice,
}

/// How a partner is known in an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyConfig {
    /// What kind of id: `ZZ`, `01`, `12`, ...
    pub qualifier: String,
    /// The id of the interchange: 1 to 15 characters.
    pub id: String,
    /// The id of the functional group: 2 to 15 characters; that of the interchange if absent.
    pub group: Option<String>,
}

impl PartyConfig {
    /// The id of the functional group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.id)
    }

    fn is_usable(&self) -> bool {
        let plain = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '.' | '_'))
        };
        self.qualifier.len() == 2
            && self.qualifier.chars().all(|c| c.is_ascii_alphanumeric())
            && (1..=15).contains(&self.id.len())
            && (2..=15).contains(&self.group().len())
            && plain(&self.id)
            && plain(self.group())
    }
}

/// What separates what goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DelimiterConfig {
    /// Between elements.
    pub element: char,
    /// Between components.
    pub component: char,
    /// After a segment.
    pub segment: char,
    /// Whether each segment has a line of its own.
    pub lines: bool,
}

impl Default for DelimiterConfig {
    fn default() -> Self {
        let Delimiters {
            element,
            component,
            segment,
        } = Delimiters::default();
        Self {
            element,
            component,
            segment,
            lines: true,
        }
    }
}

impl DelimiterConfig {
    /// The same as what a reader finds.
    #[must_use]
    pub(super) fn delimiters(self) -> Delimiters {
        Delimiters {
            element: self.element,
            component: self.component,
            segment: self.segment,
        }
    }
}

/// How a partner's purchase orders become orders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderConfig {
    /// Who buys.
    pub customer: CustomerId,
    /// Who buys, by the code of the buying party (N104 behind N1 with `BY`), where a partner buys for several.
    #[serde(default)]
    pub customers: BTreeMap<String, CustomerId>,
    /// In which currency, where the order names none.
    pub currency: Currency,
    /// Where orders may be taken from, the preferred one first.
    pub warehouses: Vec<WarehouseCode>,
    /// How the warehouses are chosen among those.
    #[serde(default)]
    pub sourcing: SourcingPolicy,
    /// What if there is not enough.
    #[serde(default)]
    pub policy: ShortagePolicy,
    /// What is said to a line of which a part waits for goods: `IQ` or `BP`.
    #[serde(default = "quantity_changed")]
    pub partial: String,
}

fn quantity_changed() -> String {
    "IQ".to_owned()
}

/// A trading partner.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerConfig {
    /// Its name, and that of the channel that its orders come through.
    pub name: PartnerName,
    /// The directory below which `in`, `out`, `archive` and `failed` are.
    pub directory: PathBuf,
    /// How Lockstep's house is known to the partner.
    pub ours: PartyConfig,
    /// How the partner is known.
    pub theirs: PartyConfig,
    /// Whether what is exchanged is a test (ISA15 `T`).
    #[serde(default)]
    pub test: bool,
    /// The version of what goes out.
    #[serde(default = "version")]
    pub version: String,
    /// What separates what goes out; what comes in says that itself.
    #[serde(default)]
    pub delimiters: DelimiterConfig,
    /// What the partner is told about its orders.
    #[serde(default = "all_documents")]
    pub documents: BTreeSet<Outgoing>,
    /// How many hours the partner has to acknowledge what goes out: up to 720; 0 if it never does.
    #[serde(default = "day")]
    pub acknowledge_hours: u32,
    /// The qualifiers of item ids that are our SKUs, the preferred one first.
    #[serde(default = "seller_items")]
    pub items: Vec<String>,
    /// The partner's codes for our base unit; the first one is told.
    #[serde(default = "each")]
    pub units: Vec<String>,
    /// The partner's codes for other units, each with what the catalogue calls that unit of a SKU: `{ CA = "CASE" }`.
    #[serde(default)]
    pub unit_codes: BTreeMap<String, UnitOfMeasure>,
    /// How often the directory is looked at: 10 to 3,600,000 ms.
    #[serde(default = "second")]
    pub poll_ms: u64,
    /// After how long a file that ends too early is given up: 1 to 86,400 seconds.
    #[serde(default = "minute")]
    pub incomplete_seconds: u64,
    /// How its purchase orders become orders; without it none are taken.
    pub orders: Option<OrderConfig>,
}

fn version() -> String {
    "004010".to_owned()
}
fn all_documents() -> BTreeSet<Outgoing> {
    BTreeSet::from([
        Outgoing::OrderAcknowledgement,
        Outgoing::ShipNotice,
        Outgoing::Invoice,
    ])
}
fn day() -> u32 {
    24
}
fn seller_items() -> Vec<String> {
    vec!["VN".to_owned(), "SK".to_owned()]
}
fn each() -> Vec<String> {
    vec!["EA".to_owned()]
}
fn second() -> u64 {
    1_000
}
fn minute() -> u64 {
    60
}

impl PartnerConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let name = self.name.as_str();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.chars().all(allowed) {
            return Err(self.wrong("name", name, "1 to 32 of a-z, 0-9 and -"));
        }
        for (key, party) in [("ours", &self.ours), ("theirs", &self.theirs)] {
            if !party.is_usable() {
                let allowed = "a qualifier of 2 letters or digits, an id of 1 to 15 and a group of 2 to 15 of letters, digits, blanks, -, . and _";
                return Err(self.wrong(key, &party.id, allowed));
            }
        }
        if !self.delimiters.delimiters().are_usable() {
            let shown = format!("{:?}", self.delimiters);
            let allowed = "three different ASCII characters that are neither letters, digits nor blanks";
            return Err(self.wrong("delimiters", &shown, allowed));
        }
        if self.version != "004010" {
            return Err(self.wrong("version", &self.version, "\"004010\""));
        }
        within(
            &self.key("acknowledge_hours"),
            self.acknowledge_hours.into(),
            0,
            720,
            "0 to 720",
        )?;
        within(&self.key("poll_ms"), self.poll_ms, 10, 3_600_000, "10 to 3600000")?;
        within(
            &self.key("incomplete_seconds"),
            self.incomplete_seconds,
            1,
            86_400,
            "1 to 86400",
        )?;
        let code = |text: &String| text.len() == 2 && text.chars().all(|c| c.is_ascii_alphanumeric());
        for (key, codes) in [("items", &self.items), ("units", &self.units)] {
            if codes.is_empty() || codes.len() > 16 || !codes.iter().all(code) {
                return Err(self.wrong(key, &codes.join(", "), "1 to 16 codes of 2 letters or digits"));
            }
        }
        let is_base = |code: &String| self.units.contains(code);
        let codes = &self.unit_codes;
        if codes.len() > 64 || codes.keys().any(|unit| !code(unit) || is_base(unit)) {
            let shown = codes.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let allowed = "up to 64 codes of 2 letters or digits, none of them in units";
            return Err(self.wrong("unit_codes", &shown, allowed));
        }
        self.orders
            .as_ref()
            .map_or(Ok(()), |orders| self.validate_orders(orders))
    }

    fn validate_orders(&self, orders: &OrderConfig) -> Result<(), InvalidSetting> {
        if orders.warehouses.is_empty() || orders.warehouses.len() > MAX_WAREHOUSES {
            return Err(self.wrong("orders.warehouses", "", "as many warehouses as an order may name"));
        }
        if orders.currency.decimals() > 2 {
            let allowed = "a currency of at most two decimals: X12 says amounts in hundredths";
            return Err(self.wrong("orders.currency", orders.currency.code(), allowed));
        }
        if orders.customers.len() > 10_000 {
            return Err(self.wrong("orders.customers", "", "at most 10000"));
        }
        if !matches!(orders.partial.as_str(), "IQ" | "BP") {
            return Err(self.wrong("orders.partial", &orders.partial, "\"IQ\" or \"BP\""));
        }
        Ok(())
    }

    fn key(&self, key: &str) -> String {
        format!("edi.{}.{key}", self.name)
    }

    fn wrong(&self, key: &str, value: &str, allowed: &'static str) -> InvalidSetting {
        InvalidSetting {
            key: self.key(key),
            value: value.to_owned(),
            allowed,
        }
    }

    /// The name under which what goes out to it is read from the journals.
    #[must_use]
    pub fn consumer(&self) -> String {
        format!("edi/{}", self.name)
    }

    /// Whether an interchange is from this partner, for us, and as much of a test as is agreed.
    #[must_use]
    pub(super) fn is_from(&self, header: &Header<'_>) -> bool {
        let is = |party: super::syntax::Party<'_>, config: &PartyConfig| {
            party.qualifier == config.qualifier && party.id == config.id.trim_end()
        };
        is(header.sender, &self.theirs) && is(header.receiver, &self.ours) && header.test == self.test
    }

    /// How many seconds the partner has to acknowledge something.
    #[must_use]
    pub fn acknowledged_within(&self) -> Option<u32> {
        (self.acknowledge_hours > 0).then_some(self.acknowledge_hours * 3_600)
    }

    /// The partner's code for a base unit.
    #[must_use]
    pub fn unit(&self) -> &str {
        self.units.first().map_or("EA", String::as_str)
    }

    /// The qualifier of our SKUs.
    #[must_use]
    pub fn item(&self) -> &str {
        self.items.first().map_or("VN", String::as_str)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const ACME: &str = r#"
        name = "acme"
        directory = "edi/acme"
        ours = { qualifier = "ZZ", id = "LOCKSTEP" }
        theirs = { qualifier = "01", id = "012345678", group = "ACME" }
        [orders]
        customer = "C-100"
        customers = { "0002" = "C-102" }
        currency = "USD"
        warehouses = ["W1"]
        policy = "partial"
    "#;

    pub(in super::super) fn acme() -> PartnerConfig {
        toml::from_str(ACME).unwrap()
    }

    #[test]
    fn a_wrong_setting_is_refused_with_its_name() {
        let cases = [
            ("", "", None),
            ("\"acme\"", "\"Acme\"", Some("edi.Acme.name")),
            ("qualifier = \"ZZ\"", "qualifier = \"Z\"", Some("edi.acme.ours")),
            ("\"012345678\"", "\"0123*\"", Some("edi.acme.theirs")),
            (
                "[orders]",
                "delimiters = { element = \"~\" }\n[orders]",
                Some("edi.acme.delimiters"),
            ),
            (
                "[orders]",
                "version = \"005010\"\n[orders]",
                Some("edi.acme.version"),
            ),
            (
                "[orders]",
                "acknowledge_hours = 721\n[orders]",
                Some("edi.acme.acknowledge_hours"),
            ),
            ("[orders]", "poll_ms = 1\n[orders]", Some("edi.acme.poll_ms")),
            ("[orders]", "items = []\n[orders]", Some("edi.acme.items")),
            ("[orders]", "unit_codes = { CA = \"CASE\" }\n[orders]", None),
            (
                "[orders]",
                "unit_codes = { EA = \"CASE\" }\n[orders]",
                Some("edi.acme.unit_codes"),
            ),
            ("[\"W1\"]", "[]", Some("edi.acme.orders.warehouses")),
            (
                "policy = \"partial\"",
                "partial = \"IA\"",
                Some("edi.acme.orders.partial"),
            ),
        ];
        for (from, to, key) in cases {
            let text = ACME.replacen(from, to, 1);
            let config: PartnerConfig = toml::from_str(&text).unwrap();
            let refused = config.validate().err().map(|error| error.key);
            assert_eq!(refused.as_deref(), key, "{to}");
        }
        assert!(toml::from_str::<PartnerConfig>(&ACME.replace("poll", "polls")).is_ok());
        assert!(toml::from_str::<PartnerConfig>(&format!("surname = 'x'\n{ACME}")).is_err());
    }
}
