//! Waiting for the database from threads that do not know of futures.
//!
//! The connections live on a thread of their own. Whoever asks blocks, as for a disk; shards and feeds ask from within an
//! executor of theirs, which must not be entered again.

use super::errors;
use lockstep_runtime::store::StoreError;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::Error;

/// After so long without an answer the connection counts as lost, and the outcome of a commit as unknown.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Io(Option<Runtime>);

impl Io {
    pub(super) fn start() -> Result<Self, StoreError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build();
        runtime
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| StoreError::Failed(format!("no thread for the database: {error}")))
    }

    pub(super) fn handle(&self) -> Result<&Handle, StoreError> {
        let runtime = self.0.as_ref();
        runtime
            .map(Runtime::handle)
            .ok_or_else(|| StoreError::Failed("the way to the database has ended".to_owned()))
    }

    /// Blocks until `future` is done.
    pub(super) fn wait<T>(
        &self,
        doing: &str,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        let _timers_and_sockets = self.handle()?.enter();
        // The caller's executor counts what its task does and would make these futures wait for it in vain.
        let bounded = tokio::task::unconstrained(tokio::time::timeout(ANSWER_TIMEOUT, future));
        match futures_executor::block_on(bounded) {
            Ok(result) => result.map_err(|error| errors::database(doing, &error)),
            Err(_) => Err(StoreError::Failed(format!(
                "{doing}: the database has not answered for {} s",
                ANSWER_TIMEOUT.as_secs()
            ))),
        }
    }
}

impl Drop for Io {
    /// The last handle may go within an executor, where waiting for another one to end is not allowed.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
