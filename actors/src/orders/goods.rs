//! What the lines of an order are about, by the catalogue of the moment at which they are taken.
//!
//! Invariants:
//! - from then on a line is in base units, exactly, and remembers what was ordered;
//! - of a kit it remembers the components: what is held for it is given back and shipped as what it was;
//! - a later change of the catalogue changes no line that was taken before, and makes no other content of a repeat.

use super::command::{OrderLine, OrderRefusal, OrderRequest};
use crate::pricing::catalogue::Item;
use crate::reference::Reference;
use crate::units::{SizedUnit, UnitRefusal};

/// The same lines in base units. Lines that are worded as `taken` ones mean what those do.
///
/// # Errors
/// [`OrderRefusal::Unit`] names the line, and whether its unit or its quantity is at fault.
pub(super) fn take(
    lines: &mut [OrderLine],
    taken: &[OrderLine],
    reference: &Reference,
) -> Result<(), OrderRefusal> {
    for line in lines {
        if let Some(known) = taken.iter().find(|known| known.is_worded_as(line)) {
            line.clone_from(known);
        } else {
            let item = reference.item(&line.sku);
            in_base_units(line, item.as_deref())?;
            line.components = item.map(|item| item.components.clone()).unwrap_or_default();
        }
    }
    Ok(())
}

fn in_base_units(line: &mut OrderLine, item: Option<&Item>) -> Result<(), OrderRefusal> {
    let Some(ordered) = &line.ordered_as else {
        return Ok(());
    };
    let refused = |refusal| OrderRefusal::Unit {
        line: line.line,
        refusal,
    };
    let unit = &ordered.unit;
    let size = item.and_then(|item| item.size_of(unit));
    let size = size.ok_or_else(|| refused(UnitRefusal::Unknown(unit.clone())))?;
    let units = SizedUnit { unit, size }.positive(ordered.quantity);
    line.quantity = units.map_err(refused)?;
    Ok(())
}

/// Whether `sent` says what `taken` said when it came in, whatever the catalogue says by now.
pub(super) fn is_repeat(taken: &OrderRequest, sent: &OrderRequest) -> bool {
    if taken == sent {
        return true;
    }
    let is_worded_alike = taken.lines.len() == sent.lines.len()
        && taken
            .lines
            .iter()
            .zip(&sent.lines)
            .all(|(one, other)| one.is_worded_as(other));
    is_worded_alike
        && *taken
            == OrderRequest {
                lines: taken.lines.clone(),
                ..sent.clone()
            }
}

impl OrderLine {
    /// Whether another line says the same in the same words.
    fn is_worded_as(&self, other: &Self) -> bool {
        let quantity = |line: &Self| match &line.ordered_as {
            Some(ordered) => ordered.quantity,
            None => line.quantity,
        };
        let unit = |line: &Self| line.ordered_as.as_ref().map(|ordered| ordered.unit.clone());
        let words = |line: &Self| {
            (
                line.line,
                line.channel_price,
                line.substitutes,
                quantity(line),
                unit(line),
            )
        };
        self.sku == other.sku && words(self) == words(other)
    }

    /// How many of what its channel's price is for.
    pub(super) fn ordered(&self) -> crate::quantity::PositiveQuantity {
        self.ordered_as
            .as_ref()
            .map_or(self.quantity, |ordered| ordered.quantity)
    }
}
