//! The types of the fields of canonical messages. Each checks itself while it is read, so that a message that was
//! decoded is within all limits, and a refusal names the very field.
//!
//! Invariants: a [`Text`] is 1 to `MAX` bytes of printable text; quantities are whole and bounded; an [`Amount`] was
//! never a float; a [`List`] was never longer than `MAX`, not even while it was read.

use super::limits::{MAX_AMOUNT, MAX_AMOUNT_SCALE, MAX_CODE_BYTES, MAX_ID_BYTES, MAX_NOTE_BYTES};
use compact_str::CompactString;
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::money::{Markup, Percent, Price, Rate};
use lockstep_actors::quantity::{Quantity, QuantityOutOfRange};
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt::{self, Formatter};
use std::marker::PhantomData;

/// Printable text of 1 to `MAX` bytes, without space at either end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(CompactString);

/// A SKU, warehouse, channel, customer or document code.
pub type Code = Text<MAX_CODE_BYTES>;
/// A name, a street, a reason.
pub type Note = Text<MAX_NOTE_BYTES>;
/// The id of a message or of a conversation.
pub type Id = Text<MAX_ID_BYTES>;

/// Why a text, code or id was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// Longer than the field takes.
    #[error("must be at most {max} bytes long, not {found}")]
    TooLong {
        /// The limit.
        max: usize,
        /// The length.
        found: usize,
    },
    /// A control character, or space at an end.
    #[error("must be printable text without space at either end")]
    Unprintable,
}

impl<const MAX: usize> Text<MAX> {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidText`] says what is wrong.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        if text.is_empty() {
            return Err(InvalidText::Empty);
        }
        if text.len() > MAX {
            return Err(InvalidText::TooLong {
                max: MAX,
                found: text.len(),
            });
        }
        if !is_printable(text) {
            return Err(InvalidText::Unprintable);
        }
        Ok(Self(CompactString::from(text)))
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself, owned.
    #[must_use]
    pub fn into_inner(self) -> CompactString {
        self.0
    }
}

fn is_printable(text: &str) -> bool {
    // Codes are ASCII nearly always: one pass over bytes decides then.
    let bytes = text.as_bytes();
    if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return bytes.first() != Some(&b' ') && bytes.last() != Some(&b' ');
    }
    text.trim().len() == text.len() && !text.chars().any(char::is_control)
}

impl<const MAX: usize> AsRef<str> for Text<MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

struct TextVisitor<const MAX: usize>;

impl<const MAX: usize> Visitor<'_> for TextVisitor<MAX> {
    type Value = Text<MAX>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "text of 1 to {MAX} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Text::new(text).map_err(E::custom)
    }

    // MessagePack hands over a string that is no UTF-8 as bytes.
    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        match std::str::from_utf8(bytes) {
            Ok(_) => Err(E::invalid_type(Unexpected::Bytes(bytes), &self)),
            Err(_) => Err(E::invalid_value(Unexpected::Bytes(bytes), &self)),
        }
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX })
    }
}

/// Stands in the schemas for a [`PositiveQuantity`](lockstep_actors::quantity::PositiveQuantity).
#[derive(Debug)]
pub enum PositiveUnits {}
/// Stands in the schemas for a [`Quantity`](lockstep_actors::quantity::Quantity) that may not be negative.
#[derive(Debug)]
pub enum Units {}
/// Stands in the schemas for a [`Quantity`](lockstep_actors::quantity::Quantity) that may be negative.
#[derive(Debug)]
pub enum SignedUnits {}

macro_rules! units_schema {
    ($($name:ident from $minimum:expr),+ $(,)?) => {
        $(impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "integer", "minimum": $minimum, "maximum": Quantity::LIMIT })
            }
        })+
    };
}

units_schema!(PositiveUnits from 1, Units from 0, SignedUnits from -Quantity::LIMIT);

/// Stands in the schemas for a [`Priority`].
#[derive(Debug)]
pub enum Rank {}

impl JsonSchema for Rank {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rank".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": Priority::LAST })
    }
}

/// Reads a quantity that may be zero but not negative.
///
/// # Errors
/// The deserialiser's own, with the range.
pub fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
    zero_or_more(Quantity::deserialize(deserializer)?)
}

/// The same where there may be none.
///
/// # Errors
/// As [`not_negative`].
pub fn not_negative_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Quantity>, D::Error> {
    Option::<Quantity>::deserialize(deserializer)?
        .map(zero_or_more)
        .transpose()
}

fn zero_or_more<E: Error>(quantity: Quantity) -> Result<Quantity, E> {
    if quantity < Quantity::ZERO {
        let found = quantity.units();
        return Err(E::custom(QuantityOutOfRange {
            min: 0,
            max: Quantity::LIMIT,
            found,
        }));
    }
    Ok(quantity)
}

/// An amount of money or a rate: an exact decimal, written as a string such as `"12.50"`, or as a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(Decimal);

impl Amount {
    /// Checks size and digits; `None` outside of them.
    #[must_use]
    pub fn new(amount: Decimal) -> Option<Self> {
        let within = amount.abs() <= Decimal::from(MAX_AMOUNT) && amount.scale() <= MAX_AMOUNT_SCALE;
        within.then_some(Self(amount))
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> Decimal {
        self.0
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "a decimal string such as \"12.50\", at most {MAX_AMOUNT_SCALE} digits after the point and {MAX_AMOUNT} in size"
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        // Digits, one sign, one point: what `Decimal` would take beyond that (underscores, exponents) is no amount.
        let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
        plain
            .then(|| Decimal::from_str_exact(text).ok())
            .flatten()
            .and_then(Amount::new)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<Self::Value, E> {
        Amount::new(Decimal::from(whole)).ok_or_else(|| E::invalid_value(Unexpected::Signed(whole), &self))
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<Self::Value, E> {
        Amount::new(Decimal::from(whole)).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(whole), &self))
    }

    fn visit_f64<E: Error>(self, float: f64) -> Result<Self::Value, E> {
        Err(E::custom(format_args!(
            "money is a decimal string such as \"12.50\": the float {float} cannot hold it exactly"
        )))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An exact decimal string, or a whole number; never a float.",
            "anyOf": [{ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,6})?$" }, { "type": "integer" }]
        })
    }
}

/// Reads a unit price from an [`Amount`].
///
/// # Errors
/// The deserialiser's own, with the range.
pub fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Price, D::Error> {
    Price::new(Amount::deserialize(deserializer)?.get()).map_err(D::Error::custom)
}

/// Reads a percentage from an [`Amount`].
///
/// # Errors
/// The deserialiser's own, with the range.
pub fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Percent, D::Error> {
    Percent::new(Amount::deserialize(deserializer)?.get()).map_err(D::Error::custom)
}

/// Reads a markup from an [`Amount`].
///
/// # Errors
/// The deserialiser's own, with the range.
pub fn markup<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Markup, D::Error> {
    Markup::new(Amount::deserialize(deserializer)?.get()).map_err(D::Error::custom)
}

/// An exchange rate: an exact decimal, written as a string such as `"1.0873"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeRate(pub Rate);

impl Serialize for ExchangeRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.get())
    }
}

struct ExchangeRateVisitor;

impl Visitor<'_> for ExchangeRateVisitor {
    type Value = ExchangeRate;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a decimal string such as \"1.0873\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
        let rate = plain.then(|| Decimal::from_str_exact(text).ok()).flatten();
        let rate = rate.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?;
        Rate::new(rate).map(ExchangeRate).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for ExchangeRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ExchangeRateVisitor)
    }
}

impl JsonSchema for ExchangeRate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ExchangeRate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,8})?$" })
    }
}

/// A unit price: an [`Amount`] within the bounds of prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitPrice(pub Price);

impl Serialize for UnitPrice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.amount())
    }
}

impl<'de> Deserialize<'de> for UnitPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        price(deserializer).map(Self)
    }
}

impl JsonSchema for UnitPrice {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "UnitPrice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Amount::json_schema(generator)
    }
}

/// Stands in the schemas for a [`Currency`](lockstep_actors::money::Currency).
#[derive(Debug)]
pub enum CurrencyCode {}

impl JsonSchema for CurrencyCode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CurrencyCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "As in ISO 4217." })
    }
}

/// A moment as RFC 3339 text, such as `2026-03-01T12:00:00Z`. Kept to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_millisecond(self.0.as_millis()) {
            Ok(moment) => serializer.collect_str(&moment),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

struct MomentVisitor;

impl Visitor<'_> for MomentVisitor {
    type Value = Moment;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a moment as in \"2026-03-01T12:00:00Z\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let moment: jiff::Timestamp = text
            .parse()
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
        Ok(Moment(Timestamp::from_millis(moment.as_millisecond())))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(MomentVisitor)
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A day of the calendar, such as `2026-06-30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub jiff::civil::Date);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

struct DayVisitor;

impl Visitor<'_> for DayVisitor {
    type Value = Day;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a day as in \"2026-06-30\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        // A day alone: what a moment has beyond it must not be lost silently.
        let alone = text.len() == 10;
        let day = text.parse().ok().filter(|_| alone);
        day.map(Day)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DayVisitor)
    }
}

impl JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date" })
    }
}

/// Stands in the schemas for an amount within a waterfall, which is finer than one on an invoice.
#[derive(Debug)]
pub enum ExactAmount {}

impl JsonSchema for ExactAmount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ExactAmount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,10})?$" })
    }
}

/// A list of `MIN` to `MAX` elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T, const MIN: usize, const MAX: usize>(Vec<T>);

impl<T, const MIN: usize, const MAX: usize> List<T, MIN, MAX> {
    /// Checks the length; gives the elements back outside of it.
    ///
    /// # Errors
    /// `elements`, if they are too few or too many.
    pub fn new(elements: Vec<T>) -> Result<Self, Vec<T>> {
        if (MIN..=MAX).contains(&elements.len()) {
            Ok(Self(elements))
        } else {
            Err(elements)
        }
    }

    /// The elements.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements, owned.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, 0, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Serialize, const MIN: usize, const MAX: usize> Serialize for List<T, MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

struct ListVisitor<T, const MIN: usize, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Visitor<'de> for ListVisitor<T, MIN, MAX> {
    type Value = List<T, MIN, MAX>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of {MIN} to {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        // The announced length is the sender's word: it saves growing, within reason.
        let mut elements = Vec::with_capacity(sequence.size_hint().unwrap_or(0).min(64).min(MAX));
        while let Some(element) = sequence.next_element()? {
            if elements.len() == MAX {
                return Err(A::Error::custom(format_args!("must have at most {MAX} elements")));
            }
            elements.push(element);
        }
        if elements.len() < MIN {
            return Err(A::Error::custom(format_args!(
                "must have at least {MIN} elements"
            )));
        }
        Ok(List(elements))
    }
}

impl<'de, T: Deserialize<'de>, const MIN: usize, const MAX: usize> Deserialize<'de> for List<T, MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<T: JsonSchema, const MIN: usize, const MAX: usize> JsonSchema for List<T, MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("List_{}_{MIN}_{MAX}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "items": generator.subschema_for::<T>(), "minItems": MIN, "maxItems": MAX
        })
    }
}
