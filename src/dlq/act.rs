//! What changes dead letters: one after the other, at a rate, and what came of each.

use super::field::Assignment;
use super::{Chosen, line, text};
use crate::error::Failure;
use crate::print::print;
use lockstep_adapters::letters::{ClientError, DeskClient};
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
    let letters = choose(client, chosen).await?;
    if chosen.dry_run {
        let lines: Vec<String> = letters.iter().map(line).collect();
        let list = json!({ "letters": letters });
        return print(&if json {
            list.to_string()
        } else {
            format!("{}\nnothing was done", lines.join("\n"))
        });
    }
    // One after the other, so that a system's letters are handed in as they came.
    let mut pace = tokio::time::interval(Duration::from_secs(1) / u32::from(chosen.rate));
    let (mut results, mut left) = (Vec::new(), 0_usize);
    for letter in &letters {
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
        print(&json!({ "letters": results, "left": left }))?;
    } else {
        print(&format!(
            "{} letters, of which {left} stay as they are",
            results.len()
        ))?;
    }
    if left > 0 {
        return Err(Failure::Failed(format!("{left} dead letters stay as they are")));
    }
    Ok(())
}

/// Those that are named, or those that are listed.
async fn choose(client: &DeskClient, chosen: &Chosen) -> Result<Vec<Value>, Failure> {
    if !chosen.letters.is_empty() {
        let named = chosen.letters.iter().map(|letter| json!({ "letter": letter }));
        return Ok(named.collect());
    }
    let query = chosen.which.query();
    if query.is_empty() && !chosen.all {
        let hint = "name letters, or say which by --source, --reason, --kind, --since or --until, or --all";
        return Err(Failure::Usage(hint.to_owned()));
    }
    let mut listed = client.list(&query, chosen.which.limit.into()).await?;
    let letters = listed["letters"].as_array_mut().map(std::mem::take);
    letters.ok_or_else(|| Failure::Failed("the service's answer has no letters".to_owned()))
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
