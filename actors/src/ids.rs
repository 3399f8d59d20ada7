//! The names of things, as types of their own.
//!
//! Invariants: a name that exists is valid (not empty, bounded, no control characters, no blanks around it), and the
//! encoding of an id is equal exactly when the ids are equal.

use compact_str::CompactString;
use lockstep_runtime::entity::EntityId;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;

/// A text that is no valid name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing is left once blanks are taken off.
    #[error("{kind} must not be empty")]
    Empty {
        /// Which kind of name.
        kind: &'static str,
    },
    /// Longer than allowed.
    #[error("{kind} must have at most {max} bytes, not {length}")]
    TooLong {
        /// Which kind of name.
        kind: &'static str,
        /// The most bytes it may have.
        max: usize,
        /// The bytes it has.
        length: usize,
    },
    /// A character that such a name must not contain.
    #[error("{kind} must not contain {character:?}; {allowed}")]
    Character {
        /// Which kind of name.
        kind: &'static str,
        /// The first offending character.
        character: char,
        /// What is allowed.
        allowed: &'static str,
    },
}

fn checked(kind: &'static str, max: usize, text: &str) -> Result<CompactString, InvalidName> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidName::Empty { kind });
    }
    if text.len() > max {
        return Err(InvalidName::TooLong {
            kind,
            max,
            length: text.len(),
        });
    }
    if let Some(character) = text.chars().find(|character| character.is_control()) {
        return Err(InvalidName::Character {
            kind,
            character,
            allowed: "control characters are not allowed",
        });
    }
    Ok(CompactString::new(text))
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "CompactString")]
        pub struct $name(CompactString);

        impl $name {
            /// The most bytes it may have.
            pub const MAX_BYTES: usize = $max;

            /// Takes blanks off both ends and checks what is left.
            ///
            /// # Errors
            /// [`InvalidName`] if it is empty, too long, or contains control characters.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                checked($kind, $max, text).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<CompactString> for $name {
            type Error = InvalidName;
            fn try_from(text: CompactString) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_name!(
    /// What is sold: a stock keeping unit.
    Sku, "a SKU", 64
);
text_name!(
    /// A price index that contracts reckon with.
    IndexId, "a price index", 64
);
text_name!(
    /// What a promotion or coupon may spend.
    BudgetId, "a budget id", 64
);
text_name!(
    /// A set of rows of a price list that begin to count at the same moment.
    EditionId, "an edition", 64
);
text_name!(
    /// Who buys.
    CustomerId, "a customer id", 64
);
text_name!(
    /// A price list.
    ListId, "a price list id", 64
);
text_name!(
    /// Terms that several customers share: those of a group, a parent company, the house.
    AgreementId, "an agreement id", 64
);
text_name!(
    /// A product: SKUs that differ in size or colour only share it.
    ProductId, "a product id", 64
);
text_name!(
    /// A brand.
    BrandId, "a brand id", 64
);
text_name!(
    /// A category of the catalogue.
    CategoryId, "a category id", 64
);
text_name!(
    /// Who publishes exchange rates.
    RateSource, "a source of exchange rates", 64
);
text_name!(
    /// Who takes taxes: a state, a country.
    Jurisdiction, "a tax jurisdiction", 64
);
text_name!(
    /// Goods that are taxed alike.
    TaxCategory, "a tax category", 64
);
text_name!(
    /// Where freight costs the same.
    FreightZone, "a freight zone", 64
);
text_name!(
    /// What a customer shows to get a promotion.
    CouponCode, "a coupon code", 64
);
text_name!(
    /// Promotions of which a line gets only one.
    ExclusiveGroup, "an exclusive group", 64
);
text_name!(
    /// A unit that goods are sold in besides their base unit, such as a case.
    UnitOfMeasure, "a unit of measure", 16
);
text_name!(
    /// A pricing rule: a list row or a contract term, as its owner calls it.
    RuleId, "a rule id", 64
);
text_name!(
    /// A system that writes: the ERP, a WMS, a shop.
    SystemName, "a system name", 64
);
text_name!(
    /// A dead letter, as it is known since it was put aside.
    LetterId, "a dead letter's id", 64
);
text_name!(
    /// A paper of the trade: a goods receipt, a delivery note, an adjustment, an ERP order number.
    DocumentId, "a document id", 64
);
text_name!(
    /// A sales channel, as its orders name it.
    ChannelName, "a channel name", 32
);
text_name!(
    /// A trading partner, with whom documents are exchanged by EDI.
    PartnerName, "a partner's name", 32
);
text_name!(
    /// A class of sales channels or customers.
    ClassName, "a class name", 32
);
text_name!(
    /// Where an order goes to, as the house divides its world: a country, a postal area, a tour.
    Region, "a region", 32
);
text_name!(
    /// A line of an address.
    AddressText, "a line of an address", 128
);
text_name!(
    /// Who brings goods.
    CarrierCode, "a carrier code", 32
);
text_name!(
    /// What a carrier knows a parcel by.
    TrackingNumber, "a tracking number", 64
);
text_name!(
    /// How goods are dangerous, as a UN number or a class.
    HazardClass, "a hazard class", 16
);
text_name!(
    /// A lot that goods came in with, or the serial number of a piece.
    LotCode, "a lot or serial number", 64
);
text_name!(
    /// A reason in words, for a person.
    Reason, "a reason", 256
);

/// Names that are an entity's id: their own encoding and routing key.
macro_rules! named_entity {
    ($($name:ident),+) => {
        $(impl EntityId for $name {
            fn encode(&self, into: &mut Vec<u8>) {
                into.extend_from_slice(self.0.as_bytes());
            }
            fn decode(bytes: &[u8]) -> Option<Self> {
                exactly(bytes, Self::new)
            }
            fn routing_key(&self) -> &[u8] {
                self.0.as_bytes()
            }
        })+
    };
}

// The list prices of a SKU and its entry in the catalogue are an entity each, known by the SKU; so is the audit of a
// system, known by the system.
named_entity!(
    CustomerId,
    AgreementId,
    BudgetId,
    IndexId,
    Jurisdiction,
    LetterId,
    ListId,
    PartnerName,
    RateSource,
    Sku,
    SystemName
);

/// Decodes a name that is its own encoding; blanks around it would make two encodings of one name.
fn exactly<T>(bytes: &[u8], new: impl Fn(&str) -> Result<T, InvalidName>) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.trim().len() != text.len() {
        return None;
    }
    new(text).ok()
}

/// A warehouse: 1 to 15 characters of `A-Z`, `0-9`, `-`, `_`. Sixteen bytes, no heap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "CompactString", into = "CompactString")]
pub struct WarehouseCode {
    bytes: [u8; 15],
    length: u8,
}

impl WarehouseCode {
    /// The most bytes it may have.
    pub const MAX_BYTES: usize = 15;

    /// Takes blanks off both ends and checks what is left.
    ///
    /// # Errors
    /// [`InvalidName`] if it is empty, too long, or contains another character than `A-Z`, `0-9`, `-`, `_`.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        const KIND: &str = "a warehouse code";
        let text = checked(KIND, Self::MAX_BYTES, text)?;
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if let Some(character) = text.chars().find(|&character| !allowed(character)) {
            return Err(InvalidName::Character {
                kind: KIND,
                character,
                allowed: "allowed are A-Z, 0-9, - and _",
            });
        }
        let mut bytes = [0; 15];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).unwrap_or(15);
        Ok(Self { bytes, length })
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in, so this is always text.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl TryFrom<CompactString> for WarehouseCode {
    type Error = InvalidName;
    fn try_from(text: CompactString) -> Result<Self, InvalidName> {
        Self::new(&text)
    }
}

impl From<WarehouseCode> for CompactString {
    fn from(code: WarehouseCode) -> Self {
        Self::new(code.as_str())
    }
}

impl fmt::Display for WarehouseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for WarehouseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

/// A SKU in a warehouse. All warehouses of a SKU share a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StockId {
    /// What.
    pub sku: Sku,
    /// Where.
    pub warehouse: WarehouseCode,
}

impl EntityId for StockId {
    fn encode(&self, into: &mut Vec<u8>) {
        into.push(u8::try_from(self.sku.0.len()).unwrap_or(u8::MAX));
        into.extend_from_slice(self.sku.0.as_bytes());
        into.extend_from_slice(self.warehouse.as_str().as_bytes());
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&length, rest) = bytes.split_first()?;
        let (sku, warehouse) = rest.split_at_checked(usize::from(length))?;
        Some(Self {
            sku: exactly(sku, Sku::new)?,
            warehouse: exactly(warehouse, WarehouseCode::new)?,
        })
    }
    fn routing_key(&self) -> &[u8] {
        self.sku.0.as_bytes()
    }
}

/// An order as the channel that took it knows it: `channel/number`. The channel has no `/`, the number may.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "CompactString")]
pub struct OrderKey(CompactString);

impl OrderKey {
    /// The most bytes of a channel's name.
    pub const MAX_CHANNEL_BYTES: usize = 32;
    /// The most bytes of an order's number.
    pub const MAX_NUMBER_BYTES: usize = 64;

    /// The order that `channel` calls `number`.
    ///
    /// # Errors
    /// [`InvalidName`] if either is empty, too long, contains control characters, or the channel a `/`.
    pub fn new(channel: &str, number: &str) -> Result<Self, InvalidName> {
        let channel = checked("a channel name", Self::MAX_CHANNEL_BYTES, channel)?;
        let number = checked("an order number", Self::MAX_NUMBER_BYTES, number)?;
        if channel.contains('/') {
            return Err(InvalidName::Character {
                kind: "a channel name",
                character: '/',
                allowed: "it separates channel and order number",
            });
        }
        Ok(Self(compact_str::format_compact!("{channel}/{number}")))
    }

    /// Reads `channel/number`.
    ///
    /// # Errors
    /// As [`OrderKey::new`]; without a `/` the order number is missing.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (channel, number) = text.split_once('/').unwrap_or((text, ""));
        Self::new(channel, number)
    }

    /// The channel that took the order.
    #[must_use]
    pub fn channel(&self) -> &str {
        self.0.split_once('/').map_or("", |(channel, _)| channel)
    }

    /// The order's number in its channel.
    #[must_use]
    pub fn number(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, number)| number)
    }

    /// `channel/number`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<CompactString> for OrderKey {
    type Error = InvalidName;
    fn try_from(text: CompactString) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl EntityId for OrderKey {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self.0.as_bytes());
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let key = Self::parse(text).ok()?;
        (key.0 == text).then_some(key)
    }
    fn routing_key(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A hold's identity: which order, which of its lines, which attempt at reserving. The same for each warehouse asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HoldId {
    /// The order it is for.
    pub order: OrderKey,
    /// The order's line number.
    pub line: u16,
    /// The attempt at reserving, from 1.
    pub attempt: u16,
}

const _: () = assert!(size_of::<WarehouseCode>() == 16);
const _: () = assert!(size_of::<HoldId>() <= 32);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip<I: EntityId>(id: &I) {
        let mut bytes = Vec::new();
        id.encode(&mut bytes);
        assert_eq!(I::decode(&bytes).as_ref(), Some(id));
    }

    proptest! {
        #[test]
        fn ids_round_trip_and_encodings_are_unambiguous(
            skus in proptest::array::uniform2("[A-Z0-9 /é]{1,12}"),
            warehouses in proptest::array::uniform2("[A-Z0-9_-]{1,15}"),
        ) {
            let mut encoded = Vec::new();
            let mut ids = Vec::new();
            for (sku, warehouse) in skus.iter().zip(&warehouses) {
                let Ok(sku) = Sku::new(sku) else { return Ok(()) };
                let id = StockId { sku, warehouse: WarehouseCode::new(warehouse).unwrap() };
                round_trip(&id);
                let mut bytes = Vec::new();
                id.encode(&mut bytes);
                encoded.push(bytes);
                ids.push(id);
            }
            prop_assert_eq!(encoded[0] == encoded[1], ids[0] == ids[1]);
        }

        #[test]
        fn order_keys_round_trip(channel in "[a-z ]{1,10}", number in "[A-Z0-9/ ]{1,20}") {
            if let Ok(key) = OrderKey::new(&channel, &number) {
                round_trip(&key);
                prop_assert_eq!(OrderKey::parse(key.as_str()).unwrap(), key.clone());
                prop_assert_eq!(key.channel(), channel.trim());
                prop_assert_eq!(key.number(), number.trim());
            }
        }
    }

    #[test]
    fn names_are_refused_with_what_is_wrong() {
        let cases: &[(&str, Result<(), &str>)] = &[
            ("A-1", Ok(())),
            ("  ", Err("a warehouse code must not be empty")),
            ("W1 ", Ok(())),
            (
                "w1",
                Err("a warehouse code must not contain 'w'; allowed are A-Z, 0-9, - and _"),
            ),
            (
                "ABCDEFGHIJKLMNOP",
                Err("a warehouse code must have at most 15 bytes, not 16"),
            ),
        ];
        for (text, expected) in cases {
            let found = WarehouseCode::new(text)
                .map(|_| ())
                .map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{text:?}");
        }
        assert!(Sku::new("a\u{7}b").is_err());
        assert!(Sku::new(&"x".repeat(65)).is_err());
        assert!(OrderKey::parse("no-number").is_err());
        assert!(OrderKey::new("a/b", "1").is_err());
    }
}
