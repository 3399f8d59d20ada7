//! Whether a schema still fits those who know the one before.
//!
//! Two questions, one for each direction. A message that others send must still be taken: whatever the schema before let
//! through, the new one lets through. A message that others receive must still be understood: whatever the new schema lets
//! through, the one before let through, but for fields that are new, which a consumer passes over.
//!
//! Both are "everything that fits this one fits that one" ([`Judge::fits`]), decided by structure. What cannot be decided
//! counts as a break: a check that guesses is none.
//!
//! Keywords: <https://json-schema.org/draft/2020-12/json-schema-validation>.

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// Who writes the messages of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Others send them to Lockstep.
    Inbound,
    /// Lockstep sends them to others.
    Outbound,
}

/// Something that breaks whoever knows the schema before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// Where, as in `body.lines[].quantity`.
    pub path: String,
    /// What, and for whom.
    pub what: String,
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() {
            "the message"
        } else {
            &self.path
        };
        write!(formatter, "{path}: {}", self.what)
    }
}

/// What breaks when `before` becomes `after`; empty if nothing does.
#[must_use]
pub fn breaks(before: &Value, after: &Value, direction: Direction) -> Vec<Break> {
    let (narrow, wide) = match direction {
        Direction::Inbound => (before, after),
        Direction::Outbound => (after, before),
    };
    let mut judge = Judge {
        narrow,
        wide,
        direction,
        same_definitions: before.get("$defs") == after.get("$defs"),
        seen: BTreeSet::new(),
        found: BTreeSet::new(),
    };
    judge.fits("", narrow, wide);
    judge.found.into_iter().collect()
}

/// Keywords that say nothing about what fits.
const NOTES: [&str; 8] = [
    "title",
    "description",
    "default",
    "examples",
    "$schema",
    "$id",
    "$defs",
    "deprecated",
];

struct Judge<'s> {
    /// What must fit ...
    narrow: &'s Value,
    /// ... into this.
    wide: &'s Value,
    direction: Direction,
    /// Whether the same name means the same in both.
    same_definitions: bool,
    /// Pairs of definitions that are being judged: definitions may name themselves.
    seen: BTreeSet<(String, String)>,
    found: BTreeSet<Break>,
}

impl<'s> Judge<'s> {
    fn tell(&mut self, path: &str, what: impl Into<String>) {
        let path = path.trim_start_matches('.').to_owned();
        self.found.insert(Break {
            path,
            what: what.into(),
        });
    }

    /// The names of "what must fit" and "into what", for a person.
    fn names(&self) -> (&'static str, &'static str) {
        match self.direction {
            Direction::Inbound => ("the version before", "this one"),
            Direction::Outbound => ("this version", "the one before"),
        }
    }

    /// Tells everything because of which something that fits `narrow` may not fit `wide`.
    fn fits(&mut self, path: &str, narrow: &'s Value, wide: &'s Value) {
        let pair = (reference(narrow), reference(wide));
        if let (Some(one), Some(other)) = pair
            && !self.seen.insert((one.to_owned(), other.to_owned()))
        {
            return;
        }
        let (narrow, wide) = (resolve(self.narrow, narrow), resolve(self.wide, wide));
        if self.same_definitions && narrow == wide {
            return;
        }
        let (Some(narrow), Some(wide)) = (narrow.as_object(), wide.as_object()) else {
            // `true` takes everything, `false` nothing.
            if wide != &Value::Bool(true) && narrow != &Value::Bool(false) && narrow != wide {
                self.tell(path, "is another kind of schema");
            }
            return;
        };
        if self.alternatives(path, narrow, wide) {
            return;
        }
        self.types(path, narrow, wide);
        self.values(path, narrow, wide);
        self.bounds(path, narrow, wide);
        self.members(path, narrow, wide);
        self.items(path, narrow, wide);
        self.rest(path, narrow, wide);
    }

    /// `oneOf` and `anyOf`: each alternative of the one must fit one of the other. Says whether there were any.
    fn alternatives(
        &mut self,
        path: &str,
        narrow: &'s Map<String, Value>,
        wide: &'s Map<String, Value>,
    ) -> bool {
        let (ours, theirs) = (choices(narrow), choices(wide));
        if ours.is_none() && theirs.is_none() {
            return false;
        }
        let one = |of: &'s Map<String, Value>| -> Vec<Map<String, Value>> { vec![of.clone()] };
        let whole = |of: &'s Map<String, Value>, found: Option<&'s Vec<Value>>| match found {
            None => one(of),
            Some(found) => found.iter().map(|choice| merged(of, choice)).collect(),
        };
        let (ours, theirs) = (whole(narrow, ours), whole(wide, theirs));
        for choice in &ours {
            let choice = Value::Object(choice.clone());
            let mut nearest: Option<BTreeSet<Break>> = None;
            for other in &theirs {
                let other = Value::Object(other.clone());
                let found = self.apart(path, &choice, &other);
                if nearest.as_ref().is_none_or(|nearest| found.len() < nearest.len()) {
                    nearest = Some(found);
                }
                if nearest.as_ref().is_some_and(BTreeSet::is_empty) {
                    break;
                }
            }
            self.found.extend(nearest.unwrap_or_default());
        }
        true
    }

    /// What one alternative has against another, without telling it.
    fn apart(&self, path: &str, narrow: &Value, wide: &Value) -> BTreeSet<Break> {
        let rooted = |root: &Value, of: &Value| {
            let mut of = of.clone();
            if let (Some(of), Some(definitions)) = (of.as_object_mut(), root.get("$defs")) {
                of.insert("$defs".to_owned(), definitions.clone());
            }
            of
        };
        let (narrow, wide) = (rooted(self.narrow, narrow), rooted(self.wide, wide));
        let mut judge = Judge {
            narrow: &narrow,
            wide: &wide,
            direction: self.direction,
            same_definitions: self.same_definitions,
            seen: self.seen.clone(),
            found: BTreeSet::new(),
        };
        judge.fits(path, &narrow, &wide);
        judge.found
    }

    fn types(&mut self, path: &str, narrow: &Map<String, Value>, wide: &Map<String, Value>) {
        let Some(allowed) = types(wide) else { return };
        let (ours, theirs) = self.names();
        match types(narrow) {
            None if narrow.contains_key("const") || narrow.contains_key("enum") => {}
            None => self.tell(
                path,
                format!("may be anything in {ours}, and only {allowed:?} in {theirs}"),
            ),
            Some(found) => {
                for kind in found {
                    // Every whole number is a number.
                    let fits = allowed.contains(kind) || (kind == "integer" && allowed.contains("number"));
                    if !fits {
                        self.tell(path, format!("may be {kind} in {ours}, and not in {theirs}"));
                    }
                }
            }
        }
    }

    /// `enum` and `const`.
    fn values(&mut self, path: &str, narrow: &Map<String, Value>, wide: &Map<String, Value>) {
        let Some(allowed) = values(wide) else { return };
        let (ours, theirs) = self.names();
        match values(narrow) {
            None => self.tell(
                path,
                format!("is not bound to certain values in {ours}, but in {theirs}"),
            ),
            Some(found) => {
                for value in found.into_iter().filter(|value| !allowed.contains(value)) {
                    self.tell(path, format!("may be {value} in {ours}, and not in {theirs}"));
                }
            }
        }
    }

    fn bounds(&mut self, path: &str, narrow: &Map<String, Value>, wide: &Map<String, Value>) {
        let (ours, theirs) = self.names();
        const LEAST: [&str; 4] = ["minimum", "minLength", "minItems", "minProperties"];
        const MOST: [&str; 4] = ["maximum", "maxLength", "maxItems", "maxProperties"];
        for (keys, is_least) in [(LEAST, true), (MOST, false)] {
            for key in keys {
                let Some(limit) = wide.get(key).and_then(Value::as_f64) else {
                    continue;
                };
                let fits = narrow
                    .get(key)
                    .and_then(Value::as_f64)
                    .is_some_and(|own| if is_least { own >= limit } else { own <= limit });
                if !fits {
                    let own = narrow
                        .get(key)
                        .map_or_else(|| "none".to_owned(), Value::to_string);
                    self.tell(
                        path,
                        format!("{key} is {own} in {ours} and {} in {theirs}", wide[key]),
                    );
                }
            }
        }
    }

    fn members(&mut self, path: &str, narrow: &'s Map<String, Value>, wide: &'s Map<String, Value>) {
        let (ours, theirs) = self.names();
        let (found, known) = (properties(narrow), properties(wide));
        let needed = required(narrow);
        for name in required(wide).difference(&needed) {
            self.tell(
                &format!("{path}.{name}"),
                format!("may be missing in {ours}, and is required in {theirs}"),
            );
        }
        let is_closed = wide.get("additionalProperties") == Some(&Value::Bool(false));
        for (name, schema) in found.into_iter().flatten() {
            let path = format!("{path}.{name}");
            match known.and_then(|known| known.get(name)) {
                Some(other) => self.fits(&path, schema, other),
                // Consumers pass over what they do not know.
                None if is_closed && self.direction == Direction::Inbound => {
                    self.tell(&path, format!("is known in {ours}, and refused in {theirs}"));
                }
                None => {}
            }
        }
        match (
            narrow.get("additionalProperties"),
            wide.get("additionalProperties"),
        ) {
            (Some(one @ Value::Object(_)), Some(other @ Value::Object(_))) => {
                self.fits(&format!("{path}.*"), one, other);
            }
            (None | Some(Value::Bool(true) | Value::Object(_)), Some(Value::Bool(false)))
                if self.direction == Direction::Inbound
                    && types(narrow).is_some_and(|types| types.contains("object")) =>
            {
                self.tell(
                    path,
                    format!("may have any other member in {ours}, and none in {theirs}"),
                );
            }
            (None | Some(_), None | Some(_)) => {}
        }
    }

    fn items(&mut self, path: &str, narrow: &'s Map<String, Value>, wide: &'s Map<String, Value>) {
        match (narrow.get("items"), wide.get("items")) {
            (Some(one), Some(other)) => self.fits(&format!("{path}[]"), one, other),
            (None, Some(_)) if types(narrow).is_some_and(|types| types.contains("array")) => {
                self.tell(path, "its items were not bound before");
            }
            (None | Some(_), None | Some(_)) => {}
        }
    }

    /// What is not understood must be the same.
    fn rest(&mut self, path: &str, narrow: &Map<String, Value>, wide: &Map<String, Value>) {
        const JUDGED: [&str; 18] = [
            "type",
            "enum",
            "const",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "oneOf",
            "anyOf",
            "$ref",
        ];
        let (ours, theirs) = self.names();
        for (key, value) in wide {
            let judged = JUDGED.contains(&key.as_str()) || NOTES.contains(&key.as_str());
            if !judged && narrow.get(key) != Some(value) {
                let own = narrow
                    .get(key)
                    .map_or_else(|| "absent".to_owned(), Value::to_string);
                self.tell(path, format!("{key} is {own} in {ours} and {value} in {theirs}"));
            }
        }
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()
}

/// Follows `$ref` within its document.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..32 {
        let target = reference(schema).and_then(|target| root.pointer(target.strip_prefix('#')?));
        match target {
            Some(target) => schema = target,
            None => return schema,
        }
    }
    schema
}

fn choices(of: &Map<String, Value>) -> Option<&Vec<Value>> {
    of.get("oneOf").or_else(|| of.get("anyOf"))?.as_array()
}

/// An alternative with what holds for all of them.
fn merged(of: &Map<String, Value>, choice: &Value) -> Map<String, Value> {
    let mut merged: Map<String, Value> = of
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "oneOf" | "anyOf"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for (key, value) in choice.as_object().into_iter().flatten() {
        match (merged.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(more)) => {
                known.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            (Some(Value::Array(known)), Value::Array(more)) if key == "required" => {
                known.extend(more.iter().cloned());
            }
            (Some(_) | None, _) => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    merged
}

fn types(of: &Map<String, Value>) -> Option<BTreeSet<&str>> {
    match of.get("type")? {
        Value::String(one) => Some(BTreeSet::from([one.as_str()])),
        Value::Array(many) => Some(many.iter().filter_map(Value::as_str).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn values(of: &Map<String, Value>) -> Option<Vec<&Value>> {
    if let Some(value) = of.get("const") {
        return Some(vec![value]);
    }
    Some(of.get("enum")?.as_array()?.iter().collect())
}

fn properties(of: &Map<String, Value>) -> Option<&Map<String, Value>> {
    of.get("properties").and_then(Value::as_object)
}

fn required(of: &Map<String, Value>) -> BTreeSet<&str> {
    let names = of.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::documents;
    use serde_json::json;

    fn told(before: &Value, after: &Value, direction: Direction) -> Vec<String> {
        breaks(before, after, direction)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn object(properties: &Value, required: &[&str]) -> Value {
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    #[test]
    fn what_may_change_and_what_breaks_whom() {
        let text = json!({ "type": "string", "maxLength": 8 });
        let plain = object(&json!({ "a": text }), &["a"]);
        let optional = object(&json!({ "a": text, "b": { "type": "integer" } }), &["a"]);
        let required = object(&json!({ "a": text, "b": { "type": "integer" } }), &["a", "b"]);
        let longer = object(&json!({ "a": { "type": "string", "maxLength": 9 } }), &["a"]);
        let number = object(&json!({ "a": { "type": "integer" } }), &["a"]);
        let either = object(&json!({ "a": { "anyOf": [text, { "type": "null" }] } }), &["a"]);
        let few = json!({ "enum": ["x", "y"] });
        let more = json!({ "enum": ["x", "y", "z"] });
        let named = json!({ "$ref": "#/$defs/N", "$defs": { "N": few } });
        let deep = json!({ "type": "array", "items": plain, "maxItems": 3 });
        let deeper = json!({ "type": "array", "items": longer, "maxItems": 3 });
        // Before, after, whether who sends is broken, whether who reads is.
        let cases = [
            ("the same", &plain, &plain, false, false),
            ("a new optional field", &plain, &optional, false, false),
            ("an optional field goes", &optional, &plain, true, false),
            ("a new required field", &plain, &required, true, false),
            (
                "a required field becomes optional",
                &required,
                &optional,
                false,
                true,
            ),
            ("a longer text", &plain, &longer, false, true),
            ("a shorter text", &longer, &plain, true, false),
            ("another type", &plain, &number, true, true),
            ("null as well", &plain, &either, false, true),
            ("null no more", &either, &plain, true, false),
            ("one value more", &few, &more, false, true),
            ("one value less", &more, &few, true, false),
            ("by another name", &few, &named, false, false),
            ("within a list", &deep, &deeper, false, true),
        ];
        for (what, before, after, sends, reads) in cases {
            let inbound = told(before, after, Direction::Inbound);
            assert_eq!(!inbound.is_empty(), sends, "{what}, who sends: {inbound:?}");
            let outbound = told(before, after, Direction::Outbound);
            assert_eq!(!outbound.is_empty(), reads, "{what}, who reads: {outbound:?}");
        }
        assert_eq!(
            told(&deep, &deeper, Direction::Outbound),
            ["[].a: maxLength is 9 in this version and 8 in the one before"]
        );
        assert_eq!(
            told(&plain, &required, Direction::Inbound),
            ["b: may be missing in the version before, and is required in this one"]
        );
    }

    /// Every schema fits itself, and any field that goes missing in it is told.
    #[test]
    fn the_schemas_that_there_are_can_be_judged() {
        for document in documents().unwrap() {
            let schema: Value = serde_json::from_str(&document.text).unwrap();
            for direction in [Direction::Inbound, Direction::Outbound] {
                assert_eq!(
                    told(&schema, &schema, direction),
                    [""; 0],
                    "{}",
                    document.file_name
                );
            }
            let mut without = schema.clone();
            without["properties"]
                .as_object_mut()
                .unwrap()
                .remove("correlation_id");
            let broken = told(&schema, &without, Direction::Inbound);
            assert_eq!(
                broken,
                ["correlation_id: is known in the version before, and refused in this one"]
            );
        }
    }

    #[test]
    fn a_definition_that_names_itself_is_judged_once() {
        let tree = |limit: u64| {
            json!({ "$ref": "#/$defs/T", "$defs": { "T": { "type": "object",
                "properties": { "name": { "type": "string", "maxLength": limit }, "parts": { "type": "array", "items": { "$ref": "#/$defs/T" } } } } } })
        };
        assert_eq!(told(&tree(3), &tree(3), Direction::Inbound), [""; 0]);
        assert_eq!(told(&tree(3), &tree(2), Direction::Inbound).len(), 1);
    }
}
