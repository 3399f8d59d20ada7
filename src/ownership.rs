//! `lockstep ownership`: who may write what, as a table.

use crate::error::Failure;
use crate::print::print;
use crate::read_config;
use lockstep_actors::governance::demand::Attribute;
use lockstep_actors::governance::ownership::{CHANNEL, Ownership};
use std::path::PathBuf;

/// Whose table.
#[derive(Debug, clap::Args)]
pub(crate) struct OwnershipArguments {
    /// The configuration that declares it; without one, the standard table is shown.
    #[arg(long, value_name = "FILE", env = "LOCKSTEP_CONFIG")]
    config: Option<PathBuf>,
    /// Answer with JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &OwnershipArguments) -> Result<(), Failure> {
    let table = match &arguments.config {
        Some(file) => read_config(file)?.ownership(),
        None => Ownership::standard(),
    };
    if arguments.json {
        let table = serde_json::to_value(&table)
            .map_err(|error| Failure::Failed(format!("the table cannot be shown: {error}")))?;
        return print(&table);
    }
    print(&text(&table))
}

/// The table for a person; Markdown, so that the documentation can show it as it is.
fn text(table: &Ownership) -> String {
    let mut lines = vec![
        format!(
            "Ownership table, version {}, on edition {} of the standard table\n",
            table.version, table.edition
        ),
        "| role | systems |".to_owned(),
        "|---|---|".to_owned(),
    ];
    let roles = table.roles.iter();
    lines.extend(roles.map(|(role, systems)| format!("| {role} | {} |", systems.join(", "))));
    lines.push(format!(
        "| {CHANNEL} | whichever speaks for the channel that took the order |"
    ));
    let channels = table.channels.iter();
    lines.extend(
        channels
            .map(|(system, channels)| format!("| | {system} speaks for {} as well |", channels.join(", "))),
    );
    lines.push("\n| attribute | operation | roles |\n|---|---|---|".to_owned());
    for attribute in Attribute::ALL {
        lines.extend(attribute.operations().iter().map(|&operation| {
            let owners = table.owners_of(attribute, operation);
            let owners = if owners.is_empty() {
                "nobody".to_owned()
            } else {
                owners.join(", ")
            };
            format!("| {attribute} | {operation} | {owners} |")
        }));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_shows_the_standard_table() {
        let chapter = include_str!("../docs/governance.md");
        let table = text(&Ownership::standard());
        assert!(
            chapter.contains(&table),
            "docs/governance.md must show what `lockstep ownership` prints:\n{table}"
        );
    }
}
