//! Where orders of a channel come in that no key vouches for: by signed webhooks, and from its directory.
//!
//! Invariant: a channel submits and cancels orders of its own, and nothing else; all else is as for any sender: schema, limits,
//! ownership, one order a number.

use crate::identity::Scope;
use crate::schema::{BodyFormat, DecodeError, code, decode};
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::ids::SystemName;
use lockstep_actors::orders::command::{OrderRefusal, OrderReply};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Envelope, Outcome};

/// The entrance of one channel.
pub(crate) struct Entrance {
    pub(crate) channel: SystemName,
    pub(crate) ingress: Ingress<Distributor>,
}

/// Nothing is decided at this moment; the same may be handed in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotNow;

/// Why a message cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It is about an order that has not come in.
    UnknownOrder,
    /// Something is wrong with it.
    Wrong(Wrong),
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}{}{reason}", if .field.is_empty() { "" } else { ": " })]
pub(crate) struct Wrong {
    /// For programs.
    pub(crate) code: String,
    /// Which field, if it is one.
    pub(crate) field: String,
    /// In words.
    pub(crate) reason: String,
}

impl Wrong {
    fn whole(code: String, reason: String) -> Self {
        Self {
            code,
            field: String::new(),
            reason,
        }
    }
}

impl From<DecodeError> for Wrong {
    fn from(error: DecodeError) -> Self {
        Self {
            code: error.code.as_str().to_owned(),
            field: error.field,
            reason: error.reason,
        }
    }
}

impl From<NotTaken> for Wrong {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::UnknownOrder => {
                let refusal = OrderRefusal::UnknownOrder;
                Self::whole(code(&refusal), refusal.to_string())
            }
            NotTaken::Wrong(wrong) => wrong,
        }
    }
}

impl Entrance {
    /// Hands a canonical message in, as the channel; returns once its decision is durable.
    ///
    /// # Errors
    /// [`NotNow`] if it was not decided.
    pub(crate) async fn hand_in(&self, body: &[u8]) -> Result<Result<(), NotTaken>, NotNow> {
        let wrong = |code, reason| Ok(Err(NotTaken::Wrong(Wrong::whole(code, reason))));
        let envelope = match decode(BodyFormat::Json, body, &self.channel) {
            Ok(envelope) => envelope,
            Err(error) => return Ok(Err(NotTaken::Wrong(error.into()))),
        };
        if !self.may(&envelope.message) {
            let reason = format!(
                "{} may submit and cancel orders of its own, and nothing else",
                self.channel
            );
            return wrong("not-owner".to_owned(), reason);
        }
        match self.ask(envelope).await? {
            // A person looks at both contents; the order that stands is not touched.
            None | Some(Reply::Order(OrderReply::Refused(OrderRefusal::Conflict))) => Ok(Ok(())),
            Some(Reply::Order(OrderReply::Refused(OrderRefusal::UnknownOrder))) => {
                Ok(Err(NotTaken::UnknownOrder))
            }
            Some(Reply::Order(OrderReply::Refused(refusal))) => wrong(code(&refusal), refusal.to_string()),
            Some(Reply::Audit(AuditReply::NotOwner(write))) => {
                wrong("not-owner".to_owned(), write.to_string())
            }
            Some(_) => Ok(Ok(())),
        }
    }

    fn may(&self, message: &Message) -> bool {
        let is_own = matches!(message, Message::Order(order, _) if order.channel() == self.channel.as_str());
        is_own && Scope::needed_for(message) == Scope::OrdersWrite
    }

    /// The answer, once it is durable; none to a repeat whose answer was not kept, and to what no entity could digest: that is a
    /// dead letter of its own.
    pub(crate) async fn ask(&self, envelope: Envelope<Distributor>) -> Result<Option<Reply>, NotNow> {
        match self.ingress.ask(envelope).await {
            Ok(Outcome::Done { reply, .. }) => Ok(Some(reply)),
            Ok(Outcome::Repeated | Outcome::DeadLettered { .. }) => Ok(None),
            Ok(Outcome::Unavailable) | Err(_) => Err(NotNow),
        }
    }
}
