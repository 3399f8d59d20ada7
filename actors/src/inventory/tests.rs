use super::apply::apply;
use super::backorder::{MAX_GRANTS, Priority};
use super::command::*;
use super::count::StockCount;
use super::decide::{StockDecision, decide, wake};
use super::ledger::Account;
use super::numbering::ResyncWanted;
use super::reconcile::ReconciliationRules;
use super::state::*;
use crate::ids::*;
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::rmp_serde;
use lockstep_runtime::time::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;

mod allocation;
mod backorder_limit;
mod count;
mod holds;
mod ledger;
mod lots;
mod moving;
mod numbering;
mod overview;
mod promise;
mod reconcile;
mod repromise;
mod served;
mod settings;
mod shown;
mod withdraw;

struct Stock {
    state: StockState,
    now: Timestamp,
    rules: ReconciliationRules,
    told: Vec<ResyncWanted>,
    ledger: BTreeMap<Account, Quantity>,
}

fn stock_id() -> StockId {
    StockId {
        sku: Sku::new("A").unwrap(),
        warehouse: WarehouseCode::new("W1").unwrap(),
    }
}

fn positive(units: i64) -> PositiveQuantity {
    PositiveQuantity::new(units).unwrap()
}

fn units(units: i64) -> Quantity {
    Quantity::new(units).unwrap()
}

fn hold_id(order: &str) -> HoldId {
    HoldId {
        order: OrderKey::new("web", order).unwrap(),
        line: 1,
        attempt: 1,
    }
}

fn paper() -> DocumentId {
    DocumentId::new("D-1").unwrap()
}

fn count(on_hand: i64, version: u64) -> StockCommand {
    StockCommand::Count(StockCount {
        on_hand: units(on_hand),
        source: system("wms"),
        version,
        through: None,
        orders_through: Vec::new(),
    })
}

fn system(name: &str) -> SystemName {
    SystemName::new(name).unwrap()
}

fn adjust(change: Adjustment, quantity: i64) -> StockCommand {
    let reason = Reason::new("found").unwrap();
    StockCommand::Adjust {
        change,
        quantity: positive(quantity),
        reason,
        document: None,
    }
}

fn hold(order: &str, quantity: i64) -> StockCommand {
    hold_until(order, quantity, HoldMode::All, None)
}

fn hold_until(order: &str, quantity: i64, mode: HoldMode, expires: Option<Timestamp>) -> StockCommand {
    let id = hold_id(order);
    StockCommand::Hold(HoldStock {
        id,
        quantity: positive(quantity),
        mode,
        expires,
        priority: Priority::default(),
        answer_to: None,
        customer_class: None,
    })
}

fn wait(order: &str, quantity: i64, rank: u8) -> StockCommand {
    let priority = Priority::new(rank).unwrap();
    hold_until(order, quantity, HoldMode::Backorder(priority), None)
}

fn backordered(held: i64, waiting: i64, revision: u32) -> StockReply {
    StockReply::Backordered {
        held: units(held),
        waiting: units(waiting),
        revision,
        due: None,
    }
}

fn release(order: &str) -> StockCommand {
    StockCommand::Release {
        id: hold_id(order),
        answer_to: None,
    }
}

fn ship(order: &str, total: i64) -> StockCommand {
    let quantity = ShipQuantity::Total(positive(total));
    StockCommand::Ship {
        id: hold_id(order),
        quantity,
        document: None,
        answer_to: None,
    }
}

fn held(quantity: i64) -> StockReply {
    StockReply::Held {
        quantity: positive(quantity),
    }
}

impl Stock {
    fn with(on_hand: i64) -> Self {
        let mut stock = Self {
            state: StockState::default(),
            now: Timestamp::from_millis(1_000),
            rules: ReconciliationRules::default(),
            told: Vec::new(),
            ledger: BTreeMap::new(),
        };
        if on_hand > 0 {
            stock.run(&StockCommand::Receive {
                quantity: positive(on_hand),
                document: paper(),
            });
        }
        stock
    }

    fn run(&mut self, command: &StockCommand) -> StockReply {
        self.take(decide(&stock_id(), &self.state, command, &self.rules, self.now))
    }

    /// Lets the alarm go off, if it is time.
    fn wake(&mut self) {
        if let Some(decision) = wake(&stock_id(), &self.state, self.now) {
            self.take(decision);
        }
    }

    fn take(&mut self, decision: StockDecision) -> StockReply {
        for event in &decision.events {
            let written = rmp_serde::to_vec(event).unwrap();
            apply(&mut self.state, &rmp_serde::from_slice(&written).unwrap());
            let moved = event.movement().map_or(Vec::new(), |movement| movement.moved);
            for (account, quantity) in moved {
                let sum = self.ledger.entry(account).or_default();
                *sum = sum.plus(quantity);
            }
        }
        // Whatever happens in any of these tests, every account is the sum of its movements.
        for account in Account::ALL {
            let sum = self.ledger.get(&account).copied().unwrap_or_default();
            assert_eq!(
                sum,
                account.balance(&self.state),
                "{account:?} {:?}",
                decision.events
            );
        }
        let told = decision.outbound.iter();
        self.told
            .extend(told.map(|outbound| rmp_serde::from_slice(&outbound.body).unwrap()));
        decision.reply
    }

    fn at(&mut self, millis: i64) -> &mut Self {
        self.now = Timestamp::from_millis(millis);
        self
    }

    fn available(&self) -> i64 {
        self.state.available().units()
    }
}

#[test]
fn s23_available_to_sell_and_to_promise() {
    let mut stock = Stock::with(500);
    stock.run(&adjust(Adjustment::Damage, 12));
    stock.run(&adjust(Adjustment::Quarantine, 20));
    stock.run(&hold("hard", 140));
    stock.run(&hold("soft", 35));
    stock.run(&StockCommand::SetSafetyStock { quantity: units(50) });
    let due = Timestamp::from_millis(3 * 86_400_000);
    let document = DocumentId::new("PO-1").unwrap();
    let quantity = positive(200);
    stock.run(&StockCommand::Expect {
        document,
        quantity,
        due,
        stage: Stage::InTransit,
        received: None,
    });
    assert_eq!(stock.available(), 243);
    assert_eq!(stock.promisable(due), 443);
    assert_eq!(stock.promisable(Timestamp::from_millis(due.as_millis() - 1)), 243);
}

#[test]
fn s26_one_of_ten_thousand_gets_the_last_one() {
    let mut stock = Stock::with(1);
    let granted = (0..10_000)
        .filter(|order| stock.run(&hold(&order.to_string(), 1)) == held(1))
        .count();
    assert_eq!(
        (granted, stock.available(), stock.state.reserved.units()),
        (1, 0, 1)
    );
}

#[test]
fn s28_the_same_hold_three_times_is_one_and_another_quantity_a_conflict() {
    let mut stock = Stock::with(10);
    for _ in 0..3 {
        assert_eq!(stock.run(&hold("O", 5)), held(5));
    }
    assert_eq!(stock.state.reserved.units(), 5);
    let conflict = StockRefusal::Conflict {
        known: positive(5),
        asked: positive(6),
    };
    assert_eq!(stock.run(&hold("O", 6)), StockReply::Refused(conflict));
}

#[test]
fn s29_ship_then_cancel_compensates_once() {
    for (ordered, shipped, available) in [(5, 5, 95), (10, 7, 93)] {
        let mut stock = Stock::with(100);
        stock.run(&hold("O", ordered));
        stock.run(&ship("O", shipped));
        assert_eq!(
            stock.run(&ship("O", shipped)),
            StockReply::Shipped {
                total: units(shipped)
            }
        );
        let back = units(ordered - shipped);
        assert_eq!(stock.run(&release("O")), StockReply::Released { quantity: back });
        assert_eq!(
            stock.run(&release("O")),
            StockReply::Released {
                quantity: Quantity::ZERO
            }
        );
        assert_eq!((stock.available(), stock.state.reserved.units()), (available, 0));
    }
}

#[test]
fn s30_a_hold_expires_and_a_late_confirmation_reserves_again_if_free() {
    let expires = Some(Timestamp::from_millis(600_000));
    let confirm = StockCommand::ConfirmPick { id: hold_id("O") };
    let wish = hold_until("O", 5, HoldMode::All, expires);

    let mut stock = Stock::with(5);
    stock.run(&wish);
    assert_eq!(stock.at(599_900).run(&confirm), StockReply::Picked);
    assert!(wake(&stock_id(), &stock.state, stock.now).is_none());
    assert_eq!(stock.at(700_000).available(), 0);

    // At 600 the quantity is back, though the alarm has not gone off yet.
    let mut stock = Stock::with(5);
    stock.run(&wish);
    assert_eq!(stock.at(600_000).run(&hold("P", 2)), held(2));
    let ended = StockRefusal::Ended {
        end: HoldEnd::Expired,
        shipped: Quantity::ZERO,
    };
    assert_eq!(stock.at(601_000).run(&confirm), StockReply::Refused(ended));
    stock.run(&release("P"));
    assert_eq!(stock.run(&confirm), StockReply::Picked);
    assert_eq!(stock.available(), 0);
}

#[test]
fn s37_a_recount_below_what_is_held_says_what_is_missing() {
    let mut stock = Stock::with(10);
    stock.run(&hold("O", 8));
    let reply = stock.run(&count(5, 1));
    assert_eq!(
        reply,
        StockReply::Accepted {
            available: Quantity::ZERO,
            shortfall: units(3)
        }
    );
    assert_eq!(
        (stock.state.on_hand.units(), stock.state.reserved.units()),
        (5, 8)
    );
    assert_eq!(stock.run(&count(9, 1)), StockReply::Stale { known: 1 });
}

#[test]
fn a_release_before_its_hold_bars_it() {
    let mut stock = Stock::with(10);
    stock.run(&release("O"));
    let ended = StockRefusal::Ended {
        end: HoldEnd::Barred,
        shipped: Quantity::ZERO,
    };
    assert_eq!(stock.run(&hold("O", 5)), StockReply::Refused(ended));
    assert_eq!(stock.state.reserved.units(), 0);
}

#[test]
fn s38_receipts_go_to_backorders_by_priority_then_age() {
    let mut stock = Stock::with(2);
    assert_eq!(stock.run(&wait("old", 5, 50)), backordered(2, 3, 1));
    assert_eq!(stock.at(2_000).run(&wait("young", 4, 50)), backordered(0, 4, 1));
    assert_eq!(stock.at(3_000).run(&wait("urgent", 2, 1)), backordered(0, 2, 1));
    assert_eq!(
        (stock.state.reserved.units(), stock.state.waiting().units()),
        (2, 9)
    );
    // Nobody overtakes them, though there was something for a moment.
    let receipt = StockCommand::Receive {
        quantity: positive(4),
        document: paper(),
    };
    let accepted = StockReply::Accepted {
        available: Quantity::ZERO,
        shortfall: Quantity::ZERO,
    };
    assert_eq!(stock.run(&receipt), accepted);
    assert_eq!(stock.run(&wait("urgent", 2, 1)), backordered(2, 0, 2));
    assert_eq!(stock.run(&wait("old", 5, 50)), backordered(4, 1, 2));
    assert_eq!(stock.run(&wait("young", 4, 50)), backordered(0, 4, 1));
    // What is given back goes on, to more than one if there is enough.
    stock.run(&release("urgent"));
    assert_eq!(stock.run(&wait("old", 5, 50)), backordered(5, 0, 3));
    assert_eq!(stock.run(&wait("young", 4, 50)), backordered(1, 3, 2));
    stock.run(&ship("young", 1));
    stock.run(&release("young"));
    assert_eq!(
        stock.run(&wait("young", 4, 50)),
        StockReply::Refused(StockRefusal::Ended {
            end: HoldEnd::Released,
            shipped: units(1),
        })
    );
    assert_eq!(
        (stock.state.reserved.units(), stock.state.waiting().units()),
        (5, 0)
    );
    assert!(stock.state.backorders().is_some());
    stock.run(&ship("old", 5));
    assert!(stock.state.backorders().is_none());
}

#[test]
fn everything_that_frees_stock_is_granted() {
    let causes: [(&str, StockCommand); 7] = [
        (
            "receipt",
            StockCommand::Receive {
                quantity: positive(3),
                document: paper(),
            },
        ),
        ("gain", adjust(Adjustment::Gain, 3)),
        ("repair", adjust(Adjustment::Repair, 3)),
        ("cleared", adjust(Adjustment::Clear, 3)),
        (
            "return",
            StockCommand::Return {
                quantity: positive(3),
                condition: Condition::Sellable,
                order: None,
                document: paper(),
            },
        ),
        ("count", count(13, 1)),
        (
            "safety stock",
            StockCommand::SetSafetyStock { quantity: units(0) },
        ),
    ];
    for (cause, command) in causes {
        let mut stock = Stock::with(10);
        stock.run(&adjust(Adjustment::Damage, 3));
        stock.run(&adjust(Adjustment::Quarantine, 3));
        stock.run(&StockCommand::SetSafetyStock { quantity: units(3) });
        assert_eq!(stock.run(&wait("O", 9, 50)), backordered(1, 8, 1), "{cause}");
        stock.run(&command);
        assert_eq!(stock.run(&wait("O", 9, 50)), backordered(4, 5, 2), "{cause}");
    }
    // A hold that expires, though its alarm is late: what comes next finds it granted already.
    let mut stock = Stock::with(3);
    let expires = Some(Timestamp::from_millis(5_000));
    stock.run(&hold_until("cart", 3, HoldMode::All, expires));
    stock.run(&wait("O", 2, 50));
    stock.at(5_000);
    assert_eq!(
        stock.run(&hold("late", 2)),
        StockReply::Refused(StockRefusal::Short {
            asked: positive(2),
            available: units(1),
        })
    );
    assert_eq!(stock.run(&wait("O", 2, 50)), backordered(2, 0, 2));
}

#[test]
fn more_backorders_than_one_decision_grants_to_are_served_by_an_alarm_at_once() {
    let mut stock = Stock::with(0);
    for order in 0..MAX_GRANTS * 3 {
        stock.run(&wait(&order.to_string(), 1, 50));
    }
    let more = i64::try_from(MAX_GRANTS).unwrap();
    stock.run(&StockCommand::Receive {
        quantity: positive(more * 3 + 5),
        document: paper(),
    });
    assert_eq!(stock.state.waiting().units(), more * 2);
    assert!(stock.state.alarm().is_some_and(|alarm| alarm <= stock.now));
    // A newcomer gets nothing before the last of them has been served, and then what is left.
    let short = StockRefusal::Short {
        asked: positive(1),
        available: Quantity::ZERO,
    };
    assert_eq!(stock.run(&hold("newcomer", 1)), StockReply::Refused(short));
    assert_eq!(stock.state.waiting().units(), 0);
    assert_eq!(stock.run(&hold("newcomer", 5)), held(5));
}

#[test]
fn a_quiet_pair_has_nothing_on_the_heap() {
    let mut stock = Stock::with(10);
    stock.run(&hold("O", 5));
    stock.run(&release("O"));
    stock.now = stock.state.alarm().unwrap();
    stock.wake();
    assert_eq!((stock.state.book.is_none(), stock.state.alarm()), (true, None));
}

#[test]
fn quantities_out_of_range_are_refused() {
    let mut stock = Stock::with(10);
    let refused = |bucket, reason| StockReply::Refused(StockRefusal::OutOfRange { bucket, reason });
    let cases = [
        (
            adjust(Adjustment::Loss, 11),
            refused(Bucket::Sellable, RangeReason::Negative),
        ),
        (
            adjust(Adjustment::Repair, 1),
            refused(Bucket::Damaged, RangeReason::Negative),
        ),
        (
            adjust(Adjustment::Gain, Quantity::LIMIT),
            refused(Bucket::OnHand, RangeReason::TooLarge),
        ),
        (count(-1, 1), refused(Bucket::OnHand, RangeReason::Negative)),
    ];
    for (command, expected) in cases {
        assert_eq!(stock.run(&command), expected, "{command:?}");
    }
}

/// A beginner's stock: what was granted to whom, and what of it left.
#[derive(Default)]
struct Model {
    on_hand: i64,
    damaged: i64,
    holds: BTreeMap<usize, (i64, i64)>,
    /// How much an order waits for.
    waiting: BTreeMap<usize, i64>,
    /// Rank and age of the orders that may wait; a higher number is younger.
    orders: BTreeMap<usize, (u8, usize)>,
    ended: Vec<usize>,
    /// How much may wait.
    limit: Option<i64>,
}

impl Model {
    fn reserved(&self) -> i64 {
        self.holds
            .values()
            .map(|(granted, shipped)| granted - shipped)
            .sum()
    }
    fn free(&self) -> i64 {
        (self.on_hand - self.damaged - self.reserved()).max(0)
    }
    fn hold(&mut self, order: usize, quantity: i64) {
        if self.is_new(order) && self.free() > 0 {
            self.holds.insert(order, (quantity.min(self.free()), 0));
        }
    }
    fn is_new(&self, order: usize) -> bool {
        let waits = self.waiting.contains_key(&order);
        !self.holds.contains_key(&order) && !self.ended.contains(&order) && !waits
    }
    /// What is held under the order's name that it has not taken by itself, and what of it has left.
    fn cart(&self, order: usize) -> Option<(i64, i64)> {
        let taken = self.orders.contains_key(&order);
        self.holds.get(&order).copied().filter(|_| !taken)
    }
    fn free_to(&self, order: usize) -> i64 {
        self.free() + self.cart(order).map_or(0, |(granted, _)| granted)
    }
    fn wait(&mut self, order: usize, rank: u8, quantity: i64) {
        let granted = quantity.min(self.free_to(order));
        let short = quantity - granted;
        let waiting: i64 = self.waiting.values().sum();
        let is_too_much = |limit: i64| short > (limit - waiting).max(0);
        let cart = self.cart(order);
        let (_, shipped) = cart.unwrap_or_default();
        let is_known = cart.is_none() && !self.is_new(order);
        if is_known || quantity < shipped || short > 0 && self.limit.is_some_and(is_too_much) {
            return;
        }
        self.orders.insert(order, (rank, self.orders.len()));
        if granted > 0 {
            self.holds.insert(order, (granted, shipped));
        }
        if short > 0 {
            self.waiting.insert(order, short);
        } else if granted == shipped {
            self.release(order);
        }
    }
    fn wait_if_declared(&mut self, order: usize, rank: u8, quantity: i64) {
        if self.limit.is_some() || quantity <= self.free_to(order) {
            self.wait(order, rank, quantity);
        }
    }
    /// Unit by unit to the oldest of the best rank.
    fn serve(&mut self) {
        while self.free() > 0
            && let Some(order) = self
                .waiting
                .keys()
                .copied()
                .min_by_key(|order| self.orders[order])
        {
            self.holds.entry(order).or_default().0 += 1;
            let waiting = self.waiting.get_mut(&order).unwrap();
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(&order);
            }
        }
    }
    /// Unit by unit from the youngest of the worst rank of which nothing has left.
    fn withdraw(&mut self) {
        while self.reserved() > self.on_hand - self.damaged {
            let can_give = |order: &usize| self.orders.contains_key(order) && self.holds[order].1 == 0;
            let orders = self.holds.keys().copied().filter(can_give);
            let Some(order) = orders.max_by_key(|order| self.orders[order]) else {
                return;
            };
            let granted = &mut self.holds.get_mut(&order).unwrap().0;
            *granted -= 1;
            if *granted == 0 {
                self.holds.remove(&order);
            }
            *self.waiting.entry(order).or_default() += 1;
        }
    }
    fn release(&mut self, order: usize) {
        self.holds.remove(&order);
        self.waiting.remove(&order);
        if !self.ended.contains(&order) {
            self.ended.push(order);
        }
    }
    fn ship(&mut self, order: usize, total: i64) {
        let sellable = self.on_hand - self.damaged;
        let Some((granted, shipped)) = self.holds.get_mut(&order) else {
            return;
        };
        if total <= *granted && total > *shipped && total - *shipped <= sellable {
            self.on_hand -= total - *shipped;
            *shipped = total;
            if shipped == granted && !self.waiting.contains_key(&order) {
                self.release(order);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_histories_agree_with_a_beginners_model(
        steps in proptest::collection::vec((0_u8..11, 0_usize..12, 1_i64..30), 1..200),
    ) {
        let mut stock = Stock::with(0);
        let mut model = Model::default();
        let mut version = 0;
        for (kind, order, quantity) in steps {
            let name = order.to_string();
            let short_before = stock.state.shortfall();
            match kind {
                0 => {
                    stock.run(&hold_until(&name, quantity, HoldMode::Partial, None));
                    model.hold(order, quantity);
                }
                1 | 7 | 8 => {
                    stock.at(stock.now.as_millis() + 1);
                    stock.run(&wait(&name, quantity, 1 + kind % 3));
                    model.wait(order, 1 + kind % 3, quantity);
                }
                2 => {
                    stock.run(&release(&name));
                    model.release(order);
                }
                3 => {
                    stock.run(&ship(&name, quantity));
                    model.ship(order, quantity);
                }
                4 => {
                    stock.run(&StockCommand::Receive { quantity: positive(quantity), document: paper() });
                    model.on_hand += quantity;
                }
                5 => {
                    stock.run(&adjust(Adjustment::Damage, quantity));
                    if quantity <= model.on_hand - model.damaged {
                        model.damaged += quantity;
                    }
                }
                9 => {
                    model.limit = (quantity % 4 > 0).then_some(quantity);
                    stock.run(&StockCommand::SetBackorderLimit { limit: model.limit.map(units) });
                }
                10 => {
                    stock.at(stock.now.as_millis() + 1);
                    let mode = HoldMode::IfDeclared(Priority::new(2).unwrap());
                    stock.run(&hold_until(&name, quantity, mode, None));
                    model.wait_if_declared(order, 2, quantity);
                }
                _ => {
                    // A count, and an older one that comes late.
                    version += 2;
                    stock.run(&count(quantity + 20, version));
                    stock.run(&count(quantity, version - 1));
                    model.on_hand = quantity + 20;
                }
            }
            model.withdraw();
            model.serve();
            let state = &stock.state;
            let waiting: i64 = model.waiting.values().sum();
            prop_assert_eq!(state.waiting().units(), waiting);
            for (order, (granted, _)) in &model.holds {
                let hold = state.hold(&hold_id(&order.to_string()));
                prop_assert_eq!(hold.map(|hold| hold.granted.units()), Some(*granted), "order {}", order);
            }
            prop_assert_eq!(state.on_hand.units(), model.on_hand);
            prop_assert_eq!(state.damaged.units(), model.damaged);
            prop_assert_eq!(state.reserved.units(), model.reserved());
            prop_assert_eq!(state.available().units(), model.free());
            let room = model.limit.map(|limit| (limit - waiting).max(0));
            prop_assert_eq!(state.may_still_wait().map(Quantity::units), room);
            if kind <= 4 || kind >= 7 {
                prop_assert!(state.shortfall() <= short_before, "oversold by a decision of ours");
            }
            let written = rmp_serde::to_vec(state).unwrap();
            prop_assert_eq!(&rmp_serde::from_slice::<StockState>(&written).unwrap(), state);
        }
    }
}

#[test]
fn what_comes_back_is_inspected_then_restocked_rejected_or_scrapped() {
    let returned = |quantity: i64| StockCommand::Return {
        quantity: positive(quantity),
        condition: Condition::ToInspect,
        order: Some(hold_id("O-1").order),
        document: paper(),
    };
    let mut stock = Stock::with(10);
    stock.run(&returned(6));
    let buckets = |stock: &Stock| {
        let state = &stock.state;
        let (on_hand, damaged) = (state.on_hand.units(), state.damaged.units());
        [on_hand, state.returned().units(), damaged, stock.available()]
    };
    // It is on hand, and nobody may have it.
    assert_eq!(buckets(&stock), [16, 6, 0, 10]);
    assert_eq!(
        stock.run(&hold("O-2", 11)),
        StockReply::Refused(StockRefusal::Short {
            asked: positive(11),
            available: units(10),
        })
    );
    let too_many = StockReply::Refused(StockRefusal::OutOfRange {
        bucket: Bucket::Returned,
        reason: RangeReason::Negative,
    });
    assert_eq!(stock.run(&adjust(Adjustment::Restock, 7)), too_many);
    // What waits has what is restocked.
    stock.run(&wait("O-3", 12, 50));
    stock.run(&adjust(Adjustment::Restock, 3));
    assert_eq!(buckets(&stock), [16, 3, 0, 1]);
    assert_eq!(stock.state.reserved.units(), 12);
    stock.run(&adjust(Adjustment::RejectReturn, 2));
    assert_eq!(buckets(&stock), [16, 1, 2, 1]);
    stock.run(&adjust(Adjustment::ScrapReturn, 1));
    assert_eq!(buckets(&stock), [15, 0, 2, 1]);
    assert!(stock.state.appendix().is_none());
}
