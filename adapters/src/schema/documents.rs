//! The JSON Schemas of all canonical messages, generated from the types that read and write them.

use super::account::{AccountDocument, AccountSet};
use super::agreement::{AgreementSet, ItemSet, RatesSet};
use super::charge::{TaxesSet, VolumeSet};
use super::limits::MAX_ID_BYTES;
use super::message::{Body, VERSION};
use super::order::{OrderCancel, OrderProgress, OrderResolve, OrderSubmit};
use super::outbound::{CommandResult, OrderStatusChange, PriceQuote, StockLevelView, StockResync};
use super::price::{BudgetSet, ContractSet, EditionRelease, IndexPublish, PriceSet, QuoteAsk};
use super::price_change::PriceChanged;
use super::sheet::{PriceSheet, SheetAsk};
use super::stock::StockEvent;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// A schema as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaDocument {
    /// The file's name, as in `lockstep.order.submit.v1.json`.
    pub file_name: String,
    /// Its content, with a newline at the end.
    pub text: String,
}

/// The JSON Schemas of all messages, inbound and outbound.
///
/// # Errors
/// If a schema cannot be written as JSON, which is a defect of its type.
pub fn documents() -> Result<Vec<SchemaDocument>, serde_json::Error> {
    [
        document::<OrderSubmit>(),
        document::<OrderCancel>(),
        document::<OrderResolve>(),
        document::<OrderProgress>(),
        document::<StockEvent>(),
        document::<PriceSet>(),
        document::<EditionRelease>(),
        document::<BudgetSet>(),
        document::<IndexPublish>(),
        document::<ContractSet>(),
        document::<AgreementSet>(),
        document::<ItemSet>(),
        document::<RatesSet>(),
        document::<TaxesSet>(),
        document::<VolumeSet>(),
        document::<QuoteAsk>(),
        document::<SheetAsk>(),
        document::<AccountSet>(),
        document::<AccountDocument>(),
        document::<OrderStatusChange>(),
        document::<StockLevelView>(),
        document::<StockResync>(),
        document::<PriceChanged>(),
        document::<PriceQuote>(),
        document::<PriceSheet>(),
        document::<CommandResult>(),
    ]
    .into_iter()
    .collect()
}

fn document<B: Body>() -> Result<SchemaDocument, serde_json::Error> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let body = generator.subschema_for::<B>();
    let definitions = generator.take_definitions(true);
    let id = json!({ "type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES });
    let schema: Value = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:lockstep:schema:{}:{VERSION}", B::SCHEMA),
        "title": B::SCHEMA,
        "type": "object",
        "properties": {
            "schema": { "const": B::SCHEMA },
            "version": { "const": VERSION },
            "id": id,
            "correlation_id": id,
            "causation_id": id,
            "body": body,
        },
        "required": ["schema", "version", "id", "body"],
        "additionalProperties": false,
        "$defs": definitions,
    });
    let mut text = serde_json::to_string_pretty(&schema)?;
    text.push('\n');
    Ok(SchemaDocument {
        file_name: format!("{}.v{VERSION}.json", B::SCHEMA),
        text,
    })
}
