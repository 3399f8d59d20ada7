//! The table that holds where none is declared.

use super::demand::{Attribute, Operation};
use super::ownership::{CHANNEL, Ownership};
use compact_str::CompactString;
use std::collections::BTreeMap;

/// The version of a house that declares nothing of its own.
const VERSION: u64 = 1;
/// Raised with every change of the table below, so that a store takes up what a release adds to it.
const EDITION: u64 = 2;

const ROLES: [(&str, &[&str]); 6] = [
    ("anyone", &["*"]),
    ("erp", &["erp", "erp-*"]),
    ("lockstep", &["lockstep"]),
    // The last four are Lockstep's own tools.
    ("operator", &["operator", "demo", "replay", "load", "loadtest"]),
    ("pricing", &["pricing", "pricing-*"]),
    ("wms", &["wms", "wms-*"]),
];

type Row = (Attribute, Operation, &'static [&'static str]);

const OWNERS: [Row; 39] = [
    (Attribute::AccountTerms, Operation::Create, &["erp", "operator"]),
    (Attribute::AccountTerms, Operation::Update, &["erp", "operator"]),
    (
        Attribute::AccountDocument,
        Operation::Create,
        &["erp", "operator"],
    ),
    (
        Attribute::PriceBase,
        Operation::Create,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceBase,
        Operation::Update,
        &["erp", "operator", "pricing"],
    ),
    (Attribute::PriceBase, Operation::Publish, &["lockstep"]),
    (
        Attribute::PriceBudget,
        Operation::Create,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceBudget,
        Operation::Update,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceCatalogue,
        Operation::Create,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceCatalogue,
        Operation::Update,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceDate,
        Operation::Create,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceIndex,
        Operation::Create,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceIndex,
        Operation::Update,
        &["erp", "operator", "pricing"],
    ),
    // Whoever may ask for prices may ask for one that holds for a while.
    (Attribute::PriceQuote, Operation::Create, &["anyone"]),
    (
        Attribute::PriceRates,
        Operation::Create,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceTax,
        Operation::Create,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceTax,
        Operation::Update,
        &["erp", "operator", "pricing"],
    ),
    (Attribute::PriceVolume, Operation::Update, &["erp", "operator"]),
    (
        Attribute::PriceContract,
        Operation::Create,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::PriceContract,
        Operation::Update,
        &["erp", "operator", "pricing"],
    ),
    (
        Attribute::StockAllocation,
        Operation::Update,
        &["erp", "operator"],
    ),
    (Attribute::StockAvailable, Operation::Publish, &["lockstep"]),
    (Attribute::StockDemand, Operation::Create, &["erp", "operator"]),
    (Attribute::StockDemand, Operation::Update, &["erp", "operator"]),
    (
        Attribute::StockExpected,
        Operation::Create,
        &["erp", "operator", "wms"],
    ),
    (
        Attribute::StockExpected,
        Operation::Update,
        &["erp", "operator", "wms"],
    ),
    (
        Attribute::StockOnHand,
        Operation::Update,
        &["erp", "operator", "wms"],
    ),
    (
        Attribute::StockReservation,
        Operation::Reserve,
        &[CHANNEL, "erp", "operator", "wms"],
    ),
    (
        Attribute::StockReservation,
        Operation::Update,
        &["operator", "wms"],
    ),
    (Attribute::StockSafety, Operation::Update, &["erp", "operator"]),
    (Attribute::OrderBookingStatus, Operation::Update, &["erp"]),
    (
        Attribute::OrderCancellation,
        Operation::Update,
        &[CHANNEL, "erp", "operator"],
    ),
    (Attribute::OrderException, Operation::Approve, &["operator"]),
    (
        Attribute::OrderFulfilment,
        Operation::Update,
        &["operator", "wms"],
    ),
    (Attribute::OrderInvoice, Operation::Update, &["erp", "operator"]),
    (
        Attribute::OrderPayment,
        Operation::Update,
        &[CHANNEL, "erp", "operator"],
    ),
    (Attribute::OrderRequest, Operation::Create, &[CHANNEL, "operator"]),
    (Attribute::OrderRequest, Operation::Update, &[CHANNEL, "operator"]),
    (Attribute::OrderStatus, Operation::Publish, &["lockstep"]),
];

impl Ownership {
    /// The table that holds where none is declared: the ERP, the WMS and whoever sets prices own what they are the
    /// system of record for, a channel its own orders, the operator everything a person may have to mend.
    #[must_use]
    pub fn standard() -> Self {
        let names = |names: &[&str]| names.iter().copied().map(CompactString::from).collect();
        let mut table = Self {
            version: VERSION,
            roles: ROLES
                .iter()
                .map(|&(role, systems)| (role.into(), names(systems)))
                .collect(),
            channels: BTreeMap::new(),
            owners: BTreeMap::new(),
            edition: EDITION,
        };
        for (attribute, operation, roles) in OWNERS {
            let operations = table.owners.entry(attribute).or_default();
            operations.insert(operation, names(roles));
        }
        table
    }
}

impl Default for Ownership {
    fn default() -> Self {
        Self::standard()
    }
}
