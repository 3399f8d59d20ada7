//! The things that the benchmarks measure with: a small distributor, always the same.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::ids::{
    ChannelName, ClassName, CustomerId, DocumentId, HoldId, ListId, OrderKey, RuleId, Sku, StockId,
    WarehouseCode,
};
use lockstep_actors::inventory::allocation::{ChannelClass, ChannelPolicy, Share};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::command::{HoldMode, HoldStock, StockCommand};
use lockstep_actors::money::{Currency, Percent, Price};
use lockstep_actors::orders::command::{OrderLine, OrderRequest};
use lockstep_actors::orders::delivery::Delivery;
use lockstep_actors::orders::sourcing::Sourcing;
use lockstep_actors::orders::state::Policy;
use lockstep_actors::pricing::ListPrice;
use lockstep_actors::pricing::contract::{Budgets, Contract, ContractState, Customers, QuoteRequest};
use lockstep_actors::pricing::list::{Effective, ListPriceCommand, ListPriceState, ListRow};
use lockstep_actors::pricing::resolve::{Detail, QuoteLine};
use lockstep_actors::pricing::scale::{Break, Scale};
use lockstep_actors::pricing::term::{Effect, Scope, Stage, Term};
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_actors::reference::{Reference, publish_view};
use lockstep_runtime::entity::{Context, Entity};
use lockstep_runtime::message::{Envelope, MessageId, Origin, Provenance, Sequence};
use lockstep_runtime::time::Timestamp;
use std::sync::Arc;

/// What a decision may look at.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) reference: Reference,
    provenance: Provenance,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            reference: Reference::default(),
            provenance: provenance(),
        }
    }
}

impl Desk {
    pub(crate) fn context(&self) -> Context<'_, Distributor> {
        Context {
            now: now(),
            provenance: &self.provenance,
            origin: Origin::External(MessageId(1)),
            reference: &self.reference,
        }
    }

    /// With list prices of `A-1` and following.
    pub(crate) fn with_prices(skus: u16) -> Self {
        let desk = Self::default();
        for n in 1..=skus {
            let sku = sku(n);
            let mut state = ListPriceState::default();
            let set = ListPriceCommand::Set(Box::new(list_row(1)));
            for event in &ListPrice::decide(&sku, &state, &set, &desk.context()).events {
                ListPrice::apply(&mut state, event);
            }
            if let Some(view) = ListPrice::view(&sku, &state, Sequence(1)) {
                publish_view(&desk.reference, view);
            }
        }
        desk
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

pub(crate) fn provenance() -> Provenance {
    Provenance {
        source: "shop-eu".into(),
        correlation: "4711".into(),
        causation: None,
    }
}

pub(crate) fn quantity(units: i64) -> PositiveQuantity {
    PositiveQuantity::new(units).unwrap()
}

pub(crate) fn sku(n: u16) -> Sku {
    Sku::new(&format!("A-{n}")).unwrap()
}

pub(crate) fn stock_id(sku: &str, warehouse: &str) -> StockId {
    StockId {
        sku: Sku::new(sku).unwrap(),
        warehouse: WarehouseCode::new(warehouse).unwrap(),
    }
}

fn hold_id(n: u64) -> HoldId {
    HoldId {
        order: OrderKey::new("web", &n.to_string()).unwrap(),
        line: 1,
        attempt: 1,
    }
}

pub(crate) fn hold(n: u64) -> StockCommand {
    StockCommand::Hold(HoldStock {
        id: hold_id(n),
        quantity: quantity(1),
        mode: HoldMode::All,
        expires: None,
        priority: Priority::default(),
        answer_to: None,
        customer_class: None,
    })
}

pub(crate) fn release(n: u64) -> StockCommand {
    StockCommand::Release {
        id: hold_id(n),
        answer_to: None,
    }
}

/// A stock command as a message from outside, with an id of its own.
pub(crate) fn envelope(id: u128, stock: &StockId, command: StockCommand) -> Envelope<Distributor> {
    Envelope {
        id: MessageId(id),
        provenance: provenance(),
        message: Message::Stock(stock.clone(), command),
    }
}

fn currency() -> Currency {
    Currency::new("EUR").unwrap()
}

fn price(text: &str) -> Price {
    Price::new(text.parse().unwrap()).unwrap()
}

/// 100.00, from 50 on 95.00.
pub(crate) fn list_row(version: u64) -> ListRow {
    ListRow {
        list: ListId::new("standard").unwrap(),
        currency: currency(),
        effective: Effective::default(),
        price: Scale::stepped(
            price("100.00"),
            vec![Break {
                from: quantity(50),
                value: price("95.00"),
            }],
        ),
        rule: RuleId::new("list").unwrap(),
        version,
        edition: None,
    }
}

/// Group discount, contract price, contract break and promotion: with the list and its break, six steps.
pub(crate) fn contract() -> (CustomerId, ContractState) {
    let term =
        |rule: &str, scope: Scope, effect: Effect| Term::plain(RuleId::new(rule).unwrap(), 7, scope, effect);
    let percent = |text: &str| Percent::new(text.parse().unwrap()).unwrap();
    let discount = Effect::Discount(Scale::flat(percent("12")));
    let fixed = |unit: &str| {
        let at = Break {
            from: quantity(100),
            value: price("82.00"),
        };
        Effect::Fixed(Scale::stepped(price(unit), vec![at]))
    };
    let promotion = Term {
        stage: Stage::Promotion,
        ..term(
            "spring",
            Scope::Everything,
            Effect::Discount(Scale::flat(percent("3"))),
        )
    };
    let mut terms = vec![term("group", Scope::Everything, discount), promotion];
    terms.extend((1..=20).map(|n| term("contract", Scope::Sku(sku(n)), fixed("84.50"))));
    let contract = Contract {
        terms: terms.into(),
        ..Contract::none(currency())
    };
    let state = ContractState {
        contract: Some(Arc::new(contract)),
        version: 1,
        ..ContractState::default()
    };
    (CustomerId::new("C-1").unwrap(), state)
}

pub(crate) fn quote(lines: u16) -> QuoteRequest {
    QuoteRequest {
        currency: currency(),
        rates: None,
        coupons: Vec::new(),
        zone: None,
        lines: (1..=lines)
            .map(|line| QuoteLine {
                line,
                sku: sku(line),
                quantity: quantity(120),
                unit: None,
                base_units: None,
                stated_price: None,
            })
            .collect(),
        as_of: None,
        customers: Customers::Known,
        detail: Detail::Waterfall,
        budgets: Budgets::default(),
        channel: None,
        ship_to: None,
    }
}

pub(crate) fn order(lines: u16) -> OrderRequest {
    OrderRequest {
        customer: CustomerId::new("C-1").unwrap(),
        currency: currency(),
        lines: (1..=lines)
            .map(|line| OrderLine {
                channel_price: None,
                ordered_as: None,
                substitutes: None,
                components: Vec::new(),
                line,
                sku: sku(line),
                quantity: quantity(2),
            })
            .collect(),
        warehouses: vec![WarehouseCode::new("W1").unwrap()],
        sourcing: Sourcing::default(),
        ship_to_region: None,
        policy: Policy::ShipComplete,
        priority: Priority::default(),
        customers: Customers::Known,
        price_as_of: None,
        purchase_order: None,
        coupons: Vec::new(),
        delivery: Delivery::default(),
        quote: None,
    }
}

/// What makes a pair on which `waiting` orders of a marketplace wait that has taken all that it may.
pub(crate) fn barred(waiting: u64) -> Vec<StockCommand> {
    let class = ChannelClass {
        name: ClassName::new("market").unwrap(),
        channels: vec![ChannelName::new("market").unwrap()],
        protected: None,
        cap: Some(Share::Units(Quantity::new(1).unwrap())),
        buffer: Quantity::ZERO,
        show_at_most: None,
    };
    let policy = ChannelPolicy {
        version: 1,
        classes: vec![class],
    };
    let receipt = StockCommand::Receive {
        quantity: quantity(1_000_000),
        document: DocumentId::new("GR-1").unwrap(),
    };
    let wait = |n: u64| {
        StockCommand::Hold(HoldStock {
            id: HoldId {
                order: OrderKey::new("market", &n.to_string()).unwrap(),
                line: 1,
                attempt: 1,
            },
            quantity: quantity(1),
            mode: HoldMode::Backorder(Priority::default()),
            expires: None,
            priority: Priority::default(),
            answer_to: None,
            customer_class: None,
        })
    };
    [receipt, StockCommand::SetChannelPolicy(policy)]
        .into_iter()
        .chain((0..=waiting).map(wait))
        .collect()
}
