//! Requests that others make on the account.

use super::*;

fn permitted(account: &mut Account, now: u64) -> RequestId {
    match account.wait(now) {
        Next::Permit(id) => id,
        other @ (Next::Send(_) | Next::WaitUntil(_) | Next::Rest) => panic!("{other:?}"),
    }
}

/// Ten units at once and one a second: what others do is drawn from the same bucket, and learnt from in the same way.
#[test]
fn a_permit_draws_on_the_limits_of_its_operation() {
    let mut account = Account::new(bucket(10, 1), 5, 1);
    let start = 20_000;
    account.engine.want("read", at(start)).unwrap();
    let first = permitted(&mut account, start);
    account.change("A", stock(1), start);
    let (second, names) = account.sent(start);
    assert_eq!(names, ["A"]);
    account.engine.want("read", at(start)).unwrap();
    assert_eq!(account.wait(start), Next::Rest, "ten are reserved");
    account.answer(first, Verdict::Items(Vec::new()), start);
    account.taken(second, 1, start);
    assert_eq!(account.wait(start), Next::WaitUntil(at(start + 5_000)));
    let third = permitted(&mut account, start + 5_000);
    let drawn = |account: &Account| account.engine.report(at(start + 5_000)).limits[0].drawn;
    assert_eq!(drawn(&account), 10);
    let answer = Answer {
        verdict: Verdict::Items(Vec::new()),
        observations: vec![Observation::Cost {
            limit: "limit".into(),
            requested: 5,
            actual: 2,
        }],
    };
    account.engine.answer(third, &answer, 0, at(start + 5_000));
    assert_eq!(drawn(&account), 7, "what it did not need is there again");
    assert!(account.engine.want("no-such", at(start)).is_err());
}

#[test]
fn what_is_sold_out_goes_before_a_permit_and_the_routine_behind_it() {
    let mut account = Account::new(bucket(100, 1), 1, 1);
    let start = 200_000;
    for (name, units) in [("SOLD-OUT", 10), ("ROUTINE", 10)] {
        account.change(name, stock(units), start);
        let (id, _) = account.sent(start);
        account.taken(id, 1, start);
    }
    account.change("ROUTINE", stock(50), start);
    account.engine.want("read", at(start)).unwrap();
    account.change("SOLD-OUT", stock(0), start);
    assert_eq!(account.sent(start).1, ["SOLD-OUT"]);
    permitted(&mut account, start);
    assert_eq!(account.sent(start).1, ["ROUTINE"]);
}

#[test]
fn a_permit_that_was_passed_over_too_often_goes_next() {
    let mut account = Account::new(bucket(100, 1), 1, 1);
    let start = 200_000;
    let names: Vec<String> = (0..20).map(|n| format!("S{n}")).collect();
    account.engine.want("read", at(start)).unwrap();
    for name in &names {
        account.change(name, stock(0), start);
    }
    let mut before = 0;
    while let Next::Send(_) = account.wait(start) {
        before += 1;
    }
    assert_eq!(before, MAX_PASSED);
}

#[test]
fn others_are_held_back_by_breaker_throttle_and_pause() {
    let mut account = Account::free(1);
    let want = |account: &mut Account, now| account.engine.want("read", at(now)).unwrap();
    want(&mut account, 0);
    let id = permitted(&mut account, 0);
    let pause = Some(at(3_000));
    account.answer(id, Verdict::Throttled { pause }, 0);
    want(&mut account, 0);
    assert_eq!(account.wait(0), Next::WaitUntil(at(3_000)));
    account.engine.pause(true);
    assert_eq!(account.wait(3_000), Next::Rest);
    account.engine.pause(false);
    let id = permitted(&mut account, 3_000);
    account.answer(id, Verdict::Items(Vec::new()), 3_000);
    account.answer(id, Verdict::Items(Vec::new()), 3_000);
    let operations = account.engine.report(at(3_000)).operations;
    let read = operations.iter().find(|operation| operation.name == "read");
    assert_eq!(read.map(|read| (read.requests, read.throttled)), Some((2, 1)));
}
