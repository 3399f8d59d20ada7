//! The envelope around every canonical message, inbound and outbound.

use super::account::{AccountDocument, AccountSet};
use super::agreement::{AgreementSet, ItemSet, RatesSet};
use super::charge::{TaxesSet, VolumeSet};
use super::error::{DecodeCode, DecodeError};
use super::fields::Id;
use super::head::peek;
use super::order::{OrderCancel, OrderChangeAsk, OrderProgress, OrderResolve, OrderSubmit};
use super::overview::StockRequest;
use super::price::{BudgetSet, ContractSet, EditionRelease, IndexPublish, PriceSet, QuoteAsk};
use super::question::{PicksRequest, PromiseRequest};
use super::sheet::SheetAsk;
use super::stock::StockEvent;
use super::wire::{BodyFormat, EncodeError, check_size, decode_body, encode_body};
use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::ids::SystemName;
use lockstep_runtime::message::{Envelope, MessageId, Provenance};
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// The version of all schemas here.
pub const VERSION: u64 = 1;

/// What a message says: a body with a schema of its own name.
pub trait Body: Serialize + JsonSchema {
    /// The schema's name.
    const SCHEMA: &'static str;
}

/// A body that asks something of an entity.
pub trait Command: Body + DeserializeOwned {
    /// The command and the entity it is for, when `source` sends it.
    ///
    /// # Errors
    /// [`DecodeError`] for a field that is well formed but means nothing.
    fn into_message(self, source: &SystemName) -> Result<Message, DecodeError>;
}

/// The whole of an inbound message. Schema and version were looked at before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "B: DeserializeOwned")]
struct Incoming<B> {
    #[serde(rename = "schema")]
    _schema: IgnoredAny,
    #[serde(rename = "version")]
    _version: IgnoredAny,
    id: Id,
    #[serde(default)]
    correlation_id: Option<Id>,
    #[serde(default)]
    causation_id: Option<Id>,
    body: B,
}

/// Reads a canonical message that `source` sent.
///
/// # Errors
/// [`DecodeError`] with a stable code, the path of the field and the reason.
pub fn decode(
    format: BodyFormat,
    bytes: &[u8],
    source: &SystemName,
) -> Result<Envelope<Distributor>, DecodeError> {
    check_size(bytes)?;
    let (schema, version) = peek(format, bytes)?;
    let read = reader(&schema)?;
    if version != VERSION {
        let reason = format!("{schema} is known in version {VERSION} only, not {version}");
        return Err(DecodeError::new(DecodeCode::UnknownVersion, "version", reason));
    }
    read(format, bytes, source)
}

type Reader = fn(BodyFormat, &[u8], &SystemName) -> Result<Envelope<Distributor>, DecodeError>;

const READERS: [(&str, Reader); 23] = [
    entry::<StockEvent>(),
    entry::<PromiseRequest>(),
    entry::<PicksRequest>(),
    entry::<StockRequest>(),
    entry::<OrderSubmit>(),
    entry::<OrderCancel>(),
    entry::<OrderChangeAsk>(),
    entry::<OrderResolve>(),
    entry::<OrderProgress>(),
    entry::<PriceSet>(),
    entry::<EditionRelease>(),
    entry::<BudgetSet>(),
    entry::<IndexPublish>(),
    entry::<ContractSet>(),
    entry::<AgreementSet>(),
    entry::<ItemSet>(),
    entry::<RatesSet>(),
    entry::<TaxesSet>(),
    entry::<VolumeSet>(),
    entry::<QuoteAsk>(),
    entry::<SheetAsk>(),
    entry::<AccountSet>(),
    entry::<AccountDocument>(),
];

const fn entry<B: Command>() -> (&'static str, Reader) {
    (B::SCHEMA, read::<B>)
}

fn reader(schema: &str) -> Result<Reader, DecodeError> {
    let found = READERS.iter().find(|(name, _)| *name == schema);
    found.map(|&(_, reader)| reader).ok_or_else(|| {
        let known: Vec<_> = READERS.iter().map(|&(name, _)| name).collect();
        let reason = format!("unknown schema {schema:?}; there are {}", known.join(", "));
        DecodeError::new(DecodeCode::UnknownSchema, "schema", reason)
    })
}

fn read<B: Command>(
    format: BodyFormat,
    bytes: &[u8],
    source: &SystemName,
) -> Result<Envelope<Distributor>, DecodeError> {
    let incoming: Incoming<B> = decode_body(format, bytes)?;
    let message = incoming.body.into_message(source)?;
    let id = MessageId::of(source.as_str(), incoming.id.as_str());
    let correlation = incoming.correlation_id.unwrap_or(incoming.id).into_inner();
    let causation = incoming
        .causation_id
        .map(|cause| MessageId::of(source.as_str(), cause.as_str()));
    Ok(Envelope {
        id,
        provenance: Provenance {
            source: source.as_str().into(),
            correlation,
            causation,
        },
        message,
    })
}

/// Reads the body of a message that was decoded before: for what its answer is made from.
///
/// # Errors
/// As [`decode`], for a message of another schema.
pub fn decode_again<B: Command>(format: BodyFormat, bytes: &[u8]) -> Result<B, DecodeError> {
    let incoming: Incoming<B> = decode_body(format, bytes)?;
    Ok(incoming.body)
}

/// A canonical message to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outgoing<'a, B> {
    /// The body's schema.
    schema: &'static str,
    /// The schema's version.
    version: u64,
    /// The message's own id.
    pub id: &'a str,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<&'a str>,
    /// The message that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<&'a str>,
    /// What it says.
    pub body: &'a B,
}

impl<'a, B: Body> Outgoing<'a, B> {
    /// The message `id` that says `body`.
    #[must_use]
    pub fn new(id: &'a str, body: &'a B) -> Self {
        Self {
            schema: B::SCHEMA,
            version: VERSION,
            id,
            correlation_id: None,
            causation_id: None,
            body,
        }
    }

    /// The same message in a conversation.
    #[must_use]
    pub fn in_conversation(mut self, correlation: &'a str) -> Self {
        self.correlation_id = Some(correlation);
        self
    }
}

/// Writes a canonical message.
///
/// # Errors
/// [`EncodeError`], if the body's type is defective.
pub fn encode<B: Body>(format: BodyFormat, message: &Outgoing<'_, B>) -> Result<Vec<u8>, EncodeError> {
    encode_body(format, message)
}
