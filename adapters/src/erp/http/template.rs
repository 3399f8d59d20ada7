//! Requests as templates: what an order says, put where an ERP wants it.
//!
//! Invariants: a value never breaks out of its place, in a body it is written as JSON and in a path percent-encoded; a
//! template that cannot be read, or names what is not there, is refused before anything starts.

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, escape_formatter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rust_decimal::Decimal;
use serde::Serialize;

/// What a value of a path or a query keeps (RFC 3986, unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where a template's text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Path and query.
    Path,
    /// The value of a header.
    Header,
    /// The body.
    Body,
}

impl Place {
    const fn ending(self) -> &'static str {
        match self {
            Self::Path => "@path",
            Self::Header => "@header",
            Self::Body => "@body",
        }
    }
}

/// All templates of a connector, by the setting they come from.
#[derive(Debug)]
pub(super) struct Templates(Environment<'static>);

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(Place::Body.ending()) {
                AutoEscape::Json
            } else {
                AutoEscape::None
            }
        });
        environment.set_formatter(|output, state, value| {
            if state.name().ends_with(Place::Path.ending()) {
                let encoded = utf8_percent_encode(&value.to_string(), RESERVED).to_string();
                return output.write_str(&encoded).map_err(Error::from);
            }
            escape_formatter(output, state, value)
        });
        environment.add_filter("number", number);
        Self(environment)
    }

    /// Reads a template.
    pub(super) fn add(&mut self, key: &str, place: Place, text: &str) -> Result<(), Error> {
        self.0
            .add_template_owned(format!("{key}{}", place.ending()), text.to_owned())
    }

    /// The text of a template that was added.
    pub(super) fn render(&self, key: &str, place: Place, of: &impl Serialize) -> Result<String, Error> {
        self.0
            .get_template(&format!("{key}{}", place.ending()))?
            .render(Serde(of))
    }
}

/// An exact decimal as a number of JSON, for an ERP that wants no text.
fn number(_: &State, value: &Value) -> Result<Value, Error> {
    let text = value.to_string();
    text.parse::<Decimal>()
        .map(|decimal| Value::from_safe_string(decimal.to_string()))
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("{text:?} is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(place: Place, text: &str, of: &serde_json::Value) -> Result<String, String> {
        let mut templates = Templates::new();
        templates
            .add("book", place, text)
            .map_err(|error| error.to_string())?;
        templates
            .render("book", place, of)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_stays_in_its_place() {
        let order = json!({ "order": "web/7", "customer": "O'Hara \"& Sons\"", "lines": [
            { "sku": "A-1", "quantity": 2, "amount": "9.50" }, { "sku": "B\n2", "quantity": 1, "amount": "3" }] });
        let cases = [
            (
                Place::Path,
                "/sales?ref={{ order }}&of={{ customer }}",
                "/sales?ref=web%2F7&of=O%27Hara%20%22%26%20Sons%22",
            ),
            (Place::Header, "{{ order }}", "web/7"),
            (
                Place::Body,
                r#"{"name":{{ customer }}}"#,
                r#"{"name":"O'Hara \"& Sons\""}"#,
            ),
            (
                Place::Body,
                "[{% for line in lines %}[{{ line.sku }},{{ line.amount|number }}]{% if not loop.last %},{% endif %}{% endfor %}]",
                r#"[["A-1",9.50],["B\n2",3]]"#,
            ),
        ];
        for (place, template, expected) in cases {
            assert_eq!(
                rendered(place, template, &order).as_deref(),
                Ok(expected),
                "{template}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_no_empty_text() {
        let order = json!({ "order": "web/7" });
        for (place, template) in [
            (Place::Body, "{{ custmer }}"),
            (Place::Path, "/{{ custmer }}"),
            (Place::Header, "{{ order.number }}"),
            (Place::Body, "{{ order|number }}"),
            (Place::Body, "{{ order"),
        ] {
            assert!(rendered(place, template, &order).is_err(), "{template}");
        }
    }
}
