//! `/v1/dead-letters`: what could not be taken or digested, and what a person does about it.

use super::exchange::{Received, answer};
use super::listing;
use super::problem::Problem;
use super::service::{Call, Service};
use crate::identity::Scope;
use crate::letters::{Asker, DeskError, Filter, Listed, MAX_LISTED, Shown, command_in_words};
use crate::schema::fields::{Moment, Note as NoteText};
use crate::schema::{BodyFormat, DecodeError, decode_body};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use lockstep_actors::ids::{LetterId, Reason};
use lockstep_actors::letters::list::OpenLetter;
use lockstep_actors::letters::{Content, Deed, Note};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which are asked for; all that is said must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    source: Option<String>,
    reason: Option<String>,
    kind: Option<String>,
    since: Option<Moment>,
    until: Option<Moment>,
    limit: Option<usize>,
}

/// What is said about a dead letter wherever it is listed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct LetterHead {
    /// What it is known by.
    letter: String,
    /// When it was put aside.
    at: Moment,
    /// Who sent it: a system, or a user of the broker that is none.
    source: String,
    /// Why it was put aside, for programs.
    code: String,
    /// The field that is wrong, if it is one field.
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    /// Why, for a person.
    reason: String,
    /// The name of its schema, or of the kind of entity that it is for; absent if that cannot be read.
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    /// The conversation that it belongs to, if known.
    #[serde(skip_serializing_if = "String::is_empty")]
    correlation: String,
    /// How many bytes it has.
    bytes: u64,
    /// Whether another message takes its place by now.
    repaired: bool,
    /// That it came back, if it was replayed and did.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<LetterReturned>,
}

/// A replay that was not taken.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct LetterReturned {
    /// How often that has been.
    times: u32,
    /// When it was last.
    at: Moment,
    /// Why then, for programs: `refused`, `dead-lettered` or `not-owner`.
    code: String,
    /// Why then, for a person.
    reason: String,
}

/// Open dead letters, the oldest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct LetterList {
    /// How many there are, listed or not.
    total: usize,
    /// The oldest of them.
    letters: Vec<LetterHead>,
    /// How many lie where they were put aside, as there are too many for one look: ask again.
    left_behind: usize,
    /// Why more may lie with the broker, if that could not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<String>,
}

/// What somebody did about a dead letter.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct LetterNote {
    /// When.
    at: Moment,
    /// Who.
    by: String,
    /// `repaired`, `replayed`, `returned` or `discarded`.
    did: &'static str,
    /// What came of a replay, whether it was taken or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// A dead letter as a whole.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct LetterView {
    #[serde(flatten)]
    head: LetterHead,
    /// The message: as it was repaired, else as it came in, if that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    /// The body in base64, if it cannot be read: all of it, or as much as was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// The command that an entity could not digest, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// What was done about it, the newest last.
    notes: Vec<LetterNote>,
    /// How it was settled, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<LetterNote>,
}

/// What to do about a dead letter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LetterAsk {
    /// What.
    ask: Ask,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Ask {
    /// Let this message take its place, under the same id.
    Repair {
        /// A canonical message as a whole.
        message: Value,
        /// Why.
        #[serde(default)]
        why: Option<NoteText>,
    },
    /// Hand it in again, as its sender would.
    Replay {
        /// Why.
        #[serde(default)]
        why: Option<NoteText>,
    },
    /// Give it up.
    Discard {
        /// Why.
        why: NoteText,
    },
}

/// What became of that.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct LetterAnswer {
    /// Whether something has changed; a letter that is settled stays as it is.
    changed: bool,
    /// How it stands.
    letter: LetterView,
}

impl LetterHead {
    fn of(id: &LetterId, open: OpenLetter) -> Self {
        let OpenLetter {
            head,
            repaired,
            returned,
        } = open;
        Self {
            letter: id.as_str().to_owned(),
            at: Moment(head.at),
            source: head.source.into(),
            code: head.code.into(),
            field: head.field.into(),
            reason: head.reason,
            kind: head.kind.into(),
            correlation: head.correlation.into(),
            bytes: head.bytes,
            repaired,
            returned: returned.map(|returned| LetterReturned {
                times: returned.times,
                at: Moment(returned.at),
                code: returned.code.into(),
                reason: returned.reason,
            }),
        }
    }
}

impl From<Listed> for LetterList {
    fn from(listed: Listed) -> Self {
        let letters = listed.letters.into_iter();
        Self {
            total: listed.total,
            letters: letters.map(|(id, open)| LetterHead::of(&id, open)).collect(),
            left_behind: listed.left_behind,
            unseen: listed.unseen,
        }
    }
}

impl From<Note> for LetterNote {
    fn from(note: Note) -> Self {
        let (did, outcome) = match note.did {
            Deed::Repaired => ("repaired", None),
            Deed::Replayed { outcome } => ("replayed", Some(outcome)),
            Deed::Discarded => ("discarded", None),
            Deed::Returned { outcome } => ("returned", Some(outcome)),
        };
        Self {
            at: Moment(note.at),
            by: note.by.into(),
            did,
            outcome,
            why: note.why.map(|why| why.to_string()),
        }
    }
}

impl LetterView {
    /// `None` for a letter that was never taken in, which is not shown.
    fn of(shown: Shown) -> Option<Self> {
        let Shown { id, state, .. } = shown;
        let open = OpenLetter {
            head: state.head?,
            repaired: state.repaired.is_some(),
            returned: state.returned,
        };
        let head = LetterHead::of(&id, open);
        let command = state.content.as_ref().and_then(command_in_words);
        let (message, body_base64) = match (state.repaired, state.content) {
            (Some(message), _) => (serde_json::from_slice(&message).ok(), None),
            (
                None,
                Some(Content::Outside {
                    content_type, body, ..
                }),
            ) => {
                let format = BodyFormat::of_content_type(&content_type);
                let message = format.and_then(|format| decode_body(format, &body).ok());
                let unread = || base64::engine::general_purpose::STANDARD.encode(&body);
                let body_base64 = message.is_none().then(unread);
                (message, body_base64)
            }
            (None, Some(Content::Inside { .. }) | None) => (None, None),
        };
        Some(Self {
            head,
            message,
            body_base64,
            command,
            notes: state.notes.into_iter().map(Into::into).collect(),
            settled: state.settled.map(Into::into),
        })
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let detail = error.to_string();
        match error {
            DeskError::Unknown => Self::new(StatusCode::NOT_FOUND, "no-such-letter", detail),
            DeskError::Left { code, field, .. } => Self::new(
                StatusCode::CONFLICT,
                &code,
                format_args!("the letter stays open: {detail}"),
            )
            .field(field),
            DeskError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(1)
            }
        }
    }
}

/// `GET /v1/dead-letters`
pub(super) async fn list(request: HttpRequest, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::Admin)?;
    let asked: Asked = listing::asked(&request)?;
    let limit = listing::limit(asked.limit, MAX_LISTED)?;
    let filter = Filter {
        source: asked.source,
        reason: asked.reason,
        kind: asked.kind,
        since: asked.since.map(|since| since.0),
        until: asked.until.map(|until| until.0),
    };
    let listed = service.desk.list(&filter, limit).await?;
    answer(&request, StatusCode::OK, &LetterList::from(listed))
}

/// `GET /v1/dead-letters/{letter}`
pub(super) async fn show(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::Admin)?;
    let shown = service.desk.show(&named(&path)?).await?;
    let view = LetterView::of(shown).ok_or(DeskError::Unknown)?;
    answer(&request, StatusCode::OK, &view)
}

/// `POST /v1/dead-letters/{letter}`
pub(super) async fn settle(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::Admin)?;
    let body = Received::of(&request, payload, service.timeout).await?;
    let asked: LetterAsk = body.decode()?;
    let shown = act(&service, &call, &named(&path)?, asked.ask).await?;
    let changed = shown.changed;
    let letter = LetterView::of(shown).ok_or(DeskError::Unknown)?;
    answer(&request, StatusCode::OK, &LetterAnswer { changed, letter })
}

async fn act(service: &Service, call: &Call, id: &LetterId, ask: Ask) -> Result<Shown, Problem> {
    let by = Asker {
        system: &call.caller.system,
        correlation: &call.correlation,
    };
    let desk = &service.desk;
    Ok(match ask {
        Ask::Repair { message, why } => desk.repair(id, by, &message, reason(why)?).await?,
        Ask::Replay { why } => desk.replay(id, by, reason(why)?).await?,
        Ask::Discard { why } => {
            desk.discard(id, by, Reason::new(why.as_ref()).map_err(unclear)?)
                .await?
        }
    })
}

fn reason(why: Option<NoteText>) -> Result<Option<Reason>, Problem> {
    why.map(|why| Reason::new(why.as_ref()).map_err(unclear))
        .transpose()
}

fn unclear(error: lockstep_actors::ids::InvalidName) -> Problem {
    DecodeError::field("why", error).into()
}

fn named(path: &str) -> Result<LetterId, Problem> {
    LetterId::new(path).map_err(|error| DecodeError::field("letter", error).into())
}
