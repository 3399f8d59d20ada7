//! Tells Amazon everything by feeds, by the Feeds API, version 2021-06-30
//! (<https://developer-docs.amazon.com/sp-api/docs/feeds-api-v2021-06-30-use-case-guide>): a document is created and uploaded, a feed of it
//! created, asked about until it is done, and its report read.
//!
//! - Feeds are worked on one after the other, in minutes or hours. What changes meanwhile is patched beside them; the engine writes it
//!   once more when the feed has ended.
//! - Whether a feed was created that had no answer is not told by its document, which feeds do not name. So the feeds that were created
//!   since then are listed: one that is not known is it. If there are several, nobody can say, and their end is waited for; if there is
//!   none for a while, it was not created.
//! - Limits: [`add_to`].

use super::feed::{REPORT_BYTES, Unreadable, document, judge, read_report};
use super::{Amazon, AmazonConfig, Spoken, failed};
use crate::channels::platform::operation;
use crate::channels::web::{lacks, only_read, unanswered, without_effect};
use crate::channels::{NotRead, Permits, Plan};
use crate::egress::body_within;
use lockstep_actors::channels::{
    Answer, BulkPlan, Item, ItemVerdict, Key, Measure, Observation, Operation, Rule, Verdict,
};
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The operation that creates a feed.
pub(super) const SEND_FEED: &str = "send-feed";
/// The operation that asks what became of one, and the limit of that.
const ASK_FEED: &str = "ask-feed";
/// The operation that lists feeds, and its limit.
const LIST_FEEDS: &str = "list-feeds";
/// The limits of creating documents, of creating feeds, of feeds that are not done, and of reading reports.
const DOCUMENTS: &str = "documents";
const FEEDS: &str = "feeds";
const UNFINISHED: &str = "unfinished-feeds";
const REPORTS: &str = "reports";
const TYPE: &str = "JSON_LISTINGS_FEED";
const JSON: &str = "application/json; charset=UTF-8";
/// The most messages of a feed.
const MESSAGES: usize = 25_000;
/// How large a document may be, and a message is at most.
const BYTES: (usize, usize) = (10_485_760, 400);
/// How long a document may take on its way.
const TRANSFER: Duration = Duration::from_secs(120);
/// When a feed is asked about, or whether one was created. The limits of both keep questions farther apart, if need be.
const ASK_IN: Duration = Duration::from_secs(10);
/// How long a feed that was created may not be listed.
const SEEK_FOR: Duration = Duration::from_secs(300);
/// How much clocks may differ.
const CLOCKS: Duration = Duration::from_secs(120);
/// How many feeds are remembered as known.
const MOST_KNOWN: usize = 1_000;

/// Adds what feeds draw, which is nothing that anything else draws on:
/// - 0.5 documents a second and 15 at once, 2 questions and 15 at once, 0.0222 reports and lists and 10 at once
///   (<https://developer-docs.amazon.com/sp-api/docs/feeds-api-rate-limits>);
/// - five feeds in five minutes, of 25,000 messages each
///   (<https://developer-docs.amazon.com/sp-api/changelog/update-feed-size-and-rate-limit-changes-for-the-json_listings_feed>), of 10 MiB
///   (<https://developer-docs.amazon.com/sp-api/docs/feeds-api-best-practices>);
/// - two at a time that are not done, which is our own choice: what waits longer is older when it is worked on.
pub(super) fn add_to(plan: &mut Plan, config: &AmazonConfig) {
    let bucket = |burst, refill, seconds| Rule::Bucket {
        burst,
        refill,
        per: Duration::from_secs(seconds),
    };
    let feeds = Rule::Window {
        units: 5,
        per: Duration::from_secs(300),
        reserved_for_urgent: 0,
    };
    plan.allowance.limits.extend([
        (DOCUMENTS.into(), bucket(15, 1, 2)),
        (FEEDS.into(), feeds),
        (UNFINISHED.into(), Rule::Unfinished { requests: 2 }),
        (ASK_FEED.into(), bucket(15, 2, 1)),
        (REPORTS.into(), bucket(10, 222, 10_000)),
        (LIST_FEEDS.into(), bucket(10, 222, 10_000)),
    ]);
    let (max_bytes, item_bytes) = BYTES;
    let send = Operation {
        max_bytes,
        item_bytes,
        ..operation(
            SEND_FEED,
            &[(DOCUMENTS, 1), (FEEDS, 1), (UNFINISHED, 1)],
            MESSAGES,
        )
    };
    let ask = operation(ASK_FEED, &[(ASK_FEED, 1), (REPORTS, 1), (LIST_FEEDS, 1)], 1);
    plan.allowance
        .operations
        .extend([send, ask, operation(LIST_FEEDS, &[(LIST_FEEDS, 1)], 1)]);
    for lane in plan.lanes.iter_mut().filter(|lane| lane.poll.is_some()) {
        lane.bulk = Some(BulkPlan {
            write: SEND_FEED.into(),
            poll: ASK_FEED.into(),
            at_least: config.feed_at_least,
            final_word_within: Duration::from_secs(config.feed_hours.saturating_mul(3_600)),
        });
    }
}

/// The feeds that are known to have been created here, the newest of them.
#[derive(Debug, Default)]
pub(super) struct KnownFeeds(Mutex<VecDeque<String>>);

impl KnownFeeds {
    fn add(&self, id: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.pop_front();
        }
        known.push_back(id.to_owned());
    }

    fn has(&self, id: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|known| known == id)
    }
}

/// Under which name a feed is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FeedName {
    Feed(String),
    /// One whose creation had no answer, that began then.
    CreatedAt(Timestamp),
}

impl FeedName {
    fn write(&self) -> String {
        match self {
            Self::Feed(id) => format!("feed {id}"),
            Self::CreatedAt(at) => format!("created-at {}", at.as_millis()),
        }
    }

    /// The feed of a name; none if it is the name of something else.
    pub(super) fn read(handle: &str) -> Option<Self> {
        match handle.split_once(' ')? {
            ("feed", id) => Some(Self::Feed(id.to_owned())),
            ("created-at", at) => Some(Self::CreatedAt(Timestamp::from_millis(at.parse().ok()?))),
            _ => None,
        }
    }
}

/// What a list says of feeds.
struct Listed {
    /// Id, and whether it has ended.
    feeds: Vec<(String, bool)>,
    /// Whether there are more.
    more: bool,
    observations: Vec<Observation>,
}

/// A limit that a question has drawn on without need.
fn spared(limit: &str) -> Observation {
    Observation::Cost {
        limit: limit.into(),
        requested: 0,
        actual: 0,
    }
}

fn has_ended(status: &Value) -> bool {
    status != "IN_QUEUE" && status != "IN_PROGRESS"
}

fn moment(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_string()
}

fn shifted(at: Timestamp, by: Duration, sign: i64) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_add(millis.saturating_mul(sign)))
}

impl Amazon {
    fn feeds_url(&self, segments: &[&str]) -> Url {
        let mut url = self.listings.clone();
        url.set_path("/feeds/2021-06-30");
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        url
    }

    /// Creates a feed of these items.
    pub(super) async fn send_feed(&self, items: &[Item]) -> Answer {
        let (document, mut observations) = match self.upload(items).await {
            Ok(uploaded) => uploaded,
            // Nothing is worked on before there is a feed.
            Err(answer) => return only_read(answer),
        };
        let body = json!({ "feedType": TYPE, "marketplaceIds": [self.config.marketplace], "inputFeedDocumentId": document });
        let begun = SystemClock.now();
        let created = self
            .speak(Method::POST, FEEDS, self.feeds_url(&["feeds"]), Some(&body))
            .await;
        let name = match created {
            Ok(spoken) => {
                observations.extend(spoken.observations);
                match spoken.body["feedId"].as_str() {
                    Some(id) => {
                        self.known_feeds.add(id);
                        FeedName::Feed(id.to_owned())
                    }
                    None => FeedName::CreatedAt(begun),
                }
            }
            Err(answer) if answer.verdict.is_unknown() => FeedName::CreatedAt(begun),
            Err(answer) => return answer,
        };
        Answer {
            verdict: Verdict::Accepted {
                handle: name.write().into(),
                ask_in: ASK_IN,
            },
            observations,
        }
    }

    /// Creates and uploads the document of a feed; its id.
    async fn upload(&self, items: &[Item]) -> Result<(String, Vec<Observation>), Answer> {
        let mut patches = Vec::with_capacity(items.len());
        for item in items {
            let patch = self.patch_of(&item.content);
            patches.push((
                &item.key,
                patch.ok_or_else(|| failed("an order is no listing".to_owned()))?,
            ));
        }
        let content = document(
            &self.config.seller,
            &self.config.product_type,
            patches.into_iter(),
        );
        let asked = json!({ "contentType": JSON });
        let url = self.feeds_url(&["documents"]);
        let spoken = self.speak(Method::POST, DOCUMENTS, url, Some(&asked)).await?;
        let text = |name: &str| spoken.body[name].as_str();
        let (Some(id), Some(url)) = (text("feedDocumentId"), text("url")) else {
            return Err(spoken.answer(lacks("a document")));
        };
        let request = self.client.put(url).timeout(TRANSFER).header(CONTENT_TYPE, JSON);
        let response = request.body(content.to_string()).send().await;
        let status = response
            .map_err(|error| Answer::from(unanswered(error)))?
            .status();
        if !status.is_success() {
            return Err(failed(format!("the document of a feed cannot be uploaded: {status}")).into());
        }
        Ok((id.to_owned(), spoken.observations))
    }

    /// What became of a feed that these were sent by.
    pub(super) async fn ask_feed(&self, name: &FeedName, sent: &[(Key, Measure)]) -> Answer {
        match name {
            FeedName::Feed(id) => self.ask_about(id, sent).await,
            FeedName::CreatedAt(at) => self.seek(*at, sent.len()).await,
        }
        .unwrap_or_else(only_read)
    }

    async fn ask_about(&self, id: &str, sent: &[(Key, Measure)]) -> Result<Answer, Answer> {
        let url = self.feeds_url(&["feeds", id]);
        let mut spoken = self
            .speak(Method::GET, ASK_FEED, url, None)
            .await
            .map_err(|mut answer| {
                answer.observations.extend([spared(REPORTS), spared(LIST_FEEDS)]);
                answer
            })?;
        spoken.observations.push(spared(LIST_FEEDS));
        let status = spoken.body["processingStatus"].clone();
        let report = spoken.body["resultFeedDocumentId"]
            .as_str()
            .map(ToOwned::to_owned);
        let all = |verdict: ItemVerdict| Verdict::Items(vec![verdict; sent.len()]);
        let verdict = match (status.as_str(), report) {
            (Some("DONE"), Some(document)) => return self.read_report(spoken, &document, sent).await,
            // Somebody has cancelled it while it was in the queue.
            (Some("CANCELLED"), _) => all(ItemVerdict::Untouched),
            (Some("DONE" | "FATAL"), _) => all(ItemVerdict::Failed(format!(
                "feed {id} ended as {status} without a report"
            ))),
            (Some(_) | None, _) => Verdict::Pending { ask_in: ASK_IN },
        };
        spoken.observations.push(spared(REPORTS));
        Ok(spoken.answer(verdict))
    }

    async fn read_report(&self, asked: Spoken, id: &str, sent: &[(Key, Measure)]) -> Result<Answer, Answer> {
        let url = self.feeds_url(&["documents", id]);
        let mut spoken = self.speak(Method::GET, REPORTS, url, None).await?;
        spoken.observations.extend(asked.observations);
        let Some(url) = spoken.body["url"].as_str() else {
            return Err(spoken.answer(lacks("a report")));
        };
        let compression = spoken.body["compressionAlgorithm"]
            .as_str()
            .map(ToOwned::to_owned);
        let download = async {
            let request = self.client.get(url).timeout(TRANSFER);
            let response = request.send().await?.error_for_status()?;
            body_within(response, REPORT_BYTES).await
        };
        let report = match download.await {
            Ok(Some(body)) => {
                // A large one would hold up whatever else this thread does.
                let read = tokio::task::spawn_blocking(move || read_report(&body, compression.as_deref()));
                read.await.unwrap_or(Err(Unreadable::Malformed))
            }
            Ok(None) => Err(Unreadable::TooLarge),
            Err(error) => return Ok(spoken.answer(without_effect(unanswered(error)))),
        };
        let verdict = match report {
            Ok(report) => judge(&report, sent),
            // Half of it may come right the next time.
            Err(Unreadable::Malformed) => lacks("a report that can be read"),
            // It will not be another one by being read again: what it is of is patched singly.
            Err(error @ (Unreadable::TooLarge | Unreadable::Compression(_))) => {
                Verdict::Items(vec![ItemVerdict::Failed(error.to_string()); sent.len()])
            }
        };
        Ok(spoken.answer(verdict))
    }

    /// Which feed it is whose creation began then and had no answer.
    async fn seek(&self, began: Timestamp, items: usize) -> Result<Answer, Answer> {
        let window = [
            ("createdSince", moment(shifted(began, CLOCKS, -1))),
            (
                "createdUntil",
                moment(shifted(began, self.timeout.saturating_add(CLOCKS), 1)),
            ),
        ];
        let mut listed = self.list_feeds(&window).await.map_err(|mut answer| {
            answer.observations.extend([spared(ASK_FEED), spared(REPORTS)]);
            answer
        })?;
        listed.observations.extend([spared(ASK_FEED), spared(REPORTS)]);
        listed.feeds.retain(|(id, _)| !self.known_feeds.has(id));
        let again = Verdict::Items(vec![ItemVerdict::Untouched; items]);
        let waits = Verdict::Pending { ask_in: ASK_IN };
        let is_over = SystemClock.now() > shifted(began, self.timeout.saturating_add(SEEK_FOR), 1);
        let verdict = match listed.feeds.as_slice() {
            [(id, _)] if !listed.more => {
                self.known_feeds.add(id);
                Verdict::Accepted {
                    handle: FeedName::Feed(id.clone()).write().into(),
                    ask_in: Duration::ZERO,
                }
            }
            feeds if !listed.more && is_over && feeds.iter().all(|(_, has_ended)| *has_ended) => again,
            _ => waits,
        };
        Ok(Answer {
            verdict,
            observations: listed.observations,
        })
    }

    async fn list_feeds(&self, filters: &[(&str, String)]) -> Result<Listed, Answer> {
        let mut url = self.feeds_url(&["feeds"]);
        url.query_pairs_mut()
            .append_pair("feedTypes", TYPE)
            .append_pair("marketplaceIds", &self.config.marketplace)
            .append_pair("pageSize", "100")
            .extend_pairs(filters);
        let spoken = self.speak(Method::GET, LIST_FEEDS, url, None).await?;
        let Some(feeds) = spoken.body["feeds"].as_array() else {
            return Err(spoken.answer(lacks("feeds")));
        };
        let feed = |feed: &Value| {
            Some((
                feed["feedId"].as_str()?.to_owned(),
                has_ended(&feed["processingStatus"]),
            ))
        };
        Ok(Listed {
            feeds: feeds.iter().filter_map(feed).collect(),
            more: spoken.body["nextToken"]
                .as_str()
                .is_some_and(|token| !token.is_empty()),
            observations: spoken.observations,
        })
    }

    /// Whether feeds are in the queue or worked on that were created before `until`.
    pub(super) async fn has_feeds_of_before(
        &self,
        until: Timestamp,
        permits: &Permits,
    ) -> Result<bool, NotRead> {
        let filters = [
            ("processingStatuses", "IN_QUEUE,IN_PROGRESS".to_owned()),
            ("createdUntil", moment(until)),
        ];
        let read = async {
            let listed = self.list_feeds(&filters).await.map_err(only_read)?;
            Ok::<_, Answer>((!listed.feeds.is_empty(), listed.observations))
        };
        permits.read(LIST_FEEDS, read).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_asked_about_by_its_name() {
        let at = Timestamp::from_millis(1_795_876_245_000);
        for name in [FeedName::Feed("23492394".to_owned()), FeedName::CreatedAt(at)] {
            assert_eq!(FeedName::read(&name.write()), Some(name));
        }
        for other in ["listing", "feed", "created-at x"] {
            assert_eq!(FeedName::read(other), None, "{other}");
        }
    }
}
