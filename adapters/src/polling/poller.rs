//! Asks a channel for its orders, poll after poll.

use super::config::PollConfig;
use super::counters::PollCounters;
use super::{OrderPage, OrderSource, ToldOrder};
use crate::channels::{ChannelConfig, NotRead, Permits, PlatformError};
use crate::entrance::NotNow;
use crate::home::Home;
use crate::http::MetricSource;
use crate::webhooks::{Intake, Taken};
use lockstep_actors::channels::back_off;
use lockstep_actors::domain::Distributor;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a page is asked for before the poll is given up, to begin anew.
const ATTEMPTS: u32 = 5;
/// The pause before an order is handed in again that was not decided.
const PAUSE: Duration = Duration::from_millis(100);
/// How many orders are remembered as they were told: about 5 MB. What is not remembered is handed in again, which does no harm.
const MOST_REMEMBERED: usize = 100_000;

/// The orders of one channel, read by asking.
pub struct OrderPoller {
    intake: Intake,
    source: Arc<dyn OrderSource>,
    permits: Permits,
    config: PollConfig,
    counters: Arc<PollCounters>,
    home: Home,
}

/// How far the orders have been read.
#[derive(Debug, Default)]
struct Progress {
    /// When the newest complete poll began.
    complete: Option<Timestamp>,
    /// What was told in it, or since then, and dealt with.
    taken: HashSet<u128>,
}

impl OrderPoller {
    /// The orders of a channel; none if it is not to be asked for them.
    ///
    /// # Errors
    /// [`PlatformError`] if its configuration cannot be used.
    pub fn open(
        config: &ChannelConfig,
        source: Arc<dyn OrderSource>,
        permits: Permits,
        ingress: &Ingress<Distributor>,
    ) -> Result<Option<Self>, PlatformError> {
        let poll = config.orders.as_ref().and_then(|orders| orders.poll);
        let (Some(poll), Some(intake)) = (poll, Intake::open(config, ingress.clone())?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            intake,
            source,
            permits,
            config: poll,
            counters: Arc::new(PollCounters::new()),
            home: Home::of(ingress, config.name.as_bytes()),
        }))
    }

    /// What came of it so far.
    #[must_use]
    pub fn metrics(&self) -> MetricSource {
        let (counters, channel) = (Arc::clone(&self.counters), self.intake.channel().clone());
        Box::new(move |text| counters.report(channel.as_str(), text))
    }

    /// Polls whenever that is for this node to do, until `stop` turns true or the channel has ended. What was begun is begun anew
    /// after the start, or by the next node.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let polling = self.home.whenever_here(stop, async |mut stay| {
            let ended = tokio::select! {
                () = self.poll_on() => ControlFlow::Break(()),
                () = stay.over() => ControlFlow::Continue(()),
            };
            self.counters.rests();
            ended
        });
        polling.await;
    }

    /// Polls until the channel has ended.
    async fn poll_on(&self) {
        let mut progress = Progress::default();
        loop {
            match self.poll(&mut progress).await {
                Ok(()) => {}
                Err(NotRead::Ended) => {
                    tracing::info!(channel = %self.intake.channel(), "a channel that has ended is not asked for orders any more");
                    return;
                }
                Err(NotRead::Failed(reason)) => {
                    self.counters.fails();
                    tracing::error!(channel = %self.intake.channel(), reason, "the orders of a channel cannot be read; it is asked again");
                }
            }
            tokio::time::sleep(self.config.every()).await;
        }
    }

    /// Reads and takes what has changed.
    async fn poll(&self, progress: &mut Progress) -> Result<(), NotRead> {
        let begun = SystemClock.now();
        self.counters.begins(begun);
        let since = self.config.since(progress.complete, begun);
        let mut told = HashSet::new();
        let mut place: Option<String> = None;
        loop {
            let page = self.page(since, place.as_deref()).await?;
            for order in &page.orders {
                let digest = order.digest();
                remember(&mut told, digest);
                if progress.taken.contains(&digest) {
                    self.counters.repeats();
                    continue;
                }
                let taken = self.take(order, digest).await;
                self.counters.takes(&taken);
                remember(&mut progress.taken, digest);
            }
            match page.next {
                None => break,
                Some(next) if place.as_ref() == Some(&next) => {
                    let reason = "the platform names a page as the one after itself";
                    return Err(NotRead::Failed(reason.to_owned()));
                }
                Some(next) => place = Some(next),
            }
        }
        *progress = Progress {
            complete: Some(begun),
            taken: told,
        };
        self.counters.completes(begun);
        Ok(())
    }

    async fn page(&self, since: Timestamp, place: Option<&str>) -> Result<OrderPage, NotRead> {
        let mut failures = 0;
        loop {
            match self.source.changed_since(since, place, &self.permits).await {
                Err(NotRead::Failed(reason)) if failures < ATTEMPTS => {
                    tracing::warn!(channel = %self.intake.channel(), reason, "a page of orders cannot be read; it is asked for again");
                    failures += 1;
                    tokio::time::sleep(back_off(failures, rand::random())).await;
                }
                read => return read,
            }
        }
    }

    async fn take(&self, order: &ToldOrder, digest: u128) -> Taken {
        let (id, body) = (format!("poll-{digest:032x}"), order.body.to_string());
        loop {
            match self.intake.take(order.topic, &id, body.as_bytes()).await {
                Ok(taken) => return taken,
                Err(NotNow) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

fn remember(orders: &mut HashSet<u128>, digest: u128) {
    if orders.len() < MOST_REMEMBERED {
        orders.insert(digest);
    }
}
