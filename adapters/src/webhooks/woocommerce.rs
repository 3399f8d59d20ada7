//! WooCommerce's webhooks of orders
//! (<https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks>); their bodies are those that the API shows.
//!
//! | read | becomes |
//! |---|---|
//! | topics `order.created`, `order.updated`; `status` one of the channel's `statuses` | a submission |
//! | the same; `status` `cancelled`, `refunded` or `failed` | a cancellation, if the order had come in |
//! | `id` | the order's number |
//! | `number` | the customer's purchase order |
//! | `customer_id` | the customer, by the channel's `customers`, else its `customer` |
//! | `currency` | the currency |
//! | `line_items[].sku`, `quantity` | SKU and quantity; lines are numbered by their places |
//! | `line_items[].total` | what a unit costs: without tax, less discounts |
//! | `shipping`, or `billing` if that is empty | where it goes to |
//!
//! The body that a shop sends when a webhook is made, `webhook_id=1`, has no topic and is passed over.

use super::config::OrderIntake;
use super::order::{
    LINE_ITEMS, Unreadable, Wanted, address, decimal, each, joined, lines, needed, object, submission, text,
};
use serde_json::{Value, json};

/// Statuses in which the shop has given an order up.
const GIVEN_UP: [&str; 3] = ["cancelled", "refunded", "failed"];

/// The status of an order that is paid and waits for its goods.
const PAID: [&str; 1] = ["processing"];

/// The statuses in which an order of a channel is taken or cancelled.
pub(crate) fn statuses(intake: Option<&OrderIntake>) -> Vec<String> {
    let named = intake.map(|intake| intake.statuses.clone());
    let named = named.filter(|named| !named.is_empty());
    let mut statuses = named.unwrap_or_else(|| PAID.map(ToOwned::to_owned).to_vec());
    statuses.extend(GIVEN_UP.map(ToOwned::to_owned));
    statuses
}

/// What a webhook with this topic and body wants of the channel.
///
/// # Errors
/// [`Unreadable`] with the field that is wrong.
pub fn decode(topic: &str, body: &[u8], channel: &str, intake: &OrderIntake) -> Result<Wanted, Unreadable> {
    if !matches!(topic, "order.created" | "order.updated") {
        return Ok(Wanted::Nothing(
            "the topic is none of order.created and order.updated",
        ));
    }
    let order = object(body)?;
    let number = needed(&order, "id")?;
    let status = needed(&order, "status")?;
    if intake.takes(&status, &PAID) {
        return submit(&order, channel, &number, intake).map(Wanted::Submit);
    }
    if !GIVEN_UP.contains(&status.as_str()) {
        return Ok(Wanted::Nothing("the status is none in which an order is taken"));
    }
    let reason = format!("{status} in the shop");
    Ok(Wanted::Cancel {
        cancel: json!({ "channel": channel, "number": number, "reason": reason }),
        order: None,
    })
}

fn submit(order: &Value, channel: &str, number: &str, intake: &OrderIntake) -> Result<Value, Unreadable> {
    let shipping = &order["shipping"];
    let is_known = text(&shipping["address_1"]).is_some() || text(&shipping["postcode"]).is_some();
    let to = if is_known { shipping } else { &order["billing"] };
    let rest = json!({
        "currency": needed(order, "currency")?,
        "purchase_order": text(&order["number"]),
        "lines": goods(order)?,
        "ship_to": address([
            ("name", joined([&to["first_name"], &to["last_name"]])),
            ("street", joined([&to["address_1"], &to["address_2"]])),
            ("postal_code", text(&to["postcode"])),
            ("city", text(&to["city"])),
            ("country", text(&to["country"])),
        ]),
    });
    submission(
        intake,
        channel,
        number,
        text(&order["customer_id"]).as_deref(),
        rest,
    )
}

fn goods(order: &Value) -> Result<Vec<Value>, Unreadable> {
    let unit_price = |item: &Value, quantity| each(decimal(&item["total"])?, quantity);
    let lines = lines(order, &LINE_ITEMS, |_| true, unit_price)?;
    if lines.is_empty() {
        return Err(Unreadable::new("line_items", "is empty"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> OrderIntake {
        toml::from_str("signing_secret = { env = 'S' }\ncustomer = 'WEB'\nwarehouses = ['W1', 'W2']").unwrap()
    }

    /// In the words of <https://woocommerce.github.io/woocommerce-rest-api-docs/#order-properties>.
    fn order(status: &str) -> Value {
        json!({
            "id": 727, "number": "727", "status": status, "currency": "USD", "customer_id": 0,
            "billing": { "first_name": "John", "last_name": "Doe", "address_1": "969 Market", "address_2": "",
                "city": "San Francisco", "postcode": "94103", "country": "US" },
            "shipping": { "first_name": "", "last_name": "", "address_1": "", "postcode": "" },
            "line_items": [{ "sku": "A-100", "quantity": 2, "total": "6.00", "price": 3 }],
        })
    }

    fn read(status: &str) -> Wanted {
        decode(
            "order.updated",
            order(status).to_string().as_bytes(),
            "woo",
            &intake(),
        )
        .unwrap()
    }

    #[test]
    fn an_order_is_taken_once_it_is_paid_and_cancelled_when_the_shop_gives_it_up() {
        let Wanted::Submit(body) = read("processing") else {
            panic!("no submission")
        };
        let expected = json!({
            "channel": "woo", "number": "727", "customer": "WEB", "currency": "USD", "purchase_order": "727",
            "warehouses": ["W1", "W2"], "sourcing": "listed", "policy": "ship-complete",
            "lines": [{ "line": 1, "sku": "A-100", "quantity": 2, "unit_price": "3" }],
            "ship_to": { "name": "John Doe", "street": "969 Market", "postal_code": "94103", "city": "San Francisco",
                "country": "US" },
        });
        assert_eq!(body, expected);
        let cancel = json!({ "channel": "woo", "number": "727", "reason": "refunded in the shop" });
        assert_eq!(read("refunded"), Wanted::Cancel { cancel, order: None });
        assert!(matches!(read("pending"), Wanted::Nothing(_)));
        let ping = decode("", b"webhook_id=1", "woo", &intake());
        assert!(matches!(ping, Ok(Wanted::Nothing(_))));
    }
}
