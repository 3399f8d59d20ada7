//! `lockstep serve`: the service until SIGTERM or SIGINT.
//!
//! Started from the inside out and stopped from the outside in: what lets messages in goes first, the node last.

use crate::config::Config;
use crate::error::Failure;
use crate::service::{Consumers, Service};
use lockstep_adapters::channels::{ChannelKind, HttpSink};
use lockstep_adapters::store::EmbeddedOpener;
use lockstep_runtime::time::SystemClock;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) fn run(config: Config) -> Result<(), Failure> {
    actix::System::new().block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let signals =
        |kind| signal(kind).map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")));
    let (mut terminate, mut interrupt) = (
        signals(SignalKind::terminate())?,
        signals(SignalKind::interrupt())?,
    );
    let consumers = Consumers::of(&config.channels);
    let opener = Arc::new(EmbeddedOpener::new(config.store.embedded()?));
    let node = config.node.node();
    let mut service = Service::start(node, consumers, &config.erp, opener, Arc::new(SystemClock)).await?;
    for channel in &config.channels {
        match channel.kind {
            ChannelKind::Http => {
                let sink = HttpSink::new(channel).map_err(|error| Failure::Config(error.to_string()))?;
                service
                    .add_channel(channel, sink)
                    .map_err(crate::service::ServiceError::from)?;
            }
            ChannelKind::Amqp => {}
        }
    }
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    service.stop().await;
    Ok(())
}
