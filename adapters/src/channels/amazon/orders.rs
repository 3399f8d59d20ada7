//! What Amazon is told of the orders that it took: each shipment, by `confirmShipment` of the Orders API
//! (<https://developer-docs.amazon.com/sp-api/docs/confirm-the-shipment-status>).
//!
//! - The items of an order are read first, for their ids and how much of each is shipped already
//!   (<https://developer-docs.amazon.com/sp-api/docs/orders-api-v0-reference#getorderitems>): what they show counts as the first
//!   of what has left, so that a shipment is confirmed once.
//! - The package's reference is the shipment's number. Sent again under the same one a confirmation replaces the first.
//! - Carrier and tracking number have to be there. A carrier that the configuration has no code for is `Other`, by its name.
//!
//! Pure: the same standing and the same items give the same confirmation.

use crate::channels::ordered::{OrderedLine, shipment_of, shipped};
use lockstep_actors::channels::OrderShown;
use lockstep_actors::orders::shipment::Shipment;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The items of an order, as Amazon lists them.
#[derive(Debug, Deserialize)]
pub(super) struct OrderItems {
    payload: Payload,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Payload {
    #[serde(default)]
    next_token: Option<String>,
    order_items: Vec<OrderItem>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OrderItem {
    #[serde(rename = "OrderItemId")]
    id: String,
    #[serde(rename = "SellerSKU", default)]
    sku: String,
    #[serde(default)]
    quantity_ordered: i64,
    #[serde(default)]
    quantity_shipped: i64,
}

/// What is to be done about an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Amazon shows what has left.
    Done,
    /// Confirm this package.
    Confirm {
        body: Value,
        /// Whether that is all.
        last: bool,
    },
    /// That cannot be confirmed; why.
    Refuse(String),
}

impl OrderItems {
    /// Where the next items are.
    pub(super) fn next_token(&self) -> Option<&str> {
        self.payload
            .next_token
            .as_deref()
            .filter(|token| !token.is_empty())
    }

    /// The items that come after.
    pub(super) fn extend(&mut self, more: Self) {
        self.payload.order_items.extend(more.payload.order_items);
        self.payload.next_token = more.payload.next_token;
    }

    fn lines(&self) -> Vec<OrderedLine> {
        let items = self.payload.order_items.iter();
        items
            .map(|item| OrderedLine {
                id: item.id.as_str().into(),
                sku: item.sku.clone(),
                ordered: item.quantity_ordered,
                shipped: item.quantity_shipped,
            })
            .collect()
    }
}

/// The next thing to be done so that Amazon shows what has left; `carriers` are its codes for ours.
pub(super) fn next_step(
    order: &OrderShown,
    items: &OrderItems,
    marketplace: &str,
    carriers: &BTreeMap<String, String>,
) -> Step {
    let lines = items.lines();
    let mut untold = order.untold(&shipped(&lines)).into_iter();
    let Some((shipment, wanted)) = untold.next() else {
        return Step::Done;
    };
    let Some(package) = shipment_of(&lines, &wanted) else {
        return Step::Refuse("more has left than was ordered at Amazon, or other goods".to_owned());
    };
    let package: Vec<Value> = package
        .into_iter()
        .map(|(id, units)| json!({ "orderItemId": id, "quantity": units }))
        .collect();
    match detail(shipment, &package, carriers) {
        Ok(detail) => Step::Confirm {
            body: json!({ "marketplaceId": marketplace, "packageDetail": detail }),
            last: untold.next().is_none(),
        },
        Err(reason) => Step::Refuse(reason),
    }
}

fn detail(
    shipment: &Shipment,
    items: &[Value],
    carriers: &BTreeMap<String, String>,
) -> Result<Value, String> {
    let (Some(carrier), Some(tracking)) = (&shipment.carriage.carrier, &shipment.carriage.tracking) else {
        return Err(format!(
            "shipment {} has no carrier or no tracking number, which Amazon needs",
            shipment.number
        ));
    };
    let at = jiff::Timestamp::from_millisecond(shipment.at.as_millis()).map_err(|error| error.to_string())?;
    let mut detail = json!({
        "packageReferenceId": shipment.number.to_string(), "trackingNumber": tracking.as_str(),
        "shipDate": at.to_string(), "orderItems": items,
    });
    match carriers.get(carrier.as_str()) {
        Some(code) => detail["carrierCode"] = code.as_str().into(),
        None => {
            detail["carrierCode"] = "Other".into();
            detail["carrierName"] = carrier.as_str().into();
        }
    }
    Ok(detail)
}
