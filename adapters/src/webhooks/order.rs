//! What is wanted of an order, as canonical messages.

use super::config::OrderIntake;
use crate::schema::VERSION;
use crate::schema::limits::MAX_AMOUNT_SCALE;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing that concerns us; why, in words.
    Nothing(&'static str),
    /// Take this order: the body of a `lockstep.order.submit`.
    Submit(Value),
    /// Cancel an order: the body of a `lockstep.order.cancel`; and that of its submission, should it not have come in yet.
    Cancel {
        /// The cancellation.
        cancel: Value,
        /// The order, if the platform would have it taken and cancelled.
        order: Option<Value>,
    },
}

/// What was said says nothing that could be an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Unreadable {
    /// Which field of the platform's, as in `line_items[3].sku`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Unreadable {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// A canonical message of a schema.
pub(super) fn message(schema: &str, id: &str, body: &Value) -> Vec<u8> {
    let message = json!({ "schema": schema, "version": VERSION, "id": id, "body": body });
    message.to_string().into_bytes()
}

/// The JSON object in a body.
pub(super) fn object(body: &[u8]) -> Result<Value, Unreadable> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| Unreadable::new("", error.to_string()))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Unreadable::new("", "is no JSON object"))
    }
}

/// A number or text as text; none of what is absent, empty or something else.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// What stands under a name that may have dots, as text.
pub(super) fn needed(order: &Value, field: &str) -> Result<String, Unreadable> {
    text(at(order, field)).ok_or_else(|| Unreadable::new(field, "is missing"))
}

/// A decimal in a number or text.
pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    let text = text(value)?;
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

/// A whole number, written with or without a fraction of zero, as a number or as text.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    let number = decimal(value)?;
    number.is_integer().then(|| number.to_i64())?
}

/// What one unit costs if so many cost `amount`, to as many decimals as a price may have; none if it is no price.
pub(super) fn each(amount: Decimal, quantity: i64) -> Option<Decimal> {
    let each = amount.checked_div(Decimal::from(quantity))?;
    Some(each.round_dp(MAX_AMOUNT_SCALE).normalize()).filter(|each| !each.is_sign_negative())
}

/// What a platform calls the items of an order, and of each its SKU and quantity: names with dots between what lies in each
/// other.
pub(super) struct ItemNames {
    pub(super) items: &'static str,
    pub(super) sku: &'static str,
    pub(super) quantity: &'static str,
}

/// As shops call them.
pub(super) const LINE_ITEMS: ItemNames = ItemNames {
    items: "line_items",
    sku: "sku",
    quantity: "quantity",
};

/// What stands under a name with dots.
pub(super) fn at<'v>(value: &'v Value, name: &str) -> &'v Value {
    name.split('.').fold(value, |value, part| &value[part])
}

/// The goods among an order's items, numbered by their places. What a unit costs each platform says in its own way.
///
/// # Errors
/// [`Unreadable`] names the field of the item that is no line.
pub(super) fn lines(
    order: &Value,
    names: &ItemNames,
    is_goods: impl Fn(&Value) -> bool,
    unit_price: impl Fn(&Value, i64) -> Option<Decimal>,
) -> Result<Vec<Value>, Unreadable> {
    let items = at(order, names.items).as_array();
    let items = items.into_iter().flatten().enumerate();
    let goods = items.filter(|(_, item)| is_goods(item));
    goods
        .map(|(place, item)| {
            let field = |name: &str| format!("{}[{place}].{name}", names.items);
            let sku = text(at(item, names.sku));
            let sku = sku.ok_or_else(|| Unreadable::new(field(names.sku), "is missing"))?;
            let quantity = whole(at(item, names.quantity)).filter(|units| *units > 0);
            let quantity = quantity
                .ok_or_else(|| Unreadable::new(field(names.quantity), "is not above 0, or not whole"))?;
            let mut line = json!({ "line": place + 1, "sku": sku, "quantity": quantity });
            if let Some(price) = unit_price(item, quantity) {
                line["unit_price"] = price.to_string().into();
            }
            Ok(line)
        })
        .collect()
}

/// The body of a submission with what the channel's configuration says.
pub(super) fn submission(
    intake: &OrderIntake,
    channel: &str,
    number: &str,
    customer: Option<&str>,
    rest: Value,
) -> Result<Value, Unreadable> {
    let buyer = intake.buyer(customer);
    let buyer = buyer.ok_or_else(|| Unreadable::new("customer", "the configuration names no buyer"))?;
    let mut body = json!({
        "channel": channel, "number": number, "customer": buyer.as_str(),
        "warehouses": intake.warehouses, "sourcing": intake.sourcing, "policy": intake.policy,
    });
    if let (Some(body), Value::Object(rest)) = (body.as_object_mut(), rest) {
        body.extend(rest.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Ok(body)
}

/// An address of the parts that are there, each cut to what fits.
pub(super) fn address(parts: [(&str, Option<String>); 5]) -> Value {
    let most = lockstep_actors::ids::AddressText::MAX_BYTES;
    let known = parts.into_iter().filter_map(|(name, text)| {
        let mut text: String = text?
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        text.truncate(text.floor_char_boundary(most));
        let text = text.trim().to_owned();
        (!text.is_empty()).then(|| (name.to_owned(), Value::String(text)))
    });
    Value::Object(known.collect())
}

/// Texts one after the other, with blanks between those that are there.
pub(super) fn joined<'v>(parts: impl IntoIterator<Item = &'v Value>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().filter_map(text).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (value, expected) in [
            (json!(5), Some(5)),
            (json!("5.0000"), Some(5)),
            (json!(5.0), Some(5)),
            (json!(5.5), None),
            (json!(null), None),
        ] {
            assert_eq!(whole(&value), expected, "{value}");
        }
    }
}
