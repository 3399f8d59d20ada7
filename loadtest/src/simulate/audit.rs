//! Reads what becomes durable, entry by entry, and holds it against the promises. It trusts nothing but the journals.
//!
//! What is checked at every commit, by the number of the promise in the design:
//! 1. no hold takes what cannot be sold, or what its channel may not take ([`StockModel`]); a piece with a serial number is in one
//!    place, and leaves once ([`PieceModel`]);
//! 2. nothing is answered, sent or asked for that is not durable;
//! 3. a message from outside has one entry, a message between partitions is taken once and in order, and is the one sent;
//! 4. an order that is over holds nothing; its status changes by the domain's own table;
//! 6. each price is explained, and what the terms come to ([`PriceModel`]); a budget is never spent beyond its limits, and what is
//!    given back comes back once ([`BudgetModel`]).
//!
//! The others show at the end ([`super::verdict`]).

use super::budget_model::BudgetModel;
use super::features::Feature;
use super::order_model::{Coverage, Goods, OrderModel};
use super::piece_model::PieceModel;
use super::pieces::is_by_piece;
use super::prices::PriceModel;
use super::stock_model::StockModel;
use lockstep_actors::domain::Message;
use lockstep_actors::governance::audit::SystemAudit;
use lockstep_actors::ids::{BudgetId, CustomerId, OrderKey, Sku, StockId};
use lockstep_actors::inventory::SkuWarehouse;
use lockstep_actors::inventory::allocation::ChannelPolicy;
use lockstep_actors::inventory::command::{Adjustment, StockCommand};
use lockstep_actors::inventory::event::StockEvent;
use lockstep_actors::orders::Order;
use lockstep_actors::orders::command::OrderCommand;
use lockstep_actors::orders::effects::{ERP, EVENTS, ErpReference, ErpRequest, OrderStatus};
use lockstep_actors::orders::event::OrderEvent;
use lockstep_actors::orders::transitions::Cause;
use lockstep_actors::pricing::budget::{BudgetCommand, BudgetEvent, Limits};
use lockstep_actors::pricing::contract::{ContractCommand, ContractEvent};
use lockstep_actors::pricing::list::{ListPriceCommand, ListPriceEvent, ListRow};
use lockstep_actors::pricing::{CustomerContract, ListPrice, PromotionBudget};
use lockstep_runtime::entity::{AddressedMessage, Entity, EntityId, EntityKind};
use lockstep_runtime::journal::{Blob, Entry};
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{MessageId, Origin, Sequence};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::StoreReader;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hasher;
use std::ops::ControlFlow;

/// A promise of the design, by its number, and how it was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) promise: u8,
    pub(super) what: String,
}

/// A message between partitions, as its sender wrote it down.
struct Sent {
    at: Timestamp,
    kind: EntityKind,
    entity: Box<[u8]>,
    cause: Option<Cause>,
}

/// A question to the ERP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) order: OrderKey,
    pub(super) attempt: u16,
    /// Papers number their questions apart.
    pub(super) is_of_a_paper: bool,
}

/// What the house has declared and its ERP has reported, whatever became of it on its way; by version.
#[derive(Default)]
struct Said {
    policies: BTreeMap<(StockId, u64), ChannelPolicy>,
    limits: BTreeMap<(BudgetId, u64), Limits>,
    prices: BTreeMap<(Sku, u64), ListRow>,
    volumes: BTreeMap<(CustomerId, u64), Decimal>,
}

pub(super) struct Audit {
    /// By partition: the next entry to be read.
    next: Vec<u64>,
    /// Messages from outside whose entry is durable, and which that is.
    taken: HashMap<MessageId, (PartitionId, Sequence)>,
    /// What each of them causes with an order.
    pub(super) causes: HashMap<MessageId, Cause>,
    /// By stream between two partitions: the last number taken.
    streams: BTreeMap<(PartitionId, PartitionId), u64>,
    /// What was sent and not taken yet.
    sent: BTreeMap<(PartitionId, PartitionId, u64), Sent>,
    pub(super) stocks: BTreeMap<StockId, StockModel>,
    pub(super) orders: BTreeMap<OrderKey, OrderModel>,
    pub(super) prices: PriceModel,
    pub(super) pieces: PieceModel,
    pub(super) budgets: BTreeMap<BudgetId, BudgetModel>,
    said: Said,
    /// Orders that a stock holds something for, and how much.
    held_for: BTreeMap<OrderKey, i64>,
    /// What stocks say that has left with orders, and what has come back of them.
    left_with: BTreeMap<OrderKey, Goods>,
    back_from: BTreeMap<OrderKey, Goods>,
    /// What the ERP may be asked.
    pub(super) asked: BTreeSet<Asked>,
    pub(super) dead_letters: u64,
    pub(super) refused_writes: u64,
    pub(super) entries: u64,
    pub(super) coverage: Coverage,
    pub(super) violations: Vec<Violation>,
    digest: std::hash::DefaultHasher,
    /// What is to be seen of every entry that speaks of it, and what was seen.
    traced: Option<String>,
    pub(super) trace: Vec<String>,
}

impl Audit {
    pub(super) fn new(partitions: PartitionCount) -> Self {
        Self {
            next: vec![1; usize::from(partitions.get())],
            taken: HashMap::new(),
            causes: HashMap::new(),
            streams: BTreeMap::new(),
            sent: BTreeMap::new(),
            stocks: BTreeMap::new(),
            orders: BTreeMap::new(),
            prices: PriceModel::default(),
            pieces: PieceModel::default(),
            budgets: BTreeMap::new(),
            said: Said::default(),
            held_for: BTreeMap::new(),
            left_with: BTreeMap::new(),
            back_from: BTreeMap::new(),
            asked: BTreeSet::new(),
            dead_letters: 0,
            refused_writes: 0,
            entries: 0,
            coverage: Coverage::default(),
            violations: Vec::new(),
            digest: std::hash::DefaultHasher::new(),
            traced: None,
            trace: Vec::new(),
        }
    }

    pub(super) fn violated(&mut self, promise: u8, what: impl Into<String>) {
        self.violations.push(Violation {
            promise,
            what: what.into(),
        });
    }

    /// Somebody says something that models take at its word.
    pub(super) fn note_said(&mut self, message: &Message) {
        if let Message::Stock(id, StockCommand::SetChannelPolicy(policy)) = message {
            let place = (id.clone(), policy.version);
            self.said.policies.insert(place, policy.clone());
        }
        if let Message::Budget(id, BudgetCommand::Set { limits, version }) = message {
            self.said.limits.insert((id.clone(), *version), *limits);
        }
        if let Message::ListPrice(sku, ListPriceCommand::Set(row)) = message {
            self.said
                .prices
                .insert((sku.clone(), row.version), (**row).clone());
        }
        if let Message::Contract(id, ContractCommand::ReportVolume(volume)) = message {
            self.said
                .volumes
                .insert((id.clone(), volume.version), volume.value);
        }
    }

    /// Lets every entry of orders, stocks and budgets be seen that speaks of this.
    pub(super) fn trace_of(&mut self, what: Option<&str>) {
        self.traced = what.map(str::to_owned);
    }

    fn trace_entry(&mut self, entry: &Entry<'_>, cause: Option<Cause>) {
        let Some(traced) = &self.traced else { return };
        let about = match entry.kind {
            Order::KIND => OrderKey::decode(entry.entity).map(|key| key.to_string()),
            SkuWarehouse::KIND => {
                StockId::decode(entry.entity).map(|id| format!("{}@{}", id.sku, id.warehouse.as_str()))
            }
            PromotionBudget::KIND => BudgetId::decode(entry.entity).map(|id| id.to_string()),
            _ => None,
        };
        let Some(about) = about else { return };
        for event in entry.events() {
            let said = match entry.kind {
                Order::KIND => rmp_serde::from_slice::<OrderEvent>(event).map(|event| format!("{event:?}")),
                PromotionBudget::KIND => {
                    rmp_serde::from_slice::<BudgetEvent>(event).map(|event| format!("{event:?}"))
                }
                _ => rmp_serde::from_slice::<StockEvent>(event).map(|event| format!("{event:?}")),
            };
            let said = said.unwrap_or_else(|error| error.to_string());
            if about.contains(traced) || said.contains(traced) {
                self.trace
                    .push(format!("{} {about} {cause:?}: {said}", entry.at.as_millis()));
            }
        }
    }

    /// A number that two histories share only if they are the same.
    pub(super) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// Reads what is new on the disk.
    pub(super) fn read(&mut self, disk: &MemoryDisk) {
        for place in 0..self.next.len() {
            let partition = PartitionId(u16::try_from(place).unwrap_or(u16::MAX));
            let mut blobs: Vec<Vec<u8>> = Vec::new();
            let read = disk.journal(partition, Sequence(self.next[place]), &mut |bytes| {
                blobs.push(bytes.to_vec());
                ControlFlow::Continue(())
            });
            if let Err(error) = read {
                self.violated(2, format!("the journal of {partition:?} cannot be read: {error}"));
            }
            for bytes in blobs {
                self.digest.write(&bytes);
                self.read_blob(partition, place, &bytes);
            }
        }
    }

    fn read_blob(&mut self, partition: PartitionId, place: usize, bytes: &[u8]) {
        let blob = match Blob::parse(bytes) {
            Ok(blob) => blob,
            Err(error) => return self.violated(2, format!("{partition:?}: {error}")),
        };
        for entry in blob.iter() {
            match entry {
                Ok(entry) if entry.sequence.0 == self.next[place] => {
                    self.next[place] += 1;
                    self.entries += 1;
                    self.note(partition, &entry);
                }
                Ok(entry) if entry.sequence.0 > self.next[place] => {
                    let text = format!(
                        "{partition:?}: entry {} follows {}",
                        entry.sequence.0,
                        self.next[place] - 1
                    );
                    self.violated(2, text);
                }
                Ok(_) => {}
                Err(error) => self.violated(2, format!("{partition:?}: {error}")),
            }
        }
    }

    fn note(&mut self, partition: PartitionId, entry: &Entry<'_>) {
        let cause = self.note_origin(partition, entry);
        for send in entry.sends() {
            if entry.kind == CustomerContract::KIND {
                self.note_answer(entry, (send.kind, send.entity, send.command));
            }
            if entry.kind == PromotionBudget::KIND && send.kind == CustomerContract::KIND {
                self.coverage.features.count(Feature::BudgetRefused);
            }
            let sent = Sent {
                at: entry.at,
                kind: send.kind,
                entity: send.entity.into(),
                cause: cause_of(send.kind, send.entity, send.command),
            };
            let twice = self.sent.insert((partition, send.to, send.sequence), sent);
            if twice.is_some() {
                self.violated(
                    3,
                    format!("{partition:?} has sent two messages number {}", send.sequence),
                );
            }
        }
        for (port, body) in entry.outbound() {
            self.note_effect(port == ERP, port == EVENTS, body);
        }
        self.dead_letters += u64::from(entry.is_dead_letter);
        let is_from_outside = matches!(entry.origin, Origin::External(_));
        if entry.kind == SystemAudit::KIND && entry.has_events() && is_from_outside {
            self.refused_writes += 1;
        }
        self.trace_entry(entry, cause);
        if entry.kind == SkuWarehouse::KIND {
            self.note_stock(entry);
        }
        if entry.kind == ListPrice::KIND {
            self.note_list_price(entry);
        }
        if entry.kind == CustomerContract::KIND {
            self.note_contract(entry);
        }
        if entry.kind == PromotionBudget::KIND {
            self.note_budget(entry);
        }
        if entry.kind == Order::KIND {
            self.note_order(entry, cause);
        }
    }

    fn note_origin(&mut self, partition: PartitionId, entry: &Entry<'_>) -> Option<Cause> {
        match entry.origin {
            Origin::External(id) => {
                if self.taken.insert(id, (partition, entry.sequence)).is_some() {
                    self.violated(3, format!("message {:x} has two entries", id.0));
                }
                self.causes.remove(&id)
            }
            Origin::Entity { from, sequence } => {
                let taken = self.streams.entry((from, partition)).or_default();
                let (before, now) = (*taken, sequence);
                *taken = now;
                if now != before + 1 {
                    let text = format!("{partition:?} took number {now} of {from:?} after {before}");
                    self.violated(3, text);
                }
                let Some(sent) = self.sent.remove(&(from, partition, sequence)) else {
                    let text = format!(
                        "{partition:?} took number {sequence} of {from:?}, which is not durable there"
                    );
                    self.violated(2, text);
                    return None;
                };
                if (sent.kind, &*sent.entity) != (entry.kind, entry.entity) {
                    let text = format!("{partition:?} took another message as number {sequence} of {from:?}");
                    self.violated(3, text);
                }
                sent.cause
            }
            Origin::Alarm => Some(Cause::Alarm),
        }
    }

    fn note_effect(&mut self, is_for_erp: bool, is_event: bool, body: &[u8]) {
        if is_for_erp && let Ok(request) = rmp_serde::from_slice::<ErpRequest>(body) {
            let ErpReference { order, attempt, .. } = reference(&request);
            self.asked.insert(Asked {
                order: order.clone(),
                attempt: *attempt,
                is_of_a_paper: matches!(request, ErpRequest::Post(_) | ErpRequest::FindPaper(_)),
            });
        }
        if is_event {
            // What orders tell is numbered; the house checks that it hears every number.
            drop(rmp_serde::from_slice::<OrderStatus>(body));
        }
    }

    fn note_stock(&mut self, entry: &Entry<'_>) {
        let Some(id) = StockId::decode(entry.entity) else {
            return self.violated(2, "an entry of a stock has no stock's id");
        };
        let mut events = Vec::new();
        for event in entry.events() {
            let Ok(event) = rmp_serde::from_slice::<StockEvent>(event) else {
                return self.violated(2, format!("an event of {id:?} cannot be read"));
            };
            self.note_stock_event(&id, &event);
            events.push(event);
        }
        if is_by_piece(&id.sku) {
            self.note_pieces(&id, &events);
        }
        if let Some(flaw) = self.stocks.get(&id).and_then(StockModel::flaw_in_lots) {
            self.violated(1, format!("{}@{}: {flaw}", id.sku, id.warehouse.as_str()));
        }
    }

    fn note_stock_event(&mut self, id: &StockId, event: &StockEvent) {
        if let Some((hold, change)) = event.held_change() {
            let held = self.held_for.entry(hold.order.clone()).or_default();
            *held += change.units();
            if *held == 0 {
                self.held_for.remove(&hold.order);
            }
        }
        if let StockEvent::Shipped {
            id: hold, quantity, ..
        } = event
        {
            let left = self.left_with.entry(hold.order.clone()).or_default();
            *left.entry(id.sku.clone()).or_default() += quantity.units();
        }
        if let StockEvent::Returned {
            order: Some(order),
            quantity,
            ..
        } = event
        {
            let back = self.back_from.entry(order.clone()).or_default();
            *back.entry(id.sku.clone()).or_default() += quantity.units();
        }
        let stock = self.stocks.entry(id.clone()).or_default();
        let reached = &mut self.coverage.features;
        let applied = stock.apply(event, reached);
        // Here nobody else withholds anything.
        if let StockEvent::Adjusted { change, .. } = event
            && *change == Adjustment::Quarantine
        {
            reached.count(Feature::LotWithheld);
        }
        if let StockEvent::ChannelPolicySet { policy } = event {
            match self.said.policies.get(&(id.clone(), policy.version)) {
                Some(said) => stock.set_policy(said.clone(), reached),
                None => self.violated(7, format!("{id:?} has a policy that nobody has declared")),
            }
        }
        if let Err(what) = applied {
            self.violated(1, format!("{}@{}: {what}", id.sku, id.warehouse.as_str()));
        }
    }

    fn note_pieces(&mut self, id: &StockId, events: &[StockEvent]) {
        let reached = &mut self.coverage.features;
        for event in events {
            if matches!(event, StockEvent::LotsCame { .. }) {
                reached.count(Feature::PieceCame);
            }
            if matches!(event, StockEvent::Shipped { .. }) {
                reached.count(Feature::PieceShipped);
            }
            if matches!(event, StockEvent::Returned { .. }) {
                reached.count(Feature::PieceBack);
            }
            if matches!(event, StockEvent::Adjusted { .. }) {
                reached.count(Feature::PieceLost);
            }
        }
        if let Err(what) = self.pieces.note(id, events) {
            self.violated(1, format!("{}@{}: {what}", id.sku, id.warehouse.as_str()));
        }
    }

    fn note_list_price(&mut self, entry: &Entry<'_>) {
        let Some(sku) = Sku::decode(entry.entity) else {
            return self.violated(2, "an entry of a list price has no SKU");
        };
        for event in entry.events() {
            match rmp_serde::from_slice::<ListPriceEvent>(event) {
                Ok(event) => self.note_list_price_event(&sku, &event),
                Err(_) => self.violated(2, format!("an event of {sku}'s list price cannot be read")),
            }
        }
    }

    fn note_list_price_event(&mut self, sku: &Sku, event: &ListPriceEvent) {
        let ListPriceEvent::Kept(kept) = event else {
            return;
        };
        match self.said.prices.get(&(sku.clone(), kept.row.version)) {
            Some(said) => self.prices.note_list(sku, said.clone()),
            None => self.violated(7, format!("{sku} has a list price that nobody has said")),
        }
    }

    fn note_contract(&mut self, entry: &Entry<'_>) {
        let Some(customer) = CustomerId::decode(entry.entity) else {
            return self.violated(2, "an entry of a contract has no customer");
        };
        for event in entry.events() {
            match rmp_serde::from_slice::<ContractEvent>(event) {
                Ok(event) => self.note_contract_event(&customer, &event),
                Err(_) => self.violated(2, format!("an event of {customer}'s contract cannot be read")),
            }
        }
    }

    fn note_contract_event(&mut self, customer: &CustomerId, event: &ContractEvent) {
        self.prices.note_contract(customer, event);
        if let ContractEvent::VolumeReported(volume) = event {
            self.coverage.features.count(Feature::VolumeReported);
            match self.said.volumes.get(&(customer.clone(), volume.version)) {
                Some(value) => self.prices.note_volume(customer, *value),
                None => self.violated(7, format!("{customer} has a volume that nobody has reported")),
            }
        }
    }

    /// A contract tells an order its price, by way of budgets or not.
    fn note_answer(&mut self, entry: &Entry<'_>, (kind, entity, command): (EntityKind, &[u8], &[u8])) {
        if kind != Order::KIND && kind != PromotionBudget::KIND {
            return;
        }
        let Some(customer) = CustomerId::decode(entry.entity) else {
            return self.violated(2, "an entry of a contract has no customer");
        };
        let Ok(message) = Message::decode(kind, entity, command) else {
            return self.violated(2, format!("what {customer}'s contract says cannot be read"));
        };
        if let Message::Order(order, OrderCommand::Priced(priced)) = message {
            self.prices.note_answer(&customer, order, priced.attempt);
        } else if let Message::Budget(_, BudgetCommand::Claim(claim)) = message {
            self.prices.note_answer(&customer, claim.order, claim.attempt);
        }
    }

    fn note_budget(&mut self, entry: &Entry<'_>) {
        let Some(id) = BudgetId::decode(entry.entity) else {
            return self.violated(2, "an entry of a budget has no name");
        };
        for event in entry.events() {
            let Ok(event) = rmp_serde::from_slice::<BudgetEvent>(event) else {
                return self.violated(2, format!("an event of budget {id} cannot be read"));
            };
            self.note_budget_event(&id, &event);
        }
    }

    fn note_budget_event(&mut self, id: &BudgetId, event: &BudgetEvent) {
        let budget = self.budgets.entry(id.clone()).or_default();
        let reached = &mut self.coverage.features;
        match event {
            BudgetEvent::Limited { version, .. } => match self.said.limits.get(&(id.clone(), *version)) {
                Some(said) => {
                    budget.limit(*said);
                    if budget.is_overdrawn() {
                        reached.count(Feature::BudgetLowered);
                    }
                }
                None => return self.violated(7, format!("budget {id} has limits that nobody has declared")),
            },
            BudgetEvent::Claimed { order, .. } => reached.count(match budget.spent_by(order) {
                Err(_) => Feature::BudgetReplaced,
                Ok(_) => Feature::BudgetClaimed,
            }),
            BudgetEvent::GivenBack { .. } => reached.count(Feature::BudgetGivenBack),
            BudgetEvent::Settled { .. } => reached.count(Feature::BudgetSettled),
        }
        if let Err(what) = budget.apply(event) {
            self.violated(6, format!("budget {id}: {what}"));
        }
    }

    fn note_order(&mut self, entry: &Entry<'_>, cause: Option<Cause>) {
        let Some(key) = OrderKey::decode(entry.entity) else {
            return self.violated(2, "an entry of an order has no order's key");
        };
        for event in entry.events() {
            let Ok(event) = rmp_serde::from_slice::<OrderEvent>(event) else {
                return self.violated(2, format!("an event of {key} cannot be read"));
            };
            let order = self.orders.entry(key.clone()).or_default();
            let applied = order.apply((&key, &event), cause, &mut self.prices, &mut self.coverage);
            if let Err(what) = applied {
                let promise = if matches!(event, OrderEvent::Priced { .. }) {
                    6
                } else {
                    4
                };
                self.violated(promise, format!("{key}: {what}"));
            }
        }
    }

    /// How many messages from outside have an entry.
    pub(super) fn messages(&self) -> usize {
        self.taken.len()
    }

    /// Whether the entry of a message from outside is durable.
    pub(super) fn is_durable(&self, id: MessageId) -> bool {
        self.entry_of(id).is_some()
    }

    /// Whether the entry of a message from outside is among the last of its partition, so many of them.
    pub(super) fn is_among_last(&self, id: MessageId, entries: u64) -> bool {
        let entry = self.entry_of(id);
        entry.is_some_and(|(partition, sequence)| {
            let next = self.next[usize::from(partition.0)];
            sequence.0 + entries >= next
        })
    }

    /// A refused write is noted under an identity of its own.
    fn entry_of(&self, id: MessageId) -> Option<(PartitionId, Sequence)> {
        let noted = MessageId::of("refused write", &format!("{:032x}", id.0));
        let entry = self.taken.get(&id).or_else(|| self.taken.get(&noted));
        entry.copied()
    }

    /// How many units are held for an order.
    pub(super) fn held_for(&self, order: &OrderKey) -> i64 {
        self.held_for.get(order).copied().unwrap_or(0)
    }

    /// What has left with an order and what has come back of it, pieces apart, as its stocks say.
    pub(super) fn moved_for(&self, order: &OrderKey) -> (Goods, Goods) {
        let of = |goods: &BTreeMap<OrderKey, Goods>| goods.get(order).cloned().unwrap_or_default();
        let mut back = of(&self.back_from);
        back.retain(|sku, _| !is_by_piece(sku));
        (of(&self.left_with), back)
    }

    /// A message between partitions that was sent before `moment` and is not taken yet, in words.
    pub(super) fn left_behind(&self, moment: Timestamp) -> Option<String> {
        let ((from, to, number), _) = self.sent.iter().find(|(_, sent)| sent.at < moment)?;
        Some(format!("number {number} from {from:?} to {to:?}"))
    }

    /// Messages between partitions that were never taken.
    pub(super) fn untaken(&self) -> usize {
        self.sent.len()
    }
}

/// Whose request it is, and which attempt.
const fn reference(request: &ErpRequest) -> &ErpReference {
    match request {
        ErpRequest::Book(booking) => &booking.reference,
        ErpRequest::Lookup(reference) | ErpRequest::Cancel(reference) => reference,
        ErpRequest::Post(paper) => &paper.reference.booking,
        ErpRequest::FindPaper(paper) => &paper.booking,
    }
}

fn cause_of(kind: EntityKind, entity: &[u8], command: &[u8]) -> Option<Cause> {
    if kind != Order::KIND {
        return None;
    }
    match Message::decode(kind, entity, command) {
        Ok(Message::Order(_, command)) => Cause::of(&command),
        Ok(_) | Err(_) => None,
    }
}
