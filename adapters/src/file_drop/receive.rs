//! Takes the orders that are put into a channel's directory.

use super::open;
use super::orders::orders_of;
use crate::channels::{ChannelConfig, PlatformError};
use crate::directories::{Arrived, Directories};
use crate::entrance::{Entrance, NotNow, NotTaken, Wrong};
use crate::webhooks::OrderIntake;
use lockstep_actors::domain::Distributor;
use lockstep_runtime::ingress::Ingress;
use std::io;
use std::time::Duration;
use tokio::sync::watch;

/// The longest file, in bytes.
const MAX_FILE_BYTES: usize = 64 << 20;
/// A file whose last line has no end is left this long for more to come.
const UNFINISHED: Duration = Duration::from_secs(60);
/// The pause before an order is handed in again that was not decided.
const PAUSE: Duration = Duration::from_millis(100);
/// How many reasons are kept of a file.
const REASONS: usize = 1_000;

/// The files of orders of one channel.
pub struct OrderFiles {
    entrance: Entrance,
    intake: OrderIntake,
    directories: Directories,
    poll: Duration,
}

/// Why no more is taken for now.
enum Halt {
    /// The service stops.
    Stopping,
    /// The directory failed.
    Disk(io::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl OrderFiles {
    /// The files of a channel; none if the channel takes no orders from a directory.
    ///
    /// # Errors
    /// [`PlatformError`] if the directory cannot be used.
    pub fn open(
        config: &ChannelConfig,
        ingress: Ingress<Distributor>,
    ) -> Result<Option<Self>, PlatformError> {
        let (Some(intake), Some(_)) = (&config.orders, &config.file) else {
            return Ok(None);
        };
        let (directories, drop) = open(config)?;
        Ok(Some(Self {
            entrance: Entrance::of_channel(config, ingress)?,
            intake: intake.clone(),
            directories,
            poll: Duration::from_millis(drop.poll_ms),
        }))
    }

    /// Takes what comes until `stop` turns true. What was begun is taken up again after the start.
    pub async fn receive(self, mut stop: watch::Receiver<bool>) {
        loop {
            match self.take_all(&stop).await {
                Ok(()) => {}
                Err(Halt::Stopping) => return,
                Err(Halt::Disk(error)) => {
                    tracing::warn!(channel = %self.entrance.system, %error, "the directory cannot be used; it is tried again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.poll) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn take_all(&self, stop: &watch::Receiver<bool>) -> Result<(), Halt> {
        for name in self.directories.work(Directories::arrived).await? {
            let read = self
                .directories
                .work(move |places| places.read(&name, MAX_FILE_BYTES))
                .await?;
            if let Some(arrived) = read {
                self.take(arrived, stop).await?;
            }
        }
        Ok(())
    }

    async fn take(&self, arrived: Arrived, stop: &watch::Receiver<bool>) -> Result<(), Halt> {
        let Arrived {
            name, content, age, ..
        } = arrived;
        let reasons = match content {
            None => vec![format!("the file has more than {MAX_FILE_BYTES} bytes")],
            Some(text) if !text.ends_with('\n') && age < UNFINISHED => return Ok(()),
            Some(text) => self.take_orders(&name, &text, stop).await?,
        };
        if reasons.is_empty() {
            return Ok(self
                .directories
                .work(move |places| places.put_away(&name))
                .await?);
        }
        let reason = reasons.join("\n");
        tracing::error!(channel = %self.entrance.system, file = name, reason, "a file of orders is set aside in the directory failed");
        Ok(self
            .directories
            .work(move |places| places.set_aside(&name, &reason))
            .await?)
    }

    /// Takes each order by itself; says what is wrong with those that are not taken.
    async fn take_orders(
        &self,
        name: &str,
        text: &str,
        stop: &watch::Receiver<bool>,
    ) -> Result<Vec<String>, Halt> {
        let orders = orders_of(name, text, self.entrance.system.as_str(), &self.intake);
        let mut reasons = Vec::new();
        for (line, message) in orders {
            let reason = match message {
                Err(reason) => Some(reason),
                Ok(message) => match self.hand_in(&message, stop).await? {
                    Ok(()) => None,
                    Err(not_taken) => Some(Wrong::from(not_taken).to_string()),
                },
            };
            if reasons.len() < REASONS {
                reasons.extend(reason.map(|reason| format!("line {line}: {reason}")));
            }
        }
        Ok(reasons)
    }

    async fn hand_in(
        &self,
        message: &[u8],
        stop: &watch::Receiver<bool>,
    ) -> Result<Result<(), NotTaken>, Halt> {
        loop {
            if *stop.borrow() {
                return Err(Halt::Stopping);
            }
            match self.entrance.hand_in(message).await {
                Ok(handed_in) => return Ok(handed_in),
                Err(NotNow) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
