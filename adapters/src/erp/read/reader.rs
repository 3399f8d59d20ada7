//! Reads the ERP at the intervals of the tables, page by page, and hands in what it says.
//!
//! Each table is read by itself, one page at a time: a page is asked for when the ERP may be asked, by the pace and the maintenance
//! windows that bookings keep, and only once all of the page before is durable. It is read by the node that asks the ERP, and what another
//! one has begun is begun anew.

use super::super::worker::CONSUMER;
use super::super::{ErpConfig, ErpError, SharedPace, home};
use super::message::{Coverage, Reading, messages, written};
use super::position::{Pass, Position};
use super::{Ask, ErpSource, Mark, ReadConfig, ReadCounters, Refused, Row, What};
use crate::entrance::{Entrance, NotNow, Who, Wrong};
use crate::home::{Home, Stay};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use lockstep_actors::domain::Distributor;
use lockstep_actors::ids::{InvalidName, SystemName};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::time::{Clock, SystemClock};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How many rows are handed in at a time.
const AT_ONCE: usize = 64;
/// The pause before a message is handed in again that was not decided.
const PAUSE: Duration = Duration::from_millis(100);
/// How many pages a pass may have: at 1,000 rows a page a hundred million rows.
const MAX_PAGES: u32 = 100_000;
/// How many dead letters a pass may make. What else cannot be taken is counted, and read again with everything.
const MAX_LETTERS: usize = 1_000;
/// How many receipts are remembered, so that one that the ERP no longer has is told as not expected.
const MAX_RECEIPTS: usize = 100_000;

/// Why a pass broke off.
enum Halt {
    /// The service stops, or another node reads.
    Over,
    /// The ERP could not be read.
    Erp(ErpError),
}

impl From<ErpError> for Halt {
    fn from(error: ErpError) -> Self {
        Self::Erp(error)
    }
}

/// SKU, warehouse and document of a receipt.
type Receipt = [String; 3];

/// The readings of one table.
#[derive(Debug, Default)]
struct Followed {
    position: Position,
    /// In a row.
    failures: u32,
    /// What was told as expected.
    receipts: BTreeSet<Receipt>,
}

/// Reads in what the ERP keeps the record of.
pub struct ErpReader<P> {
    port: Arc<P>,
    entrance: Entrance,
    home: Home,
    tables: Vec<ReadConfig>,
    pace: SharedPace,
    pause: Duration,
    clock: Arc<dyn Clock>,
    counters: Arc<ReadCounters>,
}

impl<P> std::fmt::Debug for ErpReader<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("ErpReader");
        shown.field("tables", &self.tables).finish_non_exhaustive()
    }
}

impl<P: ErpSource> ErpReader<P> {
    /// A reader that has not begun; it keeps `pace` with the others who ask this ERP.
    ///
    /// # Errors
    /// Never in practice: the name of the ERP is valid.
    pub fn new(
        port: Arc<P>,
        ingress: Ingress<Distributor>,
        config: &ErpConfig,
        pace: SharedPace,
    ) -> Result<Self, InvalidName> {
        let home = home(&ingress);
        let entrance = Entrance {
            who: Who::Erp,
            system: SystemName::new(CONSUMER)?,
            ingress,
        };
        let what = config.read.iter().map(|table| table.what);
        Ok(Self {
            port,
            entrance,
            home,
            tables: config.read.clone(),
            pace,
            pause: config.breaker_pause(),
            clock: Arc::new(SystemClock),
            counters: Arc::new(ReadCounters::of(what)),
        })
    }

    /// Its counters, to be read while it runs.
    #[must_use]
    pub fn counters(&self) -> Arc<ReadCounters> {
        Arc::clone(&self.counters)
    }

    /// Reads whenever this is the node that does, until `stop` turns true or its sender is gone; what was begun is begun anew after the
    /// start, or by the next node.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let reading = self.home.whenever_here(stop, async |stay| {
            self.pace.begin_turn();
            join_all(self.tables.iter().map(|table| self.follow(table, stay.clone()))).await;
            ControlFlow::Continue(())
        });
        reading.await;
    }

    async fn follow(&self, table: &ReadConfig, mut stay: Stay) {
        let mut followed = Followed::default();
        loop {
            let pause = match self.read(table, &mut followed, &mut stay).await {
                Ok(()) => table.every(),
                Err(Halt::Over) => return,
                Err(Halt::Erp(error)) => {
                    self.counters.count(table.what, |counters| &counters.failed);
                    followed.failures = followed.failures.saturating_add(1);
                    let pause = growing(self.pause, followed.failures, table.every());
                    let again_in = pause.as_secs();
                    tracing::warn!(what = table.what.name(), %error, again_in, "the ERP could not be read");
                    pause
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stay.over() => return,
            }
        }
    }

    /// Makes the passes that are due.
    async fn read(&self, table: &ReadConfig, followed: &mut Followed, stay: &mut Stay) -> Result<(), Halt> {
        may_go_on(stay)?;
        let began = self.clock.now();
        let tells_changes = self.port.tells_changes(table.what);
        let passes = followed.position.due(table, tells_changes, began);
        for pass in &passes {
            self.pass(table, *pass, &mut followed.receipts, stay).await?;
        }
        followed.position.made(&passes, began);
        followed.failures = 0;
        self.counters.count(table.what, |counters| &counters.made);
        Ok(())
    }

    async fn pass(
        &self,
        table: &ReadConfig,
        pass: Pass,
        known: &mut BTreeSet<Receipt>,
        stay: &mut Stay,
    ) -> Result<(), Halt> {
        let (coverage, since) = match pass {
            Pass::Whole => (Coverage::Whole, None),
            Pass::Changes(since) => (Coverage::Changes, Some(since)),
        };
        let began = written(self.clock.now());
        let (mut mark, mut seen, letters) = (None, BTreeSet::new(), Cell::new(0));
        for _ in 0..MAX_PAGES {
            if !self.pace.turn(&*self.clock, stay).await {
                return Err(Halt::Over);
            }
            let reading = Reading {
                coverage,
                began: began.clone(),
                asked: written(self.clock.now()),
            };
            let ask = Ask {
                table,
                since,
                mark: mark.as_ref(),
            };
            let page = tokio::select! {
                page = self.port.page(&ask) => page?,
                () = stay.over() => return Err(Halt::Over),
            };
            self.hand_in_all(table.what, &page.rows, &reading, stay, &letters)
                .await?;
            for refused in &page.refused {
                self.put_refused_aside(table.what, refused, &reading, stay, &letters)
                    .await?;
            }
            if table.what == What::Receipts {
                remember(&page.rows, &mut seen, known);
            }
            match page.next {
                Some(next) if mark.as_ref() == Some(&next) => return Err(same_again(&next)),
                Some(next) => mark = Some(next),
                None => {
                    // More than are remembered may be there without being seen.
                    let is_all = coverage == Coverage::Whole && seen.len() < MAX_RECEIPTS;
                    if table.what == What::Receipts && is_all {
                        self.tell_vanished(&reading, &seen, known, stay, &letters).await?;
                        *known = seen;
                    }
                    return Ok(());
                }
            }
        }
        Err(ErpError::Transient(format!("it has more than {MAX_PAGES} pages")).into())
    }

    /// Hands in what the rows say; returns once all of it is durable.
    async fn hand_in_all(
        &self,
        what: What,
        rows: &[Row],
        reading: &Reading,
        stay: &Stay,
        letters: &Cell<usize>,
    ) -> Result<(), Halt> {
        let handing = stream::iter(rows).map(|row| async move {
            for message in messages(what, row, reading) {
                let Err(wrong) = self.hand_in(what, &message, stay).await? else {
                    continue;
                };
                // What is wrong with a row costs that row, and is one letter in whatever reading it comes.
                let content = format!("{} {}", what.name(), Value::Object(row.clone()));
                return self
                    .put_aside(what, &content, &message, wrong, stay, letters)
                    .await;
            }
            Ok::<(), Halt>(())
        });
        let mut handing = std::pin::pin!(handing.buffer_unordered(AT_ONCE));
        while let Some(handed_in) = handing.next().await {
            handed_in?;
        }
        Ok(())
    }

    /// Hands a message in until it is decided; what is wrong with it if it cannot be taken.
    async fn hand_in(&self, what: What, message: &[u8], stay: &Stay) -> Result<Result<(), Wrong>, Halt> {
        loop {
            may_go_on(stay)?;
            match self.entrance.hand_in(message).await {
                Ok(Ok(())) => {
                    self.counters.count(what, |counters| &counters.taken);
                    return Ok(Ok(()));
                }
                Ok(Err(not_taken)) => return Ok(Err(not_taken.into())),
                Err(NotNow) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Keeps what the connector cannot say for a person, one letter for each reason.
    async fn put_refused_aside(
        &self,
        what: What,
        refused: &Refused,
        reading: &Reading,
        stay: &Stay,
        letters: &Cell<usize>,
    ) -> Result<(), Halt> {
        let Refused { row, reason } = refused;
        let wrong = Wrong {
            code: "not-translatable".to_owned(),
            field: String::new(),
            reason: reason.clone(),
        };
        let content = format!("{} {reason}", what.name());
        let message = messages(what, row, reading)
            .into_iter()
            .next()
            .unwrap_or_default();
        self.put_aside(what, &content, &message, wrong, stay, letters)
            .await
    }

    /// Keeps what cannot be taken for a person.
    async fn put_aside(
        &self,
        what: What,
        content: &str,
        message: &[u8],
        wrong: Wrong,
        stay: &Stay,
        letters: &Cell<usize>,
    ) -> Result<(), Halt> {
        self.counters.count(what, |counters| &counters.put_aside);
        if letters.get() >= MAX_LETTERS {
            return Ok(());
        }
        letters.set(letters.get() + 1);
        let what = what.name();
        tracing::warn!(what, reason = %wrong, "what the ERP says is put aside");
        if letters.get() == MAX_LETTERS {
            tracing::error!(
                what,
                "the ERP says so much that cannot be taken that no more letters are made of this reading"
            );
        }
        loop {
            may_go_on(stay)?;
            let put_aside = self
                .entrance
                .put_aside(content.as_bytes(), message, wrong.clone());
            match put_aside.await {
                Ok(()) => return Ok(()),
                Err(NotNow) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// What was expected and is not among everything any more is not expected.
    async fn tell_vanished(
        &self,
        reading: &Reading,
        seen: &BTreeSet<Receipt>,
        known: &BTreeSet<Receipt>,
        stay: &Stay,
        letters: &Cell<usize>,
    ) -> Result<(), Halt> {
        let vanished = known.difference(seen).map(|[sku, warehouse, document]| {
            let fields = [("sku", sku), ("warehouse", warehouse), ("document", document)];
            let fields = fields.map(|(name, text)| (name.to_owned(), Value::String(text.clone())));
            fields.into_iter().collect()
        });
        let vanished: Vec<Row> = vanished.collect();
        self.hand_in_all(What::Receipts, &vanished, reading, stay, letters)
            .await
    }
}

fn may_go_on(stay: &Stay) -> Result<(), Halt> {
    if stay.lasts() { Ok(()) } else { Err(Halt::Over) }
}

/// Notes which receipts are to come and which are not any more.
fn remember(rows: &[Row], seen: &mut BTreeSet<Receipt>, known: &mut BTreeSet<Receipt>) {
    for row in rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(sku), Some(warehouse), Some(document)) = (text("sku"), text("warehouse"), text("document"))
        else {
            continue;
        };
        let receipt = [sku, warehouse, document];
        if row.get("quantity").is_none_or(|quantity| *quantity == 0) {
            known.remove(&receipt);
        } else if seen.len() < MAX_RECEIPTS {
            seen.insert(receipt.clone());
            if known.len() < MAX_RECEIPTS {
                known.insert(receipt);
            }
        }
    }
}

/// The pause after so many failures in a row: twice as long each time, up to the table's interval.
fn growing(pause: Duration, failures: u32, most: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    pause.saturating_mul(factor).min(most.max(pause))
}

/// A moment as in `2026-03-01T12:00:00.123Z`.
fn same_again(mark: &Mark) -> Halt {
    let reason = format!(
        "its page after {} is followed by itself; check erp.http.requests",
        mark.0
    );
    Halt::Erp(ErpError::Transient(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn failures_are_tried_again_with_growing_pauses_up_to_the_interval() {
        let seconds = Duration::from_secs;
        let pauses: Vec<u64> = (1..6)
            .map(|failures| growing(seconds(5), failures, seconds(60)).as_secs())
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60]);
        assert_eq!(growing(seconds(5), 3, seconds(1)), seconds(5));
    }

    #[test]
    fn receipts_are_remembered_until_nothing_of_them_is_to_come() {
        let row = |document: &str, quantity: i64| {
            let row = json!({ "sku": "A", "warehouse": "W1", "document": document, "quantity": quantity });
            row.as_object().unwrap().clone()
        };
        let (mut seen, mut known) = (BTreeSet::new(), BTreeSet::new());
        remember(&[row("PO-1", 5), row("PO-2", 3)], &mut seen, &mut known);
        remember(&[row("PO-1", 0)], &mut BTreeSet::new(), &mut known);
        assert_eq!(known.len(), 1);
        assert!(known.contains(&["A", "W1", "PO-2"].map(str::to_owned)));
        assert_eq!(seen.len(), 2);
    }
}
