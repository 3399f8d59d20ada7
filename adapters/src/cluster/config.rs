//! The `[cluster]` table of the configuration.

use crate::egress::{InvalidSetting, web_address, within};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;

/// How a node takes part in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// What people call it: 1 to 64 characters, another one for each node.
    pub name: String,
    /// Where it listens for other nodes; port 0 for any free one.
    pub listen: SocketAddr,
    /// Where other nodes reach that, as in `http://10.0.0.1:8481`; the address it listens on if left out.
    pub address: Option<String>,
    /// After how long without a sign of life others take its partitions over: 500 to 300,000 ms.
    pub lease_ms: u64,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            name: "node".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8481)),
            address: None,
            lease_ms: 10_000,
        }
    }
}

impl ClusterConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        within("cluster.lease_ms", self.lease_ms, 500, 300_000, "500 to 300000")?;
        if self.name.is_empty() || self.name.len() > 64 {
            return Err(InvalidSetting {
                key: "cluster.name".to_owned(),
                value: self.name.clone(),
                allowed: "1 to 64 characters",
            });
        }
        if self.address.is_some() {
            web_address("cluster.address", self.address.as_deref())?;
        }
        Ok(())
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}
