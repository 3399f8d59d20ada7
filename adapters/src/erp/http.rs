//! An ERP behind HTTP/JSON.
//!
//! `POST /bookings` with `Idempotency-Key`, `GET` and `DELETE /bookings/{reference}`; `PUT` and `GET
//! /bookings/{reference}/credits/{document}` and `.../changes/{document}`, where the path is the key. Answers carry `number`,
//! refusals `detail`. What a status means for the order:
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx with a number | booked |
//! | 409 | booked before: its number is looked up |
//! | 401, 403, 404, 405, 408, 425, 429, 503; no connection | nothing was done, try again |
//! | other 4xx, 3xx | refused |
//! | other 5xx, no answer, an answer that cannot be read | unknown |

use super::{ErpConfig, ErpError, ErpPort, TokenError, does_not_stand};
use crate::egress::InvalidSetting;
use lockstep_actors::ids::{CustomerId, DocumentId, OrderKey};
use lockstep_actors::money::{Currency, Money};
use lockstep_actors::orders::effects::{
    BookingCharge, BookingLine, BookingRequest, ErpReference, PaperLine, PaperReference, PaperRequest,
};
use lockstep_actors::orders::paper::PaperKind;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

/// The connector. Cheap calls share its connections.
#[derive(Debug)]
pub struct HttpErp {
    client: Client,
    bookings: Url,
    lookup_first: bool,
    places: Semaphore,
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

#[derive(Serialize)]
struct BookingBody<'a> {
    reference: &'a str,
    customer: &'a CustomerId,
    currency: Currency,
    total: Money,
    lines: &'a [BookingLine],
    charges: &'a [BookingCharge],
}

#[derive(Serialize)]
struct PaperBody<'a> {
    customer: &'a CustomerId,
    total: Money,
    lines: &'a [PaperLine],
}

#[derive(Deserialize)]
struct BookingAnswerBody {
    number: DocumentId,
    #[serde(default)]
    cancelled: bool,
}

#[derive(Default, Deserialize)]
struct RefusalBody {
    #[serde(default)]
    detail: String,
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
        let mut bookings = config.base_url()?;
        if let Ok(mut segments) = bookings.path_segments_mut() {
            segments.pop_if_empty().push("bookings");
        }
        let client = config.client().default_headers(headers(config)?);
        let client = client.build().map_err(ConnectorError::Client)?;
        let places = Semaphore::new(config.concurrency);
        Ok(Self {
            client,
            bookings,
            lookup_first: config.lookup_first,
            places,
        })
    }

    fn booking_of(&self, order: &OrderKey) -> Url {
        let mut url = self.bookings.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(order.as_str());
        }
        url
    }

    fn paper(&self, paper: &PaperReference) -> Url {
        let mut url = self.booking_of(&paper.order);
        let kind = match paper.kind {
            PaperKind::Credit => "credits",
            PaperKind::Change => "changes",
        };
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(kind).push(paper.document.as_str());
        }
        url
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ErpError> {
        let place = self.places.acquire().await;
        let _place = place.map_err(|_| ErpError::Transient("the connector is closing".to_owned()))?;
        request.send().await.map_err(|error| not_answered(&error))
    }

    async fn create(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        let order = &request.reference.order;
        let body = BookingBody {
            reference: order.as_str(),
            customer: &request.customer,
            currency: request.currency,
            total: request.total,
            lines: &request.lines,
            charges: &request.charges,
        };
        let call = self
            .client
            .post(self.bookings.clone())
            .header("idempotency-key", order.as_str().as_bytes());
        let response = self.send(call.json(&body)).await?;
        match response.status() {
            status if status.is_success() => Ok(read_booking(response).await?.number),
            StatusCode::CONFLICT => self.booked_before(&request.reference).await,
            _ => Err(refused(response).await),
        }
    }

    async fn booked_before(&self, order: &ErpReference) -> Result<DocumentId, ErpError> {
        match self.lookup(order).await {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(does_not_stand()),
            Err(error) => Err(ErpError::Unknown(error.to_string())),
        }
    }

    /// What is held under the order's key, cancelled or not.
    async fn find(&self, order: &ErpReference) -> Result<Option<BookingAnswerBody>, ErpError> {
        self.find_at(self.booking_of(&order.order)).await
    }

    /// What is held at a place; to look changes nothing, so that a failure is never unknown.
    async fn find_at(&self, place: Url) -> Result<Option<BookingAnswerBody>, ErpError> {
        let harmless = |error: ErpError| match error {
            ErpError::Unknown(reason) | ErpError::Rejected(reason) | ErpError::Transient(reason) => {
                ErpError::Transient(reason)
            }
        };
        let response = self.send(self.client.get(place)).await.map_err(harmless)?;
        match response.status() {
            status if status.is_success() => read_booking(response).await.map(Some).map_err(harmless),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(harmless(refused(response).await)),
        }
    }
}

impl ErpPort for HttpErp {
    async fn book(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        if self.lookup_first
            && let Some(found) = self.find(&request.reference).await?
        {
            // A request that is read again after a crash may meet its own cancellation: it is not booked anew.
            return if found.cancelled {
                Err(does_not_stand())
            } else {
                Ok(found.number)
            };
        }
        self.create(request).await
    }

    async fn cancel(&self, order: &ErpReference) -> Result<(), ErpError> {
        let response = self
            .send(self.client.delete(self.booking_of(&order.order)))
            .await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Ok(()),
            _ => Err(refused(response).await),
        }
    }

    async fn post(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let body = PaperBody {
            customer: &paper.customer,
            total: paper.total,
            lines: &paper.lines,
        };
        let call = self.client.put(self.paper(&paper.reference)).json(&body);
        let response = self.send(call).await?;
        match response.status() {
            status if status.is_success() => Ok(read_booking(response).await?.number),
            _ => Err(refused(response).await),
        }
    }

    async fn find_paper(&self, paper: &PaperReference) -> Result<Option<DocumentId>, ErpError> {
        let found = self.find_at(self.paper(paper)).await?;
        Ok(found.map(|paper| paper.number))
    }

    async fn lookup(&self, order: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        let found = self.find(order).await?;
        Ok(found
            .filter(|booking| !booking.cancelled)
            .map(|booking| booking.number))
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

async fn refused(response: Response) -> ErpError {
    let status = response.status();
    let body = match read_bounded(response).await {
        Ok(bytes) => serde_json::from_slice::<RefusalBody>(&bytes).unwrap_or_default(),
        Err(_) => RefusalBody::default(),
    };
    let reason = format!("{} {}", status.as_u16(), body.detail);
    match status.as_u16() {
        401 | 403 | 404 | 405 | 408 | 425 | 429 | 503 => ErpError::Transient(reason),
        300..=499 => ErpError::Rejected(reason),
        _ => ErpError::Unknown(reason),
    }
}

async fn read_booking(response: Response) -> Result<BookingAnswerBody, ErpError> {
    let bytes = read_bounded(response).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| ErpError::Unknown(format!("an answer that is none: {error}")))
}

/// Reads an answer's body, as far as it is bounded.
pub(super) async fn read_bounded(mut response: Response) -> Result<Vec<u8>, ErpError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| not_answered(&error))? {
        bytes.extend_from_slice(&chunk);
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_ANSWER_BYTES {
            return Err(ErpError::Unknown("an answer of more than a mebibyte".to_owned()));
        }
    }
    Ok(bytes)
}
