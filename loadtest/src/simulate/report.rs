//! What came of the histories, for people and for programs.

use super::audit::Violation;
use super::clock::{BEGINNING, HOUR, Millis};
use super::faults::{Fault, Tally};
use super::features::Feature;
use super::order_model::Coverage;
use super::world::{Setting, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What came of one seed.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) seed: u64,
    pub(super) orders: u64,
    pub(super) entries: u64,
    pub(super) simulated: Millis,
    pub(super) digest: u64,
    pub(super) violation: Option<Violation>,
    pub(super) tally: Tally,
    pub(super) coverage: Coverage,
    /// What was asked to be seen of it.
    pub(super) trace: Vec<String>,
    statuses: BTreeMap<&'static str, u64>,
}

impl History {
    pub(super) fn of(world: &World) -> Self {
        let mut statuses = BTreeMap::new();
        for order in world.audit.orders.values() {
            if let Some(status) = order.status {
                *statuses.entry(status.name()).or_default() += 1;
            }
        }
        let mut tally = world.tally.clone();
        tally.count_many(Fault::CommitRefused, world.store.fenced());
        Self {
            seed: world.setting.seed,
            orders: world.house.orders.len() as u64,
            entries: world.audit.entries,
            simulated: world.now - BEGINNING,
            digest: world.audit.digest(),
            violation: world.audit.violations.first().cloned(),
            tally,
            coverage: world.audit.coverage.clone(),
            trace: world.audit.trace.clone(),
            statuses,
        }
    }

    pub(super) fn broken(setting: Setting, what: String) -> Self {
        Self {
            seed: setting.seed,
            orders: 0,
            entries: 0,
            simulated: 0,
            digest: 0,
            violation: Some(Violation { promise: 0, what }),
            tally: Tally::default(),
            coverage: Coverage::default(),
            trace: Vec::new(),
            statuses: BTreeMap::new(),
        }
    }
}

/// What came of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    seeds: u64,
    orders: u64,
    entries: u64,
    simulated: Millis,
    took: Duration,
    tally: Tally,
    coverage: Coverage,
    statuses: BTreeMap<&'static str, u64>,
    violations: Vec<(u64, Violation)>,
    digest: u64,
}

impl Summary {
    pub(super) fn add(&mut self, history: &History) {
        self.seeds += 1;
        self.digest = self.digest.rotate_left(1) ^ history.digest;
        self.orders += history.orders;
        self.entries += history.entries;
        self.simulated += history.simulated;
        self.tally.add(&history.tally);
        self.coverage.add(&history.coverage);
        for (status, count) in &history.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        let violation = history.violation.clone();
        self.violations
            .extend(violation.map(|violation| (history.seed, violation)));
    }

    /// So long it took, all histories together.
    pub(super) fn took(&mut self, took: Duration) {
        self.took = took;
    }

    /// The first seed in which a promise was broken.
    pub(super) fn failed(&self) -> Option<u64> {
        self.violations.first().map(|(seed, _)| *seed)
    }

    /// Simulated hours, in thousandths, and how many of them in a real second.
    fn hours(&self) -> (i64, i64) {
        let thousandths = self.simulated * 1_000 / HOUR;
        let millis = i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX).max(1);
        (thousandths, thousandths * 1_000 / millis)
    }

    pub(super) fn json(&self, repeat: Option<&str>) -> Value {
        let (hours, speed) = self.hours();
        let faults: BTreeMap<_, _> = Fault::ALL
            .iter()
            .map(|fault| (fault.name(), self.tally.of(*fault)))
            .collect();
        let features: BTreeMap<_, _> = Feature::ALL
            .iter()
            .map(|feature| (feature.name(), self.coverage.features.of(*feature)))
            .collect();
        let violations: Vec<_> = self
            .violations
            .iter()
            .map(|(seed, violation)| json!({ "seed": seed, "promise": violation.promise, "what": violation.what }))
            .collect();
        let (statuses, transitions) = (self.coverage.statuses(), self.coverage.transitions());
        json!({
            "seeds": self.seeds,
            "orders": self.orders,
            "entries": self.entries,
            "simulated_hours": decimal(hours),
            "simulated_hours_per_second": decimal(speed),
            "seconds": decimal(i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX)),
            "ended": self.statuses,
            "faults": faults,
            "faults_not_met": self.tally.missing(),
            "coverage": {
                "statuses": { "reached": statuses.0, "of": statuses.1 },
                "transitions": { "reached": transitions.0, "of": transitions.1, "missing": self.coverage.missing() },
                "exceptions": self.coverage.exceptions,
                "features": features,
                "features_missing": self.coverage.features.missing(),
            },
            "violations": violations,
            "digest": format!("{:016x}", self.digest),
            "repeat": repeat,
        })
    }
}

/// Thousandths as a decimal.
fn decimal(thousandths: i64) -> Value {
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, speed) = self.hours();
        writeln!(
            formatter,
            "{} seeds, {} orders, {} journal entries, {} simulated hours, {} simulated hours a second",
            self.seeds,
            self.orders,
            self.entries,
            decimal(hours),
            decimal(speed)
        )?;
        let ended: Vec<String> = self
            .statuses
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        writeln!(formatter, "orders ended: {}", ended.join(", "))?;
        writeln!(formatter, "faults:")?;
        for fault in Fault::ALL {
            writeln!(formatter, "  {:<44} {:>9}", fault.name(), self.tally.of(*fault))?;
        }
        let (statuses, transitions) = (self.coverage.statuses(), self.coverage.transitions());
        writeln!(
            formatter,
            "coverage: {} of {} order statuses, {} of {} changes of status",
            statuses.0, statuses.1, transitions.0, transitions.1
        )?;
        let raised: Vec<String> = self
            .coverage
            .exceptions
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        writeln!(formatter, "exceptions: {}", raised.join(", "))?;
        writeln!(formatter, "reached besides:")?;
        for feature in Feature::ALL {
            let times = self.coverage.features.of(*feature);
            writeln!(formatter, "  {:<62} {times:>9}", feature.name())?;
        }
        writeln!(formatter, "violations: {}", self.violations.len())?;
        write!(formatter, "digest: {:016x}", self.digest)
    }
}
