//! The sharded actor runtime of Lockstep: entities, shards, mailboxes, journal port, timers, inbox and outbox.
//!
//! Its place in the map: `runtime` ◄ `actors` ◄ `adapters` ◄ `lockstep`. This crate never knows of stock, prices or
//! orders, never opens a socket or a file, and never reads a clock except through [`time::Clock`].

mod domain;
pub mod elsewhere;
pub mod entity;
pub mod feed;
pub mod follow;
pub mod health;
pub mod history;
mod inbox;
pub mod ingress;
pub mod journal;
pub mod memory;
pub mod message;
pub mod metrics;
pub mod node;
pub mod notes;
mod outbox;
pub mod placement;
pub mod shard;
pub mod store;
pub mod table;
pub mod time;
mod writer;

#[doc(hidden)]
pub use rmp_serde;
