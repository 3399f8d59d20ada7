//! A consumer of our own making behind HTTP: arrays of levels, prices or orders by POST, signed if there is a secret.
//!
//! An item carries a version; the consumer passes over one that is older than what it has, so that sending again is
//! harmless. It answers 200 with one result an item, in their order: `{"results":[{"sku":"A","status":"ok"}]}`, with `order` in place of
//! `sku` where items are orders; status
//! `stale` for an older version, `failed` with a `reason` if it may be taken later, `refused` with a `reason` if not.
//!
//! The signature is `Lockstep-Signature: t=<seconds>,v1=<hex of HMAC-SHA256(secret, "<seconds>.<body>")>`.

use super::config::ChannelConfig;
use super::item_body::{ItemBody, name_of};
use super::platform::{Platform, PlatformError};
use super::secret::Secret;
use super::web::{client, exchange, unknown, unsuccessful};
use crate::egress::web_address;
use hmac::{Hmac, Mac};
use lockstep_actors::channels::{Answer, Certainty, Item, ItemVerdict, Kind, Request, Verdict, Work};
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Url};
use serde::Deserialize;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Duration;

/// Sends JSON arrays by POST.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
    urls: BTreeMap<Kind, Url>,
    secret: Option<Secret>,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<ItemResult>,
}

#[derive(Deserialize)]
struct ItemResult {
    #[serde(alias = "order")]
    sku: String,
    status: String,
    #[serde(default)]
    reason: String,
}

impl Webhook {
    /// Connects with its first batch.
    ///
    /// # Errors
    /// [`PlatformError`] if a URL or the secret cannot be used or the client cannot start.
    pub fn new(config: &ChannelConfig) -> Result<Self, PlatformError> {
        let mut urls = BTreeMap::new();
        for kind in config.kinds() {
            let (key, url) = config.endpoint(kind);
            urls.insert(kind, web_address(&config.key(key), url)?);
        }
        let secret = config.signing_secret.as_ref();
        let secret = secret.map(|source| config.secret("signing_secret", source));
        Ok(Self {
            client: client(Duration::from_millis(config.timeout_ms), HeaderMap::new())?,
            urls,
            secret: secret.transpose()?,
        })
    }

    async fn write(&self, kind: Kind, items: &[Item]) -> Verdict {
        let bodies: Vec<ItemBody> = items.iter().map(ItemBody::of).collect();
        let (Some(url), Ok(body)) = (self.urls.get(&kind), serde_json::to_vec(&bodies)) else {
            let reason = "the items cannot be written as JSON".to_owned();
            return Verdict::Refused { reason };
        };
        let mut request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &self.secret {
            request = request.header("lockstep-signature", signature(secret, SystemClock.now(), &body));
        }
        match exchange(request.body(body)).await {
            Ok((status, _, text)) if status.is_success() => read_results(&text, items),
            Ok((status, headers, text)) => unsuccessful(status, &headers, &text),
            Err(verdict) => verdict,
        }
    }
}

impl Platform for Webhook {
    async fn send(&self, request: &Request) -> Answer {
        match &request.work {
            Work::Write(kind, items) => self.write(*kind, items).await.into(),
            Work::Read(..) | Work::Poll(..) => unsupported(),
        }
    }
}

/// The plan has no such operation, so that the engine never asks for it.
pub(crate) fn unsupported() -> Answer {
    let failed = Verdict::Failed {
        reason: "this kind of channel has no such operation".to_owned(),
        pause: None,
        certainty: Certainty::NotTaken,
    };
    failed.into()
}

/// The signature of a body at a moment.
fn signature(secret: &Secret, now: Timestamp, body: &[u8]) -> String {
    let seconds = (now.as_millis() / 1_000).to_string();
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(seconds.as_bytes());
    mac.update(b".");
    mac.update(body);
    let digits = mac.finalize().into_bytes();
    let hex: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

fn read_results(text: &str, items: &[Item]) -> Verdict {
    let results = match serde_json::from_str::<Results>(text) {
        Ok(answer) => answer.results,
        Err(error) => return unknown(error.to_string()),
    };
    let mut pairs = results.iter().zip(items);
    if results.len() != items.len() || !pairs.all(|(result, item)| result.sku == name_of(item)) {
        return unknown("the results do not fit the items that were sent");
    }
    let verdict = |result: ItemResult| match result.status.as_str() {
        "ok" => ItemVerdict::Taken,
        "stale" => ItemVerdict::Newer,
        "refused" => ItemVerdict::Refused(result.reason),
        status => ItemVerdict::Failed(format!("{status} {}", result.reason)),
    };
    Verdict::Items(results.into_iter().map(verdict).collect())
}

#[cfg(test)]
mod tests {
    use super::super::secret::SecretSource;
    use super::*;

    /// Worked with `printf '1700000000.[]' | openssl dgst -sha256 -hmac s3cret`.
    #[test]
    fn a_body_is_signed_with_its_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        let secret = SecretSource::File(path).read().unwrap();
        let signed = signature(&secret, Timestamp::from_millis(1_700_000_000_123), b"[]");
        assert_eq!(
            signed,
            "t=1700000000,v1=512e49db73a127cba8a4f4b6ef10cb123f09ca2f7a456f76681f1ee914c4a30c"
        );
    }
}
