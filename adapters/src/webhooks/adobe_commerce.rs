//! Orders of Adobe Commerce and Magento Open Source, as `GET V1/orders` shows them
//! (<https://developer.adobe.com/commerce/webapi/rest/use-rest/performing-searches/>).
//!
//! | read | becomes |
//! |---|---|
//! | `status` one of the channel's `statuses` | a submission |
//! | `state` `canceled` or `closed` | a cancellation, if the order had come in |
//! | any other | nothing |
//! | `entity_id` | the order's number |
//! | `increment_id` | the customer's purchase order |
//! | `customer_id` | the customer, by the channel's `customers`, else its `customer` |
//! | `order_currency_code` | the currency |
//! | `items[].sku`, `qty_ordered` less `qty_canceled`, of items without a parent that are shipped | SKU and quantity; lines are numbered by their places |
//! | `items[].row_total` less `discount_amount`, with `discount_tax_compensation_amount`, by `qty_ordered` | what a unit costs: without tax, less discounts |
//! | `extension_attributes.shipping_assignments[0].shipping.address`, or `billing_address` | where it goes to |
//!
//! A configurable product is an item with the chosen product's SKU and the price, and a child item without a price. A bundle is
//! its own SKU, as of a kit; its parts are children. Shipments are told of the same items.

use super::config::OrderIntake;
use super::order::{
    ItemNames, Unreadable, Wanted, address, decimal, each, joined, lines, needed, object, submission, text,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// States in which the shop has given an order up.
pub(crate) const GIVEN_UP: [&str; 2] = ["canceled", "closed"];
/// The status of an order that is paid and waits for its goods.
const PAID: [&str; 1] = ["processing"];

const ITEMS: ItemNames = ItemNames {
    items: "items",
    sku: "sku",
    quantity: "qty_ordered",
};

/// What an order in this state wants of the channel. There are no topics.
///
/// # Errors
/// [`Unreadable`] with the field that is wrong.
pub fn decode(_topic: &str, body: &[u8], channel: &str, intake: &OrderIntake) -> Result<Wanted, Unreadable> {
    let order = object(body)?;
    let number = needed(&order, "entity_id")?;
    let (state, status) = (needed(&order, "state")?, needed(&order, "status")?);
    if GIVEN_UP.contains(&state.as_str()) {
        let reason = format!("{state} in the shop");
        return Ok(Wanted::Cancel {
            cancel: json!({ "channel": channel, "number": number, "reason": reason }),
            order: None,
        });
    }
    if !intake.takes(&status, &PAID) {
        return Ok(Wanted::Nothing("the status is none in which an order is taken"));
    }
    submit(order, channel, &number, intake).map(Wanted::Submit)
}

fn submit(mut order: Value, channel: &str, number: &str, intake: &OrderIntake) -> Result<Value, Unreadable> {
    let lines = goods(&mut order)?;
    let assigned = order.pointer("/extension_attributes/shipping_assignments/0/shipping/address");
    let to = assigned.unwrap_or(&order["billing_address"]);
    let street = to["street"].as_array().into_iter().flatten();
    let rest = json!({
        "currency": needed(&order, "order_currency_code")?,
        "purchase_order": text(&order["increment_id"]),
        "lines": lines,
        "ship_to": address([
            ("name", joined([&to["firstname"], &to["lastname"]])),
            ("street", joined(street)),
            ("postal_code", text(&to["postcode"])),
            ("city", text(&to["city"])),
            ("country", text(&to["country_id"])),
        ]),
    });
    let customer = text(&order["customer_id"]);
    submission(intake, channel, number, customer.as_deref(), rest)
}

fn goods(order: &mut Value) -> Result<Vec<Value>, Unreadable> {
    for item in order[ITEMS.items].as_array_mut().into_iter().flatten() {
        open(item);
    }
    let is_shipped = |item: &Value| {
        item["parent_item_id"].is_null()
            && item["is_virtual"] != 1
            && decimal(&item[ITEMS.quantity]) != Some(Decimal::ZERO)
    };
    let lines = lines(order, &ITEMS, is_shipped, |item, _| unit_price(item))?;
    if lines.is_empty() {
        return Err(Unreadable::new(ITEMS.items, "has nothing that is shipped"));
    }
    Ok(lines)
}

/// Keeps what a unit costs, of as many as were ordered, and leaves as the quantity what was not cancelled.
fn open(item: &mut Value) {
    let amount = |name: &str| decimal(&item[name]).unwrap_or_default();
    let Some(ordered) = decimal(&item[ITEMS.quantity]) else {
        return;
    };
    let net = decimal(&item["row_total"]).and_then(|total| {
        let net = total.checked_sub(amount("discount_amount"))?;
        net.checked_add(amount("discount_tax_compensation_amount"))?
            .checked_div(ordered)
    });
    let open = ordered.saturating_sub(amount("qty_canceled"));
    item[ITEMS.quantity] = open.to_string().into();
    item["unit"] = net.map_or(Value::Null, |net| net.to_string().into());
}

fn unit_price(item: &Value) -> Option<Decimal> {
    each(decimal(&item["unit"])?, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> OrderIntake {
        toml::from_str("customer = 'WEB'\nwarehouses = ['W1']\npoll = {}\ncustomers = { 7 = 'ACME' }")
            .unwrap()
    }

    /// A configurable product with its child, a simple one of which one was cancelled, and one that is downloaded.
    fn order(state: &str, status: &str) -> Value {
        json!({
            "entity_id": 3, "increment_id": "000000003", "state": state, "status": status, "order_currency_code": "EUR", "customer_id": 7,
            "billing_address": { "firstname": "Jane", "lastname": "Doe", "street": ["1 Bill Street"], "city": "Austin",
                "postcode": "78751", "country_id": "US" },
            "extension_attributes": { "shipping_assignments": [{ "shipping": { "address": { "firstname": "Veronica",
                "lastname": "Costello", "street": ["6146 Honey Bluff Parkway", "Floor 2"], "city": "Calder",
                "postcode": "49628-7978", "country_id": "US" } } }] },
            "items": [
                { "item_id": 5, "product_type": "configurable", "sku": "MH01-S-Gray", "qty_ordered": 2, "qty_canceled": 0,
                    "row_total": 100, "discount_amount": 12, "discount_tax_compensation_amount": 2, "is_virtual": 0 },
                { "item_id": 6, "parent_item_id": 5, "product_type": "simple", "sku": "MH01-S-Gray", "qty_ordered": 2,
                    "row_total": 0, "is_virtual": 0 },
                { "item_id": 7, "product_type": "simple", "sku": "24-MB01", "qty_ordered": "3.0000", "qty_canceled": 1,
                    "row_total": 30.3 },
                { "item_id": 8, "product_type": "downloadable", "sku": "EBOOK", "qty_ordered": 1, "row_total": 9, "is_virtual": 1 },
                { "item_id": 9, "product_type": "simple", "sku": "24-MB02", "qty_ordered": 1, "qty_canceled": 1, "row_total": 9 },
            ],
        })
    }

    fn read(order: &Value) -> Result<Wanted, Unreadable> {
        decode("", order.to_string().as_bytes(), "ac", &intake())
    }

    /// (100 - 12 + 2) / 2 = 45; 30.3 / 3 = 10.1.
    #[test]
    fn items_without_a_parent_are_taken_with_what_was_not_cancelled() {
        let Ok(Wanted::Submit(body)) = read(&order("processing", "processing")) else {
            panic!("no submission")
        };
        let expected = json!({
            "channel": "ac", "number": "3", "purchase_order": "000000003", "customer": "ACME", "currency": "EUR",
            "warehouses": ["W1"], "sourcing": "listed", "policy": "ship-complete",
            "lines": [
                { "line": 1, "sku": "MH01-S-Gray", "quantity": 2, "unit_price": "45" },
                { "line": 3, "sku": "24-MB01", "quantity": 2, "unit_price": "10.1" },
            ],
            "ship_to": { "name": "Veronica Costello", "street": "6146 Honey Bluff Parkway Floor 2", "postal_code": "49628-7978",
                "city": "Calder", "country": "US" },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn what_is_given_up_is_a_cancellation_whatever_its_status_is_called() {
        for state in GIVEN_UP {
            let cancel = json!({ "channel": "ac", "number": "3", "reason": format!("{state} in the shop") });
            let wanted = read(&order(state, "processing"));
            assert_eq!(wanted, Ok(Wanted::Cancel { cancel, order: None }), "{state}");
        }
        for (state, status) in [
            ("new", "pending"),
            ("pending_payment", "pending_payment"),
            ("holded", "holded"),
            ("complete", "complete"),
        ] {
            assert!(
                matches!(read(&order(state, status)), Ok(Wanted::Nothing(_))),
                "{status}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_as_the_shop_names_it() {
        let wrong = [
            ("/entity_id", Value::Null, "entity_id: is missing"),
            ("/items/0/sku", Value::Null, "items[0].sku: is missing"),
            (
                "/items/2/qty_ordered",
                json!(2.5),
                "items[2].qty_ordered: is not above 0, or not whole",
            ),
            ("/items", json!([]), "items: has nothing that is shipped"),
        ];
        for (path, value, expected) in wrong {
            let mut order = order("processing", "processing");
            *order.pointer_mut(path).unwrap() = value;
            assert_eq!(read(&order).unwrap_err().to_string(), expected);
        }
    }
}
