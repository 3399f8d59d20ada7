//! The house as the replay sees it: facts that are told, orders that are followed until they stand.

use super::error::ReplayError;
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::governance::record::RecordReply;
use lockstep_actors::ids::OrderKey;
use lockstep_actors::inventory::command::StockReply;
use lockstep_actors::orders::Order;
use lockstep_actors::orders::command::{OrderCommand, OrderRefusal, OrderReply, OrderSummary};
use lockstep_actors::orders::effects::OrderStatus;
use lockstep_actors::orders::state::Status;
use lockstep_actors::pricing::contract::ContractReply;
use lockstep_actors::pricing::list::ListPriceReply;
use lockstep_actors::pricing::tax::TaxReply;
use lockstep_adapters::egress::Entries;
use lockstep_adapters::erp::Answers;
use lockstep_runtime::entity::Entity;
use lockstep_runtime::feed::Feed;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Envelope, MessageId, Outcome, Provenance};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Who writes, as far as the house knows.
pub(super) const SOURCE: &str = "replay";
/// The consumer of status events.
pub(super) const CONSUMER: &str = "replay";
/// How long an order may be silent before it is asked how it stands.
const SILENCE: Duration = Duration::from_secs(1);
/// How many status events are read at once.
const READ_AT_ONCE: usize = 1_024;

/// A status and its number within the order.
type Standing = (u32, Status);
type Followed = HashMap<OrderKey, watch::Sender<Standing>>;

/// The house.
#[derive(Clone)]
pub(super) struct House {
    ingress: Ingress<Distributor>,
    followed: Arc<Mutex<Followed>>,
}

impl House {
    pub(super) fn new(ingress: Ingress<Distributor>) -> Self {
        Self {
            ingress,
            followed: Arc::default(),
        }
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who follow an order of its status events, until the node ends.
    pub(super) async fn listen(self, mut feed: Feed) {
        while let Ok(entries) = feed.next(READ_AT_ONCE).await {
            for entry in entries.iter().filter(|entry| entry.kind == Order::KIND) {
                for event in &entry.outbound {
                    match rmp_serde::from_slice::<OrderStatus>(&event.body) {
                        Ok(event) => self.note(&event),
                        Err(error) => tracing::error!(%error, "a status event cannot be read"),
                    }
                }
            }
            feed.save_all(&entries);
        }
    }

    fn note(&self, event: &OrderStatus) {
        if let Some(sender) = self.followed().get(&event.order) {
            sender.send_if_modified(|known| {
                let newer = event.sequence > known.0;
                if newer {
                    *known = (event.sequence, event.status);
                }
                newer
            });
        }
    }

    async fn deliver(
        &self,
        id: &str,
        correlation: &str,
        message: Message,
    ) -> Result<Outcome<Reply>, ReplayError> {
        let envelope = Envelope {
            id: MessageId::of(SOURCE, id),
            provenance: Provenance {
                source: SOURCE.into(),
                correlation: correlation.into(),
                causation: None,
            },
            message,
        };
        self.ingress
            .deliver(envelope)
            .await
            .map_err(|_| ReplayError::Stopped)
    }

    /// Tells a fact that must be taken, now or before; returns when it is durable. The same `id` has one effect.
    pub(super) async fn tell(
        &self,
        id: String,
        correlation: &str,
        message: impl Into<Message>,
    ) -> Result<(), ReplayError> {
        let outcome = self.deliver(&id, correlation, message.into()).await?;
        let reason = match outcome {
            Outcome::Repeated | Outcome::Unavailable => return Ok(()),
            Outcome::DeadLettered { reason } => reason,
            Outcome::Done { reply, .. } => match refusal(&reply) {
                None => return Ok(()),
                Some(reason) => reason,
            },
        };
        Err(ReplayError::NotTaken { what: id, reason })
    }

    /// Begins to follow an order. Ends with the returned guard.
    fn follow(&self, order: &OrderKey) -> Following {
        let (sender, news) = watch::channel((0, Status::Pricing));
        self.followed().insert(order.clone(), sender);
        Following {
            house: self.clone(),
            order: order.clone(),
            news,
        }
    }

    /// Tells an order something and waits until it stands: until nothing moves without being told.
    pub(super) async fn settle(
        &self,
        id: String,
        order: &OrderKey,
        command: OrderCommand,
    ) -> Result<Status, ReplayError> {
        let mut following = self.follow(order);
        let message = Message::Order(order.clone(), command);
        let outcome = self.deliver(&id, order.number(), message).await?;
        match outcome {
            Outcome::Done {
                reply: Reply::Order(OrderReply::Accepted { status, sequence }),
                repeated: false,
            } => following.until_it_stands(Some((sequence, status))).await,
            // A step that was taken before the replay was interrupted: the order may stand further on.
            Outcome::Done {
                reply: Reply::Order(OrderReply::Accepted { .. }),
                ..
            }
            | Outcome::Repeated
            | Outcome::Unavailable => following.until_it_stands(None).await,
            Outcome::DeadLettered { reason } => Err(ReplayError::NotTaken { what: id, reason }),
            Outcome::Done { reply, .. } => Err(ReplayError::NotTaken {
                what: id,
                reason: refusal(&reply).unwrap_or_else(|| format!("{reply:?}")),
            }),
        }
    }

    /// Waits until an order stands.
    pub(super) async fn standing(&self, order: &OrderKey) -> Result<Option<Status>, ReplayError> {
        match self.show(order).await? {
            None => Ok(None),
            Some(summary) if stands(summary.status) => Ok(Some(summary.status)),
            Some(_) => self.follow(order).until_it_stands(None).await.map(Some),
        }
    }

    /// How an order stands; none if it never came in.
    pub(super) async fn show(&self, order: &OrderKey) -> Result<Option<OrderSummary>, ReplayError> {
        let what = || format!("show/{order}");
        let message = Message::Order(order.clone(), OrderCommand::Show);
        match self.deliver(&what(), order.number(), message).await? {
            Outcome::Done {
                reply: Reply::Order(OrderReply::Order(summary)),
                ..
            } => Ok(Some(*summary)),
            Outcome::Done {
                reply: Reply::Order(OrderReply::Refused(OrderRefusal::UnknownOrder)),
                ..
            } => Ok(None),
            other @ (Outcome::Done { .. }
            | Outcome::Repeated
            | Outcome::DeadLettered { .. }
            | Outcome::Unavailable) => Err(ReplayError::NotTaken {
                what: what(),
                reason: format!("{other:?}"),
            }),
        }
    }

    /// Asks a stock how it stands.
    pub(super) async fn level(&self, message: Message) -> Result<StockReply, ReplayError> {
        match self.deliver("level", "level", message).await? {
            Outcome::Done {
                reply: Reply::Stock(reply),
                ..
            } => Ok(reply),
            other @ (Outcome::Done { .. }
            | Outcome::Repeated
            | Outcome::DeadLettered { .. }
            | Outcome::Unavailable) => Err(ReplayError::NotTaken {
                what: "a question about stock".to_owned(),
                reason: format!("{other:?}"),
            }),
        }
    }
}

struct Following {
    house: House,
    order: OrderKey,
    news: watch::Receiver<Standing>,
}

impl Following {
    async fn until_it_stands(&mut self, known: Option<Standing>) -> Result<Status, ReplayError> {
        let mut known = match known {
            Some(known) => known,
            None => self.ask().await?,
        };
        loop {
            if stands(known.1) {
                return Ok(known.1);
            }
            let told = match tokio::time::timeout(SILENCE, self.news.changed()).await {
                Ok(Ok(())) => *self.news.borrow_and_update(),
                Ok(Err(_)) | Err(_) => self.ask().await?,
            };
            if told.0 > known.0 {
                known = told;
            }
        }
    }

    async fn ask(&self) -> Result<Standing, ReplayError> {
        let summary = self.house.show(&self.order).await?;
        summary
            .map(|summary| (summary.sequence, summary.status))
            .ok_or_else(|| ReplayError::NotTaken {
                what: self.order.to_string(),
                reason: "the order is not known".to_owned(),
            })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.house.followed().remove(&self.order);
    }
}

/// Whether an order waits for someone outside.
fn stands(status: Status) -> bool {
    match status {
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Shipping
        | Status::Cancelling
        | Status::Releasing => false,
        Status::Booked
        | Status::Released
        | Status::Picked
        | Status::Backordered
        | Status::Shipped
        | Status::Exception
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => true,
    }
}

/// Why something was not taken; none if it was, now or before.
fn refusal(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Stock(StockReply::Refused(refusal)) => Some(refusal.to_string()),
        Reply::ListPrice(ListPriceReply::Refused(refusal)) => Some(refusal.to_string()),
        Reply::Contract(ContractReply::Refused(refusal)) => Some(refusal.to_string()),
        Reply::Order(OrderReply::Refused(refusal)) => Some(refusal.to_string()),
        Reply::Audit(AuditReply::NotOwner(write)) => Some(write.to_string()),
        Reply::Ownership(RecordReply::Refused(refusal)) => Some(refusal.to_string()),
        Reply::Taxes(TaxReply::Refused(refusal)) => Some(refusal.to_string()),
        Reply::Stock(_)
        | Reply::ListPrice(_)
        | Reply::Contract(_)
        | Reply::Order(_)
        | Reply::Audit(_)
        | Reply::Ownership(_)
        | Reply::Letter(_)
        | Reply::LetterEntry(_)
        | Reply::Agreement(_)
        | Reply::Item(_)
        | Reply::Rates(_)
        | Reply::Taxes(_)
        | Reply::Account(_)
        | Reply::Desk(_)
        | Reply::Editions(_)
        | Reply::Budget(_)
        | Reply::Index(_)
        | Reply::Partner(_)
        | Reply::Purchase(_) => None,
    }
}
