//! The rules of the engine, one table or story each.

mod orders;
mod permits;
mod shown;

use super::simulation::{price, stock};
use super::*;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use std::collections::HashMap;

const P: PartitionId = PartitionId(0);

fn at(milliseconds: u64) -> Moment {
    Duration::from_millis(milliseconds)
}

fn key(name: &str) -> Key {
    Key(name.into())
}

fn mark(sequence: u64) -> Mark {
    Mark {
        partition: P,
        sequence: Sequence(sequence),
    }
}

fn bucket(burst: u64, refill: u64) -> Rule {
    Rule::Bucket {
        burst,
        refill,
        per: at(1_000),
    }
}

fn operation(name: &str, limit: &str, per_request: u64, max_items: usize) -> Operation {
    Operation {
        name: name.into(),
        draws: vec![Draw {
            limit: limit.into(),
            per_request,
            per_item: 0,
        }],
        max_items,
        max_bytes: 0,
        item_bytes: 0,
        linger: Duration::ZERO,
    }
}

fn plan(kind: Kind, write: &str, guard: Guard) -> LanePlan {
    LanePlan {
        kind,
        write: write.into(),
        read: None,
        poll: None,
        guard,
        final_word_within: at(60_000),
        tells: Tells::default(),
        bulk: None,
    }
}

/// An account with stock and prices, and what is true.
struct Account {
    engine: Engine,
    truth: Truth,
    sequence: u64,
}

#[derive(Default)]
struct Truth(HashMap<(Kind, Key), Newest>);

impl Source for Truth {
    fn newest(&self, kind: Kind, key: &Key) -> Option<Newest> {
        self.0.get(&(kind, key.clone())).cloned()
    }
}

impl Account {
    fn new(rule: Rule, per_request: u64, batch: usize) -> Self {
        Self::guarded(rule, per_request, batch, Guard::Version)
    }

    fn guarded(rule: Rule, per_request: u64, batch: usize, guard: Guard) -> Self {
        Self::telling(rule, per_request, batch, guard, Tells::All)
    }

    fn telling(rule: Rule, per_request: u64, batch: usize, guard: Guard, tells: Tells) -> Self {
        let allowance = Allowance {
            limits: vec![("limit".into(), rule)],
            operations: vec![
                operation("stock", "limit", per_request, batch),
                operation("price", "limit", per_request, batch),
                operation("read", "limit", per_request, batch),
                operation("poll", "limit", per_request, batch),
            ],
        };
        let mut stock = plan(Kind::Stock, "stock", guard);
        stock.tells = tells;
        stock.read = Some("read".into());
        stock.poll = Some("poll".into());
        let plans = [stock, plan(Kind::Price, "price", guard)];
        Self {
            engine: Engine::new(&allowance, &plans, at(0)).unwrap(),
            truth: Truth::default(),
            sequence: 0,
        }
    }

    /// As many requests as one likes.
    fn free(batch: usize) -> Self {
        Self::new(Rule::Concurrent { requests: 1_000 }, 1, batch)
    }

    fn change(&mut self, name: &str, content: Content, now: u64) {
        self.sequence += 1;
        let (kind, measure) = (content.kind(), content.measure());
        let newest = Newest {
            version: self.sequence,
            content,
        };
        self.truth.0.insert((kind, key(name)), newest);
        let mark = mark(self.sequence);
        self.engine
            .mark(kind, &key(name), Some(mark), Some(measure), at(now));
    }

    fn request(&mut self, now: u64) -> Option<Request> {
        match self.engine.next(at(now), &self.truth) {
            Next::Send(request) => Some(request),
            Next::Permit(_) | Next::WaitUntil(_) | Next::Rest => None,
        }
    }

    /// The request that leaves now, and what it carries.
    fn sent(&mut self, now: u64) -> (RequestId, Vec<String>) {
        let request = self.request(now).expect("a request");
        let names = match request.work {
            Work::Write(_, items) => items.into_iter().map(|item| item.key.to_string()).collect(),
            Work::Read(_, keys) => keys
                .into_iter()
                .map(|key| format!("{} {key}", request.operation))
                .collect(),
            Work::Poll(_, sent) => sent
                .into_iter()
                .map(|(key, _)| format!("{} {key}", request.operation))
                .collect(),
        };
        (request.id, names)
    }

    fn answer(&mut self, id: RequestId, verdict: Verdict, now: u64) {
        self.engine.answer(id, &verdict.into(), 0, at(now));
    }

    fn taken(&mut self, id: RequestId, items: usize, now: u64) {
        self.answer(id, Verdict::Items(vec![ItemVerdict::Taken; items]), now);
    }

    fn safe(&mut self, kind: Kind) -> Option<u64> {
        self.engine.safe(kind).first().map(|mark| mark.sequence.0)
    }

    fn wait(&mut self, now: u64) -> Next {
        self.engine.next(at(now), &self.truth)
    }
}

#[test]
fn s51_a_thousand_changes_of_a_sku_send_the_last_one_and_one_is_under_way() {
    let mut account = Account::free(10);
    account.change("A", stock(1_000), 0);
    let (id, _) = account.sent(0);
    for n in 0..1_000 {
        account.change("A", stock(2_000 + n), 1);
        assert_eq!(account.wait(1), Next::Rest);
    }
    assert_eq!(account.safe(Kind::Stock), Some(0));
    account.taken(id, 1, 2);
    let request = account.request(2).unwrap();
    let Work::Write(Kind::Stock, items) = &request.work else {
        panic!("{request:?}");
    };
    assert_eq!((items.len(), &items[0].content), (1, &stock(2_999)));
    account.taken(request.id, 1, 3);
    assert_eq!(account.safe(Kind::Stock), Some(1_001));
    assert_eq!(account.wait(3), Next::Rest);
}

/// 250,000 SKUs in calls of 250 at 10 points each and 100 points a second: 1,000 calls in about 100 s, none too much.
#[test]
fn s52_a_full_catalogue_on_a_standard_shop() {
    let mut account = Account::new(bucket(2_000, 100), 10, 250);
    let keys: Vec<Key> = (0..250_000).map(|n| key(&format!("S{n}"))).collect();
    for key in &keys {
        let newest = Newest {
            version: 1,
            content: stock(10),
        };
        account.truth.0.insert((Kind::Stock, key.clone()), newest);
    }
    account.engine.introduce(Kind::Stock, keys, &[mark(1)]);
    let (mut now, mut calls, mut level, mut last) = (0_u64, 0, 0_u64, 0_u64);
    loop {
        match account.wait(now) {
            Next::Send(request) => {
                // The platform's bucket, in points times 1,000.
                level = level.saturating_sub((now - last) * 100) + 10_000;
                last = now;
                assert!(level <= 2_000_000, "call {calls} at {now} ms is one too many");
                calls += 1;
                assert_eq!(account.safe(Kind::Stock), None, "not before everything is told");
                account.taken(request.id, 250, now);
            }
            Next::WaitUntil(moment) => now = u64::try_from(moment.as_millis()).unwrap() + 1,
            Next::Permit(_) | Next::Rest => break,
        }
    }
    assert_eq!(calls, 1_000);
    assert!((99_000..101_500).contains(&now), "{now} ms");
    assert_eq!(account.safe(Kind::Stock), Some(1));
}

/// Two feed windows of five feeds in 5 min: ten feeds of 25,000 take the time of one window and a bit.
#[test]
fn s52_a_full_catalogue_by_feeds() {
    let feeds = Rule::Window {
        units: 5,
        per: at(300_000),
        reserved_for_urgent: 0,
    };
    let mut account = Account::new(feeds, 1, 25_000);
    let keys: Vec<Key> = (0..250_000).map(|n| key(&format!("S{n}"))).collect();
    for key in &keys {
        let content = stock(10);
        let newest = Newest { version: 1, content };
        account.truth.0.insert((Kind::Stock, key.clone()), newest);
    }
    account.engine.introduce(Kind::Stock, keys, &[mark(1)]);
    let (mut now, mut moments) = (0_u64, Vec::new());
    loop {
        match account.wait(now) {
            Next::Send(request) => {
                moments.push(now);
                account.taken(request.id, 25_000, now);
            }
            Next::WaitUntil(moment) => now = u64::try_from(moment.as_millis()).unwrap() + 1,
            Next::Permit(_) | Next::Rest => break,
        }
    }
    let first = moments.iter().filter(|moment| **moment < 300_000).count();
    assert_eq!((moments.len(), first), (10, 5));
    assert!(moments.iter().all(|moment| *moment < 306_000), "{moments:?}");
}

#[test]
fn s53_a_channel_that_asks_for_30_s_gets_them_and_keeps_one_entry_a_key() {
    let mut account = Account::new(bucket(10, 10), 1, 10);
    account.change("A", stock(10), 0);
    let (id, _) = account.sent(200);
    let pause = Some(Duration::from_secs(30));
    account.answer(id, Verdict::Throttled { pause }, 250);
    for n in 0..1_000 {
        account.change("A", stock(100 + n), 300);
    }
    account.change("P", price(100), 300);
    assert_eq!(account.engine.report(at(300)).lanes[1].untold, 1);
    assert!(account.request(30_249).is_none());
    let (_, names) = account.sent(30_400);
    assert_eq!(
        (names.as_slice(), account.sent(30_400).1),
        (&["A".to_owned()][..], vec!["P".to_owned()])
    );
}

#[test]
fn s54_of_a_batch_of_250_three_fail_and_only_they_go_again() {
    let mut account = Account::free(250);
    for n in 0..250 {
        account.change(&format!("S{n:03}"), stock(100), 0);
    }
    let (id, names) = account.sent(0);
    let verdict = |name: &String| match name.as_str() {
        "S017" => ItemVerdict::Refused("unknown SKU".into()),
        "S100" | "S200" => ItemVerdict::Failed("busy".into()),
        _ => ItemVerdict::Taken,
    };
    account.answer(id, Verdict::Items(names.iter().map(verdict).collect()), 10);
    assert_eq!(
        account.wait(10),
        Next::WaitUntil(at(60)),
        "half of 100 ms at least"
    );
    let (id, mut names) = account.sent(60);
    names.sort();
    assert_eq!(names, ["S100", "S200"]);
    let exceptions: Vec<_> = account.engine.exceptions(Kind::Stock).collect();
    assert_eq!(exceptions.len(), 1);
    assert_eq!(
        (&exceptions[0].0.0[..], &exceptions[0].1.reason[..]),
        ("S017", "unknown SKU")
    );
    account.taken(id, 2, 70);
    assert_eq!(
        account.safe(Kind::Stock),
        Some(250),
        "what is refused holds nobody back"
    );
    account.change("S017", stock(7), 80);
    let (id, _) = account.sent(80);
    account.taken(id, 1, 90);
    assert_eq!(account.engine.exceptions(Kind::Stock).count(), 0, "it was taken");
}

#[test]
fn s54_a_request_refused_as_a_whole_is_halved_until_the_item_is_found() {
    let mut account = Account::free(8);
    for n in 0..8 {
        account.change(&format!("S{n}"), stock(100), 0);
    }
    let mut requests = 0;
    while let Some(request) = account.request(1_000) {
        requests += 1;
        let Work::Write(_, items) = request.work else {
            panic!()
        };
        if items.iter().any(|item| item.key == key("S5")) {
            let reason = "the body is invalid".to_owned();
            account.answer(request.id, Verdict::Refused { reason }, 1_000);
        } else {
            account.taken(request.id, items.len(), 1_000);
        }
    }
    let names: Vec<_> = account
        .engine
        .exceptions(Kind::Stock)
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(names, ["S5"]);
    assert!(requests <= 8, "{requests} requests for one bad item of eight");
    assert_eq!(account.safe(Kind::Stock), Some(8));
}

#[test]
fn s55_the_price_is_confirmed_before_the_quantity_rises() {
    let mut account = Account::free(10);
    account.change("A", stock(0), 0);
    account.change("A", price(555), 0);
    while let Some(request) = account.request(0) {
        account.taken(request.id, 1, 0);
    }
    account.change("A", stock(5), 10);
    account.change("A", price(777), 10);
    let request = account.request(10).unwrap();
    assert_eq!(request.operation, "price");
    assert_eq!(account.wait(11), Next::Rest, "the quantity waits for the price");
    account.taken(request.id, 1, 12);
    let request = account.request(12).unwrap();
    assert_eq!(request.operation, "stock");
    account.taken(request.id, 1, 13);
    // The other way round: what falls waits for no price.
    account.change("A", price(999), 20);
    account.change("A", stock(3), 20);
    assert_eq!(
        account.request(20).map(|request| request.operation),
        Some("stock".into())
    );
}

#[test]
fn s55_a_price_that_is_refused_does_not_hold_the_quantity_back_for_ever() {
    let mut account = Account::free(10);
    account.change("A", price(777), 0);
    account.change("A", stock(50), 0);
    let (id, _) = account.sent(0);
    account.answer(
        id,
        Verdict::Items(vec![ItemVerdict::Refused("too high".into())]),
        1,
    );
    assert_eq!(
        account.request(1).map(|request| request.operation),
        Some("stock".into())
    );
}

#[test]
fn s55_a_price_that_needs_not_be_told_does_not_hold_the_quantity_back() {
    let mut account = Account::free(10);
    account.change("A", price(777), 0);
    let (id, _) = account.sent(0);
    account.taken(id, 1, 1);
    // It is read from the journal a second time, after what it says has been sent.
    let measure = Some(price(777).measure());
    account
        .engine
        .mark(Kind::Price, &key("A"), Some(mark(2)), measure, at(2));
    account.change("A", stock(50), 2);
    let next = account.request(2).map(|request| request.operation);
    assert_eq!(next, Some("stock".into()));
}

#[test]
fn s55_a_change_to_zero_overtakes_everything_that_waits() {
    let mut account = Account::new(bucket(1, 1), 1, 2);
    for n in 0..100 {
        account.change(&format!("S{n}"), stock(1_000), n);
    }
    account.change("Z", stock(0), 500);
    let (id, names) = account.sent(1_000);
    assert_eq!(names[0], "Z");
    account.taken(id, 2, 1_000);
}

#[test]
fn urgency_is_what_a_merchandiser_would_say() {
    let units = |units| Measure::Units(units);
    let amount = |cents| price(cents).measure();
    let cases = [
        ("sold out", units(0), Some(units(7)), Urgency::SoldOut),
        (
            "sold out, and nobody knows what is shown",
            units(0),
            None,
            Urgency::SoldOut,
        ),
        ("still sold out", units(0), Some(units(0)), Urgency::Routine),
        ("5 of 6 left", units(5), Some(units(6)), Urgency::OversellRisk),
        ("half is gone", units(50), Some(units(100)), Urgency::OversellRisk),
        ("a little is gone", units(99), Some(units(100)), Urgency::Routine),
        ("more than is shown", units(3), Some(units(2)), Urgency::Routine),
        (
            "few, and nobody knows what is shown",
            units(5),
            None,
            Urgency::OversellRisk,
        ),
        ("cheaper", amount(999), Some(amount(1_000)), Urgency::PriceDrop),
        ("dearer", amount(1_001), Some(amount(1_000)), Urgency::Routine),
        ("a first price", amount(1_001), None, Urgency::Routine),
    ];
    for (story, newest, shown, expected) in cases {
        assert_eq!(Urgency::of(newest, shown), expected, "{story}");
    }
}

/// However much is sold out, what waits longest leaves within 16 items, and the other kind within 9 requests.
#[test]
fn nothing_starves() {
    let mut account = Account::free(1);
    account.change("OLD", stock(100), 0);
    account.change("P", price(100), 0);
    let (mut items, mut old, mut priced) = (0, None, None);
    for n in 0..40 {
        for more in 0..2 {
            account.change(&format!("Z{n}-{more}"), stock(0), 1 + n);
        }
        let (id, names) = account.sent(1 + n);
        items += 1;
        match names[0].as_str() {
            "OLD" => old = Some(items),
            "P" => priced = Some(items),
            _ => {}
        }
        account.taken(id, 1, 1 + n);
    }
    assert!(old.is_some_and(|old| old <= 17), "{old:?}");
    assert!(priced.is_some_and(|priced| priced <= 9), "{priced:?}");
}

#[test]
fn telling_everything_again_delays_nothing_urgent_and_can_rest() {
    let mut account = Account::new(bucket(1, 10), 1, 10);
    let keys: Vec<Key> = (0..100).map(|n| key(&format!("S{n}"))).collect();
    for key in &keys {
        let newest = Newest {
            version: 1,
            content: stock(10),
        };
        account.truth.0.insert((Kind::Stock, key.clone()), newest);
    }
    account.sequence = 1;
    account.engine.resync(Kind::Stock, keys);
    let (id, _) = account.sent(100);
    account.taken(id, 10, 100);
    account.change("S99", stock(0), 150);
    let (id, names) = account.sent(200);
    assert_eq!(
        (names[0].as_str(), names.len()),
        ("S99", 10),
        "first, and the request is full all the same"
    );
    account.taken(id, 10, 200);
    let resync = account.engine.report(at(200)).lanes[1].resync;
    assert_eq!(
        resync,
        Some(ResyncReport {
            total: 100,
            left: 80,
            paused: false
        })
    );
    account.engine.pause_resync(true);
    let (id, names) = account.sent(300);
    account.taken(id, names.len(), 300);
    assert!(
        account.request(400).is_none(),
        "what was queued has gone, the rest rests"
    );
    account.engine.pause_resync(false);
    let mut now = 400;
    while let Some(request) = account.request(now) {
        let Work::Write(_, items) = request.work else {
            panic!()
        };
        account.taken(request.id, items.len(), now);
        now += 100;
    }
    assert_eq!(account.engine.report(at(now)).lanes[1].resync, None);
}

#[test]
fn s56_a_feed_that_is_accepted_and_fails_later_moves_no_mark_and_goes_again() {
    let mut account = Account::free(10);
    account.change("A", stock(10), 0);
    let (id, _) = account.sent(0);
    let accepted = Verdict::Accepted {
        handle: "feed-1".into(),
        ask_in: at(1_000),
    };
    account.answer(id, accepted, 10);
    assert_eq!(account.safe(Kind::Stock), Some(0), "accepted is not told");
    account.change("A", stock(20), 20);
    assert_eq!(
        account.wait(20),
        Next::WaitUntil(at(1_010)),
        "no second feed with the same key"
    );
    let (poll, names) = account.sent(1_010);
    assert_eq!(names, ["poll A"]);
    account.answer(poll, Verdict::Pending { ask_in: at(1_000) }, 1_020);
    let (poll, _) = account.sent(2_020);
    account.answer(
        poll,
        Verdict::Items(vec![ItemVerdict::Failed("FATAL".into())]),
        2_030,
    );
    assert_eq!(account.safe(Kind::Stock), Some(0), "the mark has not moved");
    let request = account.request(3_000).unwrap();
    let Work::Write(_, items) = &request.work else {
        panic!()
    };
    assert_eq!(items[0].content, stock(20), "the newest goes, not what failed");
    account.taken(request.id, 1, 3_010);
    assert_eq!(account.safe(Kind::Stock), Some(2));
}

#[test]
fn f48_a_feed_without_a_final_word_blocks_its_keys_for_a_bounded_time() {
    let mut account = Account::free(10);
    account.change("A", stock(10), 0);
    let (id, _) = account.sent(0);
    let accepted = Verdict::Accepted {
        handle: "feed-1".into(),
        ask_in: at(100_000),
    };
    account.answer(id, accepted, 10);
    account.change("B", stock(10), 20);
    let (other, names) = account.sent(20);
    assert_eq!(names, ["B"], "others go on");
    account.taken(other, 1, 30);
    assert_eq!(account.wait(30), Next::WaitUntil(at(60_010)));
    assert_eq!(account.sent(60_010).1, ["A"]);
}

#[test]
fn an_unknown_outcome_is_read_and_compared_where_the_platform_compares() {
    let guard = Guard::CompareAndSet { quiet: at(5_000) };
    let mut account = Account::guarded(Rule::Concurrent { requests: 9 }, 1, 10, guard);
    account.change("A", stock(100), 0);
    let (id, _) = account.sent(0);
    account.taken(id, 1, 1);
    account.change("A", stock(90), 2);
    let request = account.request(2).unwrap();
    let Work::Write(_, items) = &request.work else {
        panic!()
    };
    assert_eq!(items[0].expected, Some(Measure::Units(100)));
    let failed = Verdict::Failed {
        reason: "timeout".into(),
        pause: Some(at(0)),
        certainty: Certainty::Unknown,
    };
    account.answer(request.id, failed, 3);
    let (read, names) = account.sent(3);
    assert_eq!(names, ["read A"]);
    account.answer(read, Verdict::Values(vec![Some(Measure::Units(90))]), 4);
    let request = account.request(4).unwrap();
    let Work::Write(_, items) = &request.work else {
        panic!()
    };
    assert_eq!(
        items[0].expected,
        Some(Measure::Units(90)),
        "written all the same: a read may be old"
    );
    account.taken(request.id, 1, 5);
    assert_eq!(
        account.safe(Kind::Stock),
        Some(1),
        "an earlier request may still come through"
    );
    assert_eq!(account.wait(5), Next::WaitUntil(at(5_003)));
    let (id, _) = account.sent(5_003);
    account.taken(id, 1, 5_004);
    assert_eq!(account.safe(Kind::Stock), Some(2));
}

#[test]
fn an_order_at_the_channel_is_a_conflict_that_is_read_and_written_again() {
    let guard = Guard::CompareAndSet { quiet: at(5_000) };
    let mut account = Account::guarded(Rule::Concurrent { requests: 9 }, 1, 10, guard);
    account.change("A", stock(100), 0);
    let (id, _) = account.sent(0);
    account.taken(id, 1, 1);
    account.change("A", stock(80), 2);
    let (id, _) = account.sent(2);
    account.answer(id, Verdict::Items(vec![ItemVerdict::Conflict]), 3);
    let (read, names) = account.sent(3);
    assert_eq!(names, ["read A"]);
    account.answer(read, Verdict::Values(vec![Some(Measure::Units(97))]), 4);
    let request = account.request(4).unwrap();
    let Work::Write(_, items) = &request.work else {
        panic!()
    };
    assert_eq!(items[0].expected, Some(Measure::Units(97)));
    account.taken(request.id, 1, 5);
    assert_eq!(account.safe(Kind::Stock), Some(2));
}

#[test]
fn sampling_finds_what_somebody_else_has_changed_and_mends_it() {
    let mut account = Account::free(10);
    for name in ["A", "B"] {
        account.change(name, stock(100), 0);
    }
    let (id, _) = account.sent(0);
    account.taken(id, 2, 1);
    account.engine.audit(Kind::Stock, [key("A"), key("B")]);
    let (read, names) = account.sent(2);
    assert_eq!(names, ["read A", "read B"]);
    let shown = vec![Some(Measure::Units(100)), Some(Measure::Units(3))];
    account.answer(read, Verdict::Values(shown), 3);
    let counts = account.engine.report(at(3)).lanes[1].counts;
    assert_eq!((counts.sampled, counts.drifted), (2, 1));
    assert_eq!(account.sent(3).1, ["B"]);
}

#[test]
fn a_breaker_opens_after_five_failures_and_lets_one_probe_through() {
    let mut account = Account::free(1);
    for n in 0..50 {
        account.change(&format!("S{n}"), stock(100), 0);
    }
    let failed = || Verdict::Failed {
        reason: "503".into(),
        pause: None,
        certainty: Certainty::NotTaken,
    };
    let mut now = 0;
    for _ in 0..5 {
        let id = loop {
            match account.wait(now) {
                Next::Send(request) => break request.id,
                Next::WaitUntil(moment) => now = u64::try_from(moment.as_millis()).unwrap(),
                Next::Permit(_) | Next::Rest => panic!("something waits"),
            }
        };
        account.answer(id, failed(), now);
    }
    let Some(BreakerState::Open(until)) = account.engine.breaker("stock") else {
        panic!("it is open");
    };
    assert!(account.request(now).is_none());
    account.change("P", price(100), now);
    let request = account.request(now).unwrap();
    assert_eq!(request.operation, "price", "other operations go on");
    now = u64::try_from(until.as_millis()).unwrap();
    let (probe, _) = account.sent(now);
    assert_eq!(account.engine.breaker("stock"), Some(BreakerState::HalfOpen));
    assert!(account.request(now).is_none(), "one probe");
    account.taken(probe, 1, now);
    assert_eq!(account.engine.breaker("stock"), Some(BreakerState::Closed));
    assert!(account.request(now).is_some());
}

/// A platform that fails every request gets no more retries than a fifth of what is new and a batch a second.
#[test]
fn retries_are_a_share_of_what_is_new() {
    let mut account = Account::free(1);
    let (mut first, mut again, mut seen) = (0_u32, 0_u32, std::collections::HashSet::new());
    for now in (0..20_000).step_by(20) {
        account.change(&format!("S{now}"), stock(100), now);
        while let Some(request) = account.request(now) {
            let Work::Write(_, items) = request.work else {
                panic!()
            };
            if seen.insert(items[0].key.clone()) {
                first += 1;
            } else {
                again += 1;
            }
            account.answer(
                request.id,
                Verdict::Items(vec![ItemVerdict::Failed("busy".into())]),
                now,
            );
        }
    }
    assert!(first > 900, "{first}");
    assert!(again <= first / 5 + 20 + 10, "{again} retries of {first}");
}

#[test]
fn what_a_platform_says_of_its_bucket_is_believed() {
    let observed = |available| Observation::Bucket {
        limit: "limit".into(),
        available,
        burst: 100,
        interval: at(100),
    };
    // (left in the platform's words after 10 of 100 points, then a request of 10 may leave after so many ms)
    for (available, expected) in [(90, 0), (10, 0), (9, 100), (0, 1_000)] {
        let mut account = Account::new(bucket(100, 10), 10, 1);
        account.change("A", stock(100), 0);
        account.change("B", stock(100), 0);
        let (id, _) = account.sent(20_000);
        let answer = Answer {
            verdict: Verdict::Items(vec![ItemVerdict::Taken]),
            observations: vec![observed(available)],
        };
        account.engine.answer(id, &answer, 0, at(20_000));
        let moment = match account.wait(20_000) {
            Next::Send(_) => 0,
            Next::WaitUntil(moment) => u64::try_from(moment.as_millis()).unwrap() - 20_000,
            Next::Permit(_) | Next::Rest => panic!("B waits"),
        };
        assert_eq!(moment, expected, "{available} left");
    }
}

#[test]
fn what_a_request_really_cost_is_drawn_and_what_it_asks_for_is_learnt() {
    let mut account = Account::new(bucket(100, 1), 10, 1);
    for name in ["A", "B", "C"] {
        account.change(name, stock(100), 0);
    }
    let (id, _) = account.sent(100_000);
    let cost = Observation::Cost {
        limit: "limit".into(),
        requested: 60,
        actual: 5,
    };
    let answer = Answer {
        verdict: Verdict::Items(vec![ItemVerdict::Taken]),
        observations: vec![cost],
    };
    account.engine.answer(id, &answer, 0, at(100_000));
    assert_eq!(account.engine.report(at(100_000)).limits[0].drawn, 5);
    account.sent(100_000);
    assert_eq!(
        account.engine.report(at(100_000)).limits[0].drawn,
        65,
        "60 have to be there now"
    );
    assert!(account.request(100_000).is_none(), "35 left");
}

#[test]
fn calls_a_day_keep_some_for_what_is_urgent() {
    let rule = Rule::Window {
        units: 10,
        per: Duration::from_secs(86_400),
        reserved_for_urgent: 2,
    };
    let mut account = Account::new(rule, 1, 1);
    for n in 0..20 {
        account.change(&format!("S{n}"), stock(100), 0);
    }
    let mut calls = 0;
    while let Some(request) = account.request(0) {
        calls += 1;
        account.taken(request.id, 1, 0);
    }
    assert_eq!(calls, 8);
    account.change("Z", stock(0), 1);
    assert_eq!(account.sent(1).1, ["Z"]);
}

/// 10 calls a minute are configured; the platform says 30, of which 17 are left after the first: others have drawn 12.
#[test]
fn a_window_is_as_large_as_the_platform_says_and_what_others_drew_counts() {
    let rule = Rule::Window {
        units: 10,
        per: at(60_000),
        reserved_for_urgent: 0,
    };
    let mut account = Account::new(rule, 1, 1);
    for n in 0..40 {
        account.change(&format!("S{n}"), stock(100), 0);
    }
    let (id, _) = account.sent(0);
    let answer = Answer {
        verdict: Verdict::Items(vec![ItemVerdict::Taken]),
        observations: vec![Observation::Window {
            limit: "limit".into(),
            units: 30,
            remaining: 17,
            resets_in: at(60_000),
        }],
    };
    account.engine.answer(id, &answer, 0, at(0));
    let mut calls = 0;
    while let Some(request) = account.request(0) {
        calls += 1;
        account.taken(request.id, 1, 0);
    }
    assert_eq!(calls, 17);
}

/// Two requests may be worked on at a time: the third leaves with the final word on the first, or once that is given up.
#[test]
fn what_is_accepted_counts_as_unfinished_until_its_final_word() {
    let allowance = Allowance {
        limits: vec![
            ("unfinished".into(), Rule::Unfinished { requests: 2 }),
            ("status".into(), Rule::Concurrent { requests: 1 }),
        ],
        operations: vec![
            operation("stock", "unfinished", 1, 1),
            operation("poll", "status", 1, 1),
        ],
    };
    let mut stock_plan = plan(Kind::Stock, "stock", Guard::Version);
    stock_plan.poll = Some("poll".into());
    let mut account = Account::free(1);
    account.engine = Engine::new(&allowance, &[stock_plan], at(0)).unwrap();
    for name in ["A", "B", "C", "D"] {
        account.change(name, stock(100), 0);
    }
    let accepted = || Verdict::Accepted {
        handle: "bulk".into(),
        ask_in: at(1_000),
    };
    for name in ["A", "B"] {
        let (id, names) = account.sent(0);
        assert_eq!(names, [name]);
        account.answer(id, accepted(), 0);
    }
    assert!(account.request(999).is_none(), "two are worked on");
    let (id, names) = account.sent(1_000);
    assert_eq!(names, ["poll A"]);
    account.answer(id, Verdict::Pending { ask_in: at(90_000) }, 1_000);
    let (id, names) = account.sent(1_000);
    assert_eq!(names, ["poll B"]);
    account.taken(id, 1, 1_000);
    let (id, names) = account.sent(1_000);
    assert_eq!(names, ["C"]);
    account.answer(id, accepted(), 1_000);
    assert!(account.request(1_500).is_none(), "A and C are worked on");
    // A has no final word within 60 s, and goes again.
    let (_, names) = account.sent(60_000);
    assert_eq!(names, ["poll C"]);
    assert_eq!(account.sent(60_000).1, ["A"]);
    assert!(account.request(60_000).is_none(), "A and C are worked on");
}

#[test]
fn one_limit_that_is_used_up_does_not_stop_operations_that_do_not_draw_on_it() {
    let allowance = Allowance {
        limits: vec![("stock".into(), bucket(1, 1)), ("price".into(), bucket(1, 1))],
        operations: vec![
            operation("stock", "stock", 1, 1),
            operation("price", "price", 1, 1),
        ],
    };
    let plans = [
        plan(Kind::Stock, "stock", Guard::Version),
        plan(Kind::Price, "price", Guard::Version),
    ];
    let mut account = Account::free(1);
    account.engine = Engine::new(&allowance, &plans, at(0)).unwrap();
    account.change("A", stock(0), 0);
    account.change("B", stock(0), 0);
    account.change("C", price(1), 0);
    let (id, names) = account.sent(1_000);
    assert_eq!(names, ["A"]);
    account.taken(id, 1, 1_000);
    assert_eq!(account.sent(1_000).1, ["C"], "B waits for its limit");
}

#[test]
fn a_limit_that_is_not_declared_is_named() {
    let allowance = Allowance {
        limits: Vec::new(),
        operations: vec![operation("stock", "points", 1, 1)],
    };
    let error = Engine::new(&allowance, &[], at(0))
        .err()
        .map(|error| error.to_string());
    let expected = "operation \"stock\" draws on the limit \"points\", which is not declared";
    assert_eq!(error.as_deref(), Some(expected));
}

#[test]
fn ages_are_told_to_a_fifth() {
    let mut ages = Ages::default();
    for millis in 1..=1_000 {
        ages.record(at(millis));
    }
    let within = |permille, exact: u64| {
        let found = u64::try_from(ages.percentile(permille).as_millis()).unwrap();
        found >= exact && found <= exact * 5 / 4
    };
    assert!(within(500, 500) && within(990, 990) && within(1_000, 1_000));
    assert_eq!(Ages::default().percentile(990), Duration::ZERO);
}
