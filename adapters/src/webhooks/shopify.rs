//! Shopify's webhooks of orders (<https://shopify.dev/docs/api/webhooks>); what is read by asking is put into their words.
//!
//! | read | becomes |
//! |---|---|
//! | topic `orders/create` | a submission |
//! | topic `orders/cancelled` | a cancellation, for `cancel_reason`; of an order that has not come in, after its submission |
//! | `id` | the order's number |
//! | `name` | the customer's purchase order |
//! | `customer.id` | the customer, by the channel's `customers`, else its `customer` |
//! | `currency` | the currency |
//! | `line_items[].sku`, `quantity` | SKU and quantity; lines are numbered by their places. What is not shipped is passed over |
//! | `line_items[].price`, `discount_allocations[].amount` | what a unit costs, less its share of the discounts |
//! | `shipping_address` | where it goes to |
//!
//! An order with `test` set is passed over.

use super::config::OrderIntake;
use super::order::{
    LINE_ITEMS, Unreadable, Wanted, address, decimal, each, joined, lines, needed, object, submission, text,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// What a webhook with this topic and body wants of the channel.
///
/// # Errors
/// [`Unreadable`] with the field that is wrong.
pub fn decode(topic: &str, body: &[u8], channel: &str, intake: &OrderIntake) -> Result<Wanted, Unreadable> {
    let is_cancellation = match topic {
        "orders/create" => false,
        "orders/cancelled" => true,
        _ => {
            return Ok(Wanted::Nothing(
                "the topic is none of orders/create and orders/cancelled",
            ));
        }
    };
    let order = object(body)?;
    if order["test"] == true {
        return Ok(Wanted::Nothing("it is a test order"));
    }
    let number = needed(&order, "id")?;
    let submit = submit(&order, channel, &number, intake)?;
    if !is_cancellation {
        return Ok(Wanted::Submit(submit));
    }
    let reason = text(&order["cancel_reason"]).unwrap_or_else(|| "other".to_owned());
    let reason = format!("cancelled in the shop: {reason}");
    Ok(Wanted::Cancel {
        cancel: json!({ "channel": channel, "number": number, "reason": reason }),
        order: Some(submit),
    })
}

fn submit(order: &Value, channel: &str, number: &str, intake: &OrderIntake) -> Result<Value, Unreadable> {
    let lines = goods(order)?;
    let to = &order["shipping_address"];
    let rest = json!({
        "currency": needed(order, "currency")?,
        "purchase_order": text(&order["name"]),
        "lines": lines,
        "ship_to": address([
            ("name", text(&to["name"])),
            ("street", joined([&to["address1"], &to["address2"]])),
            ("postal_code", text(&to["zip"])),
            ("city", text(&to["city"])),
            ("country", text(&to["country_code"])),
        ]),
    });
    submission(
        intake,
        channel,
        number,
        text(&order["customer"]["id"]).as_deref(),
        rest,
    )
}

fn goods(order: &Value) -> Result<Vec<Value>, Unreadable> {
    let is_shipped = |item: &Value| item["requires_shipping"] != false;
    let lines = lines(order, &LINE_ITEMS, is_shipped, unit_price)?;
    if lines.is_empty() {
        return Err(Unreadable::new("line_items", "has nothing that is shipped"));
    }
    Ok(lines)
}

fn unit_price(item: &Value, quantity: i64) -> Option<Decimal> {
    let full = decimal(&item["price"])?.checked_mul(Decimal::from(quantity))?;
    let discounts = item["discount_allocations"].as_array().into_iter().flatten();
    let mut discounts = discounts.filter_map(|discount| decimal(&discount["amount"]));
    let net = discounts.try_fold(full, Decimal::checked_sub)?;
    each(net, quantity)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::config::OrderIntake;
    use super::*;
    use crate::schema::{BodyFormat, decode as decode_message};
    use crate::webhooks::order::message;
    use lockstep_actors::domain::Message;
    use lockstep_actors::ids::SystemName;
    use lockstep_actors::orders::command::OrderCommand;

    pub(crate) fn intake() -> OrderIntake {
        toml::from_str(
            "signing_secret = { env = 'S' }\ncustomer = 'WEB'\nwarehouses = ['W1']\npolicy = 'partial'\n\
             customers = { 207119551 = 'ACME' }",
        )
        .unwrap()
    }

    /// In the words of <https://shopify.dev/docs/api/webhooks/latest?reference=toml#list-of-topics-orders/create>.
    pub(crate) fn order() -> Value {
        json!({
            "id": 820_982_911_946_154_508_u64, "name": "#9999", "currency": "EUR", "test": false, "cancel_reason": "customer",
            "customer": { "id": 207_119_551 },
            "shipping_address": { "name": "Steve Shipper", "address1": "123 Shipping Street", "address2": null,
                "zip": "40003", "city": "Shippington", "country_code": "US" },
            "line_items": [
                { "sku": "A-100", "quantity": 3, "price": "10.00", "requires_shipping": true,
                    "discount_allocations": [{ "amount": "1.50" }, { "amount": "0.75" }] },
                { "sku": null, "quantity": 1, "price": "5.00", "requires_shipping": false },
                { "sku": "B-200", "quantity": 1, "price": "199.99", "requires_shipping": true, "discount_allocations": [] },
            ],
        })
    }

    /// 3 at 10.00 less 2.25 are 27.75: 9.25 each.
    #[test]
    fn an_order_is_submitted_with_what_the_customer_was_told() {
        let Wanted::Submit(body) =
            decode("orders/create", order().to_string().as_bytes(), "web", &intake()).unwrap()
        else {
            panic!("no submission")
        };
        let expected = json!({
            "channel": "web", "number": "820982911946154508", "customer": "ACME", "currency": "EUR", "purchase_order": "#9999",
            "warehouses": ["W1"], "sourcing": "listed", "policy": "partial",
            "lines": [
                { "line": 1, "sku": "A-100", "quantity": 3, "unit_price": "9.25" },
                { "line": 3, "sku": "B-200", "quantity": 1, "unit_price": "199.99" },
            ],
            "ship_to": { "name": "Steve Shipper", "street": "123 Shipping Street", "postal_code": "40003",
                "city": "Shippington", "country": "US" },
        });
        assert_eq!(body, expected);
        let message = message("lockstep.order.submit", "shopify 1", &body);
        let envelope = decode_message(BodyFormat::Json, &message, &SystemName::new("web").unwrap()).unwrap();
        let Message::Order(key, OrderCommand::Submit(request)) = envelope.message else {
            panic!("no order")
        };
        assert_eq!((key.as_str(), request.lines.len()), ("web/820982911946154508", 2));
    }

    #[test]
    fn a_cancellation_brings_its_order_along() {
        let wanted = decode(
            "orders/cancelled",
            order().to_string().as_bytes(),
            "web",
            &intake(),
        )
        .unwrap();
        let Wanted::Cancel {
            cancel,
            order: Some(_),
        } = wanted
        else {
            panic!("{wanted:?}")
        };
        let expected = json!({ "channel": "web", "number": "820982911946154508", "reason": "cancelled in the shop: customer" });
        assert_eq!(cancel, expected);
    }

    #[test]
    fn what_is_wrong_is_named_and_what_does_not_concern_us_is_passed_over() {
        let with = |path: &str, value: Value| {
            let mut order = order();
            *order.pointer_mut(path).unwrap() = value;
            decode("orders/create", order.to_string().as_bytes(), "web", &intake())
        };
        let wrong = [
            ("/id", Value::Null, "id: is missing"),
            ("/currency", json!(""), "currency: is missing"),
            ("/line_items/0/sku", Value::Null, "line_items[0].sku: is missing"),
            (
                "/line_items/2/quantity",
                json!(0),
                "line_items[2].quantity: is not above 0, or not whole",
            ),
            (
                "/line_items",
                json!([]),
                "line_items: has nothing that is shipped",
            ),
        ];
        for (path, value, expected) in wrong {
            assert_eq!(with(path, value).unwrap_err().to_string(), expected);
        }
        assert!(matches!(with("/test", json!(true)), Ok(Wanted::Nothing(_))));
        assert!(matches!(
            decode("products/update", b"?", "web", &intake()),
            Ok(Wanted::Nothing(_))
        ));
        assert!(decode("orders/create", b"{", "web", &intake()).is_err());
        assert!(decode("orders/create", b"[]", "web", &intake()).is_err());
    }

    proptest::proptest! {
        /// Whatever comes, it is read or refused.
        #[test]
        fn no_body_is_too_much(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200), place in 0_usize..400) {
            drop(decode("orders/create", &body, "web", &intake()));
            let mut text = order().to_string().into_bytes();
            let place = place % text.len();
            text.splice(place..place, body);
            drop(decode("orders/cancelled", &text, "web", &intake()));
        }
    }
}
