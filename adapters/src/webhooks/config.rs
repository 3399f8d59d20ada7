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
    /// Who buys; needed for all platforms but `http` and `file`.
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
    /// In which of their statuses orders of `woocommerce`, `bigcommerce` and `adobe-commerce` are taken; if none is named, when they are paid
    /// and wait for their goods.
    #[serde(default)]
    pub statuses: Vec<String>,
}

impl OrderIntake {
    /// Whether it says all that an order of a shop lacks.
    pub(crate) fn is_complete(&self) -> bool {
        self.customer.is_some() && (1..=MAX_WAREHOUSES).contains(&self.warehouses.len())
    }

    /// Whether an order in this status is taken, of a platform on which orders in those of `paid` are paid and wait for their goods.
    pub(super) fn takes(&self, status: &str, paid: &[&str]) -> bool {
        if self.statuses.is_empty() {
            return paid.contains(&status);
        }
        self.statuses.iter().any(|named| named == status)
    }

    /// Who buys, by the platform's id of its customer.
    pub(super) fn buyer(&self, id: Option<&str>) -> Option<&CustomerId> {
        let named = id.and_then(|id| self.customers.get(id));
        named.or(self.customer.as_ref())
    }
}
