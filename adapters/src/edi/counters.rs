//! What was exchanged with a partner since the start, in numbers.

use crate::http::MetricsText;
use lockstep_actors::edi::partner::{PartnerStanding, Verdict};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often what happened. Written by the tasks of a partner, read at each scrape.
#[derive(Debug, Default)]
pub struct EdiCounters {
    /// Interchanges taken up.
    pub(super) taken: AtomicU64,
    /// Interchanges that had come before.
    pub(super) repeated: AtomicU64,
    /// Interchanges and files that could not be read or are not this partner's.
    pub(super) failed: AtomicU64,
    /// Purchase orders taken.
    pub(super) orders: AtomicU64,
    /// Purchase orders refused.
    pub(super) refused: AtomicU64,
    /// Transaction sets by what was answered.
    pub(super) sets: [AtomicU64; 3],
    /// Acknowledgements by what they say.
    pub(super) answers: [AtomicU64; 3],
    /// Acknowledgements that nobody waits for, or that cannot be read.
    pub(super) unexpected: AtomicU64,
    /// Files put into `out`.
    pub(super) written: AtomicU64,
    /// Documents that could not be written for the partner.
    pub(super) unsayable: AtomicU64,
    /// Failures of the directory.
    pub(super) disk: AtomicU64,
}

const VERDICTS: [(Verdict, &str); 3] = [
    (Verdict::Accepted, "accepted"),
    (Verdict::AcceptedWithErrors, "accepted-with-errors"),
    (Verdict::Rejected, "rejected"),
];

fn place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Accepted => 0,
        Verdict::AcceptedWithErrors => 1,
        Verdict::Rejected => 2,
    }
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn count(counters: &[AtomicU64; 3], verdict: Verdict) {
    add(&counters[place(verdict)]);
}

/// Adds what was exchanged with the partner `name`, and how it stands.
pub fn report_edi(
    name: &str,
    counters: &EdiCounters,
    standing: Option<&PartnerStanding>,
    text: &mut MetricsText,
) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let partner = [("partner", name)];
    let simple = [
        ("interchanges_taken", "Interchanges taken up.", &counters.taken),
        (
            "interchanges_repeated",
            "Interchanges that had come before.",
            &counters.repeated,
        ),
        (
            "interchanges_failed",
            "Files and interchanges that could not be read, or are not this partner's.",
            &counters.failed,
        ),
        ("orders_taken", "Purchase orders taken.", &counters.orders),
        ("orders_refused", "Purchase orders refused.", &counters.refused),
        (
            "acknowledgements_unexpected",
            "Acknowledgements that nobody waits for, or that cannot be read.",
            &counters.unexpected,
        ),
        ("files_written", "Files put into out.", &counters.written),
        (
            "documents_unsayable",
            "Documents that could not be written for the partner; they stand in failed.",
            &counters.unsayable,
        ),
        ("directory_failures", "Failures of the directory.", &counters.disk),
    ];
    for (counter, help, value) in simple {
        text.counter(
            &format!("lockstep_edi_{counter}_total"),
            help,
            &partner,
            read(value),
        );
    }
    for (verdict, word) in VERDICTS {
        let labels = [("partner", name), ("verdict", word)];
        text.counter(
            "lockstep_edi_sets_total",
            "Transaction sets that came in, by what was answered.",
            &labels,
            read(&counters.sets[place(verdict)]),
        );
        text.counter(
            "lockstep_edi_acknowledgements_total",
            "Acknowledgements of what went out, by what they say.",
            &labels,
            read(&counters.answers[place(verdict)]),
        );
    }
    let awaited = standing.map_or(0, |standing| standing.awaited.len());
    let overdue = standing.map_or(0, PartnerStanding::overdue);
    let rejected = standing.map_or(0, |standing| standing.totals.rejected);
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    text.gauge(
        "lockstep_edi_awaited",
        "Documents that await their acknowledgement.",
        &partner,
        number(awaited),
    );
    text.gauge(
        "lockstep_edi_overdue",
        "Documents whose acknowledgement has not come in time.",
        &partner,
        number(overdue),
    );
    text.counter(
        "lockstep_edi_rejected_total",
        "Documents that the partner has rejected, ever.",
        &partner,
        rejected,
    );
}
