//! Search criteria in an address, and the fields that are wanted of what is found, pure.
//!
//! - `searchCriteria[filter_groups][<g>][filters][<f>][field|value|condition_type]`: filters of a group are alternatives, groups hold
//!   together (<https://developer.adobe.com/commerce/webapi/rest/use-rest/performing-searches/>). Of the conditions those are known that
//!   compare and list.
//! - `searchCriteria[pageSize]`, 300 at most and 20 by default (<https://developer.adobe.com/commerce/webapi/get-started/api-security/>),
//!   and `[currentPage]`: a page after the last is the last one again (<https://github.com/magento/magento2/issues/3787>).
//! - `fields`, as in `total_count,items[sku,items[qty]]`
//!   (<https://developer.adobe.com/commerce/webapi/rest/use-rest/retrieve-filtered-responses/>).

use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The most items of a page.
const PAGE: usize = 300;
/// How many it has if nothing is said.
const DEFAULT_PAGE: usize = 20;

#[derive(Debug, Default)]
struct Filter {
    field: String,
    value: String,
    condition: String,
}

/// What is searched for.
#[derive(Debug)]
pub(super) struct Criteria {
    /// By group and number.
    filters: BTreeMap<(usize, usize), Filter>,
    sort: Option<(String, bool)>,
    size: usize,
    page: usize,
    fields: Option<String>,
}

/// The parts of a name like `searchCriteria[filter_groups][0][filters][0][field]`.
fn parts(name: &str) -> Vec<&str> {
    name.split(['[', ']']).filter(|part| !part.is_empty()).collect()
}

impl Criteria {
    /// Reads the parameters; says what is wrong with them.
    pub(super) fn read(query: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut criteria = Self {
            filters: BTreeMap::new(),
            sort: None,
            size: DEFAULT_PAGE,
            page: 1,
            fields: None,
        };
        let (mut by, mut ascending) = (None, false);
        for (name, value) in query {
            let unknown = || format!("\"{name}\" is not known.");
            match parts(name).as_slice() {
                ["searchCriteria", "filter_groups", group, "filters", filter, part] => {
                    let place = (
                        group.parse().map_err(|_| unknown())?,
                        filter.parse().map_err(|_| unknown())?,
                    );
                    let filter = criteria.filters.entry(place).or_default();
                    let part = match *part {
                        "field" => &mut filter.field,
                        "value" => &mut filter.value,
                        "condition_type" => &mut filter.condition,
                        _ => return Err(unknown()),
                    };
                    value.clone_into(part);
                }
                ["searchCriteria", "sortOrders", "0", "field"] => by = Some(value.clone()),
                ["searchCriteria", "sortOrders", "0", "direction"] => ascending = value == "ASC",
                ["searchCriteria", "pageSize"] => criteria.size = value.parse().map_err(|_| unknown())?,
                ["searchCriteria", "currentPage"] => criteria.page = value.parse().map_err(|_| unknown())?,
                ["fields"] => criteria.fields = Some(value.clone()),
                _ => return Err(unknown()),
            }
        }
        if criteria.size > PAGE {
            return Err(format!("Maximum SearchCriteria pageSize is {PAGE}"));
        }
        criteria.sort = by.map(|field| (field, ascending));
        Ok(criteria)
    }

    /// The answer with what is found among `all`.
    pub(super) fn find(&self, all: impl Iterator<Item = Value>) -> Result<Value, String> {
        let mut found = Vec::new();
        for item in all {
            if self.holds(&item)? {
                found.push(item);
            }
        }
        if let Some((field, ascending)) = &self.sort {
            found.sort_by(|one, other| {
                let order = compare(&one[field], &text(&other[field]));
                if *ascending { order } else { order.reverse() }
            });
        }
        let count = found.len();
        let last_page = count.div_ceil(self.size.max(1)).max(1);
        let from = (self.page.clamp(1, last_page) - 1) * self.size;
        let page: Vec<Value> = found.into_iter().skip(from).take(self.size).collect();
        let answer = json!({ "items": page, "total_count": count, "search_criteria": {} });
        match &self.fields {
            Some(fields) => Ok(only(&answer, &wanted(&mut fields.chars().peekable()))),
            None => Ok(answer),
        }
    }

    fn holds(&self, item: &Value) -> Result<bool, String> {
        let mut groups: BTreeMap<usize, bool> = BTreeMap::new();
        for ((group, _), filter) in &self.filters {
            *groups.entry(*group).or_default() |= filter.holds(item)?;
        }
        Ok(groups.values().all(|holds| *holds))
    }
}

impl Filter {
    fn holds(&self, item: &Value) -> Result<bool, String> {
        let Some(held) = item.get(&self.field) else {
            return Err(format!("Column not found: \"{}\"", self.field));
        };
        let order = compare(held, &self.value);
        Ok(match self.condition.as_str() {
            "" | "eq" => order == Ordering::Equal,
            "gt" => order == Ordering::Greater,
            "gteq" => order != Ordering::Less,
            "lt" => order == Ordering::Less,
            "lteq" => order != Ordering::Greater,
            "in" => self
                .value
                .split(',')
                .any(|value| compare(held, value) == Ordering::Equal),
            other => return Err(format!("The condition {other} is not known.")),
        })
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Numbers as numbers, else as text.
fn compare(held: &Value, value: &str) -> Ordering {
    match (held.as_i64(), value.parse::<i64>()) {
        (Some(held), Ok(value)) => held.cmp(&value),
        _ => text(held).as_str().cmp(value),
    }
}

/// Fields by name, each with those that are wanted below it.
#[derive(Debug, Default)]
struct Fields(BTreeMap<String, Fields>);

fn wanted(text: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Fields {
    let mut fields = Fields::default();
    let mut name = String::new();
    while let Some(c) = text.next() {
        match c {
            '[' => {
                fields.0.insert(std::mem::take(&mut name), wanted(text));
            }
            ',' | ']' => {
                if !name.is_empty() {
                    fields.0.insert(std::mem::take(&mut name), Fields::default());
                }
                if c == ']' {
                    return fields;
                }
            }
            c => name.push(c),
        }
    }
    if !name.is_empty() {
        fields.0.insert(name, Fields::default());
    }
    fields
}

/// What is wanted of a value.
fn only(value: &Value, fields: &Fields) -> Value {
    match value {
        _ if fields.0.is_empty() => value.clone(),
        Value::Array(items) => items.iter().map(|item| only(item, fields)).collect(),
        Value::Object(object) => {
            let kept = fields.0.iter().filter_map(|(name, below)| {
                let value = object.get(name)?;
                Some((name.clone(), only(value, below)))
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(parameters: &[(&str, &str)]) -> Result<Value, String> {
        let named = |(name, value): &(&str, &str)| {
            let name = match name.split_once(' ') {
                Some((group, part)) => format!("searchCriteria[filter_groups][{group}][filters][0][{part}]"),
                None => (*name).to_owned(),
            };
            (name, (*value).to_owned())
        };
        let all = [(1, "a"), (2, "b"), (10, "b")];
        let all = all.map(|(id, of)| json!({ "id": id, "of": of, "lines": [{ "sku": "A", "qty": id }] }));
        Criteria::read(&parameters.iter().map(named).collect())?.find(all.into_iter())
    }

    #[test]
    fn groups_hold_together_and_only_what_is_wanted_is_shown() {
        let of_b = [
            ("0 field", "of"),
            ("0 value", "b"),
            ("1 field", "id"),
            ("1 value", "2"),
            ("1 condition_type", "gt"),
            ("fields", "items[id,lines[qty]],total_count"),
        ];
        assert_eq!(
            find(&of_b).unwrap(),
            json!({ "items": [{ "id": 10, "lines": [{ "qty": 10 }] }], "total_count": 1 })
        );
    }

    #[test]
    fn a_page_after_the_last_is_the_last_one_again_and_what_is_not_known_is_refused() {
        let page = |page: &str| {
            let sorted = [
                ("searchCriteria[sortOrders][0][field]", "id"),
                ("searchCriteria[sortOrders][0][direction]", "ASC"),
                ("searchCriteria[pageSize]", "2"),
                ("searchCriteria[currentPage]", page),
                ("fields", "items[id]"),
            ];
            find(&sorted).unwrap()["items"].clone()
        };
        assert_eq!(page("1"), json!([{ "id": 1 }, { "id": 2 }]));
        assert_eq!(page("2"), json!([{ "id": 10 }]));
        assert_eq!(page("3"), page("2"));
        for wrong in [
            &[("searchCriteria[pageSize]", "301")][..],
            &[("0 field", "other"), ("0 value", "1")],
            &[("page", "1")],
        ] {
            assert!(find(wrong).is_err(), "{wrong:?}");
        }
    }
}
