//! Why a delivery was not taken, and how that is told to whoever mends it.

use crate::identity::{AmqpUsers, Caller, Scope};
use crate::schema::sheet::SheetAsk;
use crate::schema::{BodyFormat, DecodeError, decode, decode_again};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lockstep_actors::domain::Distributor;
use lockstep_runtime::message::Envelope;

/// The headers of a dead letter. What it is known by, and when and why it was put aside.
pub(super) const LETTER: &str = "x-lockstep-letter";
pub(super) const AT: &str = "x-lockstep-at";
pub(super) const CODE: &str = "x-lockstep-code";
pub(super) const FIELD: &str = "x-lockstep-field";
pub(super) const REASON: &str = "x-lockstep-reason";
pub(super) const USER: &str = "x-lockstep-user";

/// How large the sender's own headers may be to stay with the dead letter. With ours they have to fit into one frame, as
/// the protocol wants it: 128 KiB as the broker is installed (<https://www.rabbitmq.com/docs/configure#config-items>,
/// `frame_max`). A larger header would end the connection, and the message would come again for ever.
const MAX_SENDERS_HEADERS_BYTES: usize = 64 * 1024;
const HEADERS_LEFT_OUT: &str = "x-lockstep-headers-left-out";

/// Why a delivery goes to the dead-letter exchange. The code is stable, the reason is for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) field: String,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, reason: String) -> Self {
        Self {
            code,
            field: String::new(),
            reason,
        }
    }

    /// What the dead letter comes with: the reason and where the message came from. The sender's own headers stay, if
    /// there is room for them. That Lockstep itself says so is seen by its `user_id`, which the broker checks.
    pub(super) fn properties(&self, delivery: &Delivery, own_user: &str) -> BasicProperties {
        let from = &delivery.properties;
        let mut headers = senders_headers(from);
        let mut put = |name: &str, value: &str| {
            headers.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
        };
        put(LETTER, &uuid::Uuid::now_v7().simple().to_string());
        put(AT, &jiff::Timestamp::now().to_string());
        put(CODE, self.code);
        put(FIELD, &self.field);
        put(REASON, &self.reason);
        put("x-lockstep-exchange", delivery.exchange.as_str());
        put("x-lockstep-routing-key", delivery.routing_key.as_str());
        // The broker checks `user_id` against the publisher, which is Lockstep here: the sender is kept as a header.
        put(USER, from.user_id().as_ref().map_or("", ShortString::as_str));
        kept(from, headers).with_user_id(own_user.into())
    }
}

fn senders_headers(from: &BasicProperties) -> FieldTable {
    let headers = from.headers().clone().unwrap_or_default();
    // As MessagePack a table is hardly ever smaller than as AMQP has it.
    let bytes = rmp_serde::to_vec(&headers).map_or(usize::MAX, |packed| packed.len());
    if bytes <= MAX_SENDERS_HEADERS_BYTES {
        return headers;
    }
    let mut left_out = FieldTable::default();
    left_out.insert(HEADERS_LEFT_OUT.into(), AMQPValue::Boolean(true));
    left_out
}

fn kept(from: &BasicProperties, headers: FieldTable) -> BasicProperties {
    let mut properties = BasicProperties::default().with_headers(headers);
    if let Some(kind) = from.content_type() {
        properties = properties.with_content_type(kind.clone());
    }
    if let Some(id) = from.message_id() {
        properties = properties.with_message_id(id.clone());
    }
    if let Some(correlation) = from.correlation_id() {
        properties = properties.with_correlation_id(correlation.clone());
    }
    if let Some(reply_to) = from.reply_to() {
        properties = properties.with_reply_to(reply_to.clone());
    }
    properties
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self {
            code: error.code.as_str(),
            field: error.field,
            reason: error.reason,
        }
    }
}

/// What a delivery that is not taken goes to the dead-letter exchange with, as the broker's user that Lockstep is; none for one that
/// is taken.
#[must_use]
pub fn dead_letter_of(delivery: &Delivery, users: &AmqpUsers, own_user: &str) -> Option<BasicProperties> {
    let refusal = read(delivery, users).err()?;
    Some(refusal.properties(delivery, own_user))
}

/// Reads a delivery: who sent it, whether they may, and what they want.
pub(super) fn read(delivery: &Delivery, users: &AmqpUsers) -> Result<Envelope<Distributor>, Refusal> {
    let caller = caller(delivery, users)?;
    let envelope = decode(format_of(delivery)?, &delivery.data, &caller.system)?;
    caller
        .require(Scope::needed_for(&envelope.message))
        .map_err(|missing| Refusal::new("missing-scope", missing.to_string()))?;
    Ok(envelope)
}

fn format_of(delivery: &Delivery) -> Result<BodyFormat, Refusal> {
    let kind = delivery.properties.content_type();
    let kind = kind.as_ref().map_or("application/json", ShortString::as_str);
    BodyFormat::of_content_type(kind).ok_or_else(|| {
        let reason = format!("{kind:?} is not understood; send application/json or application/msgpack");
        Refusal::new("unknown-content-type", reason)
    })
}

/// The prices that a delivery asked for, which was read before.
pub(super) fn sheet_ask(delivery: &Delivery) -> Result<SheetAsk, Refusal> {
    Ok(decode_again(format_of(delivery)?, &delivery.data)?)
}

fn caller(delivery: &Delivery, users: &AmqpUsers) -> Result<Caller, Refusal> {
    let user = delivery.properties.user_id().as_ref().ok_or_else(|| {
        let reason =
            "the user_id property is missing; set it to the user that publishes, the broker checks it";
        Refusal::new("unknown-sender", reason.to_owned())
    })?;
    users.caller(user.as_str()).ok_or_else(|| {
        let reason = format!(
            "the user {:?} is no system; name it in [amqp.users]",
            user.as_str()
        );
        Refusal::new("unknown-sender", reason)
    })
}
