//! What a platform was sent before the start and may still be working on.
//!
//! What it will write over is not known any more. So as long as there is something it is asked again, and once there is nothing left it
//! is told everything once more, as a resync is.

use super::permit::NotRead;
use super::platform::Platform;
use super::status::{ChannelCommand, ChannelHandle};
use lockstep_runtime::time::{Clock, SystemClock};
use std::time::Duration;

/// Waits until a channel has worked on what it was sent before, and then tells it everything. It is asked `every` so often, and not
/// before: what limits that has come together by then, so that no other question waits for this one.
pub async fn outlast(platform: &impl Platform, channel: &ChannelHandle, every: Duration) {
    let start = SystemClock.now();
    let mut has_waited = false;
    loop {
        tokio::time::sleep(every).await;
        match platform.has_work_of_before(start, &channel.permits).await {
            Ok(true) => {
                has_waited = true;
                tracing::warn!(
                    channel = channel.name,
                    "the channel works on what it was sent before the start; it is told everything after that"
                );
            }
            Ok(false) => break,
            Err(NotRead::Ended) => return,
            Err(NotRead::Failed(reason)) => {
                tracing::warn!(
                    channel = channel.name,
                    reason,
                    "whether the channel works on what it was sent before cannot be read"
                );
            }
        }
    }
    if has_waited && channel.ask(ChannelCommand::Resync).await.is_none() {
        tracing::debug!(channel = channel.name, "the channel has ended");
    }
}
