//! The broker's dead-letter queue, as it is emptied onto an operator's desk.
//!
//! Invariant: a letter is taken off the queue only once it lies on the desk, durably; what is not comes again. Letters are
//! not looked at and put back: a broker may drop a message that was put back too often
//! (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>).

use super::connect::{Broker, PublishError};
use super::refusal::{AT, CODE, FIELD, LETTER, REASON, USER};
use crate::identity::{AmqpUsers, Caller};
use crate::letters::{MAX_CUT_BYTES, claims};
use crate::schema::limits::MAX_BODY_BYTES;
use crate::schema::{BodyFormat, limits::MAX_NOTE_BYTES};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::{FieldTable, LongString, ShortString};
use lapin::{Channel, Connection};
use lockstep_actors::ids::LetterId;
use lockstep_actors::letters::{Content, Head, Letter};
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};

/// How much is kept of a reason. What the broker itself gives up has its sender's own headers, whatever they say.
const MAX_REASON_BYTES: usize = 1_024;

/// Where the broker keeps dead letters, and who its users are.
#[derive(Clone, Debug)]
pub struct LetterBox {
    broker: Broker,
    users: AmqpUsers,
}

/// A letter that has been taken out, but not off the queue.
pub(crate) struct PutAside {
    pub(crate) id: LetterId,
    pub(crate) letter: Letter,
    tag: u64,
}

/// The queue while it is emptied.
pub(crate) struct Emptying<'b> {
    users: &'b AmqpUsers,
    own_user: &'b str,
    queue: &'b str,
    connection: Connection,
    channel: Channel,
}

impl LetterBox {
    /// The dead-letter queue of a broker whose users are these systems.
    #[must_use]
    pub fn new(broker: Broker, users: AmqpUsers) -> Self {
        Self { broker, users }
    }

    /// The system behind a user of the broker.
    pub(crate) fn caller(&self, user: &str) -> Option<Caller> {
        self.users.caller(user)
    }

    pub(crate) async fn open(&self) -> Result<Emptying<'_>, PublishError> {
        let connection = self.broker.connect("lockstep dead letters").await?;
        let channel = connection.create_channel().await?;
        self.broker.names().declare(&channel).await?;
        Ok(Emptying {
            users: &self.users,
            own_user: self.broker.user(),
            queue: &self.broker.names().dead_letter,
            connection,
            channel,
        })
    }
}

impl Emptying<'_> {
    /// The next letter, and how many are behind it.
    pub(crate) async fn next(&self) -> Result<Option<(PutAside, u32)>, PublishError> {
        let got = self
            .channel
            .basic_get(self.queue.into(), BasicGetOptions::default())
            .await?;
        Ok(got.map(|message| {
            let (id, letter) = letter_of(&message.delivery, self.users, self.own_user);
            let aside = PutAside {
                id,
                letter,
                tag: message.delivery.delivery_tag,
            };
            (aside, message.message_count)
        }))
    }

    /// It lies on the desk: the queue may forget it.
    pub(crate) async fn taken(&self, aside: &PutAside) -> Result<(), PublishError> {
        Ok(self
            .channel
            .basic_ack(aside.tag, BasicAckOptions::default())
            .await?)
    }

    pub(crate) async fn close(self) {
        if let Err(error) = self.connection.close(200, "done".into()).await {
            tracing::debug!(%error, "the connection to the broker was gone before it was closed");
        }
    }
}

/// What Lockstep has said of a delivery as it put it aside. Whatever else lies in the queue was put there by the broker with headers
/// that its sender chose: they could name another sender, or the id of another letter.
fn said<'d>(delivery: &'d Delivery, own_user: &str) -> Option<&'d FieldTable> {
    let properties = &delivery.properties;
    let is_own = properties
        .user_id()
        .as_ref()
        .is_some_and(|user| user.as_str() == own_user);
    properties.headers().as_ref().filter(|_| is_own)
}

/// The id that Lockstep gave it; what the broker itself put aside is known by what it says.
fn id_of(delivery: &Delivery, said: Option<&FieldTable>) -> LetterId {
    let given = text(said, LETTER);
    let given = given.and_then(|given| LetterId::new(&given).ok());
    given.unwrap_or_else(|| {
        let user = delivery
            .properties
            .user_id()
            .as_ref()
            .map_or("", ShortString::as_str);
        let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
        hasher.update(user.as_bytes());
        hasher.update(&[0]);
        hasher.update(&delivery.data);
        letter_id(&format!("broker-{:032x}", hasher.digest128()))
    })
}

#[expect(clippy::expect_used, reason = "hexadecimal digits are a valid id")]
fn letter_id(text: &str) -> LetterId {
    LetterId::new(text).expect("a valid id")
}

fn text(headers: Option<&FieldTable>, name: &str) -> Option<String> {
    let value = headers?.inner().get(name)?;
    value.as_long_string().map(LongString::to_string)
}

/// The letter that a message of the queue becomes, and what it is known by; `own_user` is who Lockstep is to the broker.
#[must_use]
pub fn letter_of(delivery: &Delivery, users: &AmqpUsers, own_user: &str) -> (LetterId, Letter) {
    let properties = &delivery.properties;
    let headers = said(delivery, own_user);
    let own = properties.user_id().as_ref().map(ShortString::to_string);
    let user = text(headers, USER).or(own).unwrap_or_default();
    let source = users
        .caller(&user)
        .map_or_else(|| user.clone(), |caller| caller.system.as_str().to_owned());
    let content_type = properties.content_type().as_ref().map_or("", ShortString::as_str);
    let content_type = if content_type.is_empty() {
        "application/json"
    } else {
        content_type
    };
    let claims = claims(BodyFormat::of_content_type(content_type), &delivery.data);
    let correlation = properties.correlation_id().as_ref().map(ShortString::to_string);
    let given_up = "the broker has given it up, as after too many deliveries that ended in a lost connection";
    let mut body = delivery.data.clone();
    if body.len() > MAX_BODY_BYTES {
        body.truncate(MAX_CUT_BYTES);
    }
    let letter = Letter {
        head: Head {
            at: text(headers, AT)
                .and_then(|at| at.parse::<jiff::Timestamp>().ok())
                .map_or_else(
                    || SystemClock.now(),
                    |at| Timestamp::from_millis(at.as_millisecond()),
                ),
            source: shortened(&source).into(),
            code: shortened(text(headers, CODE).as_deref().unwrap_or("undelivered")).into(),
            field: shortened(&text(headers, FIELD).unwrap_or_default()).into(),
            reason: within(
                text(headers, REASON).as_deref().unwrap_or(given_up),
                MAX_REASON_BYTES,
            )
            .to_owned(),
            kind: shortened(&claims.schema).into(),
            correlation: shortened(&correlation.unwrap_or(claims.correlation)).into(),
            bytes: delivery.data.len() as u64,
        },
        content: Content::Outside {
            user: shortened(&user).into(),
            content_type: shortened(content_type).into(),
            body,
        },
    };
    (id_of(delivery, headers), letter)
}

fn shortened(text: &str) -> &str {
    within(text, MAX_NOTE_BYTES)
}

fn within(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
