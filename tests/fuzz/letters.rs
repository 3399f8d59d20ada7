//! What comes with the properties and headers that AMQP gives a message: deliveries, and dead letters.

use super::{MAX_REFUSAL_BYTES, kept};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lockstep_actors::domain::Message;
use lockstep_actors::letters::{Content, Letter, LetterCommand};
use lockstep_adapters::amqp::{dead_letter_of, letter_of};
use lockstep_adapters::identity::AmqpUsers;
use std::sync::LazyLock;

/// How long what is noted about a letter may be.
const MAX_NOTE_BYTES: usize = lockstep_adapters::schema::limits::MAX_NOTE_BYTES;
/// How long a short string of AMQP may be.
const MAX_SHORT_BYTES: usize = 255;

/// Who Lockstep is to the broker.
const OWN_USER: &str = "lockstep";

/// The broker's users.
static USERS: LazyLock<AmqpUsers> = LazyLock::new(|| {
    let table =
        "erp = { system = 'erp', scopes = ['admin'] }\nwms = { system = 'wms', scopes = ['stock:write'] }";
    toml::from_str(table).expect("a table of users")
});

/// A message as the broker delivers it: its properties and headers line by line, an empty line, its body.
///
/// One that is not taken becomes a dead letter that says the same when it is taken off the queue; and whatever lies in that queue
/// becomes a letter of bounded words, which the journal keeps.
pub fn letter(bytes: &[u8]) {
    let delivery = delivery(bytes);
    if let Some(properties) = dead_letter_of(&delivery, &USERS, OWN_USER) {
        let mut dead = mock(delivery.data.clone());
        dead.properties = properties;
        let letter = taken_off(&dead);
        assert_ne!(letter.head.code, "undelivered", "it was put aside here");
        assert!(!letter.head.reason.is_empty(), "refused without a reason");
        let user = delivery
            .properties
            .user_id()
            .as_ref()
            .map_or("", ShortString::as_str);
        let is_users =
            matches!(&letter.content, Content::Outside { user: kept, .. } if kept.as_str() == user);
        assert!(is_users, "{user} has sent it: {:?}", letter.content);
    }
    let letter = taken_off(&delivery);
    let sender = delivery
        .properties
        .user_id()
        .as_ref()
        .map_or("", ShortString::as_str);
    if sender != OWN_USER {
        assert_eq!(letter.head.code, "undelivered", "a sender's headers are believed");
        let is_senders =
            matches!(&letter.content, Content::Outside { user, .. } if sender.starts_with(user.as_str()));
        assert!(is_senders, "{sender} has sent it: {:?}", letter.content);
    }
}

fn taken_off(delivery: &Delivery) -> Letter {
    let (id, letter) = letter_of(delivery, &USERS, OWN_USER);
    assert_eq!(
        letter_of(delivery, &USERS, OWN_USER).0,
        id,
        "what is taken off again is another letter"
    );
    let head = &letter.head;
    for note in [
        &head.source,
        &head.field,
        &head.kind,
        &head.correlation,
        &head.code,
    ] {
        assert!(note.len() <= MAX_NOTE_BYTES, "{} bytes of {note:.20}", note.len());
    }
    assert!(
        head.reason.len() <= MAX_REFUSAL_BYTES,
        "{} bytes of reason",
        head.reason.len()
    );
    assert_eq!(head.bytes, delivery.data.len() as u64);
    kept(&Message::Letter(
        id,
        LetterCommand::Record(Box::new(letter.clone())),
    ));
    letter
}

fn mock(body: Vec<u8>) -> Delivery {
    Delivery::mock(1, "in".into(), "order".into(), false, body)
}

fn delivery(bytes: &[u8]) -> Delivery {
    let mut properties = BasicProperties::default();
    let mut headers = FieldTable::default();
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        let short = ShortString::from(&value[..value.floor_char_boundary(MAX_SHORT_BYTES)]);
        properties = match name {
            "content-type" => properties.with_content_type(short),
            "message-id" => properties.with_message_id(short),
            "correlation-id" => properties.with_correlation_id(short),
            "reply-to" => properties.with_reply_to(short),
            "user-id" => properties.with_user_id(short),
            _ => {
                let name = &name[..name.floor_char_boundary(MAX_SHORT_BYTES)];
                headers.insert(name.into(), header(value));
                properties
            }
        };
    }
    let mut delivery = mock(rest.to_vec());
    delivery.properties = properties.with_headers(headers);
    delivery
}

/// A number is one, and what begins with a `0x` are bytes that need be no text.
fn header(value: &str) -> AMQPValue {
    if let Ok(number) = value.parse() {
        return AMQPValue::LongLongInt(number);
    }
    let digits = value.strip_prefix("0x").unwrap_or_default().as_bytes();
    let bytes = digits.chunks(2).map(|pair| {
        let pair = str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    match bytes.collect::<Option<Vec<u8>>>() {
        Some(bytes) if !bytes.is_empty() => AMQPValue::LongString(LongString::from(bytes)),
        Some(_) | None => AMQPValue::LongString(LongString::from(value)),
    }
}
