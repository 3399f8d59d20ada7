//! The store in PostgreSQL: for a node without a disk of its own, and for several nodes.
//!
//! Invariants:
//! - what a commit holds for one database is one statement, one transaction and one round trip; the epoch of every
//!   partition in it is checked there, under the row's lock;
//! - a commit whose outcome is unknown (the connection went while it was under way) ends the use of the store; opening
//!   anew raises the epochs, which waits for what is still running on the server, so that nothing comes after;
//! - a journal blob and a snapshot carry a checksum that is seen to be right when they are read;
//! - the layout has a number; steps to a higher one run once, and a higher one than this build knows is refused.
//!
//! One store may lie in several databases, each with partitions of its own. A commit is then whole in each of them, not
//! over all: what depends on each other lies in one partition.

mod config;
pub(crate) mod connect;
mod errors;
mod identity;
mod io;
mod opener;
mod reader;
mod rows;
mod tail;
mod writer;

#[cfg(test)]
pub(crate) mod scratch;
#[cfg(test)]
mod tests;

pub use config::{DatabaseSettings, PostgresSettings};
pub use opener::{PostgresConfig, PostgresOpener, Sharing};
pub use reader::PostgresReader;
