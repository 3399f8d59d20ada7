//! The kinds of entities, tied together.

use crate::governance::admit;
use crate::governance::audit::SystemAudit;
use crate::governance::record::OwnershipRecord;
use crate::inventory::SkuWarehouse;
use crate::orders::Order;
use crate::pricing::{CustomerContract, ListPrice};
use crate::reference::{PublishedPrices, Reference, StockLevel, publish_view};

/// What readers outside the shards may see.
#[derive(Clone, Debug)]
pub enum View {
    /// How a SKU stands in a warehouse.
    Stock(StockLevel),
    /// A SKU's list prices.
    Prices(PublishedPrices),
}

lockstep_runtime::domain! {
    /// The distributor: stock, list prices, contracts and orders, and who may write what of them.
    pub domain Distributor {
        message: Message, reply: Reply, tables: Tables, view: View, reference: Reference, publish: publish_view,
        admit: admit,
    }
    entities {
        Stock: SkuWarehouse, ListPrice: ListPrice, Contract: CustomerContract, Order: Order,
        Audit: SystemAudit, Ownership: OwnershipRecord,
    }
}
