//! Amazon's orders, as `searchOrders` of the Orders API shows them
//! (<https://developer-docs.amazon.com/sp-api/docs/orders-api-migration-guide>, model `orders_2026-01-01.json`).
//!
//! | read | becomes |
//! |---|---|
//! | `fulfillment.fulfillmentStatus` `UNSHIPPED` | a submission |
//! | the same, `CANCELLED` | a cancellation, if the order had come in |
//! | any other, and what Amazon itself fulfils | nothing: an order that is paid passes through `UNSHIPPED` |
//! | `orderId` | the order's number, and the customer's purchase order |
//! | `proceeds.grandTotal.currencyCode` | the currency |
//! | `orderItems[].product.sellerSku`, `quantityOrdered` | SKU and quantity; lines are numbered by their places, what was cancelled (0) is passed over |
//! | `orderItems[].proceeds.breakdowns`: `ITEM` less the `ITEM` part of `DISCOUNT` | what a unit costs |
//! | `orderItems[].product.price.unitPrice` | the same, where there is no breakdown |
//! | `recipient.deliveryAddress` | where it goes to |

use super::config::OrderIntake;
use super::order::{
    ItemNames, Unreadable, Wanted, address, at, decimal, each, joined, lines, needed, object, submission,
    text,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const ITEMS: ItemNames = ItemNames {
    items: "orderItems",
    sku: "product.sellerSku",
    quantity: "quantityOrdered",
};

/// What an order in this state wants of the channel. Amazon has no topics.
///
/// # Errors
/// [`Unreadable`] with the field that is wrong.
pub fn decode(_topic: &str, body: &[u8], channel: &str, intake: &OrderIntake) -> Result<Wanted, Unreadable> {
    let order = object(body)?;
    if at(&order, "fulfillment.fulfilledBy") == "AMAZON" {
        return Ok(Wanted::Nothing("Amazon fulfils it"));
    }
    let number = needed(&order, "orderId")?;
    let status = needed(&order, "fulfillment.fulfillmentStatus")?;
    match status.as_str() {
        "UNSHIPPED" => submit(&order, channel, &number, intake).map(Wanted::Submit),
        "CANCELLED" => Ok(Wanted::Cancel {
            cancel: json!({ "channel": channel, "number": number, "reason": "cancelled at Amazon" }),
            order: None,
        }),
        _ => Ok(Wanted::Nothing(
            "the status is none in which an order is taken or cancelled",
        )),
    }
}

fn submit(order: &Value, channel: &str, number: &str, intake: &OrderIntake) -> Result<Value, Unreadable> {
    let to = at(order, "recipient.deliveryAddress");
    let street = [&to["addressLine1"], &to["addressLine2"], &to["addressLine3"]];
    let rest = json!({
        "currency": needed(order, "proceeds.grandTotal.currencyCode")?,
        "purchase_order": number,
        "lines": goods(order)?,
        "ship_to": address([
            ("name", text(&to["name"])),
            ("street", joined(street)),
            ("postal_code", text(&to["postalCode"])),
            ("city", text(&to["city"])),
            ("country", text(&to["countryCode"])),
        ]),
    });
    submission(intake, channel, number, None, rest)
}

fn goods(order: &Value) -> Result<Vec<Value>, Unreadable> {
    let lines = lines(order, &ITEMS, |item| item[ITEMS.quantity] != 0, unit_price)?;
    if lines.is_empty() {
        return Err(Unreadable::new(ITEMS.items, "has nothing that is shipped"));
    }
    Ok(lines)
}

fn unit_price(item: &Value, quantity: i64) -> Option<Decimal> {
    let amount = |money: &Value| decimal(&money["amount"]);
    let of = |list: &Value, key: &str, kind: &str, value: &str| {
        let parts = list.as_array().into_iter().flatten();
        let mut parts = parts.filter(|part| part[key] == kind);
        parts.next().and_then(|part| amount(&part[value]))
    };
    let breakdowns = at(item, "proceeds.breakdowns");
    let Some(goods) = of(breakdowns, "type", "ITEM", "subtotal") else {
        return each(amount(at(item, "product.price.unitPrice"))?, 1);
    };
    let mut discounts = breakdowns.as_array().into_iter().flatten();
    let discounts = discounts.find(|part| part["type"] == "DISCOUNT");
    let discount = discounts.and_then(|part| of(&part["detailedBreakdowns"], "subtype", "ITEM", "value"));
    // Whether it is written with or without its sign.
    let discount = discount.unwrap_or_default().abs();
    each(goods.checked_sub(discount)?, quantity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> OrderIntake {
        toml::from_str("customer = 'AMAZON'\nwarehouses = ['W1']").unwrap()
    }

    fn money(amount: &str) -> Value {
        json!({ "amount": amount, "currencyCode": "EUR" })
    }

    /// In the words of the model's examples.
    fn order(status: &str) -> Value {
        json!({
            "orderId": "171-9876543-2109876",
            "salesChannel": { "channelName": "AMAZON", "marketplaceId": "A1PA6795UKMFR9" },
            "recipient": { "deliveryAddress": { "name": "Sarah Thompson", "addressLine1": "45 Oak Avenue",
                "addressLine2": "Flat 2A", "addressLine3": "", "city": "London", "postalCode": "SW1A 1AA", "countryCode": "GB" } },
            "proceeds": { "grandTotal": money("42.00") },
            "fulfillment": { "fulfillmentStatus": status, "fulfilledBy": "MERCHANT" },
            "orderItems": [
                { "orderItemId": "1", "quantityOrdered": 3, "product": { "sellerSku": "A-100" },
                    "proceeds": { "breakdowns": [
                        { "type": "TAX", "subtotal": money("5.00") },
                        { "type": "ITEM", "subtotal": money("30.00") },
                        { "type": "DISCOUNT", "subtotal": money("-4.00"), "detailedBreakdowns": [
                            { "subtype": "SHIPPING", "value": money("-1.00") }, { "subtype": "ITEM", "value": money("-3.00") }] },
                    ] } },
                { "orderItemId": "2", "quantityOrdered": 0, "product": { "sellerSku": "B-200" } },
                { "orderItemId": "3", "quantityOrdered": 2,
                    "product": { "sellerSku": "C-300", "price": { "unitPrice": money("7.50") } } },
            ],
        })
    }

    fn read(order: &Value) -> Result<Wanted, Unreadable> {
        decode("", order.to_string().as_bytes(), "amazon-de", &intake())
    }

    /// 30.00 less 3.00 for three are 9.00 each.
    #[test]
    fn an_order_is_taken_when_it_may_be_shipped() {
        let Ok(Wanted::Submit(body)) = read(&order("UNSHIPPED")) else {
            panic!("no submission")
        };
        let expected = json!({
            "channel": "amazon-de", "number": "171-9876543-2109876", "purchase_order": "171-9876543-2109876",
            "customer": "AMAZON", "currency": "EUR",
            "warehouses": ["W1"], "sourcing": "listed", "policy": "ship-complete",
            "lines": [
                { "line": 1, "sku": "A-100", "quantity": 3, "unit_price": "9" },
                { "line": 3, "sku": "C-300", "quantity": 2, "unit_price": "7.5" },
            ],
            "ship_to": { "name": "Sarah Thompson", "street": "45 Oak Avenue Flat 2A", "postal_code": "SW1A 1AA", "city": "London",
                "country": "GB" },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_cancellation_is_one_and_what_is_not_ours_to_ship_is_passed_over() {
        let cancel = json!({ "channel": "amazon-de", "number": "171-9876543-2109876", "reason": "cancelled at Amazon" });
        assert_eq!(
            read(&order("CANCELLED")),
            Ok(Wanted::Cancel { cancel, order: None })
        );
        for status in [
            "PENDING",
            "PENDING_AVAILABILITY",
            "PARTIALLY_SHIPPED",
            "SHIPPED",
            "UNFULFILLABLE",
        ] {
            assert!(matches!(read(&order(status)), Ok(Wanted::Nothing(_))), "{status}");
        }
        let mut fulfilled = order("UNSHIPPED");
        fulfilled["fulfillment"]["fulfilledBy"] = "AMAZON".into();
        assert!(matches!(read(&fulfilled), Ok(Wanted::Nothing(_))));
    }

    #[test]
    fn what_is_wrong_is_named_as_amazon_names_it() {
        let wrong = [
            ("/orderId", Value::Null, "orderId: is missing"),
            (
                "/fulfillment",
                Value::Null,
                "fulfillment.fulfillmentStatus: is missing",
            ),
            (
                "/proceeds",
                Value::Null,
                "proceeds.grandTotal.currencyCode: is missing",
            ),
            (
                "/orderItems/0/product/sellerSku",
                json!(""),
                "orderItems[0].product.sellerSku: is missing",
            ),
            (
                "/orderItems/2/quantityOrdered",
                json!("two"),
                "orderItems[2].quantityOrdered: is not above 0, or not whole",
            ),
            (
                "/orderItems",
                json!([]),
                "orderItems: has nothing that is shipped",
            ),
        ];
        for (path, value, expected) in wrong {
            let mut order = order("UNSHIPPED");
            *order.pointer_mut(path).unwrap() = value;
            assert_eq!(read(&order).unwrap_err().to_string(), expected);
        }
    }

    proptest::proptest! {
        /// Whatever comes, it is read or refused.
        #[test]
        fn no_body_is_too_much(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200), place in 0_usize..400) {
            drop(decode("", &body, "amazon-de", &intake()));
            let mut text = order("UNSHIPPED").to_string().into_bytes();
            let place = place % text.len();
            text.splice(place..place, body);
            drop(decode("", &text, "amazon-de", &intake()));
        }
    }
}
