//! Prices: the list prices of a SKU, a customer's contract and the agreements behind it, and the resolver that explains
//! each price. `docs/pricing.md` says the rules in words.
//!
//! Invariants:
//! - every price comes with its waterfall, and the steps add up to the line's amount to the last minor unit;
//! - the same contract, list prices, lines and moment give the same price;
//! - a version of a list row or contract is written once; an older or equal one is ignored.

mod accrual;
pub mod agreement;
pub mod bound;
pub mod budget;
pub mod bulk;
pub mod calendar;
mod candidate;
pub mod catalogue;
pub mod charge;
pub mod contract;
pub mod edition;
pub mod ending;
pub mod exact;
mod explain;
mod hierarchy;
pub mod index;
pub mod kept;
mod line;
pub mod list;
mod order_explain;
mod order_total;
pub mod price_change;
pub mod purchase;
pub mod rates;
pub mod rebate;
pub mod resolve;
pub mod scale;
mod shared;
pub mod shown;
pub mod split;
mod stage;
pub mod tax;
pub mod term;
#[cfg(test)]
mod tests;

pub use agreement::SharedAgreement;
pub use budget::PromotionBudget;
pub use catalogue::CatalogueItem;
pub use contract::CustomerContract;
pub use edition::ListEditions;
pub use index::PriceIndex;
pub use list::ListPrice;
pub use rates::ExchangeRates;
pub use tax::JurisdictionTaxes;
