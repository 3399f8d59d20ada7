//! Gives the room of trimmed blobs back to the disk.
//!
//! The engine drops a trimmed blob only when it rewrites the table that holds its key, and it moves tables that do not
//! overlap without rewriting them: in a journal of large blobs, as good as all. So once enough has been trimmed, all of
//! the journal's tables are rewritten, on a thread of their own. They hold keys and places alone: a few dozen bytes a blob.

use super::engine::Engine;
use crossbeam_channel::{Sender, TrySendError, bounded};
use lockstep_runtime::store::StoreError;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// How much is trimmed before its room is given back.
pub(super) const RECLAIM_AFTER_BYTES: u64 = 64 << 20;

pub(super) struct Reclaimer {
    /// Trimmed since room was last given back.
    trimmed_bytes: u64,
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Reclaimer {
    pub(super) fn start(engine: &Arc<Engine>) -> Result<Self, StoreError> {
        let (wake, woken) = bounded::<()>(1);
        let engine = Arc::clone(engine);
        let thread = thread::Builder::new()
            .name("store-reclaim".to_owned())
            .spawn(move || {
                woken.iter().try_for_each(|()| {
                    let done = engine.journal.major_compact();
                    done.map_err(|error| engine.failed("giving back trimmed room", &error))
                })
            })
            .map_err(|error| super::errors::io("starting the thread that gives back trimmed room", &error))?;
        Ok(Self {
            trimmed_bytes: 0,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// Notes that so much was trimmed.
    ///
    /// # Errors
    /// Whatever was in the way of giving back room earlier: the store is to be opened again.
    pub(super) fn note(&mut self, trimmed_bytes: u64) -> Result<(), StoreError> {
        self.trimmed_bytes = self.trimmed_bytes.saturating_add(trimmed_bytes);
        if self.trimmed_bytes < RECLAIM_AFTER_BYTES {
            return Ok(());
        }
        match self.wake.as_ref().map(|wake| wake.try_send(())) {
            Some(Ok(())) => self.trimmed_bytes = 0,
            // What it is about to do reaches what was trimmed now as well.
            Some(Err(TrySendError::Full(()))) => {}
            Some(Err(TrySendError::Disconnected(()))) | None => return self.end(),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), StoreError> {
        self.wake = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(StoreError::Failed(
                "the thread that gives back trimmed room has ended".to_owned(),
            )),
        }
    }
}

impl Drop for Reclaimer {
    /// Waits for the thread, so that the engine's files are at rest once the store is closed.
    fn drop(&mut self) {
        if self.thread.is_some()
            && let Err(error) = self.end()
        {
            tracing::warn!(%error, "trimmed room was not given back");
        }
    }
}
