//! The configuration: one TOML file, checked as a whole before anything starts.
//!
//! The tests stand beside [`settings`] and not in it: whatever reads that file by its path would run them once more.

mod settings;

#[cfg(test)]
mod tests;

pub(crate) use settings::{Config, NoStore, parse};
