//! Commands whose quantities are in another unit than the SKU's base unit: converted before they are decided.
//!
//! Invariant: what is decided, and all events, are in base units. What a unit is worth is told for a base unit.

use super::command::{HoldStock, ShipQuantity, StockCommand};
use super::count::StockCount;
use super::holds::{HoldChange, HoldLines};
use super::promise::PromiseWish;
use super::reconcile::Snapshot;
use crate::ids::{Sku, UnitOfMeasure};
use crate::pricing::catalogue::Item;
use crate::reference::Reference;
use crate::units::{SizedUnit, UnitRefusal};

/// The same command in base units, by what the catalogue says of the SKU.
pub(super) fn convert(
    sku: &Sku,
    unit: &UnitOfMeasure,
    command: &StockCommand,
    reference: &Reference,
) -> Result<StockCommand, UnitRefusal> {
    let item = reference.item(sku);
    let size = item.as_deref().and_then(|item: &Item| item.size_of(unit));
    let size = size.ok_or_else(|| UnitRefusal::Unknown(unit.clone()))?;
    in_base_units(command, SizedUnit { unit, size })
}

fn in_base_units(command: &StockCommand, sized: SizedUnit<'_>) -> Result<StockCommand, UnitRefusal> {
    let mut converted = command.clone();
    match &mut converted {
        StockCommand::Hold(HoldStock { quantity, .. })
        | StockCommand::Receive { quantity, .. }
        | StockCommand::Demand { quantity, .. }
        | StockCommand::Adjust { quantity, .. }
        | StockCommand::Return { quantity, .. }
        | StockCommand::Promise(PromiseWish { quantity, .. })
        | StockCommand::ChangeHold {
            change: HoldChange::Reduce(quantity),
            ..
        }
        | StockCommand::Ship {
            quantity: ShipQuantity::Total(quantity),
            ..
        } => *quantity = sized.positive(*quantity)?,
        StockCommand::Count(StockCount { on_hand, .. })
        | StockCommand::Reconcile(Snapshot { on_hand, .. })
        | StockCommand::SetSafetyStock { quantity: on_hand }
        | StockCommand::SetBackorderLimit { limit: Some(on_hand) } => {
            *on_hand = sized.base_units(*on_hand)?;
        }
        StockCommand::HoldLines(HoldLines { lines, .. }) => {
            for (_, quantity) in lines {
                *quantity = sized.positive(*quantity)?;
            }
        }
        StockCommand::Expect {
            quantity, received, ..
        } => {
            *quantity = sized.positive(*quantity)?;
            if let Some(received) = received {
                *received = sized.base_units(*received)?;
            }
        }
        StockCommand::Numbered { change, .. } | StockCommand::Versioned { change, .. } => {
            **change = in_base_units(change, sized)?;
        }
        StockCommand::InLots { lots, change, .. } => {
            for lot in lots {
                lot.quantity = sized.positive(lot.quantity)?;
            }
            **change = in_base_units(change, sized)?;
        }
        // Nothing that has a unit.
        StockCommand::ChangeHold {
            change: HoldChange::Expire(_) | HoldChange::Transfer(_),
            ..
        }
        | StockCommand::Ship {
            quantity: ShipQuantity::All,
            ..
        }
        | StockCommand::Release { .. }
        | StockCommand::Picks { .. }
        | StockCommand::ConfirmPick { .. }
        | StockCommand::MoveHold { .. }
        | StockCommand::TakeOver(_)
        | StockCommand::TakenOver { .. }
        | StockCommand::Unexpect { .. }
        | StockCommand::NoDemand { .. }
        | StockCommand::SetBackorderLimit { limit: None }
        | StockCommand::SetChannelPolicy(_)
        | StockCommand::InUnit { .. }
        | StockCommand::Overview
        | StockCommand::Show => {}
    }
    Ok(converted)
}
