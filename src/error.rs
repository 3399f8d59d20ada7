//! Why a command failed, and with which exit code.

use crate::config::NoStore;
use crate::replay::ReplayError;
use crate::service::ServiceError;
use lockstep_adapters::cluster::ClusterError;
use lockstep_adapters::http::HttpError;
use lockstep_adapters::identity::KeyFileError;
use lockstep_adapters::letters::ClientError;
use lockstep_adapters::store::transfer::TransferError;
use lockstep_runtime::history::HistoryError;
use lockstep_runtime::node::StartError;
use lockstep_runtime::placement::InvalidPartitionCount;
use lockstep_runtime::store::StoreError;
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot use {path}: {cause}", path = path.display())]
    File { path: PathBuf, cause: std::io::Error },
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Partitions(#[from] InvalidPartitionCount),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Letters(#[from] ClientError),
    #[error(transparent)]
    Replay(ReplayError),
    #[error("cannot write the result: {0}")]
    Output(std::io::Error),
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        // A service that does not start fails a replay in the same way as it fails `serve`.
        if let ReplayError::Service(error) = error {
            return Self::Service(error);
        }
        Self::Replay(error)
    }
}

impl From<NoStore> for Failure {
    fn from(error: NoStore) -> Self {
        match error {
            NoStore::Store(error) => Self::Store(error),
            NoStore::Partitions(error) => Self::Partitions(error),
            error @ (NoStore::Url(_) | NoStore::NotShared) => Self::Config(error.to_string()),
        }
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Store(error) => Self::Store(error),
            TransferError::Io { path, cause } => Self::File { path, cause },
            error @ (TransferError::Exists(_)
            | TransferError::NotEmpty
            | TransferError::Unsettled(_)
            | TransferError::Partitions { .. }) => Self::Usage(error.to_string()),
            error @ (TransferError::File(_) | TransferError::Differs { .. }) => {
                Self::Failed(error.to_string())
            }
        }
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Store(error) => Self::Store(error),
            HistoryError::Corrupt(_) | HistoryError::Malformed(_) | HistoryError::Encode(_) => {
                Self::Store(StoreError::Damaged(error.to_string()))
            }
        }
    }
}

impl Failure {
    /// 1 failed, 2 usage or configuration, 3 the store cannot be used.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Partitions(_) | Self::File { .. } => ExitCode::from(2),
            Self::Store(_)
            | Self::Service(ServiceError::Node(StartError::Store(_) | StartError::Recovery(_)))
            | Self::Replay(ReplayError::Progress { .. }) => ExitCode::from(3),
            Self::Service(
                ServiceError::Erp(_)
                | ServiceError::Ownership(_)
                | ServiceError::Publishing(_)
                | ServiceError::Allowance(_)
                | ServiceError::Setting(_)
                | ServiceError::Platform(_),
            ) => ExitCode::from(2),
            Self::Replay(error) if error.is_usage() => ExitCode::from(2),
            Self::Service(
                ServiceError::Node(_)
                | ServiceError::Consumer(_)
                | ServiceError::Cluster(_)
                | ServiceError::Undeclared(_),
            )
            | Self::Keys(_)
            | Self::Replay(_)
            | Self::Failed(_)
            | Self::Http(_)
            | Self::Cluster(_)
            | Self::Letters(_)
            | Self::Output(_) => ExitCode::FAILURE,
        }
    }
}
