//! Where messages come in that no key vouches for: orders of a channel, by signed webhooks and from its directory, and what is read
//! from the ERP.
//!
//! Invariants:
//! - a channel submits and cancels orders of its own, and nothing else; the ERP speaks of stock, prices and accounts, and never of
//!   orders; all else is as for any sender: schema, limits, ownership, one order a number;
//! - what cannot be taken lies among the dead letters, once for each content.

use crate::channels::{ChannelConfig, PlatformError};
use crate::identity::{Caller, Scope};
use crate::schema::outbound::{CommandOutcome, CommandResult};
use crate::schema::{BodyFormat, DecodeError, code, decode};
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::governance::LOCKSTEP;
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::ids::{LetterId, SystemName};
use lockstep_actors::letters::{Content, Head, Letter, LetterCommand, LetterReply};
use lockstep_actors::orders::command::{OrderRefusal, OrderReply};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Envelope, MessageId, Outcome, Provenance};
use lockstep_runtime::time::{Clock, SystemClock};

/// Who comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A channel, with its orders.
    Channel,
    /// The ERP, with what it keeps the record of.
    Erp,
}

impl Who {
    const ALL: [Self; 2] = [Self::Channel, Self::Erp];

    /// What the user begins with by whose name letters are kept; the system's name follows.
    const fn letter_user(self) -> &'static str {
        match self {
            Self::Channel => "channel/",
            Self::Erp => "reading/",
        }
    }

    /// What ids of letters begin with.
    const fn letter_id(self) -> &'static str {
        match self {
            Self::Channel => "webhook",
            Self::Erp => "reading",
        }
    }

    /// Who a letter is from, and the name of that system; none if it did not come in here.
    pub(crate) fn of_letter(user: &str) -> Option<(Self, &str)> {
        let named = |who: Self| Some((who, user.strip_prefix(who.letter_user())?));
        Self::ALL.into_iter().find_map(named)
    }

    /// The system as a caller that may do what it may do here.
    pub(crate) fn caller(self, system: SystemName) -> Caller {
        let scopes: &[Scope] = match self {
            Self::Channel => &[Scope::OrdersWrite],
            Self::Erp => &[Scope::StockWrite, Scope::PricesWrite, Scope::AccountsWrite],
        };
        Caller {
            system,
            scopes: scopes.iter().copied().collect(),
        }
    }
}

/// The entrance of one system.
pub(crate) struct Entrance {
    pub(crate) who: Who,
    pub(crate) system: SystemName,
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
    /// The entrance of a channel.
    ///
    /// # Errors
    /// [`PlatformError`] if its name is none of a system.
    pub(crate) fn of_channel(
        config: &ChannelConfig,
        ingress: Ingress<Distributor>,
    ) -> Result<Self, PlatformError> {
        let system = SystemName::new(&config.name);
        Ok(Self {
            who: Who::Channel,
            system: system.map_err(|error| config.unusable("name", error.to_string()))?,
            ingress,
        })
    }

    /// Hands a canonical message in, as the system; returns once its decision is durable.
    ///
    /// # Errors
    /// [`NotNow`] if it was not decided.
    pub(crate) async fn hand_in(&self, body: &[u8]) -> Result<Result<(), NotTaken>, NotNow> {
        let wrong = |code, reason| Ok(Err(NotTaken::Wrong(Wrong::whole(code, reason))));
        let envelope = match decode(BodyFormat::Json, body, &self.system) {
            Ok(envelope) => envelope,
            Err(error) => return Ok(Err(NotTaken::Wrong(error.into()))),
        };
        if !self.may(&envelope.message) {
            let what = match self.who {
                Who::Channel => "submit and cancel orders of its own",
                Who::Erp => "tell of stock, prices and accounts",
            };
            let reason = format!("{} may {what}, and nothing else", self.system);
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
            Some(reply) => {
                let outcome = Outcome::Done {
                    reply,
                    repeated: false,
                };
                let result = CommandResult::of(outcome);
                match result
                    .reason
                    .filter(|_| result.outcome == CommandOutcome::Refused)
                {
                    Some(reason) => wrong("refused".to_owned(), reason),
                    None => Ok(Ok(())),
                }
            }
        }
    }

    fn may(&self, message: &Message) -> bool {
        let is_within = self
            .who
            .caller(self.system.clone())
            .require(Scope::needed_for(message))
            .is_ok();
        let is_own = match self.who {
            Who::Channel => {
                matches!(message, Message::Order(order, _) if order.channel() == self.system.as_str())
            }
            Who::Erp => true,
        };
        is_within && is_own
    }

    /// Keeps what cannot be taken, once for each `content`, for a person.
    ///
    /// # Errors
    /// [`NotNow`] if it is not kept.
    pub(crate) async fn put_aside(&self, content: &[u8], body: &[u8], wrong: Wrong) -> Result<(), NotNow> {
        let system = self.system.as_str();
        let digest = MessageId::of(system, &String::from_utf8_lossy(content)).0;
        let id = format!("{}-{digest:032x}", self.who.letter_id());
        let id = LetterId::new(&id).map_err(|_| NotNow)?;
        let claims = crate::letters::claims(Some(BodyFormat::Json), body);
        let letter = Letter {
            head: Head {
                at: SystemClock.now(),
                source: system.into(),
                code: wrong.code.into(),
                field: wrong.field.into(),
                reason: wrong.reason,
                kind: claims.schema.into(),
                correlation: claims.correlation.into(),
                bytes: body.len() as u64,
            },
            content: Content::Outside {
                user: format!("{}{system}", self.who.letter_user()).into(),
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
        match self.ask(envelope).await? {
            None | Some(Reply::Letter(LetterReply::Accepted | LetterReply::Known)) => Ok(()),
            Some(_) => Err(NotNow),
        }
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
