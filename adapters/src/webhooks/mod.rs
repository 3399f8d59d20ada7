//! Orders from platforms that call us: signed webhooks become canonical messages.
//!
//! Invariants:
//! - nothing of a body is looked at before its signature is found right, in constant time;
//! - a webhook passes the same ingress as any message: schema, limits, ownership, one order a number. The system that sends it is
//!   the channel;
//! - it is answered with success only once what came of it is durable: a decision, or a dead letter with the reason;
//! - a delivery that comes again has the effect of one: it is known by the platform's id for it, and its order by its number.
//!
//! What a platform's words mean is told by plain functions from bytes to a [`Wanted`] ([`shopify`], [`woocommerce`]).

mod config;
mod door;
mod order;
pub mod shopify;
mod signature;
pub mod woocommerce;

pub use config::OrderIntake;
pub(crate) use door::LETTER_USER;
pub use door::{Refused, Signed, Taken, WebhookDoor};
pub use order::{Unreadable, Wanted};
