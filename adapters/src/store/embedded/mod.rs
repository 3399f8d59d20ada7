//! The store in a directory of this machine, on the engine fjall.
//!
//! | file | what it is |
//! |---|---|
//! | `identity` | format and number of partitions, for people and for opening; locked while the store is open |
//! | `creating` | there only until a new store is complete; an interrupted creation is begun anew |
//! | `acknowledged` | the number of the last commit that was reported as durable ([`acknowledged`]) |
//! | `engine/` | the engine's own files |
//!
//! Invariants:
//! - one commit is one write batch of the engine, durable by one sync before anyone can read it;
//! - every commit carries a number, one higher than the last; a store whose number is lower than what was acknowledged has
//!   lost data and is refused;
//! - what is trimmed is given back to the disk, but for a bounded rest ([`reclaim`]);
//! - the journal is dense: the keys alone say so, and opening checks it;
//! - after any error but a fenced commit the store refuses all further use.
//!
//! A journal key carries the checksum of its blob, and a snapshot its own, so that whatever layer loses or mixes up bytes,
//! what is read is what was written.

mod acknowledged;
mod engine;
mod engine_log;
mod errors;
mod identity;
mod index;
mod layout;
mod manifest;
mod opener;
mod reader;
mod reclaim;
mod space;
mod writer;

#[cfg(test)]
mod tests;

pub use opener::{EmbeddedConfig, EmbeddedOpener};
