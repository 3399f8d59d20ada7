//! What can be done about dead letters, and how that goes.

use super::intake::{LeftBehind, SeenUpTo};
use super::{MAX_LISTED, NOT_DIGESTED, after_judgements, again, claims, claims_of};
use crate::amqp::LetterBox;
use crate::entrance::Who;
use crate::identity::{Caller, Scope};
use crate::schema::outbound::{CommandOutcome, CommandResult};
use crate::schema::{BodyFormat, DecodeError, decode};
use futures_util::stream::{self, StreamExt};
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::ids::{LetterId, Reason, SystemName};
use lockstep_actors::letters::list::OpenLetter;
use lockstep_actors::letters::{Content, Head, LetterCommand, LetterRefusal, LetterReply, LetterState};
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::ingress::{Ingress, Rejected};
use lockstep_runtime::message::{Envelope, MessageId, Origin, Outcome, Provenance};
use lockstep_runtime::time::Timestamp;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::Mutex;

/// How many letters are asked at a time how they stand.
const AT_ONCE: usize = 64;

/// The desk. One for a service.
pub struct Desk {
    pub(super) ingress: Ingress<Distributor>,
    pub(super) letter_box: Option<LetterBox>,
    timeout: Duration,
    pub(super) seen: Mutex<SeenUpTo>,
    /// Whose webhooks come in.
    channels: Vec<SystemName>,
}

/// Who asks for something to be done, and in which conversation.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The system, as authenticated.
    pub system: &'a SystemName,
    /// The conversation.
    pub correlation: &'a str,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is no such letter.
    #[error("{}", LetterRefusal::Unknown)]
    Unknown,
    /// It stays as it is: the reason lies in the letter.
    #[error("{reason}")]
    Left {
        /// Why, for programs.
        code: String,
        /// The field that is wrong, if it is one.
        field: String,
        /// Why, for a person.
        reason: String,
    },
    /// It stays as it is: try again.
    #[error("{0}; try again")]
    Unavailable(String),
}

impl DeskError {
    fn left(code: &str, reason: impl std::fmt::Display) -> Self {
        Self::Left {
            code: code.to_owned(),
            field: String::new(),
            reason: reason.to_string(),
        }
    }
}

impl From<DecodeError> for DeskError {
    fn from(error: DecodeError) -> Self {
        Self::Left {
            code: error.code.as_str().to_owned(),
            field: error.field,
            reason: error.reason,
        }
    }
}

/// Which letters; all that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Sent by this system.
    pub source: Option<String>,
    /// Put aside, or come back last, for this: a code, or a part of the reason.
    pub reason: Option<String>,
    /// Of this kind: the name of a schema or an entity.
    pub kind: Option<String>,
    /// Put aside at this moment or later.
    pub since: Option<Timestamp>,
    /// Put aside before this moment.
    pub until: Option<Timestamp>,
}

impl Filter {
    fn takes(&self, open: &OpenLetter) -> bool {
        let head = &open.head;
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let says = |wanted: &str, code: &str, reason: &str| code == wanted || reason.contains(wanted);
        let reason = |wanted: &String| {
            let returned = open.returned.as_ref();
            says(wanted, &head.code, &head.reason)
                || returned.is_some_and(|returned| says(wanted, &returned.code, &returned.reason))
        };
        is(&self.source, &head.source)
            && is(&self.kind, &head.kind)
            && self.reason.as_ref().is_none_or(reason)
            && self.since.is_none_or(|since| head.at >= since)
            && self.until.is_none_or(|until| head.at < until)
    }
}

/// Open letters, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// How many there are, listed or not.
    pub total: usize,
    /// The oldest of them.
    pub letters: Vec<(LetterId, OpenLetter)>,
    /// How many lie where they were put aside, as there are too many for one look.
    pub left_behind: usize,
    /// Why more may lie there, if that could not be seen.
    pub unseen: Option<String>,
}

/// A letter and how it stands.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its id.
    pub id: LetterId,
    /// How it stands.
    pub state: LetterState,
    /// Whether something has just changed.
    pub changed: bool,
}

impl Desk {
    /// The desk of a service; without a letter box what lies in the store is all there is.
    #[must_use]
    pub fn new(ingress: Ingress<Distributor>, letter_box: Option<LetterBox>, timeout: Duration) -> Self {
        Self {
            ingress,
            letter_box,
            timeout,
            seen: Mutex::default(),
            channels: Vec::new(),
        }
    }

    /// The same with the letters of these channels' webhooks.
    #[must_use]
    pub fn with_channels<'c>(self, channels: impl Iterator<Item = &'c SystemName>) -> Self {
        Self {
            channels: channels.cloned().collect(),
            ..self
        }
    }

    /// The open letters that `filter` takes, the oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`] while the store is away.
    pub async fn list(&self, filter: &Filter, limit: usize) -> Result<Listed, DeskError> {
        let LeftBehind { letters, why } = self.take_in().await?;
        let mut found: Vec<(LetterId, OpenLetter)> = Vec::new();
        for (id, open) in self.ingress.reference().open_letters() {
            if let Some(open) = &*open
                && filter.takes(open)
            {
                found.push((id, open.clone()));
            }
        }
        found.sort_by(|(one, first), (other, second)| (first.head.at, one).cmp(&(second.head.at, other)));
        let total = found.len();
        // The list follows the letters: each says itself how it stands by now.
        let asking = found
            .into_iter()
            .take(limit.min(MAX_LISTED))
            .map(|(id, open)| async {
                let state = self.state(&id).await?;
                let is_open = state.settled.is_none();
                let open = OpenLetter {
                    repaired: state.repaired.is_some(),
                    returned: state.returned,
                    ..open
                };
                Ok::<_, DeskError>(is_open.then_some((id, open)))
            });
        let asked: Vec<_> = stream::iter(asking).buffered(AT_ONCE).collect().await;
        let asked: Vec<Option<_>> = asked.into_iter().collect::<Result<_, _>>()?;
        let settled = asked.iter().filter(|letter| letter.is_none()).count();
        Ok(Listed {
            total: total - settled,
            letters: asked.into_iter().flatten().collect(),
            left_behind: letters,
            unseen: why,
        })
    }

    /// How a letter stands.
    ///
    /// # Errors
    /// [`DeskError::Unknown`], or [`DeskError::Unavailable`].
    pub async fn show(&self, id: &LetterId) -> Result<Shown, DeskError> {
        let state = self.state(id).await?;
        if state.head.is_none() {
            return Err(DeskError::Unknown);
        }
        Ok(Shown {
            id: id.clone(),
            state,
            changed: false,
        })
    }

    /// Lets a canonical message take the letter's place, if it can be read.
    ///
    /// # Errors
    /// [`DeskError::Left`] with what is wrong with the message, or if the letter is settled.
    pub async fn repair(
        &self,
        id: &LetterId,
        by: Asker<'_>,
        message: &Value,
        why: Option<Reason>,
    ) -> Result<Shown, DeskError> {
        let before = self.show(id).await?.state;
        let bytes = serde_json::to_vec(message).map_err(|error| DeskError::left("malformed", error))?;
        let wanted = self.readable_id(&before);
        let found = claims_of(message).id;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            return Err(DecodeError::field(
                "id",
                format!("is {wanted:?} in the letter and must stay, not {found:?}"),
            )
            .into());
        }
        let repaired = LetterState {
            repaired: Some(bytes.clone()),
            ..before.clone()
        };
        if before.settled.is_none() {
            self.envelope(id, &repaired)?;
        }
        let command = LetterCommand::Repair { message: bytes, why };
        self.done(id, by, command, before.repaired).await
    }

    /// Hands the letter in again, as its sender would, and settles it if it is taken. One that is settled stays as it is.
    ///
    /// # Errors
    /// [`DeskError::Left`] if it is still not taken; [`DeskError::Unavailable`] if it was not decided.
    pub async fn replay(
        &self,
        id: &LetterId,
        by: Asker<'_>,
        why: Option<Reason>,
    ) -> Result<Shown, DeskError> {
        let before = self.show(id).await?;
        if before.state.settled.is_some() {
            return Ok(before);
        }
        let envelope = self.envelope(id, &before.state)?;
        let (judgement, code, reason) = match self.hand_in(envelope).await? {
            // Who owns what is asked before the entity: it has not judged the message.
            Outcome::Done {
                reply: Reply::Audit(AuditReply::NotOwner(write)),
                ..
            } => (None, "not-owner", write.to_string()),
            Outcome::Unavailable => return Err(unavailable()),
            outcome @ (Outcome::Done { .. } | Outcome::Repeated | Outcome::DeadLettered { .. }) => {
                let result = CommandResult::of(outcome);
                let outcome = in_words(&result);
                let code = match result.outcome {
                    CommandOutcome::Accepted | CommandOutcome::Stale => {
                        let taken = LetterCommand::Replayed { outcome, why };
                        return self.done(id, by, taken, None).await;
                    }
                    CommandOutcome::Unavailable => return Err(unavailable()),
                    CommandOutcome::Refused => "refused",
                    CommandOutcome::DeadLettered => "dead-lettered",
                };
                (Some(before.state.judged), code, outcome)
            }
        };
        let came_back = LetterCommand::Returned {
            judgement,
            code: code.into(),
            reason: reason.clone(),
            why,
        };
        let after = self.done(id, by, came_back, None).await?;
        if after.state.settled.is_some() {
            return Ok(after);
        }
        Err(DeskError::left(code, reason))
    }

    /// Gives the letter up. One that is settled stays as it is.
    ///
    /// # Errors
    /// [`DeskError::Unknown`], or [`DeskError::Unavailable`].
    pub async fn discard(&self, id: &LetterId, by: Asker<'_>, why: Reason) -> Result<Shown, DeskError> {
        let before = self.show(id).await?;
        if before.state.settled.is_some() {
            return Ok(before);
        }
        self.done(id, by, LetterCommand::Discard { why }, None).await
    }

    async fn done(
        &self,
        id: &LetterId,
        by: Asker<'_>,
        command: LetterCommand,
        repaired_before: Option<Vec<u8>>,
    ) -> Result<Shown, DeskError> {
        let is_repair = matches!(command, LetterCommand::Repair { .. });
        match self.tell(id, by.system, by.correlation, command).await? {
            LetterReply::Accepted | LetterReply::Known | LetterReply::Letter(_) => {}
            LetterReply::Refused(LetterRefusal::Unknown) => return Err(DeskError::Unknown),
            LetterReply::Refused(refusal @ LetterRefusal::Settled(_)) if is_repair => {
                return Err(DeskError::left("settled", refusal));
            }
            // Somebody else was faster: the same effect, once.
            LetterReply::Refused(LetterRefusal::Settled(_)) => return self.show(id).await,
        }
        let after = self.show(id).await?;
        Ok(Shown {
            changed: !is_repair || after.state.repaired != repaired_before,
            ..after
        })
    }

    /// The message as it is handed in: from whom, under which id.
    fn envelope(&self, id: &LetterId, state: &LetterState) -> Result<Envelope<Distributor>, DeskError> {
        let first = self.first_envelope(id, state)?;
        Ok(Envelope {
            id: after_judgements(first.id, state.judged),
            ..first
        })
    }

    /// The same as long as none of its replays was judged.
    fn first_envelope(&self, id: &LetterId, state: &LetterState) -> Result<Envelope<Distributor>, DeskError> {
        let (Some(head), Some(content)) = (&state.head, &state.content) else {
            return Err(DeskError::Unknown);
        };
        match content {
            Content::Outside {
                user,
                content_type,
                body,
            } => {
                let caller = self.sender(user)?;
                let (format, body) = match &state.repaired {
                    Some(message) => (BodyFormat::Json, message.as_slice()),
                    None => (format_of(content_type)?, whole(head, body)?),
                };
                let mut envelope = decode(format, body, &caller.system)?;
                caller
                    .require(Scope::needed_for(&envelope.message))
                    .map_err(|missing| DeskError::left("missing-scope", missing))?;
                // What a channel or the ERP has told may have been judged, and refused.
                if head.code == NOT_DIGESTED || Who::of_letter(user).is_some() {
                    envelope.id = again(envelope.id);
                }
                Ok(envelope)
            }
            Content::Inside {
                origin,
                kind,
                entity,
                command,
            } => {
                let anew = id_of_inside(id, *origin)?;
                let Some(message) = &state.repaired else {
                    let message = Message::decode(*kind, entity, command)
                        .map_err(|error| DeskError::left("malformed", error))?;
                    return Ok(Envelope {
                        id: anew,
                        provenance: Provenance {
                            source: head.source.clone(),
                            correlation: head.correlation.clone(),
                            causation: None,
                        },
                        message,
                    });
                };
                let system = SystemName::new(&head.source)
                    .map_err(|error| DeskError::left("unknown-sender", error))?;
                let envelope = decode(BodyFormat::Json, message, &system)?;
                Ok(Envelope { id: anew, ..envelope })
            }
        }
    }

    fn sender(&self, user: &str) -> Result<Caller, DeskError> {
        match Who::of_letter(user) {
            Some((Who::Channel, channel)) => return self.channel(channel),
            Some((Who::Erp, system)) => {
                let system =
                    SystemName::new(system).map_err(|error| DeskError::left("unknown-sender", error))?;
                return Ok(Who::Erp.caller(system));
            }
            None => {}
        }
        let Some(letter_box) = &self.letter_box else {
            return Err(DeskError::left(
                "unknown-sender",
                "it came by AMQP, and this service has no [amqp] table that says who its users are",
            ));
        };
        letter_box.caller(user).ok_or_else(|| {
            let reason = match user {
                "" => "it names no sender: whoever sent it must send it again, with user_id".to_owned(),
                user => format!("the user {user:?} is no system; name it in [amqp.users]"),
            };
            DeskError::left("unknown-sender", reason)
        })
    }

    /// A channel whose webhooks come in: it submits and cancels orders.
    fn channel(&self, name: &str) -> Result<Caller, DeskError> {
        let known = self.channels.iter().find(|channel| channel.as_str() == name);
        let system = known.ok_or_else(|| {
            let reason = format!("the channel {name:?} takes no orders by webhooks any more");
            DeskError::left("unknown-sender", reason)
        })?;
        Ok(Who::Channel.caller(system.clone()))
    }

    /// The message's own id, if it can be read.
    fn readable_id(&self, state: &LetterState) -> Option<String> {
        match state.content.as_ref()? {
            Content::Outside {
                content_type, body, ..
            } => {
                let id = claims(BodyFormat::of_content_type(content_type), body).id;
                Some(id).filter(|id| !id.is_empty())
            }
            Content::Inside { .. } => None,
        }
    }

    async fn state(&self, id: &LetterId) -> Result<LetterState, DeskError> {
        let lockstep = Caller::operator().map_err(|error| DeskError::Unavailable(error.to_string()))?;
        match self
            .tell(id, &lockstep.system, id.as_str(), LetterCommand::Show)
            .await?
        {
            LetterReply::Letter(state) => Ok(*state),
            reply @ (LetterReply::Accepted | LetterReply::Known | LetterReply::Refused(_)) => {
                Err(DeskError::Unavailable(format!("an unexpected answer: {reply:?}")))
            }
        }
    }

    pub(super) async fn tell(
        &self,
        id: &LetterId,
        system: &SystemName,
        correlation: &str,
        command: LetterCommand,
    ) -> Result<LetterReply, DeskError> {
        let envelope = Envelope {
            id: MessageId(uuid::Uuid::now_v7().as_u128()),
            provenance: Provenance {
                source: system.as_str().into(),
                correlation: correlation.into(),
                causation: None,
            },
            message: (id.clone(), command).into(),
        };
        match self.ask(envelope).await? {
            Outcome::Done {
                reply: Reply::Letter(reply),
                ..
            } => Ok(reply),
            Outcome::Done { .. }
            | Outcome::Repeated
            | Outcome::DeadLettered { .. }
            | Outcome::Unavailable => Err(unavailable()),
        }
    }

    async fn ask(&self, envelope: Envelope<Distributor>) -> Result<Outcome<Reply>, DeskError> {
        self.in_time(self.ingress.ask(envelope)).await
    }

    /// Hands in what a letter keeps.
    async fn hand_in(&self, envelope: Envelope<Distributor>) -> Result<Outcome<Reply>, DeskError> {
        self.in_time(self.ingress.ask_keeping(envelope)).await
    }

    async fn in_time(
        &self,
        asking: impl Future<Output = Result<Outcome<Reply>, Rejected<Distributor>>>,
    ) -> Result<Outcome<Reply>, DeskError> {
        let asked = tokio::time::timeout(self.timeout, asking).await;
        let asked = asked.map_err(|_| DeskError::Unavailable("no answer in time".to_owned()))?;
        asked.map_err(|rejected| DeskError::Unavailable(rejected.cause.to_string()))
    }
}

fn unavailable() -> DeskError {
    DeskError::Unavailable("the store did not take the decision".to_owned())
}

fn format_of(content_type: &str) -> Result<BodyFormat, DeskError> {
    BodyFormat::of_content_type(content_type).ok_or_else(|| {
        let reason = format!("{content_type:?} is not understood; repair it with a message in JSON");
        DeskError::left("unknown-content-type", reason)
    })
}

fn whole<'b>(head: &Head, body: &'b [u8]) -> Result<&'b [u8], DeskError> {
    if head.bytes == body.len() as u64 {
        return Ok(body);
    }
    let reason = format!(
        "it had {} bytes, and only the first {} are kept",
        head.bytes,
        body.len()
    );
    Err(DeskError::left("too-large", reason))
}

fn id_of_inside(id: &LetterId, origin: Option<Origin>) -> Result<MessageId, DeskError> {
    match origin {
        Some(Origin::External(judged)) => Ok(again(judged)),
        Some(Origin::Alarm) | None => Ok(MessageId::of("dead letter", id.as_str())),
        Some(Origin::Entity { .. }) => Err(DeskError::left(
            "inside",
            "an order, a stock or a contract sent it, and asks again by itself; discard it",
        )),
    }
}

fn in_words(result: &CommandResult) -> String {
    let outcome = match result.outcome {
        CommandOutcome::Accepted => "accepted",
        CommandOutcome::Stale => "stale",
        CommandOutcome::Refused => "refused",
        CommandOutcome::DeadLettered => "dead-lettered",
        CommandOutcome::Unavailable => "unavailable",
    };
    let repeated = if result.repeated { " before" } else { "" };
    match &result.reason {
        Some(reason) => format!("{outcome}{repeated}: {reason}"),
        None => format!("{outcome}{repeated}"),
    }
}
