//! The telling of one account, by one node at a time: the one that has the partition of the channel's name.
//!
//! Invariants:
//! - it begins once the read models of this node show all that was committed when the channel came here, so that nothing is told that is
//!   older than what the node before has told;
//! - it reads the changes of all partitions from where the last one stopped, whichever node that was;
//! - no request begins once another node may have the channel.

use super::before::outlast;
use super::contents::{Contents, ReadModel};
use super::drive::{Account, KindFeed, drive};
use super::memory::Memory;
use super::platform::{Plan, Platform};
use super::status::{ChannelHandle, Control};
use crate::egress::feed_of_all;
use crate::home::{Home, Stay};
use lockstep_actors::channels::{AllowanceError, Engine, Key, Kind, Mark};
use lockstep_actors::domain::Distributor;
use lockstep_actors::inventory::SkuWarehouse;
use lockstep_actors::orders::effects;
use lockstep_actors::pricing::{CatalogueItem, ListPrice, SharedAgreement};
use lockstep_runtime::entity::Entity;
use lockstep_runtime::feed::{Feed, FeedFilter, Pass};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionCount;
use std::future::pending;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a channel is asked whether it still works on what it was sent before the start: less often than Amazon lists feeds, which is
/// every 45 seconds (<https://developer-docs.amazon.com/sp-api/docs/feeds-api-rate-limits>).
const WORK_OF_BEFORE: Duration = Duration::from_secs(60);

/// The entries in which changes of a kind stand.
#[must_use]
pub const fn changes_of(kind: Kind) -> FeedFilter {
    match kind {
        // What a kit is made of changes its level as well.
        Kind::Stock => FeedFilter::Kinds(&[SkuWarehouse::KIND, CatalogueItem::KIND]),
        // What the house, or the catalogue, says about how goods are advertised changes what is shown of their prices.
        Kind::Price => FeedFilter::Kinds(&[ListPrice::KIND, CatalogueItem::KIND, SharedAgreement::KIND]),
        Kind::Order => FeedFilter::Port(effects::EVENTS),
    }
}

/// What one account is told, and by which way.
pub struct Telling<P> {
    ingress: Ingress<Distributor>,
    home: Home,
    handle: ChannelHandle,
    contents: ReadModel,
    platform: Arc<P>,
    plan: Plan,
    /// Of each kind the consumer that reads its changes.
    kinds: Vec<(Kind, String)>,
    samples_per_minute: u32,
}

impl<P: Platform> Telling<P> {
    /// Of these kinds, each with the consumer that reads its changes, at `home`; the other end of `handle` is its control.
    ///
    /// # Errors
    /// [`AllowanceError`] if limits and operations do not fit.
    pub fn new(
        ingress: Ingress<Distributor>,
        home: Home,
        handle: ChannelHandle,
        contents: ReadModel,
        platform: P,
        plan: Plan,
        kinds: Vec<(Kind, String)>,
    ) -> Result<Self, AllowanceError> {
        Engine::new(&plan.allowance, &plan.lanes, Duration::ZERO)?;
        Ok(Self {
            ingress,
            home,
            handle,
            contents,
            platform: Arc::new(platform),
            plan,
            kinds,
            samples_per_minute: 0,
        })
    }

    /// The same with a look each minute at what the channel shows of so many SKUs.
    #[must_use]
    pub fn sampling(self, samples_per_minute: u32) -> Self {
        Self {
            samples_per_minute,
            ..self
        }
    }

    /// Tells the account whenever this is the node that does, until `stop` turns true, its sender is gone, or the node ends.
    pub async fn run(self, mut control: Control, stop: watch::Receiver<bool>) {
        let telling = self
            .home
            .whenever_here(stop, async |stay| self.turn(&mut control, stay).await);
        telling.await;
    }

    async fn turn(&self, control: &mut Control, mut stay: Stay) -> ControlFlow<()> {
        let pass = self.ingress.next_pass();
        let opened = tokio::select! {
            opened = self.open(pass) => opened,
            () = stay.over() => return ControlFlow::Continue(()),
        };
        let Some((engine, feeds)) = opened else {
            return ControlFlow::Break(());
        };
        let (contents, platform) = (self.contents.clone(), Arc::clone(&self.platform));
        let told = stay.clone();
        let name = &self.handle.name;
        let notebook = self.ingress.notebook(&format!("channel/{name}"), name.as_bytes());
        let account = Account {
            engine,
            memory: Memory::in_notebook(notebook),
            samples_per_minute: self.samples_per_minute,
        };
        let outlasting = async {
            outlast(&*platform, &self.handle, WORK_OF_BEFORE).await;
            pending::<()>().await;
        };
        tokio::select! {
            () = drive(feeds, contents, Arc::clone(&platform), account, control, stay) => {}
            () = outlasting => {}
        }
        control.status.forget();
        // Otherwise the node has ended.
        if told.lasts() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl<P: Platform> Telling<P> {
    /// What a turn begins with, once the read models show what was committed before; none if it cannot begin at all.
    async fn open(&self, pass: Pass) -> Option<(Engine, Vec<KindFeed<Feed>>)> {
        self.ingress.until_followed(pass).await;
        // That it can be built was seen before.
        let mut engine = Engine::new(&self.plan.allowance, &self.plan.lanes, Duration::ZERO).ok()?;
        let mut feeds = Vec::new();
        for (kind, consumer) in &self.kinds {
            let mut feed = feed_of_all(&self.ingress, consumer, changes_of(*kind)).await?;
            if feed.is_new() {
                let changes = self.contents.keys(*kind);
                introduce(&mut engine, *kind, changes, &mut feed, self.ingress.partitions());
            }
            feeds.push(KindFeed { kind: *kind, feed });
        }
        Some((engine, feeds))
    }
}

/// Has a new channel told what happened before it was there, from the read model.
fn introduce(
    engine: &mut Engine,
    kind: Kind,
    changes: Vec<(Key, Sequence)>,
    feed: &mut Feed,
    partitions: PartitionCount,
) {
    if changes.is_empty() {
        return;
    }
    feed.hold();
    let mark = |(key, sequence): &(Key, Sequence)| Mark {
        partition: partitions.partition_of(key.0.as_bytes()),
        sequence: *sequence,
    };
    let seen: Vec<Mark> = changes.iter().map(mark).collect();
    let keys = changes.into_iter().map(|(key, _)| key).collect();
    engine.introduce(kind, keys, &seen);
}
