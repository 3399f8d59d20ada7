//! What the domain refuses, as a status and a code.

use super::problem::Problem;
use crate::schema::code;
use actix_web::http::StatusCode;
use lockstep_actors::accounts::command::AccountRefusal;
use lockstep_actors::governance::ownership::RefusedWrite;
use lockstep_actors::inventory::command::StockRefusal;
use lockstep_actors::orders::command::OrderRefusal;
use lockstep_actors::pricing::list::PriceRefusal;
use lockstep_actors::pricing::resolve::QuoteRefusal;

/// The code of a write by a system that does not own what it writes.
pub(super) const NOT_OWNER: &str = "not-owner";

/// A write by a system that does not own what it writes; it stands in that system's audit by now.
pub(super) fn not_owner(write: &RefusedWrite) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, NOT_OWNER, write)
}

pub(super) fn order_refusal(refusal: &OrderRefusal) -> Problem {
    let status = match refusal {
        OrderRefusal::UnknownOrder => StatusCode::NOT_FOUND,
        OrderRefusal::Conflict
        | OrderRefusal::NotNow { .. }
        | OrderRefusal::NotMovable { .. }
        | OrderRefusal::InErp
        | OrderRefusal::NotApprovable
        | OrderRefusal::SecondPerson
        | OrderRefusal::BeyondLimit { .. }
        | OrderRefusal::NothingToDismiss
        | OrderRefusal::DocumentConflict { .. }
        | OrderRefusal::MoreThanShipped { .. }
        | OrderRefusal::AlreadyShipped => StatusCode::CONFLICT,
        OrderRefusal::Lines { .. }
        | OrderRefusal::RepeatedLine { .. }
        | OrderRefusal::TooMuch { .. }
        | OrderRefusal::PackMultiple { .. }
        | OrderRefusal::Unit { .. }
        | OrderRefusal::Lots { .. }
        | OrderRefusal::TooManyCoupons
        | OrderRefusal::TooManyDocuments
        | OrderRefusal::PaymentAmount
        | OrderRefusal::Substitute { .. }
        | OrderRefusal::Warehouses
        | OrderRefusal::UnknownLine { .. }
        | OrderRefusal::UnknownComponent { .. }
        | OrderRefusal::MoreThanHeld { .. } => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, &code(refusal), refusal)
}

pub(super) fn stock_status(refusal: &StockRefusal) -> StatusCode {
    match refusal {
        StockRefusal::Short { .. }
        | StockRefusal::Conflict { .. }
        | StockRefusal::Ended { .. }
        | StockRefusal::MoreThanHeld { .. }
        | StockRefusal::Picked
        | StockRefusal::InHand
        | StockRefusal::Moves { .. }
        | StockRefusal::OfAnOrder
        | StockRefusal::Waits
        | StockRefusal::HoldExists
        | StockRefusal::LessThanShipped { .. }
        | StockRefusal::NotThere { .. } => StatusCode::CONFLICT,
        StockRefusal::UnknownHold
        | StockRefusal::AlreadyExpired
        | StockRefusal::OutOfRange { .. }
        | StockRefusal::NotNumbered
        | StockRefusal::RepeatedLine { .. }
        | StockRefusal::Policy(_)
        | StockRefusal::Unit(_)
        | StockRefusal::Lots(_)
        | StockRefusal::OneUnit
        | StockRefusal::UnknownDocument
        | StockRefusal::BackorderExpires
        | StockRefusal::TakenAhead
        | StockRefusal::TooMany { .. } => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

pub(super) fn price_refusal(refusal: &PriceRefusal) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &code(refusal), refusal)
}

pub(super) fn account_status(refusal: &AccountRefusal) -> StatusCode {
    match refusal {
        AccountRefusal::Conflict { .. } | AccountRefusal::TooOld { .. } => StatusCode::CONFLICT,
        AccountRefusal::OtherCurrency { .. }
        | AccountRefusal::Amount { .. }
        | AccountRefusal::TooManyDocuments => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

pub(super) fn account_refusal(refusal: &AccountRefusal) -> Problem {
    Problem::new(account_status(refusal), &code(refusal), refusal)
}

pub(super) fn quote_refusal(refusal: &QuoteRefusal) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &code(refusal), refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_names_of_the_variants() {
        assert_eq!(code(&OrderRefusal::UnknownOrder), "unknown-order");
        assert_eq!(code(&OrderRefusal::RepeatedLine { line: 3 }), "repeated-line");
    }
}
