//! `lockstep schema`: the JSON Schemas of the canonical messages.

use crate::error::Failure;
use crate::print::print;
use lockstep_adapters::schema::{SchemaDocument, documents};
use std::path::{Path, PathBuf};

/// Which schemas, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArguments {
    /// The schema to print, as in lockstep.order.submit; without it, all names are listed.
    name: Option<String>,
    /// Write all schemas into this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    write: Option<PathBuf>,
    /// Fail if the schemas in this directory are not the ones that this version reads and writes.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["name", "write"])]
    check: Option<PathBuf>,
}

pub(crate) fn run(arguments: &SchemaArguments) -> Result<(), Failure> {
    let documents =
        documents().map_err(|error| Failure::Failed(format!("a schema cannot be written: {error}")))?;
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
