//! Orders: told as they stand last, once, and forgotten.

use super::*;
use crate::orders::state::Status;
use lockstep_runtime::time::Timestamp;

/// How an order stands at a change of its status.
fn order(change: u32) -> Newest {
    let shown = OrderShown {
        status: Status::Shipped,
        word: None,
        at: Timestamp::from_millis(0),
        reason: None,
        lines: Vec::new(),
        shipments: Vec::new(),
    };
    Newest {
        version: u64::from(change),
        content: Content::Order(change, Box::new(shown)),
    }
}

/// An account that is told of orders, one at a time.
struct Orders {
    engine: Engine,
    sequence: u64,
}

impl Orders {
    fn guarded(guard: Guard) -> Self {
        let allowance = Allowance {
            limits: vec![("limit".into(), Rule::Concurrent { requests: 10 })],
            operations: vec![operation("order", "limit", 1, 1)],
        };
        Self {
            engine: Engine::new(&allowance, &[plan(Kind::Order, "order", guard)], at(0)).unwrap(),
            sequence: 0,
        }
    }

    fn change(&mut self, name: &str, change: u32, now: u64) {
        self.sequence += 1;
        let mark = mark(self.sequence);
        self.engine
            .bring(Kind::Order, &key(name), mark, order(change), at(now));
    }

    fn wait(&mut self, now: u64) -> Next {
        self.engine.next(at(now), &Truth::default())
    }

    /// The request that leaves now, and which change of status it tells.
    fn sent(&mut self, now: u64) -> (RequestId, u64) {
        let next = self.wait(now);
        let Next::Send(Request {
            id,
            work: Work::Write(Kind::Order, items),
            ..
        }) = next
        else {
            panic!("{next:?}");
        };
        (id, items[0].version)
    }

    fn answer(&mut self, id: RequestId, verdict: Verdict, now: u64) {
        self.engine.answer(id, &verdict.into(), 0, at(now));
    }

    fn safe(&mut self) -> u64 {
        self.engine.safe(Kind::Order)[0].sequence.0
    }
}

const DONE: fn() -> Verdict = || Verdict::Items(vec![ItemVerdict::Taken]);

#[test]
fn an_order_is_told_as_it_stands_last_and_nothing_is_kept_of_it() {
    let mut orders = Orders::guarded(Guard::Version);
    orders.change("web/1", 3, 0);
    orders.change("web/1", 4, 1);
    let (id, change) = orders.sent(1);
    assert_eq!(change, 4);
    orders.change("web/1", 5, 2);
    assert_eq!(orders.wait(2), Next::Rest, "one request an order at a time");
    let reason = "no".to_owned();
    let failed = Verdict::Failed {
        reason,
        pause: Some(at(10)),
        certainty: Certainty::NotTaken,
    };
    orders.answer(id, failed, 3);
    let (id, change) = orders.sent(1_000);
    assert_eq!(
        (change, orders.safe()),
        (5, 0),
        "what failed goes again with what is newest"
    );
    orders.answer(id, DONE(), 1_001);
    assert_eq!((orders.wait(1_001), orders.safe()), (Next::Rest, 3));
    let lane = orders.engine.lane(Kind::Order).unwrap();
    assert!(lane.held.is_empty() && lane.waiting_count() == 0);
}

/// What adds to what is there is not sent while an earlier request may still arrive: neither after the start nor after a
/// request that had no answer, whatever changes meanwhile.
#[test]
fn what_cannot_be_written_twice_waits_until_nothing_can_arrive_late() {
    let mut orders = Orders::guarded(Guard::Once { quiet: at(500) });
    orders.change("web/1", 3, 10);
    assert_eq!(orders.wait(10), Next::WaitUntil(at(500)));
    let (id, _) = orders.sent(500);
    orders.change("web/1", 4, 550);
    let lost = Verdict::Failed {
        reason: "no answer".to_owned(),
        pause: Some(at(10)),
        certainty: Certainty::Unknown,
    };
    orders.answer(id, lost, 600);
    orders.change("web/1", 5, 700);
    assert_eq!(orders.wait(1_000), Next::WaitUntil(at(1_100)));
    let (id, change) = orders.sent(1_100);
    assert_eq!(change, 5);
    orders.answer(id, DONE(), 1_200);
    assert_eq!((orders.wait(1_200), orders.safe()), (Next::Rest, 3));
    let lane = orders.engine.lane(Kind::Order).unwrap();
    assert!(lane.held.is_empty() && lane.late.is_empty());
}

#[test]
fn an_order_that_the_channel_refuses_is_an_exception_until_it_is_taken() {
    let mut orders = Orders::guarded(Guard::Once { quiet: at(0) });
    orders.change("web/1", 3, 0);
    let (id, _) = orders.sent(0);
    let refused = ItemVerdict::Refused("no such order".to_owned());
    orders.answer(id, Verdict::Items(vec![refused]), 1);
    assert_eq!(orders.safe(), 1);
    let kept: Vec<_> = orders.engine.exceptions(Kind::Order).collect();
    assert_eq!((kept.len(), kept[0].1.reason.as_str()), (1, "no such order"));
    orders.change("web/1", 4, 2);
    let (id, _) = orders.sent(2);
    orders.answer(id, DONE(), 3);
    assert_eq!(orders.engine.exceptions(Kind::Order).count(), 0);
}
