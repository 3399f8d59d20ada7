//! Changes that change nothing of what a channel shows.

use super::*;
use crate::ids::WarehouseCode;
use crate::quantity::Quantity;

fn account(tells: Tells) -> Account {
    Account::telling(Rule::Concurrent { requests: 1_000 }, 1, 10, Guard::Version, tells)
}

fn unanswered() -> Verdict {
    Verdict::Failed {
        reason: "no answer".into(),
        pause: None,
        certainty: Certainty::Unknown,
    }
}

fn items(verdict: ItemVerdict) -> Verdict {
    Verdict::Items(vec![verdict])
}

/// Each step is what A shows one after the other before anything leaves, and what the channel answers; none if it must not be told.
type Step = (&'static [i64], Option<Verdict>);

#[test]
fn a_change_is_told_if_what_is_shown_changes_or_is_not_known_for_certain() {
    let taken = || Some(items(ItemVerdict::Taken));
    let refused = || Some(items(ItemVerdict::Refused("unknown SKU".into())));
    let cases: Vec<(&str, Tells, Vec<Step>)> = vec![
        (
            "within a band and out of it",
            Tells::Shown,
            vec![
                (&[10], taken()),
                (&[10], None),
                (&[100], taken()),
                (&[100], None),
                (&[10], taken()),
            ],
        ),
        (
            "out of a band and back before anything leaves",
            Tells::Shown,
            vec![(&[10], taken()), (&[100, 0, 10], None), (&[10, 0], taken())],
        ),
        (
            "a request without an answer may have come through",
            Tells::Shown,
            vec![
                (&[10], taken()),
                (&[100], Some(unanswered())),
                (&[10], taken()),
                (&[10], None),
            ],
        ),
        (
            "the channel holds something newer that nobody here has told it",
            Tells::Shown,
            vec![
                (&[10], Some(items(ItemVerdict::Newer))),
                (&[10], taken()),
                (&[10], None),
            ],
        ),
        (
            "the channel would not take the last one",
            Tells::Shown,
            vec![
                (&[10], taken()),
                (&[100], refused()),
                (&[10], taken()),
                (&[10], None),
            ],
        ),
        (
            "a shop lowers what it shows when it sells",
            Tells::All,
            vec![(&[10], taken()), (&[10], taken())],
        ),
    ];
    for (story, tells, steps) in cases {
        let mut account = account(tells);
        for (number, (units, verdict)) in steps.into_iter().enumerate() {
            let now = 10_000 * number as u64;
            units
                .iter()
                .for_each(|units| account.change("A", stock(*units), now));
            let request = account.request(now);
            assert_eq!(request.is_some(), verdict.is_some(), "{story}, step {number}");
            if let (Some(request), Some(verdict)) = (request, verdict) {
                account.answer(request.id, verdict, now);
            }
        }
        let (safe, sequence) = (account.safe(Kind::Stock), account.sequence);
        assert_eq!(
            safe,
            Some(sequence),
            "{story}: the cursor follows what need not be told"
        );
    }
}

#[test]
fn what_one_warehouse_shows_is_part_of_what_is_shown() {
    let of = |by_warehouse: &[(&str, i64)]| {
        let shown =
            |(code, units): &(&str, i64)| (WarehouseCode::new(code).unwrap(), Quantity::new(*units).unwrap());
        Content::Stock(StockShown {
            available: Quantity::new(10).unwrap(),
            by_warehouse: by_warehouse.iter().map(shown).collect(),
        })
    };
    let mut account = account(Tells::Shown);
    for (by_warehouse, is_told) in [
        ([("W1", 10), ("W2", 0)], true),
        ([("W1", 10), ("W2", 0)], false),
        ([("W1", 0), ("W2", 10)], true),
    ] {
        account.change("A", of(&by_warehouse), 0);
        let request = account.request(0);
        assert_eq!(request.is_some(), is_told, "{by_warehouse:?}");
        request
            .into_iter()
            .for_each(|request| account.taken(request.id, 1, 0));
    }
}

/// What is under way when it changes back is what the channel shows next: the base is what it took, not what it had.
#[test]
fn a_change_back_while_the_other_is_under_way_is_told() {
    let mut account = account(Tells::Shown);
    account.change("A", stock(10), 0);
    let (id, _) = account.sent(0);
    account.taken(id, 1, 0);
    account.change("A", stock(0), 1);
    let (id, _) = account.sent(1);
    account.change("A", stock(10), 2);
    assert_eq!(account.request(2), None);
    account.taken(id, 1, 3);
    let (id, names) = account.sent(3);
    account.taken(id, 1, 3);
    assert_eq!(
        (names, account.safe(Kind::Stock)),
        (vec!["A".to_owned()], Some(3))
    );
}

#[test]
fn what_is_shown_is_told_all_the_same_by_a_resync_and_after_a_start() {
    let mut before = account(Tells::Shown);
    before.change("A", stock(10), 0);
    let (id, _) = before.sent(0);
    before.taken(id, 1, 0);
    before.engine.resync(Kind::Stock, vec![key("A")]);
    let (id, _) = before.sent(1);
    before.taken(id, 1, 1);
    // Another process does not know what the channel took: versions go on, and the first change is told.
    let mut after = account(Tells::Shown);
    after.sequence = before.sequence;
    for is_told in [true, false] {
        after.change("A", stock(10), 2);
        let request = after.request(2);
        assert_eq!(request.is_some(), is_told);
        request
            .into_iter()
            .for_each(|request| after.taken(request.id, 1, 2));
    }
    assert_eq!(after.safe(Kind::Stock), Some(3));
}
