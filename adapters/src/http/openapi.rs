//! The OpenAPI 3.1 document, generated from the types that are read and written.

use super::batch::{BatchResult, ItemResult};
use super::channels::{ChannelAsk, Channels};
use super::edi::EdiPartners;
use super::exceptions::{MAX_LISTED, OpenExceptions, OrderExceptions};
use super::letters::{LetterAnswer, LetterAsk, LetterList, LetterView};
use super::levels::StockLevels;
use super::operations::NodeStatus;
use super::orders::{CancelOrder, OrderReceipt, ProgressOrder, ResolveOrder};
use super::overview::{MAX_DRIFTS, OpenDrifts, Stock};
use super::picks::PickList;
use super::problem::{CONTENT, ProblemDetails};
use super::promises::{PromiseAsk, Promises};
use super::refusals::{self, RefusalList};
use super::stock::{Availability, StockEventItem};
use super::webhooks::WebhookReceipt;
use crate::channels::ChannelState;
use crate::identity::Scope;
use crate::schema::account::{AccountDocument, AccountSet, AccountView};
use crate::schema::agreement::{AgreementSet, ItemSet, RatesSet};
use crate::schema::charge::{TaxesSet, VolumeSet};
use crate::schema::limits::{MAX_AVAILABILITY_SKUS, MAX_BATCH, MAX_CODE_BYTES, MAX_ID_BYTES, MAX_LEVELS};
use crate::schema::order::{OrderSubmit, WantedChange};
use crate::schema::outbound::{CommandResult, OrderHistory, OrderView, PriceQuote};
use crate::schema::price::{BudgetSet, ContractSet, EditionRelease, IndexPublish, PriceSet, QuoteAsk};
use crate::schema::sheet::{PriceSheet, SheetAsk};
use lockstep_actors::ids::{ChannelName, OrderKey, WarehouseCode};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

type Write = fn(&mut SchemaGenerator) -> Value;

/// One method of one path.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    scope: Option<Scope>,
    body: Option<Write>,
    /// Status, what it means, and its body; a body of no type of ours by its content type.
    answers: &'static [(&'static str, &'static str, Answer)],
}

enum Answer {
    Typed(Write),
    Other(&'static str),
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn one_or_many<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let item = of::<T>(generator);
    json!({ "oneOf": [item, { "type": "array", "items": item, "minItems": 1, "maxItems": MAX_BATCH }] })
}

fn item_or_batch(generator: &mut SchemaGenerator) -> Value {
    json!({ "oneOf": [of::<ItemResult>(generator), of::<BatchResult>(generator)] })
}

const BATCH: &[(&str, &str, Answer)] = &[
    ("200", "All accepted, durably.", Answer::Typed(item_or_batch)),
    (
        "207",
        "Some accepted, durably; each result says its own.",
        Answer::Typed(of::<BatchResult>),
    ),
];
const RECEIPT: &[(&str, &str, Answer)] = &[("200", "Decided, durably.", Answer::Typed(of::<OrderReceipt>))];
const PROGRESS: &[(&str, &str, Answer)] = &[
    ("200", "Decided, durably.", Answer::Typed(of::<OrderReceipt>)),
    (
        "202",
        "It came before its time and waits, durably.",
        Answer::Typed(of::<OrderReceipt>),
    ),
];
const SET: &[(&str, &str, Answer)] = &[("200", "Decided, durably.", Answer::Typed(of::<CommandResult>))];
const CHANNEL: &[(&str, &str, Answer)] = &[("200", "How it stands.", Answer::Typed(of::<ChannelState>))];
const STATUS: &[(&str, &str, Answer)] = &[("200", "Yes.", Answer::Typed(of::<NodeStatus>))];

const OPERATIONS: &[Operation] = &[
    Operation {
        path: "/v1/orders",
        method: "post",
        id: "submitOrder",
        summary: "Submit an order. Channel and number are its identity: sent again it is not taken again.",
        scope: Some(Scope::OrdersWrite),
        body: Some(of::<OrderSubmit>),
        answers: &[(
            "202",
            "Taken, durably; pricing, reserving and booking follow.",
            Answer::Typed(of::<OrderReceipt>),
        )],
    },
    Operation {
        path: "/v1/orders/{channel}/{number}",
        method: "get",
        id: "showOrder",
        summary: "How an order stands, with its price explained.",
        scope: Some(Scope::OrdersRead),
        body: None,
        answers: &[("200", "The order.", Answer::Typed(of::<OrderView>))],
    },
    Operation {
        path: "/v1/orders/{channel}/{number}/cancel",
        method: "post",
        id: "cancelOrder",
        summary: "Cancel an order, as far as it has not been shipped.",
        scope: Some(Scope::OrdersWrite),
        body: Some(of::<CancelOrder>),
        answers: RECEIPT,
    },
    Operation {
        path: "/v1/orders/{channel}/{number}/change",
        method: "post",
        id: "changeOrder",
        summary: "Want less of an order's lines, or none. Each line is answered by itself.",
        scope: Some(Scope::OrdersWrite),
        body: Some(of::<WantedChange>),
        answers: PROGRESS,
    },
    Operation {
        path: "/v1/orders/{channel}/{number}/resolve",
        method: "post",
        id: "resolveOrder",
        summary: "Settle an order's exception: try again, correct it, approve it, give it to another desk, or give the order up.",
        scope: Some(Scope::OrdersWrite),
        body: Some(of::<ResolveOrder>),
        answers: RECEIPT,
    },
    Operation {
        path: "/v1/orders/{channel}/{number}/progress",
        method: "post",
        id: "progressOrder",
        summary: "Report that an order is paid, released, picked, shipped, returned, credited or closed.",
        scope: Some(Scope::OrdersWrite),
        body: Some(of::<ProgressOrder>),
        answers: PROGRESS,
    },
    Operation {
        path: "/v1/orders/{channel}/{number}/history",
        method: "get",
        id: "showOrderHistory",
        summary: "How an order came to stand where it stands: each change of its status, its cause, and the conversation.",
        scope: Some(Scope::OrdersRead),
        body: None,
        answers: &[("200", "Its history.", Answer::Typed(of::<OrderHistory>))],
    },
    Operation {
        path: "/v1/orders/{channel}/{number}/exceptions",
        method: "get",
        id: "showOrderExceptions",
        summary: "What a person must settle about an order, and what was done about its exceptions.",
        scope: Some(Scope::OrdersRead),
        body: None,
        answers: &[("200", "Its exceptions.", Answer::Typed(of::<OrderExceptions>))],
    },
    Operation {
        path: "/v1/exceptions",
        method: "get",
        id: "exceptions",
        summary: "What waits for a person, over all orders, the most pressing first.",
        scope: Some(Scope::OrdersRead),
        body: None,
        answers: &[("200", "The exceptions.", Answer::Typed(of::<OpenExceptions>))],
    },
    Operation {
        path: "/v1/availability",
        method: "get",
        id: "availability",
        summary: "How SKUs stand in their warehouses, each level with its version.",
        scope: Some(Scope::StockRead),
        body: None,
        answers: &[("200", "The levels.", Answer::Typed(of::<Availability>))],
    },
    Operation {
        path: "/v1/stock-levels",
        method: "get",
        id: "stockLevels",
        summary: "Everything that stands in a warehouse, page by page, by SKU.",
        scope: Some(Scope::StockRead),
        body: None,
        answers: &[("200", "A page.", Answer::Typed(of::<StockLevels>))],
    },
    Operation {
        path: "/v1/stock",
        method: "get",
        id: "showStock",
        summary: "All that stands in a stock: its buckets, what comes and is wanted by date, who waits in which place, a raised drift.",
        scope: Some(Scope::StockRead),
        body: None,
        answers: &[("200", "The stock.", Answer::Typed(of::<Stock>))],
    },
    Operation {
        path: "/v1/drifts",
        method: "get",
        id: "listDrifts",
        summary: "What reconciliation has raised to a person, with its cause, the longest first.",
        scope: Some(Scope::StockRead),
        body: None,
        answers: &[("200", "The drifts.", Answer::Typed(of::<OpenDrifts>))],
    },
    Operation {
        path: "/v1/pick-lists",
        method: "get",
        id: "pickList",
        summary: "From which lots the holds of a stock are to be picked, first expired first out.",
        scope: Some(Scope::StockRead),
        body: None,
        answers: &[("200", "The list.", Answer::Typed(of::<PickList>))],
    },
    Operation {
        path: "/v1/promises",
        method: "post",
        id: "promise",
        summary: "What can be promised for when, line by line, with date and source of all units. Nothing is held.",
        scope: Some(Scope::StockRead),
        body: Some(of::<PromiseAsk>),
        answers: &[("200", "What can be promised.", Answer::Typed(of::<Promises>))],
    },
    Operation {
        path: "/v1/stock-events",
        method: "post",
        id: "stockEvents",
        summary: "Report what happened to stock: one event or an array of them, each with its own result.",
        scope: Some(Scope::StockWrite),
        body: Some(one_or_many::<StockEventItem>),
        answers: BATCH,
    },
    Operation {
        path: "/v1/prices",
        method: "post",
        id: "setPrices",
        summary: "Set list prices: one or an array of them, each with its own result.",
        scope: Some(Scope::PricesWrite),
        body: Some(one_or_many::<PriceSet>),
        answers: BATCH,
    },
    Operation {
        path: "/v1/prices",
        method: "put",
        id: "putPrices",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(one_or_many::<PriceSet>),
        answers: BATCH,
    },
    Operation {
        path: "/v1/editions",
        method: "post",
        id: "releaseEdition",
        summary: "Let an edition of a price list begin at a moment, all its prices at once.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<EditionRelease>),
        answers: SET,
    },
    Operation {
        path: "/v1/editions",
        method: "put",
        id: "putEdition",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<EditionRelease>),
        answers: SET,
    },
    Operation {
        path: "/v1/budgets",
        method: "post",
        id: "setBudget",
        summary: "Set what promotions and coupons may spend: uses, uses by a customer, an amount.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<BudgetSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/budgets",
        method: "put",
        id: "putBudget",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<BudgetSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/indices",
        method: "post",
        id: "publishIndex",
        summary: "Publish what a price index says from a moment on.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<IndexPublish>),
        answers: SET,
    },
    Operation {
        path: "/v1/indices",
        method: "put",
        id: "putIndex",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<IndexPublish>),
        answers: SET,
    },
    Operation {
        path: "/v1/contracts",
        method: "post",
        id: "setContract",
        summary: "Set a customer's contract as a whole.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<ContractSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/contracts",
        method: "put",
        id: "putContract",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<ContractSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/agreements",
        method: "post",
        id: "setAgreement",
        summary: "Set what several customers share, as a whole; `house` is for everyone.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<AgreementSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/agreements",
        method: "put",
        id: "putAgreement",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<AgreementSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/items",
        method: "post",
        id: "setItems",
        summary: "Set what the catalogue says of SKUs: one or an array of them, each with its own result.",
        scope: Some(Scope::PricesWrite),
        body: Some(one_or_many::<ItemSet>),
        answers: BATCH,
    },
    Operation {
        path: "/v1/items",
        method: "put",
        id: "putItems",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(one_or_many::<ItemSet>),
        answers: BATCH,
    },
    Operation {
        path: "/v1/rates",
        method: "post",
        id: "setRates",
        summary: "Publish the exchange rates of a source from a moment on.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<RatesSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/rates",
        method: "put",
        id: "putRates",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<RatesSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/taxes",
        method: "post",
        id: "setTaxes",
        summary: "Set what a jurisdiction takes, as a whole.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<TaxesSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/taxes",
        method: "put",
        id: "putTaxes",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<TaxesSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/volumes",
        method: "post",
        id: "setVolume",
        summary: "Report what a customer has bought in the period of its rebates.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<VolumeSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/volumes",
        method: "put",
        id: "putVolume",
        summary: "The same as POST.",
        scope: Some(Scope::PricesWrite),
        body: Some(of::<VolumeSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/accounts",
        method: "post",
        id: "setAccount",
        summary: "Set on which terms a customer gets credit, as a whole.",
        scope: Some(Scope::AccountsWrite),
        body: Some(of::<AccountSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/accounts",
        method: "put",
        id: "putAccount",
        summary: "The same as POST.",
        scope: Some(Scope::AccountsWrite),
        body: Some(of::<AccountSet>),
        answers: SET,
    },
    Operation {
        path: "/v1/accounts/{customer}",
        method: "get",
        id: "showAccount",
        summary: "What a customer owes and is going to owe, and on which terms.",
        scope: Some(Scope::AccountsRead),
        body: None,
        answers: &[("200", "The account.", Answer::Typed(of::<AccountView>))],
    },
    Operation {
        path: "/v1/account-documents",
        method: "post",
        id: "postToAccounts",
        summary: "Post invoices, payments and credit notes to customers' accounts: one or an array of them, each with its own result.",
        scope: Some(Scope::AccountsWrite),
        body: Some(one_or_many::<AccountDocument>),
        answers: BATCH,
    },
    Operation {
        path: "/v1/quotes",
        method: "post",
        id: "quote",
        summary: "What something would cost, with the waterfall of each line; kept for an order, if that is asked for.",
        scope: Some(Scope::PricesRead),
        body: Some(of::<QuoteAsk>),
        answers: &[("200", "The price.", Answer::Typed(of::<PriceQuote>))],
    },
    Operation {
        path: "/v1/price-sheets",
        method: "post",
        id: "priceSheet",
        summary: "What each of up to 10,000 SKUs costs a customer, all by one version of what is agreed.",
        scope: Some(Scope::PricesRead),
        body: Some(of::<SheetAsk>),
        answers: &[("200", "The prices.", Answer::Typed(of::<PriceSheet>))],
    },
    Operation {
        path: "/v1/health",
        method: "get",
        id: "health",
        summary: "Whether the process lives.",
        scope: None,
        body: None,
        answers: STATUS,
    },
    Operation {
        path: "/v1/ready",
        method: "get",
        id: "ready",
        summary: "Whether the node takes messages; 503 with the reason if not.",
        scope: None,
        body: None,
        answers: STATUS,
    },
    Operation {
        path: "/metrics",
        method: "get",
        id: "metrics",
        summary: "Metrics in Prometheus' text format.",
        scope: Some(Scope::MetricsRead),
        body: None,
        answers: &[("200", "The metrics.", Answer::Other("text/plain"))],
    },
    Operation {
        path: "/v1/channels",
        method: "get",
        id: "listChannels",
        summary: "How the channels stand: what waits, how old it is, how much of their limits is used.",
        scope: Some(Scope::MetricsRead),
        body: None,
        answers: &[("200", "The channels.", Answer::Typed(of::<Channels>))],
    },
    Operation {
        path: "/v1/channels/{channel}",
        method: "get",
        id: "showChannel",
        summary: "How a channel stands, and what it would not take, in its words.",
        scope: Some(Scope::MetricsRead),
        body: None,
        answers: CHANNEL,
    },
    Operation {
        path: "/v1/channels/{channel}",
        method: "post",
        id: "askChannel",
        summary: "Pause a channel, resume it, or have it told everything again.",
        scope: Some(Scope::Admin),
        body: Some(of::<ChannelAsk>),
        answers: CHANNEL,
    },
    Operation {
        path: "/v1/edi",
        method: "get",
        id: "listEdiPartners",
        summary: "How the exchange with trading partners stands: the last control numbers, and what was not acknowledged or was rejected, with its age.",
        scope: Some(Scope::MetricsRead),
        body: None,
        answers: &[("200", "The partners.", Answer::Typed(of::<EdiPartners>))],
    },
    Operation {
        path: "/v1/webhooks/{channel}",
        method: "post",
        id: "webhook",
        summary: "What a channel's platform announces, signed as the platform signs: orders, and their cancellation.",
        scope: None,
        body: None,
        answers: &[(
            "200",
            "Decided or dead-lettered, durably, or nothing that concerns the house.",
            Answer::Typed(of::<WebhookReceipt>),
        )],
    },
    Operation {
        path: "/v1/refusals",
        method: "get",
        id: "refusals",
        summary: "What systems were refused: writes of what they do not own, and what orders refused; the newest first.",
        scope: Some(Scope::Admin),
        body: None,
        answers: &[("200", "The refusals.", Answer::Typed(of::<RefusalList>))],
    },
    Operation {
        path: "/v1/dead-letters",
        method: "get",
        id: "listDeadLetters",
        summary: "What could not be taken or digested and is not settled, the oldest first.",
        scope: Some(Scope::Admin),
        body: None,
        answers: &[("200", "The letters.", Answer::Typed(of::<LetterList>))],
    },
    Operation {
        path: "/v1/dead-letters/{letter}",
        method: "get",
        id: "showDeadLetter",
        summary: "A dead letter with its message, and what was done about it.",
        scope: Some(Scope::Admin),
        body: None,
        answers: &[("200", "The letter.", Answer::Typed(of::<LetterView>))],
    },
    Operation {
        path: "/v1/dead-letters/{letter}",
        method: "post",
        id: "settleDeadLetter",
        summary: "Repair a dead letter, hand it in again, or give it up. Each takes effect once.",
        scope: Some(Scope::Admin),
        body: Some(of::<LetterAsk>),
        answers: &[(
            "200",
            "What became of that, durably.",
            Answer::Typed(of::<LetterAnswer>),
        )],
    },
    Operation {
        path: "/v1/openapi.json",
        method: "get",
        id: "openapi",
        summary: "This document.",
        scope: None,
        body: None,
        answers: &[("200", "The document.", Answer::Other("application/json"))],
    },
];

/// The document.
pub(super) fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let problem = of::<ProblemDetails>(&mut generator);
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let described = describe(operation, &mut generator);
        let path = paths
            .entry(operation.path)
            .or_insert_with(|| json!({ "parameters": path_parameters(operation.path) }));
        path[operation.method] = described;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lockstep",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Keeps a distributor's prices, orders and stock in step. A 2xx is given only once the \
                            decision is durable. Bodies are JSON or MessagePack by Content-Type and Accept.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "responses": {
                "Problem": {
                    "description": "What went wrong (RFC 9457).",
                    "content": { CONTENT: { "schema": problem } },
                },
            },
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for (status, description, answer) in operation.answers {
        let content = match answer {
            Answer::Typed(write) => in_both_formats(&write(generator)),
            Answer::Other(content_type) => json!({ *content_type: {} }),
        };
        responses.insert(
            (*status).to_owned(),
            json!({ "description": description, "content": content }),
        );
    }
    responses.insert(
        "default".to_owned(),
        json!({ "$ref": "#/components/responses/Problem" }),
    );
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters(operation),
        "responses": responses,
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({ "required": true, "content": in_both_formats(&body(generator)) });
    }
    if let Some(scope) = operation.scope {
        described["security"] = json!([{ "key": [scope.as_str()] }]);
    }
    described
}

fn in_both_formats(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema }, "application/msgpack": { "schema": schema } })
}

fn path_parameters(path: &str) -> Value {
    let names = path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')));
    names
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } })
        })
        .collect()
}

fn parameters(operation: &Operation) -> Value {
    let id = json!({ "type": "string", "minLength": 1, "maxLength": MAX_ID_BYTES });
    let mut parameters = vec![json!({
        "name": "X-Correlation-Id", "in": "header", "schema": id,
        "description": "The conversation; a new one if absent. Every response carries it.",
    })];
    if operation.body.is_some() {
        parameters.push(json!({
            "name": "X-Causation-Id", "in": "header", "schema": id,
            "description": "The caller's id for the message that led to this request; kept with what the request changes.",
        }));
    }
    if operation.body.is_some() && !matches!(operation.id, "quote" | "promise" | "settleDeadLetter") {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "schema": id,
            "description": "The same for every repeat of a request: it takes effect once.",
        }));
    }
    if operation.id == "availability" {
        parameters.push(json!({
            "name": "sku", "in": "query", "required": true, "explode": true,
            "schema": {
                "type": "array", "minItems": 1, "maxItems": MAX_AVAILABILITY_SKUS,
                "items": { "type": "string", "minLength": 1, "maxLength": MAX_CODE_BYTES },
            },
        }));
        parameters.push(json!({
            "name": "channel", "in": "query",
            "schema": { "type": "string", "minLength": 1, "maxLength": ChannelName::MAX_BYTES },
            "description": "What this channel is shown; what all together can sell if absent.",
        }));
    }
    if operation.id == "stockLevels" {
        parameters.push(json!({
            "name": "warehouse", "in": "query", "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": WarehouseCode::MAX_BYTES },
        }));
        parameters.push(json!({
            "name": "after", "in": "query",
            "schema": { "type": "string", "minLength": 1, "maxLength": MAX_CODE_BYTES },
            "description": "Begins with the SKU after this one: `next` of the page before.",
        }));
        parameters.push(json!({
            "name": "limit", "in": "query",
            "schema": { "type": "integer", "minimum": 1, "maximum": MAX_LEVELS, "default": MAX_LEVELS },
        }));
    }
    if operation.id == "listDrifts" {
        let code = json!({ "type": "string", "minLength": 1, "maxLength": WarehouseCode::MAX_BYTES });
        parameters.push(json!({ "name": "warehouse", "in": "query", "schema": code }));
        parameters.push(json!({
            "name": "limit", "in": "query",
            "schema": { "type": "integer", "minimum": 1, "maximum": MAX_DRIFTS, "default": 100 },
        }));
    }
    if operation.id == "showStock" || operation.id == "pickList" {
        let text = |most: usize| json!({ "type": "string", "minLength": 1, "maxLength": most });
        for (name, most) in [("sku", MAX_CODE_BYTES), ("warehouse", WarehouseCode::MAX_BYTES)] {
            parameters.push(json!({ "name": name, "in": "query", "required": true, "schema": text(most) }));
        }
    }
    if operation.id == "pickList" {
        let text = json!({ "type": "string", "minLength": 1, "maxLength": OrderKey::MAX_CHANNEL_BYTES + OrderKey::MAX_NUMBER_BYTES + 1 });
        parameters.push(json!({
            "name": "order", "in": "query", "schema": text,
            "description": "Of this order alone: channel and number, as in web/4711.",
        }));
    }
    if operation.id == "listDeadLetters" {
        let text = json!({ "type": "string" });
        let moment = json!({ "type": "string", "format": "date-time" });
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": crate::letters::MAX_LISTED });
        for (name, schema, description) in [
            ("source", &text, "Sent by this system."),
            (
                "reason",
                &text,
                "Put aside for this: a code, or a part of the reason.",
            ),
            ("kind", &text, "The name of a schema, or of a kind of entity."),
            ("since", &moment, "Put aside at this moment or later."),
            ("until", &moment, "Put aside before this moment."),
            ("limit", &limit, "How many; 100 if absent."),
        ] {
            parameters
                .push(json!({ "name": name, "in": "query", "schema": schema, "description": description }));
        }
    }
    if operation.id == "refusals" {
        let text = json!({ "type": "string" });
        let moment = json!({ "type": "string", "format": "date-time" });
        for (name, schema, description) in [
            ("system", &text, "To this system."),
            ("channel", &text, "About orders of this channel."),
            ("code", &text, "For this, such as not-owner or already-shipped."),
            ("since", &moment, "At this moment or later."),
            ("until", &moment, "Before this moment."),
            (
                "limit",
                &json!({ "type": "integer", "minimum": 1, "maximum": refusals::MAX_LISTED }),
                "How many; 100 if absent.",
            ),
        ] {
            parameters
                .push(json!({ "name": name, "in": "query", "schema": schema, "description": description }));
        }
    }
    if operation.id == "exceptions" {
        let text = json!({ "type": "string" });
        for (name, schema, description) in [
            (
                "owner",
                &text,
                "Whose: customer-service, pricing, purchasing, warehouse, operations, credit.",
            ),
            ("kind", &text, "Of which kind, such as credit-hold."),
            ("channel", &text, "Of which channel's orders."),
            (
                "older_than_seconds",
                &json!({ "type": "integer", "minimum": 0 }),
                "That have stood so long.",
            ),
            (
                "limit",
                &json!({ "type": "integer", "minimum": 1, "maximum": MAX_LISTED }),
                "How many; 100 if absent.",
            ),
        ] {
            parameters
                .push(json!({ "name": name, "in": "query", "schema": schema, "description": description }));
        }
    }
    Value::Array(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::App;
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service};

    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member.as_str() {
                        Some(target) if name == "$ref" => found.push(target),
                        Some(_) | None => references(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_resolves_and_every_operation_has_its_own_id() {
        let document = document();
        let text = serde_json::to_string(&document).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 30, "{found:?}");
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
        }
        let mut ids: Vec<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), OPERATIONS.len());
    }

    /// Every method of every resource of the service is described, and nothing else is.
    #[actix_web::test]
    async fn the_document_lists_every_route() {
        let app = init_service(App::new().configure(super::super::routes::configure)).await;
        for operation in OPERATIONS {
            // Without state the handlers fail, which tells them from routes that do not exist.
            let uri = operation
                .path
                .replace("{channel}", "web")
                .replace("{number}", "1")
                .replace("{customer}", "C-1")
                .replace("{letter}", "1");
            let request = TestRequest::with_uri(&uri).method(Method::TRACE).to_request();
            let refused = call_service(&app, request).await;
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{uri}");
            let allowed = refused
                .headers()
                .get("allow")
                .unwrap()
                .to_str()
                .unwrap()
                .to_lowercase();
            let mut allowed: Vec<_> = allowed.split(", ").filter(|method| *method != "head").collect();
            let mut described: Vec<_> = OPERATIONS
                .iter()
                .filter(|other| other.path == operation.path)
                .map(|other| other.method)
                .collect();
            allowed.sort_unstable();
            described.sort_unstable();
            assert_eq!(allowed, described, "{uri}");
        }
        let source = include_str!("routes.rs");
        for path in source.split("resource(\"").skip(1) {
            let path = path.split('"').next().unwrap();
            assert!(
                OPERATIONS.iter().any(|operation| operation.path == path),
                "{path} is not described"
            );
        }
    }
}
