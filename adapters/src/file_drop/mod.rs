//! A channel behind a directory: levels, prices and how orders stand are written to `out`, orders are taken from `in`.
//!
//! Invariants:
//! - a file appears in `out` whole and durable, and the next one only after it: in the order of their names each item is newer than
//!   the same item in an earlier file;
//! - a file leaves `in` only after what came of each order in it is durable: to `archive` if all were taken, else to `failed` with
//!   the reasons beside it. Taken up again it has the effect of once.

mod orders;
mod receive;
mod write;

pub use orders::orders_of;
pub use receive::OrderFiles;
pub use write::FileDrop;
pub(crate) use write::plan;

use crate::channels::{ChannelConfig, PlatformError};
use crate::directories::Directories;
use serde::Deserialize;
use std::path::PathBuf;

/// How levels and prices are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// A row an item, behind a row of names.
    #[default]
    Csv,
    /// A JSON object a line.
    Ndjson,
}

/// Where files are exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDropConfig {
    /// The directory below which `in`, `out`, `archive` and `failed` are.
    pub directory: PathBuf,
    /// How levels and prices are written.
    #[serde(default)]
    pub format: FileFormat,
    /// How often `in` is looked at: 10 to 3,600,000 ms.
    #[serde(default = "second")]
    pub poll_ms: u64,
}

fn second() -> u64 {
    1_000
}

fn open(config: &ChannelConfig) -> Result<(Directories, &FileDropConfig), PlatformError> {
    let drop = config.file.as_ref();
    let drop = drop.ok_or_else(|| config.missing("file", "a table"))?;
    let directories = Directories::open(&drop.directory).map_err(|cause| {
        config.unusable("file.directory", format!("{}: {cause}", drop.directory.display()))
    })?;
    Ok((directories, drop))
}
