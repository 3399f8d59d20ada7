//! The numbers of a channel.

use super::metrics::MetricsText;
use lockstep_actors::channels::{BreakerState, LaneReport, Report};
use std::time::Duration;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Adds how the channel `name` stands.
pub fn report_channel(name: &str, report: &Report, text: &mut MetricsText) {
    for lane in &report.lanes {
        report_lane(name, lane, text);
    }
    for limit in &report.limits {
        let labels = [("channel", name), ("limit", limit.name.as_str())];
        let gauges = [
            (
                "drawn",
                "Units of a limit that are drawn or under way.",
                limit.drawn,
            ),
            ("units", "Units of a limit in all.", limit.of),
        ];
        for (gauge, help, value) in gauges {
            text.gauge(&format!("lockstep_channel_limit_{gauge}"), help, &labels, value);
        }
        text.counter(
            "lockstep_channel_limit_drawn_total",
            "Units of a limit that were ever drawn.",
            &labels,
            limit.counted,
        );
    }
    for operation in &report.operations {
        let labels = [("channel", name), ("operation", operation.name.as_str())];
        let counters = [
            ("requests", "Requests.", operation.requests),
            (
                "throttled",
                "Requests that were too much at once.",
                operation.throttled,
            ),
            ("failed", "Requests that failed.", operation.failed),
        ];
        for (counter, help, value) in counters {
            text.counter(&format!("lockstep_channel_{counter}_total"), help, &labels, value);
        }
        text.gauge(
            "lockstep_channel_breaker_open",
            "1 while an operation is left alone.",
            &labels,
            u64::from(operation.breaker != BreakerState::Closed),
        );
    }
    text.gauge(
        "lockstep_channel_paused",
        "1 while a person has stopped the channel.",
        &[("channel", name)],
        u64::from(report.paused),
    );
}

fn report_lane(name: &str, lane: &LaneReport, text: &mut MetricsText) {
    let labels = [("channel", name), ("kind", lane.kind.name())];
    let counts = &lane.counts;
    let counters = [
        ("taken", "Items that the channel took.", counts.taken),
        ("retried", "Items that failed and are sent again.", counts.retried),
        ("refused", "Items that the channel refused.", counts.refused),
        (
            "conflicts",
            "Items of which the channel showed something else than expected.",
            counts.conflicts,
        ),
        (
            "doubted",
            "Items of which it was not known whether the channel took them.",
            counts.doubted,
        ),
        ("sampled", "SKUs looked at by sampling.", counts.sampled),
        (
            "drifted",
            "SKUs of which the channel showed something else than it was told.",
            counts.drifted,
        ),
    ];
    for (counter, help, value) in counters {
        text.counter(
            &format!("lockstep_channel_{counter}_items_total"),
            help,
            &labels,
            value,
        );
    }
    let left = lane.resync.map_or(0, |resync| resync.left);
    let gauges = [
        (
            "untold_skus",
            "SKUs that the channel has not been told.",
            lane.untold as u64,
        ),
        (
            "oldest_milliseconds",
            "How long the oldest of them has waited.",
            millis(lane.oldest),
        ),
        (
            "exceptions",
            "SKUs that the channel will not take.",
            lane.exceptions as u64,
        ),
        ("resync_left_skus", "SKUs still to be told again.", left as u64),
    ];
    for (gauge, help, value) in gauges {
        text.gauge(&format!("lockstep_channel_{gauge}"), help, &labels, value);
    }
    for (quantile, permille) in [("0.5", 500), ("0.9", 900), ("0.99", 990), ("0.999", 999)] {
        let labels = [
            ("channel", name),
            ("kind", lane.kind.name()),
            ("quantile", quantile),
        ];
        text.gauge(
            "lockstep_channel_age_milliseconds",
            "How old values were when the channel took them, to a fifth.",
            &labels,
            millis(lane.ages.percentile(permille)),
        );
    }
}
