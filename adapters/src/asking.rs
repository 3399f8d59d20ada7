//! Asking entities, for what tells others and takes things from them: a message of Lockstep's own, and its durable answer.

use crate::erp::{Answers, Undeliverable};
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::governance::LOCKSTEP;
use lockstep_actors::ids::OrderKey;
use lockstep_actors::orders::command::{OrderCommand, OrderReply, OrderSummary};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Envelope, MessageId, Outcome, Provenance};

/// Why nothing more can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The node is stopping; what was begun is taken up after the start.
    #[error(transparent)]
    Stopping(#[from] Undeliverable),
    /// An entity's answer makes no sense: refused by the table of owners, or dead-lettered.
    #[error("{0}")]
    Defect(String),
}

/// A message of Lockstep's own, under an id of its own.
pub(crate) fn own(message: Message, conversation: &str) -> Envelope<Distributor> {
    let id = uuid::Uuid::now_v7().to_string();
    envelope(LOCKSTEP, &id, conversation, message)
}

/// A message that `source` calls `id`.
pub(crate) fn envelope(
    source: &str,
    id: &str,
    conversation: &str,
    message: Message,
) -> Envelope<Distributor> {
    Envelope {
        id: MessageId::of(source, id),
        provenance: Provenance {
            source: source.into(),
            correlation: conversation.into(),
            causation: None,
        },
        message,
    }
}

/// The answer, once it is durable; none to a repeat whose answer was not kept.
pub(crate) async fn ask(
    ingress: &Ingress<Distributor>,
    envelope: Envelope<Distributor>,
) -> Result<Option<Reply>, Halt> {
    match ingress.deliver(envelope).await? {
        Outcome::Done { reply, .. } => Ok(Some(reply)),
        Outcome::Repeated => Ok(None),
        Outcome::DeadLettered { reason } => Err(Halt::Defect(reason)),
        Outcome::Unavailable => Err(Halt::Stopping(Undeliverable)),
    }
}

/// How an order stands; none if there is no such order.
pub(crate) async fn order_summary(
    ingress: &Ingress<Distributor>,
    order: &OrderKey,
) -> Result<Option<OrderSummary>, Halt> {
    let message = (order.clone(), OrderCommand::Show).into();
    match ask(ingress, own(message, order.as_str())).await? {
        Some(Reply::Order(OrderReply::Order(summary))) => Ok(Some(*summary)),
        Some(Reply::Order(OrderReply::Refused(_))) => Ok(None),
        other => Err(Halt::Defect(format!("an order answered {other:?}"))),
    }
}
