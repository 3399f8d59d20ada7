//! Bodies in and out: bounded, timed, and in the format that the client names.

use super::problem::Problem;
use crate::schema::limits::MAX_BODY_BYTES;
use crate::schema::{BodyFormat, decode_body, encode_body};
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A body that has arrived.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) format: BodyFormat,
    pub(super) bytes: web::Bytes,
}

impl Received {
    /// Reads the body, which must be small enough and come in time.
    pub(super) async fn of(
        request: &HttpRequest,
        payload: web::Payload,
        within: Duration,
    ) -> Result<Self, Problem> {
        let content_type = text(request.headers(), &CONTENT_TYPE);
        let format = content_type
            .and_then(BodyFormat::of_content_type)
            .ok_or_else(|| Problem::unsupported_media_type(content_type))?;
        let bytes = bytes_of(request, payload, within).await?;
        Ok(Self { format, bytes })
    }

    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        Ok(decode_body(self.format, &self.bytes)?)
    }

    /// Whether the body is an array, by its first byte.
    pub(super) fn is_array(&self) -> bool {
        match self.format {
            BodyFormat::Json => self.bytes.trim_ascii_start().first() == Some(&b'['),
            BodyFormat::MessagePack => matches!(self.bytes.first(), Some(0x90..=0x9f | 0xdc | 0xdd)),
        }
    }
}

/// The body as it comes, which must be small enough and come in time.
pub(super) async fn bytes_of(
    request: &HttpRequest,
    payload: web::Payload,
    within: Duration,
) -> Result<web::Bytes, Problem> {
    let announced = text(request.headers(), &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(Problem::too_large());
    }
    tokio::time::timeout(within, payload.to_bytes_limited(MAX_BODY_BYTES))
        .await
        .map_err(|_| Problem::body_timeout())?
        .map_err(|_| Problem::too_large())?
        .map_err(|error| Problem::broken_body(&error))
}

fn text<'h>(headers: &'h HeaderMap, name: &actix_web::http::header::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The format to answer in: the first of ours in `Accept`, else that of the body, else JSON.
fn answer_format(request: &HttpRequest) -> BodyFormat {
    let own = text(request.headers(), &CONTENT_TYPE).and_then(BodyFormat::of_content_type);
    let accepted = text(request.headers(), &ACCEPT).map(|accept| {
        let named = accept.split(',').find_map(BodyFormat::of_content_type);
        named.or(own.filter(|_| accept.contains("*/*")))
    });
    accepted.unwrap_or(own).unwrap_or(BodyFormat::Json)
}

/// Answers with a value in the format that the client wants.
pub(super) fn answer<T: Serialize>(
    request: &HttpRequest,
    status: StatusCode,
    value: &T,
) -> Result<HttpResponse, Problem> {
    let format = answer_format(request);
    let body = encode_body(format, value).map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, format.content_type()))
        .body(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn the_answer_is_in_the_format_that_is_asked_for() {
        let cases = [
            (None, None, BodyFormat::Json),
            (None, Some("application/msgpack"), BodyFormat::MessagePack),
            (Some("*/*"), Some("application/msgpack"), BodyFormat::MessagePack),
            (Some("*/*"), None, BodyFormat::Json),
            (
                Some("application/json"),
                Some("application/msgpack"),
                BodyFormat::Json,
            ),
            (
                Some("application/x-msgpack, application/json;q=0.5"),
                None,
                BodyFormat::MessagePack,
            ),
            (Some("text/html"), Some("application/msgpack"), BodyFormat::Json),
        ];
        for (accept, content_type, expected) in cases {
            let mut request = TestRequest::default();
            if let Some(accept) = accept {
                request = request.insert_header((ACCEPT, accept));
            }
            if let Some(content_type) = content_type {
                request = request.insert_header((CONTENT_TYPE, content_type));
            }
            let found = answer_format(&request.to_http_request());
            assert_eq!(found, expected, "{accept:?} {content_type:?}");
        }
    }
}
