//! A decision about an order as it grows: each event is applied to a copy at once, so that the next step sees it.

use super::Order;
use super::apply::apply_placed;
use super::change::AnsweredChange;
use super::checks::ChannelRules;
use super::command::{OpenCase, OrderReply, StockAnswered};
use super::credit::give_credit_back;
use super::desk;
use super::desk_list::{EntryCommand, OpenCases};
use super::duplicate::withdraw_introduction;
use super::effects::{Told, status_event};
use super::event::OrderEvent;
use super::history::Reasoning;
use super::parked::take_up_parked;
use super::price::{tell_budgets, tell_contract_of_less};
use super::state::{Allocation, AllocationStanding, Exception, Placed, Status};
use super::transitions::{Cause, is_allowed};
use crate::domain::{Distributor, Message};
use crate::ids::{HoldId, OrderKey, Reason, StockId};
use crate::inventory::allocation::Buyer;
use crate::inventory::backorder::Priority;
use crate::inventory::command::{HoldStock, ShipQuantity, StockCommand};
use crate::pricing::catalogue::Tracking;
use crate::reference::Reference;
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Decision, Expired, Outbound};
use lockstep_runtime::message::Provenance;
use lockstep_runtime::time::Timestamp;
use std::time::Duration;

/// How long a partner inside may take to answer before it is asked again.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the ERP may take to answer.
pub(super) const ERP_ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// How often a step is tried again before a person is asked.
pub(super) const MAX_TRIES: u8 = 8;
/// The first pause before the ERP is asked again; it doubles with each try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a partner is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The pause before try number `tries`, which doubles with each of them, bounded.
pub(super) fn doubled(first: Duration, tries: u8) -> Duration {
    first
        .saturating_mul(1_u32 << u32::from(tries.min(16)))
        .min(LONGEST_PAUSE)
}

pub(super) struct Flow<'a> {
    pub(super) order: &'a OrderKey,
    pub(super) placed: Placed,
    pub(super) now: Timestamp,
    pub(super) reference: &'a Reference,
    cause: Cause,
    /// What was open before the decision.
    open_before: Vec<OpenCase>,
    /// Which system wants it.
    pub(super) by: &'a str,
    pub(super) provenance: &'a Provenance,
    events: Vec<OrderEvent>,
    sends: Vec<Message>,
    outbound: Vec<Outbound>,
    /// What waited in vain.
    pub(super) expired: Vec<Expired<Message>>,
    /// A change that was answered, for the next status event to tell.
    pub(super) answered_change: Option<AnsweredChange>,
    /// Why the ERP does not cancel the order, for the next status event to tell.
    pub(super) kept_because: Option<Reason>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        order: &'a OrderKey,
        placed: Placed,
        cause: Cause,
        context: &Context<'a, Distributor>,
    ) -> Self {
        Self {
            order,
            open_before: placed.open_cases(),
            placed,
            now: context.now,
            reference: context.reference,
            cause,
            by: context.provenance.source.as_str(),
            provenance: context.provenance,
            events: Vec::new(),
            sends: Vec::new(),
            outbound: Vec::new(),
            expired: Vec::new(),
            answered_change: None,
            kept_because: None,
        }
    }

    /// Records an event that has already been applied to the copy.
    pub(super) fn began_with(mut self, event: OrderEvent) -> Self {
        self.events.push(event);
        self
    }

    /// Which system does it; `lockstep` for the clock.
    pub(super) fn actor(&self) -> CompactString {
        if self.cause == Cause::Alarm {
            CompactString::const_new("lockstep")
        } else {
            self.by.into()
        }
    }

    /// The rules of the order's channel.
    pub(super) fn rules(&self) -> &'a ChannelRules {
        self.reference.order_rules().of(self.order.channel())
    }

    /// How soon its goods are served: as it says, but no sooner than its channel may.
    pub(super) fn priority(&self) -> Priority {
        let says = self.placed.request.priority;
        self.rules().best_priority.map_or(says, |best| says.max(best))
    }

    pub(super) fn happens(&mut self, event: OrderEvent) {
        apply_placed(&mut self.placed, &event);
        self.events.push(event);
    }

    pub(super) fn send(&mut self, message: impl Into<Message>) {
        self.sends.push(message.into());
    }

    pub(super) fn publish(&mut self, outbound: Outbound) {
        self.outbound.push(outbound);
    }

    pub(super) fn become_status(&mut self, status: Status) {
        let from = (self.placed.sequence > 0).then_some(self.placed.status);
        debug_assert!(
            is_allowed(from, self.cause, status),
            "not in the table: {from:?} {:?} {status:?}",
            self.cause
        );
        let reasoning = Reasoning::of(self.cause, self.provenance, &self.placed.correlation);
        self.happens(OrderEvent::Became {
            status,
            at: self.now,
            reasoning: Some(reasoning),
        });
        let word = self.rules().vocabulary.get(&status).cloned();
        let told = Told {
            channel_status: word,
            change: self.answered_change.take(),
            kept_because: self.kept_because.take(),
        };
        self.publish(status_event(self.order, &self.placed, told));
        tell_budgets(self);
        if self.placed.has_ended() {
            give_credit_back(self);
            withdraw_introduction(self);
            tell_contract_of_less(self);
        }
    }

    /// Waits for an answer, from the first try.
    pub(super) fn wait(&mut self, time: Duration) {
        self.wait_try(time, 0);
    }

    pub(super) fn wait_try(&mut self, time: Duration, tries: u8) {
        let until = Some(self.now.after(time));
        self.happens(OrderEvent::Waiting { until, tries });
    }

    pub(super) fn wait_until(&mut self, until: Option<Timestamp>) {
        self.happens(OrderEvent::Waiting { until, tries: 0 });
    }

    pub(super) fn wait_no_more(&mut self) {
        self.wait_until(None);
    }

    pub(super) fn raise(&mut self, exception: Exception, resume: Status) {
        let case = desk::open(&exception, self.now);
        self.happens(OrderEvent::Raised {
            exception,
            resume,
            case,
        });
        self.become_status(Status::Exception);
        self.wait_until(case.due);
    }

    /// The pause before try number `tries`: doubling, bounded, and spread by a quarter so that orders which failed
    /// together do not come back together. The spread follows from the order's key.
    pub(super) fn pause(&self, tries: u8) -> Duration {
        let pause = doubled(FIRST_PAUSE, tries);
        // FNV-1a: small, and the same on every node and in every version.
        let hash = self
            .order
            .as_str()
            .bytes()
            .chain([tries])
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        let quarter = u64::try_from(pause.as_millis() / 4).unwrap_or(0).max(1);
        pause + Duration::from_millis(u64::from(hash) % quarter)
    }

    pub(super) fn move_allocation(&mut self, place: usize, allocation: Allocation) {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.happens(OrderEvent::AllocationMoved { place, allocation });
    }

    /// Tells the stock of an allocation what its standing means for it; nothing if it means nothing.
    pub(super) fn tell_stock(&mut self, allocation: &Allocation) {
        let id = self.hold_id(allocation.line, allocation.attempt);
        let answer_to = Some(self.order.clone());
        let command = match allocation.standing {
            AllocationStanding::Asked => StockCommand::Hold(HoldStock {
                id,
                quantity: allocation.asked,
                mode: allocation.mode,
                expires: None,
                priority: self.priority(),
                answer_to,
                customer_class: self.placed.customer_class().cloned(),
            }),
            AllocationStanding::Releasing => StockCommand::Release { id, answer_to },
            AllocationStanding::Shipping => {
                let total = allocation.to_ship.positive();
                let ship = StockCommand::Ship {
                    id,
                    quantity: total.map_or(ShipQuantity::All, ShipQuantity::Total),
                    document: allocation.document.clone(),
                    answer_to,
                };
                if allocation.lots_to_ship.is_empty() {
                    ship
                } else {
                    StockCommand::InLots {
                        lots: allocation.lots_to_ship.clone().into(),
                        kept: Tracking::None,
                        change: Box::new(ship),
                    }
                }
            }
            AllocationStanding::Held
            | AllocationStanding::Refused
            | AllocationStanding::Shipped
            | AllocationStanding::Released => return,
        };
        self.address_stock(allocation, command);
    }

    pub(super) fn address_stock(&mut self, allocation: &Allocation, command: StockCommand) {
        if let Some(sku) = self.placed.sku(allocation) {
            let stock = StockId {
                sku: sku.clone(),
                warehouse: allocation.warehouse,
            };
            self.send((stock, command));
        }
    }

    /// Gives back a hold that nobody waits for.
    pub(super) fn release_stray(&mut self, answered: &StockAnswered) {
        let id = self.hold_id(answered.line, answered.attempt);
        // The line may be about something else by now: the stock says itself what it holds.
        let stock = StockId {
            sku: answered.sku.clone(),
            warehouse: answered.warehouse,
        };
        self.send((stock, StockCommand::Release { id, answer_to: None }));
    }

    /// Asks once more every stock whose answer is missing.
    pub(super) fn ask_stocks_again(&mut self) {
        for allocation in self.placed.allocations.clone() {
            self.tell_stock(&allocation);
        }
    }

    /// Who takes the goods.
    pub(super) fn buyer(&self) -> Buyer<'_> {
        Buyer::from(self.order.channel()).of_class(self.placed.customer_class())
    }

    pub(super) fn hold_id(&self, line: u16, attempt: u16) -> HoldId {
        HoldId {
            order: self.order.clone(),
            line,
            attempt,
        }
    }

    pub(super) fn any(&self, standing: AllocationStanding) -> bool {
        self.placed
            .allocations
            .iter()
            .any(|allocation| allocation.standing == standing)
    }

    /// Tells the desk's list what is open now, if that has changed.
    fn tell_desk(&mut self) {
        let cases = self.placed.open_cases();
        if cases == self.open_before {
            return;
        }
        self.happens(OrderEvent::DeskTold);
        let open = OpenCases {
            customer: self.placed.request.customer.clone(),
            total: self.placed.total(),
            cases,
        };
        let telling = self.placed.tellings;
        self.send((self.order.clone(), EntryCommand::Tell { open, telling }));
    }

    pub(super) fn accepted(mut self) -> Decision<Order> {
        take_up_parked(&mut self);
        self.tell_desk();
        let reply = OrderReply::Accepted {
            status: self.placed.status,
            sequence: self.placed.sequence,
        };
        Decision {
            events: self.events.into(),
            reply,
            sends: self.sends,
            outbound: self.outbound,
            expired: self.expired,
        }
    }
}
