//! Whatever a store holds, as JSON: also what JSON itself has no word for.
//!
//! Keys of maps that are no text are shown as text (numbers and truth values as they are read, anything else as its JSON); bytes
//! are shown in hexadecimal digits.

use crate::error::Failure;
use lockstep_runtime::rmp_serde;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// What `bytes` in MessagePack say.
pub(super) fn value(bytes: &[u8]) -> Result<Value, Failure> {
    let mut stored = rmp_serde::Deserializer::from_read_ref(bytes);
    Shown
        .deserialize(&mut stored)
        .map_err(|error| Failure::Failed(format!("cannot be shown: {error}")))
}

#[derive(Clone, Copy)]
struct Shown;

impl<'de> DeserializeSeed<'de> for Shown {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, stored: D) -> Result<Value, D::Error> {
        stored.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shown {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything that a store holds")
    }
    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        Ok(digits.collect::<String>().into())
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, stored: D) -> Result<Value, D::Error> {
        stored.deserialize_any(self)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, stored: D) -> Result<Value, D::Error> {
        stored.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut shown = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            shown.push(item);
        }
        Ok(Value::Array(shown))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut shown = Map::new();
        while let Some(key) = entries.next_key_seed(self)? {
            let key = match key {
                Value::String(text) => text,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    key.to_string()
                }
            };
            shown.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Serialize)]
    struct State {
        by_number: BTreeMap<u16, Option<i64>>,
        by_pair: BTreeMap<(u8, bool), &'static str>,
        digest: ByteString,
        amount: f64,
    }

    struct ByteString;

    impl Serialize for ByteString {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&[0, 171])
        }
    }

    #[test]
    fn a_state_is_shown_whatever_its_keys_are() {
        let state = State {
            by_number: [(7, Some(-3)), (300, None)].into(),
            by_pair: [((1, true), "a")].into(),
            digest: ByteString,
            amount: 0.5,
        };
        let bytes = rmp_serde::to_vec_named(&state).unwrap();
        let expected = json!({
            "by_number": { "7": -3, "300": null },
            "by_pair": { "[1,true]": "a" },
            "digest": "00ab",
            "amount": 0.5,
        });
        assert_eq!(value(&bytes).unwrap(), expected);
        assert!(value(&bytes[..bytes.len() - 1]).is_err());
    }
}
