//! EDI: what trading partners have sent and were told, so that each document goes out once and every control number can be
//! explained.
//!
//! How documents are written is not known here: a document's body is text that the adapter makes and reads.
//!
//! - [`partner::TradingPartner`]: a partner's interchanges: which came in, which went out under which control number, and
//!   which of those the partner has acknowledged;
//! - [`purchase::PartnerPurchase`]: a purchase order as its buyer wrote it, and what the buyer was told about it.

pub mod partner;
pub mod purchase;
#[cfg(test)]
mod tests;
