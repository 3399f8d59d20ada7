//! Which faults an emulator plays, and what becomes of a request that meets one.
//!
//! A request meets the limit of its platform, then what turns it away, then the work, then what becomes of the answer.
//!
//! Invariants:
//! - which request meets which fault follows from the seed, what it is about, and how many came about that before;
//! - a request meets one fault at most, and only if the platform's own limit let it in;
//! - what has arrived is carried out, whether or not somebody still waits for the answer;
//! - a fault that a platform cannot show is refused at the start.

use super::fault::{FaultTable, Probability};
use super::late::{Changes, Latch};
use super::{EmulatorError, parse_duration, without_arguments};
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often requests meet which fault. A share is a decimal from 0 to 1; those of requests add up to 1 at most.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Faults")]
pub struct Faults {
    /// How long a request is on its way at most: from nothing to this, so that they overtake each other.
    #[arg(long, default_value = "0ms", value_parser = parse_duration)]
    pub latency: Duration,
    /// How often a request is answered 429 although the limit was kept.
    #[arg(long, default_value = "0")]
    pub storm: Probability,
    /// How often a request fails with 500 or 503 and nothing is done.
    #[arg(long, default_value = "0")]
    pub fail: Probability,
    /// How often a request is carried out but answered with 5xx.
    #[arg(long, default_value = "0")]
    pub fail_after_commit: Probability,
    /// How often a request is carried out but its answer does not come before `--hang` is over.
    #[arg(long, default_value = "0")]
    pub timeout_after_commit: Probability,
    /// How long that is.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub hang: Duration,
    /// How often a request is carried out and its answer comes `--slow-by` later.
    #[arg(long, default_value = "0")]
    pub slow: Probability,
    /// How much later.
    #[arg(long, default_value = "2s", value_parser = parse_duration)]
    pub slow_by: Duration,
    /// How often a request is carried out only `--late-by` later, when its sender may have given up.
    #[arg(long, default_value = "0")]
    pub late: Probability,
    /// How much later.
    #[arg(long, default_value = "15s", value_parser = parse_duration)]
    pub late_by: Duration,
    /// How often an item of a batch fails by itself, and the others are done.
    #[arg(long, default_value = "0")]
    pub item_fail: Probability,
    /// How often what is read is answered from a copy that is behind.
    #[arg(long, default_value = "0")]
    pub stale_read: Probability,
    /// From which faults are drawn.
    #[arg(long, default_value = "1")]
    pub seed: u64,
}

impl Default for Faults {
    /// None, and no latency.
    fn default() -> Self {
        without_arguments()
    }
}

/// What a request, or an item of one, may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 although the limit was kept.
    Storm,
    /// 5xx, and nothing is done.
    Failure,
    /// 5xx, and it is done.
    FailureAfterCommit,
    /// It is done, and the answer does not come in time.
    TimeoutAfterCommit,
    /// It is done, and the answer takes its time.
    Slow,
    /// It is done later.
    Late,
    /// One item is not done, and the others are.
    ItemFailure,
    /// What is read is not the newest.
    StaleRead,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Storm,
        Self::Failure,
        Self::FailureAfterCommit,
        Self::TimeoutAfterCommit,
        Self::Slow,
        Self::Late,
        Self::ItemFailure,
        Self::StaleRead,
    ];

    /// The option that asks for it.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            Self::Storm => "--storm",
            Self::Failure => "--fail",
            Self::FailureAfterCommit => "--fail-after-commit",
            Self::TimeoutAfterCommit => "--timeout-after-commit",
            Self::Slow => "--slow",
            Self::Late => "--late",
            Self::ItemFailure => "--item-fail",
            Self::StaleRead => "--stale-read",
        }
    }
}

impl Faults {
    /// So often this one.
    #[must_use]
    pub fn with(mut self, fault: Fault, often: Probability) -> Self {
        *self.share(fault) = often;
        self
    }

    fn share(&mut self, fault: Fault) -> &mut Probability {
        match fault {
            Fault::Storm => &mut self.storm,
            Fault::Failure => &mut self.fail,
            Fault::FailureAfterCommit => &mut self.fail_after_commit,
            Fault::TimeoutAfterCommit => &mut self.timeout_after_commit,
            Fault::Slow => &mut self.slow,
            Fault::Late => &mut self.late,
            Fault::ItemFailure => &mut self.item_fail,
            Fault::StaleRead => &mut self.stale_read,
        }
    }
}

/// Faults that a platform cannot show, each with the reason.
pub type CannotShow = &'static [(Fault, &'static str)];

/// The end of an emulator's help.
pub(super) fn help(cannot: CannotShow) -> String {
    let mut text = String::new();
    for (fault, reason) in cannot {
        // Writing to a string does not fail.
        if write!(text, "\n{} cannot be shown: {reason}.", fault.option()).is_err() {
            break;
        }
    }
    text.trim_start().to_owned()
}

/// How often what happened to requests since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// Requests of any fate.
    pub requests: u64,
    /// Requests over a limit of the platform's.
    pub throttled: u64,
    /// Requests answered 429 although the limits were kept.
    pub storms: u64,
    /// Requests answered with 5xx.
    pub failed: u64,
    /// Requests that were carried out and not answered in time.
    pub unanswered: u64,
    /// Requests that were answered slowly.
    pub slow: u64,
    /// Requests that were carried out late.
    pub late: u64,
    /// Requests that were answered from a copy that is behind, if they read.
    pub stale_reads: u64,
    /// Items that failed by a drawn fault.
    pub failed_items: u64,
}

/// What a request that is carried out has met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// How many requests about the same there were before it.
    pub(super) number: u64,
    /// Whether what it reads is of a copy that is behind.
    pub(super) is_behind: bool,
}

/// What an emulator does to requests.
#[derive(Debug)]
pub struct Conduct {
    faults: Faults,
    started: Instant,
    requests: FaultTable<(Fault, StatusCode)>,
    items: FaultTable<()>,
    pub(super) latch: Latch,
    pub(super) changes: Changes,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Requests by what they are about.
    attempts: HashMap<String, u64>,
    met: Met,
}

impl Conduct {
    pub(super) fn new(mut faults: Faults, cannot: CannotShow) -> Result<Self, EmulatorError> {
        for &(fault, reason) in cannot {
            if *faults.share(fault) > Probability::NEVER {
                let option = fault.option();
                return Err(EmulatorError::CannotShow { option, reason });
            }
        }
        let (internal, unavailable) = faults.fail.halves();
        let error = StatusCode::INTERNAL_SERVER_ERROR;
        let table = [
            (internal, (Fault::Failure, error)),
            (unavailable, (Fault::Failure, StatusCode::SERVICE_UNAVAILABLE)),
            (faults.fail_after_commit, (Fault::FailureAfterCommit, error)),
            (
                faults.timeout_after_commit,
                (Fault::TimeoutAfterCommit, StatusCode::OK),
            ),
            (faults.storm, (Fault::Storm, StatusCode::TOO_MANY_REQUESTS)),
            (faults.slow, (Fault::Slow, StatusCode::OK)),
            (faults.late, (Fault::Late, StatusCode::OK)),
            (faults.stale_read, (Fault::StaleRead, StatusCode::OK)),
        ];
        Ok(Self {
            started: Instant::now(),
            requests: FaultTable::new(faults.seed, &table)?,
            items: FaultTable::new(faults.seed, &[(faults.item_fail, ())])?,
            latch: Latch::default(),
            changes: Changes::default(),
            book: Mutex::new(Book::default()),
            faults,
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since the start.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn met(&self) -> Met {
        self.book().met
    }

    /// Counts a request over a limit that was refused before it was served.
    pub(super) fn throttled(&self) {
        self.count(|met| &mut met.throttled);
    }

    fn count(&self, counter: impl FnOnce(&mut Met) -> &mut u64) {
        *counter(&mut self.book().met) += 1;
    }

    /// The number of the next request about something, and what it meets.
    fn meet(&self, about: &str) -> (u64, Option<(Fault, StatusCode)>) {
        let mut book = self.book();
        let attempts = book.attempts.entry(about.to_owned()).or_default();
        let number = *attempts;
        *attempts += 1;
        (number, self.requests.draw(about, number))
    }

    /// Whether an item of the request of this number fails by itself.
    pub(super) fn item_fails(&self, item: &str, number: u64) -> bool {
        let fails = self.items.draw(item, number).is_some();
        if fails {
            self.count(|met| &mut met.failed_items);
        }
        fails
    }

    /// Whether a question that meets nothing else is answered from a copy that is behind.
    pub(super) fn is_behind(&self, about: &str) -> bool {
        let is_behind = matches!(self.meet(about).1, Some((Fault::StaleRead, _)));
        if is_behind {
            self.count(|met| &mut met.stale_reads);
        }
        is_behind
    }
}

/// A platform that is played.
pub trait Played: Send + Sync + 'static {
    /// What it counts of its own.
    type Counts: Serialize;

    /// What it does to requests.
    fn conduct(&self) -> &Conduct;

    /// What it has counted.
    fn counts(&self) -> Self::Counts;

    /// How it answers what meets a storm or a failure.
    fn failure(&self, _fault: Fault, status: StatusCode) -> HttpResponse {
        let mut response = HttpResponse::build(status);
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.insert_header(("retry-after", "1"));
        }
        response.finish()
    }
}

/// The answer to a request that is not let in. Boxed, for it is large and rare.
pub(super) type Refusal = Box<HttpResponse>;

/// Answers a request about something: what `admit` refuses is over a limit of the platform's; what it gives goes to the work.
pub(super) async fn serve<P: Played, A: 'static>(
    platform: web::Data<P>,
    about: &str,
    admit: impl FnOnce(&P) -> Result<A, Refusal>,
    work: impl FnOnce(&P, A, Course) -> HttpResponse + 'static,
) -> HttpResponse {
    let conduct = platform.conduct();
    conduct.count(|met| &mut met.requests);
    let (number, met) = conduct.meet(about);
    let admitted = match admit(&platform) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            conduct.count(|met| &mut met.throttled);
            return *refusal;
        }
    };
    let fails = |fault, status| {
        conduct.count(|met| match status {
            StatusCode::TOO_MANY_REQUESTS => &mut met.storms,
            _ => &mut met.failed,
        });
        platform.failure(fault, status)
    };
    if let Some((fault @ (Fault::Storm | Fault::Failure), status)) = met {
        return fails(fault, status);
    }
    let meets = |fault| met.is_some_and(|(met, _)| met == fault);
    if !conduct.faults.latency.is_zero() {
        // Whoever gives up meanwhile has taken it back.
        let parts = u32::try_from(number.wrapping_mul(7) % 5).unwrap_or_default();
        tokio::time::sleep(conduct.faults.latency / 4 * parts).await;
    }
    let is_late = meets(Fault::Late);
    let is_behind = meets(Fault::StaleRead);
    let shared = platform.clone();
    let carried_out = actix_web::rt::spawn(async move {
        let conduct = shared.conduct();
        conduct.latch.pass().await;
        if is_late {
            conduct.count(|met| &mut met.late);
            tokio::time::sleep(conduct.faults.late_by).await;
        }
        if is_behind {
            conduct.count(|met| &mut met.stale_reads);
        }
        let answer = work(&shared, admitted, Course { number, is_behind });
        conduct.changes.tell();
        answer
    });
    let after_commit = StatusCode::INTERNAL_SERVER_ERROR;
    match carried_out.await {
        Ok(_) if meets(Fault::FailureAfterCommit) => fails(Fault::FailureAfterCommit, after_commit),
        Ok(answer) => {
            if meets(Fault::TimeoutAfterCommit) {
                conduct.count(|met| &mut met.unanswered);
                tokio::time::sleep(conduct.faults.hang).await;
            } else if meets(Fault::Slow) {
                conduct.count(|met| &mut met.slow);
                tokio::time::sleep(conduct.faults.slow_by).await;
            }
            answer
        }
        Err(_) => fails(Fault::FailureAfterCommit, after_commit),
    }
}

/// All counts in one object.
#[derive(Serialize)]
struct Counts<C> {
    #[serde(flatten)]
    met: Met,
    #[serde(flatten)]
    own: C,
}

pub(super) async fn stats<P: Played>(platform: web::Data<P>) -> HttpResponse {
    let (met, own) = (platform.conduct().met(), platform.counts());
    HttpResponse::Ok().json(Counts { met, own })
}
