//! Where a channel's webhooks come in.

use super::intake::{Intake, Speech, Taken};
use super::signature::{is_base64_of, is_ours};
use crate::channels::{ChannelConfig, PlatformError, Secret};
use crate::entrance::NotNow;
use crate::http::MetricsText;
use lockstep_actors::domain::Distributor;
use lockstep_actors::ids::SystemName;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::MessageId;
use lockstep_runtime::time::{Clock, SystemClock};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    intake: Intake,
    secret: Secret,
    counters: Counters,
}

impl From<NotNow> for Refused {
    fn from(_: NotNow) -> Self {
        Self::Unavailable
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
        let source = config.orders.as_ref();
        let source = source.and_then(|orders| orders.signing_secret.as_ref());
        let (Some(source), Some(intake)) = (source, Intake::open(config, ingress)?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            intake,
            secret: config.secret("orders.signing_secret", source)?,
            counters: Counters::default(),
        }))
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &SystemName {
        self.intake.channel()
    }

    /// The headers of signature, topic and id.
    #[must_use]
    pub fn headers(&self) -> [&'static str; 3] {
        match self.intake.speech() {
            Speech::Shopify => ["x-shopify-hmac-sha256", "x-shopify-topic", "x-shopify-webhook-id"],
            Speech::WooCommerce => [
                "x-wc-webhook-signature",
                "x-wc-webhook-topic",
                "x-wc-webhook-delivery-id",
            ],
            // Those that announce nothing have no secret either.
            Speech::Canonical | Speech::Amazon | Speech::BigCommerce | Speech::AdobeCommerce => {
                ["lockstep-signature", "lockstep-topic", "lockstep-delivery"]
            }
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
        match self.intake.speech() {
            Speech::Shopify | Speech::WooCommerce => is_base64_of(&self.secret, webhook.body, claimed),
            Speech::Canonical | Speech::Amazon | Speech::BigCommerce | Speech::AdobeCommerce => {
                let now = u64::try_from(SystemClock.now().as_millis()).unwrap_or_default();
                is_ours(&self.secret, webhook.body, claimed, Duration::from_millis(now))
            }
        }
    }

    async fn take_signed(&self, webhook: &Signed<'_>) -> Result<Taken, Refused> {
        let (topic, id) = (webhook.topic.unwrap_or_default(), id_of(webhook));
        Ok(self.intake.take(topic, &id, webhook.body).await?)
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
