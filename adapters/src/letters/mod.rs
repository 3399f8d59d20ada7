//! Dead letters on an operator's desk: listed, shown, repaired, replayed and discarded, whichever way they came in.
//!
//! Letters lie in two places: the broker's dead-letter queue, for what came by AMQP and could not be taken, and the store,
//! for what no entity could digest. Whoever looks has them taken in ([`intake`]): each becomes an entity
//! ([`lockstep_actors::letters`]), which keeps it and what was done about it.
//!
//! Invariants:
//! - a letter leaves the broker only once it is durable here;
//! - a replay is judged as if its sender had sent the letter again: scopes, schema and ownership as they are now;
//! - a replay takes effect once, however often it is asked for: what had not been judged keeps its id, so that the sender's own
//!   repeat is the same message; what had been judged and not digested gets one that follows from it ([`again`]), as does each
//!   replay after one that was judged and came back;
//! - a letter is settled by a replay only if that was taken; one that comes back stays open, and no other letter is made of it;
//! - a repair keeps the message's id, where it can be read.

mod client;
mod desk;
mod intake;

pub use client::{ClientError, DeskClient};
pub use desk::{Asker, Desk, DeskError, Filter, Listed, Shown};
pub(crate) use intake::command_in_words;

use crate::schema::{BodyFormat, decode_body};
use lockstep_runtime::message::MessageId;
use serde_json::Value;

/// The code of a message that its entity could not digest.
pub(crate) const NOT_DIGESTED: &str = "not-digested";
/// The code of a message that waited for something in vain.
pub(crate) const WAITED: &str = "waited-in-vain";
/// How much is kept of a body that is longer than any message may be.
pub(crate) const MAX_CUT_BYTES: usize = 64 << 10;
/// The most letters that are listed at a time.
pub const MAX_LISTED: usize = 1_000;

/// The identity under which a message is judged anew that was judged before: always the same one.
fn again(id: MessageId) -> MessageId {
    MessageId::of("dead letter", &format!("{:032x}", id.0))
}

/// The same once it was judged as often as this, and nothing came of it.
fn after_judgements(id: MessageId, judged: u32) -> MessageId {
    (0..judged).fold(id, |id, _| again(id))
}

/// What a body says it is, as far as it can be read.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) schema: String,
    pub(crate) id: String,
    pub(crate) correlation: String,
}

pub(crate) fn claims(format: Option<BodyFormat>, body: &[u8]) -> Claims {
    let Some(Ok(value)) = format.map(|format| decode_body::<Value>(format, body)) else {
        return Claims::default();
    };
    claims_of(&value)
}

fn claims_of(value: &Value) -> Claims {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (schema, id, correlation) = (text("schema"), text("id"), text("correlation_id"));
    Claims {
        correlation: if correlation.is_empty() {
            id.clone()
        } else {
            correlation
        },
        schema,
        id,
    }
}
