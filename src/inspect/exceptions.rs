//! Orders that wait for a person.

use super::{AtRest, render};
use crate::error::Failure;
use crate::print::print;
use lockstep_actors::orders::Order;
use lockstep_actors::orders::command::OpenCase;
use lockstep_actors::orders::state::Placed;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

pub(super) fn show(at_rest: &AtRest) -> Result<(), Failure> {
    let now = SystemClock.now();
    let mut found = Vec::new();
    at_rest.every::<Order>(&mut |order, state| {
        let cases = state.placed().map(Placed::open_cases).unwrap_or_default();
        found.extend(cases.into_iter().map(|open| (order.clone(), open)));
    })?;
    // What has been escalated to the end has no time left at all.
    found.sort_by(|(order, open), (other, next)| {
        (open.case.due, open.since, order).cmp(&(next.case.due, next.since, other))
    });
    if at_rest.json {
        let list: Vec<Value> = found
            .iter()
            .map(|(order, open)| value(order, open, now))
            .collect();
        return print(&json!({ "exceptions": list }));
    }
    if found.is_empty() {
        return print("nothing waits for a person");
    }
    let lines: Vec<_> = found.iter().map(|(order, open)| text(order, open, now)).collect();
    print(&format!(
        "{}\n{} exceptions wait for a person",
        lines.join("\n"),
        found.len()
    ))
}

fn value(order: &str, open: &OpenCase, now: Timestamp) -> Value {
    json!({ "order": order, "exception": open.exception.name(), "reason": open.exception.to_string(),
        "since": render::moment(open.since), "age_seconds": now.since(open.since).as_secs(),
        "owner": open.case.owner, "due": open.case.due.map(render::moment), "escalated": open.case.escalated,
        "suggestion": open.exception.suggestion() })
}

fn text(order: &str, open: &OpenCase, now: Timestamp) -> String {
    let left = match open.case.due {
        Some(due) if due > now => format!("{} left", render::age(due.since(now))),
        Some(_) | None => format!("overdue, escalated {} times", open.case.escalated),
    };
    format!(
        "{order:<24} {:<16} {:>9}  {:<16} {left}\n    {}\n    {}",
        open.exception.name(),
        render::age(now.since(open.since)),
        open.case.owner.name(),
        open.exception,
        open.exception.suggestion()
    )
}
