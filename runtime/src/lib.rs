//! The sharded actor runtime of Lockstep: entities, shards, mailboxes, journal port, timers, inbox and outbox.
//!
//! Its place in the map: `runtime` ◄ `actors` ◄ `adapters` ◄ `lockstep`. This crate never knows of stock, prices or
//! orders, never opens a socket or a file, and never reads a clock except through [`time::Clock`].

mod domain;
pub mod entity;
pub mod journal;
pub mod message;
pub mod placement;
pub mod store;
pub mod table;
pub mod time;

#[doc(hidden)]
pub use rmp_serde;
