//! Prices: the list prices of a SKU, a customer's contract, and the resolver that explains each price.
//!
//! Invariants:
//! - every price comes with its waterfall, and the steps add up to the line's amount to the last minor unit;
//! - the same contract, list prices, lines and moment give the same price;
//! - a version of a list row or contract is written once; an older or equal one is ignored.

pub mod contract;
pub mod list;
pub mod resolve;
#[cfg(test)]
mod tests;

pub use contract::CustomerContract;
pub use list::ListPrice;
