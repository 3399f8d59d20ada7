//! The naive model of goods with serial numbers: a card for each piece that says where it is.

use lockstep_actors::ids::{LotCode, OrderKey, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::event::StockEvent;
use lockstep_actors::quantity::PositiveQuantity;
use std::collections::{BTreeMap, BTreeSet};

/// Where a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whereabouts {
    /// There, to be sold.
    At(WarehouseCode),
    /// With the customer of an order.
    LeftWith(OrderKey),
    /// Nobody knows.
    Gone,
}

/// The cards.
#[derive(Debug, Default)]
pub(super) struct PieceModel {
    cards: BTreeMap<(Sku, LotCode), Whereabouts>,
    /// By order: the pieces that have ever left with it.
    left_with: BTreeMap<OrderKey, BTreeSet<LotCode>>,
}

impl PieceModel {
    /// Notes what a decision of a stock came to. `Err` says what cannot be.
    pub(super) fn note(&mut self, id: &StockId, events: &[StockEvent]) -> Result<(), String> {
        let mut shipment = None;
        for event in events {
            if let StockEvent::Shipped { id, quantity, .. } = event {
                shipment = Some((&id.order, quantity.units()));
            }
        }
        let comes_back = events
            .iter()
            .any(|event| matches!(event, StockEvent::Returned { .. }));
        let mut left = 0;
        for event in events {
            if let StockEvent::LotsCame { lots } = event {
                for lot in lots {
                    self.comes(id, &lot.lot, lot.quantity, comes_back)?;
                }
            }
            if let StockEvent::LotsWent { lots } = event {
                for lot in lots {
                    left += lot.quantity.units();
                    self.goes(id, &lot.lot, shipment.map(|(order, _)| order))?;
                }
            }
        }
        match shipment {
            Some((order, units)) if units != left => Err(format!(
                "{units} pieces leave with {order}, and {left} serial numbers are named"
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn comes(
        &mut self,
        id: &StockId,
        piece: &LotCode,
        quantity: PositiveQuantity,
        comes_back: bool,
    ) -> Result<(), String> {
        if quantity != PositiveQuantity::ONE {
            return Err(format!("{} pieces have the number {piece}", quantity.units()));
        }
        let card = (id.sku.clone(), piece.clone());
        match self.cards.insert(card, Whereabouts::At(id.warehouse)) {
            Some(Whereabouts::At(other)) => {
                Err(format!("{piece} comes, and is in {} already", other.as_str()))
            }
            Some(Whereabouts::LeftWith(order)) if !comes_back => {
                Err(format!("{piece} comes anew though it has left with {order}"))
            }
            Some(Whereabouts::LeftWith(_) | Whereabouts::Gone) | None => Ok(()),
        }
    }

    fn goes(&mut self, id: &StockId, piece: &LotCode, order: Option<&OrderKey>) -> Result<(), String> {
        let now = order.map_or(Whereabouts::Gone, |order| Whereabouts::LeftWith(order.clone()));
        let card = (id.sku.clone(), piece.clone());
        let before = self.cards.insert(card, now);
        if before != Some(Whereabouts::At(id.warehouse)) {
            return Err(format!("{piece} leaves, and was {before:?}"));
        }
        if let Some(order) = order {
            self.left_with
                .entry(order.clone())
                .or_default()
                .insert(piece.clone());
        }
        Ok(())
    }

    /// The pieces that are at a place.
    pub(super) fn at(&self, id: &StockId) -> BTreeSet<LotCode> {
        let cards = self.cards.iter();
        let there = Whereabouts::At(id.warehouse);
        cards
            .filter(|((sku, _), whereabouts)| *sku == id.sku && **whereabouts == there)
            .map(|((_, piece), _)| piece.clone())
            .collect()
    }

    /// The pieces that have ever left with an order.
    pub(super) fn left_with(&self, order: &OrderKey) -> BTreeSet<LotCode> {
        self.left_with.get(order).cloned().unwrap_or_default()
    }
}
