//! The table `orders` of a channel: how the orders come in that a platform announces by webhooks, or tells when it is asked.

use crate::channels::SecretSource;
use crate::polling::PollConfig;
use crate::schema::limits::MAX_WAREHOUSES;
use crate::schema::order::{ShortagePolicy, SourcingPolicy};
use lockstep_actors::ids::{CustomerId, WarehouseCode};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a platform's orders become orders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderIntake {
    /// What signs the platform's webhooks: `{ env = "NAME" }` or `{ file = "path" }`; needed for webhooks.
    pub signing_secret: Option<SecretSource>,
    /// How the platform is asked for its orders; it is not if absent.
    pub poll: Option<PollConfig>,
    /// Who buys; needed for `shopify`, `woocommerce` and `amazon`.
    pub customer: Option<CustomerId>,
    /// Who buys, by the platform's id of its customer, where that is somebody else.
    #[serde(default)]
    pub customers: BTreeMap<String, CustomerId>,
    /// Where orders may be taken from, the preferred one first; needed for the same.
    #[serde(default)]
    pub warehouses: Vec<WarehouseCode>,
    /// How the warehouses are chosen among those.
    #[serde(default)]
    pub sourcing: SourcingPolicy,
    /// What if there is not enough.
    #[serde(default)]
    pub policy: ShortagePolicy,
    /// In which of its statuses an order of `woocommerce` is taken.
    #[serde(default = "paid")]
    pub statuses: Vec<String>,
}

fn paid() -> Vec<String> {
    vec!["processing".to_owned()]
}

impl OrderIntake {
    /// Whether it says all that an order of a shop lacks.
    pub(crate) fn is_complete(&self) -> bool {
        self.customer.is_some() && (1..=MAX_WAREHOUSES).contains(&self.warehouses.len())
    }

    /// Who buys, by the platform's id of its customer.
    pub(super) fn buyer(&self, id: Option<&str>) -> Option<&CustomerId> {
        let named = id.and_then(|id| self.customers.get(id));
        named.or(self.customer.as_ref())
    }
}
