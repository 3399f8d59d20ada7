//! What channels are shown of goods and kits over several warehouses, against a beginner who reckons all of it anew.

use super::super::SkuWarehouse;
use super::super::allocation::{ChannelClass, ChannelPolicy, Share};
use super::*;
use crate::domain::View;
use crate::kit::Component;
use crate::pricing::catalogue::Item;
use crate::reference::{Published, Reference, StockLevel, publish_view, shown_together};
use lockstep_runtime::entity::Entity;
use lockstep_runtime::message::Sequence;
use std::sync::Arc;

const CHANNELS: [&str; 3] = ["web", "edi", "shop"];
const WAREHOUSES: [&str; 3] = ["W1", "W2", "W3"];
/// Two A and one B make a kit.
const KIT: [(&str, i64); 2] = [("A", 2), ("B", 1)];

fn id(sku: &str, warehouse: &str) -> StockId {
    StockId {
        sku: Sku::new(sku).unwrap(),
        warehouse: WarehouseCode::new(warehouse).unwrap(),
    }
}

/// What a class may take, as the beginner writes it down.
#[derive(Clone, Copy, Default)]
struct Rule {
    protected: i64,
    cap: Option<i64>,
    buffer: i64,
    most: Option<i64>,
}

/// A pair as the beginner keeps it.
#[derive(Clone, Default)]
struct Pair {
    on_hand: i64,
    held: BTreeMap<(usize, usize), i64>,
    /// Of the first two channels; the third one is in no class.
    rules: Option<[Rule; 2]>,
    taken: [i64; 3],
    /// Whether anything has ever happened here.
    is_known: bool,
}

impl Pair {
    fn available(&self) -> i64 {
        self.on_hand - self.held.values().sum::<i64>()
    }

    fn free(&self, channel: usize) -> i64 {
        let Some(rules) = self.rules else {
            return self.available();
        };
        let others = (0..2).filter(|class| *class != channel);
        // No more is kept than the other's cap lets it take.
        let keeps = |class: usize| rules[class].protected.min(rules[class].cap.unwrap_or(i64::MAX));
        let kept: i64 = others
            .map(|class| (keeps(class) - self.taken[class]).max(0))
            .sum();
        let free = (self.available() - kept).max(0);
        let cap = rules.get(channel).and_then(|rule| rule.cap);
        cap.map_or(free, |cap| free.min((cap - self.taken[channel]).max(0)))
    }

    fn rule(&self, channel: usize) -> Rule {
        let rules = self.rules.unwrap_or_default();
        rules.get(channel).copied().unwrap_or_default()
    }

    fn shown(&self, channel: usize) -> i64 {
        let rule = self.rule(channel);
        let shown = (self.free(channel) - rule.buffer).max(0);
        shown.min(rule.most.unwrap_or(i64::MAX))
    }
}

/// What is shown of several warehouses: number and limit of each.
fn together(shown: &[(i64, Option<i64>)]) -> Vec<i64> {
    let most = shown.iter().filter_map(|(_, most)| *most).max().unwrap_or(0);
    let mut left = most;
    let mut result = Vec::new();
    for (here, limit) in shown {
        let here = if limit.is_some() { (*here).min(left) } else { *here };
        if limit.is_some() {
            left -= here;
        }
        result.push(here);
    }
    result
}

/// How many kits there are, made one after the other.
fn kits(units: [i64; 2]) -> i64 {
    let mut units = units;
    let mut kits = 0;
    while units.iter().zip(KIT).all(|(left, (_, needed))| *left >= needed) {
        for (left, (_, needed)) in units.iter_mut().zip(KIT) {
            *left -= needed;
        }
        kits += 1;
    }
    kits
}

fn policy(version: u64, rules: [Rule; 2]) -> StockCommand {
    let class = |place: usize| ChannelClass {
        name: ClassName::new(CHANNELS[place]).unwrap(),
        channels: vec![ChannelName::new(CHANNELS[place]).unwrap()],
        protected: Some(Share::Units(units(rules[place].protected))),
        cap: rules[place].cap.map(|cap| Share::Units(units(cap))),
        buffer: units(rules[place].buffer),
        show_at_most: rules[place].most.map(units),
    };
    StockCommand::SetChannelPolicy(ChannelPolicy {
        version,
        classes: vec![class(0), class(1)],
    })
}

fn levels(reference: &Reference, sku: &str, channel: &str) -> (Vec<StockLevel>, Vec<i64>) {
    let levels = reference.availability_to(&Sku::new(sku).unwrap(), Some(channel));
    let shown = shown_together(&levels, channel);
    (levels, shown.iter().map(|units| units.units()).collect())
}

proptest! {
    #[test]
    fn goods_and_kits_are_shown_as_a_beginner_reckons_them(
        steps in proptest::collection::vec((0_u8..6, 0_usize..6, 0_usize..3, 1_i64..25, 0_usize..4), 1..60),
    ) {
        let reference = Reference::default();
        let components = KIT.map(|(sku, per_kit)| Component { sku: Sku::new(sku).unwrap(), per_kit: positive(per_kit) });
        let item = Item { components: components.to_vec(), ..Item::default() };
        let kit = Published { id: Sku::new("KIT").unwrap(), value: Arc::new(item), sequence: Sequence(1) };
        publish_view(&reference, View::Item(kit));
        let mut stocks: Vec<Stock> = (0..6).map(|_| Stock::with(0)).collect();
        let mut pairs: Vec<Pair> = vec![Pair::default(); 6];
        for (number, (act, place, channel, quantity, order)) in (2..).zip(steps) {
            let (sku, warehouse) = (KIT[place / 3].0, WAREHOUSES[place % 3]);
            let (stock, pair) = (&mut stocks[place], &mut pairs[place]);
            let hold_id = HoldId {
                order: OrderKey::new(CHANNELS[channel], &order.to_string()).unwrap(),
                line: 1,
                // A hold that has ended does not come back.
                attempt: u16::try_from(number).unwrap(),
            };
            match act {
                0 | 1 => {
                    stock.run(&StockCommand::Receive { quantity: positive(quantity), document: paper() });
                    pair.on_hand += quantity;
                }
                2 | 3 => {
                    let granted = quantity.min(pair.free(channel));
                    stock.run(&StockCommand::Hold(HoldStock {
                        id: hold_id, quantity: positive(quantity), mode: HoldMode::Partial, expires: None,
                        priority: Priority::default(), answer_to: None,
                        customer_class: None,
                    }));
                    if granted > 0 {
                        pair.held.insert((channel, number), granted);
                        pair.taken[channel] += granted;
                    }
                }
                4 => {
                    // The oldest hold goes: it ships or is given back.
                    let Some(((channel, number), granted)) = pair.held.pop_first() else { continue };
                    let known = stock.state.holds().find(|(id, _)| {
                        id.attempt == u16::try_from(number).unwrap() && id.order.channel() == CHANNELS[channel]
                    });
                    let hold = known.unwrap().0.clone();
                    let was_counted = stock.state.channels().is_some_and(|book| book.counted.contains_key(&hold));
                    if quantity % 2 == 0 {
                        stock.run(&StockCommand::Ship { id: hold, quantity: ShipQuantity::All, document: None, answer_to: None });
                        pair.on_hand -= granted;
                    } else {
                        stock.run(&StockCommand::Release { id: hold, answer_to: None });
                        if was_counted {
                            pair.taken[channel] -= granted;
                        }
                    }
                }
                _ => {
                    let rule = |more: i64| Rule {
                        protected: (quantity + more) % 7,
                        cap: (order % 2 > 0).then_some(quantity + more + 7),
                        buffer: more % 3,
                        most: (order > 1).then_some(quantity % 9 + more),
                    };
                    let rules = [rule(0), rule(1)];
                    let reply = stock.run(&policy(u64::try_from(number).unwrap(), rules));
                    if !matches!(reply, StockReply::Refused(_)) {
                        pair.rules = Some(rules);
                        pair.taken = [0; 3];
                    }
                }
            }
            if pair.rules.is_none() {
                pair.taken = [0; 3];
            }
            pair.is_known = true;
            let sequence = Sequence(u64::try_from(number).unwrap());
            let view = SkuWarehouse::view(&id(sku, warehouse), &stock.state, sequence).unwrap();
            publish_view(&reference, view);

            for (channel, name) in CHANNELS.into_iter().enumerate() {
                for (which, (sku, _)) in KIT.into_iter().enumerate() {
                    let known: Vec<&Pair> = (0..3).map(|place| &pairs[which * 3 + place]).filter(|pair| pair.is_known).collect();
                    let shown: Vec<_> = known.iter().map(|pair| (pair.shown(channel), pair.rule(channel).most)).collect();
                    prop_assert_eq!(levels(&reference, sku, name).1, together(&shown), "{} {}", sku, name);
                }
                let both = (0..3).map(|place| [&pairs[place], &pairs[3 + place]]);
                let both: Vec<_> = both.filter(|both| both.iter().all(|pair| pair.is_known)).collect();
                let shown: Vec<_> = both.iter().map(|both| {
                    let most = both.iter().zip(KIT).filter_map(|(pair, (_, needed))| Some(pair.rule(channel).most? / needed)).min();
                    (kits(both.map(|pair| pair.shown(channel))), most)
                }).collect();
                let (known, found) = levels(&reference, "KIT", name);
                prop_assert_eq!(found, together(&shown), "kits of {}", name);
                let on_hand: Vec<i64> = both.iter().map(|both| kits(both.map(|pair| pair.on_hand))).collect();
                prop_assert_eq!(known.iter().map(|level| level.on_hand.units()).collect::<Vec<_>>(), on_hand);
            }
        }
    }
}
