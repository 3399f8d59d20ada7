//! What a shop was told has left.

use serde::Serialize;

/// A shipment that a shop was told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shipped {
    /// What the carrier knows it by.
    pub tracking: String,
    /// The shop's code for the carrier.
    pub carrier: String,
    /// How much of which SKU.
    pub lines: Vec<(String, i64)>,
}
