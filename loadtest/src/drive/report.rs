//! What was measured, as a table for people or JSON for programs.

use super::DriveError;
use crate::measure::MeasureError;
use crate::measure::process::{Usage, usage_in};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Longer ones count as this long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Latencies of one kind, in microseconds.
#[derive(Debug)]
pub(super) struct Latency(Histogram<u64>);

impl Latency {
    pub(super) fn new() -> Result<Self, DriveError> {
        let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
        let histogram = Histogram::new_with_bounds(1, longest, 3);
        histogram.map(Self).map_err(DriveError::other)
    }

    pub(super) fn record(&mut self, latency: Duration) {
        self.0
            .saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(super) fn summary(&self) -> Percentiles {
        Percentiles {
            samples: self.0.len(),
            p50: self.0.value_at_quantile(0.5),
            p90: self.0.value_at_quantile(0.9),
            p99: self.0.value_at_quantile(0.99),
            p999: self.0.value_at_quantile(0.999),
            max: self.0.max(),
        }
    }
}

/// In microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Percentiles {
    pub(super) samples: u64,
    pub(super) p50: u64,
    pub(super) p90: u64,
    pub(super) p99: u64,
    pub(super) p999: u64,
    pub(super) max: u64,
}

/// What a process spent.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Cost {
    pub(super) user_ns_per_message: u64,
    pub(super) system_ns_per_message: u64,
    pub(super) resident_bytes: u64,
}

/// Processes whose spending is watched from now on.
#[derive(Debug)]
pub(super) struct Meter {
    watched: Vec<(PathBuf, Usage)>,
}

impl Meter {
    pub(super) fn harness() -> Result<Self, DriveError> {
        Self::of([PathBuf::from("/proc/self")])
    }

    pub(super) fn processes(pids: &[u32]) -> Result<Self, DriveError> {
        Self::of(pids.iter().map(|pid| PathBuf::from(format!("/proc/{pid}"))))
    }

    fn of(directories: impl IntoIterator<Item = PathBuf>) -> Result<Self, DriveError> {
        let watched = directories.into_iter().map(|directory| {
            let before = usage_in(&directory)?;
            Ok::<_, MeasureError>((directory, before))
        });
        Ok(Self {
            watched: watched.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn cost(&self, messages: u64) -> Result<Cost, DriveError> {
        let (mut user_us, mut system_us, mut resident_bytes) = (0, 0, 0);
        for (directory, before) in &self.watched {
            let now = usage_in(directory)?;
            user_us += now.user_us.saturating_sub(before.user_us);
            system_us += now.system_us.saturating_sub(before.system_us);
            resident_bytes += now.resident;
        }
        Ok(Cost {
            user_ns_per_message: user_us * 1000 / messages.max(1),
            system_ns_per_message: system_us * 1000 / messages.max(1),
            resident_bytes,
        })
    }
}

/// The outcome of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) what: &'static str,
    pub(super) offered_per_second: u64,
    pub(super) measured_messages: u64,
    pub(super) measured_ms: u64,
    pub(super) completed_per_second: u64,
    /// From the last message sent until nothing was left in the ingress queue and all answers were in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) drain_ms: Option<u64>,
    pub(super) latency_us: BTreeMap<&'static str, Percentiles>,
    /// How often what came back, warm-up included.
    pub(super) outcomes: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<Cost>,
    pub(super) harness: Cost,
}

impl Report {
    /// For people.
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{}: offered {}/s, completed {}/s ({} messages in {} ms)\n",
            self.what,
            self.offered_per_second,
            self.completed_per_second,
            self.measured_messages,
            self.measured_ms
        );
        text += &format!(
            "{:<24}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
            "latency, µs", "samples", "p50", "p90", "p99", "p99.9", "max"
        );
        for (name, p) in &self.latency_us {
            text += &format!(
                "{name:<24}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
                p.samples, p.p50, p.p90, p.p99, p.p999, p.max
            );
        }
        for (name, count) in &self.outcomes {
            text += &format!("{name:<24}{count:>10}\n");
        }
        if let Some(drain) = self.drain_ms {
            text += &format!("{:<24}{drain:>10} ms\n", "drained after");
        }
        for (name, cost) in [("service", self.service), ("harness", Some(self.harness))] {
            if let Some(cost) = cost {
                text += &cost_line(name, cost);
            }
        }
        text
    }
}

pub(super) fn cost_line(name: &str, cost: Cost) -> String {
    let mut line = String::new();
    // Writing to a String does not fail.
    let written = writeln!(
        line,
        "{name:<24}user {} ns/message, system {} ns/message, resident {} MiB",
        cost.user_ns_per_message,
        cost.system_ns_per_message,
        cost.resident_bytes / (1024 * 1024)
    );
    debug_assert!(written.is_ok());
    line
}

/// Per second, of `messages` within `elapsed`.
pub(super) fn per_second(messages: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(messages) * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

pub(super) fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
