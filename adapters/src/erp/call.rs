//! Calls to an ERP: how many are under way at a time, and why one brought nothing.

use super::ErpError;
use tokio::sync::Semaphore;

/// So many of what a connector does at a time, the others in their turn.
#[derive(Debug)]
pub(super) struct Places(Semaphore);

impl Places {
    pub(super) fn new(concurrency: usize) -> Self {
        Self(Semaphore::new(concurrency))
    }

    /// Does the work once there is a place for it.
    pub(super) async fn take<T>(
        &self,
        work: impl Future<Output = Result<T, ErpError>>,
    ) -> Result<T, ErpError> {
        let place = self.0.acquire().await;
        let _place = place.map_err(|_| ErpError::Transient("the connector is closing".to_owned()))?;
        work.await
    }
}

/// Why a call brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// The ERP decided against it and did nothing.
    #[error("it refuses: {0}")]
    Refused(String),
    /// It certainly did nothing; asking again may help.
    #[error("{0}")]
    Transient(String),
    /// It was asked and gave no answer.
    #[error("{0}")]
    Unanswered(String),
    /// It answered, but not what was asked for.
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

impl From<CallError> for ErpError {
    /// Of a call that may have changed what binds somebody.
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(reason) => Self::Rejected(reason),
            CallError::Transient(reason) => Self::Transient(reason),
            CallError::Unanswered(_) | CallError::Unreadable(_) => Self::Unknown(error.to_string()),
        }
    }
}

impl From<ErpError> for CallError {
    fn from(error: ErpError) -> Self {
        match error {
            ErpError::Rejected(reason) => Self::Refused(reason),
            ErpError::Transient(reason) => Self::Transient(reason),
            ErpError::Unknown(reason) => Self::Unanswered(reason),
        }
    }
}

impl CallError {
    /// Of a call that changed nothing that binds anybody: it may be made again.
    pub(super) fn harmless(self) -> ErpError {
        match self {
            Self::Refused(reason) => ErpError::Rejected(reason),
            Self::Transient(_) | Self::Unanswered(_) | Self::Unreadable(_) => {
                ErpError::Transient(self.to_string())
            }
        }
    }

    /// Of a look at what a call of unknown outcome has done.
    pub(super) fn unsure(self) -> ErpError {
        ErpError::Unknown(self.to_string())
    }

    /// Of a call that changes nothing, which leaves nothing open.
    pub(super) fn of_reading(self) -> Self {
        match self {
            Self::Unanswered(reason) => Self::Transient(reason),
            Self::Refused(_) | Self::Transient(_) | Self::Unreadable(_) => self,
        }
    }
}
