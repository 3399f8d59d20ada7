//! What the ERP was asked and the channels were told, as far as this process did it.

use crate::service::Service;
use lockstep_actors::channels::LaneCounts;
use serde::Serialize;
use std::fmt::Write;

/// Whom a replay met outside, and what came of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outside {
    pub(super) erp: Asked,
    pub(super) channels: Vec<Told>,
}

/// Requests to the ERP by what came of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Asked {
    /// Carried out: bookings, lookups, cancellations.
    pub(super) confirmed: u64,
    /// Refused in the ERP's words.
    pub(super) rejected: u64,
    /// Came to nothing, asked again.
    pub(super) failed: u64,
    /// Not answered, looked up.
    pub(super) unanswered: u64,
}

/// What a channel was told.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) channel: String,
    /// Items that it took.
    pub(super) taken: u64,
    /// Items sent again.
    pub(super) retried: u64,
    /// Items that it will not take, in its words: `GET /v1/channels` of a service shows them.
    pub(super) refused: u64,
    /// Requests that were too much at once for it.
    pub(super) throttled: u64,
}

impl Outside {
    pub(super) fn of(service: &Service) -> Self {
        let erp = service.erp_counters().read();
        let channels = service.channels().iter().filter_map(|channel| {
            let report = channel.handle.status.read()?;
            let sum =
                |count: fn(&LaneCounts) -> u64| report.lanes.iter().map(|lane| count(&lane.counts)).sum();
            Some(Told {
                channel: channel.handle.name.clone(),
                taken: sum(|counts| counts.taken),
                retried: sum(|counts| counts.retried),
                refused: sum(|counts| counts.refused),
                throttled: report
                    .operations
                    .iter()
                    .map(|operation| operation.throttled)
                    .sum(),
            })
        });
        Self {
            erp: Asked {
                confirmed: erp.confirmed,
                rejected: erp.rejected,
                failed: erp.transient,
                unanswered: erp.unknown,
            },
            channels: channels.collect(),
        }
    }

    /// A line for each of them.
    pub(super) fn write(&self, text: &mut String) -> std::fmt::Result {
        let Asked {
            confirmed,
            rejected,
            failed,
            unanswered,
        } = self.erp;
        writeln!(
            text,
            "erp         {confirmed} requests done, {rejected} refused, {failed} failed, {unanswered} not answered"
        )?;
        for told in &self.channels {
            writeln!(
                text,
                "channel     {}: {} items taken, {} sent again, {} refused, {} requests too many",
                told.channel, told.taken, told.retried, told.refused, told.throttled
            )?;
        }
        Ok(())
    }
}
