//! `lockstep reconcile`: a file of what another system sees, compared with the books of a running service.

use crate::error::Failure;
use crate::print::print;
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_actors::ids::DocumentId;
use lockstep_adapters::reconcile::{Coverage, Difference, SweepOptions, SweepReport, read, sweep};
use lockstep_adapters::schema::fields::Moment;
use lockstep_runtime::time::Timestamp;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// How many rows a batch has: what comes beside waits for no more than these.
const ROWS_AT_ONCE: usize = 250;
/// How many differences are shown in words; `--json` has all that are listed.
const SHOWN: usize = 50;

/// What to compare.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    lockstep reconcile --file count.csv\n  \
    lockstep reconcile --file wms-w1.csv --whole-warehouses --taken-at 2026-03-01T02:00:00Z --json\n\n\
    The file is CSV with a heading: sku, warehouse, on_hand, and sequence, unit_value, taken_at where they are known.")]
pub(crate) struct ReconcileArguments {
    /// What the other system sees.
    #[arg(long, value_name = "CSV")]
    file: PathBuf,
    /// Where the service listens.
    #[arg(long, default_value = "http://127.0.0.1:8480", env = "LOCKSTEP_URL")]
    url: String,
    /// The API key of the system that sees; none for a service that lets anybody on this machine in.
    #[arg(long, env = "LOCKSTEP_KEY", hide_env_values = true)]
    key: Option<String>,
    /// What the run is called; its repairs carry the name. Begun again under the same name it goes on where it stopped. By
    /// default a new one each time.
    #[arg(long)]
    case: Option<String>,
    /// When the rows were seen that do not say so; by default when the file was written.
    #[arg(long, value_name = "MOMENT")]
    taken_at: Option<jiff::Timestamp>,
    /// Of a SKU that the file does not have nothing is there, in the warehouses that it has.
    #[arg(long)]
    whole_warehouses: bool,
    /// How many batches of rows are under way at a time: 1 to 64. Fewer leave the service more room.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    at_once: u8,
    /// In how many percent of the time a batch is under way: 1 to 100. The rest of the time is left to others: the busier the
    /// service is, the longer.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    load: u8,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &ReconcileArguments) -> Result<(), Failure> {
    let report = actix::System::new().block_on(compare(arguments))?;
    if arguments.json {
        let json = serde_json::to_string(&report).map_err(|error| Failure::Failed(error.to_string()))?;
        return print(&json);
    }
    print(words(&report).trim_end())
}

async fn compare(arguments: &ReconcileArguments) -> Result<SweepReport, Failure> {
    let path = &arguments.file;
    let file = |cause| Failure::File {
        path: path.clone(),
        cause,
    };
    let rows = count_lines(path).map_err(file)?.saturating_sub(1);
    let opened = File::open(path).map_err(file)?;
    let written = opened
        .metadata()
        .and_then(|metadata| metadata.modified())
        .map_err(file)?;
    let options = options(arguments, written)?;
    let seen = read(BufReader::new(opened))
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    let bar = bar(rows);
    let report = sweep(&options, seen, |more| bar.inc(more)).await;
    bar.finish_and_clear();
    report.map_err(|error| {
        let case = &options.case;
        Failure::Failed(format!("{error}; `--case {case}` goes on where it stopped"))
    })
}

fn options(arguments: &ReconcileArguments, written: std::time::SystemTime) -> Result<SweepOptions, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let taken_at = match arguments.taken_at {
        Some(moment) => moment,
        None => jiff::Timestamp::try_from(written).map_err(|error| usage(&error))?,
    };
    let case = match &arguments.case {
        Some(case) => case.clone(),
        None => format!("sweep-{}", uuid::Uuid::now_v7()),
    };
    Ok(SweepOptions {
        url: arguments.url.clone(),
        key: arguments.key.clone(),
        case: DocumentId::new(&case).map_err(|error| usage(&format!("--case: {error}")))?,
        taken_at: Moment(Timestamp::from_millis(taken_at.as_millisecond())),
        at_once: arguments.at_once.into(),
        batch: ROWS_AT_ONCE,
        load: arguments.load,
        coverage: if arguments.whole_warehouses {
            Coverage::WholeWarehouses
        } else {
            Coverage::Named
        },
    })
}

/// For the progress bar: a row may be more than a line, then the bar ends early.
fn count_lines(path: &Path) -> std::io::Result<u64> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut lines = 0;
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            return Ok(lines);
        }
        lines += part.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        let length = part.len();
        reader.consume(length);
    }
}

/// Hidden unless stderr is a terminal.
fn bar(rows: u64) -> ProgressBar {
    let bar = ProgressBar::new(rows);
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} rows, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}

fn words(report: &SweepReport) -> String {
    let mut lines = vec![format!(
        "case {}: {} pairs compared in {}.{:03} s",
        report.case,
        report.compared,
        report.milliseconds / 1_000,
        report.milliseconds % 1_000
    )];
    let counts = [
        (report.equal, "the same in the books"),
        (report.tolerated, "differ so little that it is let be"),
        (
            report.under_way,
            "may be explained by what is under way; compare these again",
        ),
        (report.repaired, "repaired"),
        (
            report.raised,
            "raised: a person must settle these (count again, or adjust with the case as the document)",
        ),
        (
            report.too_old,
            "seen too long ago to be compared; take these anew",
        ),
        (report.compared_before, "compared before under this case"),
        (report.not_compared, "not compared"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    lines.extend(counts.map(|(count, what)| format!("{count:>10}  {what}")));
    if !report.causes.is_empty() {
        lines.push(format!(
            "\n{:<20} {:>8} {:>12} {:>12} {:>14}",
            "cause", "pairs", "more there", "less there", "worth"
        ));
        lines.extend(report.causes.iter().map(|(cause, sum)| {
            let (pairs, more, less, value) = (sum.pairs, sum.more, sum.less, sum.value);
            format!("{cause:<20} {pairs:>8} {more:>12} {less:>12} {value:>14}")
        }));
        lines.push(String::new());
        lines.extend(report.differences.iter().take(SHOWN).map(difference));
        rest(&mut lines, report.differences.len(), "differences");
    }
    let problems = report.problems.iter().take(SHOWN).map(|problem| {
        let place = problem
            .line
            .map_or_else(String::new, |line| format!("line {line}: "));
        format!("not compared: {place}{}", problem.reason)
    });
    lines.extend(problems);
    rest(&mut lines, report.problems.len(), "problems");
    lines.join("\n")
}

fn rest(lines: &mut Vec<String>, listed: usize, what: &str) {
    if listed > SHOWN {
        lines.push(format!(
            "... and {} more {what}; --json lists them",
            listed - SHOWN
        ));
    }
}

fn difference(difference: &Difference) -> String {
    let found = &difference.found;
    let verdict = serde_json::to_value(found.verdict).unwrap_or_default();
    format!(
        "{:<20} {:<8} seen {:>8}  drift {:>8}  {} ({})",
        difference.sku,
        difference.warehouse,
        difference.seen,
        found.drift,
        verdict.as_str().unwrap_or_default(),
        found.cause.map_or("no cause", |cause| cause.name()),
    )
}
