//! What every way out shares: reading committed entries, and refusing a wrong setting so that a person can mend it.

use lockstep_actors::domain::Distributor;
use lockstep_runtime::feed::{Feed, FeedClosed, FeedEntry, FeedFilter, NotOpened};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// Committed entries and a durable cursor for each partition: the runtime's feed, or a test's.
///
/// `next` may be dropped while it waits; nothing is lost by that.
pub trait Entries {
    /// The next entries, about `limit` at most; waits until there is one.
    fn next(&mut self, limit: usize) -> impl Future<Output = Result<Vec<FeedEntry>, FeedClosed>> + Send;
    /// Everything of `partition` up to `sequence` is dealt with.
    fn save(&mut self, partition: PartitionId, sequence: Sequence);
    /// All of these entries, as they were read, are dealt with.
    fn save_all(&mut self, entries: &[FeedEntry]) {
        let newest: BTreeMap<PartitionId, Sequence> = entries
            .iter()
            .map(|entry| (entry.partition, entry.sequence))
            .collect();
        for (partition, sequence) in newest {
            self.save(partition, sequence);
        }
    }
}

/// The next entries, about `limit` at most; `None` once `stop` has turned true or the node has ended.
pub(crate) async fn next_until(
    feed: &mut impl Entries,
    limit: usize,
    stop: &mut watch::Receiver<bool>,
) -> Option<Vec<FeedEntry>> {
    tokio::select! {
        entries = feed.next(limit) => entries.ok(),
        _ = stop.wait_for(|stop| *stop) => None,
    }
}

/// The pause before it is looked again how far a consumer has come, when that cannot be read.
const PAUSE: Duration = Duration::from_millis(500);

/// The entries of all partitions from where the consumer has stopped, on whichever node, as soon as that can be read; none if it never
/// can, of which a person is told.
pub(crate) async fn feed_of_all(
    ingress: &Ingress<Distributor>,
    consumer: &str,
    filter: FeedFilter,
) -> Option<Feed> {
    loop {
        let (opened_by, name) = (ingress.clone(), consumer.to_owned());
        match tokio::task::spawn_blocking(move || opened_by.feed_of_all(&name, filter)).await {
            Ok(Ok(feed)) => return Some(feed),
            Ok(Err(NotOpened::Unknown(error))) => {
                tracing::error!(%error, "nobody reads for it");
                return None;
            }
            Ok(Err(error @ (NotOpened::Store(_) | NotOpened::Away))) => {
                tracing::warn!(%error, consumer, "how far a consumer has come cannot be read; it is tried again");
            }
            // The process ends.
            Err(_) => return None,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Entries for Feed {
    async fn next(&mut self, limit: usize) -> Result<Vec<FeedEntry>, FeedClosed> {
        Self::next(self, limit).await
    }

    fn save(&mut self, partition: PartitionId, sequence: Sequence) {
        Self::save(self, partition, sequence);
    }
}

/// The body of an answer; none if it has more than so many bytes.
pub(crate) async fn body_within(
    mut response: reqwest::Response,
    most: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value:?} cannot be used; allowed: {allowed}")]
pub struct InvalidSetting {
    /// Which.
    pub key: String,
    /// What it was.
    pub value: String,
    /// What it may be.
    pub allowed: &'static str,
}

/// Refuses `value` unless it lies between `least` and `most`.
pub(crate) fn within(
    key: &str,
    value: u64,
    least: u64,
    most: u64,
    allowed: &'static str,
) -> Result<(), InvalidSetting> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting {
        key: key.to_owned(),
        value: value.to_string(),
        allowed,
    })
}

/// A client that neither follows redirects nor repeats a request by itself: whoever asks decides what is asked again.
pub(crate) fn web_client(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
}

/// Reads an absolute `http` or `https` URL.
pub(crate) fn web_address(key: &str, value: Option<&str>) -> Result<reqwest::Url, InvalidSetting> {
    let text = value.unwrap_or_default();
    let parsed = reqwest::Url::parse(text).ok();
    parsed
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| InvalidSetting {
            key: key.to_owned(),
            value: text.to_owned(),
            allowed: "an absolute http or https URL",
        })
}
