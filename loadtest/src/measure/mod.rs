//! What the engine itself can do, without network: reservations a second, memory a pair, time to start.
//!
//! A real node with the real domain, driven through its bounded mailboxes. Nothing here is a timed test: the figures are for
//! people, and for ratios within one run.

pub(crate) mod process;
mod reserve;
pub mod staleness;
mod start;
pub mod sweep;

use clap::Subcommand;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Reservations through mailbox, decision and (with the embedded store) one sync a batch.
    ///
    /// Every other command is a hold, the ones between release what was held `--live` commands ago, so that stock and holds
    /// neither run out nor grow.
    #[command(after_help = "Examples:\n  \
        lockstep-loadtest measure reserve --store memory --seconds 5\n  \
        lockstep-loadtest measure reserve --store embedded --rate 125000 --seconds 10 --json")]
    Reserve(reserve::Options),
    /// Memory of resident SKU-warehouse pairs, and how soon a store with them and a long journal tail is ready.
    #[command(after_help = "Examples:\n  \
        lockstep-loadtest measure start\n  \
        lockstep-loadtest measure start --skus 10000 --warehouses 5 --tail 100000 --json")]
    Start(start::Options),
    /// What a reconciliation of many pairs finds among faults of every kind, how long it takes, and what it costs others.
    #[command(after_help = "Examples:\n  \
        lockstep-loadtest measure sweep\n  \
        lockstep-loadtest measure sweep --pairs 20000 --faults 200 --json")]
    Sweep(sweep::Options),
    /// How old what channels show is while far more changes than they may be told, and whether they converge.
    ///
    /// Two emulated channels with a strict limit each; the age is from the decision of the first change that a value brings until
    /// the channel has accepted the value.
    #[command(after_help = "Examples:\n  \
        lockstep-loadtest measure staleness\n  \
        lockstep-loadtest measure staleness --rate 5 --batch 50 --times 100 --seconds 30 --json")]
    Staleness(staleness::Options),
    /// Open the store that `measure start --keep` left behind; used by it in a fresh process.
    #[command(hide = true)]
    Open(start::OpenOptions),
}

impl Command {
    /// Measures and prints.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn run(self) -> Result<(), MeasureError> {
        match self {
            Self::Reserve(options) => reserve::run(&options),
            Self::Start(options) => start::run(&options),
            Self::Sweep(options) => sweep::run(&options),
            Self::Staleness(options) => staleness::run(&options),
            Self::Open(options) => start::open(&options),
        }
    }
}

/// A measurement that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The node or its store.
    #[error(transparent)]
    Node(#[from] lockstep_runtime::node::StartError),
    /// Files.
    #[error("{doing}: {cause}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Anything that should not have happened.
    #[error("{0}")]
    Unexpected(String),
}

fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> MeasureError {
    move |cause| MeasureError::Io { doing, cause }
}

fn unexpected(error: impl std::fmt::Display) -> MeasureError {
    MeasureError::Unexpected(error.to_string())
}

pub(crate) fn print(text: &str) -> Result<(), MeasureError> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").map_err(io("writing the result"))
}
