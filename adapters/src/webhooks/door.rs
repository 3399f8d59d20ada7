//! Where a channel's webhooks come in.

use super::config::OrderIntake;
use super::order::{Unreadable, Wanted, message};
use super::signature::{is_base64_of, is_ours};
use super::{shopify, woocommerce};
use crate::channels::{ChannelConfig, ChannelKind, PlatformError, Secret};
use crate::entrance::{Entrance, NotNow, NotTaken, Wrong};
use crate::http::MetricsText;
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
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The user by whose name letters of a channel's webhooks are kept.
pub(crate) const LETTER_USER: &str = "channel/";

/// Whose words a webhook is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Shopify,
    WooCommerce,
    /// Canonical messages.
    Canonical,
}

/// A webhook as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'w> {
    /// Its signature.
    pub signature: Option<&'w str>,
    /// What it is about.
    pub topic: Option<&'w str>,
    /// The platform's id for the delivery, the same when it is sent again.
    pub id: Option<&'w str>,
    /// The body, as it was signed.
    pub body: &'w [u8],
}

/// What became of a webhook; durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// What it wants was decided, now or before.
    Decided,
    /// It wants nothing that concerns us; why, in words.
    Nothing(&'static str),
    /// It lies among the dead letters; why.
    PutAside(String),
}

/// A webhook was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not from the platform.
    #[error("the signature is missing or wrong")]
    Signature,
    /// Nothing is decided at this moment.
    #[error("it is not decided at this moment; send it again")]
    Unavailable,
}

#[derive(Debug, Default)]
struct Counters {
    decided: AtomicU64,
    nothing: AtomicU64,
    put_aside: AtomicU64,
    unsigned: AtomicU64,
    unavailable: AtomicU64,
}

/// The door of one channel.
pub struct WebhookDoor {
    entrance: Entrance,
    speech: Speech,
    secret: Secret,
    intake: OrderIntake,
    counters: Counters,
}

impl From<NotNow> for Refused {
    fn from(_: NotNow) -> Self {
        Self::Unavailable
    }
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

impl WebhookDoor {
    /// The door of a channel; none if the channel takes no orders by webhooks.
    ///
    /// # Errors
    /// [`PlatformError`] if the secret cannot be read.
    pub fn open(
        config: &ChannelConfig,
        ingress: Ingress<Distributor>,
    ) -> Result<Option<Self>, PlatformError> {
        let Some((intake, source)) = config.orders.as_ref().and_then(|intake| {
            let source = intake.signing_secret.as_ref()?;
            Some((intake, source))
        }) else {
            return Ok(None);
        };
        let speech = match config.kind {
            ChannelKind::Shopify => Speech::Shopify,
            ChannelKind::WooCommerce => Speech::WooCommerce,
            ChannelKind::Http
            | ChannelKind::Amqp
            | ChannelKind::Amazon
            | ChannelKind::Edi
            | ChannelKind::File => Speech::Canonical,
        };
        let channel = SystemName::new(&config.name);
        let channel = channel.map_err(|error| config.unusable("name", error.to_string()))?;
        Ok(Some(Self {
            entrance: Entrance { channel, ingress },
            speech,
            secret: config.secret("orders.signing_secret", source)?,
            intake: intake.clone(),
            counters: Counters::default(),
        }))
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &SystemName {
        &self.entrance.channel
    }

    /// The headers of signature, topic and id.
    #[must_use]
    pub fn headers(&self) -> [&'static str; 3] {
        match self.speech {
            Speech::Shopify => ["x-shopify-hmac-sha256", "x-shopify-topic", "x-shopify-webhook-id"],
            Speech::WooCommerce => [
                "x-wc-webhook-signature",
                "x-wc-webhook-topic",
                "x-wc-webhook-delivery-id",
            ],
            Speech::Canonical => ["lockstep-signature", "lockstep-topic", "lockstep-delivery"],
        }
    }

    /// Takes a webhook; answers once what came of it is durable, `within` so long at most.
    ///
    /// # Errors
    /// [`Refused`] if nothing came of it.
    pub async fn take(&self, webhook: &Signed<'_>, within: Duration) -> Result<Taken, Refused> {
        let taken = if self.is_signed(webhook) {
            let taken = tokio::time::timeout(within, self.take_signed(webhook)).await;
            taken.unwrap_or(Err(Refused::Unavailable))
        } else {
            Err(Refused::Signature)
        };
        let counter = match &taken {
            Ok(Taken::Decided) => &self.counters.decided,
            Ok(Taken::Nothing(_)) => &self.counters.nothing,
            Ok(Taken::PutAside(_)) => &self.counters.put_aside,
            Err(Refused::Signature) => &self.counters.unsigned,
            Err(Refused::Unavailable) => &self.counters.unavailable,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        taken
    }

    fn is_signed(&self, webhook: &Signed<'_>) -> bool {
        let Some(claimed) = webhook.signature else {
            return false;
        };
        match self.speech {
            Speech::Shopify | Speech::WooCommerce => is_base64_of(&self.secret, webhook.body, claimed),
            Speech::Canonical => {
                let now = u64::try_from(SystemClock.now().as_millis()).unwrap_or_default();
                is_ours(&self.secret, webhook.body, claimed, Duration::from_millis(now))
            }
        }
    }

    async fn take_signed(&self, webhook: &Signed<'_>) -> Result<Taken, Refused> {
        let (topic, channel) = (webhook.topic.unwrap_or_default(), self.channel().as_str());
        let wanted = match self.speech {
            Speech::Shopify => shopify::decode(topic, webhook.body, channel, &self.intake),
            Speech::WooCommerce => woocommerce::decode(topic, webhook.body, channel, &self.intake),
            Speech::Canonical => return self.hand_in_or_put_aside(webhook.body).await,
        };
        let id = id_of(webhook);
        match wanted {
            Ok(Wanted::Nothing(why)) => Ok(Taken::Nothing(why)),
            Ok(Wanted::Submit(order)) => {
                self.hand_in_or_put_aside(&message(OrderSubmit::SCHEMA, &id, &order))
                    .await
            }
            Ok(Wanted::Cancel { cancel, order }) => self.cancel(&id, &cancel, order.as_ref()).await,
            Err(unreadable) => self.put_aside(webhook.body, unreadable.into()).await,
        }
    }

    async fn hand_in_or_put_aside(&self, body: &[u8]) -> Result<Taken, Refused> {
        match self.entrance.hand_in(body).await? {
            Ok(()) => Ok(Taken::Decided),
            Err(not_taken) => self.put_aside(body, not_taken.into()).await,
        }
    }

    /// Cancels an order; one that has not come in is submitted first, if the platform says all of it.
    async fn cancel(&self, id: &str, cancel: &Value, order: Option<&Value>) -> Result<Taken, Refused> {
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
    async fn put_aside(&self, body: &[u8], wrong: Wrong) -> Result<Taken, Refused> {
        let channel = self.channel().as_str();
        let digest = MessageId::of(channel, &String::from_utf8_lossy(body)).0;
        let id = LetterId::new(&format!("webhook-{digest:032x}")).map_err(|_| Refused::Unavailable)?;
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
                tracing::warn!(channel, reason = words, "a webhook is put aside");
                Ok(Taken::PutAside(words))
            }
            Some(_) => Err(Refused::Unavailable),
        }
    }

    /// Adds what became of the channel's webhooks.
    pub fn report(&self, text: &mut MetricsText) {
        let counts = [
            ("decided", &self.counters.decided),
            ("nothing", &self.counters.nothing),
            ("dead-lettered", &self.counters.put_aside),
            ("unsigned", &self.counters.unsigned),
            ("unavailable", &self.counters.unavailable),
        ];
        for (outcome, count) in counts {
            text.counter(
                "lockstep_webhooks_total",
                "Webhooks that came in, by what became of them.",
                &[("channel", self.channel().as_str()), ("outcome", outcome)],
                count.load(Ordering::Relaxed),
            );
        }
    }
}

/// The message's id: of the platform's id for the delivery, or of what it says.
fn id_of(webhook: &Signed<'_>) -> String {
    let own = webhook.id.map_or_else(
        || MessageId::of("webhook body", &String::from_utf8_lossy(webhook.body)),
        |id| MessageId::of("webhook", id),
    );
    format!("webhook-{:032x}", own.0)
}
