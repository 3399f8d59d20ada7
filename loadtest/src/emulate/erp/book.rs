//! The ERP's books, pure: what is booked, what is a duplicate, and how often what happened.
//!
//! Invariants:
//! - under [`Duplicates::Refuse`] a reference is booked at most once;
//! - `stats.double_booked` is the number of bookings beyond the first of their reference.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What becomes of a second booking of the same reference under another idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Duplicates {
    /// It is answered with 409.
    Refuse,
    /// It is booked again, so that a test sees the double booking.
    Accept,
}

/// Whether a repeated idempotency key is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Idempotency {
    /// The first booking is answered again.
    Honour,
    /// The key is not looked at, as with many an old ERP.
    Ignore,
}

/// One booking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Booking {
    /// The ERP's own number for it.
    pub number: String,
    /// The order key of the system that booked.
    pub reference: String,
    /// The idempotency key it was created with.
    pub idempotency_key: String,
    /// `true` once cancelled.
    pub cancelled: bool,
    /// The order as it came.
    pub order: Value,
}

/// A credit note or a change of a booking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paper {
    /// The ERP's own number for it.
    pub number: String,
    /// The booking's reference, the kind and the paper's own number, as in `web/1/credits/CN-1`.
    pub key: String,
    /// What it says, as it came.
    pub content: Value,
}

/// What a request to post a paper comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Posted {
    /// To be posted: not held until [`Book::keep`].
    New(Paper),
    /// Held already.
    Before(Paper),
    /// Held already with another content.
    Another,
    /// Nothing is booked under the reference.
    NotBooked,
}

/// How often what happened since the start; `bookings` and `double_booked` also count what the journal held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErpStats {
    /// Bookings held, cancelled ones included.
    pub bookings: u64,
    /// Bookings held beyond the first of their reference: each one is goods sent twice.
    pub double_booked: u64,
    /// Bookings answered again because their key was known.
    pub replayed: u64,
    /// Attempts to book a reference again under another key.
    pub duplicate_attempts: u64,
    /// Bookings cancelled since the start.
    pub cancelled: u64,
    /// Questions for one reference.
    pub lookups: u64,
    /// Requests refused for a reason of the trade.
    pub rejected: u64,
    /// How many requests of any kind were under way at a time at most.
    pub most_at_once: u64,
}

/// What a request to book comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Created {
    /// To be booked: not held until [`Book::commit`].
    Booked(Booking),
    /// Held already under the same key.
    Replayed(Booking),
    /// Held already under another key, and refused.
    Duplicate(Booking),
    /// No order.
    Invalid(&'static str),
}

/// The books.
#[derive(Debug)]
pub struct Book {
    duplicates: Duplicates,
    idempotency: Idempotency,
    by_reference: BTreeMap<String, Vec<Booking>>,
    papers: BTreeMap<String, Vec<Paper>>,
    stats: ErpStats,
}

impl Book {
    pub(super) fn new(duplicates: Duplicates, idempotency: Idempotency) -> Self {
        Self {
            duplicates,
            idempotency,
            by_reference: BTreeMap::new(),
            papers: BTreeMap::new(),
            stats: ErpStats::default(),
        }
    }

    pub(super) fn create(&mut self, key: &str, order: &Value) -> Created {
        let reference = match check_order(order) {
            Ok(reference) => reference,
            Err(reason) => {
                self.stats.rejected += 1;
                return Created::Invalid(reason);
            }
        };
        let held = self.bookings_of(reference);
        if let Some(first) = held.first().cloned() {
            let repeated = self.idempotency == Idempotency::Honour && !key.is_empty();
            if repeated
                && let Some(same) = held
                    .iter()
                    .find(|booking| booking.idempotency_key == key)
                    .cloned()
            {
                self.stats.replayed += 1;
                return Created::Replayed(same);
            }
            self.stats.duplicate_attempts += 1;
            match self.duplicates {
                Duplicates::Refuse => return Created::Duplicate(first),
                Duplicates::Accept => {}
            }
        }
        Created::Booked(Booking {
            number: format!("ERP-{:08}", self.stats.bookings + 1),
            reference: reference.to_owned(),
            idempotency_key: key.to_owned(),
            cancelled: false,
            order: order.clone(),
        })
    }

    pub(super) fn commit(&mut self, booking: Booking) {
        let held = self.by_reference.entry(booking.reference.clone()).or_default();
        self.stats.bookings += 1;
        self.stats.double_booked += u64::from(!held.is_empty());
        held.push(booking);
    }

    /// Posts a paper of a booking. Where the key is not looked at, a repeat is posted again.
    pub(super) fn post(&self, reference: &str, kind: &str, document: &str, content: &Value) -> Posted {
        if self.bookings_of(reference).is_empty() {
            return Posted::NotBooked;
        }
        let key = format!("{reference}/{kind}/{document}");
        match self.papers_of(&key).first() {
            Some(held) if self.idempotency == Idempotency::Honour && held.content == *content => {
                Posted::Before(held.clone())
            }
            Some(_) if self.idempotency == Idempotency::Honour => Posted::Another,
            Some(_) | None => Posted::New(Paper {
                number: format!(
                    "PAPER-{:08}",
                    self.papers.values().map(Vec::len).sum::<usize>() + 1
                ),
                key,
                content: content.clone(),
            }),
        }
    }

    pub(super) fn keep(&mut self, paper: Paper) {
        self.papers.entry(paper.key.clone()).or_default().push(paper);
    }

    pub(super) fn papers_of(&self, key: &str) -> &[Paper] {
        self.papers.get(key).map_or(&[], Vec::as_slice)
    }

    /// Cancels everything under `reference`; how many were not cancelled before.
    pub(super) fn cancel(&mut self, reference: &str) -> u64 {
        let mut cancelled = 0;
        for booking in self.by_reference.get_mut(reference).into_iter().flatten() {
            cancelled += u64::from(!booking.cancelled);
            booking.cancelled = true;
        }
        self.stats.cancelled += cancelled;
        cancelled
    }

    pub(super) fn count(&mut self, counter: impl FnOnce(&mut ErpStats) -> &mut u64) {
        *counter(&mut self.stats) += 1;
    }

    /// So many requests are under way.
    pub(super) fn at_once(&mut self, requests: u64) {
        self.stats.most_at_once = self.stats.most_at_once.max(requests);
    }

    pub(super) fn bookings_of(&self, reference: &str) -> &[Booking] {
        self.by_reference.get(reference).map_or(&[], Vec::as_slice)
    }

    pub(super) fn all(&self) -> Vec<&Booking> {
        self.by_reference.values().flatten().collect()
    }

    pub(super) fn stats(&self) -> ErpStats {
        self.stats
    }
}

fn check_order(order: &Value) -> Result<&str, &'static str> {
    let reference = order
        .get("reference")
        .and_then(Value::as_str)
        .ok_or("`reference` is missing")?;
    if reference.is_empty() || reference.len() > 128 {
        return Err("`reference` must have 1 to 128 bytes");
    }
    match order.get("lines").and_then(Value::as_array) {
        Some(lines) if !lines.is_empty() => Ok(reference),
        Some(_) | None => Err("`lines` must be an array with at least one line"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn order(reference: &str) -> Value {
        json!({ "reference": reference, "lines": [{ "sku": "A", "quantity": 1 }] })
    }

    fn create(book: &mut Book, key: &str) -> &'static str {
        match book.create(key, &order("O-1")) {
            Created::Booked(booking) => {
                book.commit(booking);
                "booked"
            }
            Created::Replayed(_) => "replayed",
            Created::Duplicate(_) => "refused",
            Created::Invalid(_) => "invalid",
        }
    }

    #[test]
    fn a_second_booking_is_replayed_refused_or_seen() {
        use {Duplicates::*, Idempotency::*};
        // (duplicates, idempotency, second key, second answer, duplicate attempts, double booked)
        let cases = [
            (Refuse, Honour, "k", "replayed", 0, 0),
            (Refuse, Honour, "other", "refused", 1, 0),
            (Refuse, Honour, "", "refused", 1, 0),
            (Refuse, Ignore, "k", "refused", 1, 0),
            (Accept, Honour, "k", "replayed", 0, 0),
            (Accept, Honour, "other", "booked", 1, 1),
            (Accept, Ignore, "k", "booked", 1, 1),
        ];
        for (duplicates, idempotency, key, answer, attempts, double) in cases {
            let mut book = Book::new(duplicates, idempotency);
            assert_eq!(create(&mut book, "k"), "booked");
            assert_eq!(
                create(&mut book, key),
                answer,
                "{duplicates:?} {idempotency:?} {key}"
            );
            assert_eq!(
                (book.stats().duplicate_attempts, book.stats().double_booked),
                (attempts, double)
            );
        }
    }

    #[test]
    fn a_paper_is_posted_once_where_keys_are_known() {
        for (idempotency, times) in [(Idempotency::Honour, 1), (Idempotency::Ignore, 2)] {
            let mut book = Book::new(Duplicates::Refuse, idempotency);
            let content = json!({ "total": 1 });
            assert_eq!(book.post("O-1", "credits", "CN-1", &content), Posted::NotBooked);
            create(&mut book, "k");
            for _ in 0..2 {
                match book.post("O-1", "credits", "CN-1", &content) {
                    Posted::New(paper) => book.keep(paper),
                    Posted::Before(paper) => assert_eq!(paper.number, "PAPER-00000001"),
                    Posted::Another | Posted::NotBooked => panic!("not posted"),
                }
            }
            assert_eq!(book.papers_of("O-1/credits/CN-1").len(), times);
            let another = book.post("O-1", "credits", "CN-1", &json!({ "total": 2 }));
            assert_eq!(another == Posted::Another, idempotency == Idempotency::Honour);
        }
    }

    #[test]
    fn cancelling_again_changes_nothing() {
        let mut book = Book::new(Duplicates::Refuse, Idempotency::Honour);
        create(&mut book, "k");
        assert_eq!(book.cancel("O-1"), 1);
        assert_eq!(book.cancel("O-1"), 0);
        assert_eq!(book.cancel("O-2"), 0);
        assert_eq!(book.stats().cancelled, 1);
    }

    #[test]
    fn what_is_no_order_is_refused() {
        let mut book = Book::new(Duplicates::Refuse, Idempotency::Honour);
        for body in [
            json!(null),
            json!({}),
            json!({"reference": "", "lines": [1]}),
            json!({"reference": "O", "lines": []}),
        ] {
            assert!(matches!(book.create("k", &body), Created::Invalid(_)), "{body}");
        }
        assert_eq!(book.stats().bookings, 0);
    }
}
