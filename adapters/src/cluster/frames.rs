//! What nodes send each other: MessagePack, signed.

use crate::channels::{ChannelCommand, ChannelState};
use hmac::{Hmac, Mac};
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_runtime::elsewhere::Between;
use lockstep_runtime::entity::{AddressedMessage, EntityKind};
use lockstep_runtime::message::{Delivery, Envelope, MessageId, Outcome, Provenance};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The form of what is below, and of what nodes write into journals: raised with every change that a version before cannot
/// read. A node joins only nodes of the same form.
pub(super) const PROTOCOL: i32 = 5;

pub(super) const DELIVERIES: &str = "/cluster/v1/deliveries";
pub(super) const MESSAGES: &str = "/cluster/v1/messages";
pub(super) const CHANNELS: &str = "/cluster/v1/channels";
pub(super) const SIGNATURE: &str = "x-lockstep-signature";

/// A message from outside that another node took in, with the sender as that node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forwarded {
    id: [u8; 16],
    source: String,
    correlation: String,
    causation: Option<[u8; 16]>,
    kind: u8,
    entity: Vec<u8>,
    command: Vec<u8>,
    /// Whether whoever sends it keeps it, so that no letter is made of it.
    #[serde(default)]
    pub(super) kept: bool,
}

impl Forwarded {
    /// `None` for a command that has no form, which is a defect of its type.
    pub(super) fn of(delivery: &Delivery<Distributor>) -> Option<Self> {
        Self::new(&delivery.envelope, delivery.responder.keeps_message())
    }

    fn new(envelope: &Envelope<Distributor>, kept: bool) -> Option<Self> {
        let (mut entity, mut command) = (Vec::new(), Vec::new());
        envelope.message.encode_id(&mut entity);
        envelope.message.encode_command(&mut command).ok()?;
        Some(Self {
            id: envelope.id.0.to_be_bytes(),
            source: envelope.provenance.source.to_string(),
            correlation: envelope.provenance.correlation.to_string(),
            causation: envelope.provenance.causation.map(|id| id.0.to_be_bytes()),
            kind: envelope.message.kind().0,
            entity,
            command,
            kept,
        })
    }

    pub(super) fn envelope(&self) -> Result<Envelope<Distributor>, String> {
        Ok(Envelope {
            id: MessageId(u128::from_be_bytes(self.id)),
            provenance: Provenance {
                source: self.source.as_str().into(),
                correlation: self.correlation.as_str().into(),
                causation: self.causation.map(|id| MessageId(u128::from_be_bytes(id))),
            },
            message: Message::decode(EntityKind(self.kind), &self.entity, &self.command)?,
        })
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.entity.len() + self.command.len() + 256
    }
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done {
        reply: Box<Reply>,
        repeated: bool,
    },
    Repeated,
    DeadLettered {
        reason: String,
    },
    Unavailable,
    /// The partition is not here, or not any more: the sender's map is old.
    Elsewhere,
}

impl From<Outcome<Reply>> for Answer {
    fn from(outcome: Outcome<Reply>) -> Self {
        match outcome {
            Outcome::Done { reply, repeated } => Self::Done {
                reply: Box::new(reply),
                repeated,
            },
            Outcome::Repeated => Self::Repeated,
            Outcome::DeadLettered { reason } => Self::DeadLettered { reason },
            Outcome::Unavailable => Self::Unavailable,
        }
    }
}

pub(super) type Messages = Vec<Between>;

/// What somebody wants of a channel that the other node tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChannelAsked {
    pub(super) channel: String,
    pub(super) command: ChannelCommand,
}

/// How it then stands; none if it is told elsewhere by now.
pub(super) type ChannelAnswer = Option<ChannelState>;

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    rmp_serde::to_vec_named(value).map_err(|error| error.to_string())
}

pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}

/// What nodes send each other, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Messages from outside, handed on.
    Deliveries,
    /// What became of them.
    Answers,
    /// What entities tell each other.
    Messages,
    /// What somebody wants of a channel.
    ChannelAsked,
    /// How it then stands.
    ChannelAnswer,
}

impl Frame {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Deliveries,
        Self::Answers,
        Self::Messages,
        Self::ChannelAsked,
        Self::ChannelAnswer,
    ];
}

/// Reads what another node has sent, and writes it as this one would: so that it can be seen that nothing is lost.
///
/// # Errors
/// What is wrong with it.
pub fn reread(frame: Frame, body: &[u8]) -> Result<Vec<u8>, String> {
    match frame {
        Frame::Deliveries => {
            let forwarded: Vec<Forwarded> = decode(body)?;
            let again = |forwarded: &Forwarded| {
                let again = Forwarded::new(&forwarded.envelope()?, forwarded.kept);
                again.ok_or_else(|| "a command that cannot be written".to_owned())
            };
            let again: Result<Vec<Forwarded>, String> = forwarded.iter().map(again).collect();
            encode(&again?)
        }
        Frame::Answers => encode(&decode::<Vec<Answer>>(body)?),
        Frame::Messages => encode(&decode::<Messages>(body)?),
        Frame::ChannelAsked => encode(&decode::<ChannelAsked>(body)?),
        Frame::ChannelAnswer => encode(&decode::<ChannelAnswer>(body)?),
    }
}

/// Knows a node of the same store by what it signs.
#[derive(Clone)]
pub(super) struct Seal(Hmac<Sha256>);

impl Seal {
    /// `None` never happens: a key may have any length.
    pub(super) fn new(secret: &str) -> Option<Self> {
        Hmac::new_from_slice(secret.as_bytes()).ok().map(Self)
    }

    fn over(&self, path: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(path.as_bytes());
        mac.update(body);
        mac
    }

    pub(super) fn sign(&self, path: &str, body: &[u8]) -> String {
        use std::fmt::Write;
        let tag = self.over(path, body).finalize().into_bytes();
        tag.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        })
    }

    /// In a time that does not tell how much of it is right.
    pub(super) fn is_genuine(&self, path: &str, body: &[u8], signature: &str) -> bool {
        let digits = signature.as_bytes().chunks(2).map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        let tag: Option<Vec<u8>> = digits.collect();
        tag.is_some_and(|tag| self.over(path, body).verify_slice(&tag).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_node_of_the_same_store_signed_is_genuine() {
        let seal = Seal::new("secret").unwrap();
        let signature = seal.sign(DELIVERIES, b"body");
        assert!(seal.is_genuine(DELIVERIES, b"body", &signature));
        assert!(!seal.is_genuine(MESSAGES, b"body", &signature));
        assert!(!seal.is_genuine(DELIVERIES, b"bodx", &signature));
        assert!(
            !Seal::new("other")
                .unwrap()
                .is_genuine(DELIVERIES, b"body", &signature)
        );
        for wrong in ["", "zz", &signature[2..], "ü"] {
            assert!(!seal.is_genuine(DELIVERIES, b"body", wrong), "{wrong}");
        }
    }
}
