//! EDI X12 over a directory: purchase orders come in, what becomes of them goes out, and both are acknowledged.
//!
//! Invariants:
//! - a purchase order passes the same ingress as one by HTTP or AMQP: ownership, checks, one order a number;
//! - what goes out has its control number and its content in one commit with what was told, and is then written from the journal;
//!   a file that is missing is written, one that was there is not written again;
//! - a broken transaction set costs itself and is answered in a 997; a broken interchange costs itself and stands in `failed`.
//!
//! [`syntax`] and [`write`] are the codec, [`definition`] the grammar as data, [`judge`](mod@judge) what becomes of what
//! came in, [`tell`] what is to be told: all of that is pure. [`receive`], [`follow`] and [`deliver`] are the tasks.

mod acknowledgement;
mod broken;
mod channel;
mod check;
mod config;
mod counters;
mod definition;
mod deliver;
mod element;
mod exchange;
mod fault;
mod follow;
mod judge;
mod purchase_order;
mod receive;
mod syntax;
mod technical;
mod tell;
#[cfg(test)]
mod tests;
mod write;

pub use crate::directories::text_of;
pub use channel::EdiChannel;
pub(crate) use channel::plan;
pub use check::{Checked, check};
pub use config::{MAX_PARTNERS, OrderConfig, Outgoing, PartnerConfig};
pub use counters::{EdiCounters, report_edi};
pub use follow::{FOLLOWER, follow_orders};

use crate::directories::Directories;
use crate::egress::Entries;
use lockstep_actors::domain::Distributor;
use lockstep_runtime::ingress::Ingress;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// A partner's directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("edi.{partner}.directory: {path} cannot be used: {cause}", path = path.display())]
pub struct DirectoryError {
    /// Whose.
    partner: String,
    /// Which.
    path: PathBuf,
    /// What the system said.
    cause: std::io::Error,
}

/// A partner whose directory is open.
#[derive(Clone, Debug)]
pub struct Partner {
    config: Arc<PartnerConfig>,
    directories: Directories,
    counters: Arc<EdiCounters>,
}

impl Partner {
    /// Opens its directory, and makes what is not there.
    ///
    /// # Errors
    /// [`DirectoryError`] if that cannot be done.
    pub fn open(config: PartnerConfig) -> Result<Self, DirectoryError> {
        let directories = Directories::open(&config.directory).map_err(|cause| DirectoryError {
            partner: config.name.to_string(),
            path: config.directory.clone(),
            cause,
        })?;
        Ok(Self {
            config: Arc::new(config),
            directories,
            counters: Arc::default(),
        })
    }

    /// Its profile.
    #[must_use]
    pub fn config(&self) -> Arc<PartnerConfig> {
        Arc::clone(&self.config)
    }

    /// Its counters, to be read while it works.
    #[must_use]
    pub fn counters(&self) -> Arc<EdiCounters> {
        Arc::clone(&self.counters)
    }

    /// Takes what it sends until `stop` turns true or the node ends.
    pub fn receive(
        &self,
        ingress: Ingress<Distributor>,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + 'static {
        let receiver = receive::Receiver {
            partner: self.config(),
            directories: self.directories.clone(),
            ingress,
            counters: self.counters(),
        };
        receiver.run(stop)
    }

    /// Writes what goes out to it, read under the name of [`PartnerConfig::consumer`], until `stop` turns true or the node ends.
    pub fn deliver(
        &self,
        feed: impl Entries + 'static,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + 'static {
        deliver::deliver(
            feed,
            self.config(),
            self.directories.clone(),
            self.counters(),
            stop,
        )
    }
}
