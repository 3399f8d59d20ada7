//! `search_read` over records, strict: a field, an operator or a form of a domain that is not known is refused
//! (<https://www.odoo.com/documentation/19.0/developer/reference/backend/orm.html#search-domains>).

use super::books::{Fault, argument};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// A record: what can be read of it, and under names with a point what can only be searched for.
pub(super) type Record = Map<String, Value>;

/// A domain's elements, from the last to the first.
type Elements<'d> = std::iter::Rev<std::slice::Iter<'d, Value>>;

/// The records that the domain lets through, by id, with the fields that are asked for.
pub(super) fn read(
    records: impl IntoIterator<Item = Record>,
    known: &[&str],
    body: &Value,
) -> Result<Value, Fault> {
    let no_domain = Vec::new();
    let domain = body["domain"].as_array().unwrap_or(&no_domain);
    match body["order"].as_str() {
        None | Some("id asc" | "id") => {}
        Some(order) => return Err(Fault::Argument(format!("Invalid order {order:?} here"))),
    }
    let fields: Vec<&str> = body["fields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_read = |field: &&str| *field == "id" || known.contains(field) && !field.contains('.');
    if let Some(field) = fields.iter().find(|field| !is_read(field)) {
        return Err(Fault::Argument(format!("Invalid field '{field}'")));
    }
    let limit = body["limit"]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for record in records {
        if lets_through(domain, known, &record)? {
            found.push(record);
        }
    }
    found.sort_by_key(id_of);
    let rows = found.iter().take(limit).map(|record| {
        let mut row = Map::from_iter([("id".to_owned(), json!(id_of(record)))]);
        for field in &fields {
            let value = record.get(*field).unwrap_or(&Value::Null);
            row.insert((*field).to_owned(), shown(value));
        }
        Value::Object(row)
    });
    Ok(rows.collect())
}

pub(super) fn id_of(record: &Record) -> i64 {
    record.get("id").and_then(Value::as_i64).unwrap_or_default()
}

/// Odoo tells moments without the fractions of seconds that it keeps.
fn shown(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if text.len() == 26 && text.as_bytes()[10] == b' ' => json!(text[..19]),
        _ => value.clone(),
    }
}

/// A domain is in prefix form, with `&` between clauses that nothing joins.
fn lets_through(domain: &[Value], known: &[&str], record: &Record) -> Result<bool, Fault> {
    let mut results: Vec<bool> = Vec::new();
    let elements: Elements<'_> = domain.iter().rev();
    for element in elements {
        let result = match element.as_str() {
            Some("!") => !pop(&mut results)?,
            Some("|") => pop(&mut results)? | pop(&mut results)?,
            Some("&") => pop(&mut results)? & pop(&mut results)?,
            Some(_) => return Err(argument("Invalid operator in the domain")),
            None => clause(element, known, record)?,
        };
        results.push(result);
    }
    Ok(results.into_iter().all(|result| result))
}

fn pop(results: &mut Vec<bool>) -> Result<bool, Fault> {
    results
        .pop()
        .ok_or_else(|| argument("The domain is syntactically not correct"))
}

fn clause(element: &Value, known: &[&str], record: &Record) -> Result<bool, Fault> {
    let (Some(field), Some(operator), Some(3)) = (
        element[0].as_str(),
        element[1].as_str(),
        element.as_array().map(Vec::len),
    ) else {
        return Err(argument("Invalid leaf in the domain"));
    };
    if field != "id" && !known.contains(&field) {
        return Err(Fault::Argument(format!("Invalid field '{field}' in the domain")));
    }
    let there = key(record.get(field).unwrap_or(&Value::Bool(false)));
    let wanted = &element[2];
    let is_among = |values: &Value| {
        let values = values
            .as_array()
            .ok_or_else(|| argument("a list of values is missing"))?;
        Ok::<bool, Fault>(values.iter().any(|value| key(value) == there))
    };
    match operator {
        "=" => Ok(there == key(wanted)),
        "!=" => Ok(there != key(wanted)),
        "in" => is_among(wanted),
        "not in" => Ok(!is_among(wanted)?),
        // Every record here says in which locations, products and categories it is.
        "child_of" => {
            let within = record.get(&format!("{field}.within")).and_then(Value::as_array);
            Ok(within.is_some_and(|within| within.contains(wanted)))
        }
        "=like" => {
            let (Some(text), Some(pattern)) = (there.as_str(), wanted.as_str()) else {
                return Err(argument("=like is for texts"));
            };
            let pattern = pattern
                .strip_suffix('%')
                .ok_or_else(|| argument("a pattern ends with % here"))?;
            Ok(text.starts_with(pattern))
        }
        ">" | ">=" | "<" | "<=" => {
            let Some(order) = compared(&there, wanted) else {
                return Ok(false);
            };
            Ok(match operator {
                ">" => order == Ordering::Greater,
                ">=" => order != Ordering::Less,
                "<" => order == Ordering::Less,
                _ => order != Ordering::Greater,
            })
        }
        _ => Err(argument("Invalid operator in the domain")),
    }
}

/// Of what points to a record, its id.
fn key(value: &Value) -> Value {
    match value.as_array().map(Vec::as_slice) {
        Some([id, Value::String(_)]) => id.clone(),
        _ => value.clone(),
    }
}

fn compared(there: &Value, wanted: &Value) -> Option<Ordering> {
    match (there, wanted) {
        (Value::String(there), Value::String(wanted)) => Some(there.as_str().cmp(wanted.as_str())),
        (Value::Number(there), Value::Number(wanted)) => there.as_f64()?.partial_cmp(&wanted.as_f64()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(domain: &Value) -> Result<Vec<i64>, String> {
        let records = [
            json!({ "id": 2, "name": "begun b", "order_id": [7, "S7"], "write_date": "2026-03-01 12:00:00.500000" }),
            json!({ "id": 1, "name": "begun a", "order_id": [8, "S8"], "write_date": "2026-03-01 11:00:00.000000",
                "order_id.within": [8, 3] }),
        ];
        let records = records.map(|record| record.as_object().unwrap().clone());
        let body = json!({ "domain": domain, "fields": ["write_date"], "order": "id asc" });
        let known = ["name", "order_id", "write_date"];
        let rows = read(records, &known, &body).map_err(|fault| format!("{fault:?}"))?;
        Ok(rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect())
    }

    #[test]
    fn domains_are_read_in_their_prefix_form_and_what_is_not_known_is_refused() {
        let cases = [
            (json!([]), vec![1, 2]),
            (json!([["order_id", "=", 7]]), vec![2]),
            (json!([["name", "=like", "begun %"], ["id", ">", 1]]), vec![2]),
            (json!(["|", ["id", "=", 1], ["order_id", "in", [7]]]), vec![1, 2]),
            (json!(["!", ["id", "=", 1]]), vec![2]),
            (json!([["write_date", ">=", "2026-03-01 12:00:00"]]), vec![2]),
            (json!([["order_id", "child_of", 3]]), vec![1]),
        ];
        for (domain, expected) in cases {
            assert_eq!(found(&domain), Ok(expected), "{domain}");
        }
        for wrong in [
            json!([["nothing", "=", 1]]),
            json!(["|", ["id", "=", 1]]),
            json!([["id", "~", 1]]),
        ] {
            assert!(found(&wrong).is_err(), "{wrong}");
        }
    }
}
