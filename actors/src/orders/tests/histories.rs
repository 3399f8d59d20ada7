//! Random histories with returns, credits, substitutes and writes from outside, beside a model that counts on its fingers.

use super::*;
use crate::inventory::command::ShipQuantity;
use crate::inventory::holds::HoldChange;
use crate::orders::after_sales::Disposition;

const NAMES: [&str; 2] = ["A", "B"];

/// What somebody with a pencil knows: what was put on the shelves, and by order and line what came back and what was credited.
#[derive(Default)]
struct Pencil {
    put_down: BTreeMap<&'static str, i64>,
    returned: BTreeMap<(OrderKey, u16), i64>,
    credited: BTreeMap<(OrderKey, u16), i64>,
}

impl Pencil {
    fn put(&mut self, name: &'static str, units: i64) {
        *self.put_down.entry(name).or_default() += units;
    }
}

/// What happens to an order.
#[derive(Clone, Copy, Debug)]
enum Act {
    ShipSome,
    ShipAll,
    Return(Disposition),
    Credit,
    Substitute,
    FromOutside(u8),
    Receive,
    Cancel,
    Change,
    Retry,
    TimePasses,
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::ShipSome),
        1 => Just(Act::ShipAll),
        2 => Just(Act::Return(Disposition::Restock)),
        2 => Just(Act::Return(Disposition::Scrap)),
        2 => Just(Act::Credit),
        2 => Just(Act::Substitute),
        2 => (0_u8..4).prop_map(Act::FromOutside),
        2 => Just(Act::Receive),
        1 => Just(Act::Cancel),
        1 => Just(Act::Change),
        1 => Just(Act::Retry),
        3 => Just(Act::TimePasses),
    ]
}

/// A line of an order, so many units of it, and how many of them have left.
fn line_of(world: &World, order: &OrderKey, which: i64) -> Option<(u16, i64)> {
    let placed = world.orders[order].placed().unwrap();
    let lines = &placed.request.lines;
    let line = lines[usize::try_from(which).unwrap() % lines.len()].line;
    Some((line, placed.shipped(line).units())).filter(|(line, _)| *line != 0)
}

/// Something is wanted that may happen exactly if so many units are still out.
fn is_taken_within(world: &mut World, order: &OrderKey, command: OrderCommand, is_possible: bool) -> bool {
    let reply = world.tell(order, command);
    let is_accepted = matches!(reply, OrderReply::Accepted { .. });
    assert_eq!(is_accepted, is_possible, "{order}: {reply:?}");
    is_accepted
}

fn sku_name(world: &World, order: &OrderKey, line: u16) -> &'static str {
    let placed = world.orders[order].placed().unwrap();
    let sku = &placed.line(line).unwrap().sku;
    NAMES.into_iter().find(|name| *name == sku.as_str()).unwrap()
}

/// A system outside tries to take what an order holds: it is refused, and the stock is as it was.
fn meddle(world: &mut World, order: &OrderKey, how: u8) {
    let held = world.stocks.iter().find_map(|(stock, state)| {
        let mut holds = state
            .holds()
            .filter(|(id, hold)| id.order == *order && hold.open() > Quantity::ZERO);
        holds.next().map(|(id, _)| (stock.clone(), id.clone()))
    });
    let Some((stock, id)) = held else { return };
    let command = match how {
        0 => StockCommand::Release { id, answer_to: None },
        1 => StockCommand::ConfirmPick { id },
        2 => StockCommand::ChangeHold {
            id,
            change: HoldChange::Reduce(PositiveQuantity::ONE),
        },
        _ => StockCommand::Ship {
            id,
            quantity: ShipQuantity::All,
            document: None,
            answer_to: None,
        },
    };
    let before = world.stocks[&stock].clone();
    world.is_outside = true;
    let reply = world.take((stock.clone(), command).into());
    world.is_outside = false;
    assert!(matches!(reply, Reply::Stock(StockReply::Refused(_))), "{reply:?}");
    assert_eq!(world.stocks[&stock], before);
}

/// One unit of its first line is taken in other goods, where the order lets it.
fn substitute(world: &mut World, order: &OrderKey, number: usize) {
    let placed = world.orders[order].placed().unwrap();
    let mut lines = placed.request.lines.clone();
    let Some(less) = lines[0].quantity.get().minus(quantity(1).get()).positive() else {
        return;
    };
    let of = lines[0].substitutes.unwrap_or(lines[0].line);
    lines[0].quantity = less;
    lines.push(OrderLine {
        line: 100 + u16::try_from(number).unwrap(),
        sku: sku("B"),
        quantity: quantity(1),
        substitutes: Some(of),
        ..lines[0].clone()
    });
    let correction = Correction {
        lines: Some(lines),
        ..desk::correction()
    };
    drop(world.tell(order, OrderCommand::Correct(Box::new(correction))));
}

fn happens(world: &mut World, pencil: &mut Pencil, order: &OrderKey, act: Act, units: i64, number: usize) {
    let document = DocumentId::new(&format!("D-{number}")).unwrap();
    let Some((line, shipped)) = line_of(world, order, units) else {
        return;
    };
    let key = (order.clone(), line);
    match act {
        Act::ShipSome => drop(world.tell(order, ship(&[(line, shipped + units)]))),
        Act::ShipAll => drop(world.tell(order, ship(&[]))),
        Act::Return(disposition) => {
            let before = pencil.returned.get(&key).copied().unwrap_or(0);
            let back = OrderCommand::Return(GoodsReturn {
                document,
                lines: vec![ReturnLine {
                    line,
                    quantity: quantity(units),
                    disposition,
                    warehouse: None,
                    component: None,
                    lots: Vec::new(),
                }],
            });
            if is_taken_within(world, order, back, before + units <= shipped) {
                pencil.returned.insert(key, before + units);
                if disposition == Disposition::Restock {
                    pencil.put(sku_name(world, order, line), units);
                }
            }
        }
        Act::Credit => {
            let before = pencil.credited.get(&key).copied().unwrap_or(0);
            let credit = after_sales::credit(document.as_str(), line, units);
            if is_taken_within(world, order, credit, before + units <= shipped) {
                pencil.credited.insert(key, before + units);
            }
        }
        Act::Substitute => substitute(world, order, number),
        Act::FromOutside(how) => meddle(world, order, how),
        Act::Receive => {
            let name = NAMES[usize::from(units % 2 == 0)];
            pencil.put(name, units);
            world.receive(name, "W1", units);
        }
        Act::Cancel => drop(world.tell(order, cancel())),
        Act::Change => drop(world.tell(order, changes::change(document.as_str(), &[(line, units - 1)]))),
        Act::Retry => drop(world.tell(order, OrderCommand::Retry)),
        Act::TimePasses => world.settle(),
    }
}

/// What the shelves hold is what was put there less what has left; what is held is held for orders, and every order has come to an
/// end or waits for somebody who is named.
fn adds_up(world: &World, pencil: &Pencil, orders: &[OrderKey]) {
    let mut left: BTreeMap<&str, i64> = BTreeMap::new();
    for order in orders {
        let placed = world.orders[order].placed().unwrap();
        let summary = placed.summary();
        world.lines(order);
        for line in &summary.lines {
            let name = NAMES.into_iter().find(|name| *name == line.sku.as_str()).unwrap();
            *left.entry(name).or_default() += line.shipped.units();
            let back = line.restocked.plus(line.scrapped).units();
            let key = (order.clone(), line.line);
            assert_eq!(back, pencil.returned.get(&key).copied().unwrap_or(0), "{order}");
            assert_eq!(
                line.credited.units(),
                pencil.credited.get(&key).copied().unwrap_or(0),
                "{order}"
            );
            assert!(back.max(line.credited.units()) <= line.shipped.units(), "{order}");
        }
        let waits = matches!(
            placed.status,
            Status::Booked | Status::Released | Status::Picked | Status::Backordered | Status::Exception
        );
        assert!(placed.status.is_final() || waits, "{order} is {}", placed.status);
        let held = world.stocks.values().flat_map(StockState::holds);
        let held = held.filter(|(id, _)| id.order == *order);
        let held: i64 = held.map(|(_, hold)| hold.open().units()).sum();
        let known: i64 = placed.allocations.iter().map(|part| part.open().units()).sum();
        assert_eq!(held, known, "{order} is {}", placed.status);
        assert!(
            !placed.status.is_final() || held == 0,
            "{order} is {}",
            placed.status
        );
    }
    let mut of_orders = world.stocks.values().flat_map(StockState::holds);
    assert!(of_orders.all(|(id, _)| orders.contains(&id.order)));
    for name in NAMES {
        let there = world
            .stocks
            .iter()
            .filter(|(stock, _)| stock.sku.as_str() == name);
        let there: i64 = there.map(|(_, state)| state.on_hand.units()).sum();
        let put_down = pencil.put_down.get(name).copied().unwrap_or(0);
        assert_eq!(there, put_down - left.get(name).copied().unwrap_or(0), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_comes_back_is_replaced_or_meddled_with_everything_adds_up(
        supply in proptest::array::uniform2(0_i64..12),
        wishes in proptest::collection::vec((1_i64..8, 1_i64..8, any::<bool>()), 1..4),
        steps in proptest::collection::vec((0_usize..3, acts(), 1_i64..6), 0..40),
        choices in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut world = World::new(Fate { choices, used: 0 });
        let mut pencil = Pencil::default();
        for (name, units) in NAMES.into_iter().zip(supply).filter(|(_, units)| *units > 0) {
            pencil.put(name, units);
            world = world.stock(name, "W1", units);
        }
        let mut orders = Vec::new();
        for (number, (of_a, of_b, partial)) in wishes.into_iter().enumerate() {
            let policy = if partial { Policy::Partial } else { Policy::ShipComplete };
            let wish = request(&[("A", of_a), ("B", of_b)], &["W1"], policy);
            let order = key(&number.to_string());
            world.tell(&order, OrderCommand::Submit(Box::new(wish)));
            orders.push(order);
        }
        for (number, (which, act, units)) in steps.into_iter().enumerate() {
            let order = orders[which % orders.len()].clone();
            happens(&mut world, &mut pencil, &order, act, units, number);
        }
        world.settle();
        adds_up(&world, &pencil, &orders);
    }
}
