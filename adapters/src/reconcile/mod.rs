//! A whole warehouse, or all of them, compared with the books: the client of a running service that sends what another
//! system sees, pair by pair, and sums up what became of it.
//!
//! It decides nothing: each pair's own entity compares, by the thresholds of the service's configuration, and repairs or
//! raises what differs. A row that cannot be read, or is refused, costs that row.
//!
//! Invariant: a pair is sent under the case and its place in the file, so that a sweep that is begun again under the
//! same case compares no pair twice.

mod client;
mod file;
mod report;

pub use client::{Coverage, SweepError, SweepOptions, sweep};
pub use file::{BadRow, FileError, SeenRow, read};
pub use report::{Difference, MAX_LISTED, Problem, Sum, SweepReport};
