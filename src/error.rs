//! Why a command failed, and with which exit code.

use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot use {path}: {cause}", path = path.display())]
    File { path: PathBuf, cause: std::io::Error },
    #[error("{0}")]
    Config(String),
    #[error("cannot write the result: {0}")]
    Output(std::io::Error),
}

impl Failure {
    /// 1 failed, 2 usage or configuration, 3 the store cannot be used.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::File { .. } => ExitCode::from(2),
            Self::Output(_) => ExitCode::FAILURE,
        }
    }
}
