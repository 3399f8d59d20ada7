//! The feeds of a seller, pure: documents, a queue that is worked on message by message, and reports.
//!
//! - A document is created, then uploaded once with its content type, and one feed is made of it
//!   (<https://developer-docs.amazon.com/sp-api/docs/feeds-api-v2021-06-30-use-case-guide>).
//! - Feeds are worked on one after the other in the order of their creation
//!   (<https://developer-docs.amazon.com/sp-api/docs/feeds-api-faq>): each message takes `--feed-message`, and writes over whatever the
//!   listing shows by then.
//! - What the schema does not allow ends the feed as `FATAL`; a negative quantity is an error of its message. What is patched of a SKU
//!   that does not exist is accepted (<https://github.com/amzn/selling-partner-api-models/issues/4402>).
//! - A report of more than 4 KiB is compressed by gzip, and the answer that names its address says so
//!   (<https://developer-docs.amazon.com/sp-api/reference/getfeeddocument>).
//! - The report includes the listings as they are when it is written.

use super::Listing;
use crate::emulate::fault::FaultTable;
use crate::emulate::{EmulatorError, Faults, Probability};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The most messages of a feed.
const MESSAGES: usize = 25_000;
/// The most bytes of a report that is not compressed.
const PLAIN: usize = 4_096;
/// How long an address to upload to holds.
const ADDRESS: Duration = Duration::from_secs(300);

/// A document that is uploaded or read.
#[derive(Debug)]
struct Document {
    content_type: String,
    created: Duration,
    content: Option<String>,
    is_used: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    InQueue,
    InProgress,
    Done,
    Fatal,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::InQueue => "IN_QUEUE",
            Self::InProgress => "IN_PROGRESS",
            Self::Done => "DONE",
            Self::Fatal => "FATAL",
        }
    }
}

#[derive(Debug)]
struct Feed {
    created: Timestamp,
    came: Duration,
    marketplace: String,
    document: String,
    status: Status,
    report: Option<String>,
}

/// A feed that is being worked on.
#[derive(Debug)]
struct Work {
    feed: String,
    messages: VecDeque<Value>,
    /// How many are done before it breaks off; none if it does not.
    until: Option<usize>,
    issues: Vec<Value>,
    skus: Vec<String>,
    next: Duration,
    done: usize,
}

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeedStats {
    /// Feeds that were created.
    pub created: u64,
    /// Messages in the largest of them.
    pub largest: u64,
    /// Messages that were applied.
    pub applied: u64,
    /// Of these, messages that wrote over what had been patched after the feed was created.
    pub written_over: u64,
    /// Messages with an error.
    pub invalid: u64,
    /// Messages that were accepted and not applied.
    pub lost: u64,
    /// Feeds that ended as `FATAL`.
    pub fatal: u64,
    /// Reports that were read compressed.
    pub compressed: u64,
}

#[derive(Debug)]
pub(super) struct Feeds {
    interval: Duration,
    /// Messages that are accepted and not applied, and nothing is said of it.
    lost: FaultTable<()>,
    /// Feeds that end as `FATAL` with some of it done.
    fatal: FaultTable<()>,
    documents: BTreeMap<String, Document>,
    feeds: BTreeMap<u64, Feed>,
    queue: VecDeque<u64>,
    work: Option<Work>,
    /// When the worker is free.
    free: Duration,
    /// The moments of creation within the window.
    created: VecDeque<Duration>,
    pub(super) stats: FeedStats,
}

impl Feeds {
    /// Refuses a probability that exceeds certainty.
    pub(super) fn new(
        faults: &Faults,
        interval: Duration,
        fatal: Probability,
    ) -> Result<Self, EmulatorError> {
        Ok(Self {
            interval,
            lost: FaultTable::new(faults.seed, &[(faults.item_fail, ())])?,
            fatal: FaultTable::new(faults.seed, &[(fatal, ())])?,
            documents: BTreeMap::new(),
            feeds: BTreeMap::new(),
            queue: VecDeque::new(),
            work: None,
            free: Duration::ZERO,
            created: VecDeque::new(),
            stats: FeedStats::default(),
        })
    }

    /// Whether another feed may be created: so many in each window.
    pub(super) fn admits(&mut self, most: usize, window: Duration, now: Duration) -> bool {
        while self.created.front().is_some_and(|at| *at + window <= now) {
            self.created.pop_front();
        }
        let admits = self.created.len() < most;
        if admits {
            self.created.push_back(now);
        }
        admits
    }

    pub(super) fn create_document(&mut self, body: &Value, now: Duration) -> Result<String, String> {
        let content_type = body["contentType"].as_str().filter(|text| !text.is_empty());
        let content_type = content_type.ok_or("contentType is required.")?;
        let id = format!("amzn1.tortuga.3.{}", self.documents.len());
        let document = Document {
            content_type: content_type.to_owned(),
            created: now,
            content: None,
            is_used: false,
        };
        self.documents.insert(id.clone(), document);
        Ok(id)
    }

    /// Puts the content of a document where its address says; false if that does not hold.
    pub(super) fn upload(&mut self, id: &str, content_type: &str, content: String, now: Duration) -> bool {
        let document = self.documents.get_mut(id);
        let open = document.filter(|document| {
            document.content_type == content_type && now < document.created + ADDRESS && !document.is_used
        });
        open.is_some_and(|document| {
            document.content = Some(content);
            true
        })
    }

    pub(super) fn content(&self, id: &str) -> Option<&str> {
        self.documents.get(id)?.content.as_deref()
    }

    /// Whether a document is compressed for whoever reads it.
    pub(super) fn is_compressed(&self, id: &str) -> bool {
        self.content(id).is_some_and(|content| content.len() > PLAIN)
    }

    pub(super) fn create(&mut self, body: &Value, now: Duration, at: Timestamp) -> Result<u64, String> {
        if body["feedType"] != "JSON_LISTINGS_FEED" {
            return Err("feedType is invalid.".to_owned());
        }
        let marketplace = body["marketplaceIds"][0]
            .as_str()
            .ok_or("marketplaceIds is required.")?;
        let id = body["inputFeedDocumentId"].as_str().unwrap_or_default();
        let document = self.documents.get_mut(id);
        let document = document.filter(|document| document.content.is_some() && !document.is_used);
        document.ok_or("inputFeedDocumentId is invalid.")?.is_used = true;
        let number = self.stats.created;
        self.stats.created += 1;
        let feed = Feed {
            created: at,
            came: now,
            marketplace: marketplace.to_owned(),
            document: id.to_owned(),
            status: Status::InQueue,
            report: None,
        };
        self.feeds.insert(number, feed);
        self.queue.push_back(number);
        Ok(number)
    }

    pub(super) fn show(&self, id: &str) -> Option<Value> {
        let number = id.parse().ok()?;
        Some(told(number, self.feeds.get(&number)?))
    }

    /// The feeds that were asked for; says what is wrong with the question.
    pub(super) fn list(&self, wanted: &BTreeMap<String, String>) -> Result<Value, String> {
        let of = |name: &str| wanted.get(name).map(String::as_str);
        if of("feedTypes").is_none() {
            return Err("feedTypes or nextToken is required.".to_owned());
        }
        let size = of("pageSize")
            .map_or(Ok(10), str::parse)
            .ok()
            .filter(|size| (1..=100).contains(size));
        let size: usize = size.ok_or("pageSize has to be between 1 and 100.")?;
        let at = |name: &str| {
            let at = of(name).map(str::parse::<Timestamp>).transpose();
            at.map_err(|_| format!("{name} is no date and time in ISO 8601."))
        };
        let (since, until) = (at("createdSince")?, at("createdUntil")?);
        let is_wanted = |feed: &Feed| {
            of("processingStatuses")
                .is_none_or(|names| names.split(',').any(|name| name == feed.status.name()))
                && of("marketplaceIds")
                    .is_none_or(|names| names.split(',').any(|name| name == feed.marketplace))
                && since.is_none_or(|since| feed.created >= since)
                && until.is_none_or(|until| feed.created <= until)
                && of("feedTypes") == Some("JSON_LISTINGS_FEED")
        };
        let mut found = self.feeds.iter().rev().filter(|(_, feed)| is_wanted(feed));
        let feeds: Vec<Value> = found
            .by_ref()
            .take(size)
            .map(|(number, feed)| told(*number, feed))
            .collect();
        let more = found.next().map(|_| "more");
        Ok(json!({ "feeds": feeds, "nextToken": more }))
    }

    /// Works on what is come to by `now`.
    pub(super) fn advance(&mut self, listings: &mut BTreeMap<String, Listing>, now: Duration) {
        loop {
            if self.work.is_none() {
                let Some(number) = self.queue.front().copied() else {
                    return;
                };
                let came = self.feeds.get(&number).map_or(now, |feed| feed.came);
                let begins = self.free.max(came);
                if begins > now {
                    return;
                }
                self.queue.pop_front();
                self.begin(number, begins);
                continue;
            }
            let Some(mut work) = self.work.take() else { return };
            let breaks_off = work.until == Some(work.done);
            if work.messages.is_empty() || breaks_off {
                self.end(&work, listings, breaks_off);
                continue;
            }
            let due = work.next + self.interval;
            if due > now {
                self.work = Some(work);
                return;
            }
            work.next = due;
            self.work_on(&mut work, listings, due);
            self.work = Some(work);
        }
    }

    fn begin(&mut self, number: u64, now: Duration) {
        let Some(feed) = self.feeds.get_mut(&number) else {
            return;
        };
        feed.status = Status::InProgress;
        let document = self
            .documents
            .get(&feed.document)
            .and_then(|document| document.content.as_deref());
        let document: Value = document
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let header = &document["header"];
        let messages = document["messages"].as_array().cloned().unwrap_or_default();
        let is_well_formed = header["version"] == "2.0"
            && header["sellerId"].is_string()
            && (1..=MESSAGES).contains(&messages.len())
            && (1..).zip(&messages).all(|(id, message)| is_message(id, message));
        self.stats.largest = self.stats.largest.max(messages.len() as u64);
        let is_fatal = self.fatal.draw("feed", number).is_some();
        let mut issues = Vec::new();
        if !is_well_formed {
            issues.push(
                json!({ "code": "4002001", "severity": "ERROR", "message": "Item 'Feed' cannot be parsed." }),
            );
        }
        self.work = Some(Work {
            feed: number.to_string(),
            until: if is_well_formed {
                is_fatal.then_some(messages.len() / 2)
            } else {
                Some(0)
            },
            messages: messages.into(),
            issues,
            skus: Vec::new(),
            next: now,
            done: 0,
        });
    }

    fn work_on(&mut self, work: &mut Work, listings: &mut BTreeMap<String, Listing>, now: Duration) {
        let Some(message) = work.messages.pop_front() else {
            return;
        };
        work.done += 1;
        let sku = message["sku"].as_str().unwrap_or_default().to_owned();
        let patch = &message["patches"][0];
        if patch["value"][0]["quantity"]
            .as_i64()
            .is_some_and(|quantity| quantity < 0)
            || sku.starts_with("ODD")
        {
            self.stats.invalid += 1;
            work.issues.push(
                json!({ "messageId": message["messageId"], "sku": sku, "code": "90225", "severity": "ERROR",
                "message": "The value is not valid." }),
            );
            return;
        }
        if sku.starts_with("GONE") {
            return;
        }
        work.skus.push(sku.clone());
        let attempt = work.feed.parse().unwrap_or_default();
        if self.lost.draw(&sku, attempt).is_some() {
            self.stats.lost += 1;
            return;
        }
        self.stats.applied += 1;
        let came = self.feeds.get(&attempt).map_or(now, |feed| feed.came);
        let listing = listings.entry(sku).or_default();
        listing.advance(now);
        self.stats.written_over += u64::from(listing.set(patch) > came);
    }

    fn end(&mut self, work: &Work, listings: &mut BTreeMap<String, Listing>, breaks_off: bool) {
        self.free = work.next;
        let Ok(number) = work.feed.parse::<u64>() else {
            return;
        };
        let items: Vec<Value> = work
            .skus
            .iter()
            .map(|sku| {
                let listing = listings.entry(sku.clone()).or_default();
                listing.advance(work.next);
                json!({ "sku": sku, "attributes": listing.attributes, "issues": listing.issues })
            })
            .collect();
        let report = json!({
            "header": { "sellerId": "A1", "version": "2.0", "feedId": work.feed }, "issues": work.issues,
            "summary": { "errors": work.issues.len(), "warnings": 0, "messagesProcessed": work.done },
            "items": items,
        });
        let id = format!("amzn1.tortuga.3.report.{number}");
        let document = Document {
            content_type: "application/json".to_owned(),
            created: work.next,
            content: Some(report.to_string()),
            is_used: true,
        };
        self.stats.fatal += u64::from(breaks_off);
        if let Some(feed) = self.feeds.get_mut(&number) {
            feed.status = if breaks_off { Status::Fatal } else { Status::Done };
            // One that broke off without looking at its messages says why; else there is no report.
            if !breaks_off || work.done == 0 {
                feed.report = Some(id.clone());
                self.documents.insert(id, document);
            }
        }
    }
}

/// Whether the schema allows a message.
fn is_message(id: u64, message: &Value) -> bool {
    let patch = &message["patches"][0];
    message["messageId"] == id
        && message["sku"].as_str().is_some_and(|sku| !sku.is_empty())
        && message["operationType"] == "PATCH"
        && message["productType"].is_string()
        && message.get("attributes").is_none()
        && ["add", "replace", "merge", "delete"].contains(&patch["op"].as_str().unwrap_or_default())
        && patch["path"].is_string()
        && patch["value"].is_array()
}

fn told(number: u64, feed: &Feed) -> Value {
    let mut told = json!({
        "feedId": number.to_string(), "feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [feed.marketplace],
        "createdTime": feed.created.to_string(), "processingStatus": feed.status.name(),
    });
    if let Some(report) = &feed.report {
        told["resultFeedDocumentId"] = report.as_str().into();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u64, sku: &str, units: i64) -> Value {
        json!({ "messageId": id, "sku": sku, "operationType": "PATCH", "productType": "PRODUCT", "patches": [
            { "op": "merge", "path": "/attributes/fulfillment_availability",
                "value": [{ "fulfillment_channel_code": "DEFAULT", "quantity": units }] }] })
    }

    fn feed_of(feeds: &mut Feeds, messages: &Value, now: Duration) -> String {
        let kind = json!({ "contentType": "application/json" });
        let id = feeds.create_document(&kind, now).unwrap();
        let document = json!({ "header": { "sellerId": "A1", "version": "2.0" }, "messages": messages });
        assert!(
            !feeds.upload(&id, "text/plain", String::new(), now),
            "another type than was said"
        );
        assert!(feeds.upload(&id, "application/json", document.to_string(), now));
        let body =
            json!({ "feedType": "JSON_LISTINGS_FEED", "marketplaceIds": ["M"], "inputFeedDocumentId": id });
        let feed = feeds.create(&body, now, Timestamp::UNIX_EPOCH).unwrap();
        assert!(
            feeds.create(&body, now, Timestamp::UNIX_EPOCH).is_err(),
            "a document is used once"
        );
        feed.to_string()
    }

    #[test]
    fn messages_are_worked_on_one_by_one_and_write_over_what_was_patched_meanwhile() {
        let interval = Duration::from_secs(1);
        let mut feeds = Feeds::new(&Faults::default(), interval, Probability::NEVER).unwrap();
        let mut listings = BTreeMap::new();
        let at = Duration::from_secs;
        let messages = json!([
            message(1, "A", 5),
            message(2, "ODD", 5),
            message(3, "GONE-1", 5),
            message(4, "B", 5)
        ]);
        let feed = feed_of(&mut feeds, &messages, at(0));
        let status = |feeds: &Feeds| feeds.show(&feed).unwrap()["processingStatus"].clone();
        assert_eq!(status(&feeds), "IN_QUEUE");
        feeds.advance(&mut listings, at(2));
        assert_eq!(status(&feeds), "IN_PROGRESS");
        let patch = json!({ "path": "/attributes/fulfillment_availability", "value": [{ "quantity": 0 }] });
        for sku in ["A", "B"] {
            let listing: &mut Listing = listings.entry(sku.to_owned()).or_default();
            listing.set(&patch);
            listing.patched = at(2);
        }
        feeds.advance(&mut listings, at(4));
        assert_eq!(status(&feeds), "DONE");
        let shown = |sku: &str| listings[sku].attributes["fulfillment_availability"][0]["quantity"].clone();
        assert_eq!((shown("A"), shown("B")), (json!(0), json!(5)));
        assert_eq!(
            (feeds.stats.applied, feeds.stats.written_over, feeds.stats.invalid),
            (2, 1, 1)
        );
        let report = feeds.show(&feed).unwrap()["resultFeedDocumentId"]
            .as_str()
            .unwrap()
            .to_owned();
        let report: Value = serde_json::from_str(feeds.content(&report).unwrap()).unwrap();
        assert_eq!(report["issues"][0]["messageId"], 2);
        let skus: Vec<_> = report["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["sku"].clone())
            .collect();
        assert_eq!(skus, ["A", "B"]);
    }

    #[test]
    fn what_the_schema_does_not_allow_ends_the_feed_and_no_more_than_five_are_created_in_a_window() {
        let interval = Duration::from_secs(1);
        let mut feeds = Feeds::new(&Faults::default(), interval, Probability::NEVER).unwrap();
        let feed = feed_of(&mut feeds, &json!([message(2, "A", 5)]), Duration::ZERO);
        feeds.advance(&mut BTreeMap::new(), Duration::from_secs(1));
        assert_eq!(feeds.show(&feed).unwrap()["processingStatus"], "FATAL");
        let at = Duration::from_secs;
        let window = at(300);
        assert!((0..5).all(|second| feeds.admits(5, window, at(second))));
        assert!(!feeds.admits(5, window, at(299)));
        assert!(feeds.admits(5, window, at(300)));
    }
}
