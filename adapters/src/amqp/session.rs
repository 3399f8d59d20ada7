//! One queue of what comes in: deliveries to the shards, outcomes to acknowledgements.
//!
//! A session owns a channel. It never waits for one delivery: decisions come back in the order of durability through a
//! bounded channel with a place for every delivery that may be under way.
//!
//! Invariants of a partition's own queue:
//! - what belongs to the partition is handed in only while this node has it, and in the order in which it came; what is told to be
//!   handed in again goes before what comes after it;
//! - a session that ends closes its channel: whatever is not acknowledged goes back into its place in the queue.

use super::answer::Answer;
use super::connect::{PublishError, confirmed, publish_to_queue};
use super::counters::{AmqpCounters, add, take};
use super::ingress::Link;
use super::refusal::{Refusal, read, sheet_ask};
use super::window::Window;
use crate::identity::AmqpUsers;
use crate::letters::NOT_DIGESTED;
use crate::schema::outbound::{CommandOutcome, CommandResult};
use crate::sheets::PriceSheets;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::pricing::contract::{ContractReply, ContractState};
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::ingress::{Ingress, RejectCause};
use lockstep_runtime::message::{Delivery as Message, Outcome, OutcomeStream, Outcomes, Responder};
use lockstep_runtime::placement::PartitionId;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How many deliveries are taken before acknowledgements are looked at again.
const AT_ONCE: usize = 256;
/// The pause before a delivery is handed in again that a failing store did not keep.
const STORE_PAUSE: Duration = Duration::from_millis(100);
/// The same for one that a full mailbox did not take.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// How long what was handed in for a partition that leaves may take to become durable; then it goes back to the queue, and the next
/// owner finds it a repeat.
pub(super) const GIVEN_BACK_WITHIN: Duration = Duration::from_millis(200);

/// Which queue a session reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// That of whoever does not compute the partition.
    Ingress,
    /// That of one partition.
    Partition(PartitionId),
}

/// How long a session may take to end; `None` as long as it is to go on.
pub(super) type Ending = watch::Receiver<Option<Duration>>;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Broker(#[from] PublishError),
    #[error("the broker cancelled the consumer, as when its queue is deleted")]
    Cancelled,
    #[error("delivery tags are not dense")]
    Tags,
    #[error("the node is stopping")]
    Stopping,
    #[error("the partition is another node's")]
    Moved,
}

impl From<lapin::Error> for Ended {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error.into())
    }
}

/// What is published because of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Dead,
    Answer,
}

/// A letter on its way: which delivery it settles.
type Publication = Pin<Box<dyn Future<Output = (u64, Letter, Result<(), PublishError>)>>>;

/// One channel's life.
pub(super) struct Session<'a> {
    source: Source,
    users: &'a AmqpUsers,
    dead_letter: &'a str,
    own_user: &'a str,
    ingress: &'a Ingress<Distributor>,
    counters: &'a AmqpCounters,
    channel: Channel,
    out: Channel,
    consumer: Consumer,
    window: Window<Delivery>,
    outcomes: mpsc::Receiver<Outcomes<Reply>>,
    stream: OutcomeStream<Reply>,
    sheets: PriceSheets,
    publications: FuturesUnordered<Publication>,
    /// Deliveries that are to be handed in again, and when.
    again: BTreeSet<u64>,
    again_at: Instant,
    ending: Ending,
}

impl<'a> Session<'a> {
    /// Begins to read a queue.
    pub(super) async fn open(link: &'a Link<'_>, source: Source, ending: Ending) -> Result<Self, Ended> {
        let (prefetch, queue) = match source {
            Source::Ingress => (link.config.prefetch, link.names.ingress_queue.clone()),
            Source::Partition(partition) => (
                link.config.partition_prefetch,
                link.names.partition_queue(partition),
            ),
        };
        let channel = link.connection.create_channel().await?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let consumer = channel
            .basic_consume(queue.into(), "lockstep".into(), options, FieldTable::default())
            .await?;
        // A delivery is answered once for each time it is handed in, and handed in again only after that.
        let (stream, outcomes) = OutcomeStream::new(usize::from(prefetch));
        if let Source::Partition(_) = source {
            add(&link.counters.partitions, 1);
        }
        Ok(Self {
            source,
            users: &link.config.users,
            dead_letter: &link.names.dead_letter,
            own_user: link.own_user,
            ingress: link.ingress,
            counters: link.counters,
            channel,
            out: link.out.clone(),
            consumer,
            window: Window::new(),
            outcomes,
            stream,
            sheets: PriceSheets::new(Arc::clone(link.ingress.reference())),
            publications: FuturesUnordered::new(),
            again: BTreeSet::new(),
            again_at: Instant::now(),
            ending,
        })
    }

    /// Reads until it is to end or its partition is another node's.
    pub(super) async fn run(mut self) -> Result<(), Ended> {
        let within = match self.go_on().await {
            Ok(within) => within,
            Err(Ended::Moved) => GIVEN_BACK_WITHIN,
            Err(error) => return Err(error),
        };
        self.drain(within).await?;
        Ok(self.channel.close(200, "done".into()).await?)
    }

    /// Says within what time it is to end.
    async fn go_on(&mut self) -> Result<Duration, Ended> {
        let mut ending = self.ending.clone();
        loop {
            tokio::select! {
                biased;
                within = ending.wait_for(Option::is_some) => {
                    // Whoever would say so has gone: the connection goes as well.
                    return Ok(within.ok().and_then(|within| *within).unwrap_or_default());
                }
                Some(outcomes) = self.outcomes.recv() => self.take_outcomes(outcomes).await?,
                Some((tag, letter, sent)) = self.publications.next() => self.take_confirm(tag, letter, sent)?,
                () = tokio::time::sleep_until(self.again_at), if !self.again.is_empty() => {
                    self.hand_in_again().await?;
                }
                delivery = self.consumer.next(), if !self.is_behind() => {
                    let mut next = Some(delivery);
                    let mut taken = 0;
                    while let Some(delivery) = next.take() {
                        self.take_delivery(delivery).await?;
                        taken += 1;
                        if taken < AT_ONCE && !self.is_behind() {
                            next = self.consumer.next().now_or_never();
                        }
                    }
                }
            }
            self.acknowledge().await?;
        }
    }

    /// Whether what comes next has to wait for what is to be handed in again before it.
    fn is_behind(&self) -> bool {
        self.source != Source::Ingress && !self.again.is_empty()
    }

    async fn hand_in_again(&mut self) -> Result<(), Ended> {
        for tag in std::mem::take(&mut self.again) {
            if self.is_behind() {
                self.again.insert(tag);
            } else {
                self.hand_in(tag).await?;
            }
        }
        Ok(())
    }

    /// A delivery is to be handed in again, with others that are, after a pause.
    fn later(&mut self, tag: u64, pause: Duration) {
        if self.again.is_empty() {
            self.again_at = Instant::now() + pause;
        }
        self.again.insert(tag);
    }

    async fn take_delivery(&mut self, delivery: Option<lapin::Result<Delivery>>) -> Result<(), Ended> {
        let delivery = delivery.ok_or(Ended::Cancelled)??;
        add(&self.counters.received, 1);
        let tag = delivery.delivery_tag;
        if !self.window.begin(tag, delivery) {
            return Err(Ended::Tags);
        }
        add(&self.counters.under_way, 1);
        self.hand_in(tag).await
    }

    /// Hands a delivery to its shard, or sends it where it can be mended.
    async fn hand_in(&mut self, tag: u64) -> Result<(), Ended> {
        let Some(delivery) = self.window.get(tag) else {
            return Ok(());
        };
        let envelope = match read(delivery, self.users) {
            Ok(envelope) => envelope,
            Err(refusal) => return self.refuse(tag, &refusal).await,
        };
        let message = Message {
            envelope,
            responder: Responder::stream(&self.stream, tag),
        };
        if let Source::Partition(own) = self.source {
            return self.hand_in_of(own, tag, message);
        }
        let Err(rejected) = self.ingress.try_submit(message) else {
            return Ok(());
        };
        // Full or not ready: waiting here is what holds the broker back. What is durable meanwhile is acknowledged after.
        self.acknowledge().await?;
        let mut ending = self.ending.clone();
        tokio::select! {
            submitted = self.ingress.submit(rejected.delivery) => match submitted {
                Ok(()) => Ok(()),
                Err(rejected) => {
                    debug_assert_eq!(rejected.cause, RejectCause::Closed);
                    Err(Ended::Stopping)
                }
            },
            _ = ending.wait_for(Option::is_some) => Ok(()),
        }
    }

    /// Hands in what came in partition `own`'s queue: what belongs to it only while it is here, so that it keeps its place in the
    /// queue. What a sender has put into the wrong queue is routed as any other.
    fn hand_in_of(&mut self, own: PartitionId, tag: u64, message: Message<Distributor>) -> Result<(), Ended> {
        let key = message.envelope.message.routing_key();
        if self.ingress.partitions().partition_of(key) != own {
            add(&self.counters.misdirected, 1);
        }
        let Err(rejected) = self.ingress.try_submit_of(own, message) else {
            return Ok(());
        };
        // Dropping it tells "unavailable", which comes to the same before the pause is over.
        match rejected.cause {
            RejectCause::Closed => return Err(Ended::Stopping),
            RejectCause::Full => self.later(tag, FULL_PAUSE),
            RejectCause::NotReady => self.later(tag, STORE_PAUSE),
        }
        if self.ingress.places().is_here(own) {
            Ok(())
        } else {
            Err(Ended::Moved)
        }
    }

    /// Those of this batch, and of all that have become durable meanwhile: one acknowledgement serves them.
    async fn take_outcomes(&mut self, outcomes: Outcomes<Reply>) -> Result<(), Ended> {
        let mut next = Some(outcomes);
        while let Some(outcomes) = next {
            for (tag, outcome) in outcomes {
                self.take_outcome(tag, outcome).await?;
            }
            next = self.outcomes.try_recv().ok();
        }
        Ok(())
    }

    async fn take_outcome(&mut self, tag: u64, outcome: Outcome<Reply>) -> Result<(), Ended> {
        match outcome {
            Outcome::Unavailable => {
                self.later(tag, STORE_PAUSE);
                Ok(())
            }
            Outcome::Done {
                reply: Reply::Audit(AuditReply::NotOwner(write)),
                ..
            } => {
                self.refuse(tag, &Refusal::new("not-owner", write.to_string()))
                    .await
            }
            Outcome::DeadLettered { reason } => self.refuse(tag, &Refusal::new(NOT_DIGESTED, reason)).await,
            Outcome::Done {
                reply: Reply::Contract(ContractReply::Contract(agreed)),
                ..
            } => {
                self.answer_with_sheet(tag, *agreed);
                Ok(())
            }
            outcome @ (Outcome::Done { .. } | Outcome::Repeated) => self.answer(tag, outcome).await,
        }
    }

    /// Tells the sender what became of the message, if it wants to know.
    async fn answer(&mut self, tag: u64, outcome: Outcome<Reply>) -> Result<(), Ended> {
        let Some(delivery) = self.window.get(tag) else {
            return Ok(());
        };
        let Some(answer) = Answer::to(delivery) else {
            self.window.settle(tag);
            return Ok(());
        };
        let Some((body, properties)) = answer.written(&CommandResult::of(outcome)) else {
            self.window.settle(tag);
            return Ok(());
        };
        self.send(tag, Letter::Answer, "", &answer.reply_to, &body, properties)
            .await
    }

    /// Works out the prices that were asked for by what is agreed, and tells the sender: beside what else is under way.
    fn answer_with_sheet(&mut self, tag: u64, agreed: ContractState) {
        let Some(delivery) = self.window.get(tag) else {
            return;
        };
        let (Some(answer), Ok(ask)) = (Answer::to(delivery), sheet_ask(delivery)) else {
            return self.window.settle(tag);
        };
        let (sheets, out) = (self.sheets.clone(), self.out.clone());
        let told = async move {
            let result = match sheets.work_out(ask, agreed).await {
                Ok(sheet) => CommandResult {
                    sheet: Some(sheet),
                    ..CommandResult::default()
                },
                Err(refusal) => CommandResult::failed(CommandOutcome::Refused, &refusal),
            };
            let Some((body, properties)) = answer.written(&result) else {
                return Err(PublishError::NotTaken);
            };
            let confirm = publish_to_queue(&out, "", &answer.reply_to, &body, properties).await?;
            confirmed(confirm).await
        };
        self.publications
            .push(Box::pin(async move { (tag, Letter::Answer, told.await) }));
    }

    /// The delivery is settled once the broker has its dead letter.
    async fn refuse(&mut self, tag: u64, refusal: &Refusal) -> Result<(), Ended> {
        let Some(delivery) = self.window.get(tag) else {
            return Ok(());
        };
        tracing::warn!(
            code = refusal.code,
            field = refusal.field,
            reason = refusal.reason,
            user = delivery
                .properties
                .user_id()
                .as_ref()
                .map_or("", ShortString::as_str),
            "a message is dead-lettered"
        );
        let properties = refusal.properties(delivery, self.own_user);
        let (body, routing_key) = (delivery.data.clone(), delivery.routing_key.clone());
        let exchange = self.dead_letter;
        self.send(
            tag,
            Letter::Dead,
            exchange,
            routing_key.as_str(),
            &body,
            properties,
        )
        .await
    }

    async fn send(
        &mut self,
        tag: u64,
        letter: Letter,
        exchange: &str,
        routing_key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), Ended> {
        let confirm = publish_to_queue(&self.out, exchange, routing_key, body, properties).await?;
        self.publications
            .push(Box::pin(async move { (tag, letter, confirmed(confirm).await) }));
        Ok(())
    }

    /// A letter has arrived or not. A dead letter must: without it the connection is made anew, which declares its queue
    /// again and brings the delivery back. An answer that its queue does not take is the asker's loss alone.
    fn take_confirm(
        &mut self,
        tag: u64,
        letter: Letter,
        sent: Result<(), PublishError>,
    ) -> Result<(), Ended> {
        let counter = match (letter, sent) {
            (Letter::Dead, Ok(())) => &self.counters.dead_lettered,
            (Letter::Answer, Ok(())) => &self.counters.replied,
            (Letter::Answer, Err(PublishError::NotTaken | PublishError::Unroutable)) => {
                &self.counters.unanswered
            }
            (_, Err(error)) => return Err(error.into()),
        };
        add(counter, 1);
        self.window.settle(tag);
        Ok(())
    }

    async fn acknowledge(&mut self) -> Result<(), Ended> {
        let before = self.window.len();
        if let Some(tag) = self.window.advance() {
            let options = BasicAckOptions { multiple: true };
            let settled = (before - self.window.len()) as u64;
            take(&self.counters.under_way, settled);
            self.channel.basic_ack(tag, options).await?;
            add(&self.counters.acknowledged, settled);
        }
        Ok(())
    }

    /// Takes no more, and acknowledges what is under way as it becomes durable. What cannot be is left to the broker.
    async fn drain(&mut self, within: Duration) -> Result<(), Ended> {
        let deadline = tokio::time::sleep(within);
        let mut deadline = std::pin::pin!(deadline);
        while self.window.unsettled() > self.again.len() {
            tokio::select! {
                biased;
                Some(outcomes) = self.outcomes.recv() => self.take_outcomes(outcomes).await?,
                Some((tag, letter, sent)) = self.publications.next() => self.take_confirm(tag, letter, sent)?,
                () = &mut deadline => break,
            }
            self.acknowledge().await?;
        }
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        take(&self.counters.under_way, self.window.len() as u64);
        if let Source::Partition(_) = self.source {
            take(&self.counters.partitions, 1);
        }
    }
}
