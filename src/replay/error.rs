//! Why a replay cannot go on.

use crate::service::ServiceError;
use lockstep_actors::ids::InvalidName;
use lockstep_adapters::online_retail::PlanError;
use std::path::PathBuf;

/// Why a replay cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("{path}: {cause}", path = path.display())]
    Plan { path: PathBuf, cause: PlanError },
    #[error("cannot use {path}: {cause}", path = path.display())]
    File { path: PathBuf, cause: std::io::Error },
    #[error(
        "{path} holds the replay of another file or of other rules; choose another directory with --store, or remove \
         this one to start anew",
        path = path.display()
    )]
    OtherReplay { path: PathBuf },
    #[error(
        "{path} is not empty and holds no replay; choose another directory with --store",
        path = path.display()
    )]
    NoReplay { path: PathBuf },
    #[error("{path} cannot be read as the progress of a replay: {cause}; remove the directory to start anew", path = path.display())]
    Progress { path: PathBuf, cause: serde_json::Error },
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error("a name of the plan is none: {0}")]
    Name(#[from] InvalidName),
    #[error("{what} was not taken: {reason}")]
    NotTaken { what: String, reason: String },
    #[error("the node stopped while the replay was under way; start it again with the same command")]
    Stopped,
    #[error("the amounts of this file are more than a decimal holds")]
    Overflow,
}

impl ReplayError {
    /// Whether another command line would help.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Plan { .. } | Self::File { .. } | Self::NoReplay { .. } | Self::OtherReplay { .. } => true,
            Self::Progress { .. }
            | Self::Service(_)
            | Self::Name(_)
            | Self::NotTaken { .. }
            | Self::Stopped
            | Self::Overflow => false,
        }
    }
}
