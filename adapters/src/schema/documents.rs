//! The JSON Schemas of all canonical messages, generated from the types that read and write them.

use super::account::{AccountDocument, AccountSet};
use super::agreement::{AgreementSet, ItemSet, RatesSet};
use super::charge::{TaxesSet, VolumeSet};
use super::compatibility::Direction;
use super::limits::MAX_ID_BYTES;
use super::message::{Body, VERSION};
use super::order::{OrderCancel, OrderChangeAsk, OrderProgress, OrderResolve, OrderSubmit};
use super::outbound::{CommandResult, OrderStatusChange, PriceQuote, StockLevelView, StockResync};
use super::overview::StockRequest;
use super::price::{BudgetSet, ContractSet, EditionRelease, IndexPublish, PriceSet, QuoteAsk};
use super::price_change::PriceChanged;
use super::question::{PicksRequest, PromiseRequest};
use super::sheet::{PriceSheet, SheetAsk};
use super::stock::StockEvent;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

/// A schema as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaDocument {
    /// The file's name, as in `lockstep.order.submit.v1.json`.
    pub file_name: String,
    /// Its content, with a newline at the end.
    pub text: String,
    /// Who writes such messages.
    pub direction: Direction,
}

/// A canonical message, as its schemas are generated.
pub(super) struct Described {
    /// The schema's name.
    pub(super) schema: &'static str,
    pub(super) direction: Direction,
    body: fn(&mut SchemaGenerator) -> Schema,
}

const fn described<B: Body>(direction: Direction) -> Described {
    Described {
        schema: B::SCHEMA,
        direction,
        body: |generator| generator.subschema_for::<B>(),
    }
}

/// All canonical messages.
pub(super) const MESSAGES: [Described; 30] = [
    described::<OrderSubmit>(Direction::Inbound),
    described::<OrderCancel>(Direction::Inbound),
    described::<OrderChangeAsk>(Direction::Inbound),
    described::<OrderResolve>(Direction::Inbound),
    described::<OrderProgress>(Direction::Inbound),
    described::<StockEvent>(Direction::Inbound),
    described::<PromiseRequest>(Direction::Inbound),
    described::<PicksRequest>(Direction::Inbound),
    described::<StockRequest>(Direction::Inbound),
    described::<PriceSet>(Direction::Inbound),
    described::<EditionRelease>(Direction::Inbound),
    described::<BudgetSet>(Direction::Inbound),
    described::<IndexPublish>(Direction::Inbound),
    described::<ContractSet>(Direction::Inbound),
    described::<AgreementSet>(Direction::Inbound),
    described::<ItemSet>(Direction::Inbound),
    described::<RatesSet>(Direction::Inbound),
    described::<TaxesSet>(Direction::Inbound),
    described::<VolumeSet>(Direction::Inbound),
    described::<QuoteAsk>(Direction::Inbound),
    described::<SheetAsk>(Direction::Inbound),
    described::<AccountSet>(Direction::Inbound),
    described::<AccountDocument>(Direction::Inbound),
    described::<OrderStatusChange>(Direction::Outbound),
    described::<StockLevelView>(Direction::Outbound),
    described::<StockResync>(Direction::Outbound),
    described::<PriceChanged>(Direction::Outbound),
    described::<PriceQuote>(Direction::Outbound),
    described::<PriceSheet>(Direction::Outbound),
    described::<CommandResult>(Direction::Outbound),
];

impl Described {
    /// The whole message: what is around the body, and the body by reference into the generator's definitions.
    pub(super) fn envelope(&self, generator: &mut SchemaGenerator) -> Value {
        let id = json!({ "type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES });
        json!({
            "type": "object",
            "properties": {
                "schema": { "const": self.schema },
                "version": { "const": VERSION },
                "id": id,
                "correlation_id": id,
                "causation_id": id,
                "body": (self.body)(generator),
            },
            "required": ["schema", "version", "id", "body"],
            "additionalProperties": false,
        })
    }

    fn document(&self) -> Result<SchemaDocument, serde_json::Error> {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let mut schema = self.envelope(&mut generator);
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["$id"] = json!(format!("urn:lockstep:schema:{}:{VERSION}", self.schema));
        schema["title"] = json!(self.schema);
        schema["$defs"] = Value::Object(generator.take_definitions(true));
        let mut text = serde_json::to_string_pretty(&schema)?;
        text.push('\n');
        Ok(SchemaDocument {
            file_name: format!("{}.v{VERSION}.json", self.schema),
            text,
            direction: self.direction,
        })
    }
}

/// The JSON Schemas of all messages, inbound and outbound.
///
/// # Errors
/// If a schema cannot be written as JSON, which is a defect of its type.
pub fn documents() -> Result<Vec<SchemaDocument>, serde_json::Error> {
    MESSAGES.iter().map(Described::document).collect()
}
