//! `lockstep schema`: the JSON Schemas of the canonical messages.

use crate::error::Failure;
use crate::print::print;
use lockstep_adapters::schema::{Direction, SchemaDocument, asyncapi, breaks, documents};
use std::path::{Path, PathBuf};

/// Which schemas, and where to.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SchemaArguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// The schema to print, as in lockstep.order.submit; without it, all names are listed.
    name: Option<String>,
    /// Write all schemas into this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    write: Option<PathBuf>,
    /// Fail if the schemas in this directory are not the ones that this version reads and writes.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["name", "write"])]
    check: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Fail if somebody who knows the schemas of a version before would be broken by this one, and say where and why.
    ///
    /// A message that others send must still be taken, one that others receive must still be understood.
    #[command(
        after_help = "Examples:\n  lockstep schema check\n  lockstep schema check --against schemas/released/0.1.0"
    )]
    Check {
        /// A directory with the schemas of a version before, or one with such directories.
        #[arg(long, value_name = "DIR", default_value = "schemas/released")]
        against: PathBuf,
    },
    /// Print the AsyncAPI 3.0 document of what comes and goes over AMQP.
    #[command(after_help = "Example:\n  lockstep schema asyncapi --prefix lockstep > asyncapi.json")]
    Asyncapi {
        /// What the names of exchanges and queues begin with, as `amqp.prefix` says.
        #[arg(long, default_value = "lockstep")]
        prefix: String,
    },
}

pub(crate) fn run(arguments: &SchemaArguments) -> Result<(), Failure> {
    let documents =
        documents().map_err(|error| Failure::Failed(format!("a schema cannot be written: {error}")))?;
    match &arguments.action {
        Some(Action::Check { against }) => return compare(&documents, against),
        Some(Action::Asyncapi { prefix }) => return print(&format!("{:#}", asyncapi(prefix))),
        None => {}
    }
    match (&arguments.name, &arguments.write, &arguments.check) {
        (Some(name), ..) => show(&documents, name),
        (None, Some(directory), _) => write(&documents, directory),
        (None, None, Some(directory)) => check(&documents, directory),
        (None, None, None) => {
            let names: Vec<_> = documents.iter().map(title).collect();
            print(&names.join("\n"))
        }
    }
}

/// Compares with one version before, or with each of several.
fn compare(documents: &[SchemaDocument], against: &Path) -> Result<(), Failure> {
    let versions = versions(against)?;
    let mut broken = Vec::new();
    for version in &versions {
        for file in json_files(version)? {
            let name = file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let before = read(&file)?;
            let Some(document) = documents.iter().find(|document| document.file_name == name) else {
                broken.push(format!(
                    "{}: {name} is gone: who sends or reads such messages is left alone",
                    version.display()
                ));
                continue;
            };
            let after =
                serde_json::from_str(&document.text).map_err(|error| Failure::Failed(error.to_string()))?;
            let found = breaks(&before, &after, document.direction);
            let who = match document.direction {
                Direction::Inbound => "who sends",
                Direction::Outbound => "who reads",
            };
            broken.extend(
                found
                    .iter()
                    .map(|found| format!("{}: {} breaks {who}: {found}", version.display(), title(document))),
            );
        }
    }
    if broken.is_empty() {
        return print(&format!(
            "nobody who knows one of {} versions before is broken",
            versions.len()
        ));
    }
    Err(Failure::Failed(format!(
        "{} changes break others; leave the schema as it was, or give the message a new version beside it:\n  {}",
        broken.len(),
        broken.join("\n  ")
    )))
}

/// The directory itself if it holds schemas, else those in it that do.
fn versions(against: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !json_files(against)?.is_empty() {
        return Ok(vec![against.to_owned()]);
    }
    let mut versions: Vec<PathBuf> = entries(against)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    versions.sort();
    if versions.is_empty() {
        return Err(Failure::Usage(format!(
            "there are no schemas in {}",
            against.display()
        )));
    }
    Ok(versions)
}

fn json_files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut files: Vec<PathBuf> = entries(directory)?.into_iter().filter(is_json).collect();
    files.sort();
    Ok(files)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |cause| Failure::File {
        path: directory.to_owned(),
        cause,
    };
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)
}

fn read(file: &Path) -> Result<serde_json::Value, Failure> {
    let text = std::fs::read_to_string(file).map_err(|cause| Failure::File {
        path: file.to_owned(),
        cause,
    })?;
    serde_json::from_str(&text).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))
}

/// `lockstep.order.submit.v1.json` is the file of `lockstep.order.submit`.
fn title(document: &SchemaDocument) -> &str {
    let name = document.file_name.trim_end_matches(".json");
    name.rsplit_once(".v").map_or(name, |(title, _)| title)
}

fn show(documents: &[SchemaDocument], name: &str) -> Result<(), Failure> {
    let found = documents
        .iter()
        .find(|document| title(document) == name || document.file_name == name)
        .ok_or_else(|| {
            let known: Vec<_> = documents.iter().map(title).collect();
            Failure::Usage(format!(
                "there is no schema {name:?}; there are {}",
                known.join(", ")
            ))
        })?;
    print(found.text.trim_end())
}

fn write(documents: &[SchemaDocument], directory: &Path) -> Result<(), Failure> {
    let failed = |cause| Failure::File {
        path: directory.to_owned(),
        cause,
    };
    std::fs::create_dir_all(directory).map_err(failed)?;
    for document in documents {
        std::fs::write(directory.join(&document.file_name), &document.text).map_err(failed)?;
    }
    print(&format!("{} schemas in {}", documents.len(), directory.display()))
}

fn check(documents: &[SchemaDocument], directory: &Path) -> Result<(), Failure> {
    let differs = |document: &&SchemaDocument| {
        std::fs::read_to_string(directory.join(&document.file_name))
            .ok()
            .as_ref()
            != Some(&document.text)
    };
    let different: Vec<_> = documents.iter().filter(differs).map(title).collect();
    if different.is_empty() {
        return print(&format!("all {} schemas are up to date", documents.len()));
    }
    Err(Failure::Failed(format!(
        "not up to date in {}: {}; `lockstep schema --write {}` renews them",
        directory.display(),
        different.join(", "),
        directory.display()
    )))
}
