//! Orders in a file, as canonical messages.
//!
//! - `.csv`: a row a line of an order, behind a row of names: `number`, `sku`, `quantity`, `currency`, and if wanted `unit`,
//!   `unit_price`, `customer`, `purchase_order`, `name`, `street`, `postal_code`, `city`, `country`. Rows of the same number that follow each
//!   other are one order; what is said of it as a whole is read from the first. The channel's table `orders` says the rest.
//! - anything else: a canonical message a line, `lockstep.order.submit` or `lockstep.order.cancel`.
//!
//! Pure: the same text gives the same messages, with the same ids.

use crate::schema::order::OrderSubmit;
use crate::schema::{Body, VERSION};
use crate::webhooks::OrderIntake;
use lockstep_runtime::message::MessageId;
use serde::Deserialize;
use serde_json::{Value, json};

/// A row of a file of orders.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    number: String,
    sku: String,
    quantity: i64,
    currency: String,
    unit: Option<String>,
    unit_price: Option<String>,
    customer: Option<String>,
    purchase_order: Option<String>,
    name: Option<String>,
    street: Option<String>,
    postal_code: Option<String>,
    city: Option<String>,
    country: Option<String>,
}

/// The messages in a file, each with the line that it begins in, or what is wrong there.
#[must_use]
pub fn orders_of(
    name: &str,
    text: &str,
    channel: &str,
    intake: &OrderIntake,
) -> Vec<(u64, Result<Vec<u8>, String>)> {
    if name.to_ascii_lowercase().ends_with(".csv") {
        return of_rows(text, channel, intake);
    }
    let lines = (1..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| (number, Ok(line.trim().as_bytes().to_vec())))
        .collect()
}

fn of_rows(text: &str, channel: &str, intake: &OrderIntake) -> Vec<(u64, Result<Vec<u8>, String>)> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut orders: Vec<(u64, Result<Vec<Row>, String>)> = Vec::new();
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(error) => return vec![(1, Err(error.to_string()))],
    };
    for record in reader.records() {
        let line = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
        match record {
            Err(error) => orders.push((line(error.position()), Err(error.to_string()))),
            Ok(record) => {
                let at = line(record.position());
                match (record.deserialize::<Row>(Some(&headers)), orders.last_mut()) {
                    (Ok(row), Some((_, Ok(rows))))
                        if rows.last().is_some_and(|last| last.number == row.number) =>
                    {
                        rows.push(row);
                    }
                    (Ok(row), _) => orders.push((at, Ok(vec![row]))),
                    (Err(error), _) => orders.push((at, Err(error.to_string()))),
                }
            }
        }
    }
    let messages = orders.into_iter();
    messages
        .map(|(line, rows)| (line, rows.and_then(|rows| message(&rows, channel, intake))))
        .collect()
}

fn message(rows: &[Row], channel: &str, intake: &OrderIntake) -> Result<Vec<u8>, String> {
    let first = rows.first().ok_or("the order has no lines")?;
    let own = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let customer = own(&first.customer).or_else(|| intake.customer.as_ref().map(ToString::to_string));
    let lines = rows.iter().map(|row| {
        let line = json!({ "sku": row.sku, "quantity": row.quantity, "unit": own(&row.unit),
            "unit_price": own(&row.unit_price) });
        without_nulls(line)
    });
    let ship_to = json!({ "name": own(&first.name), "street": own(&first.street), "postal_code": own(&first.postal_code),
        "city": own(&first.city), "country": own(&first.country) });
    let body = without_nulls(json!({
        "channel": channel, "number": first.number, "customer": customer, "currency": first.currency,
        "purchase_order": own(&first.purchase_order), "lines": lines.collect::<Vec<_>>(),
        "warehouses": intake.warehouses, "sourcing": intake.sourcing, "policy": intake.policy,
        "ship_to": without_nulls(ship_to),
    }));
    // The same content is the same message, in whichever file.
    let id = format!("file-{:032x}", MessageId::of(channel, &body.to_string()).0);
    let message = json!({ "schema": OrderSubmit::SCHEMA, "version": VERSION, "id": id, "body": body });
    Ok(message.to_string().into_bytes())
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> OrderIntake {
        toml::from_str("customer = 'C-1'\nwarehouses = ['W1']").unwrap()
    }

    #[test]
    fn rows_of_a_number_are_an_order_and_a_bad_row_costs_itself() {
        let text = "number,sku,quantity,currency,unit_price,customer,city\n\
            1,A-100,2,EUR,9.25,,Shippington\n1,B-200,1,EUR,,,\n2,A-100,many,EUR,,,\n3,A-100,1,EUR,,C-9,\n";
        let read = orders_of("monday.csv", text, "edge", &intake());
        let shown: Vec<(u64, Result<Value, ()>)> = read
            .iter()
            .map(|(line, message)| {
                let body = message
                    .as_ref()
                    .map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap()["body"].clone());
                (*line, body.map_err(|_| ()))
            })
            .collect();
        let order = |number: &str, customer: &str, lines: Value, ship_to: Value| {
            json!({ "channel": "edge", "number": number, "customer": customer, "currency": "EUR", "lines": lines,
                "warehouses": ["W1"], "sourcing": "listed", "policy": "ship-complete", "ship_to": ship_to })
        };
        let first = json!([{ "sku": "A-100", "quantity": 2, "unit_price": "9.25" }, { "sku": "B-200", "quantity": 1 }]);
        let last = json!([{ "sku": "A-100", "quantity": 1 }]);
        let expected = [
            (2, Ok(order("1", "C-1", first, json!({ "city": "Shippington" })))),
            (4, Err(())),
            (5, Ok(order("3", "C-9", last, json!({})))),
        ];
        assert_eq!(shown, expected);
        assert_eq!(
            orders_of("other.CSV", text, "edge", &intake()),
            read,
            "the same content has the same ids"
        );
    }

    #[test]
    fn lines_are_messages_and_names_that_are_not_known_are_refused() {
        let read = orders_of("a.ndjson", "{\"id\":1}\n\n{\"id\":2}", "edge", &intake());
        let bytes = |text: &str| Ok(text.as_bytes().to_vec());
        assert_eq!(read, [(1, bytes("{\"id\":1}")), (3, bytes("{\"id\":2}"))]);
        let unknown = orders_of(
            "a.csv",
            "number,sku,quantity,currency,colour\n1,A,1,EUR,red\n",
            "edge",
            &intake(),
        );
        let reason = unknown[0].1.as_ref().unwrap_err();
        assert!(reason.contains("unknown field `colour`"), "{reason}");
    }

    proptest::proptest! {
        /// Whatever comes, each line is a message or has a reason.
        #[test]
        fn no_text_is_too_much(text in "[0-9A-Za-z,\"\\n ]{0,200}") {
            drop(orders_of("a.csv", &text, "edge", &intake()));
            drop(orders_of("a.csv", &format!("number,sku,quantity,currency\n{text}"), "edge", &intake()));
        }
    }
}
