//! Why a rule did not apply, as a person reads it: the reason that is given is the one that counted.

use super::indexed::{cable, published};
use super::*;
use crate::ids::{BudgetId, ExclusiveGroup};
use crate::pricing::budget::{BudgetEvent, BudgetLimit, BudgetState, Limits, PromotionBudget};

fn reasons(case: &Case) -> Vec<(String, String)> {
    let misses = case.misses(1).into_iter();
    misses.map(|(rule, reason)| (rule, reason.to_string())).collect()
}

fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let expected = expected.iter();
    expected
        .map(|(rule, reason)| ((*rule).to_owned(), (*reason).to_owned()))
        .collect()
}

fn expect(what: &str, case: &Case, expected: &[(&str, &str)]) {
    assert_eq!(reasons(case), owned(expected), "{what}");
}

/// Whatever their order; `expected` is sorted.
fn expect_each(case: &Case, expected: &[(&str, &str)]) {
    let mut found = reasons(case);
    found.sort();
    assert_eq!(found, owned(expected));
}

fn promotion(rule: &str, percent: &str) -> Term {
    discount(rule, Scope::Everything, percent).at(Stage::Promotion)
}

fn grouped(term: Term) -> Term {
    term.with(|conditions| conditions.group = Some(ExclusiveGroup::new("spring").unwrap()))
}

fn ranked(term: Term, priority: u16) -> Term {
    term.with(|conditions| conditions.priority = priority)
}

#[test]
fn a_nearer_level_hides_what_stands_behind_it() {
    let mut case = Case::flat("100")
        .agreement("group", None, [promotion("group", "10")])
        .on("group")
        .terms([promotion("account", "5")])
        .combined(Combination::BestOf);
    expect("side by side", &case, &[("account", "group came before it")]);
    let precedence = case.contract.precedence.as_mut().unwrap();
    precedence.promotion.inheritance = Inheritance::Nearest;
    expect(
        "nearest",
        &case,
        &[("group", "account of a nearer level hides it")],
    );
}

#[test]
fn a_bound_is_passed_or_stands_behind_another() {
    let floor = |rule: &str, at: &str| bound(rule, Stage::Floor, Bound::Price(price(at)), Breach::Adjust);
    let case = Case::flat("100").terms([ranked(floor("first", "80"), 1), floor("second", "120")]);
    let expected = [
        ("first", "the price does not pass it"),
        ("second", "first came before it"),
    ];
    assert_eq!(case.amount(1), decimal("100"));
    expect_each(&case, &expected);
}

#[test]
fn an_index_that_leaves_nothing_says_so() {
    let case = published(Case::flat("100.00").terms([cable()]), &[(0, "1458", 1)]);
    let reason = "at the index LME-CU of 1458 it would be 0 or less";
    expect("below zero", &case, &[("cable", reason)]);
}

#[test]
fn of_a_group_the_first_that_lowers_the_amount_comes_before_the_others() {
    let case = Case::flat("100")
        .terms([
            grouped(promotion("a", "30")),
            grouped(promotion("b", "20")),
            ranked(promotion("c", "10"), 0),
            ranked(fixed("d", Scope::Everything, "120", &[]).at(Stage::Promotion), 9),
        ])
        .combined(Combination::CompoundWithin);
    // 10 % and 20 %.
    assert_eq!(case.amount(1), decimal("72"));
    expect(
        "a group",
        &case,
        &[("a", "b came before it"), ("d", "it would not lower the amount")],
    );
}

#[test]
fn a_compounded_promotion_whose_turn_lowers_nothing_was_outranked_by_nobody() {
    let case = Case::flat("100")
        .terms([
            promotion("b", "20"),
            fixed("a", Scope::Everything, "90", &[]).at(Stage::Promotion),
        ])
        .combined(Combination::CompoundWithin);
    assert_eq!(case.amount(1), decimal("80"));
    expect("80 by then", &case, &[("a", "it would not lower the amount")]);
}

#[test]
fn of_several_priorities_each_names_the_one_that_won_in_its_own() {
    let case = Case::flat("100")
        .terms([
            ranked(promotion("a", "10"), 9),
            ranked(promotion("b", "20"), 9),
            ranked(promotion("c", "5"), 1),
            ranked(promotion("d", "2"), 1),
        ])
        .combined(Combination::CompoundAcross);
    // 20 %, then 5 %.
    assert_eq!(case.amount(1), decimal("76"));
    expect(
        "across",
        &case,
        &[("a", "b came before it"), ("d", "c came before it")],
    );
}

fn limited(case: Case, budget: &str, limits: Limits) -> Case {
    let mut state = BudgetState::default();
    PromotionBudget::apply(&mut state, &BudgetEvent::Limited { limits, version: 1 });
    let id = BudgetId::new(budget).unwrap();
    let view = PromotionBudget::view(&id, &state, Sequence(1)).unwrap();
    publish_view(&case.reference, view);
    case
}

#[test]
fn a_budget_is_spent_was_never_set_or_is_in_another_currency() {
    let budgeted = |rule: &str| {
        let budget = BudgetId::new(rule).unwrap();
        promotion(rule, "10").with(|conditions| conditions.budget = Some(budget))
    };
    let of = |value: &str, code: &str| Limits {
        amount: Some(BudgetLimit {
            value: decimal(value),
            currency: currency(code),
        }),
        ..Limits::default()
    };
    let case = Case::flat("100").terms([budgeted("never"), budgeted("spent"), budgeted("dollars")]);
    let case = limited(limited(case, "spent", of("0", "EUR")), "dollars", of("9", "USD"));
    let expected = [
        (
            "dollars",
            "its budget dollars is in USD, not in the contract's currency",
        ),
        ("never", "its budget never was not set yet"),
        ("spent", "its budget spent is spent"),
    ];
    expect_each(&case, &expected);
}

#[test]
fn what_is_not_in_force_says_from_and_until_when() {
    let mut coming = promotion("coming", "10");
    coming.effective.from = Some(Timestamp::from_millis(1_782_864_000_000));
    let gone = promotion("gone", "20").until(0);
    let case = Case::flat("100").terms([coming, gone]);
    let expected = [
        ("coming", "it is in force from 2026-07-01T00:00:00Z on"),
        ("gone", "it was in force until 1970-01-01T00:00:00Z"),
    ];
    expect_each(&case, &expected);
}

#[test]
fn near_misses_that_are_too_many_to_tell_are_counted() {
    let of = |count: usize| {
        let terms: Vec<_> = (0..count)
            .map(|number| promotion(&format!("gone-{number}"), "5").until(0))
            .collect();
        let line = Case::flat("100")
            .terms(terms)
            .quote(1, 0, Detail::NearMisses)
            .unwrap();
        (line.near_misses.len(), line.near_misses_left_out)
    };
    assert_eq!(
        [of(31), of(32), of(33), of(40)],
        [(31, 0), (32, 0), (32, 1), (32, 8)]
    );
}
