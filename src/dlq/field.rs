//! One field of a message and its new value, as `body.lines[0].quantity=5`.

use serde_json::Value;
use std::str::FromStr;

/// The furthest place in a list.
const LAST_PLACE: usize = 100_000;

/// A field and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    path: String,
    steps: Vec<Step>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Place(usize),
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("must be FIELD=VALUE")?;
        Ok(Self {
            path: path.to_owned(),
            steps: steps(path)?,
            value: serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned())),
        })
    }
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let mut places = part.split('[');
        let member = places.next().unwrap_or_default();
        if member.is_empty() {
            return Err(format!("{path:?} is no field, as in body.lines[0].quantity"));
        }
        steps.push(Step::Member(member.to_owned()));
        for place in places {
            let number = place.strip_suffix(']').and_then(|number| number.parse().ok());
            let number = number.filter(|number| *number <= LAST_PLACE);
            steps.push(Step::Place(number.ok_or_else(|| {
                format!("{path:?}: a place in a list is a number in brackets, as in [0]")
            })?));
        }
    }
    Ok(steps)
}

impl Assignment {
    /// Puts the value in its place. Members that are not there are made; places in lists must be there.
    pub(crate) fn apply(&self, message: &mut Value) -> Result<(), String> {
        let mut place = message;
        for step in &self.steps {
            place = match (step, place) {
                (Step::Member(name), Value::Object(members)) => members.entry(name).or_insert(Value::Null),
                (Step::Member(name), place @ Value::Null) => {
                    *place = Value::Object(serde_json::Map::new());
                    &mut place[name.as_str()]
                }
                (Step::Place(number), Value::Array(items)) => {
                    let length = items.len();
                    items
                        .get_mut(*number)
                        .ok_or_else(|| format!("{}: the list has {length} items, from [0] on", self.path))?
                }
                (Step::Member(_) | Step::Place(_), _) => {
                    return Err(format!("{}: leads nowhere in this message", self.path));
                }
            };
        }
        place.clone_from(&self.value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(text: &str) -> Result<Value, String> {
        let mut message = json!({ "id": "m", "body": { "lines": [{ "quantity": 1 }, { "quantity": 2 }] } });
        text.parse::<Assignment>()?.apply(&mut message)?;
        Ok(message)
    }

    #[test]
    fn a_field_is_set_by_its_path() {
        let cases = [
            ("id=n", "/id", json!("n")),
            ("body.lines[1].quantity=7", "/body/lines/1/quantity", json!(7)),
            ("body.lines[0].sku=\"4711\"", "/body/lines/0/sku", json!("4711")),
            ("body.ship.zone=a=b", "/body/ship/zone", json!("a=b")),
            ("body.lines=[]", "/body/lines", json!([])),
        ];
        for (text, pointer, expected) in cases {
            assert_eq!(set(text).unwrap().pointer(pointer), Some(&expected), "{text}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused_with_it() {
        for text in [
            "id",
            "=1",
            "body.lines[2].quantity=1",
            "body.lines[x]=1",
            "id.more=1",
            "body..x=1",
        ] {
            let error = set(text).unwrap_err();
            assert!(
                error.contains("FIELD") || error.contains('.') || error.contains("\"\""),
                "{text}: {error}"
            );
        }
    }
}
