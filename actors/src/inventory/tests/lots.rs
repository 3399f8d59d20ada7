//! Lots, their expiry, and serial numbers.

use super::*;
use crate::domain::Message;
use crate::inventory::SkuWarehouse;
use crate::inventory::lots::{Lot, LotRefusal, LotUnits, understand};
use crate::orders::command::{OrderCommand, StockAnswer};
use crate::pricing::catalogue::Tracking;
use crate::reference::Reference;
use lockstep_runtime::entity::{Context, Entity};
use lockstep_runtime::message::{Origin, Provenance};

const DAY: i64 = 86_400_000;
const LOTS: Tracking = Tracking::Lots { last_days_unsold: 10 };

fn code(name: &str) -> LotCode {
    LotCode::new(name).unwrap()
}

/// So many units of a lot that expires after so many days, or never.
fn lot(name: &str, quantity: i64, days: Option<i64>) -> LotUnits {
    LotUnits {
        lot: code(name),
        quantity: positive(quantity),
        expires: days.map(|days| Timestamp::from_millis(days * DAY)),
    }
}

fn receive(quantity: i64) -> StockCommand {
    StockCommand::Receive {
        quantity: positive(quantity),
        document: paper(),
    }
}

fn within(lots: &[LotUnits], change: StockCommand) -> StockCommand {
    StockCommand::InLots {
        lots: lots.into(),
        kept: Tracking::None,
        change: Box::new(change),
    }
}

impl Stock {
    /// Of a SKU that the catalogue keeps like that.
    fn tell_of(&mut self, kept: Tracking, command: &StockCommand) -> Result<StockReply, String> {
        let understood = understand(&self.state, command, || kept).map_err(|refusal| refusal.to_string())?;
        let reply = self.run(understood.as_ref().unwrap_or(command));
        if let StockReply::Refused(refusal) = reply {
            return Err(refusal.to_string());
        }
        Ok(reply)
    }

    fn receive_lots(&mut self, lots: &[LotUnits]) {
        let sum = lots.iter().map(|lot| lot.quantity.units()).sum();
        self.tell_of(LOTS, &within(lots, receive(sum))).unwrap();
    }

    fn in_lots(&self) -> Vec<(String, i64)> {
        let lots = self.state.lots().iter();
        lots.map(|lot| (lot.lot.to_string(), lot.quantity.units()))
            .collect()
    }

    fn picked_from(&self) -> Vec<(String, String, i64)> {
        let picks = self.state.picks();
        let lots = picks
            .iter()
            .flat_map(|pick| pick.lots.iter().map(move |lot| (pick, lot)));
        lots.map(|(pick, lot)| {
            (
                pick.hold.order.number().to_owned(),
                lot.lot.to_string(),
                lot.quantity.units(),
            )
        })
        .collect()
    }
}

fn are(lots: &[(&str, i64)]) -> Vec<(String, i64)> {
    lots.iter()
        .map(|(lot, units)| ((*lot).to_owned(), *units))
        .collect()
}

#[test]
fn the_lot_that_expires_first_leaves_first() {
    let mut stock = Stock::with(0);
    // Sold until 20, 10 and 5 days from the beginning.
    stock.receive_lots(&[lot("C", 5, Some(30)), lot("A", 4, Some(15))]);
    stock.receive_lots(&[lot("B", 3, Some(20))]);
    assert_eq!(stock.in_lots(), are(&[("A", 4), ("B", 3), ("C", 5)]));
    stock.run(&hold("O-1", 6));
    stock.run(&hold("O-2", 2));
    let picks = [("O-1", "A", 4), ("O-1", "B", 2), ("O-2", "B", 1), ("O-2", "C", 1)];
    let picks = picks.map(|(order, lot, units)| (order.to_owned(), lot.to_owned(), units));
    assert_eq!(stock.picked_from(), picks);
    stock.run(&ship("O-1", 5));
    assert_eq!(stock.in_lots(), are(&[("B", 2), ("C", 5)]));
    // The warehouse says that it took another lot.
    let named = within(&[lot("C", 2, None)], ship("O-2", 2));
    assert_eq!(
        stock.tell_of(LOTS, &named),
        Ok(StockReply::Shipped { total: units(2) })
    );
    assert_eq!(stock.in_lots(), are(&[("B", 2), ("C", 3)]));
    // A repeat takes nothing more.
    assert_eq!(
        stock.tell_of(LOTS, &named),
        Ok(StockReply::Shipped { total: units(2) })
    );
    assert_eq!(
        (stock.in_lots(), stock.available()),
        (are(&[("B", 2), ("C", 3)]), 4)
    );
}

#[test]
fn a_lot_beyond_its_time_is_withheld_before_anything_else_is_decided() {
    let mut stock = Stock::with(0);
    stock.receive_lots(&[lot("A", 4, Some(15)), lot("B", 3, Some(20))]);
    stock.at(5 * DAY - 1);
    assert_eq!(stock.available(), 7);
    // Ten days before A expires it is sold no more, whether the alarm went off or not.
    stock.at(5 * DAY);
    let short = StockRefusal::Short {
        asked: positive(4),
        available: units(3),
    };
    assert_eq!(stock.run(&hold("O-1", 4)), StockReply::Refused(short));
    stock.wake();
    assert_eq!(
        (stock.state.on_hand.units(), stock.state.quarantined.units()),
        (7, 4)
    );
    assert_eq!((stock.in_lots(), stock.available()), (are(&[("B", 3)]), 3));
    // What comes too late is withheld when it comes.
    stock.receive_lots(&[lot("A2", 2, Some(15)), lot("C", 1, Some(40))]);
    assert_eq!(
        (stock.in_lots(), stock.available()),
        (are(&[("B", 3), ("C", 1)]), 4)
    );
    assert_eq!(stock.state.quarantined.units(), 6);
}

#[test]
fn an_order_whose_goods_expire_waits_for_others() {
    let mut stock = Stock::with(0);
    stock.receive_lots(&[lot("A", 4, Some(15)), lot("B", 3, Some(20))]);
    stock.run(&wait("O-1", 5, 50));
    assert_eq!(stock.state.hold(&hold_id("O-1")).unwrap().granted, positive(5));
    stock.at(5 * DAY).wake();
    let waits = stock.state.standing(&hold_id("O-1")).unwrap();
    assert_eq!(waits, backordered(3, 2, 1));
    assert_eq!(stock.state.shortfall(), Quantity::ZERO);
    stock.receive_lots(&[lot("C", 9, Some(60))]);
    assert_eq!(stock.state.hold(&hold_id("O-1")).unwrap().granted, positive(5));
}

#[test]
fn lots_that_do_not_fit_the_goods_are_refused_by_name() {
    let mut stock = Stock::with(0);
    stock.receive_lots(&[lot("A", 4, Some(15)), lot("B", 3, Some(20))]);
    stock.run(&hold("O-1", 6));
    let refused = [
        (
            LOTS,
            receive(1),
            "lots: this SKU is kept by lot or serial number; name those of the goods",
        ),
        (
            Tracking::None,
            within(&[lot("A", 1, None)], receive(1)),
            "lots: the catalogue keeps this SKU neither by lot nor by serial number",
        ),
        (
            LOTS,
            within(&[lot("A", 1, None)], receive(2)),
            "lots: they add up to 1, the goods to 2",
        ),
        (
            LOTS,
            within(&[lot("A", 1, None), lot("A", 1, None)], receive(2)),
            "lots: A stands there twice",
        ),
        (
            LOTS,
            within(&[lot("A", 5, None)], ship("O-1", 5)),
            "lots: there are 4 of A, not 5",
        ),
        (
            LOTS,
            within(&[lot("Z", 5, None)], ship("O-1", 5)),
            "lots: there are 0 of Z, not 5",
        ),
        (
            LOTS,
            within(&[lot("A", 1, None)], hold("O-2", 1)),
            "lots: only receipts, returns, adjustments and shipments name lots",
        ),
        (
            Tracking::Serials,
            within(&[lot("S", 2, None)], receive(2)),
            "lots: S is a serial number, which is one unit and there once",
        ),
    ];
    let before = stock.state.clone();
    for (kept, command, reason) in refused {
        assert_eq!(stock.tell_of(kept, &command), Err(reason.to_owned()));
        assert_eq!(stock.state, before);
    }
    assert_eq!(
        stock.state.lots()[0].sell_until,
        Some(Timestamp::from_millis(5 * DAY))
    );
    assert_eq!(
        LotRefusal::Missing.to_string(),
        "lots: this SKU is kept by lot or serial number; name those of the goods"
    );
}

#[test]
fn a_piece_is_known_by_its_serial_number_when_it_comes_and_when_it_leaves() {
    let mut stock = Stock::with(0);
    let pieces = |names: &[&str]| names.iter().map(|name| lot(name, 1, None)).collect::<Vec<_>>();
    let come = within(&pieces(&["S1", "S2", "S3"]), receive(3));
    stock.tell_of(Tracking::Serials, &come).unwrap();
    let again = within(&pieces(&["S2"]), receive(1));
    let twice = "lots: S2 is a serial number, which is one unit and there once";
    assert_eq!(stock.tell_of(Tracking::Serials, &again), Err(twice.to_owned()));
    stock.run(&hold("O-1", 2));
    assert!(
        stock
            .tell_of(Tracking::Serials, &ship("O-1", 2))
            .unwrap_err()
            .contains("name those")
    );
    let named = within(&pieces(&["S1", "S3"]), ship("O-1", 2));
    stock.tell_of(Tracking::Serials, &named).unwrap();
    assert_eq!((stock.in_lots(), stock.available()), (are(&[("S2", 1)]), 1));
    stock.run(&adjust(Adjustment::Loss, 1));
    assert_eq!(stock.in_lots(), []);
    // Without lots a pair has nothing on the heap for them.
    assert!(stock.state.appendix().is_none());
}

#[test]
fn an_order_whose_shipment_names_wrong_lots_is_answered_and_told_which() {
    let ship_of_order = |total| StockCommand::Ship {
        id: hold_id("O-1"),
        quantity: ShipQuantity::Total(positive(total)),
        document: None,
        answer_to: Some(hold_id("O-1").order),
    };
    let cases = [
        (
            within(&[lot("Z", 5, None)], ship_of_order(5)),
            "lots: there are 0 of Z, not 5",
        ),
        (
            within(&[lot("A", 5, None)], ship_of_order(5)),
            "lots: there are 4 of A, not 5",
        ),
        (
            within(&[lot("A", 3, None)], ship_of_order(5)),
            "lots: they add up to 3, the goods to 5",
        ),
    ];
    let told = |decision: &StockDecision| -> Vec<String> {
        let answers = decision.sends.iter().filter_map(|message| {
            let Message::Order(_, OrderCommand::StockAnswered(answered)) = message else {
                return None;
            };
            let StockAnswer::Refused(refusal) = &answered.answer else {
                return None;
            };
            Some(refusal.to_string())
        });
        answers.collect()
    };
    for (command, reason) in cases {
        let mut stock = Stock::with(0);
        stock.receive_lots(&[lot("A", 4, Some(15)), lot("B", 3, Some(20))]);
        stock.run(&hold("O-1", 6));
        let decision = decide(&stock_id(), &stock.state, &command, &stock.rules, stock.now);
        assert_eq!(told(&decision), [reason], "{:?}", decision.reply);
        assert!(decision.events.is_empty());
        // What the catalogue refuses before that is answered as well: here it keeps the SKU by no lot.
        let provenance = Provenance {
            source: "lockstep".into(),
            correlation: "1".into(),
            causation: None,
        };
        let context = Context {
            now: stock.now,
            provenance: &provenance,
            origin: Origin::Alarm,
            reference: &Reference::default(),
        };
        let decision = SkuWarehouse::decide(&stock_id(), &stock.state, &command, &context);
        let not_kept = "lots: the catalogue keeps this SKU neither by lot nor by serial number";
        assert_eq!(told(&decision), [not_kept]);
    }
}

#[test]
fn a_lot_that_was_withheld_comes_back_by_its_name_and_not_beyond_its_time() {
    let missing = "lots: this SKU is kept by lot or serial number; name those of the goods";
    let mut stock = Stock::with(0);
    // It came too late to be sold.
    stock.at(5 * DAY).receive_lots(&[lot("A", 5, Some(12))]);
    assert_eq!(
        stock.tell_of(LOTS, &adjust(Adjustment::Clear, 5)),
        Err(missing.to_owned())
    );
    let other = within(&[lot("B", 5, None)], adjust(Adjustment::Clear, 5));
    let not_there = "lots: there are 0 of B, not 5";
    assert_eq!(stock.tell_of(LOTS, &other), Err(not_there.to_owned()));
    let cleared = within(&[lot("A", 5, None)], adjust(Adjustment::Clear, 5));
    stock.tell_of(LOTS, &cleared).unwrap();
    assert_eq!((stock.available(), stock.state.quarantined.units()), (0, 5));
    assert_eq!(stock.in_lots(), []);
    // One that was withheld in time comes back with its end, whatever is said of it then.
    stock.receive_lots(&[lot("C", 4, Some(60))]);
    let named = |change, units| within(&[lot("C", units, Some(90))], adjust(change, units));
    stock.tell_of(LOTS, &named(Adjustment::Quarantine, 3)).unwrap();
    stock.tell_of(LOTS, &named(Adjustment::Clear, 2)).unwrap();
    assert_eq!((stock.in_lots(), stock.available()), (are(&[("C", 3)]), 3));
    let end = Some(Timestamp::from_millis(50 * DAY));
    assert_eq!(stock.state.lots()[0].sell_until, end);
    // Withheld without its name, it is the one that leaves first, and is known by its name all the same.
    stock.tell_of(LOTS, &adjust(Adjustment::Damage, 3)).unwrap();
    assert_eq!(
        stock.tell_of(LOTS, &adjust(Adjustment::Repair, 3)),
        Err(missing.to_owned())
    );
    stock.tell_of(LOTS, &named(Adjustment::Repair, 3)).unwrap();
    assert_eq!(stock.in_lots(), are(&[("C", 3)]));
    // What lay in no lot needs no name.
    stock.tell_of(LOTS, &adjust(Adjustment::Gain, 2)).unwrap();
    stock.tell_of(LOTS, &adjust(Adjustment::Quarantine, 2)).unwrap();
    stock.tell_of(LOTS, &adjust(Adjustment::Clear, 2)).unwrap();
    assert_eq!((stock.in_lots(), stock.available()), (are(&[("C", 3)]), 5));
    // What is thrown away is forgotten, named or not.
    stock.tell_of(LOTS, &adjust(Adjustment::Condemn, 6)).unwrap();
    stock.tell_of(LOTS, &named(Adjustment::Scrap, 1)).unwrap();
    stock.tell_of(LOTS, &adjust(Adjustment::Scrap, 5)).unwrap();
    assert!(stock.state.appendix().unwrap().withheld.is_empty());
}

#[test]
fn a_piece_that_is_withheld_is_there_and_does_not_come_again() {
    let twice = |name: &str| {
        Err(format!(
            "lots: {name} is a serial number, which is one unit and there once"
        ))
    };
    let piece = |name: &str, change| within(&[lot(name, 1, None)], change);
    let mut stock = Stock::with(0);
    let mut tell = |command: &StockCommand| stock.tell_of(Tracking::Serials, command);
    for name in ["S1", "S2"] {
        tell(&piece(name, receive(1))).unwrap();
    }
    tell(&piece("S1", adjust(Adjustment::Quarantine, 1))).unwrap();
    tell(&piece("S2", adjust(Adjustment::Damage, 1))).unwrap();
    let came_back = StockCommand::Return {
        quantity: positive(1),
        condition: Condition::ToInspect,
        order: None,
        document: paper(),
    };
    tell(&piece("S3", came_back.clone())).unwrap();
    for name in ["S1", "S2", "S3"] {
        assert_eq!(tell(&piece(name, receive(1))), twice(name));
        assert_eq!(tell(&piece(name, came_back.clone())), twice(name));
    }
    tell(&piece("S1", adjust(Adjustment::Clear, 1))).unwrap();
    tell(&piece("S3", adjust(Adjustment::Restock, 1))).unwrap();
    tell(&piece("S2", adjust(Adjustment::Scrap, 1))).unwrap();
    assert_eq!(tell(&piece("S1", receive(1))), twice("S1"));
    tell(&piece("S2", receive(1))).unwrap();
    assert_eq!(stock.in_lots(), are(&[("S1", 1), ("S2", 1), ("S3", 1)]));
}

/// The slow model: every unit by itself, with when it may be sold until, and its lot.
#[derive(Default)]
struct Shelf {
    units: Vec<(Option<i64>, Option<String>)>,
    withheld: i64,
}

impl Shelf {
    fn expire(&mut self, day: i64) {
        let before = self.units.len();
        self.units
            .retain(|(until, _)| until.is_none_or(|until| until > day));
        self.withheld += i64::try_from(before - self.units.len()).unwrap();
    }

    /// What is in no lot leaves first, then what expires first.
    fn leave(&mut self, quantity: i64) {
        for _ in 0..quantity {
            let rank = |unit: &(Option<i64>, Option<String>)| {
                (unit.1.is_some(), unit.0.is_none(), unit.0, unit.1.clone())
            };
            let place = (0..self.units.len()).min_by_key(|place| rank(&self.units[*place]));
            if let Some(place) = place {
                self.units.remove(place);
            }
        }
    }

    fn lots(&self) -> BTreeMap<String, i64> {
        let mut lots = BTreeMap::new();
        for (_, lot) in &self.units {
            if let Some(lot) = lot {
                *lots.entry(lot.clone()).or_default() += 1;
            }
        }
        lots
    }
}

proptest! {
    #[test]
    fn random_histories_with_lots_agree_with_a_shelf_of_single_units(
        steps in proptest::collection::vec((0_u8..8, 0_usize..6, 1_i64..9), 1..80),
    ) {
        let mut stock = Stock::with(0);
        let mut shelf = Shelf::default();
        let mut day = 0;
        for (kind, which, quantity) in steps {
            let order = which.to_string();
            match kind {
                // Six lots, the first two without an end.
                0 | 1 => {
                    let days = (which > 1).then(|| 10 + 12 * i64::try_from(which).unwrap());
                    let name = format!("L{which}");
                    stock.tell_of(LOTS, &within(&[lot(&name, quantity, days)], receive(quantity))).unwrap();
                    let unit = (days.map(|days| days - 10), Some(name));
                    shelf.units.extend(vec![unit; usize::try_from(quantity).unwrap()]);
                }
                2 => {
                    stock.run(&wait(&order, quantity, 50));
                }
                3 => {
                    if let Ok(StockReply::Shipped { .. }) = stock.tell_of(LOTS, &ship(&order, quantity)) {
                        let left = shelf.units.len() - usize::try_from(stock.state.sellable().units()).unwrap();
                        shelf.leave(i64::try_from(left).unwrap());
                    }
                }
                4 => {
                    if stock.tell_of(LOTS, &adjust(Adjustment::Loss, quantity)).is_ok() {
                        shelf.leave(quantity);
                    }
                }
                6 => {
                    // What is withheld here has a lot, and is not for sale without its name.
                    prop_assert!(stock.tell_of(LOTS, &adjust(Adjustment::Clear, quantity)).is_err());
                }
                5 => {
                    stock.run(&adjust(Adjustment::Gain, quantity));
                    shelf.units.extend(vec![(None, None); usize::try_from(quantity).unwrap()]);
                }
                _ => {
                    day += quantity;
                    stock.at(day * DAY).wake();
                }
            }
            shelf.expire(day);
            let state = &stock.state;
            prop_assert_eq!(state.sellable().units(), i64::try_from(shelf.units.len()).unwrap());
            prop_assert_eq!(stock.in_lots().into_iter().collect::<BTreeMap<_, _>>(), shelf.lots());
            prop_assert_eq!(state.quarantined.units(), shelf.withheld);
            prop_assert!(state.in_lots() <= state.sellable());
            prop_assert_eq!(state.in_withheld(), state.quarantined);
            // Each hold is picked from what is there, no unit twice.
            let picked = state.picks();
            for lot in state.lots() {
                let of_lot = picked.iter().flat_map(|pick| &pick.lots).filter(|picked| picked.lot == lot.lot);
                prop_assert!(of_lot.map(|picked| picked.quantity.units()).sum::<i64>() <= lot.quantity.units());
            }
            let mut sorted = state.lots().to_vec();
            sorted.sort_by_key(|lot: &Lot| (lot.sell_until.is_none(), lot.sell_until, lot.lot.clone()));
            prop_assert_eq!(&sorted[..], state.lots());
            let written = rmp_serde::to_vec(state).unwrap();
            prop_assert_eq!(&rmp_serde::from_slice::<StockState>(&written).unwrap(), state);
        }
    }
}
