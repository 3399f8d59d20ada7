//! The "Online Retail" format: invoice lines of a wholesaler, turned into a plan of what a distributor would have done.
//!
//! The rules stand in `docs/replay.md`. Everything here is pure: the same file gives the same [`Plan`], byte for byte, so
//! that a replay that is started again goes on with the same messages.
//!
//! Invariants:
//! - every line of the file is either goods or excluded for one reason: `read == goods + excluded`;
//! - events stand in file order; a day never goes back;
//! - a returned part names at most the quantity that its sale still had.

mod invoice;
mod line;
mod plan;
mod prices;
mod returns;
mod stock;
#[cfg(test)]
mod tests;

pub use invoice::{Sale, SaleLine};
pub use line::{Excluded, FileError, LineCounts};
pub use plan::{Day, Plan, PlanError, RULES_VERSION, TradingEvent};
pub use prices::InvalidRule;
pub use returns::{Cancellation, ReturnPart};
pub use stock::{OPENING_DAYS, Opening, Receipt};

/// The channel that the file's orders come from.
pub const CHANNEL: &str = "online-retail";
/// The account of sales without a customer.
pub const WALK_IN: &str = "WALK-IN";
/// The price list of [`WALK_IN`]; all others buy at [`lockstep_actors::pricing::contract::DEFAULT_LIST`].
pub const RETAIL_LIST: &str = "retail";
/// The warehouse that receives and is asked first.
pub const MAIN_WAREHOUSE: &str = "MAIN";
/// The warehouse that holds a quarter of the opening stock and is asked second.
pub const RESERVE_WAREHOUSE: &str = "RESERVE";
/// What everything is priced in.
pub const CURRENCY: &str = "GBP";
