//! What comes in: deliveries to the shards, outcomes to acknowledgements.
//!
//! One task owns the channel. It never waits for one delivery: decisions come back in the order of durability through a
//! bounded channel with a place for every delivery that may be under way.

use super::config::AmqpConfig;
use super::connect::{BackOff, Broker, PublishError, confirmed, publish_to_queue};
use super::counters::{AmqpCounters, add};
use super::refusal::{Refusal, read, sheet_ask};
use super::window::Window;
use crate::identity::AmqpUsers;
use crate::letters::NOT_DIGESTED;
use crate::schema::outbound::{CommandOutcome, CommandResult};
use crate::schema::{BodyFormat, Outgoing, encode};
use crate::sheets::PriceSheets;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::pricing::contract::{ContractReply, ContractState};
use lockstep_runtime::ingress::{Ingress, RejectCause};
use lockstep_runtime::message::{Delivery as Message, Outcome, OutcomeStream, Outcomes, Responder};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How many deliveries are taken before acknowledgements are looked at again.
const AT_ONCE: usize = 256;
/// The pause before a delivery is handed in again that a failing store did not keep.
const STORE_PAUSE: Duration = Duration::from_millis(100);

/// Why a session over one connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Broker(#[from] PublishError),
    #[error("the broker cancelled the consumer, as when its queue is deleted")]
    Cancelled,
    #[error("delivery tags are not dense")]
    Tags,
    #[error("the node is stopping")]
    Stopping,
}

impl From<lapin::Error> for Ended {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error.into())
    }
}

/// Takes deliveries until `stop` turns true, over as many connections as it takes.
pub async fn consume(
    config: AmqpConfig,
    broker: Broker,
    ingress: Ingress<Distributor>,
    counters: Arc<AmqpCounters>,
    mut stop: watch::Receiver<bool>,
) {
    let mut back_off = BackOff::default();
    loop {
        let mut stopped = stop.clone();
        let opened = tokio::select! {
            opened = Session::open(&config, &broker, &ingress, &counters, &stop) => opened,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        match opened {
            Ok(mut session) => {
                back_off.succeeded();
                add(&counters.connections, 1);
                counters.connected.store(1, Ordering::Relaxed);
                tracing::info!(
                    queue = broker.names().ingress_queue,
                    "taking messages from the broker"
                );
                let ended = session.run().await;
                counters.connected.store(0, Ordering::Relaxed);
                counters.under_way.store(0, Ordering::Relaxed);
                match ended {
                    Ok(()) | Err(Ended::Stopping) => {
                        session.close().await;
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the connection to the broker is made anew"),
                }
            }
            Err(error) => tracing::warn!(%error, "the broker cannot be reached yet"),
        }
        if !back_off.wait(&mut stop).await {
            return;
        }
    }
}

/// What is published because of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Dead,
    Answer,
}

/// Where an answer goes, and the conversation it belongs to.
struct Answer {
    id: String,
    reply_to: String,
    correlation: Option<ShortString>,
}

impl Answer {
    /// None if the sender wants none.
    fn to(delivery: &Delivery) -> Option<Self> {
        let properties = &delivery.properties;
        let correlation = properties.correlation_id().clone();
        Some(Self {
            id: format!("{}-{}", delivery.routing_key, delivery.delivery_tag),
            reply_to: properties.reply_to().as_ref()?.to_string(),
            correlation: correlation.or_else(|| properties.message_id().clone()),
        })
    }

    /// The answer as it is sent; none if its type is defective.
    fn written(&self, result: &CommandResult) -> Option<(Vec<u8>, BasicProperties)> {
        let mut message = Outgoing::new(&self.id, result);
        let mut properties = BasicProperties::default().with_content_type("application/json".into());
        if let Some(correlation) = &self.correlation {
            message = message.in_conversation(correlation.as_str());
            properties = properties.with_correlation_id(correlation.clone());
        }
        match encode(BodyFormat::Json, &message) {
            Ok(body) => Some((body, properties)),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written");
                None
            }
        }
    }
}

/// A letter on its way: which delivery it settles.
type Publication = Pin<Box<dyn Future<Output = (u64, Letter, Result<(), PublishError>)>>>;

/// One connection's life.
struct Session<'a> {
    users: &'a AmqpUsers,
    dead_letter: &'a str,
    ingress: &'a Ingress<Distributor>,
    counters: &'a AmqpCounters,
    connection: Connection,
    channel: Channel,
    out: Channel,
    consumer: Consumer,
    window: Window<Delivery>,
    outcomes: mpsc::Receiver<Outcomes<Reply>>,
    stream: OutcomeStream<Reply>,
    sheets: PriceSheets,
    publications: FuturesUnordered<Publication>,
    /// Deliveries that a failing store did not keep, and when they are handed in again.
    again: Vec<u64>,
    again_at: Instant,
    stop: watch::Receiver<bool>,
}

impl<'a> Session<'a> {
    async fn open(
        config: &'a AmqpConfig,
        broker: &'a Broker,
        ingress: &'a Ingress<Distributor>,
        counters: &'a AmqpCounters,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, Ended> {
        let connection = broker.connect("lockstep ingress").await?;
        let out = connection.create_channel().await?;
        broker.names().declare(&out).await?;
        out.confirm_select(ConfirmSelectOptions::default()).await?;
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(config.prefetch, BasicQosOptions::default())
            .await?;
        let queue = broker.names().ingress_queue.as_str();
        let consumer = channel
            .basic_consume(
                queue.into(),
                "lockstep".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        // A delivery is answered once for each time it is handed in, and handed in again only after that.
        let (stream, outcomes) = OutcomeStream::new(usize::from(config.prefetch));
        Ok(Self {
            users: &config.users,
            dead_letter: &broker.names().dead_letter,
            ingress,
            counters,
            connection,
            channel,
            out,
            consumer,
            window: Window::new(),
            outcomes,
            stream,
            sheets: PriceSheets::new(Arc::clone(ingress.reference())),
            publications: FuturesUnordered::new(),
            again: Vec::new(),
            again_at: Instant::now(),
            stop: stop.clone(),
        })
    }

    async fn run(&mut self) -> Result<(), Ended> {
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return self.drain().await,
                Some(outcomes) = self.outcomes.recv() => self.take_outcomes(outcomes).await?,
                Some((tag, letter, sent)) = self.publications.next() => self.take_confirm(tag, letter, sent)?,
                () = tokio::time::sleep_until(self.again_at), if !self.again.is_empty() => {
                    for tag in std::mem::take(&mut self.again) {
                        self.hand_in(tag).await?;
                    }
                }
                delivery = self.consumer.next() => {
                    let mut next = Some(delivery);
                    let mut taken = 0;
                    while let Some(delivery) = next.take() {
                        self.take_delivery(delivery).await?;
                        taken += 1;
                        if taken < AT_ONCE {
                            next = self.consumer.next().now_or_never();
                        }
                    }
                }
            }
            self.acknowledge().await?;
        }
    }

    async fn take_delivery(&mut self, delivery: Option<lapin::Result<Delivery>>) -> Result<(), Ended> {
        let delivery = delivery.ok_or(Ended::Cancelled)??;
        add(&self.counters.received, 1);
        let tag = delivery.delivery_tag;
        if !self.window.begin(tag, delivery) {
            return Err(Ended::Tags);
        }
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
        let Err(rejected) = self.ingress.try_submit(message) else {
            return Ok(());
        };
        // Full or not ready: waiting here is what holds the broker back. What is durable meanwhile is acknowledged after.
        self.acknowledge().await?;
        let mut stop = self.stop.clone();
        tokio::select! {
            submitted = self.ingress.submit(rejected.delivery) => match submitted {
                Ok(()) => Ok(()),
                Err(rejected) => {
                    debug_assert_eq!(rejected.cause, RejectCause::Closed);
                    Err(Ended::Stopping)
                }
            },
            _ = stop.wait_for(|stop| *stop) => Ok(()),
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
                if self.again.is_empty() {
                    self.again_at = Instant::now() + STORE_PAUSE;
                }
                self.again.push(tag);
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
        let properties = refusal.properties(delivery);
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
            self.channel.basic_ack(tag, options).await?;
            add(&self.counters.acknowledged, (before - self.window.len()) as u64);
        }
        self.counters
            .under_way
            .store(self.window.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Takes no more, and acknowledges what is under way as it becomes durable. What cannot be is left to the broker.
    async fn drain(&mut self) -> Result<(), Ended> {
        let deadline = tokio::time::sleep(Duration::from_secs(10));
        let mut deadline = std::pin::pin!(deadline);
        while self.window.unsettled() > self.again.len() {
            tokio::select! {
                Some(outcomes) = self.outcomes.recv() => self.take_outcomes(outcomes).await?,
                Some((tag, letter, sent)) = self.publications.next() => self.take_confirm(tag, letter, sent)?,
                () = &mut deadline => break,
            }
            self.acknowledge().await?;
        }
        Ok(())
    }

    async fn close(&self) {
        if let Err(error) = self.connection.close(200, "stopping".into()).await {
            tracing::debug!(%error, "the connection to the broker was gone before it was closed");
        }
    }
}
