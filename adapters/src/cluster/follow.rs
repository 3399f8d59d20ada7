//! Read models of the partitions that other nodes write: their journals are read again and again.

use crate::store::PostgresReader;
use lockstep_actors::domain::Distributor;
use lockstep_runtime::follow::Follower;
use lockstep_runtime::ingress::Ingress;
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

pub(super) fn start(reader: PostgresReader, node: Ingress<Distributor>) -> Result<Following, StoreError> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::Builder::new()
        .name("read-models".to_owned())
        .spawn(move || {
            let places = Arc::clone(node.places());
            let mut follower = Follower::new(node);
            while !stopped.load(Ordering::Acquire) {
                let asked = Instant::now();
                let pause = match follower.pass(&reader, || reader.positions()) {
                    Ok(()) => {
                        places.followed(asked);
                        INTERVAL
                    }
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
