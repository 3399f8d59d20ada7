//! A feed of listings: its document, and what the processing report says of its messages.
//!
//! - The document has a header and a message for each SKU, 25,000 at most, each a patch as `patchListingsItem` takes it
//!   (<https://github.com/amzn/selling-partner-api-models/blob/main/schemas/feeds/listings-feed-schema-v2.json>).
//! - The report names messages by their ids. A message with an error is not applied. What was accepted is applied later, and accepted
//!   is also what is patched of a SKU that does not exist (<https://github.com/amzn/selling-partner-api-models/issues/4402>): so the
//!   report is asked to include the listings as they then are, with their attributes and issues
//!   (<https://developer-docs.amazon.com/sp-api/changelog/update-json_listings_feed-now-includes-includeddata>), and only what these
//!   show counts as taken. The rest is patched singly, where each has a final word.
//! - It may be compressed, and then the answer that names its address says by what
//!   (<https://developer-docs.amazon.com/sp-api/reference/getfeeddocument>). A transfer that says so as well has been undone by then.
//!
//! Pure.

use super::{issues, shows};
use flate2::read::MultiGzDecoder;
use lockstep_actors::channels::{ItemVerdict, Key, Measure, Verdict};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;

/// The version of the schema.
const VERSION: &str = "2.0";

/// The most bytes of a report, before and after it is decompressed: 5 KiB for each message of a full feed.
pub(super) const REPORT_BYTES: usize = 128 * 1_024 * 1_024;
/// What compressed bytes begin with (<https://www.rfc-editor.org/rfc/rfc1952#page-6>).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A report that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// It has more than [`REPORT_BYTES`].
    #[error("the report of the feed has more than {} MiB", REPORT_BYTES / 1_024 / 1_024)]
    TooLarge,
    /// It is compressed by something else than gzip.
    #[error("the report of the feed is compressed by {0}, which is not known here")]
    Compression(String),
    /// It is broken off, or no JSON.
    #[error("the report of the feed is none")]
    Malformed,
}

/// What a report says that came as `body`, compressed by this if anything.
pub(super) fn read_report(body: &[u8], compression: Option<&str>) -> Result<Value, Unreadable> {
    let text: &[u8] = match compression {
        Some("GZIP") if body.starts_with(&GZIP) => &decompressed(body)?,
        Some("GZIP") | None => body,
        Some(other) => return Err(Unreadable::Compression(other.to_owned())),
    };
    serde_json::from_slice(text).map_err(|_| Unreadable::Malformed)
}

/// No more is decompressed than is allowed: a few bytes can be made to stand for very many.
fn decompressed(body: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let most = u64::try_from(REPORT_BYTES).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    let mut bounded = MultiGzDecoder::new(body).take(most.saturating_add(1));
    bounded
        .read_to_end(&mut text)
        .map_err(|_| Unreadable::Malformed)?;
    if text.len() > REPORT_BYTES {
        return Err(Unreadable::TooLarge);
    }
    Ok(text)
}

/// The document of a feed: a patch of each SKU, in their order.
pub(super) fn document<'k>(
    seller: &str,
    product_type: &str,
    patches: impl Iterator<Item = (&'k Key, Value)>,
) -> Value {
    let messages = patches.enumerate().map(|(place, (key, patch))| {
        json!({ "messageId": place + 1, "sku": key.0.as_str(), "operationType": "PATCH", "productType": product_type,
            "patches": [patch] })
    });
    json!({
        "header": { "sellerId": seller, "version": VERSION,
            "report": { "includedData": ["attributes", "issues"], "apiVersion": "2021-08-01" } },
        "messages": messages.collect::<Vec<_>>(),
    })
}

/// What the report of a feed says of what was sent.
pub(super) fn judge(report: &Value, sent: &[(Key, Measure)]) -> Verdict {
    let errors = report["issues"].as_array().into_iter().flatten();
    let errors = errors.filter(|issue| issue["severity"] == "ERROR");
    // By the message's id; those of the feed as a whole have none.
    let mut words: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for issue in errors {
        let text = |name: &str| issue[name].as_str().unwrap_or_default();
        let message = issue["messageId"].as_u64().unwrap_or_default();
        let said = format!("{} {}", text("code"), text("message"));
        words.entry(message).or_default().push(said.trim().to_owned());
    }
    let listings = report["items"].as_array().into_iter().flatten();
    let listings: HashMap<&str, &Value> = listings
        .filter_map(|listing| Some((listing["sku"].as_str()?, listing)))
        .collect();
    let verdict = |(message, (key, measure)): (u64, &(Key, Measure))| {
        if let Some(words) = words.get(&message) {
            return ItemVerdict::Refused(words.join("; "));
        }
        let listing = listings.get(key.0.as_str());
        if listing.is_some_and(|listing| shows(listing, *measure)) {
            return ItemVerdict::Taken;
        }
        let said = listing
            .map(|listing| issues(listing))
            .filter(|said| !said.is_empty());
        let of_the_feed = || words.get(&0).map(|words| words.join("; "));
        let reason = said.or_else(of_the_feed);
        ItemVerdict::Failed(
            reason.unwrap_or_else(|| "the feed is done, and the listing does not show it".to_owned()),
        )
    };
    Verdict::Items((1..).zip(sent).map(verdict).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_report_is_read_plain_or_compressed_and_no_more_of_it_than_is_allowed() {
        let text = br#"{"issues":[]}"#;
        let report = json!({ "issues": [] });
        let compressed = gzip(text);
        let broken_off = &compressed[..compressed.len() - 9];
        let bomb = gzip(&vec![b' '; REPORT_BYTES + 1]);
        assert!(bomb.len() < 1_024 * 1_024);
        for (body, compression, expected) in [
            (&text[..], None, Ok(report.clone())),
            (&compressed, Some("GZIP"), Ok(report.clone())),
            // The transfer has undone it.
            (text, Some("GZIP"), Ok(report)),
            (broken_off, Some("GZIP"), Err(Unreadable::Malformed)),
            (&compressed, None, Err(Unreadable::Malformed)),
            (&bomb, Some("GZIP"), Err(Unreadable::TooLarge)),
            (
                text,
                Some("ZSTD"),
                Err(Unreadable::Compression("ZSTD".to_owned())),
            ),
        ] {
            assert_eq!(read_report(body, compression), expected, "{compression:?}");
        }
    }

    fn units(sku: &str, units: i64) -> (Key, Measure) {
        (Key(sku.into()), Measure::Units(units))
    }

    /// In the words of
    /// <https://github.com/amzn/selling-partner-api-models/blob/main/schemas/feeds/listings-feed-processing-report-schema-v2.example.json>.
    #[test]
    fn only_what_the_report_shows_is_taken() {
        let listing = |sku: &str, units: i64, issues: Value| {
            json!({ "sku": sku, "issues": issues, "attributes": { "fulfillment_availability": [
                { "fulfillment_channel_code": "DEFAULT", "quantity": units }] } })
        };
        let error = json!([{ "code": "18448", "message": "Incomplete.", "severity": "ERROR" }]);
        let report = json!({
            "issues": [
                { "messageId": 2, "sku": "B", "code": "90220", "severity": "ERROR", "message": "'[batteries_required]' is required." },
                { "messageId": 2, "sku": "B", "code": "99022", "severity": "ERROR", "message": "Too few values." },
                { "messageId": 1, "sku": "A", "code": "1", "severity": "WARNING", "message": "Odd." },
            ],
            "items": [listing("A", 5, json!([])), listing("C", 4, json!([])), listing("D", 4, error)],
        });
        let sent = [
            units("A", 5),
            units("B", 5),
            units("C", 5),
            units("D", 5),
            units("E", 5),
        ];
        let unseen = ItemVerdict::Failed("the feed is done, and the listing does not show it".to_owned());
        let expected = vec![
            ItemVerdict::Taken,
            ItemVerdict::Refused(
                "90220 '[batteries_required]' is required.; 99022 Too few values.".to_owned(),
            ),
            unseen.clone(),
            ItemVerdict::Failed("18448 Incomplete.".to_owned()),
            unseen,
        ];
        assert_eq!(judge(&report, &sent), Verdict::Items(expected));
    }

    #[test]
    fn an_error_of_the_feed_as_a_whole_is_one_of_each_message() {
        let report = json!({ "issues": [{ "code": "4002001", "severity": "ERROR", "message": "Item 'Feed' cannot be parsed." }] });
        let failed = ItemVerdict::Failed("4002001 Item 'Feed' cannot be parsed.".to_owned());
        assert_eq!(judge(&report, &[units("A", 5)]), Verdict::Items(vec![failed]));
    }
}
