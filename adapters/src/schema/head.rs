//! The first look at a message: which schema and version it claims to be, read without reading the rest.

use super::error::{DecodeCode, DecodeError, refuse};
use super::wire::{BodyFormat, message_pack};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Unexpected, Visitor};
use std::borrow::Cow;
use std::fmt::{self, Formatter};

/// What a message claims to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) schema: Option<Cow<'a, str>>,
    pub(super) version: Option<u64>,
    /// The field that is being read, for the refusal.
    reading: &'static str,
}

impl Head<'_> {
    fn is_complete(&self) -> bool {
        self.schema.is_some() && self.version.is_some()
    }
}

/// Fills a head and stops as soon as it is complete: senders put `schema` and `version` first, and then the body is
/// not even skipped over. What follows is judged by the full decoding.
struct HeadVisitor<'h, 'a>(&'h mut Head<'a>);

impl<'de: 'a, 'a> Visitor<'de> for HeadVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a message: an object with schema, version, id and body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            match name.as_ref() {
                "schema" => {
                    self.0.reading = "schema";
                    self.0.schema = Some(map.next_value::<Name<'de>>()?.0);
                }
                "version" => {
                    self.0.reading = "version";
                    self.0.version = Some(map.next_value()?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            self.0.reading = "";
            if self.0.is_complete() {
                break;
            }
        }
        Ok(())
    }
}

/// Text that is borrowed where the format allows.
struct Name<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
            // MessagePack hands over a string that is no UTF-8 as bytes.
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Err(E::invalid_value(Unexpected::Bytes(bytes), &self))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Reads the head of a message.
pub(super) fn peek(format: BodyFormat, bytes: &[u8]) -> Result<(Cow<'_, str>, u64), DecodeError> {
    let mut head = Head::default();
    let outcome = match format {
        BodyFormat::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(bytes);
            deserializer
                .deserialize_map(HeadVisitor(&mut head))
                .map_err(|error| refuse(format, bytes, head.reading.to_owned(), &error))
        }
        BodyFormat::MessagePack => {
            let mut deserializer = message_pack(bytes);
            deserializer
                .deserialize_map(HeadVisitor(&mut head))
                .map_err(|error| refuse(format, bytes, head.reading.to_owned(), &error))
        }
    };
    match (head.schema, head.version, outcome) {
        // The decoders complain of the rest that was not read.
        (Some(schema), Some(version), _) => Ok((schema, version)),
        (_, _, Err(error)) => Err(error),
        (None, _, Ok(())) => Err(missing("schema")),
        (Some(_), None, Ok(())) => Err(missing("version")),
    }
}

fn missing(field: &'static str) -> DecodeError {
    DecodeError::new(DecodeCode::InvalidField, field, "is missing")
}
