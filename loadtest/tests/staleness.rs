//! How old what channels show is under a burst is measured, beside the use of their limits.

use lockstep_loadtest::measure::staleness::{Options, measure};

#[test]
fn under_a_burst_of_a_hundred_times_the_limit_every_change_is_brought_and_its_age_is_known() {
    let outcomes = measure(&Options {
        rate: 5.try_into().unwrap(),
        batch: 1.try_into().unwrap(),
        times: 100,
        seconds: 6,
        skus: 40,
        orders: 4,
        seed: 3,
        json: false,
    })
    .unwrap();
    assert!(outcomes.times_the_limit >= 50, "{outcomes:?}");
    assert_eq!(outcomes.channels.len(), 2);
    for channel in outcomes.channels.values() {
        let kept = (channel.avoidable_429s, channel.stale_writes, channel.differences);
        assert_eq!(kept, (0, 0, 0), "{outcomes:?}");
        assert!(channel.backlog > 0, "{outcomes:?}");
        // How much of it can be used is shown in virtual time; here a busy machine decides. Never more than all of it.
        assert!(channel.limit_used_permille <= 1_000, "{outcomes:?}");
        assert!(channel.converged_ms > 0, "{outcomes:?}");
        let kinds: Vec<_> = channel.kinds.keys().copied().collect();
        assert_eq!(kinds, ["price", "status", "stock"]);
        for kind in channel.kinds.values() {
            assert_eq!(kind.untold, 0, "{outcomes:?}");
            assert!(kind.told > 0 && kind.changes >= kind.told, "{outcomes:?}");
            let ages = [kind.age_p50_ms, kind.age_p95_ms, kind.age_p99_ms, kind.age_max_ms];
            assert!(ages.is_sorted() && kind.age_max_ms > 0, "{outcomes:?}");
        }
        // 5 items a second of 40 SKUs: what changes all the time is a second old or more.
        let stock = &channel.kinds["stock"];
        assert!(
            stock.changes > 10 * stock.told && stock.age_p50_ms >= 500,
            "{outcomes:?}"
        );
    }
}
