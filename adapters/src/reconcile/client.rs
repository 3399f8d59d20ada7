//! Sends what another system sees to a running service, in batches, a bounded number of them at a time.

use super::file::{BadRow, SeenRow};
use super::report::{MAX_LISTED, SweepReport};
use crate::schema::fields::{List, Moment};
use crate::schema::limits::{MAX_BATCH, MAX_LEVELS};
use crate::schema::outbound::ReconciliationView;
use crate::schema::stock::{StockChange, StockEvent};
use futures_util::stream::{self, StreamExt};
use lockstep_actors::ids::{DocumentId, Sku, WarehouseCode};
use lockstep_actors::quantity::Quantity;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// How often a batch is sent again while the service is busy, starting or out of reach.
const MAX_TRIES: u32 = 30;
/// The pause before that, unless the service says another.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How to compare.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    /// Where the service listens, as in `http://127.0.0.1:8480`.
    pub url: String,
    /// The API key of the system that sees; none where the service lets anybody on this machine in.
    pub key: Option<String>,
    /// What the run is called. Under a case each row is compared once.
    pub case: DocumentId,
    /// When rows that do not say so were seen.
    pub taken_at: Moment,
    /// How many batches are under way at a time.
    pub at_once: usize,
    /// How many rows a batch has at most.
    pub batch: usize,
    /// In how many percent of the time a batch is under way; the rest of the time is left to others.
    pub load: u8,
    /// What of the books the rows leave out.
    pub coverage: Coverage,
}

/// What the rows of a file stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// The pairs that they name.
    Named,
    /// All that is in the warehouses that they name: of a pair that is left out nothing is there.
    WholeWarehouses,
}

/// Why a sweep broke off. What was compared until then stands; begun again under the same case it goes on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The service cannot be reached, or does not answer.
    #[error("the service at {url} cannot be reached: {cause}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What happened.
        cause: reqwest::Error,
    },
    /// The service does not want it.
    #[error("the service refused the request with {status}: {detail}")]
    Refused {
        /// With which status.
        status: StatusCode,
        /// Why.
        detail: String,
    },
    /// An answer that is none.
    #[error("the service's answer cannot be read: {0}")]
    Answer(String),
    /// The HTTP client cannot start.
    #[error("the HTTP client cannot start: {0}")]
    Client(reqwest::Error),
}

/// A row to be sent.
struct Asked {
    line: Option<u64>,
    row: SeenRow,
}

#[derive(Serialize)]
struct Told {
    id: String,
    #[serde(flatten)]
    event: StockEvent,
}

#[derive(Deserialize)]
struct Answers {
    results: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    outcome: String,
    repeated: bool,
    reason: Option<String>,
    reconciliation: Option<ReconciliationView>,
}

#[derive(Deserialize)]
struct Detail {
    detail: String,
}

#[derive(Deserialize)]
struct Levels {
    levels: Vec<Level>,
    next: Option<Sku>,
}

#[derive(Deserialize)]
struct Level {
    sku: Sku,
    on_hand: Quantity,
}

/// Compares all rows. `progress` is told how many more rows are done.
///
/// # Errors
/// [`SweepError`] if the service cannot be asked; a single row never ends it.
pub async fn sweep(
    options: &SweepOptions,
    rows: impl Iterator<Item = Result<(u64, SeenRow), BadRow>>,
    mut progress: impl FnMut(u64),
) -> Result<SweepReport, SweepError> {
    let began = Instant::now();
    let client = Client::builder()
        .timeout(TIMEOUT)
        .build()
        .map_err(SweepError::Client)?;
    let door = Door { client, options };
    let mut report = SweepReport {
        case: options.case.to_string(),
        ..SweepReport::default()
    };
    let mut seen = BTreeMap::<WarehouseCode, HashSet<Sku>>::new();
    let (mut unreadable, mut listed) = (0_u64, Vec::new());
    let asked = rows.filter_map(|row| match row {
        Ok((line, row)) => {
            if options.coverage == Coverage::WholeWarehouses {
                seen.entry(row.warehouse).or_default().insert(row.sku.clone());
            }
            let line = Some(line);
            Some(Asked { line, row })
        }
        Err(bad) => {
            unreadable += 1;
            if listed.len() < MAX_LISTED {
                listed.push(bad);
            }
            None
        }
    });
    door.compare(asked, &mut report, &mut progress).await?;
    progress(unreadable);
    report.unreadable(unreadable, listed);
    for (warehouse, skus) in seen {
        let left_out = door.left_out(warehouse, &skus).await?;
        door.compare(left_out.into_iter(), &mut report, &mut |_| {})
            .await?;
    }
    report.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// Rows in parts that the service takes at once.
struct Batches<I> {
    rows: I,
    size: usize,
}

impl<I: Iterator<Item = Asked>> Iterator for Batches<I> {
    type Item = Vec<Asked>;

    fn next(&mut self) -> Option<Vec<Asked>> {
        let batch: Vec<Asked> = self.rows.by_ref().take(self.size).collect();
        (!batch.is_empty()).then_some(batch)
    }
}

struct Door<'o> {
    client: Client,
    options: &'o SweepOptions,
}

impl Door<'_> {
    async fn compare(
        &self,
        rows: impl Iterator<Item = Asked>,
        report: &mut SweepReport,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), SweepError> {
        let size = self.options.batch.clamp(1, MAX_BATCH);
        let sent = stream::iter(Batches { rows, size }).map(|batch| async {
            let began = Instant::now();
            let answers = self.send(&batch).await?;
            tokio::time::sleep(rest(began.elapsed(), self.options.load)).await;
            Ok((batch, answers))
        });
        let mut sent = std::pin::pin!(sent.buffered(self.options.at_once.max(1)));
        while let Some(done) = sent.next().await {
            let (batch, answers) = done?;
            progress(batch.len() as u64);
            for (asked, answered) in batch.into_iter().zip(answers) {
                tally(report, &asked, answered);
            }
        }
        Ok(())
    }

    async fn send(&self, batch: &[Asked]) -> Result<Vec<Answered>, SweepError> {
        let told: Vec<Told> = batch.iter().map(|asked| self.told(asked)).collect();
        let body = serde_json::to_vec(&told).map_err(|error| SweepError::Answer(error.to_string()))?;
        let url = format!("{}/v1/stock-events", self.options.url.trim_end_matches('/'));
        let request = || {
            self.client
                .post(&url)
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone())
        };
        let answers: Answers = self.ask(&url, request).await?;
        if answers.results.len() == batch.len() {
            return Ok(answers.results);
        }
        Err(SweepError::Answer(format!(
            "{} results for {} rows",
            answers.results.len(),
            batch.len()
        )))
    }

    fn told(&self, asked: &Asked) -> Told {
        let SeenRow {
            sku,
            warehouse,
            on_hand,
            sequence,
            unit_value,
            taken_at,
        } = &asked.row;
        let case = &self.options.case;
        let id = match asked.line {
            Some(line) => format!("{case}/{line}"),
            // A SKU is as long as an id may be with it; its place does not depend on the run.
            None => format!(
                "{case}/{warehouse}/{:08x}",
                crc32fast::hash(sku.as_str().as_bytes())
            ),
        };
        Told {
            id,
            event: StockEvent {
                sku: sku.clone(),
                warehouse: *warehouse,
                sequence: *sequence,
                unit: None,
                lots: List::default(),
                change: StockChange::Snapshot {
                    case: case.clone(),
                    on_hand: *on_hand,
                    unit_value: *unit_value,
                    taken_at: Some(taken_at.unwrap_or(self.options.taken_at)),
                },
            },
        }
    }

    /// The pairs of a warehouse in which the books see something, and the rows nothing at all.
    async fn left_out(
        &self,
        warehouse: WarehouseCode,
        seen: &HashSet<Sku>,
    ) -> Result<Vec<Asked>, SweepError> {
        let mut left_out = Vec::new();
        let mut after: Option<Sku> = None;
        loop {
            let url = format!("{}/v1/stock-levels", self.options.url.trim_end_matches('/'));
            let mut query = vec![
                ("warehouse", warehouse.to_string()),
                ("limit", MAX_LEVELS.to_string()),
            ];
            query.extend(after.iter().map(|sku| ("after", sku.to_string())));
            let address = Url::parse_with_params(&url, &query)
                .map_err(|error| SweepError::Answer(format!("{url}: {error}")))?;
            let page: Levels = self.ask(&url, || self.client.get(address.clone())).await?;
            let unseen = page
                .levels
                .into_iter()
                .filter(|level| level.on_hand != Quantity::ZERO && !seen.contains(&level.sku));
            left_out.extend(unseen.map(|level| Asked {
                line: None,
                row: SeenRow {
                    sku: level.sku,
                    warehouse,
                    on_hand: Quantity::ZERO,
                    sequence: None,
                    unit_value: None,
                    taken_at: None,
                },
            }));
            after = page.next;
            if after.is_none() {
                return Ok(left_out);
            }
        }
    }

    /// Asks until there is an answer, or too often.
    async fn ask<T: DeserializeOwned>(
        &self,
        url: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, SweepError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let request = match &self.options.key {
                Some(key) => request().bearer_auth(key),
                None => request(),
            };
            let pause = match request.send().await {
                Ok(response) if response.status().is_success() => return read(response).await,
                Ok(response) if is_busy(response.status()) && tries < MAX_TRIES => pause(&response),
                Ok(response) => return Err(refused(response).await),
                Err(cause) if tries >= MAX_TRIES => {
                    let url = url.to_owned();
                    return Err(SweepError::Unreachable { url, cause });
                }
                Err(_) => PAUSE,
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// How long to let others have the service after it was busy with a batch: the busier it is, the longer.
fn rest(took: Duration, load: u8) -> Duration {
    let load = u32::from(load.clamp(1, 100));
    took.saturating_mul(100 - load) / load
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    )
}

fn pause(response: &Response) -> Duration {
    let told = response.headers().get(header::RETRY_AFTER);
    let seconds = told.and_then(|told| told.to_str().ok()?.parse().ok());
    seconds.map_or(PAUSE, |seconds: u64| Duration::from_secs(seconds.min(60)))
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, SweepError> {
    let unreadable = |error: &dyn std::fmt::Display| SweepError::Answer(error.to_string());
    let bytes = response.bytes().await.map_err(|error| unreadable(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))
}

async fn refused(response: Response) -> SweepError {
    let status = response.status();
    let detail = match read::<Detail>(response).await {
        Ok(problem) => problem.detail,
        Err(error) => error.to_string(),
    };
    SweepError::Refused { status, detail }
}

fn tally(report: &mut SweepReport, asked: &Asked, answered: Answered) {
    match (answered.reconciliation, answered.outcome.as_str()) {
        (Some(found), _) => report.take(asked.line, &asked.row, found),
        (None, "stale") => report.too_old += 1,
        (None, "accepted") if answered.repeated => report.compared_before += 1,
        (None, outcome) => {
            let reason = answered.reason.unwrap_or_else(|| outcome.to_owned());
            let pair = format!("{} in {}: {reason}", asked.row.sku, asked.row.warehouse);
            report.not_compared(asked.line, pair);
        }
    }
}
