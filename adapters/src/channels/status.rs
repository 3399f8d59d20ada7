//! How a channel stands, for people and metrics, and what they may ask of it.

use super::permit::{Permits, Wanted, permits};
use crate::home::Home;
use lockstep_actors::channels::{Kind, Report};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// How many items are shown of each kind that the channel would not take.
const SHOWN: usize = 1_000;

/// What somebody wants of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelCommand {
    /// Says how it stands.
    Show,
    /// Sends nothing until it is told to resume.
    Pause,
    /// Goes on.
    Resume,
    /// Tells the channel everything again, in the background.
    Resync,
    /// Lets that rest.
    PauseResync,
    /// Goes on with that.
    ResumeResync,
}

/// An item that the channel would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedItem {
    /// What.
    pub kind: Kind,
    /// Of which SKU or order.
    pub key: String,
    /// In the channel's words.
    pub reason: String,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// How often.
    pub times: u64,
}

/// How a channel stands.
#[derive(Clone, Debug)]
pub struct ChannelView {
    /// In numbers.
    pub report: Report,
    /// What it would not take: of each kind the first thousand by SKU.
    pub refused: Vec<RefusedItem>,
}

impl ChannelView {
    pub(super) fn of(engine: &lockstep_actors::channels::Engine, now: std::time::Duration) -> Self {
        let mut refused = Vec::new();
        for kind in Kind::ALL {
            let items = engine.exceptions(kind).take(SHOWN);
            refused.extend(items.map(|(key, exception)| RefusedItem {
                kind,
                key: key.to_string(),
                reason: exception.reason.clone(),
                for_ms: u64::try_from(now.saturating_sub(exception.since).as_millis()).unwrap_or(u64::MAX),
                times: exception.times,
            }));
        }
        Self {
            report: engine.report(now),
            refused,
        }
    }
}

/// The newest report, for metrics: read at any time, a tenth of a second old at most.
#[derive(Debug, Default)]
pub struct ChannelStatus(Mutex<Option<Report>>);

impl ChannelStatus {
    /// The newest report; none before the first, and while another node tells the channel.
    #[must_use]
    pub fn read(&self) -> Option<Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn write(&self, report: Report) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    /// Another node knows from now on.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

type Asked = (ChannelCommand, oneshot::Sender<ChannelView>);

/// The driver's end of a [`ChannelHandle`].
#[derive(Debug)]
pub struct Control {
    pub(super) asked: mpsc::Receiver<Asked>,
    pub(super) wanted: mpsc::Receiver<Wanted>,
    pub(super) status: Arc<ChannelStatus>,
}

/// A running channel, for those who ask.
#[derive(Clone, Debug)]
pub struct ChannelHandle {
    /// Its name.
    pub name: String,
    /// Its newest report.
    pub status: Arc<ChannelStatus>,
    /// For who reads its orders.
    pub permits: Permits,
    home: Option<Home>,
    asks: mpsc::Sender<Asked>,
}

impl ChannelHandle {
    /// The same of a channel that one node of several tells: that at `home`.
    #[must_use]
    pub fn at(self, home: Home) -> Self {
        Self {
            home: Some(home),
            ..self
        }
    }

    /// Where it is told, if that is not here.
    #[must_use]
    pub fn elsewhere(&self) -> Option<&Home> {
        self.home.as_ref().filter(|home| !home.is_here())
    }

    /// Does what is asked and says how the channel then stands; none if it has ended.
    pub async fn ask(&self, command: ChannelCommand) -> Option<ChannelView> {
        let (sender, receiver) = oneshot::channel();
        self.asks.send((command, sender)).await.ok()?;
        receiver.await.ok()
    }
}

/// Both ends.
#[must_use]
pub fn channel_handle(name: &str) -> (ChannelHandle, Control) {
    let (asks, asked) = mpsc::channel(16);
    let (permits, wanted) = permits();
    let status = Arc::<ChannelStatus>::default();
    let handle = ChannelHandle {
        name: name.to_owned(),
        status: Arc::clone(&status),
        permits,
        home: None,
        asks,
    };
    let control = Control {
        asked,
        wanted,
        status,
    };
    (handle, control)
}
