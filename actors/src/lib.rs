//! The domain: stock, prices, orders, channels and ownership, as pure decisions.
//!
//! Its place in the map: `runtime` ◄ `actors` ◄ `adapters` ◄ `lockstep`. This crate never knows of AMQP, HTTP or disks,
//! never reads a clock, draws a random number or waits.
//!
//! - [`inventory`]: the stock of a SKU in a warehouse;
//! - [`kit`]: goods that are sold as one and kept as their components;
//! - [`pricing`]: list prices, customer contracts, and the resolver that explains every price;
//! - [`accounts`]: what customers owe, and whether one more order may be booked on that;
//! - [`orders`]: an order from intake to its end, as a saga over contracts, stock and the ERP;
//! - [`channels`]: what a sales channel is told next, and when, within its limits;
//! - [`edi`]: what trading partners have sent and were told;
//! - [`governance`]: which system may write what, and what became of those that tried without;
//! - [`letters`]: what could not be taken or digested, until somebody settles it;
//! - [`reference`]: the read models, published once durable;
//! - [`domain`]: the kinds of entities tied together.

pub mod accounts;
pub mod channels;
pub mod domain;
pub mod edi;
pub mod governance;
pub mod ids;
pub mod inventory;
pub mod kit;
pub mod letters;
pub mod money;
mod newest;
pub mod orders;
pub mod pricing;
pub mod quantity;
pub mod reference;
pub mod units;
