//! Reading and writing one type in either format. The good case is decoded once, without a tree and without keeping
//! track of paths; only a refused body is decoded again to learn where it went wrong.

use super::error::{DecodeCode, DecodeError, refuse};
use super::limits::{MAX_BODY_BYTES, MAX_DEPTH};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyFormat {
    /// JSON in UTF-8.
    Json,
    /// MessagePack, with structures as maps by field name.
    MessagePack,
}

impl BodyFormat {
    /// The format of a content type; parameters such as `charset` are not looked at. `None` for any other type.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        if is("application/json") {
            return Some(Self::Json);
        }
        let packed =
            is("application/msgpack") || is("application/x-msgpack") || is("application/vnd.msgpack");
        packed.then_some(Self::MessagePack)
    }

    /// The content type of a body that this writes.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
        }
    }
}

impl fmt::Display for BodyFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Json => "JSON",
            Self::MessagePack => "MessagePack",
        })
    }
}

/// Reads one `T` and nothing after it.
///
/// # Errors
/// [`DecodeError`] names the field and the reason.
pub fn decode_body<T: DeserializeOwned>(format: BodyFormat, bytes: &[u8]) -> Result<T, DecodeError> {
    check_size(bytes)?;
    match format {
        BodyFormat::Json => match serde_json::from_slice(bytes) {
            Ok(value) => Ok(value),
            Err(_) => Err(explain_json::<T>(bytes)),
        },
        BodyFormat::MessagePack => {
            let mut deserializer = message_pack(bytes);
            match T::deserialize(&mut deserializer) {
                Ok(value) => at_end(&mut deserializer).map(|()| value),
                Err(_) => Err(explain_message_pack::<T>(bytes)),
            }
        }
    }
}

pub(super) fn check_size(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.len() <= MAX_BODY_BYTES {
        return Ok(());
    }
    let reason = format!(
        "a body may have at most {MAX_BODY_BYTES} bytes, not {}",
        bytes.len()
    );
    Err(DecodeError::new(DecodeCode::TooLarge, "", reason))
}

type MessagePack<'a> = rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'a, [u8]>>;

pub(super) fn message_pack(bytes: &[u8]) -> MessagePack<'_> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    // The library refuses on reaching the number, we allow the number itself.
    deserializer.set_max_depth(MAX_DEPTH + 1);
    deserializer
}

fn at_end(deserializer: &mut MessagePack<'_>) -> Result<(), DecodeError> {
    match IgnoredAny::deserialize(deserializer) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(()),
        Ok(_) | Err(_) => Err(DecodeError::new(
            DecodeCode::Malformed,
            "",
            "there are bytes after the end of the message",
        )),
    }
}

fn explain_json<T: DeserializeOwned>(bytes: &[u8]) -> DecodeError {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => refuse(BodyFormat::Json, bytes, error.path().to_string(), error.inner()),
        Ok(_) => match deserializer.end() {
            Err(error) => refuse(BodyFormat::Json, bytes, String::new(), &error),
            Ok(()) => unstable(),
        },
    }
}

fn explain_message_pack<T: DeserializeOwned>(bytes: &[u8]) -> DecodeError {
    match serde_path_to_error::deserialize::<_, T>(&mut message_pack(bytes)) {
        Err(error) => refuse(
            BodyFormat::MessagePack,
            bytes,
            error.path().to_string(),
            error.inner(),
        ),
        Ok(_) => unstable(),
    }
}

/// The same bytes were refused once and read once: not possible with types that only look at their input.
fn unstable() -> DecodeError {
    DecodeError::new(DecodeCode::Malformed, "", "the body could not be read")
}

/// A value of ours could not be written: a defect of its type.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Not as JSON.
    #[error("cannot write the message as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Not as MessagePack.
    #[error("cannot write the message as MessagePack: {0}")]
    MessagePack(#[from] rmp_serde::encode::Error),
}

/// Writes one value.
///
/// # Errors
/// [`EncodeError`], if the value's type is defective.
pub fn encode_body<T: Serialize>(format: BodyFormat, value: &T) -> Result<Vec<u8>, EncodeError> {
    match format {
        BodyFormat::Json => Ok(serde_json::to_vec(value)?),
        BodyFormat::MessagePack => Ok(rmp_serde::to_vec_named(value)?),
    }
}
