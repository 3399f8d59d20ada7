//! What people and systems do about an order, as it stands: channels that send it again or cancel it, the warehouse, the ERP that
//! closes it, the exception desk.

use super::clock::Millis;
use super::house::{House, Mail, Purpose, mail, reason, system_of};
use super::pieces::is_by_piece;
use super::random::Random;
use super::workload::Habits;
use lockstep_actors::ids::{AddressText, DocumentId, Sku, WarehouseCode};
use lockstep_actors::orders::after_sales::Disposition;
use lockstep_actors::orders::command::{
    ChangeLine, Correction, CreditLine, CreditShare, CreditWish, GoodsReturn, LineSummary, OrderChange,
    OrderCommand, OrderLine, OrderSummary, Relocation, ReturnLine, ShipLine,
};
use lockstep_actors::orders::desk::OwnerRole;
use lockstep_actors::orders::shipment::Carriage;
use lockstep_actors::orders::state::{Policy, Status};
use lockstep_actors::quantity::{PositiveQuantity, Quantity};

impl House {
    /// The same number again: as it was, or with another content.
    pub(super) fn again(&mut self, place: usize, random: &mut Random) -> Option<Mail> {
        let script = self.orders.get_mut(place)?;
        let mut request = script.request.clone();
        if random.percent(40)
            && let Some(line) = request.lines.first_mut()
        {
            line.quantity = PositiveQuantity::new(line.quantity.units() + 1).ok()?;
        }
        script.pending += 1;
        Some(Self::submission(script.key.clone(), request, place))
    }

    /// Its customer does not want it any more.
    pub(super) fn cancel(&mut self, place: usize) -> Option<Mail> {
        let script = self.orders.get_mut(place)?;
        if script.is_cancelled {
            return None;
        }
        script.is_cancelled = true;
        let source = system_of(&script.key);
        let reason = reason("the customer has changed their mind")?;
        self.act(place, source, OrderCommand::Cancel { reason })
    }

    fn act(&mut self, place: usize, source: &'static str, command: OrderCommand) -> Option<Mail> {
        let script = self.orders.get_mut(place)?;
        script.pending += 1;
        let message = (script.key.clone(), command);
        Some(mail(source, "desk", message, Purpose::Act(place)))
    }

    /// A system that is ahead of the order: what it says waits until it is time.
    pub(super) fn early(&mut self, place: usize, random: &mut Random) -> Option<Mail> {
        match random.between(0, 5) {
            3 => self.change(place, random),
            0 => self.act(place, "wms", OrderCommand::ReleaseToWarehouse),
            1 => self.act(place, "wms", OrderCommand::ConfirmPick),
            2 => self.act(place, "erp", OrderCommand::Close),
            _ => self.leaves(place, None, Vec::new()),
        }
    }

    pub(super) fn look(&mut self, place: usize) -> Option<Mail> {
        let key = self.orders.get(place)?.key.clone();
        Some(mail(
            "operator",
            "look",
            (key, OrderCommand::Show),
            Purpose::Look(place),
        ))
    }

    /// What is done about an order that stands so.
    pub(super) fn react(&mut self, place: usize, order: &OrderSummary, random: &mut Random) -> Option<Mail> {
        if self.orders.get(place)?.pending > 0 {
            return None;
        }
        let key = self.orders.get(place)?.key.clone();
        self.pieces.settle(place, &key, order);
        if order.contested.is_some() {
            let reason = reason("it is the same order")?;
            return self.act(place, "operator", OrderCommand::Dismiss { reason });
        }
        if order.status != Status::Exception && !order.open_cases().is_empty() {
            let reason = reason("it is posted by hand")?;
            let command = if random.percent(60) {
                OrderCommand::Retry
            } else {
                OrderCommand::Dismiss { reason }
            };
            return self.act(place, "operator", command);
        }
        let is_changed = random.percent(self.habits.changed);
        match order.status {
            Status::Booked | Status::Released | Status::Picked | Status::Backordered if is_changed => {
                if random.percent(60) {
                    self.change(place, random)
                } else {
                    self.relocate(place, random)
                }
            }
            Status::Shipped | Status::Closed if is_changed => self.credit_note(place, order, random),
            Status::Booked => match random.between(0, 6) {
                0 => self.ship(place, order, random),
                1 => self.act(place, "wms", OrderCommand::ConfirmPick),
                _ => self.act(place, "wms", OrderCommand::ReleaseToWarehouse),
            },
            Status::Released => self.act(place, "wms", OrderCommand::ConfirmPick),
            Status::Picked => self.ship(place, order, random),
            Status::Shipped if random.percent(15) => self.take_back(place, order, random),
            Status::Shipped => self.act(place, "erp", OrderCommand::Close),
            Status::Exception => self.settle(place, order, random),
            Status::Closed if random.percent(5) => self.take_back(place, order, random),
            Status::Backordered if self.is_closing => {
                let tries = self.orders.get_mut(place).map(|script| {
                    script.tries += 1;
                    script.tries
                })?;
                // Goods have come for everybody: who still waits then is given up by a person.
                let reason = reason("it does not come")?;
                (tries > 20).then(|| self.act(place, "operator", OrderCommand::Cancel { reason }))?
            }
            Status::Pricing
            | Status::Reserving
            | Status::CreditCheck
            | Status::Booking
            | Status::Shipping
            | Status::Backordered
            | Status::Cancelling
            | Status::Releasing
            | Status::Closed
            | Status::Cancelled
            | Status::Rejected => None,
        }
    }

    /// Ships everything, or a part of the first line that has something in the house.
    fn ship(&mut self, place: usize, order: &OrderSummary, random: &mut Random) -> Option<Mail> {
        let part = order.lines.iter().find(|line| line.reserved.units() > 1);
        let lines = match part.filter(|_| random.percent(self.habits.parts)) {
            Some(line) => vec![self.ship_line(place, line, 1)?],
            // Pieces that are not there yet are waited for.
            None => self.with_pieces(place, order).ok()?,
        };
        let document = DocumentId::new(&format!("DN-{}", random.between(0, 1_000_000))).ok();
        self.leaves(place, document, lines)
    }

    /// The warehouse says what leaves.
    fn leaves(&mut self, place: usize, document: Option<DocumentId>, lines: Vec<ShipLine>) -> Option<Mail> {
        let ship = OrderCommand::Ship {
            document,
            lines,
            carriage: Carriage::default(),
        };
        let mail = self.act(place, "wms", ship)?;
        Some(Mail {
            purpose: Purpose::Ship(place),
            ..mail
        })
    }

    fn take_back(&mut self, place: usize, order: &OrderSummary, random: &mut Random) -> Option<Mail> {
        let script = self.orders.get_mut(place)?;
        script.returns += 1;
        let back = |line: &&LineSummary| line.shipped.minus(line.restocked).minus(line.scrapped).units() > 0;
        let line = order.lines.iter().find(back)?;
        // A piece that can be sold again is told with its number, which an order does not know: to the stock.
        if is_by_piece(&line.sku) && random.percent(70) {
            return self.piece_comes_back(random);
        }
        let is_scrapped = is_by_piece(&line.sku) || random.percent(30);
        let wish = GoodsReturn {
            document: DocumentId::new(&format!("RT-{place}-{}", script.returns)).ok()?,
            lines: vec![ReturnLine {
                line: line.line,
                quantity: PositiveQuantity::new(1).ok()?,
                disposition: if is_scrapped {
                    Disposition::Scrap
                } else {
                    Disposition::Restock
                },
                warehouse: None,
                component: None,
                lots: Vec::new(),
            }],
        };
        self.act(place, "wms", OrderCommand::Return(wish))
    }

    /// The customer wants less of a line, or none of it.
    fn change(&mut self, place: usize, random: &mut Random) -> Option<Mail> {
        let document = self.paper(place, "CH")?;
        let script = self.orders.get(place)?;
        let line = random.pick(&script.request.lines)?;
        let change = OrderChange {
            document,
            reason: reason("the customer wants less")?,
            lines: vec![ChangeLine {
                line: line.line,
                quantity: Quantity::new(random.between(0, line.quantity.units() + 1)).ok()?,
            }],
        };
        let source = system_of(&script.key);
        self.act(place, source, OrderCommand::Change(change))
    }

    /// A line is to come from another warehouse.
    fn relocate(&mut self, place: usize, random: &mut Random) -> Option<Mail> {
        let line = random.pick(&self.orders.get(place)?.request.lines)?.line;
        let mut any = || WarehouseCode::new(["W1", "W2", "W3"][random.below(3)]).ok();
        let relocation = Relocation {
            line,
            from: any()?,
            to: any()?,
        };
        self.act(place, "operator", OrderCommand::Relocate(relocation))
    }

    /// Money is given back for a piece that has left.
    fn credit_note(&mut self, place: usize, order: &OrderSummary, random: &mut Random) -> Option<Mail> {
        let shipped: Vec<&LineSummary> = order
            .lines
            .iter()
            .filter(|line| line.shipped > Quantity::ZERO)
            .collect();
        let line = random.pick(&shipped)?.line;
        let wish = CreditWish {
            document: self.paper(place, "CR")?,
            lines: vec![CreditLine {
                line,
                quantity: PositiveQuantity::ONE,
                share: CreditShare::Whole,
            }],
            freight: None,
        };
        self.act(place, "erp", OrderCommand::Credit(wish))
    }

    fn paper(&mut self, place: usize, kind: &str) -> Option<DocumentId> {
        let script = self.orders.get_mut(place)?;
        script.papers += 1;
        DocumentId::new(&format!("{kind}-{place}-{}", script.papers)).ok()
    }

    /// A person at the desk.
    fn settle(&mut self, place: usize, order: &OrderSummary, random: &mut Random) -> Option<Mail> {
        let name = order.exception.as_ref()?.exception.name();
        let script = self.orders.get_mut(place)?;
        script.tries += 1;
        let patience = if self.is_closing { 4 } else { 12 };
        if script.tries > patience {
            // What has left already is not rejected, but tried again.
            let command = if script.tries.is_multiple_of(2) {
                OrderCommand::Retry
            } else {
                let reason = reason("it cannot be done")?;
                OrderCommand::Reject { reason }
            };
            return self.act(place, "operator", command);
        }
        let approves = matches!(
            name,
            "price-differs" | "likely-duplicate" | "credit-hold" | "below-minimum" | "pack-multiple"
        );
        let needs_correction = matches!(
            name,
            "undeliverable" | "no-price" | "not-served" | "pack-multiple"
        );
        let command = match random.between(0, 12) {
            0..=4 if approves => OrderCommand::Approve {
                reason: reason("agreed with the customer")?,
            },
            0..=6 if needs_correction => self.correction(place, random)?,
            7 => OrderCommand::Cancel {
                reason: reason("not worth it")?,
            },
            8 => OrderCommand::Reject {
                reason: reason("not worth it")?,
            },
            9 => OrderCommand::Reassign {
                to: OwnerRole::Operations,
            },
            10 | 11 => self.correction(place, random)?,
            _ if name == "credit-hold" && !self.is_closing => return None,
            _ => OrderCommand::Retry,
        };
        // A second pair of eyes where one is not enough.
        let source = ["operator", "demo"][random.below(2)];
        self.act(place, source, command)
    }

    /// The order as the customer wants it after all.
    fn correction(&self, place: usize, random: &mut Random) -> Option<OrderCommand> {
        let mut correction = Correction {
            reason: reason("as agreed with the customer")?,
            lines: None,
            warehouses: None,
            policy: Some(Policy::Partial),
            priority: None,
            delivery: None,
            ship_to_region: None,
        };
        if random.percent(60) {
            let mut lines = self.orders.get(place)?.request.lines.clone();
            Self::other_goods(&mut lines, random)?;
            correction.lines = Some(lines);
        }
        if random.percent(70) {
            correction.warehouses = Some(vec![
                WarehouseCode::new("W1").ok()?,
                WarehouseCode::new("W2").ok()?,
            ]);
        }
        let mut delivery = self.orders.get(place)?.request.delivery.clone();
        delivery.address.city = AddressText::new("Haarlem").ok();
        correction.delivery = random.percent(70).then_some(delivery);
        Some(OrderCommand::Correct(Box::new(correction)))
    }

    /// The first line is for other goods, or a part of it is taken in other goods.
    fn other_goods(lines: &mut Vec<OrderLine>, random: &mut Random) -> Option<()> {
        let sku = Sku::new(&format!("SKU-{:06}", random.between(0, 24))).ok()?;
        let number = lines.iter().map(|line| line.line).max()? + 1;
        let first = lines.first_mut()?;
        first.channel_price = None;
        let units = first.quantity.units();
        if units > 1 && random.percent(50) {
            let substitute = OrderLine {
                line: number,
                sku,
                quantity: PositiveQuantity::new(1).ok()?,
                channel_price: None,
                ordered_as: None,
                substitutes: Some(first.line),
                components: Vec::new(),
            };
            first.quantity = PositiveQuantity::new(units - 1).ok()?;
            lines.push(substitute);
        } else {
            first.sku = sku;
            // Whole packs.
            first.quantity = PositiveQuantity::new((units + 2) / 3 * 3).ok()?;
        }
        Some(())
    }
}

/// How long it takes until somebody does something about an order that stands so.
pub(super) fn pause_after(status: Status, habits: &Habits, random: &mut Random) -> Millis {
    match status {
        Status::Exception => random.between(habits.desk.0, habits.desk.1),
        Status::Booked | Status::Released | Status::Picked | Status::Shipped => random.between(200, 20_000),
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Shipping
        | Status::Backordered
        | Status::Cancelling
        | Status::Releasing
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => random.between(30_000, 90_000),
    }
}
