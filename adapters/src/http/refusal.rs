//! What the domain refuses, as a status and a code.

use super::problem::Problem;
use crate::schema::{code, field_of_line};
use actix_web::http::StatusCode;
use lockstep_actors::accounts::command::AccountRefusal;
use lockstep_actors::governance::ownership::RefusedWrite;
use lockstep_actors::inventory::command::StockRefusal;
use lockstep_actors::orders::command::OrderRefusal;
use lockstep_actors::pricing::list::{Place, PriceRefusal};
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
        | OrderRefusal::CreditAmount { .. }
        | OrderRefusal::FreightAmount { .. }
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
        | OrderRefusal::PaymentCurrency { .. }
        | OrderRefusal::BelowMinimum { .. }
        | OrderRefusal::Substitute { .. }
        | OrderRefusal::SubstituteOfNothing { .. }
        | OrderRefusal::Warehouses
        | OrderRefusal::UnknownLine { .. }
        | OrderRefusal::UnknownComponent { .. }
        | OrderRefusal::NotServed { .. }
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
        | StockRefusal::NotVersioned
        | StockRefusal::NotServed { .. }
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
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &code(refusal.cause()), refusal);
    problem.field(price_field(refusal))
}

/// The path of what cannot stand. Of many things it is named by its rule, as in `terms[SPRING].until`: where it stood in the
/// request is forgotten by then.
pub(super) fn price_field(refusal: &PriceRefusal) -> String {
    let within = field_within(refusal.cause());
    let PriceRefusal::At { place, .. } = refusal else {
        return within.to_owned();
    };
    let place = match place {
        Place::Row(_) | Place::Edition(_) => return within.to_owned(),
        Place::Term(rule) => format!("terms[{rule}]"),
        Place::Charge(rule) => format!("charges[{rule}]"),
        Place::Ending(rule) => format!("endings[{rule}]"),
        Place::TaxRate(rule) => format!("rates[{rule}]"),
        Place::Exemption(_) => "tax.exemption".to_owned(),
    };
    match within {
        "" => place,
        within => format!("{place}.{within}"),
    }
}

/// The field that is wrong within what cannot stand; empty if it is wrong as a whole.
fn field_within(cause: &PriceRefusal) -> &'static str {
    match cause {
        PriceRefusal::TooManyBreaks | PriceRefusal::BreaksNotRising => "breaks",
        PriceRefusal::NeverInForce => "until",
        PriceRefusal::MaximumBelowMinimum { .. } => "maximum",
        PriceRefusal::EffectOfAnotherStage { .. } => "stage",
        PriceRefusal::WholeMargin { .. } => "effect",
        PriceRefusal::BudgetOfAnotherStage { .. } => "budget",
        PriceRefusal::RebateTiers { .. } => "tiers",
        PriceRefusal::EndingTakesAll { .. } => "less",
        PriceRefusal::TooManyTerms => "terms",
        PriceRefusal::TooManyCharges => "charges",
        PriceRefusal::TooManyEndings => "endings",
        PriceRefusal::TooManyTaxRates | PriceRefusal::TooManyCurrencies => "rates",
        PriceRefusal::CompoundedAgreedPrices => "precedence.agreed",
        PriceRefusal::Components => "components",
        PriceRefusal::TooManyCategories => "categories",
        PriceRefusal::UnitsOfMeasure | PriceRefusal::SameUnit { .. } => "units",
        PriceRefusal::SetWrittenBefore { .. } => "set",
        PriceRefusal::VolumeOutOfRange => "value",
        PriceRefusal::IndexTooOld => "from",
        PriceRefusal::BudgetOutOfRange => "amount",
        PriceRefusal::EditionHasBegun | PriceRefusal::TooManyEditions => "edition",
        PriceRefusal::EditionIncomplete { .. } => "rows",
        PriceRefusal::SameCurrency { .. } => "currency",
        PriceRefusal::TooManyRows
        | PriceRefusal::SameTerm { .. }
        | PriceRefusal::NoSuchParent
        | PriceRefusal::TooManyQuotes
        | PriceRefusal::At { .. } => "",
    }
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

/// Why there is no price. `numbers` are those of the lines, as they were asked for.
pub(super) fn quote_refusal(refusal: &QuoteRefusal, numbers: &[u16]) -> Problem {
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &code(refusal.cause()), refusal);
    problem.field(quote_field(refusal, numbers))
}

fn quote_field(refusal: &QuoteRefusal, numbers: &[u16]) -> String {
    let place = |line| numbers.iter().position(|number| *number == line);
    field_of_line(refusal, refusal.line().and_then(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::ids::{RuleId, Sku};
    use lockstep_actors::quantity::PositiveQuantity;

    #[test]
    fn what_cannot_stand_is_named_by_its_path() {
        let rule = || RuleId::new("SPRING").unwrap();
        let at = |place, refusal| PriceRefusal::At {
            place,
            refusal: Box::new(refusal),
        };
        let cases = [
            (
                at(Place::Term(rule()), PriceRefusal::NeverInForce),
                "terms[SPRING].until",
            ),
            (
                at(Place::Term(rule()), PriceRefusal::SameTerm { rule: rule() }),
                "terms[SPRING]",
            ),
            (
                at(Place::Charge(rule()), PriceRefusal::NeverInForce),
                "charges[SPRING].until",
            ),
            (at(Place::Row(rule()), PriceRefusal::BreaksNotRising), "breaks"),
            (PriceRefusal::TooManyTerms, "terms"),
            (PriceRefusal::NoSuchParent, ""),
        ];
        for (refusal, field) in cases {
            assert_eq!(price_field(&refusal), field, "{refusal}");
        }
        assert_eq!(
            code(at(Place::Term(rule()), PriceRefusal::NeverInForce).cause()),
            "never-in-force"
        );
        let overflow = QuoteRefusal::OfLine {
            line: 20,
            sku: Sku::new("A").unwrap(),
            refusal: Box::new(QuoteRefusal::Overflow),
        };
        assert_eq!(quote_field(&overflow, &[10, 20]), "lines[1]");
        let much = QuoteRefusal::TooMuch {
            line: 10,
            quantity: PositiveQuantity::new(20_000_000).unwrap(),
        };
        assert_eq!(quote_field(&much, &[10, 20]), "lines[0].quantity");
        assert_eq!(quote_field(&QuoteRefusal::TooManyCoupons, &[10]), "coupons");
    }

    #[test]
    fn codes_are_the_names_of_the_variants() {
        assert_eq!(code(&OrderRefusal::UnknownOrder), "unknown-order");
        assert_eq!(code(&OrderRefusal::RepeatedLine { line: 3 }), "repeated-line");
    }
}
