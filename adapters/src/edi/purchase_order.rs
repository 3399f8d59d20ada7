//! 850: a purchase order becomes an order.
//!
//! | read | becomes |
//! |---|---|
//! | `BEG03` | the order's number in the partner's channel, and the customer's purchase order |
//! | `BEG05` | the purchase order's date, repeated in answers |
//! | `CUR02` | the currency |
//! | `N1` `BY`, `N104` | the customer, by the partner's profile |
//! | `N1` `ST`, `N3`, `N4` | where it goes to |
//! | `TD503` with `TD502` = `2` | the carrier, by its SCAC |
//! | `PO101` | the line's number, if all are numbers and each once |
//! | `PO102`, `PO103` | quantity and unit: the base unit, or one of the SKU's others by the profile's codes, which the catalogue converts |
//! | `PO104` | the price that the buyer states |
//! | `PO106`, `PO107` and the pairs behind them | the SKU, by the profile's qualifiers; all are repeated in answers |
//! | `CTT01` | has to be the number of lines |

use super::config::{OrderConfig, PartnerConfig};
use super::definition::{PURCHASE_ORDER, check};
use super::element;
use super::fault::{ElementCode, ElementFault, Fault, SegmentCode, Weight};
use super::syntax::{Segment, TransactionSet};
use compact_str::CompactString;
use lockstep_actors::edi::purchase::{Purchase, PurchaseLine};
use lockstep_actors::ids::{AddressText, CarrierCode, CustomerId, DocumentId, OrderKey, Sku, UnitOfMeasure};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::money::{Currency, Price};
use lockstep_actors::orders::command::{OrderLine, OrderRequest, OrderedAs};
use lockstep_actors::orders::delivery::{Address, Delivery};
use lockstep_actors::orders::state::MAX_LINES;
use lockstep_actors::pricing::contract::Customers;
use lockstep_actors::pricing::resolve::MAX_LINE_QUANTITY;
use lockstep_actors::quantity::PositiveQuantity;
use std::collections::BTreeSet;

/// What a price may be per: each unit. `HP` and `TP`, per hundred and per thousand, are not reckoned.
const NOT_EACH: [&str; 2] = ["HP", "TP"];

/// A purchase order as an order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PurchaseOrder {
    pub(super) order: OrderKey,
    pub(super) request: OrderRequest,
    pub(super) purchase: Purchase,
}

/// Reads a purchase order: all faults, and the order if none of them is fatal.
pub(super) fn read(
    set: &TransactionSet<'_>,
    profile: &PartnerConfig,
    orders: &OrderConfig,
) -> (Vec<Fault>, Option<PurchaseOrder>) {
    let mut reading = Reading {
        profile,
        orders,
        faults: check(set, &PURCHASE_ORDER),
        heading: Heading::default(),
        lines: Vec::new(),
    };
    if reading.is_fatal() {
        return (reading.faults, None);
    }
    let mut party = Party::Other;
    for segment in &set.segments {
        match segment.id() {
            "BEG" => reading.begin(segment),
            "CUR" if reading.lines.is_empty() => reading.currency(segment),
            "N1" if reading.lines.is_empty() => party = reading.party(segment),
            "N3" | "N4" if party == Party::ShipTo && reading.lines.is_empty() => reading.place(segment),
            "TD5" if reading.lines.is_empty() => reading.carrier(segment),
            "PO1" => reading.line(segment),
            "CTT" => reading.totals(segment),
            _ => {}
        }
    }
    let order = if reading.is_fatal() { None } else { reading.order() };
    (reading.faults, order)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Party {
    Buyer,
    ShipTo,
    Other,
}

#[derive(Debug, Default)]
struct Heading {
    order: Option<OrderKey>,
    number: CompactString,
    date: CompactString,
    currency: Option<Currency>,
    buyer: Option<CustomerId>,
    ship_to: Option<(CompactString, CompactString)>,
    delivery: Delivery,
}

struct Line {
    sku: Sku,
    /// The catalogue's unit, if it is not the base unit.
    unit: Option<UnitOfMeasure>,
    price: Option<Price>,
    written: PurchaseLine,
}

struct Reading<'r> {
    profile: &'r PartnerConfig,
    orders: &'r OrderConfig,
    faults: Vec<Fault>,
    heading: Heading,
    lines: Vec<Line>,
}

impl Reading<'_> {
    fn is_fatal(&self) -> bool {
        self.faults.iter().any(|fault| fault.weight == Weight::Fatal)
    }

    fn refuse(&mut self, segment: &Segment<'_>, place: usize, reference: u16, code: ElementCode) {
        let in_loop = (segment.id() == "PO1").then_some("PO1");
        self.faults.push(Fault {
            segment: segment.id().to_owned(),
            position: segment.position,
            in_loop,
            code: SegmentCode::Elements,
            elements: vec![ElementFault {
                place,
                reference,
                code,
                copy: segment.text(place).to_owned(),
            }],
            weight: Weight::Fatal,
        });
    }

    fn begin(&mut self, segment: &Segment<'_>) {
        // Original, or sent again: the number says whether it is known.
        if !matches!(segment.text(1), "00" | "07") {
            self.refuse(segment, 1, 353, ElementCode::Value);
        }
        let number = segment.text(3).trim();
        match OrderKey::new(self.profile.name.as_str(), number) {
            Ok(order) => self.heading.order = Some(order),
            Err(_) => self.refuse(segment, 3, 324, ElementCode::Value),
        }
        self.heading.number = number.into();
        self.heading.date = segment.text(5).into();
    }

    fn currency(&mut self, segment: &Segment<'_>) {
        // Invoices say hundredths (element 610, N2).
        let currency = Currency::new(segment.text(2)).ok();
        match currency.filter(|currency| currency.decimals() <= 2) {
            Some(currency) => self.heading.currency = Some(currency),
            None => self.refuse(segment, 2, 100, ElementCode::Value),
        }
    }

    fn party(&mut self, segment: &Segment<'_>) -> Party {
        let (name, code) = (segment.text(2), segment.text(4));
        match segment.text(1) {
            "BY" => {
                let known = self.orders.customers.get(code);
                if known.is_none() && !self.orders.customers.is_empty() && !code.is_empty() {
                    self.refuse(segment, 4, 67, ElementCode::Value);
                }
                self.heading.buyer = known.cloned();
                Party::Buyer
            }
            "ST" => {
                self.heading.delivery.address.name = address_text(name);
                let has_code = !code.is_empty();
                self.heading.ship_to = has_code.then(|| (segment.text(3).into(), code.into()));
                Party::ShipTo
            }
            _ => Party::Other,
        }
    }

    fn place(&mut self, segment: &Segment<'_>) {
        let address: &mut Address = &mut self.heading.delivery.address;
        if segment.id() == "N3" {
            let street = [segment.text(1), segment.text(2)].join(" ");
            address.street = address_text(&street);
        } else {
            let city = [segment.text(1), segment.text(2)].join(" ");
            address.city = address_text(&city);
            address.postal_code = address_text(segment.text(3));
            address.country = address_text(segment.text(4));
        }
    }

    fn carrier(&mut self, segment: &Segment<'_>) {
        if segment.text(2) == "2" {
            self.heading.delivery.carrier = CarrierCode::new(segment.text(3)).ok();
        }
    }

    fn line(&mut self, segment: &Segment<'_>) {
        if self.lines.len() == MAX_LINES {
            self.faults.push(Fault {
                segment: "PO1".to_owned(),
                position: segment.position,
                in_loop: Some("PO1"),
                code: SegmentCode::TooManyLoops,
                elements: Vec::new(),
                weight: Weight::Fatal,
            });
            return;
        }
        let quantity = self.quantity(segment);
        let unit = segment.element(3).unwrap_or(self.profile.unit());
        let other = self.profile.unit_codes.get(unit).cloned();
        if other.is_none() && !self.profile.units.iter().any(|known| known == unit) {
            self.refuse(segment, 3, 355, ElementCode::Value);
        }
        if NOT_EACH.contains(&segment.text(5)) {
            self.refuse(segment, 5, 639, ElementCode::Value);
        }
        let price = segment.element(4).and_then(element::decimal);
        let stated = price.map(Price::new);
        if matches!(stated, Some(Err(_))) {
            self.refuse(segment, 4, 212, ElementCode::Value);
        }
        let items = items(segment);
        let sku = self.sku(segment, &items);
        let (Some(quantity), Some(sku)) = (quantity, sku) else {
            return;
        };
        self.lines.push(Line {
            sku,
            unit: other,
            price: stated.and_then(Result::ok),
            written: PurchaseLine {
                line: 0,
                id: segment.text(1).into(),
                quantity,
                unit: unit.into(),
                price,
                items,
            },
        });
    }

    fn quantity(&mut self, segment: &Segment<'_>) -> Option<PositiveQuantity> {
        let Some(units) = element::units(segment.text(2)) else {
            // Part of a unit.
            self.refuse(segment, 2, 330, ElementCode::Value);
            return None;
        };
        let quantity = PositiveQuantity::new(units).ok();
        let quantity = quantity.filter(|quantity| quantity.units() <= MAX_LINE_QUANTITY);
        if quantity.is_none() {
            self.refuse(segment, 2, 330, ElementCode::Value);
        }
        quantity
    }

    fn sku(&mut self, segment: &Segment<'_>, items: &[(CompactString, CompactString)]) -> Option<Sku> {
        let of_qualifier = |wanted: &String| items.iter().position(|(qualifier, _)| qualifier == wanted);
        let Some(place) = self.profile.items.iter().find_map(of_qualifier) else {
            self.refuse(segment, 7, 234, ElementCode::Missing);
            return None;
        };
        let sku = Sku::new(&items[place].1).ok();
        if sku.is_none() {
            self.refuse(segment, 7 + 2 * place, 234, ElementCode::Value);
        }
        sku
    }

    fn totals(&mut self, segment: &Segment<'_>) {
        let stated = element::whole(segment.text(1)).and_then(|stated| usize::try_from(stated).ok());
        if stated != Some(self.lines.len()) && !self.is_fatal() {
            self.refuse(segment, 1, 354, ElementCode::Value);
        }
    }

    /// The order, once nothing is wrong.
    fn order(&mut self) -> Option<PurchaseOrder> {
        let numbers = line_numbers(&self.lines);
        let heading = std::mem::take(&mut self.heading);
        let (mut lines, mut written) = (Vec::new(), Vec::new());
        for (line, number) in std::mem::take(&mut self.lines).into_iter().zip(numbers) {
            lines.push(OrderLine {
                line: number,
                sku: line.sku,
                quantity: line.written.quantity,
                channel_price: line.price,
                substitutes: None,
                ordered_as: line.unit.map(|unit| OrderedAs {
                    quantity: line.written.quantity,
                    unit,
                }),
                components: Vec::new(),
            });
            written.push(PurchaseLine {
                line: number,
                ..line.written
            });
        }
        let orders = self.orders;
        Some(PurchaseOrder {
            order: heading.order?,
            request: OrderRequest {
                customer: heading.buyer.unwrap_or_else(|| orders.customer.clone()),
                currency: heading.currency.unwrap_or(orders.currency),
                lines,
                warehouses: orders.warehouses.clone(),
                sourcing: orders.sourcing.into(),
                ship_to_region: None,
                policy: orders.policy.into(),
                priority: Priority::default(),
                customers: Customers::Anybody,
                price_as_of: None,
                purchase_order: DocumentId::new(&heading.number).ok(),
                coupons: Vec::new(),
                delivery: heading.delivery,
                quote: None,
            },
            purchase: Purchase {
                partner: self.profile.name.clone(),
                number: heading.number,
                date: heading.date,
                ship_to: heading.ship_to,
                lines: written,
            },
        })
    }
}

/// The pairs of qualifier and id, as they stand.
fn items(segment: &Segment<'_>) -> Vec<(CompactString, CompactString)> {
    let places = (6..segment.len().max(6)).step_by(2);
    let pair = |place: usize| {
        let (qualifier, id) = (segment.element(place)?, segment.element(place + 1)?);
        Some((qualifier.into(), id.trim().into()))
    };
    places.filter_map(pair).collect()
}

/// The buyer's own numbers if they are numbers and each is there once, else the lines' places.
fn line_numbers(lines: &[Line]) -> Vec<u16> {
    let number = |line: &Line| line.written.id.parse::<u16>().ok().filter(|number| *number > 0);
    let own: Option<Vec<u16>> = lines.iter().map(number).collect();
    let distinct = |own: &Vec<u16>| own.iter().collect::<BTreeSet<_>>().len() == own.len();
    own.filter(distinct)
        .unwrap_or_else(|| (1..=u16::MAX).take(lines.len()).collect())
}

fn address_text(text: &str) -> Option<AddressText> {
    AddressText::new(text).ok()
}
