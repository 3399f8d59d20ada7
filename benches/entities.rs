//! What a decision costs by itself: `decide` and `apply` of each kind of entity, without shard, journal or store.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that meets the unexpected shall fail"
)]

mod world;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lockstep_actors::ids::{DocumentId, OrderKey, Sku};
use lockstep_actors::inventory::SkuWarehouse;
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::inventory::state::StockState;
use lockstep_actors::orders::Order;
use lockstep_actors::orders::command::OrderCommand;
use lockstep_actors::orders::state::OrderState;
use lockstep_actors::pricing::contract::{ContractCommand, ContractReply};
use lockstep_actors::pricing::list::{ListPriceCommand, ListPriceState};
use lockstep_actors::pricing::{CustomerContract, ListPrice};
use lockstep_runtime::entity::{Context, Decision, Entity};
use std::hint::black_box;
use world::{Desk, hold, list_row, order, quantity, quote, release, stock_id};

/// What the shard does to an entity for one command.
fn step<E: Entity<Domain = lockstep_actors::domain::Distributor>>(
    id: &E::Id,
    state: &mut E::State,
    command: &E::Command,
    context: &Context<'_, E::Domain>,
) -> Decision<E> {
    let decision = E::decide(id, state, command, context);
    for event in &decision.events {
        E::apply(state, event);
    }
    decision
}

fn stock(criterion: &mut Criterion) {
    let desk = Desk::default();
    let id = stock_id("A-1", "W1");
    let mut state = StockState::default();
    let received = StockCommand::Receive {
        quantity: quantity(1_000_000_000),
        document: DocumentId::new("GR-1").unwrap(),
    };
    step::<SkuWarehouse>(&id, &mut state, &received, &desk.context());
    // A pair with some orders under way, as in a busy hour.
    for n in 0..20 {
        step::<SkuWarehouse>(&id, &mut state, &hold(n), &desk.context());
    }
    let pairs: Vec<_> = (100..1_124).map(|n| (hold(n), release(n))).collect();
    let mut next = 0;
    criterion.bench_function("stock: hold and release", |bencher| {
        bencher.iter(|| {
            // Another order each time: one that has ended is remembered, and would be refused.
            next = (next + 1) % pairs.len();
            let (hold, release) = black_box(&pairs[next]);
            step::<SkuWarehouse>(&id, &mut state, hold, &desk.context());
            step::<SkuWarehouse>(&id, &mut state, release, &desk.context())
        });
    });
    assert!(state.holds().count() == 20, "each hold was taken and given back");
}

/// A pair with goods that a thousand who wait may not have, since their channel has taken all that it may.
fn barred(criterion: &mut Criterion) {
    let desk = Desk::default();
    let id = stock_id("A-1", "W1");
    let mut state = StockState::default();
    for command in world::barred(1_000) {
        step::<SkuWarehouse>(&id, &mut state, &command, &desk.context());
    }
    assert!(state.is_anyone_waiting() && state.available().units() > 0);
    let pairs: Vec<_> = (100_000..101_024).map(|n| (hold(n), release(n))).collect();
    let mut next = 0;
    criterion.bench_function(
        "stock: hold and release beside 1,000 that wait and are barred",
        |bencher| {
            bencher.iter(|| {
                next = (next + 1) % pairs.len();
                let (hold, release) = black_box(&pairs[next]);
                step::<SkuWarehouse>(&id, &mut state, hold, &desk.context());
                step::<SkuWarehouse>(&id, &mut state, release, &desk.context())
            });
        },
    );
}

fn prices(criterion: &mut Criterion) {
    let desk = Desk::with_prices(20);
    let (customer, state) = world::contract();
    for lines in [1, 20] {
        let command = ContractCommand::Quote(Box::new(quote(lines)));
        criterion.bench_function(
            &format!("contract: quote of {lines} lines, 6 steps each"),
            |bencher| {
                bencher.iter(|| {
                    let decision: Decision<CustomerContract> =
                        CustomerContract::decide(&customer, &state, black_box(&command), &desk.context());
                    assert!(matches!(decision.reply, ContractReply::Quoted(_)));
                    decision
                });
            },
        );
    }
    let sku = Sku::new("A-1").unwrap();
    let mut list = ListPriceState::default();
    let mut version = 0;
    criterion.bench_function("list price: set", |bencher| {
        bencher.iter(|| {
            version += 1;
            let command = ListPriceCommand::Set(Box::new(list_row(version)));
            step::<ListPrice>(&sku, &mut list, &command, &desk.context())
        });
    });
}

fn orders(criterion: &mut Criterion) {
    let desk = Desk::with_prices(20);
    let key = OrderKey::new("web", "1001").unwrap();
    let command = OrderCommand::Submit(Box::new(order(20)));
    criterion.bench_function("order: submit 20 lines", |bencher| {
        bencher.iter_batched_ref(
            OrderState::default,
            |state| step::<Order>(&key, state, black_box(&command), &desk.context()),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, stock, barred, prices, orders);
criterion_main!(benches);
