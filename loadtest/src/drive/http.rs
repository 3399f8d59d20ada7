//! Over HTTP: a pool of kept connections, a bounded number of requests at a time.

use super::pace::Pace;
use super::report::{Latency, Meter, Report, millis, per_second};
use super::workload::{Item, Workload};
use super::{DriveError, Load, open_bar};
use clap::Args;
use lockstep_adapters::schema::BodyFormat;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The HTTP door.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) load: Load,
    /// Where the service listens.
    #[arg(long, default_value = "http://127.0.0.1:8480")]
    url: String,
    /// The API key; none for a service that lets anybody on this machine in.
    #[arg(long, env = "LOCKSTEP_KEY", hide_env_values = true)]
    key: Option<String>,
    /// How many requests may be under way; waiting for a place counts as latency.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
}

#[derive(Clone, Debug)]
struct Door {
    client: reqwest::Client,
    base: String,
    key: Option<String>,
    format: BodyFormat,
}

impl Door {
    /// Sends one; says what came back in a word or two.
    async fn send(&self, item: &Item) -> Result<String, DriveError> {
        let body = item.request(self.format).map_err(DriveError::other)?;
        let mut request = self
            .client
            .post(format!("{}{}", self.base, item.path))
            .header("content-type", self.format.content_type())
            .header("idempotency-key", &item.id)
            .body(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Ok(failure(&error)),
        };
        let status = answer.status().as_u16();
        // The connection is used again only after the body was read.
        match answer.bytes().await {
            Ok(_) => Ok(format!("status {status}")),
            Err(error) => Ok(failure(&error)),
        }
    }
}

fn failure(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "no connection"
    } else {
        "broken off"
    };
    format!("error: {kind}")
}

/// What came back so far.
struct Tally {
    pace: Pace,
    latency: Latency,
    outcomes: BTreeMap<String, u64>,
    last: Instant,
}

impl Tally {
    fn take(&mut self, number: u64, at: Instant, outcome: String) {
        *self.outcomes.entry(outcome).or_default() += 1;
        if self.pace.is_measured(number) {
            self.latency.record(at.duration_since(self.pace.intended(number)));
            self.last = self.last.max(at);
        }
    }
}

pub(super) async fn run(options: &Options) -> Result<Report, DriveError> {
    let workload = options.load.workload();
    let door = Door {
        client: reqwest::Client::builder()
            .pool_max_idle_per_host(usize::try_from(options.connections).unwrap_or(usize::MAX))
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(DriveError::other)?,
        base: options.url.trim_end_matches('/').to_owned(),
        key: options.key.clone(),
        format: workload.format,
    };
    prepare(&door, &workload).await?;
    let (tally, service, harness) = drive(options, &door, workload).await?;
    let completed = tally.latency.count();
    let elapsed = tally.last.duration_since(tally.pace.intended(tally.pace.warm_up));
    Ok(Report {
        what: "HTTP",
        offered_per_second: tally.pace.rate,
        measured_messages: completed,
        measured_ms: millis(elapsed),
        completed_per_second: per_second(completed, elapsed),
        drain_ms: None,
        latency_us: BTreeMap::from([("answer", tally.latency.summary())]),
        outcomes: tally.outcomes,
        service: service.map(|meter| meter.cost(completed)).transpose()?,
        harness: harness.cost(completed)?,
    })
}

/// Prices and stock, one after the other; a price that stands already is fine.
async fn prepare(door: &Door, workload: &Workload) -> Result<(), DriveError> {
    for item in workload.preparation() {
        let outcome = door.send(&item).await?;
        if !matches!(
            outcome.as_str(),
            "status 200" | "status 201" | "status 202" | "status 409"
        ) {
            return Err(DriveError::Preparation { id: item.id, outcome });
        }
    }
    Ok(())
}

async fn drive(
    options: &Options,
    door: &Door,
    workload: Workload,
) -> Result<(Tally, Option<Meter>, Meter), DriveError> {
    let bound = usize::try_from(options.connections).unwrap_or(usize::MAX);
    let pace = options.load.pace();
    let mut meters = (options.load.service_meter()?, Meter::harness()?);
    let mut tally = Tally {
        pace,
        latency: Latency::new()?,
        outcomes: BTreeMap::new(),
        last: pace.intended(pace.warm_up),
    };
    let bar = open_bar(pace.total, options.load.json);
    let mut under_way = JoinSet::new();
    for number in 0..pace.total {
        if number == pace.warm_up {
            meters = (options.load.service_meter()?, Meter::harness()?);
        }
        tokio::time::sleep_until(pace.intended(number)).await;
        while under_way.len() >= bound {
            take_next(&mut under_way, &mut tally).await?;
        }
        let (door, item) = (door.clone(), workload.item(number));
        under_way.spawn(async move { (number, door.send(&item).await, Instant::now()) });
        bar.inc(1);
        while let Some(done) = under_way.try_join_next() {
            let (number, outcome, at) = done.map_err(DriveError::other)?;
            tally.take(number, at, outcome?);
        }
    }
    while !under_way.is_empty() {
        take_next(&mut under_way, &mut tally).await?;
    }
    bar.finish_and_clear();
    Ok((tally, meters.0, meters.1))
}

type Answer = (u64, Result<String, DriveError>, Instant);

async fn take_next(under_way: &mut JoinSet<Answer>, tally: &mut Tally) -> Result<(), DriveError> {
    if let Some(done) = under_way.join_next().await {
        let (number, outcome, at) = done.map_err(DriveError::other)?;
        tally.take(number, at, outcome?);
    }
    Ok(())
}
