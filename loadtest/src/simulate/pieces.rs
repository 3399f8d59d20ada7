//! Goods that are kept by serial number, as the warehouse has them: a piece comes once, stands on one shelf, is put aside for one
//! order, leaves with it, and may come back.
//!
//! Invariant: a piece that is put aside, or of which something is still to be answered, is named for nothing else.

use super::house::{House, Mail, Purpose, everywhere, mail, reason, warehouse};
use super::plant::Plant;
use super::random::Random;
use lockstep_actors::ids::{DocumentId, LotCode, OrderKey, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::command::{Adjustment, Condition, StockCommand, StockReply};
use lockstep_actors::inventory::lots::LotUnits;
use lockstep_actors::orders::command::{LineSummary, OrderReply, OrderSummary, ShipLine};
use lockstep_actors::orders::state::Status;
use lockstep_actors::pricing::catalogue::Tracking;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use std::collections::{BTreeMap, BTreeSet};

/// Goods of which each piece has a serial number.
pub(super) const BY_PIECE: [&str; 2] = ["PIECE-1", "PIECE-2"];
/// How many pieces of each stand in each warehouse when the house opens, and come for everybody when it closes.
const OPENING: usize = 5;
const CLOSING: usize = 150;

/// Whether each piece of it has a serial number.
pub(super) fn is_by_piece(sku: &Sku) -> bool {
    BY_PIECE.contains(&sku.as_str())
}

/// What the warehouse tells of pieces, which is what the answer means to it.
#[derive(Clone, Debug)]
pub(super) enum Tale {
    /// They have come.
    Came(Vec<LotCode>),
    /// One that is there is told to have come, by mistake: nobody may believe it.
    ScannedAgain(LotCode),
    /// It is not there any more.
    Lost(LotCode),
    /// It has come back from an order.
    CameBack(LotCode),
}

/// Why a piece is named for nothing else.
#[derive(Debug)]
enum Aside {
    /// It is to leave with an order; since which of its changes of status, once that is answered.
    For(usize, Option<u32>),
    /// Something told of it is not answered yet.
    Told,
}

/// Where the pieces are.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    numbers: u64,
    tales: u64,
    on_shelf: BTreeMap<StockId, BTreeSet<LotCode>>,
    aside: BTreeMap<LotCode, Aside>,
    /// Those that have left and have not come back: where from and with which order.
    left: Vec<(StockId, LotCode, OrderKey)>,
    /// How often each has left with which order: one that came back may leave with the same order again.
    departures: BTreeMap<(LotCode, OrderKey), usize>,
}

impl Pieces {
    /// What stands on the shelves of a SKU in a warehouse.
    pub(super) fn on_shelf(&self, id: &StockId) -> BTreeSet<LotCode> {
        self.on_shelf.get(id).cloned().unwrap_or_default()
    }

    fn free(&self, id: &StockId) -> impl Iterator<Item = &LotCode> {
        let shelf = self.on_shelf.get(id).into_iter().flatten();
        shelf.filter(|piece| !self.aside.contains_key(*piece))
    }

    /// One that is there and put aside for nothing.
    fn any_free(&self, random: &mut Random) -> Option<(StockId, LotCode)> {
        let free = self
            .on_shelf
            .keys()
            .flat_map(|id| self.free(id).map(move |piece| (id, piece)));
        let free: Vec<_> = free.collect();
        random
            .pick(&free)
            .map(|(id, piece)| ((*id).clone(), (*piece).clone()))
    }

    /// Puts pieces aside for what an order has held of a line, warehouse by warehouse. `None` if they are not all there.
    fn put_aside(&mut self, order: usize, line: &LineSummary, most: i64) -> Option<Vec<LotUnits>> {
        let mut named = Vec::new();
        let mut left = most;
        for (place, held) in &line.reserved_in {
            let wanted = usize::try_from(held.units().min(left)).ok()?;
            let id = StockId {
                sku: line.sku.clone(),
                warehouse: *place,
            };
            let found: Vec<LotCode> = self.free(&id).take(wanted).cloned().collect();
            if found.len() < wanted {
                return None;
            }
            left -= held.units().min(left);
            named.extend(found);
        }
        for piece in &named {
            self.aside.insert(piece.clone(), Aside::For(order, None));
        }
        Some(named.into_iter().map(one).collect())
    }

    /// Puts back what was put aside for an order of which nothing was answered.
    fn put_back(&mut self, order: usize) {
        self.aside
            .retain(|_, aside| !matches!(aside, Aside::For(of, None) if *of == order));
    }

    /// What an order said when it was told that pieces leave with it.
    pub(super) fn are_to_leave(&mut self, order: usize, reply: &OrderReply) {
        match reply {
            OrderReply::Accepted { sequence, .. } => {
                for aside in self.aside.values_mut() {
                    if let Aside::For(of, since @ None) = aside
                        && *of == order
                    {
                        *since = Some(*sequence);
                    }
                }
            }
            OrderReply::Refused(_) => self.put_back(order),
            // It waits with the order.
            OrderReply::Parked { .. } | OrderReply::Ignored | OrderReply::Order(_) => {}
        }
    }

    /// What has become of the pieces that were put aside for an order that stands so.
    pub(super) fn settle(&mut self, order: usize, key: &OrderKey, summary: &OrderSummary) {
        let is_over = matches!(
            summary.status,
            Status::Closed | Status::Cancelled | Status::Rejected
        );
        let is_under_way = matches!(summary.status, Status::Shipping | Status::Exception);
        let settled = |aside: &Aside| match aside {
            Aside::For(of, since) => {
                let is_answered = since.is_some_and(|since| summary.sequence >= since) && !is_under_way;
                *of == order && (is_answered || is_over)
            }
            Aside::Told => false,
        };
        let back: Vec<LotCode> = self
            .aside
            .iter()
            .filter(|(_, aside)| settled(aside))
            .map(|(piece, _)| piece.clone())
            .collect();
        for piece in back {
            self.aside.remove(&piece);
        }
        let mut told: BTreeMap<(&Sku, &LotCode), usize> = BTreeMap::new();
        for line in &summary.lines {
            for lot in &line.lots {
                *told.entry((&line.sku, &lot.lot)).or_default() += 1;
            }
        }
        for ((sku, piece), times) in told {
            self.has_left(sku, piece, key, times);
        }
    }

    /// A piece has left with an order so often by now.
    fn has_left(&mut self, sku: &Sku, piece: &LotCode, order: &OrderKey, times: usize) {
        let departure = (piece.clone(), order.clone());
        // One that has come back since stands on a shelf again.
        let known = self.departures.entry(departure).or_default();
        if *known >= times {
            return;
        }
        *known = times;
        for (id, shelf) in &mut self.on_shelf {
            if id.sku == *sku && shelf.remove(piece) {
                self.left.push((id.clone(), piece.clone(), order.clone()));
            }
        }
    }

    /// What the stock said to what it was told of pieces. `Err` says what it should not have.
    pub(super) fn answered(&mut self, id: &StockId, tale: &Tale, reply: &StockReply) -> Result<(), String> {
        let is_taken = matches!(reply, StockReply::Accepted { .. });
        let shelf = self.on_shelf.entry(id.clone()).or_default();
        match tale {
            Tale::Came(pieces) if is_taken => shelf.extend(pieces.iter().cloned()),
            Tale::CameBack(piece) if is_taken => drop(shelf.insert(piece.clone())),
            Tale::Lost(piece) if is_taken => drop(shelf.remove(piece)),
            Tale::ScannedAgain(piece) if is_taken => return Err(format!("{piece} has come twice")),
            Tale::Came(_) | Tale::CameBack(_) | Tale::Lost(_) | Tale::ScannedAgain(_) => {}
        }
        if let Tale::Lost(piece) | Tale::ScannedAgain(piece) = tale {
            self.aside.remove(piece);
        }
        Ok(())
    }

    fn next_numbers(&mut self, count: usize) -> Option<Vec<LotCode>> {
        let first = self.numbers;
        self.numbers += count as u64;
        (first..self.numbers)
            .map(|number| LotCode::new(&format!("SN-{number:05}")).ok())
            .collect()
    }
}

fn one(lot: LotCode) -> LotUnits {
    LotUnits {
        lot,
        quantity: PositiveQuantity::ONE,
        expires: None,
    }
}

/// How many units the books have more if a tale is taken.
pub(super) fn moved(tale: &Tale) -> i64 {
    match tale {
        Tale::Came(pieces) => i64::try_from(pieces.len()).unwrap_or(i64::MAX),
        Tale::ScannedAgain(_) => 1,
        Tale::Lost(_) => -1,
        // Orders brought it: that is reckoned apart.
        Tale::CameBack(_) => 0,
    }
}

impl House {
    /// What stands on the shelves when the house opens.
    pub(super) fn opening_pieces(&mut self) -> Vec<Mail> {
        self.pieces_everywhere(OPENING)
    }

    /// So many pieces that nobody waits for long.
    pub(super) fn restock_pieces(&mut self) -> Vec<Mail> {
        self.pieces_everywhere(CLOSING)
    }

    fn pieces_everywhere(&mut self, count: usize) -> Vec<Mail> {
        everywhere(&BY_PIECE)
            .into_iter()
            .filter_map(|id| self.pieces_come(id, count))
            .collect()
    }

    fn pieces_come(&mut self, id: StockId, count: usize) -> Option<Mail> {
        let pieces = self.pieces.next_numbers(count)?;
        self.told_of(id, Tale::Came(pieces))
    }

    fn told_of(&mut self, id: StockId, tale: Tale) -> Option<Mail> {
        self.pieces.tales += 1;
        let pieces = match &tale {
            Tale::Came(pieces) => pieces.clone(),
            Tale::ScannedAgain(piece) | Tale::Lost(piece) | Tale::CameBack(piece) => vec![piece.clone()],
        };
        let quantity = PositiveQuantity::new(i64::try_from(pieces.len()).ok()?).ok()?;
        let document = DocumentId::new(&format!("GP-{}", self.pieces.tales)).ok()?;
        let change = match &tale {
            Tale::Came(_) | Tale::ScannedAgain(_) => StockCommand::Receive { quantity, document },
            Tale::Lost(_) => StockCommand::Adjust {
                change: Adjustment::Loss,
                quantity,
                reason: reason("it is not on its shelf")?,
                document: None,
            },
            Tale::CameBack(piece) => {
                let mut left = self.pieces.left.iter();
                let (_, _, order) = left.find(|(_, lot, _)| lot == piece)?;
                StockCommand::Return {
                    quantity,
                    condition: Condition::Sellable,
                    order: Some(order.clone()),
                    document,
                }
            }
        };
        match &tale {
            Tale::ScannedAgain(piece) | Tale::Lost(piece) => {
                self.pieces.aside.insert(piece.clone(), Aside::Told);
            }
            Tale::CameBack(piece) => self.pieces.left.retain(|(_, lot, _)| lot != piece),
            Tale::Came(_) => {}
        }
        let command = StockCommand::InLots {
            lots: pieces.into_iter().map(one).collect(),
            kept: Tracking::None,
            change: Box::new(change),
        };
        Some(mail(
            "wms",
            "pieces",
            (id.clone(), command),
            Purpose::Pieces(id, tale),
        ))
    }

    /// Something happens to pieces.
    pub(super) fn piece_event(&mut self, random: &mut Random) -> Option<Mail> {
        if self.plant == Some(Plant::PieceAnew)
            && let Some((id, piece, _)) = random.pick(&self.pieces.left).cloned()
        {
            return self.told_of(id, Tale::Came(vec![piece]));
        }
        match random.between(0, 10) {
            0 => {
                let (id, piece) = self.pieces.any_free(random)?;
                self.told_of(id, Tale::ScannedAgain(piece))
            }
            1 => {
                let (id, piece) = self.pieces.any_free(random)?;
                self.told_of(id, Tale::Lost(piece))
            }
            2..6 if !self.pieces.left.is_empty() => self.piece_comes_back(random),
            6 => {
                let id = Self::any_place(random)?;
                let message = (id.clone(), StockCommand::Picks { order: None });
                Some(mail("wms", "picks", message, Purpose::Picks(id)))
            }
            _ => {
                let id = Self::any_place(random)?;
                let count = 1 + random.below(6);
                self.pieces_come(id, count)
            }
        }
    }

    /// A piece comes back from its customer, to the warehouse that is next to them.
    pub(super) fn piece_comes_back(&mut self, random: &mut Random) -> Option<Mail> {
        let (from, piece, _) = random.pick(&self.pieces.left).cloned()?;
        let id = StockId {
            sku: from.sku,
            ..Self::any_place(random)?
        };
        self.told_of(id, Tale::CameBack(piece))
    }

    fn any_place(random: &mut Random) -> Option<StockId> {
        Some(StockId {
            sku: Sku::new(random.pick(&BY_PIECE)?).ok()?,
            warehouse: warehouse(u32::try_from(random.between(1, 4)).ok()?)?,
        })
    }

    /// All that is held of an order, with the serial numbers of its pieces. `Err` if they are not there yet; nothing if it has no pieces.
    pub(super) fn with_pieces(&mut self, place: usize, order: &OrderSummary) -> Result<Vec<ShipLine>, ()> {
        let is_open = |line: &&LineSummary| line.reserved > Quantity::ZERO;
        let open: Vec<&LineSummary> = order.lines.iter().filter(is_open).collect();
        if open.iter().all(|line| !is_by_piece(&line.sku)) {
            return Ok(Vec::new());
        }
        let lines: Option<Vec<ShipLine>> = open
            .into_iter()
            .map(|line| self.ship_line(place, line, line.reserved.units()))
            .collect();
        if lines.is_none() {
            self.pieces.put_back(place);
        }
        lines.ok_or(())
    }

    /// So many more of a line leave.
    pub(super) fn ship_line(&mut self, place: usize, line: &LineSummary, more: i64) -> Option<ShipLine> {
        let lots = if is_by_piece(&line.sku) {
            self.pieces.put_aside(place, line, more)?
        } else {
            Vec::new()
        };
        Some(ShipLine {
            components: Vec::new(),
            line: line.line,
            total: PositiveQuantity::new(line.shipped.units() + more).ok()?,
            lots,
        })
    }
}

/// What is wrong with what is to be picked for whom: a piece is for one hold.
pub(super) fn flaw_in_picks(id: &StockId, reply: &StockReply) -> Option<String> {
    let StockReply::Picks(picks) = reply else {
        return Some(format!("asked what is to be picked, {id:?} said {reply:?}"));
    };
    let mut seen = BTreeSet::new();
    let named = picks.iter().flat_map(|pick| &pick.lots);
    let twice = named
        .into_iter()
        .find(|lot| !seen.insert(&lot.lot) || lot.quantity != PositiveQuantity::ONE);
    twice.map(|lot| format!("{} of {} is to be picked twice", lot.lot, id.sku))
}

/// Where pieces can be.
pub(super) fn places() -> impl Iterator<Item = StockId> {
    let codes = ["W1", "W2", "W3"];
    BY_PIECE.iter().flat_map(move |sku| {
        codes.into_iter().filter_map(move |code| {
            Some(StockId {
                sku: Sku::new(sku).ok()?,
                warehouse: WarehouseCode::new(code).ok()?,
            })
        })
    })
}
