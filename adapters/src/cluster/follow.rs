//! Read models of the partitions that other nodes write: their journals are read again and again.

use crate::store::PostgresReader;
use lockstep_actors::domain::Distributor;
use lockstep_actors::reference::Reference;
use lockstep_runtime::follow::Follower;
use lockstep_runtime::placement::Places;
use lockstep_runtime::store::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How old a read model may be, about.
const INTERVAL: Duration = Duration::from_millis(100);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread that reads.
pub(super) struct Following {
    stop: Arc<AtomicBool>,
}

impl Following {
    /// It ends soon.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(super) fn start(
    reader: PostgresReader,
    reference: Arc<Reference>,
    places: Arc<Places>,
) -> Result<Following, StoreError> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::Builder::new()
        .name("read-models".to_owned())
        .spawn(move || {
            let mut follower = Follower::<Distributor>::new(reference);
            while !stopped.load(Ordering::Acquire) {
                let pause = match read(&mut follower, &reader, &places) {
                    Ok(()) => INTERVAL,
                    Err(error) => {
                        tracing::warn!(%error, "the read models of other nodes' partitions are not current");
                        PAUSE
                    }
                };
                std::thread::sleep(pause);
            }
        })
        .map_err(|error| StoreError::Failed(format!("no thread for the read models: {error}")))?;
    Ok(Following { stop })
}

fn read(
    follower: &mut Follower<Distributor>,
    reader: &PostgresReader,
    places: &Places,
) -> Result<(), StoreError> {
    let asked = Instant::now();
    for (partition, end) in reader.positions()? {
        if places.is_away(partition) {
            follower.read(reader, partition, end)?;
        } else {
            follower.forget(partition);
        }
    }
    places.followed(asked);
    Ok(())
}
