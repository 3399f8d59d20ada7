//! BigCommerce's orders, as its Orders API shows them with their consignments
//! (<https://developer.bigcommerce.com/docs/rest-management/orders#get-all-orders>). Its webhooks bring ids alone.
//!
//! | read | becomes |
//! |---|---|
//! | `status_id` of one of the channel's `statuses` | a submission |
//! | the same, of Refunded, Cancelled or Declined | a cancellation, if the order had come in |
//! | any other, as of an order that is incomplete or has left | nothing |
//! | `id` | the order's number, and the customer's purchase order |
//! | `customer_id` | the customer, by the channel's `customers`, else its `customer` |
//! | `default_currency_code` | the currency: the one that the shopper pays in |
//! | `products[].sku`, `quantity` of type `physical` | SKU and quantity; lines are numbered by their places |
//! | `products[].total_ex_tax` less `applied_discounts` | what a unit costs |
//! | `consignments.shipping`, or `billing_address` if there is none | where it goes to |
//!
//! An order to several addresses, and one that is picked up, is for a person.

use super::config::OrderIntake;
use super::order::{
    ItemNames, Unreadable, Wanted, address, at, decimal, each, joined, lines, needed, object, submission,
    text,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// The statuses by their ids
/// (<https://developer.bigcommerce.com/docs/rest-management/orders/order-status#get-all-order-statuses>).
pub(crate) const STATUSES: [&str; 15] = [
    INCOMPLETE,
    "Pending",
    SHIPPED,
    "Partially Shipped",
    "Refunded",
    CANCELLED,
    "Declined",
    "Awaiting Payment",
    "Awaiting Pickup",
    "Awaiting Shipment",
    "Completed",
    "Awaiting Fulfillment",
    "Manual Verification Required",
    "Disputed",
    "Partially Refunded",
];
const INCOMPLETE: &str = "Incomplete";
pub(crate) const SHIPPED: &str = "Shipped";
pub(crate) const CANCELLED: &str = "Cancelled";
/// Statuses in which nothing is to leave any more.
pub(crate) const GIVEN_UP: [&str; 3] = ["Refunded", CANCELLED, "Declined"];
/// Statuses in which an order is paid and waits for its goods.
const PAID: [&str; 2] = ["Awaiting Fulfillment", "Awaiting Shipment"];

const ITEMS: ItemNames = ItemNames {
    items: "products",
    sku: "sku",
    quantity: "quantity",
};

/// Whether an order can be taken in a status of that name. One that is incomplete was never placed.
pub(crate) fn can_be_taken(status: &str) -> bool {
    STATUSES.contains(&status) && status != INCOMPLETE && !GIVEN_UP.contains(&status)
}

/// What an order in this state wants of the channel. There are no topics.
///
/// # Errors
/// [`Unreadable`] with the field that is wrong.
pub fn decode(_topic: &str, body: &[u8], channel: &str, intake: &OrderIntake) -> Result<Wanted, Unreadable> {
    let order = object(body)?;
    let number = needed(&order, "id")?;
    let status = needed(&order, "status_id")?;
    let status = status.parse().ok().and_then(|id: usize| STATUSES.get(id));
    let status = status.ok_or_else(|| Unreadable::new("status_id", "is no status of a store"))?;
    if intake.takes(status, &PAID) {
        return submit(&order, channel, &number, intake).map(Wanted::Submit);
    }
    if !GIVEN_UP.contains(status) {
        return Ok(Wanted::Nothing("the status is none in which an order is taken"));
    }
    let reason = format!("{} in the store", status.to_lowercase());
    Ok(Wanted::Cancel {
        cancel: json!({ "channel": channel, "number": number, "reason": reason }),
        order: None,
    })
}

fn submit(order: &Value, channel: &str, number: &str, intake: &OrderIntake) -> Result<Value, Unreadable> {
    let to = destination(order)?;
    let rest = json!({
        "currency": needed(order, "default_currency_code")?,
        "purchase_order": number,
        "lines": goods(order)?,
        "ship_to": address([
            ("name", joined([&to["first_name"], &to["last_name"]])),
            ("street", joined([&to["street_1"], &to["street_2"]])),
            ("postal_code", text(&to["zip"])),
            ("city", text(&to["city"])),
            ("country", text(&to["country_iso2"])),
        ]),
    });
    let customer = text(&order["customer_id"]);
    submission(intake, channel, number, customer.as_deref(), rest)
}

fn destination(order: &Value) -> Result<&Value, Unreadable> {
    let of = |name: &str| at(order, name).as_array().map(Vec::as_slice).unwrap_or_default();
    if !of("consignments.pickups").is_empty() {
        return Err(Unreadable::new("consignments.pickups", "is not shipped"));
    }
    match of("consignments.shipping") {
        [] => Ok(&order["billing_address"]),
        [to] => Ok(to),
        [_, ..] => Err(Unreadable::new(
            "consignments.shipping",
            "goes to more than one address",
        )),
    }
}

fn goods(order: &Value) -> Result<Vec<Value>, Unreadable> {
    let is_shipped = |item: &Value| item["type"] == "physical";
    let lines = lines(order, &ITEMS, is_shipped, unit_price)?;
    if lines.is_empty() {
        return Err(Unreadable::new(ITEMS.items, "has nothing that is shipped"));
    }
    Ok(lines)
}

fn unit_price(item: &Value, quantity: i64) -> Option<Decimal> {
    let discounts = item["applied_discounts"].as_array().into_iter().flatten();
    let mut discounts = discounts.filter_map(|discount| decimal(&discount["amount"]));
    let net = discounts.try_fold(decimal(&item["total_ex_tax"])?, Decimal::checked_sub)?;
    each(net, quantity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> OrderIntake {
        toml::from_str("customer = 'WEB'\nwarehouses = ['W1']\npoll = {}\ncustomers = { 20 = 'ACME' }")
            .unwrap()
    }

    /// In the words of the documentation's example, of two physical lines and a gift certificate.
    fn order(status: usize) -> Value {
        json!({
            "id": 100, "customer_id": 20, "status_id": status, "status": STATUSES[status],
            "currency_code": "USD", "default_currency_code": "EUR",
            "billing_address": { "first_name": "Trisha", "last_name": "McLaughlin", "street_1": "1 Bill Street", "city": "Austin",
                "zip": "78751", "country_iso2": "US" },
            "consignments": { "pickups": [], "downloads": [], "email": { "gift_certificates": [] }, "shipping": [
                { "id": 51, "first_name": "Jane", "last_name": "Doe", "street_1": "123 Main Street", "street_2": "Suite 7",
                    "city": "Austin", "zip": "12345", "country_iso2": "US" }] },
            "products": [
                { "id": 65, "type": "physical", "sku": "S-ORAN", "quantity": 3, "total_ex_tax": "30.0000",
                    "applied_discounts": [{ "id": "manual-discount", "amount": "1.5000" }, { "id": "coupon", "amount": 1.5 }] },
                { "id": 66, "type": "giftcertificate", "sku": "", "quantity": 1, "total_ex_tax": "10.0000" },
                { "id": 67, "type": "physical", "sku": "S-GREE", "quantity": 1, "total_ex_tax": "54.0000", "applied_discounts": [] },
            ],
        })
    }

    fn read(order: &Value) -> Result<Wanted, Unreadable> {
        decode("", order.to_string().as_bytes(), "bc", &intake())
    }

    /// 30.00 less 3.00 for three are 9.00 each.
    #[test]
    fn an_order_is_taken_once_it_is_paid() {
        let Ok(Wanted::Submit(body)) = read(&order(11)) else {
            panic!("no submission")
        };
        let expected = json!({
            "channel": "bc", "number": "100", "purchase_order": "100", "customer": "ACME", "currency": "EUR",
            "warehouses": ["W1"], "sourcing": "listed", "policy": "ship-complete",
            "lines": [
                { "line": 1, "sku": "S-ORAN", "quantity": 3, "unit_price": "9" },
                { "line": 3, "sku": "S-GREE", "quantity": 1, "unit_price": "54" },
            ],
            "ship_to": { "name": "Jane Doe", "street": "123 Main Street Suite 7", "postal_code": "12345", "city": "Austin",
                "country": "US" },
        });
        assert_eq!(body, expected);
        let mut unaddressed = order(9);
        unaddressed["consignments"]["shipping"] = json!([]);
        let Ok(Wanted::Submit(body)) = read(&unaddressed) else {
            panic!("no submission")
        };
        assert_eq!(body["ship_to"]["street"], "1 Bill Street");
    }

    #[test]
    fn what_is_given_up_is_a_cancellation_and_what_is_not_placed_or_has_left_is_passed_over() {
        for (status, reason) in [(4, "refunded"), (5, "cancelled"), (6, "declined")] {
            let cancel =
                json!({ "channel": "bc", "number": "100", "reason": format!("{reason} in the store") });
            assert_eq!(
                read(&order(status)),
                Ok(Wanted::Cancel { cancel, order: None }),
                "{status}"
            );
        }
        for status in [0, 1, 2, 3, 7, 8, 10, 12, 13, 14] {
            assert!(matches!(read(&order(status)), Ok(Wanted::Nothing(_))), "{status}");
        }
        let mut on_account = intake();
        on_account.statuses = vec!["Awaiting Payment".to_owned()];
        let decode = |status| decode("", order(status).to_string().as_bytes(), "bc", &on_account);
        assert!(matches!(decode(7), Ok(Wanted::Submit(_))));
        assert!(matches!(decode(11), Ok(Wanted::Nothing(_))));
    }

    #[test]
    fn what_cannot_be_shipped_as_one_is_for_a_person() {
        let address = order(11)["consignments"]["shipping"][0].clone();
        let wrong = [
            (
                "/consignments/shipping",
                json!([address, address]),
                "consignments.shipping: goes to more than one address",
            ),
            (
                "/consignments/pickups",
                json!([{ "id": 99 }]),
                "consignments.pickups: is not shipped",
            ),
            ("/products/0/sku", json!(""), "products[0].sku: is missing"),
            ("/products", json!([]), "products: has nothing that is shipped"),
            ("/status_id", json!(15), "status_id: is no status of a store"),
        ];
        for (path, value, expected) in wrong {
            let mut order = order(11);
            *order.pointer_mut(path).unwrap() = value;
            assert_eq!(read(&order).unwrap_err().to_string(), expected);
        }
    }
}
