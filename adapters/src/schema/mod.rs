//! The canonical messages: one form for orders, stock, prices and answers, whichever way they come and go.
//!
//! Invariants:
//! - a message that was decoded is within all [`limits`]; what is not is refused with a stable code, the path of the
//!   field and a reason ([`DecodeError`]);
//! - unknown fields are refused, never dropped: a sender that misspells learns of it at once;
//! - quantities are whole, money is decimal, neither was ever a float;
//! - JSON and MessagePack are read by the same types, and the JSON Schemas are generated from them ([`documents`]).
//!
//! ```
//! use lockstep_actors::ids::SystemName;
//! use lockstep_adapters::schema::{BodyFormat, decode};
//!
//! let message = br#"{ "schema": "lockstep.stock.event", "version": 1, "id": "wms-1", "body": {
//!     "sku": "A-100", "warehouse": "W1", "change": { "receipt": { "quantity": 25, "document": "GR-7" } } } }"#;
//! let envelope = decode(BodyFormat::Json, message, &SystemName::new("wms")?)?;
//! assert_eq!(envelope.provenance.correlation, "wms-1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod account;
pub mod agreement;
pub mod amendment;
mod asyncapi;
pub mod charge;
mod compatibility;
mod documents;
mod error;
pub mod fields;
mod head;
pub mod limits;
mod message;
pub mod order;
pub mod outbound;
pub mod overview;
pub mod price;
pub mod price_change;
pub mod question;
pub mod sheet;
pub mod shipment;
pub mod stock;
pub mod term;
#[cfg(test)]
mod tests;
mod wire;

pub use asyncapi::asyncapi;
pub use compatibility::{Break, Direction, breaks};
pub use documents::{SchemaDocument, documents};
pub use error::{DecodeCode, DecodeError};
pub(crate) use error::{code, field_of_line};
pub use message::{Body, Command, Outgoing, VERSION, decode, decode_again, encode};
pub use wire::{BodyFormat, EncodeError, decode_body, encode_body};
