//! `lockstep erp`: what the connectors to ERPs can.

use crate::error::Failure;
use crate::print::print;
use lockstep_adapters::erp::{Ability, Capability, ErpKind};

/// What to look at.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ErpCommand {
    /// Print what each connector can, as a table.
    #[command(after_help = "Example:\n  lockstep erp capabilities")]
    Capabilities,
}

pub(crate) fn run(command: &ErpCommand) -> Result<(), Failure> {
    match command {
        ErpCommand::Capabilities => print(&capabilities()),
    }
}

/// The table for a person; Markdown, so that the documentation can show it as it is.
fn capabilities() -> String {
    let names = ErpKind::ALL.map(|kind| format!("`{}`", kind.name()));
    let mut lines = vec![
        format!("| | {} |", names.join(" | ")),
        format!("|---|{}", "---|".repeat(names.len())),
    ];
    lines.extend(Capability::ALL.map(|capability| {
        let cells = ErpKind::ALL.map(|kind| match kind.ability(capability) {
            Ability::Can(how) => how.to_owned(),
            Ability::Cannot(why) => format!("no: {why}"),
        });
        format!("| {} | {} |", capability.name(), cells.join(" | "))
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_shows_what_connectors_can() {
        let chapter = include_str!("../docs/erp.md");
        let table = capabilities();
        assert!(
            chapter.contains(&table),
            "docs/erp.md must show what `lockstep erp capabilities` prints:\n{table}"
        );
    }
}
