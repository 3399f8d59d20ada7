//! What can be set. Every error names the key, the value and what is allowed; all that are found are told at once.

use compact_str::CompactString;
use lockstep_actors::governance::ownership::{Owners, Ownership};
use lockstep_actors::ids::SystemName;
use lockstep_actors::inventory::reconcile::ReconciliationRules;
use lockstep_actors::orders::checks::OrderRules;
use lockstep_actors::orders::sourcing::Network;
use lockstep_actors::reference::Reference;
use lockstep_adapters::amqp::AmqpConfig;
use lockstep_adapters::channels::ChannelConfig;
use lockstep_adapters::cluster::ClusterConfig;
use lockstep_adapters::edi::{MAX_PARTNERS, PartnerConfig};
use lockstep_adapters::egress::InvalidSetting;
use lockstep_adapters::erp::ErpConfig;
use lockstep_adapters::http::HttpConfig;
use lockstep_adapters::store::{
    EmbeddedConfig, EmbeddedOpener, PostgresConfig, PostgresOpener, PostgresSettings, Sharing,
};
use lockstep_adapters::url::UrlError;
use lockstep_runtime::node::NodeConfig;
use lockstep_runtime::placement::{InvalidPartitionCount, PartitionCount};
use lockstep_runtime::store::{StoreError, StoreOpener};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that can be set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) node: NodeSettings,
    pub(crate) store: StoreSettings,
    /// How the node takes part in a cluster; asked for with `serve --cluster`.
    pub(crate) cluster: ClusterConfig,
    pub(crate) http: HttpConfig,
    /// Without it, HTTP alone is served.
    pub(crate) amqp: Option<AmqpConfig>,
    pub(crate) erp: ErpConfig,
    pub(crate) channels: Vec<ChannelConfig>,
    /// The trading partners that documents are exchanged with.
    pub(crate) edi: Vec<PartnerConfig>,
    /// Without it, the standard table holds.
    ownership: Option<OwnershipSettings>,
    /// The house's warehouses, for sourcing.
    warehouses: Network,
    /// What is checked about the orders of each channel.
    orders: OrderRules,
    /// When a drift of stock is let be, repaired, or raised.
    reconciliation: ReconciliationRules,
}

/// Who may write what; what is left out is as in the standard table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnershipSettings {
    version: u64,
    roles: Option<BTreeMap<CompactString, Vec<CompactString>>>,
    #[serde(default)]
    channels: BTreeMap<SystemName, Vec<CompactString>>,
    owners: Option<Owners>,
}

impl OwnershipSettings {
    fn table(&self) -> Ownership {
        let standard = Ownership::standard();
        Ownership {
            version: self.version,
            roles: self.roles.clone().unwrap_or(standard.roles),
            channels: self.channels.clone(),
            owners: self.owners.clone().unwrap_or(standard.owners),
            edition: standard.edition,
        }
    }
}

/// The node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NodeSettings {
    shards: usize,
    mailbox: usize,
}

impl Default for NodeSettings {
    fn default() -> Self {
        let NodeConfig { shards, mailbox, .. } = NodeConfig::default();
        Self { shards, mailbox }
    }
}

/// Where everything is kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreSettings {
    kind: StoreKind,
    directory: PathBuf,
    partitions: u16,
    cache_mib: u64,
    postgres: Option<PostgresSettings>,
}

/// Which store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoreKind {
    /// A directory of this machine.
    #[default]
    Embedded,
    /// One or several databases.
    Postgres,
}

/// Why there is no store to open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoStore {
    #[error(transparent)]
    Partitions(#[from] InvalidPartitionCount),
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a cluster needs store.kind = \"postgres\": a directory cannot be shared")]
    NotShared,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            kind: StoreKind::Embedded,
            directory: PathBuf::from("lockstep-data"),
            partitions: PartitionCount::DEFAULT.get(),
            cache_mib: 64,
            postgres: None,
        }
    }
}

impl NodeSettings {
    /// The node that these settings describe, without its consumers.
    pub(crate) fn node(&self) -> NodeConfig {
        NodeConfig {
            shards: self.shards,
            mailbox: self.mailbox,
            ..NodeConfig::default()
        }
    }
}

impl StoreSettings {
    /// What opens the store that these settings describe, and creates it if it is not there.
    pub(crate) fn opener(&self) -> Result<Arc<dyn StoreOpener>, NoStore> {
        let partitions = PartitionCount::new(self.partitions)?;
        match self.kind {
            StoreKind::Embedded => Ok(Arc::new(EmbeddedOpener::new(EmbeddedConfig {
                directory: self.directory.clone(),
                partitions,
                cache_mib: self.cache_mib,
            }))),
            StoreKind::Postgres => Ok(Arc::new(PostgresOpener::new(
                self.postgres(partitions, Sharing::Alone)?,
            )?)),
        }
    }

    /// What opens the store for a node of a cluster.
    pub(crate) fn shared(&self) -> Result<Arc<PostgresOpener>, NoStore> {
        if self.kind != StoreKind::Postgres {
            return Err(NoStore::NotShared);
        }
        let partitions = PartitionCount::new(self.partitions)?;
        let opener = PostgresOpener::new(self.postgres(partitions, Sharing::Shared)?)?;
        Ok(Arc::new(opener))
    }

    /// What opens the store that these settings describe, for looking into it: it must be there.
    pub(crate) fn existing(&self) -> Result<Box<dyn StoreOpener>, NoStore> {
        match self.kind {
            StoreKind::Embedded => Ok(Box::new(EmbeddedOpener::existing(&self.directory)?)),
            StoreKind::Postgres => {
                let config = self.postgres(PartitionCount::new(self.partitions)?, Sharing::Alone)?;
                Ok(Box::new(PostgresOpener::existing(config)?))
            }
        }
    }

    fn postgres(&self, partitions: PartitionCount, sharing: Sharing) -> Result<PostgresConfig, NoStore> {
        let settings = self.postgres.clone().unwrap_or_default();
        let (databases, map) = settings.databases(partitions)?;
        Ok(PostgresConfig {
            databases,
            map,
            tls_roots: settings.tls_roots,
            cache_mib: self.cache_mib,
            sharing,
        })
    }

    fn postgres_error(&self) -> Option<InvalidSetting> {
        match (self.kind, &self.postgres) {
            (StoreKind::Postgres, settings) => {
                let settings = settings.clone().unwrap_or_default();
                settings.validate(self.partitions).err()
            }
            (StoreKind::Embedded, Some(_)) => Some(InvalidSetting {
                key: "store.kind".to_owned(),
                value: "embedded".to_owned(),
                allowed: "\"postgres\" where there is a table [store.postgres]",
            }),
            (StoreKind::Embedded, None) => None,
        }
    }
}

/// Reads and checks a configuration; the error lists everything that is wrong with it, one line each.
pub(crate) fn parse(text: &str) -> Result<Config, String> {
    let reader = toml::Deserializer::parse(text).map_err(|error| error.to_string())?;
    let config: Config = serde_path_to_error::deserialize(reader).map_err(|error| {
        let key = error.path().to_string();
        format!("{key}: {}", error.into_inner())
    })?;
    let settings = config.errors().into_iter().map(|error| error.to_string());
    let ownership = config.ownership().check().err();
    let ownership = ownership.map(|error| format!("ownership.{error}"));
    let lines: Vec<String> = settings
        .chain(ownership)
        .map(|error| format!("\n  {error}"))
        .collect();
    if lines.is_empty() {
        return Ok(config);
    }
    Err(format!("the configuration cannot be used:{}", lines.concat()))
}

impl Config {
    /// Who may write what.
    pub(crate) fn ownership(&self) -> Ownership {
        let settings = self.ownership.as_ref();
        settings.map_or_else(Ownership::standard, OwnershipSettings::table)
    }

    /// Empty read models of the house that this describes.
    pub(crate) fn reference(&self) -> Reference {
        Reference::of(self.ownership(), self.warehouses.clone())
            .checking(self.order_rules())
            .reconciling(self.reconciliation.clone())
    }

    /// What is checked about orders. A channel that publishes a list is priced by it, unless its rules name another.
    pub(crate) fn order_rules(&self) -> OrderRules {
        let mut rules = self.orders.clone();
        for channel in &self.channels {
            let Some(published) = &channel.price_list else {
                continue;
            };
            let of_channel = rules.0.entry(channel.name.as_str().into()).or_default();
            of_channel
                .price_list
                .get_or_insert_with(|| published.list.clone());
        }
        rules
    }

    fn errors(&self) -> Vec<InvalidSetting> {
        let mut errors = Vec::new();
        let mut within = |key: &str, value: u64, least: u64, most: u64, allowed: &'static str| {
            if !(least..=most).contains(&value) {
                errors.push(InvalidSetting {
                    key: key.to_owned(),
                    value: value.to_string(),
                    allowed,
                });
            }
        };
        within("node.shards", self.node.shards as u64, 1, 256, "1 to 256");
        within(
            "node.mailbox",
            self.node.mailbox as u64,
            1,
            1 << 20,
            "1 to 1048576",
        );
        within(
            "store.partitions",
            self.store.partitions.into(),
            1,
            4096,
            "1 to 4096",
        );
        within(
            "store.cache_mib",
            self.store.cache_mib,
            1,
            1 << 20,
            "1 to 1048576",
        );
        within(
            "reconciliation.grace_seconds",
            self.reconciliation.grace_seconds.into(),
            0,
            86_400,
            "0 to 86400",
        );
        if self.store.directory.as_os_str().is_empty() {
            errors.push(InvalidSetting {
                key: "store.directory".to_owned(),
                value: String::new(),
                allowed: "a directory",
            });
        }
        errors.extend(self.store.postgres_error());
        errors.extend(self.cluster.validate().err());
        errors.extend(self.http.validate().err());
        errors.extend(self.amqp.as_ref().and_then(|amqp| amqp.validate().err()));
        let partitions = PartitionCount::new(self.store.partitions).ok();
        let amqp = self.amqp.as_ref().zip(partitions);
        errors.extend(amqp.and_then(|(amqp, partitions)| amqp.fits(partitions).err()));
        errors.extend(self.erp.validate().err());
        for (place, channel) in self.channels.iter().enumerate() {
            errors.extend(channel.validate().err());
            if self.channels[..place]
                .iter()
                .any(|other| other.name == channel.name)
            {
                errors.push(InvalidSetting {
                    key: format!("channels[{place}].name"),
                    value: channel.name.clone(),
                    allowed: "a name that no other channel has",
                });
            }
        }
        errors.extend(self.edi_errors());
        errors
    }

    fn edi_errors(&self) -> Vec<InvalidSetting> {
        let mut errors = Vec::new();
        let wrong = |key: String, value: &str, allowed| InvalidSetting {
            key,
            value: value.to_owned(),
            allowed,
        };
        if self.edi.len() > MAX_PARTNERS {
            errors.push(wrong(
                "edi".to_owned(),
                &self.edi.len().to_string(),
                "at most 64 partners",
            ));
        }
        for (place, partner) in self.edi.iter().enumerate() {
            errors.extend(partner.validate().err());
            let before = &self.edi[..place];
            if before.iter().any(|other| other.name == partner.name) {
                let allowed = "a name that no other partner has";
                errors.push(wrong(
                    format!("edi[{place}].name"),
                    partner.name.as_str(),
                    allowed,
                ));
            }
            if before.iter().any(|other| other.directory == partner.directory) {
                let directory = partner.directory.display().to_string();
                let allowed = "a directory that no other partner has";
                errors.push(wrong(format!("edi[{place}].directory"), &directory, allowed));
            }
        }
        for channel in &self.channels {
            let unknown = channel
                .partner
                .as_deref()
                .filter(|name| !self.edi.iter().any(|partner| partner.name.as_str() == *name));
            if let Some(name) = unknown {
                let key = format!("channels.{}.partner", channel.name);
                errors.push(wrong(key, name, "the name of a partner in [[edi]]"));
            }
        }
        errors
    }
}
