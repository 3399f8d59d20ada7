//! The end of a history: the faults stop, the house closes, and everything has to come to its end within a bound. Then what
//! is told, shown and booked is compared with what was ordered and moved.

use super::assortment::KITS;
use super::channel::CHANNELS;
use super::clock::{MINUTE, Millis, SECOND};
use super::erp::{Booking, Paper};
use super::faults::Fault;
use super::house::House;
use super::node::{DEDUPE_WINDOW, Life};
use super::order_model::OrderModel;
use super::pieces::places;
use super::world::{Event, Posted, World};
use lockstep_actors::channels::{Key, Kind, Measure};
use lockstep_actors::ids::{OrderKey, Sku, StockId, WarehouseCode};
use lockstep_actors::orders::paper::{PaperKind, PaperStanding};
use lockstep_actors::orders::state::Status;
use lockstep_runtime::store::StoreReader;
use lockstep_runtime::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Within so long a message between partitions is taken.
const TAKEN_WITHIN: Millis = 5 * MINUTE;
/// Of so many seeds one takes its whole day in once more.
const REPLAYED_EVERY: u64 = 4;
/// How often it is looked whether everything has come to its end.
const LOOK_EVERY: Millis = 30 * SECOND;
/// What comes after that: late repeats, what was parked in vain.
const AFTERMATH: Millis = 11 * MINUTE;

impl World {
    /// Runs the whole history.
    pub(super) fn live(&mut self) {
        let began = self.now;
        self.run_until(began + self.setting.lasts);
        self.calm();
        let calm_since = self.now;
        self.house.is_closing = true;
        for mail in self.house.restock() {
            let after = self.random.between(0, 5_000);
            self.post(mail, after);
        }
        for order in 0..self.house.orders.len() {
            let after = self.random.between(0, MINUTE);
            self.watch(order, after);
        }
        let bound = self.now + self.habits().bound;
        while self.audit.violations.is_empty() && !self.has_come_to_rest() {
            if self.now >= bound {
                return self.report_unrest();
            }
            let until = self.now + LOOK_EVERY;
            self.run_until(until);
            self.count_again();
            self.check_streams(calm_since);
        }
        // What was read last has a moment to be told.
        let until = self.now + LOOK_EVERY;
        self.run_until(until);
        self.check_channels();
        let replays = self.setting.seed.is_multiple_of(REPLAYED_EVERY);
        if self.setting.plant.is_none() || replays {
            let until = self.now + AFTERMATH;
            self.run_until(until);
        }
        if replays {
            self.replay_the_day();
        }
        if self.audit.violations.is_empty() {
            self.check_orders();
            self.check_stock();
            self.check_pieces();
            self.check_budgets();
            self.check_channels();
            self.check_dead_letters();
        }
    }

    /// Everything that came in comes in once more under its own identity, as far back as its partition knows the messages: it changes
    /// nothing, and is answered as it was.
    fn replay_the_day(&mut self) {
        let before = self.audit.messages();
        // What is asked is answered anew, and written down nowhere. Meanwhile other entries may be written.
        let is_known = |posted: &Posted| {
            self.audit
                .is_among_last(posted.envelope.id, DEDUPE_WINDOW as u64 / 2)
        };
        let known: Vec<usize> = (0..self.posted.len())
            .filter(|number| is_known(&self.posted[*number]))
            .collect();
        for number in known {
            self.tally.count(Fault::DayReplayed);
            let after = self.random.between(0, MINUTE);
            self.after(after, Event::Deliver(number));
        }
        let until = self.now + 2 * MINUTE;
        self.run_until(until);
        let more = self.audit.messages() - before;
        if more > 0 {
            let text = format!("the day's messages, taken in once more, made {more} entries");
            self.audit.violated(3, text);
        }
    }

    /// What was sent while things went wrong is taken soon after.
    fn check_streams(&mut self, calm_since: Millis) {
        if self.now >= calm_since + TAKEN_WITHIN
            && let Some(what) = self.audit.left_behind(Timestamp::from_millis(calm_since))
        {
            self.audit
                .violated(4, format!("a message between partitions is not taken: {what}"));
        }
    }

    /// The WMS counts again where it was asked to.
    fn count_again(&mut self) {
        let wanted: Vec<StockId> = self
            .audit
            .stocks
            .iter()
            .filter(|(id, stock)| stock.wants_count && House::is_counted(id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in wanted {
            if let Some(mail) = self.house.count(&id) {
                self.post(mail, 0);
            }
        }
    }

    fn has_come_to_rest(&self) -> bool {
        let is_heard = self.posted.iter().all(|posted| posted.first.is_some());
        is_heard && self.restless().is_empty() && self.untold() == 0 && self.audit.untaken() == 0
    }

    /// Orders that have not ended, whose case is open, or of which something may yet land in the ERP.
    fn restless(&self) -> Vec<&OrderKey> {
        let has_ended = |key: &OrderKey| {
            let order = self.audit.orders.get(key);
            // Shipped is final, and yet to be closed.
            order.is_some_and(|order| {
                let is_over = order.has_ended() && order.status != Some(Status::Shipped);
                is_over && !order.contested && order.given_up == 0 && !order.has_papers_under_way()
            })
        };
        self.house
            .orders
            .iter()
            .map(|script| &script.key)
            .filter(|key| !has_ended(key))
            .collect()
    }

    fn untold(&self) -> usize {
        let lives = self.machines.iter().filter_map(|machine| machine.life.as_ref());
        let of = |life: &Life| -> usize {
            let node = life.node.ingress();
            let untold = life.lines.iter().map(|line| line.untold(&node, self.now));
            untold.sum()
        };
        lives.map(of).sum()
    }

    fn report_unrest(&mut self) {
        let unheard = self.posted.iter().filter(|posted| posted.first.is_none()).count();
        let restless: Vec<String> = self
            .restless()
            .iter()
            .take(5)
            .map(|key| {
                let order = self.audit.orders.get(*key);
                let status = order.and_then(|order| order.status);
                let given_up = order.map_or(0, |order| order.given_up);
                let status = status.map_or("nowhere", Status::name);
                format!("{key} is {status}, {given_up} bookings of it may yet land")
            })
            .collect();
        let (orders, untold, untaken) = (self.restless().len(), self.untold(), self.audit.untaken());
        let homeless = self.homeless();
        let what = format!(
            "{} ms after the last fault {orders} orders have not ended ({}), {unheard} messages are not \
             acknowledged, {untold} changes are not told to channels, {untaken} messages between partitions not taken, \
             {homeless} partitions are nowhere",
            self.habits().bound,
            restless.join(", ")
        );
        self.audit.violated(4, what);
    }

    fn check_orders(&mut self) {
        let mut found = Vec::new();
        for script in &self.house.orders {
            let key = &script.key;
            let Some(order) = self.audit.orders.get(key) else {
                found.push((4, format!("{key} was acknowledged and is lost")));
                continue;
            };
            let held = self.audit.held_for(key);
            if held != 0 {
                found.push((4, format!("{key} is over, and {held} units are held for it")));
            }
            let said @ (has_left, came_back) = &(order.left(), order.restocked());
            let moved @ (left, back) = &self.audit.moved_for(key);
            if said != moved {
                found.push((
                    3,
                    format!(
                        "{key} says that {has_left:?} has left and {came_back:?} has come back, its stocks {left:?} and {back:?}"
                    ),
                ));
            }
            if let Some(missing) = (1..=order.changes).find(|change| !script.told.contains(change)) {
                found.push((
                    3,
                    format!("change {missing} of {key} was never told to the trade"),
                ));
            }
            if let Some(what) = self.booked_otherwise(key, order) {
                found.push((3, what));
            }
            if let Some(what) = self.posted_otherwise(key, order) {
                found.push((3, what));
            }
        }
        let waits = self
            .audit
            .stocks
            .iter()
            .find(|(_, stock)| !stock.waiting.is_empty());
        if let Some((id, stock)) = waits {
            found.push((
                4,
                format!(
                    "at {id:?} {:?} wait for goods though every order is over",
                    stock.waiting
                ),
            ));
        }
        for (promise, what) in found {
            self.audit.violated(promise, what);
        }
    }

    /// What is wrong with what the ERP has of an order that is over: one booking stands, of what was ordered at last, and of what
    /// did not come about none.
    fn booked_otherwise(&self, key: &OrderKey, order: &OrderModel) -> Option<String> {
        let booked = self.books.of(key);
        let numbers: Vec<(&str, bool)> = booked
            .iter()
            .map(|booking| (booking.number.as_str(), !booking.is_cancelled))
            .collect();
        let named = order.erp_number.as_deref();
        let (own, others): (Vec<&Booking>, Vec<&Booking>) = booked
            .iter()
            .copied()
            .partition(|booking| Some(booking.number.as_str()) == named);
        // A part of it may have been cancelled there after another had left.
        let is_there = named.is_none_or(|_| own.iter().any(|booking| order.is_as_booked(&booking.request)));
        let is_right = is_there && others.iter().all(|booking| booking.is_cancelled);
        (!is_right).then(|| {
            format!(
                "{key} is {:?} with the ERP's number {named:?}; the ERP has booked for it (number, stands) {numbers:?}, or \
                 other goods or amounts than were ordered",
                order.status
            )
        })
    }

    /// What is wrong with the papers that the ERP has of an order: each that was posted is there once under the number that the
    /// order knows, and no other; and if none was left to a person, the ERP wants as much of each line as the order does.
    fn posted_otherwise(&self, key: &OrderKey, order: &OrderModel) -> Option<String> {
        let posted: Vec<&Paper> = self.books.papers_of(key).collect();
        let mut left_to_people = false;
        for (kind, document, standing) in &order.papers {
            let own: Vec<&str> = posted
                .iter()
                .filter(|paper| paper.name() == (*kind, document))
                .map(|paper| paper.number.as_str())
                .collect();
            let is_right = match standing {
                PaperStanding::Posted { number } => own == [number.as_str()],
                PaperStanding::Dismissed => {
                    left_to_people = true;
                    own.len() <= 1
                }
                PaperStanding::Wanted { .. } | PaperStanding::Asked { .. } | PaperStanding::Stuck { .. } => {
                    false
                }
            };
            if !is_right {
                return Some(format!(
                    "{kind} {document} of {key} stands as {standing:?}; the ERP has posted it as {own:?}"
                ));
            }
        }
        if posted.len() > order.papers.len() {
            return Some(format!("the ERP has papers of {key} that nobody wrote"));
        }
        let booking = order.erp_number.as_deref();
        let booking = self
            .books
            .of(key)
            .into_iter()
            .find(|known| Some(known.number.as_str()) == booking)?;
        let mut wanted: BTreeMap<u16, i64> = booking
            .request
            .lines
            .iter()
            .map(|line| (line.line, line.quantity.units()))
            .collect();
        let changes = posted.iter().filter(|paper| paper.name().0 == PaperKind::Change);
        for line in changes.flat_map(|paper| &paper.request.lines) {
            let known = wanted.entry(line.line).or_default();
            *known = line.quantity.units().min(*known);
        }
        (!left_to_people && wanted != order.wanted()).then(|| {
            format!(
                "the ERP wants {wanted:?} of the lines of {key}, the order {:?}",
                order.wanted()
            )
        })
    }

    /// What the books say is what has moved.
    fn check_stock(&mut self) {
        let mut found = Vec::new();
        for (id, moved) in &self.house.moved {
            let stock = self.audit.stocks.get(id).cloned().unwrap_or_default();
            let there = moved - stock.shipped + stock.came_back;
            if stock.on_hand != there {
                found.push(format!(
                    "{}@{}: the books say {}, and {there} are there",
                    id.sku,
                    id.warehouse.as_str(),
                    stock.on_hand
                ));
            }
        }
        for what in found {
            self.audit.violated(3, what);
        }
    }

    /// Each piece with a serial number is where it is, or with the order that it has left with.
    fn check_pieces(&mut self) {
        let mut found = Vec::new();
        for id in places() {
            let (booked, there) = (self.audit.pieces.at(&id), self.house.pieces.on_shelf(&id));
            if let Some(piece) = booked.symmetric_difference(&there).next() {
                let is_booked = booked.contains(piece);
                found.push(format!(
                    "the books have {piece} at {id:?}: {is_booked}, and so it is not"
                ));
            }
        }
        for (key, order) in &self.audit.orders {
            let left = self.audit.pieces.left_with(key);
            if order.pieces != left {
                found.push(format!(
                    "{key} says that {:?} have left, its stocks {left:?}",
                    order.pieces
                ));
            }
        }
        for what in found {
            self.audit.violated(1, what);
        }
    }

    /// Orders that are over have spent what their price takes, and others nothing.
    fn check_budgets(&mut self) {
        let mut found = Vec::new();
        for (id, budget) in &self.audit.budgets {
            for (key, order) in &self.audit.orders {
                let stands = matches!(order.status, Some(Status::Shipped | Status::Closed));
                let due = order.budgets.get(id).copied().filter(|_| stands);
                let spent = budget.spent_by(key);
                if spent != Ok(due) {
                    let status = order.status;
                    found.push(format!(
                        "{key} is {status:?} and takes {due:?} of budget {id}, which has {spent:?} for it"
                    ));
                }
            }
        }
        for what in found {
            self.audit.violated(6, what);
        }
    }

    /// Every channel shows what is true, a moment after it has become so: a lot may just have expired.
    fn check_channels(&mut self) {
        let mut wrong = self.shown_wrongly();
        if !wrong.is_empty() {
            let until = self.now + LOOK_EVERY;
            self.run_until(until);
            wrong = self.shown_wrongly();
        }
        for what in wrong {
            self.audit.violated(5, what);
        }
    }

    fn shown_wrongly(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (channel, shelf) in self.shelves.iter().enumerate() {
            let (name, _) = CHANNELS[channel];
            let mut truth: BTreeMap<Sku, Shown> = BTreeMap::new();
            for (id, stock) in &self.audit.stocks {
                let shown = truth.entry(id.sku.clone()).or_default();
                shown.add(stock.shown_to(name), stock.shows_at_most(name));
            }
            for (sku, shown) in &truth {
                let available = &shown.sum();
                // What was ordered before the catalogue said that it is a kit has a stock of nothing.
                if KITS.iter().any(|(kit, _)| *kit == sku.as_str()) {
                    continue;
                }
                let shown = shelf.shown(Kind::Stock, &Key(sku.as_str().into()));
                if shown != Some(Measure::Units(*available)) {
                    found.push(format!(
                        "channel {channel} shows {shown:?} of {sku}, of which {available} can be sold"
                    ));
                }
            }
            for (kit, components) in KITS {
                let (kits, of) = self.kits(name, components);
                let shown = Sku::new(kit).ok().map(|kit| Key(kit.as_str().into()));
                let shown = shown.and_then(|key| shelf.shown(Kind::Stock, &key));
                if shown != Some(Measure::Units(kits)) {
                    found.push(format!(
                        "channel {channel} shows {shown:?} of {kit}, of which {kits} can be sold: {of:?}"
                    ));
                }
            }
            for (sku, price) in self.audit.prices.listed() {
                let shown = shelf.shown(Kind::Price, &Key(sku.as_str().into()));
                if shown != Some(Measure::Amount(price)) {
                    found.push(format!(
                        "channel {channel} shows {shown:?} as the price of {sku}, which is {price}"
                    ));
                }
            }
            if shelf.knows_versions() && shelf.older_over_newer > 0 {
                found.push(format!("channel {channel} took an older value over a newer one"));
            }
        }
        found
    }

    /// How many kits can be sold, whole ones, warehouse by warehouse; and how much of each component.
    fn kits(
        &self,
        channel: &str,
        components: &[(&str, i64)],
    ) -> (i64, BTreeMap<(WarehouseCode, String), i64>) {
        let (mut of, mut limits) = (BTreeMap::new(), BTreeMap::new());
        for (id, stock) in &self.audit.stocks {
            if components.iter().any(|(sku, _)| *sku == id.sku.as_str()) {
                of.insert((id.warehouse, id.sku.to_string()), stock.shown_to(channel));
                limits.insert((id.warehouse, id.sku.to_string()), stock.shows_at_most(channel));
            }
        }
        let warehouses: BTreeSet<WarehouseCode> = of.keys().map(|(warehouse, _)| *warehouse).collect();
        let mut kits = Shown::default();
        for warehouse in warehouses {
            let whole = components.iter().map(|(sku, per_kit)| {
                let available = of.get(&(warehouse, (*sku).to_owned()));
                available.map_or(0, |available| available / per_kit)
            });
            let most = components.iter().filter_map(|(sku, per_kit)| {
                let limit = *limits.get(&(warehouse, (*sku).to_owned()))?;
                limit.map(|limit: i64| limit / per_kit)
            });
            kits.add(whole.min().unwrap_or(0), most.min());
        }
        (kits.sum(), of)
    }

    /// What the journals call a dead letter can be repaired and replayed: it is kept.
    fn check_dead_letters(&mut self) {
        let mut kept = 0;
        for partition in self.partitions.all() {
            let read = self.disk.dead_letters(partition, &mut |_, _| {
                kept += 1;
                ControlFlow::Continue(())
            });
            drop(read);
        }
        if kept != self.audit.dead_letters {
            let text = format!(
                "{} dead letters are in the journals, {kept} are kept",
                self.audit.dead_letters
            );
            self.audit.violated(8, text);
        }
    }
}

/// What a channel is shown of several warehouses together.
#[derive(Default)]
struct Shown {
    /// Of those without a limit.
    freely: i64,
    /// Of those with one.
    limited: i64,
    /// The largest limit.
    most: i64,
}

impl Shown {
    fn add(&mut self, shown: i64, limit: Option<i64>) {
        match limit {
            Some(limit) => {
                self.limited += shown;
                self.most = self.most.max(limit);
            }
            None => self.freely += shown,
        }
    }

    fn sum(&self) -> i64 {
        self.freely + self.limited.min(self.most)
    }
}
