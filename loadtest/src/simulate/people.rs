//! What people and systems do about an order, as it stands: channels that send it again or cancel it, the warehouse, the ERP that
//! closes it, the exception desk.

use super::clock::Millis;
use super::house::{House, Mail, Purpose, mail, reason};
use super::random::Random;
use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::after_sales::Disposition;
use lockstep_actors::orders::command::{
    Correction, GoodsReturn, LineSummary, OrderCommand, OrderSummary, ReturnLine, ShipLine,
};
use lockstep_actors::orders::desk::OwnerRole;
use lockstep_actors::orders::shipment::Carriage;
use lockstep_actors::orders::state::{Policy, Status};
use lockstep_actors::quantity::PositiveQuantity;

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
        let source = if script.key.channel() == "marketplace" {
            "marketplace"
        } else {
            "web-shop"
        };
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
        match random.between(0, 4) {
            0 => self.act(place, "wms", OrderCommand::ReleaseToWarehouse),
            1 => self.act(place, "wms", OrderCommand::ConfirmPick),
            2 => self.act(place, "erp", OrderCommand::Close),
            _ => {
                let (document, lines) = (None, Vec::new());
                self.act(
                    place,
                    "wms",
                    OrderCommand::Ship {
                        document,
                        lines,
                        carriage: Carriage::default(),
                    },
                )
            }
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
        if order.contested.is_some() {
            let reason = reason("it is the same order")?;
            return self.act(place, "operator", OrderCommand::Dismiss { reason });
        }
        match order.status {
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
                (tries > 20).then(|| self.cancel(place)).flatten()
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
        let lines = match part.filter(|_| random.percent(25)) {
            Some(line) => vec![ShipLine {
                components: Vec::new(),
                line: line.line,
                total: PositiveQuantity::new(line.shipped.units() + 1).ok()?,
                lots: Vec::new(),
            }],
            None => Vec::new(),
        };
        let document = DocumentId::new(&format!("DN-{}", random.between(0, 1_000_000))).ok();
        self.act(
            place,
            "wms",
            OrderCommand::Ship {
                document,
                lines,
                carriage: Carriage::default(),
            },
        )
    }

    fn take_back(&mut self, place: usize, order: &OrderSummary, random: &mut Random) -> Option<Mail> {
        let script = self.orders.get_mut(place)?;
        script.returns += 1;
        let back = |line: &&LineSummary| line.shipped.minus(line.restocked).minus(line.scrapped).units() > 0;
        let line = order.lines.iter().find(back)?;
        let wish = GoodsReturn {
            document: DocumentId::new(&format!("RT-{place}-{}", script.returns)).ok()?,
            lines: vec![ReturnLine {
                line: line.line,
                quantity: PositiveQuantity::new(1).ok()?,
                disposition: if random.percent(70) {
                    Disposition::Restock
                } else {
                    Disposition::Scrap
                },
                warehouse: None,
                component: None,
            }],
        };
        self.act(place, "wms", OrderCommand::Return(wish))
    }

    /// A person at the desk.
    fn settle(&mut self, place: usize, order: &OrderSummary, random: &mut Random) -> Option<Mail> {
        let name = order.exception.as_ref()?.exception.name();
        let script = self.orders.get_mut(place)?;
        script.tries += 1;
        let patience = if self.is_closing { 4 } else { 12 };
        if script.tries > patience {
            let reason = reason("it cannot be done")?;
            return self.act(place, "operator", OrderCommand::Reject { reason });
        }
        let command = match (name, random.between(0, 12)) {
            ("price-differs" | "likely-duplicate" | "credit-hold", 0..=6) => OrderCommand::Approve {
                reason: reason("agreed with the customer")?,
            },
            (_, 7) => OrderCommand::Cancel {
                reason: reason("not worth it")?,
            },
            (_, 8) => OrderCommand::Reject {
                reason: reason("not worth it")?,
            },
            (_, 9) => OrderCommand::Reassign {
                to: OwnerRole::Operations,
            },
            (_, 10) => OrderCommand::Correct(Box::new(Correction {
                reason: reason("as agreed with the customer")?,
                lines: None,
                warehouses: None,
                policy: Some(Policy::Partial),
                priority: None,
                delivery: None,
            })),
            ("credit-hold", _) => return None,
            (_, _) => OrderCommand::Retry,
        };
        self.act(place, "operator", command)
    }
}

/// How long it takes until somebody does something about an order that stands so.
pub(super) fn pause_after(status: Status, random: &mut Random) -> Millis {
    match status {
        Status::Exception => random.between(20_000, 120_000),
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
