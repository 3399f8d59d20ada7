//! Orders, contract and stock driven together by a small message loop that repeats, reorders and delays.

mod after_sales;
mod bounds;
mod budgets;
mod changes;
mod checks;
mod credit;
mod customer_class;
mod delivery;
mod desk;
mod duplicates;
mod elsewhere;
mod goods;
mod histories;
mod history;
mod kits;
mod late_booking;
mod parked;
mod quotes;
mod rebates;
mod shipments;
mod sourcing;
mod transitions;
mod withdrawn;

use super::checks::{ChannelRules, OrderRules, PriceTolerance};
use super::command::*;
use super::delivery::Delivery;
use super::desk::*;
use super::desk_list::{DeskEntry, EntryState};
use super::effects::{
    BookingRequest, ERP, EVENTS, ErpReference, ErpRequest, OrderStatus, PaperReference, PaperRequest,
};
use super::paper::PaperKind;
use super::shipment::Carriage;
use super::sourcing::{Network, Site, Sourcing};
use super::state::*;
use super::transitions::Cause;
use crate::accounts::CustomerAccount;
use crate::accounts::state::AccountState;
use crate::domain::{Distributor, Message, Reply};
use crate::governance::ownership::Ownership;
use crate::ids::*;
use crate::inventory::SkuWarehouse;
use crate::inventory::backorder::{Backorders, Priority};
use crate::inventory::command::{Adjustment, StockCommand, StockReply};
use crate::inventory::state::StockState;
use crate::money::{Currency, Percent, Price};
use crate::pricing::PromotionBudget;
use crate::pricing::budget::BudgetState;
use crate::pricing::catalogue::{CatalogueItem, Item, ItemCommand, ItemState};
use crate::pricing::contract::{ContractState, CustomerContract, Customers};
use crate::pricing::list::{Effective, ListPrice, ListPriceCommand, ListPriceState, ListRow};
use crate::pricing::scale::Scale;
use crate::quantity::{PositiveQuantity, Quantity};
use crate::reference::{Reference, publish_view};
use lockstep_runtime::entity::{Context, Decision, Entity};
use lockstep_runtime::message::{MessageId, Origin, Provenance, Sequence};
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::rmp_serde;
use lockstep_runtime::time::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the world does next; drawn by proptest, or always the kind choice.
struct Fate {
    choices: Vec<u8>,
    used: usize,
}

impl Fate {
    fn kind() -> Self {
        Self {
            choices: Vec::new(),
            used: 0,
        }
    }
    fn next(&mut self) -> u8 {
        let choice = self.choices.get(self.used).copied().unwrap_or(0);
        self.used += 1;
        choice
    }
}

struct World {
    now: Timestamp,
    sequence: u64,
    reference: Reference,
    stocks: BTreeMap<StockId, StockState>,
    contracts: BTreeMap<CustomerId, ContractState>,
    accounts: BTreeMap<CustomerId, AccountState>,
    budgets: BTreeMap<BudgetId, BudgetState>,
    orders: BTreeMap<OrderKey, OrderState>,
    desk: BTreeMap<OrderKey, EntryState>,
    mail: Vec<Message>,
    booked: BTreeMap<OrderKey, u32>,
    last_booking: Option<BookingRequest>,
    cancelled_in_erp: BTreeMap<OrderKey, u32>,
    /// By the booking's key: the lines that stand in the ERP.
    erp_books: BTreeMap<String, Vec<(String, i64)>>,
    /// How often each paper was posted.
    papers: BTreeMap<(OrderKey, PaperKind, String), u32>,
    last_paper: Option<PaperRequest>,
    statuses: Vec<OrderStatus>,
    /// Why messages that waited became dead letters.
    dead: Vec<String>,
    transitions: BTreeSet<(Option<Status>, Cause, Status)>,
    /// Goods that were held were lost: no decision of ours oversold them.
    short: bool,
    /// Which system speaks.
    speaker: &'static str,
    /// In which conversation.
    conversation: &'static str,
    /// By which message from outside.
    causation: Option<MessageId>,
    /// Whether it is a system outside that speaks.
    is_outside: bool,
    /// As who orders have spoken to others, each with what it said.
    spoken: Vec<(String, Provenance)>,
    fate: Fate,
}

fn quantity(units: i64) -> PositiveQuantity {
    PositiveQuantity::new(units).unwrap()
}

fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

fn stock_id(name: &str, warehouse: &str) -> StockId {
    StockId {
        sku: sku(name),
        warehouse: WarehouseCode::new(warehouse).unwrap(),
    }
}

fn key(number: &str) -> OrderKey {
    OrderKey::new("web", number).unwrap()
}

fn request(lines: &[(&str, i64)], warehouses: &[&str], policy: Policy) -> OrderRequest {
    let lines = lines.iter().zip(1..).map(|((name, units), line)| OrderLine {
        line,
        sku: sku(name),
        quantity: quantity(*units),
        ordered_as: None,
        channel_price: None,
        substitutes: None,
        components: Vec::new(),
    });
    OrderRequest {
        customer: CustomerId::new("C1").unwrap(),
        currency: Currency::new("EUR").unwrap(),
        lines: lines.collect(),
        warehouses: warehouses
            .iter()
            .map(|code| WarehouseCode::new(code).unwrap())
            .collect(),
        sourcing: Sourcing::default(),
        ship_to_region: None,
        policy,
        priority: Priority::default(),
        customers: Customers::Anybody,
        price_as_of: None,
        purchase_order: None,
        coupons: Vec::new(),
        delivery: Delivery::default(),
        quote: None,
    }
}

/// A house of which one warehouse does not serve the channel of these tests.
fn house() -> Network {
    let site = Site {
        channels: vec!["edi".into()],
        ..Site::default()
    };
    Network([(WarehouseCode::new("EDI-ONLY").unwrap(), site)].into())
}

fn cancel() -> OrderCommand {
    OrderCommand::Cancel {
        reason: Reason::new("not wanted").unwrap(),
    }
}

/// Why a command was refused, in words; none if it was not.
fn refused(reply: &OrderReply) -> Option<String> {
    if let OrderReply::Refused(refusal) = reply {
        Some(refusal.to_string())
    } else {
        None
    }
}

fn ship(lines: &[(u16, i64)]) -> OrderCommand {
    let lines = lines.iter().map(|&(line, units)| ShipLine {
        components: Vec::new(),
        line,
        total: quantity(units),
        lots: Vec::new(),
    });
    OrderCommand::Ship {
        document: None,
        lines: lines.collect(),
        carriage: Carriage::default(),
    }
}

impl World {
    fn new(fate: Fate) -> Self {
        Self::under(fate, ChannelRules::default())
    }

    /// With these rules for the channel of the tests.
    fn under(fate: Fate, rules: ChannelRules) -> Self {
        let rules = OrderRules([("web".into(), rules)].into());
        let mut world = Self {
            now: Timestamp::from_millis(1_000_000),
            sequence: 0,
            reference: Reference::of(Ownership::standard(), house()).checking(rules),
            stocks: BTreeMap::new(),
            contracts: BTreeMap::new(),
            accounts: BTreeMap::new(),
            budgets: BTreeMap::new(),
            orders: BTreeMap::new(),
            desk: BTreeMap::new(),
            mail: Vec::new(),
            booked: BTreeMap::new(),
            last_booking: None,
            cancelled_in_erp: BTreeMap::new(),
            erp_books: BTreeMap::new(),
            papers: BTreeMap::new(),
            last_paper: None,
            statuses: Vec::new(),
            dead: Vec::new(),
            transitions: BTreeSet::new(),
            short: false,
            speaker: "test",
            conversation: "K",
            causation: None,
            is_outside: false,
            spoken: Vec::new(),
            fate,
        };
        for name in ["A", "B", "C"] {
            world.set_price(name, "2.50");
        }
        world
    }

    fn set_price(&mut self, name: &str, unit: &str) {
        self.sequence += 1;
        let row = ListRow {
            list: ListId::new("standard").unwrap(),
            currency: Currency::new("EUR").unwrap(),
            effective: Effective::default(),
            price: Scale::flat(Price::new(unit.parse().unwrap()).unwrap()),
            rule: RuleId::new("list").unwrap(),
            version: self.sequence,
            edition: None,
        };
        self.take((sku(name), ListPriceCommand::Set(Box::new(row))).into());
    }

    fn item(&mut self, name: &str, item: Item) {
        self.sequence += 1;
        let version = self.sequence;
        self.take(
            (
                sku(name),
                ItemCommand::Set {
                    item: Box::new(item),
                    version,
                },
            )
                .into(),
        );
    }

    fn stock(mut self, name: &str, warehouse: &str, units: i64) -> Self {
        let command = StockCommand::Receive {
            quantity: quantity(units),
            document: DocumentId::new("GR").unwrap(),
        };
        self.take((stock_id(name, warehouse), command).into());
        self
    }

    fn run<E: Entity<Domain = Distributor>>(
        &mut self,
        id: &E::Id,
        state: &mut E::State,
        command: Option<&E::Command>,
    ) -> Option<E::Reply> {
        let provenance = Provenance {
            source: self.speaker.into(),
            correlation: self.conversation.into(),
            causation: self.causation,
        };
        let speaker = match command {
            Some(command) => E::speaks_as(state, command),
            None => E::wakes_as(state),
        };
        let context = Context {
            now: self.now,
            provenance: &provenance,
            origin: if self.is_outside {
                Origin::External(MessageId(self.sequence.into()))
            } else {
                // What goes about here is what entities say to each other, and what any may say.
                Origin::Entity {
                    from: PartitionId(0),
                    sequence: self.sequence,
                }
            },
            reference: &self.reference,
        };
        let decision: Decision<E> = match command {
            Some(command) => E::decide(id, state, command, &context),
            None => E::wake(id, state, &context)?,
        };
        for event in &decision.events {
            let written = rmp_serde::to_vec(event).unwrap();
            E::apply(state, &rmp_serde::from_slice(&written).unwrap());
        }
        let written = rmp_serde::to_vec(state).unwrap();
        *state = rmp_serde::from_slice(&written).unwrap();
        self.sequence += 1;
        if let Some(view) = E::view(id, state, Sequence(self.sequence)) {
            publish_view(&self.reference, view);
        }
        if E::KIND == super::Order::KIND {
            let speaker = speaker.unwrap_or(provenance);
            let said = decision.sends.iter().map(|message| format!("{message:?}"));
            let asked = decision.outbound.iter().filter(|outbound| outbound.port == ERP);
            let asked = asked.map(|outbound| {
                format!(
                    "{:?}",
                    rmp_serde::from_slice::<ErpRequest>(&outbound.body).unwrap()
                )
            });
            self.spoken
                .extend(said.chain(asked).map(|said| (said, speaker.clone())));
        }
        self.mail.extend(decision.sends);
        let expired = decision.expired.into_iter();
        self.dead.extend(expired.map(|expired| expired.reason));
        for outbound in decision.outbound {
            match outbound.port {
                ERP => self.erp(rmp_serde::from_slice(&outbound.body).unwrap()),
                EVENTS if E::KIND == ListPrice::KIND => {}
                EVENTS => self.statuses.push(rmp_serde::from_slice(&outbound.body).unwrap()),
                other => panic!("port {other:?}"),
            }
        }
        Some(decision.reply)
    }

    fn take(&mut self, message: Message) -> Reply {
        match message {
            Message::Stock(id, command) => {
                let mut state = self.stocks.remove(&id).unwrap_or_default();
                let reply = self.run::<SkuWarehouse>(&id, &mut state, Some(&command));
                assert!(
                    self.short || state.shortfall() == Quantity::ZERO,
                    "oversold {id:?}"
                );
                self.stocks.insert(id, state);
                reply.unwrap().into()
            }
            Message::ListPrice(id, command) => {
                let mut state = ListPriceState::default();
                self.run::<ListPrice>(&id, &mut state, Some(&command))
                    .unwrap()
                    .into()
            }
            Message::Contract(id, command) => {
                let mut state = self.contracts.remove(&id).unwrap_or_default();
                let reply = self.run::<CustomerContract>(&id, &mut state, Some(&command));
                self.contracts.insert(id, state);
                reply.unwrap().into()
            }
            Message::Account(id, command) => {
                let mut state = self.accounts.remove(&id).unwrap_or_default();
                let reply = self.run::<CustomerAccount>(&id, &mut state, Some(&command));
                self.accounts.insert(id, state);
                reply.unwrap().into()
            }
            Message::Item(id, command) => {
                let mut state = ItemState::default();
                self.run::<CatalogueItem>(&id, &mut state, Some(&command))
                    .unwrap()
                    .into()
            }
            Message::Desk(id, command) => {
                let mut state = self.desk.remove(&id).unwrap_or_default();
                let reply = self.run::<DeskEntry>(&id, &mut state, Some(&command));
                self.desk.insert(id, state);
                reply.unwrap().into()
            }
            Message::Budget(id, command) => {
                let mut state = self.budgets.remove(&id).unwrap_or_default();
                let reply = self.run::<PromotionBudget>(&id, &mut state, Some(&command));
                self.budgets.insert(id, state);
                reply.unwrap().into()
            }
            Message::Agreement(..)
            | Message::Rates(..)
            | Message::Taxes(..)
            | Message::Editions(..)
            | Message::Index(..)
            | Message::Partner(..)
            | Message::Purchase(..) => {
                panic!("orders ask nothing of {message:?}")
            }
            Message::Order(id, command) => {
                let mut state = self.orders.remove(&id).unwrap_or_default();
                let before = self.statuses.len();
                let from = state.placed().map(|placed| placed.status);
                let reply = self.run::<super::Order>(&id, &mut state, Some(&command));
                self.note_transitions(before, from, Cause::of(&command));
                self.orders.insert(id, state);
                reply.unwrap().into()
            }
            other @ (Message::Audit(..)
            | Message::Ownership(..)
            | Message::Letter(..)
            | Message::LetterEntry(..)) => {
                panic!("not of an order's making: {other:?}")
            }
        }
    }

    fn tell(&mut self, order: &OrderKey, command: OrderCommand) -> OrderReply {
        let reply = self.take((order.clone(), command).into());
        let Reply::Order(reply) = reply else {
            panic!("{reply:?}");
        };
        reply
    }

    /// An ERP that may be slow to answer, answer nothing, fail or reject, but knows its own duplicates.
    fn erp(&mut self, request: ErpRequest) {
        let fate = self.fate.next();
        let reason = Reason::new("emulated").unwrap();
        let number = DocumentId::new("ERP-1").unwrap();
        let (order, command) = match request {
            ErpRequest::Book(booking) => {
                let order = booking.reference.order.clone();
                let attempt = booking.reference.attempt;
                if fate % 8 == 1 {
                    let answer = BookingAnswer::Failed { reason };
                    (
                        order,
                        OrderCommand::BookingAnswered(BookingAnswered { attempt, answer }),
                    )
                } else if fate % 8 == 2 {
                    let answer = BookingAnswer::Rejected { reason };
                    (
                        order,
                        OrderCommand::BookingAnswered(BookingAnswered { attempt, answer }),
                    )
                } else {
                    *self.booked.entry(order.clone()).or_default() += 1;
                    self.lands(booking);
                    if fate % 8 == 3 {
                        return;
                    }
                    let answer = match fate % 8 {
                        4 => BookingAnswer::Unknown { reason },
                        _ => BookingAnswer::Confirmed { erp_number: number },
                    };
                    (
                        order,
                        OrderCommand::BookingAnswered(BookingAnswered { attempt, answer }),
                    )
                }
            }
            ErpRequest::Lookup(reference) => {
                let attempt = reference.attempt;
                let answer = match (fate % 4, self.booked.contains_key(&reference.order)) {
                    (3, _) => return,
                    (2, _) => BookingAnswer::Failed { reason },
                    (_, true) => BookingAnswer::Confirmed { erp_number: number },
                    (_, false) => BookingAnswer::NotFound,
                };
                (
                    reference.order,
                    OrderCommand::BookingAnswered(BookingAnswered { attempt, answer }),
                )
            }
            ErpRequest::Cancel(reference) => {
                let attempt = reference.attempt;
                if fate % 4 == 3 {
                    return;
                }
                let answer = match fate % 4 {
                    2 => CancelAnswer::Failed { reason },
                    1 => CancelAnswer::Refused { reason },
                    _ => CancelAnswer::Cancelled,
                };
                if answer == CancelAnswer::Cancelled {
                    self.erp_books.remove(&*reference.key());
                    *self.cancelled_in_erp.entry(reference.order.clone()).or_default() += 1;
                }
                (
                    reference.order,
                    OrderCommand::CancelAnswered(CancelAnswered { attempt, answer }),
                )
            }
            ErpRequest::Post(paper) => {
                let PaperReference {
                    booking: ErpReference { order, attempt, .. },
                    kind,
                    document,
                } = paper.reference.clone();
                let answer = match fate % 8 {
                    1 => BookingAnswer::Failed { reason },
                    2 => BookingAnswer::Rejected { reason },
                    silent => {
                        let key = (order.clone(), kind, document.to_string());
                        *self.papers.entry(key).or_default() += 1;
                        self.last_paper = Some(*paper);
                        match silent {
                            3 => return,
                            4 => BookingAnswer::Unknown { reason },
                            _ => BookingAnswer::Confirmed { erp_number: number },
                        }
                    }
                };
                (
                    order,
                    OrderCommand::PaperAnswered(BookingAnswered { attempt, answer }),
                )
            }
            ErpRequest::FindPaper(reference) => {
                let key = (
                    reference.booking.order.clone(),
                    reference.kind,
                    reference.document.to_string(),
                );
                let attempt = reference.booking.attempt;
                let answer = match (fate % 4, self.papers.contains_key(&key)) {
                    (3, _) => return,
                    (2, _) => BookingAnswer::Unknown { reason },
                    (_, true) => BookingAnswer::Confirmed { erp_number: number },
                    (_, false) => BookingAnswer::NotFound,
                };
                (
                    reference.booking.order,
                    OrderCommand::PaperAnswered(BookingAnswered { attempt, answer }),
                )
            }
        };
        self.mail.push((order, command).into());
    }

    /// The ERP books.
    fn lands(&mut self, booking: BookingRequest) {
        let lines = booking.lines.iter();
        let lines = lines.map(|line| (line.sku.to_string(), line.quantity.units()));
        self.erp_books
            .insert(booking.reference.key().into_owned(), lines.collect());
        self.last_booking = Some(booking);
    }

    /// Delivers all mail, in an order and with repeats as fate has it.
    fn deliver(&mut self) {
        while !self.mail.is_empty() {
            let place = usize::from(self.fate.next()) % self.mail.len();
            // Goods that are put back are told of once: an entity hears another's message once, and nobody asks again for them.
            let once = matches!(&self.mail[place], Message::Stock(_, StockCommand::Return { .. }));
            let message = if self.fate.next() % 5 == 4 && !once {
                self.mail[place].clone()
            } else {
                self.mail.remove(place)
            };
            self.take(message);
        }
    }

    /// Lets time pass until nothing waits any more.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.deliver();
            let alarms = self.orders.values().filter_map(super::Order::alarm);
            let Some(alarm) = alarms.min() else { return };
            self.now = self.now.max(alarm);
            for id in self.orders.keys().cloned().collect::<Vec<_>>() {
                self.wake(&id);
            }
        }
        panic!("an order never settles");
    }

    fn wake(&mut self, order: &OrderKey) {
        let mut state = self.orders.remove(order).unwrap();
        let before = self.statuses.len();
        let from = state.placed().map(|placed| placed.status);
        self.run::<super::Order>(order, &mut state, None);
        self.note_transitions(before, from, Some(Cause::Alarm));
        self.orders.insert(order.clone(), state);
    }

    fn note_transitions(&mut self, before: usize, mut from: Option<Status>, cause: Option<Cause>) {
        for change in &self.statuses[before..] {
            let cause = cause.expect("a question changes nothing");
            let to = change.status;
            self.transitions.insert((from, cause, to));
            from = Some(to);
        }
    }

    fn status(&self, order: &OrderKey) -> Status {
        self.orders[order].placed().unwrap().status
    }

    fn available(&self, name: &str, warehouse: &str) -> i64 {
        self.stocks
            .get(&stock_id(name, warehouse))
            .map_or(0, |stock| stock.available().units())
    }

    fn reserved(&self) -> i64 {
        self.stocks.values().map(|stock| stock.reserved.units()).sum()
    }

    fn receive(&mut self, name: &str, warehouse: &str, units: i64) {
        let command = StockCommand::Receive {
            quantity: quantity(units),
            document: DocumentId::new("GR").unwrap(),
        };
        self.take((stock_id(name, warehouse), command).into());
    }

    /// By line: reserved, shipped, backordered, pending, cancelled.
    fn lines(&self, order: &OrderKey) -> Vec<[i64; 5]> {
        let summary = self.orders[order].placed().unwrap().summary();
        let lines = summary.lines.iter().map(|line| {
            let parts = [
                line.reserved,
                line.shipped,
                line.backordered,
                line.pending,
                line.cancelled,
            ];
            let parts = parts.map(Quantity::units);
            assert_eq!(
                parts.iter().sum::<i64>() + line.substituted.units(),
                line.ordered.units(),
                "{order} line {}",
                line.line
            );
            assert!(parts.iter().all(|part| *part >= 0), "{order}: {parts:?}");
            parts
        });
        lines.collect()
    }

    fn order(
        &mut self,
        number: &str,
        lines: &[(&str, i64)],
        warehouses: &[&str],
        policy: Policy,
    ) -> OrderKey {
        let order = key(number);
        self.tell(
            &order,
            OrderCommand::Submit(Box::new(request(lines, warehouses, policy))),
        );
        self.settle();
        order
    }

    fn exception(&self, order: &OrderKey) -> Option<Exception> {
        self.orders[order].placed().unwrap().exception.clone()
    }
}

#[test]
fn an_order_runs_from_intake_to_its_end() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = key("1");
    let wish = request(&[("A", 4)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish.clone())));
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(
        world.orders[&order]
            .placed()
            .unwrap()
            .quote
            .as_ref()
            .unwrap()
            .total
            .to_string(),
        "10.00 EUR"
    );
    world.tell(&order, OrderCommand::ReleaseToWarehouse);
    world.tell(&order, OrderCommand::ConfirmPick);
    world.tell(&order, ship(&[]));
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
    world.tell(&order, OrderCommand::Close);
    assert_eq!((world.available("A", "W1"), world.reserved()), (6, 0));
    let seen: Vec<Status> = world.statuses.iter().map(|status| status.status).collect();
    use Status::*;
    assert_eq!(
        seen,
        [
            Pricing, Reserving, Booking, Booked, Released, Picked, Shipping, Shipped, Closed
        ]
    );
    let numbers: Vec<u32> = world.statuses.iter().map(|status| status.sequence).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    assert!(world.statuses.iter().all(|status| status.correlation == "K"));
    // S45: the same again is the same answer; other content is a conflict.
    assert!(matches!(
        world.tell(&order, OrderCommand::Submit(Box::new(wish))),
        OrderReply::Accepted { status: Closed, .. }
    ));
    let other = request(&[("A", 5)], &["W1"], Policy::ShipComplete);
    assert_eq!(
        world.tell(&order, OrderCommand::Submit(Box::new(other))),
        OrderReply::Refused(OrderRefusal::Conflict)
    );
}

#[test]
fn s27_two_lines_of_one_item_that_do_not_fit_hold_nothing() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
    let order = key("1");
    world.tell(
        &order,
        OrderCommand::Submit(Box::new(request(
            &[("A", 3), ("A", 3)],
            &["W1"],
            Policy::ShipComplete,
        ))),
    );
    world.settle();
    assert_eq!(
        world.exception(&order),
        Some(Exception::Shortage { line: 2, lines: 1 })
    );
    assert_eq!((world.available("A", "W1"), world.reserved()), (5, 0));
    // Goods come; a person tries again.
    world = world.stock("A", "W1", 1);
    world.tell(&order, OrderCommand::Retry);
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
}

#[test]
fn s29_ten_ordered_seven_shipped_then_cancelled_releases_three() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 100);
    let order = key("1");
    world.tell(
        &order,
        OrderCommand::Submit(Box::new(request(&[("A", 10)], &["W1"], Policy::ShipComplete))),
    );
    world.settle();
    world.tell(&order, ship(&[(1, 7)]));
    world.settle();
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
    assert_eq!((world.available("A", "W1"), world.reserved()), (93, 0));
}

#[test]
fn s31_the_next_warehouse_gives_what_the_first_lacks() {
    let cases = [(0, (0, 12)), (4, (0, 8))];
    for (already, left) in cases {
        let mut world = World::new(Fate::kind()).stock("A", "W1", 10).stock("A", "W2", 15);
        if already > 0 {
            let first = request(&[("A", already)], &["W1"], Policy::ShipComplete);
            world.tell(&key("0"), OrderCommand::Submit(Box::new(first)));
            world.settle();
        }
        let order = key("1");
        world.tell(
            &order,
            OrderCommand::Submit(Box::new(request(
                &[("A", 13)],
                &["W1", "W2"],
                Policy::ShipComplete,
            ))),
        );
        world.settle();
        assert_eq!(world.status(&order), Status::Booked);
        assert_eq!((world.available("A", "W1"), world.available("A", "W2")), left);
    }
}

#[test]
fn s43_an_unknown_booking_is_looked_up_and_never_booked_twice() {
    // The ERP books and does not answer; then it books and says "unknown". Both times the lookup finds it.
    for lost in [3, 4] {
        let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
        let order = key("1");
        world.tell(
            &order,
            OrderCommand::Submit(Box::new(request(&[("A", 5)], &["W1"], Policy::ShipComplete))),
        );
        while world.status(&order) != Status::Booking {
            let message = world.mail.remove(0);
            world.fate = Fate {
                choices: vec![lost],
                used: 0,
            };
            world.take(message);
        }
        world.settle();
        assert_eq!(world.status(&order), Status::Booked);
        assert_eq!(world.booked[&order], 1);
    }
}

#[test]
fn s47_the_third_line_is_short() {
    for (policy, held) in [(Policy::ShipComplete, 0), (Policy::Partial, 4)] {
        let mut world = World::new(Fate::kind()).stock("A", "W1", 5).stock("B", "W1", 5);
        let order = key("1");
        world.tell(
            &order,
            OrderCommand::Submit(Box::new(request(
                &[("A", 2), ("B", 2), ("C", 2)],
                &["W1"],
                policy,
            ))),
        );
        world.settle();
        assert_eq!(world.reserved(), held);
        let summary = world.orders[&order].placed().unwrap().summary();
        match policy {
            Policy::ShipComplete => assert_eq!(summary.status, Status::Exception),
            Policy::Partial => {
                assert_eq!(summary.status, Status::Booked);
                let backordered: Vec<i64> = summary
                    .lines
                    .iter()
                    .map(|line| line.backordered.units())
                    .collect();
                assert_eq!(backordered, [0, 0, 2]);
            }
        }
    }
}

#[test]
fn s48_ten_ordered_six_shipped_four_backordered_and_shipped_after_a_receipt() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::Partial);
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[6, 0, 4, 0, 0]]);
    world.tell(&order, ship(&[]));
    world.settle();
    assert_eq!(world.status(&order), Status::Backordered);
    assert_eq!(world.lines(&order), [[0, 6, 4, 0, 0]]);
    assert_eq!(
        world.tell(&order, OrderCommand::Close),
        OrderReply::Refused(OrderRefusal::NotNow {
            status: Status::Backordered
        })
    );
    // An order that comes later does not get what the first one waits for.
    world.receive("A", "W1", 4);
    let later = world.order("2", &[("A", 1)], &["W1"], Policy::ShipComplete);
    assert_eq!(world.status(&later), Status::Exception);
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[4, 6, 0, 0, 0]]);
    world.tell(&order, ship(&[(1, 10)]));
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
    assert_eq!(world.lines(&order), [[0, 10, 0, 0, 0]]);
    assert_eq!((world.available("A", "W1"), world.reserved()), (0, 0));
    world.tell(&order, OrderCommand::Close);
    use Status::*;
    let seen = world.statuses.iter().filter(|status| status.order == order);
    assert_eq!(
        seen.map(|status| status.status).collect::<Vec<_>>(),
        [
            Pricing,
            Reserving,
            Booking,
            Booked,
            Shipping,
            Backordered,
            Booked,
            Shipping,
            Shipped,
            Closed
        ]
    );
}

#[test]
fn s48_the_rest_waits_at_the_first_warehouse_and_is_served_by_priority_then_age() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 3).stock("A", "W2", 2);
    let first = world.order("1", &[("A", 8)], &["W1", "W2"], Policy::Partial);
    assert_eq!(world.lines(&first), [[5, 0, 3, 0, 0]]);
    let second = world.order("2", &[("A", 2)], &["W1", "W2"], Policy::Partial);
    assert_eq!(world.status(&second), Status::Backordered);
    let urgent = key("3");
    let wish = OrderRequest {
        priority: Priority::new(1).unwrap(),
        ..request(&[("A", 2)], &["W1"], Policy::Partial)
    };
    world.tell(&urgent, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    // Goods at the other warehouse are not for them; at theirs the urgent one is first, then the oldest.
    world.receive("A", "W2", 1);
    assert_eq!((world.reserved(), world.available("A", "W2")), (5, 1));
    world.receive("A", "W1", 4);
    world.settle();
    assert_eq!(world.lines(&urgent), [[2, 0, 0, 0, 0]]);
    assert_eq!(world.lines(&first), [[7, 0, 1, 0, 0]]);
    assert_eq!(world.lines(&second), [[0, 0, 2, 0, 0]]);
    world.receive("A", "W1", 5);
    world.settle();
    assert_eq!(world.lines(&first), [[8, 0, 0, 0, 0]]);
    assert_eq!(world.lines(&second), [[2, 0, 0, 0, 0]]);
    assert_eq!(world.status(&second), Status::Booked);
    assert_eq!(world.available("A", "W1"), 2);
}

#[test]
fn an_order_is_served_no_sooner_than_its_channel_may_be() {
    let rules = ChannelRules {
        best_priority: Some(Priority::new(60).unwrap()),
        ..ChannelRules::default()
    };
    let mut world = World::under(Fate::kind(), rules);
    let burst = key("1");
    let wish = OrderRequest {
        priority: Priority::new(1).unwrap(),
        ..request(&[("A", 6)], &["W1"], Policy::Partial)
    };
    world.tell(&burst, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    // Of another channel, later, and at the usual 50.
    let strategic = OrderKey::new("edi", "1").unwrap();
    let wish = request(&[("A", 6)], &["W1"], Policy::Partial);
    world.tell(&strategic, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    world.receive("A", "W1", 8);
    world.settle();
    assert_eq!(world.lines(&strategic), [[6, 0, 0, 0, 0]]);
    assert_eq!(world.lines(&burst), [[2, 0, 4, 0, 0]]);
}

#[test]
fn s48_what_is_granted_while_the_warehouse_picks_goes_with_the_next_shipment() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::Partial);
    world.tell(&order, OrderCommand::ReleaseToWarehouse);
    world.tell(&order, OrderCommand::ConfirmPick);
    world.receive("A", "W1", 3);
    world.settle();
    assert_eq!(world.lines(&order), [[9, 0, 1, 0, 0]]);
    world.tell(&order, ship(&[]));
    world.settle();
    assert_eq!(world.lines(&order), [[3, 6, 1, 0, 0]]);
    assert_eq!(world.status(&order), Status::Booked);
}

#[test]
fn a_picked_order_stays_picked_after_a_part_shipment() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::ShipComplete);
    for (step, stays) in [
        (OrderCommand::ReleaseToWarehouse, Status::Released),
        (OrderCommand::ConfirmPick, Status::Picked),
    ] {
        world.tell(&order, step);
        let shipped = world.lines(&order)[0][1];
        world.tell(&order, ship(&[(1, shipped + 4)]));
        world.settle();
        assert_eq!(world.status(&order), stays);
    }
    world.tell(&order, ship(&[]));
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
}

#[test]
fn s29_a_cancelled_backorder_gives_up_what_waits_and_keeps_what_was_shipped() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::Partial);
    world.tell(&order, ship(&[(1, 4)]));
    world.settle();
    assert_eq!(world.lines(&order), [[2, 4, 4, 0, 0]]);
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(world.status(&order), Status::Shipped);
    assert_eq!(world.lines(&order), [[0, 4, 0, 0, 6]]);
    assert_eq!((world.available("A", "W1"), world.reserved()), (2, 0));
    // Nothing waits any more.
    world.receive("A", "W1", 5);
    assert_eq!((world.available("A", "W1"), world.reserved()), (7, 0));
}

#[test]
fn s49_cancel_and_a_grant_cross_and_the_stock_is_right() {
    for grant_first in [true, false] {
        let mut world = World::new(Fate::kind());
        let order = world.order("1", &[("A", 5)], &["W1"], Policy::Partial);
        assert_eq!(world.status(&order), Status::Backordered);
        if grant_first {
            world.receive("A", "W1", 5);
            world.tell(&order, cancel());
        } else {
            world.tell(&order, cancel());
            world.receive("A", "W1", 5);
        }
        world.settle();
        assert_eq!(world.status(&order), Status::Cancelled);
        assert_eq!(world.lines(&order), [[0, 0, 0, 0, 5]]);
        assert_eq!((world.available("A", "W1"), world.reserved()), (5, 0));
    }
}

#[test]
fn an_older_standing_never_overwrites_a_newer_one() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 2);
    let order = world.order("1", &[("A", 9)], &["W1"], Policy::Partial);
    world.receive("A", "W1", 3);
    let older = world.mail.remove(0);
    world.receive("A", "W1", 1);
    world.settle();
    assert_eq!(world.lines(&order), [[6, 0, 3, 0, 0]]);
    world.take(older);
    assert_eq!(world.lines(&order), [[6, 0, 3, 0, 0]]);
}

#[test]
fn s49_cancel_and_shipment_cross_and_one_wins() {
    for ship_first in [true, false] {
        let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
        let order = key("1");
        world.tell(
            &order,
            OrderCommand::Submit(Box::new(request(&[("A", 5)], &["W1"], Policy::ShipComplete))),
        );
        world.settle();
        let (first, second) = if ship_first {
            (ship(&[]), cancel())
        } else {
            (cancel(), ship(&[]))
        };
        assert!(matches!(world.tell(&order, first), OrderReply::Accepted { .. }));
        assert!(matches!(world.tell(&order, second), OrderReply::Refused(_)));
        world.settle();
        let (status, available) = if ship_first {
            (Status::Shipped, 0)
        } else {
            (Status::Cancelled, 5)
        };
        assert_eq!(
            (world.status(&order), world.available("A", "W1"), world.reserved()),
            (status, available, 0)
        );
    }
}

#[test]
fn a_hold_that_nobody_waits_for_is_given_back() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
    let order = key("1");
    world.tell(
        &order,
        OrderCommand::Submit(Box::new(request(&[("A", 5)], &["W1"], Policy::ShipComplete))),
    );
    world.tell(&order, cancel());
    world.settle();
    world.now = world.now.after(Duration::from_secs(3_600));
    let late = crate::inventory::command::HoldStock {
        id: HoldId {
            order: order.clone(),
            line: 1,
            attempt: 1,
        },
        quantity: quantity(5),
        mode: crate::inventory::command::HoldMode::Partial,
        expires: None,
        priority: Priority::default(),
        answer_to: Some(order.clone()),
        customer_class: None,
    };
    let reply = world.take((stock_id("A", "W1"), StockCommand::Hold(late)).into());
    assert_eq!(
        reply,
        Reply::Stock(StockReply::Held {
            quantity: quantity(5)
        })
    );
    world.settle();
    assert_eq!(world.reserved(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_order_ends_or_stands_in_exception_and_no_hold_outlives_it(
        wishes in proptest::collection::vec(
            (proptest::collection::vec((0_usize..4, 1_i64..8), 1..4), any::<bool>(), 0_u8..6), 1..6),
        supply in proptest::array::uniform6(0_i64..12),
        later in proptest::array::uniform6(0_i64..12),
        choices in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        // The last is a kit of 2 A and 1 B.
        const NAMES: [&str; 4] = ["A", "B", "C", "KIT"];
        let mut world = World::new(Fate { choices, used: 0 });
        world.item("KIT", kits::kit(&[("A", 2), ("B", 1)]));
        world.set_price("KIT", "9.00");
        for (place, units) in supply.iter().enumerate().filter(|(_, units)| **units > 0) {
            world = world.stock(NAMES[place / 2], ["W1", "W2"][place % 2], *units);
        }
        for (number, (lines, partial, _)) in wishes.iter().enumerate() {
            let lines: Vec<_> = lines.iter().map(|(name, units)| (NAMES[*name], *units)).collect();
            let policy = if *partial { Policy::Partial } else { Policy::ShipComplete };
            let wish = request(&lines, &["W1", "W2"], policy);
            world.mail.push((key(&number.to_string()), OrderCommand::Submit(Box::new(wish))).into());
        }
        // Some cancel while everything is under way.
        for (number, _) in wishes.iter().enumerate().filter(|(_, wish)| wish.2 == 1) {
            world.mail.push((key(&number.to_string()), cancel()).into());
        }
        world.settle();
        for (number, wish) in wishes.iter().enumerate() {
            let order = key(&number.to_string());
            match wish.2 {
                2 | 3 => drop(world.tell(&order, ship(&[]))),
                4 => drop(world.tell(&order, ship(&[(1, 1)]))),
                5 => drop(world.tell(&order, cancel())),
                _ => {}
            }
        }
        for (place, units) in later.iter().enumerate().filter(|(_, units)| **units > 0) {
            world.receive(NAMES[place / 2], ["W1", "W2"][place % 2], *units);
        }
        world.settle();
        for (number, _) in wishes.iter().enumerate().filter(|(_, wish)| wish.2 == 3) {
            world.tell(&key(&number.to_string()), ship(&[]));
        }
        world.settle();
        for number in 0..wishes.len() {
            let order = key(&number.to_string());
            let status = world.status(&order);
            let waits = matches!(
                status,
                Status::Booked | Status::Released | Status::Picked | Status::Backordered | Status::Exception
            );
            prop_assert!(status.is_final() || waits, "{order} is {status}");
            prop_assert!(world.booked.get(&order).copied().unwrap_or(0) <= 1, "{order} was booked twice");
            let held: i64 = world.stocks.values().flat_map(StockState::holds)
                .filter(|(id, _)| id.order == order).map(|(_, hold)| hold.open().units()).sum();
            let known: i64 = world.orders[&order].placed().unwrap()
                .allocations.iter().map(|allocation| allocation.open().units()).sum();
            prop_assert_eq!(held, known, "{} is {}", order, status);
            let waiting: i64 = world.stocks.values().filter_map(StockState::backorders)
                .flat_map(Backorders::waiting).filter(|(id, _)| id.order == order)
                .map(|(_, backorder)| backorder.waiting.units()).sum();
            let lines = world.lines(&order);
            let placed = world.orders[&order].placed().unwrap();
            let known: i64 = placed.allocations.iter().map(|allocation| allocation.waiting().units()).sum();
            prop_assert_eq!(waiting, known, "{} is {}", order, status);
            prop_assert!(kits::are_whole(placed), "{} is {}: {:?}", order, status, placed.allocations);
            prop_assert_eq!(status == Status::Shipped, status.is_final() && lines.iter().all(|line| line[3] + line[4] == 0));
            if status.is_final() {
                prop_assert_eq!(held + waiting, 0);
            }
        }
        // Each order remembers what was told of it.
        for (order, state) in &world.orders {
            let told = world.statuses.iter().filter(|status| status.order == *order);
            let told: Vec<_> = told.map(|told| (told.sequence, told.status, told.exception.clone())).collect();
            let known = state.placed().unwrap().history.iter();
            let known: Vec<_> = known
                .map(|known| (known.sequence, known.status, known.exception.as_ref().map(ToString::to_string)))
                .collect();
            prop_assert_eq!(known, &told[told.len().saturating_sub(super::history::MAX_MILESTONES)..]);
        }
        // The desk's list says what the orders say.
        let listed: BTreeMap<_, _> = world.reference.open_cases().into_iter().collect();
        for (order, state) in &world.orders {
            let cases = state.placed().unwrap().open_cases();
            let found = listed.get(order).and_then(|open| (**open).clone());
            prop_assert_eq!(found.map(|open| open.cases).unwrap_or_default(), cases, "{}", order);
        }
        for stock in world.stocks.values() {
            prop_assert!(!stock.is_anyone_waiting() || stock.available() == Quantity::ZERO);
        }
        let on_hand: i64 = world.stocks.values().map(|stock| stock.on_hand.units()).sum();
        let shipped: i64 = world.orders.values().flat_map(|order| &order.placed().unwrap().allocations)
            .map(|allocation| allocation.shipped.units()).sum();
        prop_assert_eq!(on_hand + shipped, supply.iter().chain(&later).sum::<i64>());
    }
}
