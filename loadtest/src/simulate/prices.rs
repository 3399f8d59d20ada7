//! Whether a price is explained: every step begins where the one before ended, names its rule, and they add up.

use lockstep_actors::pricing::resolve::{Quote, StepKind};
use rust_decimal::Decimal;

/// What is wrong with the explanation of a price, if anything is.
pub(super) fn flaw(quote: &Quote) -> Option<String> {
    for line in &quote.lines {
        let mut reached = Decimal::ZERO;
        for step in &line.waterfall {
            if step.before != reached {
                return Some(format!(
                    "line {}: a step begins at {}, not {reached}",
                    line.line, step.before
                ));
            }
            let needs_rule = !matches!(step.kind, StepKind::Rounding | StepKind::StatedPrice);
            if needs_rule && step.rule.is_none() {
                return Some(format!("line {}: {:?} names no rule", line.line, step.kind));
            }
            reached = step.after;
        }
        if reached != line.amount {
            return Some(format!(
                "line {}: the steps come to {reached}, not {}",
                line.line, line.amount
            ));
        }
    }
    let goods: Decimal = quote.lines.iter().map(|line| line.amount).sum();
    let mut reached = Decimal::ZERO;
    for (place, step) in quote.order.iter().enumerate() {
        if step.before != reached {
            return Some(format!(
                "a step to the total begins at {}, not {reached}",
                step.before
            ));
        }
        if place == 0 && step.after != goods {
            return Some(format!("the goods come to {goods}, not {}", step.after));
        }
        reached = step.after;
    }
    let total = if quote.order.is_empty() { goods } else { reached };
    (total != quote.total.amount).then(|| format!("the steps come to {total}, not {}", quote.total.amount))
}
