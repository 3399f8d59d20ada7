//! Several nodes on one store: who is there, who has which partition, what they tell each other, and read models of what
//! others write. The protocol and its reasons stand in `docs/decisions/0002-many-nodes.md`.
//!
//! Invariants:
//! - nothing here is needed for safety: a commit is fenced by its epoch in the store, whatever this module believes;
//! - leases are kept by the database's clock; this process only counts from when it asked, by a clock that runs forward;
//! - a node takes messages for a partition only while its lease lasts, and only for those it was granted;
//! - what nodes tell each other is signed with a secret of the store.

mod config;
mod follow;
mod frames;
mod keeper;
mod links;
mod membership;
mod server;
mod status;

pub use config::ClusterConfig;
pub use frames::{Frame, reread};
pub use keeper::{Cluster, ClusterError, Plan, plan};
pub use links::Peers;
pub use membership::{NodeRow, Placed, View};
pub use status::{drain, rebalance, status};
