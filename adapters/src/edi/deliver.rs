//! Writes what goes out to a partner into its directory, from the journal.

use super::config::PartnerConfig;
use super::counters::{EdiCounters, add};
use super::element::moment;
use super::write::render;
use crate::directories::{Delivered, Directories};
use crate::egress::{Entries, next_until};
use lockstep_actors::edi::partner::{Interchange, TradingPartner};
use lockstep_actors::ids::PartnerName;
use lockstep_runtime::entity::{Entity, EntityId};
use lockstep_runtime::feed::FeedEntry;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How many entries are read at once.
const AT_ONCE: usize = 64;
/// The pause before a directory that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Puts documents into `out` until `stop` turns true or the node ends.
pub(super) async fn deliver(
    mut feed: impl Entries,
    partner: Arc<PartnerConfig>,
    directories: Directories,
    counters: Arc<EdiCounters>,
    mut stop: watch::Receiver<bool>,
) {
    while let Some(entries) = next_until(&mut feed, AT_ONCE, &mut stop).await {
        for entry in entries.iter().filter(|entry| is_of(entry, &partner.name)) {
            for interchange in interchanges(entry) {
                if !write(&partner, &directories, &counters, interchange, &mut stop).await {
                    return;
                }
            }
        }
        feed.save_all(&entries);
    }
}

fn is_of(entry: &FeedEntry, partner: &PartnerName) -> bool {
    entry.kind == TradingPartner::KIND && PartnerName::decode(&entry.entity).as_ref() == Some(partner)
}

fn interchanges(entry: &FeedEntry) -> Vec<Interchange> {
    let read = |body: &[u8]| {
        rmp_serde::from_slice(body)
            .inspect_err(|error| tracing::error!(%error, "what goes out to a partner cannot be read"))
            .ok()
    };
    entry
        .outbound
        .iter()
        .filter_map(|effect| read(&effect.body))
        .collect()
}

/// Writes one, however often it takes; `false` if there is no more time for that.
async fn write(
    partner: &Arc<PartnerConfig>,
    directories: &Directories,
    counters: &EdiCounters,
    interchange: Interchange,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    let interchange = Arc::new(interchange);
    loop {
        let (profile, sent) = (Arc::clone(partner), Arc::clone(&interchange));
        match directories.work(move |places| put(&profile, places, &sent)).await {
            Ok(Put::Written(Delivered::Now)) => add(&counters.written),
            Ok(Put::Written(Delivered::Before)) => {}
            Ok(Put::Unsayable) => add(&counters.unsayable),
            Err(error) => {
                add(&counters.disk);
                tracing::warn!(partner = %partner.name, %error, "a document cannot be put into out; it is tried again");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => continue,
                    _ = stop.wait_for(|stop| *stop) => return false,
                }
            }
        }
        return true;
    }
}

enum Put {
    Written(Delivered),
    Unsayable,
}

/// The name of a file that goes out: the partner, when it was decided, the control number, the transaction set. The moment
/// keeps it apart from one of the same number that an earlier store has sent.
fn name_of(partner: &PartnerConfig, interchange: &Interchange) -> String {
    let at = moment(interchange.at).strftime("%Y%m%dT%H%M%S");
    format!(
        "{}-{at}-{:09}-{}.edi",
        partner.name, interchange.control, interchange.set
    )
}

fn put(partner: &PartnerConfig, directories: &Directories, interchange: &Interchange) -> io::Result<Put> {
    let name = name_of(partner, interchange);
    match render(partner, interchange) {
        Ok(text) => directories.deliver(&name, &text).map(Put::Written),
        Err(error) => {
            tracing::error!(partner = %partner.name, control = interchange.control, %error, "a document cannot be written");
            directories.unsayable(&name, &interchange.body, &error.to_string())?;
            Ok(Put::Unsayable)
        }
    }
}
