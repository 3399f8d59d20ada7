//! Metrics in Prometheus' text format. Sources of numbers are registered at the start and read at each scrape.

use crate::amqp::AmqpMetrics;
use crate::erp::{ErpMetrics, ReadCounters};
use lockstep_runtime::ingress::RuntimeMetrics;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};
use std::collections::BTreeMap;

/// Where numbers come from: called at each scrape, on the thread of the request, so it must not wait.
pub type MetricSource = Box<dyn Fn(&mut MetricsText) + Send + Sync>;

/// The content type of the text.
pub(super) const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers of one scrape. Samples of one name are kept together, whoever adds them and when.
#[derive(Debug, Default)]
pub struct MetricsText {
    families: BTreeMap<String, MetricFamily>,
}

impl MetricsText {
    /// Adds a number that only grows. `name` ends in `_total`, as in `lockstep_erp_calls_total`.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        let mut metric = labelled(labels);
        let mut counter = Counter::default();
        counter.set_value(value as f64);
        metric.set_counter(counter);
        self.add(name, help, MetricType::COUNTER, metric);
    }

    /// Adds a counter of seconds from nanoseconds.
    pub fn seconds(&mut self, name: &str, help: &str, labels: &[(&str, &str)], nanoseconds: u64) {
        let mut metric = labelled(labels);
        let mut counter = Counter::default();
        counter.set_value(std::time::Duration::from_nanos(nanoseconds).as_secs_f64());
        metric.set_counter(counter);
        self.add(name, help, MetricType::COUNTER, metric);
    }

    /// Adds a number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: u64) {
        let mut metric = labelled(labels);
        let mut gauge = Gauge::default();
        gauge.set_value(value as f64);
        metric.set_gauge(gauge);
        self.add(name, help, MetricType::GAUGE, metric);
    }

    pub(super) fn families(&mut self, families: Vec<MetricFamily>) {
        for family in families {
            self.families.insert(family.name().to_owned(), family);
        }
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metric: Metric) {
        let family = self.families.entry(name.to_owned()).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family
        });
        family.mut_metric().push(metric);
    }

    pub(super) fn encode(self) -> Result<Vec<u8>, prometheus::Error> {
        let families: Vec<_> = self.families.into_values().collect();
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

/// Adds what the runtime has done.
pub(super) fn report_runtime(metrics: &RuntimeMetrics, text: &mut MetricsText) {
    for (index, shard) in metrics.shards.iter().enumerate() {
        let index = index.to_string();
        let labels = [("shard", index.as_str())];
        let counters = [
            ("decided", "Messages decided.", shard.decided),
            (
                "repeated",
                "Messages that had been decided before.",
                shard.repeated,
            ),
            ("dead_lettered", "Messages given up.", shard.dead_lettered),
            (
                "panics",
                "Panics of entities that cost more than a message.",
                shard.panics,
            ),
            ("batches", "Batches handed to the store.", shard.batches),
            ("entries", "Journal entries handed to the store.", shard.entries),
            ("activations", "Entities activated.", shard.activations),
            ("passivations", "Entities passivated.", shard.passivations),
            (
                "recoveries",
                "Times the shard was built from the store.",
                shard.recoveries,
            ),
        ];
        for (name, help, value) in counters {
            text.counter(&format!("lockstep_shard_{name}_total"), help, &labels, value);
        }
    }
    for (index, &depth) in metrics.mailbox_depths.iter().enumerate() {
        text.gauge(
            "lockstep_shard_mailbox_depth",
            "Deliveries waiting in the mailbox.",
            &[("shard", &index.to_string())],
            depth as u64,
        );
    }
    for lag in &metrics.consumers {
        text.gauge(
            "lockstep_consumer_lag_entries",
            "Durable journal entries that a consumer (ERP, channel, events) has not dealt with or passed over.",
            &[("consumer", &lag.consumer)],
            lag.entries,
        );
    }
    let writer = metrics.writer;
    let counters = [
        ("commits", "Commits, each with one sync.", writer.commits),
        ("batches", "Batches committed.", writer.batches),
        ("failures", "Failures of the store.", writer.failures),
    ];
    for (name, help, value) in counters {
        text.counter(&format!("lockstep_writer_{name}_total"), help, &[], value);
    }
    text.seconds(
        "lockstep_writer_commit_seconds_total",
        "Time spent in commits.",
        &[],
        writer.commit_nanos,
    );
}

/// Adds what the ERP worker has done, and how it stands where it asks.
pub fn report_erp(metrics: &ErpMetrics, text: &mut MetricsText) {
    let outcomes = [
        ("confirmed", metrics.confirmed),
        ("rejected", metrics.rejected),
        ("transient", metrics.transient),
        ("unknown", metrics.unknown),
    ];
    for (outcome, value) in outcomes {
        text.counter(
            "lockstep_erp_calls_total",
            "Calls of the ERP by what came of them.",
            &[("outcome", outcome)],
            value,
        );
    }
    text.counter(
        "lockstep_erp_unreadable_total",
        "Effects for the ERP that are no request.",
        &[],
        metrics.unreadable,
    );
    text.counter(
        "lockstep_erp_dead_lettered_total",
        "Answers of the ERP that the order could not digest.",
        &[],
        metrics.dead_lettered,
    );
    if !metrics.asks {
        return;
    }
    text.gauge(
        "lockstep_erp_in_flight",
        "Calls of the ERP under way.",
        &[],
        metrics.in_flight,
    );
    text.gauge(
        "lockstep_erp_breaker_open",
        "1 while the ERP is left alone.",
        &[],
        metrics.breaker_open,
    );
    text.gauge(
        "lockstep_erp_maintenance",
        "1 while one of the ERP's maintenance windows lasts.",
        &[],
        metrics.maintenance,
    );
}

/// Adds what was read from the ERP.
pub fn report_erp_reading(counters: &ReadCounters, text: &mut MetricsText) {
    for (what, metrics) in counters.read() {
        let what = what.name();
        for (outcome, value) in [("made", metrics.made), ("failed", metrics.failed)] {
            text.counter(
                "lockstep_erp_readings_total",
                "Readings of the ERP, whole or of changes.",
                &[("what", what), ("outcome", outcome)],
                value,
            );
        }
        for (outcome, value) in [("taken", metrics.taken), ("put-aside", metrics.put_aside)] {
            text.counter(
                "lockstep_erp_read_messages_total",
                "Messages made of what was read from the ERP, by what became of them.",
                &[("what", what), ("outcome", outcome)],
                value,
            );
        }
    }
}

/// What the AMQP adapter has done.
pub fn report_amqp(metrics: &AmqpMetrics, text: &mut MetricsText) {
    let counters = [
        (
            "received",
            "Deliveries taken from the broker, redelivered ones included.",
            metrics.received,
        ),
        ("acknowledged", "Deliveries acknowledged.", metrics.acknowledged),
        (
            "dead_lettered",
            "Deliveries whose dead letter the broker has confirmed.",
            metrics.dead_lettered,
        ),
        (
            "replied",
            "Answers to reply_to that the broker has confirmed.",
            metrics.replied,
        ),
        ("unanswered", "Answers that no queue took.", metrics.unanswered),
        (
            "published",
            "Status events that the broker confirmed.",
            metrics.published,
        ),
        (
            "connections",
            "Connections of the consumer made.",
            metrics.connections,
        ),
        (
            "misdirected",
            "Messages in a partition's queue that belong to another one, and were routed on.",
            metrics.misdirected,
        ),
    ];
    for (name, help, value) in counters {
        text.counter(&format!("lockstep_amqp_{name}_total"), help, &[], value);
    }
    text.gauge(
        "lockstep_amqp_connected",
        "1 while the consumer is connected.",
        &[],
        metrics.connected,
    );
    text.gauge(
        "lockstep_amqp_under_way",
        "Deliveries that are not acknowledged.",
        &[],
        metrics.under_way,
    );
    text.gauge(
        "lockstep_amqp_partitions",
        "Partitions whose own queue is read.",
        &[],
        metrics.partitions,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_stand_together_under_one_help_and_labels_are_escaped() {
        let mut text = MetricsText::default();
        let help = "Levels that the channel has taken.";
        text.counter("lockstep_channel_sent_total", help, &[("channel", "web")], 0);
        text.gauge("lockstep_other", "Other.", &[], 3);
        text.counter("lockstep_channel_sent_total", help, &[("channel", "a\"b")], 7);
        let text = String::from_utf8(text.encode().unwrap()).unwrap();
        assert!(
            text.contains(
                "# TYPE lockstep_channel_sent_total counter\n\
                 lockstep_channel_sent_total{channel=\"web\"} 0\n\
                 lockstep_channel_sent_total{channel=\"a\\\"b\"} 7\n"
            ),
            "{text}"
        );
        assert_eq!(text.matches("# HELP lockstep_channel_sent_total").count(), 1);
    }
}
