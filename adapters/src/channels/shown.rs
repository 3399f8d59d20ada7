//! Orders as tests show them to platforms.

use lockstep_actors::channels::{OrderLineShown, OrderShown};
use lockstep_actors::ids::{CarrierCode, Sku, TrackingNumber};
use lockstep_actors::orders::shipment::{Carriage, Shipment};
use lockstep_actors::orders::state::Status;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::time::Timestamp;

/// 10 of A, of which so many have left in shipments of their own: `1Z1`, `1Z2` and so on of the carrier.
pub(super) fn ten_of_a(status: Status, left: &[i64], carrier: Option<&str>) -> OrderShown {
    let shipment = |(number, units): (u32, &i64)| Shipment {
        number,
        document: None,
        carriage: Carriage {
            carrier: carrier.map(|code| CarrierCode::new(code).unwrap()),
            tracking: TrackingNumber::new(&format!("1Z{number}")).ok(),
        },
        at: Timestamp::from_millis(0),
        lines: vec![(1, PositiveQuantity::new(*units).unwrap())],
    };
    OrderShown {
        status,
        word: None,
        at: Timestamp::from_millis(0),
        reason: None,
        lines: vec![OrderLineShown {
            line: 1,
            sku: Sku::new("A").unwrap(),
            ordered: Quantity::new(10).unwrap(),
            shipped: Quantity::new(left.iter().sum()).unwrap(),
            backordered: Quantity::ZERO,
            cancelled: Quantity::ZERO,
        }],
        shipments: (1..).zip(left).map(shipment).collect(),
    }
}
