//! `lockstep dlq`: the dead letters of a running service.

mod act;
mod field;

use crate::error::Failure;
use crate::print::print;
use clap::{Args, Subcommand};
use lockstep_adapters::letters::{DeskClient, MAX_LISTED};
use serde_json::Value;
use std::path::PathBuf;

/// What to do about dead letters.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    lockstep dlq list\n  \
    lockstep dlq show 01a2b3\n  \
    lockstep dlq repair 01a2b3 --set body.change.receipt.quantity=5 --why 'the scanner sent 0'\n  \
    lockstep dlq replay --source wms --since 2026-03-01T00:00:00Z --rate 20\n  \
    lockstep dlq discard 01a2b3 --why 'a test message'\n\n\
    What lies in the broker's dead-letter queue is taken into the store whenever letters are listed. A letter is settled once, by a\n\
    replay that is taken or by being discarded: asked for again, nothing changes. One that is refused again stays open and says why.")]
pub(crate) struct DlqArguments {
    #[command(flatten)]
    door: DoorArguments,
    #[command(subcommand)]
    action: Action,
}

/// Which service, and how to answer.
#[derive(Debug, Args)]
struct DoorArguments {
    /// Where the service listens.
    #[arg(
        long,
        default_value = "http://127.0.0.1:8480",
        env = "LOCKSTEP_URL",
        global = true
    )]
    url: String,
    /// An API key with the scope admin; none for a service that lets anybody on this machine in.
    #[arg(long, env = "LOCKSTEP_KEY", hide_env_values = true, global = true)]
    key: Option<String>,
    /// Answer with JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List those that are open, the oldest first.
    #[command(
        after_help = "Examples:\n  lockstep dlq list\n  lockstep dlq list --reason invalid-field --json"
    )]
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Show one with its message, and what was done about it.
    #[command(after_help = "Example:\n  lockstep dlq show 01a2b3 --json")]
    Show {
        /// Its id, as `lockstep dlq list` shows it.
        letter: String,
    },
    /// Let another message take its place. It is checked against its schema; nothing is handed in yet.
    #[command(after_help = "Examples:\n  \
        lockstep dlq repair 01a2b3 --set body.change.receipt.quantity=5 --why 'the scanner sent 0'\n  \
        lockstep dlq repair 01a2b3 --set 'body.lines[0].sku=\"4711\"'\n  \
        lockstep dlq repair 01a2b3 --file mended.json")]
    Repair {
        /// Its id.
        letter: String,
        /// A field and its new value: JSON, or text if it is no JSON. Again for each field.
        #[arg(long = "set", value_name = "FIELD=VALUE", required_unless_present = "file")]
        set: Vec<field::Assignment>,
        /// The canonical message as a whole, in JSON, before any --set.
        #[arg(long)]
        file: Option<PathBuf>,
        /// Why, for whoever asks later.
        #[arg(long)]
        why: Option<String>,
    },
    /// Hand letters in again, as their senders would. What was handed in before has no effect again.
    #[command(after_help = "Examples:\n  \
        lockstep dlq replay 01a2b3\n  \
        lockstep dlq replay --reason not-owner --source wms --rate 20\n  \
        lockstep dlq replay --all --dry-run")]
    Replay {
        #[command(flatten)]
        which: Chosen,
        /// Why, for whoever asks later.
        #[arg(long)]
        why: Option<String>,
    },
    /// Give letters up. Who did and why stays with them.
    #[command(after_help = "Examples:\n  \
        lockstep dlq discard 01a2b3 --why 'a test message'\n  \
        lockstep dlq discard --source scanner-9 --until 2026-03-01T00:00:00Z --why 'the scanner was broken'")]
    Discard {
        #[command(flatten)]
        which: Chosen,
        /// Why, for whoever asks later.
        #[arg(long)]
        why: String,
    },
}

/// Which letters; all that is said must hold.
#[derive(Debug, Args)]
struct Which {
    /// Sent by this system.
    #[arg(long)]
    source: Option<String>,
    /// Put aside, or come back last, for this: a code, as in not-owner, or a part of the reason.
    #[arg(long)]
    reason: Option<String>,
    /// Of this kind: the name of a schema, or of an entity.
    #[arg(long)]
    kind: Option<String>,
    /// Put aside at this moment or later.
    #[arg(long, value_name = "MOMENT")]
    since: Option<jiff::Timestamp>,
    /// Put aside before this moment.
    #[arg(long, value_name = "MOMENT")]
    until: Option<jiff::Timestamp>,
    /// How many at most.
    #[arg(long, default_value_t = MAX_LISTED as u16, value_parser = clap::value_parser!(u16).range(1..=MAX_LISTED as i64))]
    limit: u16,
}

/// Which letters to do something about.
#[derive(Debug, Args)]
struct Chosen {
    /// Their ids.
    #[arg(conflicts_with_all = ["source", "reason", "kind", "since", "until", "all"])]
    letters: Vec<String>,
    /// All that are open.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
    /// How many a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rate: u16,
    /// Say which, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Which {
    fn query(&self) -> Vec<(&'static str, String)> {
        let moment = |moment: &Option<jiff::Timestamp>| moment.map(|moment| moment.to_string());
        let asked = [
            ("source", self.source.clone()),
            ("reason", self.reason.clone()),
            ("kind", self.kind.clone()),
            ("since", moment(&self.since)),
            ("until", moment(&self.until)),
        ];
        asked
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

pub(crate) fn run(arguments: &DlqArguments) -> Result<(), Failure> {
    let door = &arguments.door;
    let client = DeskClient::new(&door.url, door.key.clone())?;
    actix::System::new().block_on(async {
        match &arguments.action {
            Action::List { which } => {
                let listed = client.list(&which.query(), which.limit.into()).await?;
                print(&if door.json {
                    listed.to_string()
                } else {
                    list(&listed)
                })
            }
            Action::Show { letter } => {
                let shown = client.show(letter).await?;
                print(&if door.json {
                    shown.to_string()
                } else {
                    show(&shown)
                })
            }
            Action::Repair {
                letter,
                set,
                file,
                why,
            } => {
                let answer = act::repair(&client, letter, set, file.as_deref(), why.as_deref()).await?;
                print(&if door.json {
                    answer.to_string()
                } else {
                    format!("{letter}: {}", act::deed(&answer))
                })
            }
            Action::Replay { which, why } => act::replay(&client, which, why.as_deref(), door.json).await,
            Action::Discard { which, why } => act::discard(&client, which, why, door.json).await,
        }
    })
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn line(letter: &Value) -> String {
    let repaired = if letter["repaired"] == true {
        "  (repaired)"
    } else {
        ""
    };
    let field = match text(letter, "field") {
        "" => String::new(),
        field => format!("{field}: "),
    };
    let returned = &letter["returned"];
    let returned = match returned["times"].as_u64() {
        Some(times) => format!(
            "\n    came back {times} times, at last {}: {}",
            text(returned, "at"),
            text(returned, "reason")
        ),
        None => String::new(),
    };
    format!(
        "{}  {}  {:<12} {:<24} {}{repaired}\n    {field}{}{returned}",
        text(letter, "letter"),
        text(letter, "at"),
        text(letter, "source"),
        text(letter, "kind"),
        text(letter, "code"),
        text(letter, "reason")
    )
}

fn list(listed: &Value) -> String {
    let letters = listed["letters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut lines: Vec<String> = letters.iter().map(line).collect();
    lines.push(match listed["total"].as_u64().unwrap_or_default() {
        0 => "no dead letters are open".to_owned(),
        total => format!("{total} dead letters are open, {} are shown", letters.len()),
    });
    if let Some(behind) = listed["left_behind"].as_u64().filter(|behind| *behind > 0) {
        lines.push(format!("{behind} more have not been taken in yet: ask again"));
    }
    if let Some(unseen) = listed["unseen"].as_str() {
        lines.push(format!("more may lie with the broker: {unseen}"));
    }
    lines.join("\n")
}

fn show(shown: &Value) -> String {
    let mut lines = vec![line(shown)];
    for (what, name) in [
        ("conversation", "correlation"),
        ("command", "command"),
        ("body", "body_base64"),
    ] {
        if let Some(value) = shown[name].as_str() {
            lines.push(format!("{what}: {value}"));
        }
    }
    if let Some(message) = shown.get("message") {
        lines.push(format!("{message:#}"));
    }
    let notes = shown["notes"].as_array().into_iter().flatten();
    lines.extend(notes.map(|note| {
        let more = [text(note, "outcome"), text(note, "why")];
        let more: Vec<&str> = more.into_iter().filter(|more| !more.is_empty()).collect();
        format!(
            "{}  {} by {}  {}",
            text(note, "at"),
            text(note, "did"),
            text(note, "by"),
            more.join("; ")
        )
    }));
    lines.join("\n")
}
