//! Where the runtime keeps what must not be lost: adapters of the port in [`lockstep_runtime::store`].
//!
//! The embedded store is the default: one directory, no server, one sync for each commit.

pub mod embedded;

pub use embedded::{EmbeddedConfig, EmbeddedOpener};
