//! Asking entities, for the tasks of a partner.

use crate::erp::{Answers, Undeliverable};
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::edi::partner::{PartnerCommand, PartnerReply};
use lockstep_actors::governance::LOCKSTEP;
use lockstep_actors::ids::PartnerName;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Envelope, MessageId, Outcome, Provenance};

/// Why nothing more can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Halt {
    /// The node is stopping; what was begun is taken up after the start.
    #[error(transparent)]
    Stopping(#[from] Undeliverable),
    /// An entity's answer makes no sense: refused by the table of owners, or dead-lettered.
    #[error("{0}")]
    Defect(String),
}

/// A message of Lockstep's own, under an id of its own.
pub(super) fn own(message: Message, conversation: &str) -> Envelope<Distributor> {
    let id = uuid::Uuid::now_v7().to_string();
    envelope(LOCKSTEP, &id, conversation, message)
}

pub(super) fn envelope(
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
pub(super) async fn ask(
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

/// The same of a partner's record; what it refuses is a defect.
pub(super) async fn ask_partner(
    ingress: &Ingress<Distributor>,
    partner: &PartnerName,
    command: PartnerCommand,
    conversation: &str,
) -> Result<PartnerReply, Halt> {
    let envelope = own((partner.clone(), command).into(), conversation);
    match ask(ingress, envelope).await? {
        Some(Reply::Partner(PartnerReply::Refused(refusal))) => Err(Halt::Defect(refusal.to_string())),
        Some(Reply::Partner(reply)) => Ok(reply),
        other => Err(Halt::Defect(format!("a partner's record answered {other:?}"))),
    }
}
