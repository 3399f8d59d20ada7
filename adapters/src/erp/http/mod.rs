//! An ERP behind HTTP, asked as its [`HttpErpConfig`] says.
//!
//! In the standard form: `POST /bookings` with `Idempotency-Key`, `GET` and `DELETE /bookings/{reference}`; `PUT` and `GET
//! /bookings/{reference}/credits/{document}` and `.../changes/{document}`, where the path is the key; `GET /stock`, `/receipts`,
//! `/customers`, `/price-lists` and `/contracts` to read. Answers carry `number`, or `rows` and `next`, refusals `detail`. What a status means for the order, where the form does not say otherwise:
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx with a number | booked |
//! | 409 | booked before: its number is looked up |
//! | 401, 403, 404, 405, 408, 425, 429, 503; no connection | nothing was done, try again |
//! | other 4xx, 3xx | refused |
//! | other 5xx, no answer, an answer that cannot be read | unknown |

mod form;
mod reading;
mod template;

pub(super) use form::is_pointer;
pub use form::{HttpErpConfig, Request, RequestForm};

use super::call::Places;
use super::{ErpConfig, ErpError, ErpPort, TokenError, does_not_stand, not_posted};
use crate::egress::{InvalidSetting, body_within};
use form::Forms;
use lockstep_actors::ids::{CustomerId, DocumentId};
use lockstep_actors::money::{Currency, Money};
use lockstep_actors::orders::effects::{
    BookingCharge, BookingLine, BookingRequest, ErpReference, PaperCharge, PaperLine, PaperReference,
    PaperRequest,
};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// The connector. Cheap calls share its connections.
#[derive(Debug)]
pub struct HttpErp {
    client: Client,
    base: Url,
    forms: Forms,
    lookup_first: bool,
    places: Places,
}

/// The connector cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The token is missing.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token holds characters that no header may hold.
    #[error("the ERP's token holds characters that an HTTP header cannot hold; check for line breaks")]
    TokenCharacters,
    /// The HTTP client cannot start.
    #[error("the HTTP client cannot start: {0}")]
    Client(reqwest::Error),
}

/// What templates know of every request.
#[derive(Serialize)]
struct Named<'a> {
    /// Our key: `channel/number`, of a booking anew after a correction `/number/channel/number`.
    order: Cow<'a, str>,
    channel: &'a str,
    order_number: &'a str,
}

impl<'a> Named<'a> {
    fn of(booking: &'a ErpReference) -> Self {
        Self {
            order: booking.key(),
            channel: booking.order.channel(),
            order_number: booking.order.number(),
        }
    }
}

/// What templates know of a booking.
#[derive(Serialize)]
struct Booking<'a> {
    #[serde(flatten)]
    order: Named<'a>,
    customer: &'a CustomerId,
    currency: Currency,
    total: Money,
    lines: &'a [BookingLine],
    charges: &'a [BookingCharge],
}

/// What templates know of a paper that is looked for.
#[derive(Serialize)]
struct Paper<'a> {
    #[serde(flatten)]
    order: Named<'a>,
    document: &'a DocumentId,
}

impl<'a> Paper<'a> {
    fn of(paper: &'a PaperReference) -> Self {
        Self {
            order: Named::of(&paper.booking),
            document: &paper.document,
        }
    }
}

/// What templates know of a paper that is posted.
#[derive(Serialize)]
struct Posting<'a> {
    #[serde(flatten)]
    paper: Paper<'a>,
    customer: &'a CustomerId,
    total: Money,
    lines: &'a [PaperLine],
    charges: &'a [PaperCharge],
    moved: bool,
}

/// What stands under a key.
struct Found {
    number: DocumentId,
    withdrawn: bool,
}

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

impl HttpErp {
    /// Builds the connector from its configuration; connects with its first call.
    ///
    /// # Errors
    /// [`ConnectorError`] if a setting or the token cannot be used.
    pub fn new(config: &ErpConfig) -> Result<Self, ConnectorError> {
        config.validate()?;
        let client = config.client().default_headers(headers(config)?);
        Ok(Self {
            client: client.build().map_err(ConnectorError::Client)?,
            base: config.base_url()?,
            forms: Forms::new(config.http.clone().unwrap_or_default())?,
            lookup_first: config.lookup_first,
            places: Places::new(config.concurrency),
        })
    }

    async fn ask(&self, request: Request, of: &impl Serialize) -> Result<Response, ErpError> {
        let written = self.forms.write(request, of).map_err(ErpError::Rejected)?;
        let address = format!("{}{}", self.base.as_str().trim_end_matches('/'), written.path);
        let mut call = self
            .client
            .request(written.method, address)
            .headers(written.headers);
        if let Some(body) = written.body {
            call = call
                .header(CONTENT_TYPE, &self.forms.config.content_type)
                .body(body);
        }
        let sent = async { call.send().await.map_err(|error| not_answered(&error)) };
        self.places.take(sent).await
    }

    async fn booked_before(&self, order: &ErpReference) -> Result<DocumentId, ErpError> {
        match self.lookup(order).await {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(does_not_stand()),
            Err(error) => Err(ErpError::Unknown(error.to_string())),
        }
    }

    /// What is held under a key.
    async fn find(&self, request: Request, of: &impl Serialize) -> Result<Option<Found>, ErpError> {
        self.found(request, of).await.map_err(harmless)
    }

    async fn found(&self, request: Request, of: &impl Serialize) -> Result<Option<Found>, ErpError> {
        let response = self.ask(request, of).await?;
        let status = response.status();
        if self.forms.config.absent.contains(&status.as_u16()) {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(self.refused(response).await);
        }
        let answer = read(response).await?;
        if self.forms.config.no_number_is_absent && self.forms.number(request, &answer).is_none() {
            return Ok(None);
        }
        let number = self.number(request, &answer)?;
        let withdrawn = self.forms.is_withdrawn(&answer);
        Ok(Some(Found { number, withdrawn }))
    }

    fn number(&self, request: Request, answer: &Value) -> Result<DocumentId, ErpError> {
        let number = self.forms.number(request, answer);
        let number = number.ok_or_else(|| ErpError::Unknown("an answer without a number".to_owned()))?;
        DocumentId::new(&number).map_err(|error| ErpError::Unknown(error.to_string()))
    }

    async fn refused(&self, response: Response) -> ErpError {
        let status = response.status().as_u16();
        let detail = match read(response).await {
            Ok(answer) => self.forms.detail(&answer),
            Err(_) => String::new(),
        };
        let reason = format!("{status} {detail}");
        match status {
            status if self.forms.config.try_again.contains(&status) => ErpError::Transient(reason),
            300..=499 => ErpError::Rejected(reason),
            _ => ErpError::Unknown(reason),
        }
    }
}

impl ErpPort for HttpErp {
    async fn book(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        let order = Named::of(&request.reference);
        if self.lookup_first
            && let Some(found) = self.find(Request::Lookup, &order).await?
        {
            // A request that is read again after a crash may meet its own cancellation: it is not booked anew.
            return if found.withdrawn {
                Err(does_not_stand())
            } else {
                Ok(found.number)
            };
        }
        let booking = Booking {
            order,
            customer: &request.customer,
            currency: request.currency,
            total: request.total,
            lines: &request.lines,
            charges: &request.charges,
        };
        let response = self.ask(Request::Book, &booking).await?;
        match response.status() {
            status if status.is_success() => self.number(Request::Book, &read(response).await?),
            status if self.forms.config.booked_before.contains(&status.as_u16()) => {
                self.booked_before(&request.reference).await
            }
            _ => Err(self.refused(response).await),
        }
    }

    async fn cancel(&self, order: &ErpReference) -> Result<(), ErpError> {
        let response = self.ask(Request::Cancel, &Named::of(order)).await?;
        let status = response.status();
        if status.is_success() || self.forms.config.absent.contains(&status.as_u16()) {
            return Ok(());
        }
        Err(self.refused(response).await)
    }

    async fn post(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let kind = paper.reference.kind;
        if !self.forms.config.posts.contains(&kind) {
            return Err(not_posted());
        }
        let posting = Posting {
            paper: Paper::of(&paper.reference),
            customer: &paper.customer,
            total: paper.total,
            lines: &paper.lines,
            charges: &paper.charges,
            moved: paper.moved,
        };
        let response = self.ask(Request::post(kind), &posting).await?;
        if response.status().is_success() {
            return self.number(Request::post(kind), &read(response).await?);
        }
        Err(self.refused(response).await)
    }

    async fn find_paper(&self, paper: &PaperReference) -> Result<Option<DocumentId>, ErpError> {
        let found = self.find(Request::find(paper.kind), &Paper::of(paper)).await?;
        Ok(found.map(|found| found.number))
    }

    async fn lookup(&self, order: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        let found = self.find(Request::Lookup, &Named::of(order)).await?;
        Ok(found
            .filter(|booking| !booking.withdrawn)
            .map(|booking| booking.number))
    }
}

/// To look changes nothing, so that a failure is never unknown.
fn harmless(error: ErpError) -> ErpError {
    match error {
        ErpError::Unknown(reason) | ErpError::Rejected(reason) | ErpError::Transient(reason) => {
            ErpError::Transient(reason)
        }
    }
}

fn headers(config: &ErpConfig) -> Result<HeaderMap, ConnectorError> {
    let mut headers = HeaderMap::new();
    if let Some(token) = config.token()? {
        let value = format!("Bearer {token}");
        let mut value = HeaderValue::from_str(&value).map_err(|_| ConnectorError::TokenCharacters)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Only a connection that was never made is sure to have carried nothing.
pub(super) fn not_answered(error: &reqwest::Error) -> ErpError {
    if error.is_builder() {
        ErpError::Rejected(format!("the request cannot be built: {error}"))
    } else if error.is_connect() {
        ErpError::Transient("no connection".to_owned())
    } else if error.is_timeout() {
        ErpError::Unknown("no answer in time".to_owned())
    } else {
        ErpError::Unknown("the connection was lost".to_owned())
    }
}

async fn read(response: Response) -> Result<Value, ErpError> {
    let bytes = read_bounded(response).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| ErpError::Unknown(format!("an answer that is none: {error}")))
}

/// Reads an answer's body, as far as it is bounded.
pub(super) async fn read_bounded(response: Response) -> Result<Vec<u8>, ErpError> {
    let most = usize::try_from(MAX_ANSWER_BYTES).unwrap_or(usize::MAX);
    let body = body_within(response, most)
        .await
        .map_err(|error| not_answered(&error))?;
    body.ok_or_else(|| ErpError::Unknown("an answer of more than a mebibyte".to_owned()))
}
