//! What changes dead letters: one after the other, at a rate, and what came of each.

use super::field::Assignment;
use super::{Chosen, line, text};
use crate::error::Failure;
use crate::print::print;
use lockstep_adapters::letters::{ClientError, DeskClient, MAX_LISTED};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

pub(super) async fn repair(
    client: &DeskClient,
    letter: &str,
    set: &[Assignment],
    file: Option<&Path>,
    why: Option<&str>,
) -> Result<Value, Failure> {
    let mut message = match file {
        Some(path) => read(path)?,
        None => match client.show(letter).await?.get_mut("message") {
            Some(message) => message.take(),
            None => {
                return Err(Failure::Failed(format!(
                    "{letter} has no message that can be read; give one with --file"
                )));
            }
        },
    };
    for assignment in set {
        assignment.apply(&mut message).map_err(Failure::Usage)?;
    }
    let mut ask = json!({ "message": message });
    if let Some(why) = why {
        ask["why"] = json!(why);
    }
    Ok(client.settle(letter, &json!({ "repair": ask })).await?)
}

fn read(path: &Path) -> Result<Value, Failure> {
    let bytes = std::fs::read(path).map_err(|cause| Failure::File {
        path: path.to_owned(),
        cause,
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

pub(super) async fn replay(
    client: &DeskClient,
    chosen: &Chosen,
    why: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let ask = why.map_or_else(|| json!({}), |why| json!({ "why": why }));
    for_each(client, chosen, &json!({ "replay": ask }), json).await
}

pub(super) async fn discard(
    client: &DeskClient,
    chosen: &Chosen,
    why: &str,
    json: bool,
) -> Result<(), Failure> {
    for_each(client, chosen, &json!({ "discard": { "why": why } }), json).await
}

async fn for_each(client: &DeskClient, chosen: &Chosen, ask: &Value, json: bool) -> Result<(), Failure> {
    let choice = choose(client, chosen).await?;
    if chosen.dry_run {
        let mut lines: Vec<String> = choice.letters.iter().map(line).collect();
        lines.extend(choice.not_chosen());
        lines.push("nothing was done".to_owned());
        let list =
            json!({ "letters": choice.letters, "not_listed": choice.not_listed, "unseen": choice.unseen });
        return print(&if json { list.to_string() } else { lines.join("\n") });
    }
    // One after the other, so that a system's letters are handed in as they came.
    let mut pace = tokio::time::interval(Duration::from_secs(1) / u32::from(chosen.rate));
    let (mut results, mut left) = (Vec::new(), 0_usize);
    for letter in &choice.letters {
        pace.tick().await;
        let id = text(letter, "letter");
        let result = match client.settle(id, ask).await {
            Ok(answer) => {
                json!({ "letter": id, "changed": answer["changed"], "settled": answer["letter"]["settled"] })
            }
            Err(ClientError::Refused { code, detail, .. }) => {
                left += 1;
                json!({ "letter": id, "changed": false, "code": code, "reason": detail })
            }
            Err(error) => return Err(error.into()),
        };
        if !json {
            print(&format!("{id}: {}", became(&result)))?;
        }
        results.push(result);
    }
    if json {
        let more = (choice.not_listed, &choice.unseen);
        print(&json!({ "letters": results, "left": left, "not_listed": more.0, "unseen": more.1 }))?;
    } else {
        print(&format!(
            "{} letters, of which {left} stay as they are",
            results.len()
        ))?;
    }
    let stay = (left > 0).then(|| format!("{left} dead letters stay as they are"));
    let all: Vec<String> = stay.into_iter().chain(choice.not_chosen()).collect();
    if all.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(all.join("; ")))
    }
}

/// The letters that something is to be done about.
struct Choice {
    letters: Vec<Value>,
    /// How many more there are of those that were asked for.
    not_listed: u64,
    /// Why more may lie with the broker.
    unseen: Option<String>,
}

impl Choice {
    /// What was asked for and is not among the letters, if there may be any.
    fn not_chosen(&self) -> Option<String> {
        match (self.not_listed, &self.unseen) {
            (0, None) => None,
            (0, Some(why)) => Some(format!("more may lie with the broker: {why}")),
            (more, _) => Some(format!("{more} more are open: once these are settled, ask again")),
        }
    }
}

/// Those that are named, or those that are listed.
async fn choose(client: &DeskClient, chosen: &Chosen) -> Result<Choice, Failure> {
    if !chosen.letters.is_empty() {
        let mut letters = Vec::with_capacity(chosen.letters.len());
        for letter in &chosen.letters {
            letters.push(if chosen.dry_run {
                client.show(letter).await?
            } else {
                json!({ "letter": letter })
            });
        }
        return Ok(Choice {
            letters,
            not_listed: 0,
            unseen: None,
        });
    }
    let query = chosen.which.query();
    if query.is_empty() && !chosen.all {
        let hint = "name letters, or say which by --source, --reason, --kind, --since or --until, or --all";
        return Err(Failure::Usage(hint.to_owned()));
    }
    let mut listed = client.list(&query, chosen.which.limit.into()).await?;
    let letters = listed["letters"].as_array_mut().map(std::mem::take);
    let letters = letters.ok_or_else(|| Failure::Failed("the service's answer has no letters".to_owned()))?;
    let listed_here = u64::try_from(letters.len()).unwrap_or(u64::MAX);
    Ok(Choice {
        letters,
        not_listed: not_listed(&listed, listed_here, chosen.which.limit),
        unseen: listed["unseen"].as_str().map(str::to_owned),
    })
}

/// How many more there are than were listed; none for whoever has said how many are wanted.
fn not_listed(listed: &Value, here: u64, limit: u16) -> u64 {
    if usize::from(limit) < MAX_LISTED {
        return 0;
    }
    let count = |name: &str| listed[name].as_u64().unwrap_or_default();
    let total = count("total").saturating_add(count("left_behind"));
    total.saturating_sub(here)
}

/// What became of a letter that was asked something.
fn became(result: &Value) -> String {
    if let Some(reason) = result["reason"].as_str() {
        return format!("stays: {reason}");
    }
    let settled = &result["settled"];
    let before = if result["changed"] == true { "" } else { " before" };
    let more = [text(settled, "outcome"), text(settled, "why")];
    let more: Vec<&str> = more.into_iter().filter(|more| !more.is_empty()).collect();
    format!(
        "{}{before} by {}: {}",
        text(settled, "did"),
        text(settled, "by"),
        more.join("; ")
    )
}

/// What a repair came to.
pub(super) fn deed(answer: &Value) -> &'static str {
    if answer["changed"] == true {
        "repaired; `lockstep dlq replay` hands it in"
    } else {
        "was repaired like this before"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_were_not_listed_are_not_passed_over() {
        let listed = |total: u64, behind: u64| json!({ "total": total, "left_behind": behind });
        for (listed, here, limit, expected) in [
            (listed(1_103, 0), 1_000, 1_000, 103),
            (listed(7, 3), 7, 1_000, 3),
            (listed(7, 0), 7, 1_000, 0),
            // Five were wanted.
            (listed(1_103, 0), 5, 5, 0),
        ] {
            assert_eq!(not_listed(&listed, here, limit), expected, "{listed}");
        }
    }
}
