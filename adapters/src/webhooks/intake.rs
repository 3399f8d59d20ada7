//! What a platform says of an order, however it comes in: announced by a webhook, or read by asking. It becomes a message of
//! the channel, and what cannot become one a dead letter.

use super::config::OrderIntake;
use super::order::{Unreadable, Wanted, message};
use super::{amazon, shopify, woocommerce};
use crate::channels::{ChannelConfig, ChannelKind, PlatformError};
use crate::entrance::{Entrance, NotNow, NotTaken, Wrong};
use crate::schema::order::{OrderCancel, OrderSubmit};
use crate::schema::{Body, BodyFormat};
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::governance::LOCKSTEP;
use lockstep_actors::ids::{LetterId, SystemName};
use lockstep_actors::letters::{Content, Head, Letter, LetterCommand, LetterReply};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Envelope, MessageId, Provenance};
use lockstep_runtime::time::{Clock, SystemClock};
use serde_json::Value;

/// The user by whose name letters of a channel's orders are kept.
pub(crate) const LETTER_USER: &str = "channel/";

/// In whose words orders are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Amazon,
    Shopify,
    WooCommerce,
    /// Canonical messages.
    Canonical,
}

/// What became of what a platform said; durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// What it wants was decided, now or before.
    Decided,
    /// It wants nothing that concerns us; why, in words.
    Nothing(&'static str),
    /// It lies among the dead letters; why.
    PutAside(String),
}

/// Where the orders of one channel become messages.
pub(crate) struct Intake {
    entrance: Entrance,
    speech: Speech,
    orders: OrderIntake,
}

impl From<Unreadable> for Wrong {
    fn from(error: Unreadable) -> Self {
        Self {
            code: "unreadable".to_owned(),
            field: error.field,
            reason: error.reason,
        }
    }
}

impl Intake {
    /// The intake of a channel; none if the channel takes no orders.
    pub(crate) fn open(
        config: &ChannelConfig,
        ingress: Ingress<Distributor>,
    ) -> Result<Option<Self>, PlatformError> {
        let Some(orders) = config.orders.clone() else {
            return Ok(None);
        };
        let speech = match config.kind {
            ChannelKind::Amazon => Speech::Amazon,
            ChannelKind::Shopify => Speech::Shopify,
            ChannelKind::WooCommerce => Speech::WooCommerce,
            ChannelKind::Http
            | ChannelKind::Amqp
            | ChannelKind::Edi
            | ChannelKind::File
            | ChannelKind::BigCommerce
            | ChannelKind::AdobeCommerce => Speech::Canonical,
        };
        let channel = SystemName::new(&config.name);
        let channel = channel.map_err(|error| config.unusable("name", error.to_string()))?;
        Ok(Some(Self {
            entrance: Entrance { channel, ingress },
            speech,
            orders,
        }))
    }

    pub(crate) fn channel(&self) -> &SystemName {
        &self.entrance.channel
    }

    pub(crate) fn speech(&self) -> Speech {
        self.speech
    }

    /// Takes what the platform says about `topic`; returns once what came of it is durable. What comes again under the same `id`
    /// has the effect of once.
    pub(crate) async fn take(&self, topic: &str, id: &str, body: &[u8]) -> Result<Taken, NotNow> {
        let channel = self.channel().as_str();
        let wanted = match self.speech {
            Speech::Amazon => amazon::decode(topic, body, channel, &self.orders),
            Speech::Shopify => shopify::decode(topic, body, channel, &self.orders),
            Speech::WooCommerce => woocommerce::decode(topic, body, channel, &self.orders),
            Speech::Canonical => return self.hand_in_or_put_aside(body).await,
        };
        match wanted {
            Ok(Wanted::Nothing(why)) => Ok(Taken::Nothing(why)),
            Ok(Wanted::Submit(order)) => {
                self.hand_in_or_put_aside(&message(OrderSubmit::SCHEMA, id, &order))
                    .await
            }
            Ok(Wanted::Cancel { cancel, order }) => self.cancel(id, &cancel, order.as_ref()).await,
            Err(unreadable) => self.put_aside(body, unreadable.into()).await,
        }
    }

    async fn hand_in_or_put_aside(&self, body: &[u8]) -> Result<Taken, NotNow> {
        match self.entrance.hand_in(body).await? {
            Ok(()) => Ok(Taken::Decided),
            Err(not_taken) => self.put_aside(body, not_taken.into()).await,
        }
    }

    /// Cancels an order; one that has not come in is submitted first, if the platform says all of it.
    async fn cancel(&self, id: &str, cancel: &Value, order: Option<&Value>) -> Result<Taken, NotNow> {
        let cancellation = |name: &str| message(OrderCancel::SCHEMA, &format!("{id}-{name}"), cancel);
        let body = cancellation("cancel");
        match (self.entrance.hand_in(&body).await?, order) {
            (Ok(()), _) => Ok(Taken::Decided),
            (Err(NotTaken::Wrong(wrong)), _) => self.put_aside(&body, wrong).await,
            (Err(NotTaken::UnknownOrder), None) => Ok(Taken::Nothing(
                "the order had not come in, so there is nothing to cancel",
            )),
            (Err(NotTaken::UnknownOrder), Some(order)) => {
                let submission = message(OrderSubmit::SCHEMA, id, order);
                match self.hand_in_or_put_aside(&submission).await? {
                    // Under an id of its own: to the first one the answer stays that there is no such order.
                    Taken::Decided => self.hand_in_or_put_aside(&cancellation("cancel-again")).await,
                    other @ (Taken::Nothing(_) | Taken::PutAside(_)) => Ok(other),
                }
            }
        }
    }

    /// Keeps what cannot be taken, once, for a person.
    async fn put_aside(&self, body: &[u8], wrong: Wrong) -> Result<Taken, NotNow> {
        let channel = self.channel().as_str();
        let digest = MessageId::of(channel, &String::from_utf8_lossy(body)).0;
        let id = LetterId::new(&format!("webhook-{digest:032x}")).map_err(|_| NotNow)?;
        let claims = crate::letters::claims(Some(BodyFormat::Json), body);
        let words = wrong.to_string();
        let letter = Letter {
            head: Head {
                at: SystemClock.now(),
                source: channel.into(),
                code: wrong.code.into(),
                field: wrong.field.into(),
                reason: wrong.reason,
                kind: claims.schema.into(),
                correlation: claims.correlation.into(),
                bytes: body.len() as u64,
            },
            content: Content::Outside {
                user: format!("{LETTER_USER}{channel}").into(),
                content_type: "application/json".into(),
                body: body.to_vec(),
            },
        };
        let envelope = Envelope {
            id: MessageId::of(LOCKSTEP, id.as_str()),
            provenance: Provenance {
                source: LOCKSTEP.into(),
                correlation: id.as_str().into(),
                causation: None,
            },
            message: (id, LetterCommand::Record(Box::new(letter))).into(),
        };
        match self.entrance.ask(envelope).await? {
            None | Some(Reply::Letter(LetterReply::Accepted | LetterReply::Known)) => {
                tracing::warn!(channel, reason = words, "what is said of an order is put aside");
                Ok(Taken::PutAside(words))
            }
            Some(_) => Err(NotNow),
        }
    }
}
