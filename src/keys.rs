//! `lockstep key`: the API keys of the systems that call over HTTP.

use crate::error::Failure;
use crate::print::print;
use clap::Subcommand;
use lockstep_actors::ids::SystemName;
use lockstep_adapters::identity::{KeyFile, KeyRecord, Scope, Scopes};
use serde_json::json;
use std::path::{Path, PathBuf};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key for a system. It is shown this once; only its SHA-256 is kept.
    #[command(after_help = "Examples:\n  \
        lockstep key create wms --scope stock:write --scope stock:read\n  \
        lockstep key create web-shop --scope orders:write --scope orders:read --scope prices:read")]
    Create {
        /// The system that will call with it, as ownership and the journal name it.
        system: String,
        /// What it may do: orders:write, orders:read, stock:write, stock:read, prices:write, prices:read, metrics:read,
        /// admin. Give it once for each.
        #[arg(long = "scope", required = true)]
        scopes: Vec<Scope>,
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a key. A running server refuses it within a second.
    #[command(after_help = "Example:\n  lockstep key revoke 0f3a55d1c2b49e77")]
    Revoke {
        /// Its id, as `lockstep key list` shows it.
        id: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show all keys, revoked ones included.
    #[command(after_help = "Example:\n  lockstep key list --json")]
    List {
        #[command(flatten)]
        place: Place,
    },
}

/// Where the keys are, and how to answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The key file; `http.keys` in the configuration names the one a server reads.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "lockstep-keys.toml",
        env = "LOCKSTEP_KEYS"
    )]
    keys: PathBuf,
    /// Answer with JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Create {
            system,
            scopes,
            place,
        } => create(system, scopes, place),
        KeyCommand::Revoke { id, place } => {
            file(&place.keys).revoke(id)?;
            if place.json {
                return print(&json!({ "id": id, "revoked": true }));
            }
            print(&format!("key {id} is revoked"))
        }
        KeyCommand::List { place } => list(place),
    }
}

fn file(path: &Path) -> KeyFile {
    KeyFile::at(path)
}

fn create(system: &str, scopes: &[Scope], place: &Place) -> Result<(), Failure> {
    let system = SystemName::new(system).map_err(|error| Failure::Usage(error.to_string()))?;
    let scopes: Scopes = scopes.iter().copied().collect();
    let issued = file(&place.keys).create(&system, scopes)?;
    if place.json {
        let (id, key) = (&issued.record.id, &issued.key);
        return print(&json!({ "id": id, "system": system.as_str(), "scopes": scopes, "key": key }));
    }
    print(&format!(
        "{}\n\nThis key of {system} ({scopes}) is not shown again. Callers send it as `Authorization: Bearer <key>`.",
        issued.key
    ))
}

fn list(place: &Place) -> Result<(), Failure> {
    let keys = file(&place.keys).list()?;
    if place.json {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| {
                let revoked = key.revoked_at.map(|at| at.to_string());
                json!({ "id": key.id, "system": key.system.as_str(), "scopes": key.scopes,
                    "created_at": key.created_at.to_string(), "revoked_at": revoked })
            })
            .collect();
        return print(&json!(keys));
    }
    if keys.is_empty() {
        return print(&format!(
            "no keys in {}; make one with `lockstep key create SYSTEM --scope SCOPE`",
            place.keys.display()
        ));
    }
    let lines: Vec<String> = keys.iter().map(line).collect();
    print(&lines.join("\n"))
}

fn line(key: &KeyRecord) -> String {
    let standing = key
        .revoked_at
        .map_or_else(|| "valid".to_owned(), |at| format!("revoked {at:.0}"));
    format!(
        "{}  {:<16}  {:.0}  {standing}  {}",
        key.id,
        key.system.as_str(),
        key.created_at,
        key.scopes
    )
}
