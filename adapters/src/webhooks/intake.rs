//! What a platform says of an order, however it comes in: announced by a webhook, or read by asking. It becomes a message of
//! the channel, and what cannot become one a dead letter.

use super::config::OrderIntake;
use super::order::{Unreadable, Wanted, message};
use super::{adobe_commerce, amazon, bigcommerce, shopify, woocommerce};
use crate::channels::{ChannelConfig, ChannelKind, PlatformError};
use crate::entrance::{Entrance, NotNow, NotTaken, Wrong};
use crate::schema::Body;
use crate::schema::order::{OrderCancel, OrderSubmit};
use lockstep_actors::domain::Distributor;
use lockstep_actors::ids::SystemName;
use lockstep_runtime::ingress::Ingress;
use serde_json::Value;

/// In whose words orders are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    AdobeCommerce,
    Amazon,
    BigCommerce,
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
            ChannelKind::AdobeCommerce => Speech::AdobeCommerce,
            ChannelKind::Amazon => Speech::Amazon,
            ChannelKind::BigCommerce => Speech::BigCommerce,
            ChannelKind::Shopify => Speech::Shopify,
            ChannelKind::WooCommerce => Speech::WooCommerce,
            ChannelKind::Http | ChannelKind::Amqp | ChannelKind::Edi | ChannelKind::File => Speech::Canonical,
        };
        Ok(Some(Self {
            entrance: Entrance::of_channel(config, ingress)?,
            speech,
            orders,
        }))
    }

    pub(crate) fn channel(&self) -> &SystemName {
        &self.entrance.system
    }

    pub(crate) fn speech(&self) -> Speech {
        self.speech
    }

    /// Takes what the platform says about `topic`; returns once what came of it is durable. What comes again under the same `id`
    /// has the effect of once.
    pub(crate) async fn take(&self, topic: &str, id: &str, body: &[u8]) -> Result<Taken, NotNow> {
        let channel = self.channel().as_str();
        let wanted = match self.speech {
            Speech::AdobeCommerce => adobe_commerce::decode(topic, body, channel, &self.orders),
            Speech::Amazon => amazon::decode(topic, body, channel, &self.orders),
            Speech::BigCommerce => bigcommerce::decode(topic, body, channel, &self.orders),
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
        let words = wrong.to_string();
        self.entrance.put_aside(body, body, wrong).await?;
        tracing::warn!(channel = %self.channel(), reason = words, "what is said of an order is put aside");
        Ok(Taken::PutAside(words))
    }
}
