//! As who an order speaks: whom its stocks, its account and the ERP hear, and in which conversation, when a step is taken up that had
//! to wait.
//!
//! | what makes its time come | as who the order speaks |
//! |---|---|
//! | the clock: a partner that does not answer is asked again | who wanted the present step |
//! | a stock grants what waited, or withdraws what was held | the same |
//! | the account grants credit that there was no room for | the same |
//! | any other message, with what waited for that | who had sent what waited ([`super::parked`]) |
//!
//! The order's own history says what made the time come, all the same.

use super::command::{OrderCommand, StockAnswer};
use super::history::Reasoning;
use super::state::{CreditStanding, OrderState, Placed};
use crate::accounts::command::CreditAnswer;
use lockstep_runtime::message::Provenance;

/// As who an order speaks after a command, if not as who sent it.
pub(super) fn speaks_as(state: &OrderState, command: &OrderCommand) -> Option<Provenance> {
    let placed = state.placed()?;
    let has_come = match command {
        OrderCommand::TakeUp(parked) => return Some(parked.provenance()),
        OrderCommand::StockAnswered(answered) => matches!(answered.answer, StockAnswer::Standing { .. }),
        OrderCommand::CreditAnswered(answered) => {
            answered.answer == CreditAnswer::Granted && placed.credit.standing == CreditStanding::Waiting
        }
        OrderCommand::Submit(_)
        | OrderCommand::Priced(_)
        | OrderCommand::IntroductionAnswered(_)
        | OrderCommand::BookingAnswered(_)
        | OrderCommand::CancelAnswered(_)
        | OrderCommand::PaperAnswered(_)
        | OrderCommand::Change(_)
        | OrderCommand::Relocate(_)
        | OrderCommand::ReleaseToWarehouse
        | OrderCommand::ConfirmPick
        | OrderCommand::Ship { .. }
        | OrderCommand::Pay(_)
        | OrderCommand::Return(_)
        | OrderCommand::Credit(_)
        | OrderCommand::Close
        | OrderCommand::Cancel { .. }
        | OrderCommand::Retry
        | OrderCommand::Correct(_)
        | OrderCommand::Reassign { .. }
        | OrderCommand::Approve { .. }
        | OrderCommand::Dismiss { .. }
        | OrderCommand::Reject { .. }
        | OrderCommand::Show => false,
    };
    has_come.then(|| present_step(placed))
}

/// Who wanted the present step, in which conversation, by which message.
pub(super) fn present_step(placed: &Placed) -> Provenance {
    let mut reasons = placed
        .history
        .iter()
        .rev()
        .filter_map(|step| step.reasoning.as_ref());
    let wanted = reasons.find(|reasoning| reasoning.cause.is_wanted());
    let conversation = |reasoning: &Reasoning| reasoning.correlation.clone();
    Provenance {
        source: wanted.map_or("lockstep".into(), |reasoning| reasoning.by.clone()),
        correlation: wanted
            .and_then(conversation)
            .unwrap_or_else(|| placed.correlation.clone()),
        causation: wanted.and_then(|reasoning| reasoning.causation),
    }
}
