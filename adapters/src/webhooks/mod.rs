//! Orders in the words of platforms become canonical messages: those that they announce by signed webhooks, and those that
//! they tell when [asked](crate::polling).
//!
//! Invariants:
//! - nothing of a webhook's body is looked at before its signature is found right, in constant time;
//! - what is said of an order passes the same ingress as any message: schema, limits, ownership, one order a number. The system that
//!   sends it is the channel;
//! - a webhook is answered with success only once what came of it is durable: a decision, or a dead letter with the reason;
//! - a delivery that comes again has the effect of one: it is known by the platform's id for it, and its order by its number.
//!
//! What a platform's words mean is told by plain functions from bytes to a [`Wanted`] ([`adobe_commerce`], [`amazon`], [`bigcommerce`],
//! [`shopify`], [`woocommerce`]).

pub mod adobe_commerce;
pub mod amazon;
pub mod bigcommerce;
mod config;
mod door;
mod intake;
mod order;
pub mod shopify;
mod signature;
pub mod woocommerce;

pub use config::OrderIntake;
pub use door::{Refused, Signed, WebhookDoor};
pub(crate) use intake::Intake;
pub use intake::Taken;
pub(crate) use order::whole;
pub use order::{Unreadable, Wanted};
