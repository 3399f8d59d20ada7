//! The limits of a platform as data, and a model of each that is never more generous than the platform.
//!
//! Invariants:
//! - what a request draws is reserved when it leaves and counted from the moment of its answer. The platform counts it at
//!   some moment between, so whatever it has counted at a moment, the model has counted or reserved by then: a platform
//!   with the same limit is never asked for more than it allows;
//! - a bucket begins empty, because what was drawn before a start is not known. That costs the burst of the first moments
//!   and nothing afterwards;
//! - what a platform says about itself is believed, the pessimistic way round: in its own words it may lower a limit at
//!   once, but room is given back only as far as requests that it cannot have counted yet allow.

use super::Moment;
use compact_str::CompactString;
use std::collections::VecDeque;
use std::time::Duration;

/// Into how many slots a window is divided: what is counted in one is counted for up to a slot too long, so that a
/// window is used to 64/65, or 98.5 %, in bounded memory.
const SLOTS: u32 = 64;

/// What a platform allows, as its documentation puts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// So many units at once after a rest, and so many more in each period. Leaky and token buckets alike.
    Bucket {
        /// How many units at once.
        burst: u64,
        /// How many units each period.
        refill: u64,
        /// The period.
        per: Duration,
    },
    /// So many units in any period, whenever it begins: fixed windows, feed windows, calls a day.
    Window {
        /// How many units.
        units: u64,
        /// The period.
        per: Duration,
        /// How many of them only what is urgent may draw.
        reserved_for_urgent: u64,
    },
    /// So many requests under way.
    Concurrent {
        /// How many.
        requests: u64,
    },
    /// So many requests without a final word: under way, or accepted and worked on.
    Unfinished {
        /// How many.
        requests: u64,
    },
}

/// Whether a request carries something that must not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// It does: sold out, or in danger of being sold twice.
    Urgent,
    /// It does not.
    Ordinary,
}

/// When a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Now,
    /// Not before this moment, if nothing else leaves until then.
    At(Moment),
    /// Not before a request that is under way has been answered.
    AfterAnswer,
}

impl Admission {
    /// The later of the two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::AfterAnswer, Self::Now | Self::At(_) | Self::AfterAnswer)
            | (Self::Now | Self::At(_), Self::AfterAnswer) => Self::AfterAnswer,
            (Self::At(one), Self::At(two)) => Self::At(one.max(two)),
            (Self::At(moment), Self::Now) | (Self::Now, Self::At(moment)) => Self::At(moment),
            (Self::Now, Self::Now) => Self::Now,
        }
    }

    fn at(moment: Moment, now: Moment) -> Self {
        if moment > now { Self::At(moment) } else { Self::Now }
    }
}

/// What a platform says about one of its limits in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// How full a bucket was once the request was counted, as in Shopify's `throttleStatus`.
    Bucket {
        /// Which limit.
        limit: CompactString,
        /// Units that were left.
        available: u64,
        /// Units at once after a rest.
        burst: u64,
        /// The time in which a unit comes back.
        interval: Duration,
    },
    /// How much of a window is left, as in `X-Rate-Limit-Requests-Left` and its like.
    Window {
        /// Which limit.
        limit: CompactString,
        /// How many there are of them in all.
        units: u64,
        /// Units that were left.
        remaining: u64,
        /// When they are all there again, from now on.
        resets_in: Duration,
    },
    /// How fast a bucket refills, as in Amazon's `x-amzn-RateLimit-Limit`.
    Rate {
        /// Which limit.
        limit: CompactString,
        /// The time in which a unit comes back.
        interval: Duration,
    },
    /// What the request cost: what had to be there, and what was taken in the end.
    Cost {
        /// Of which limit.
        limit: CompactString,
        /// What had to be there.
        requested: u64,
        /// What was taken.
        actual: u64,
    },
}

/// What a request that is under way has drawn from a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    pub(super) limit: usize,
    units: u64,
    left_at: Moment,
    /// What had been counted when it left.
    counted_before: u64,
}

/// One limit and how much of it is drawn.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) name: CompactString,
    meter: Meter,
    paused_until: Moment,
    reserved: u64,
    /// All that was ever counted.
    counted: u64,
}

#[derive(Debug)]
enum Meter {
    Bucket(Bucket),
    Window(Window),
    Concurrent { requests: u64 },
    Unfinished { requests: u64 },
}

#[derive(Debug)]
struct Bucket {
    interval: Duration,
    burst: u64,
    /// When all of it is there again, were nothing more drawn.
    full_at: Moment,
}

#[derive(Clone, Debug)]
struct Window {
    units: u64,
    per: Duration,
    reserved_for_urgent: u64,
    /// Until when how much counts, in order.
    slots: VecDeque<(Moment, u64)>,
    used: u64,
}

/// What is drawn of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowDrawn {
    /// Which limit.
    pub limit: CompactString,
    /// The period.
    pub per: Duration,
    /// How much counts until when, in order. What is under way counts as drawn now.
    pub slots: Vec<(Moment, u64)>,
}

fn times(interval: Duration, units: u64) -> Duration {
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(nanos.saturating_mul(units))
}

fn whole(span: Duration, interval: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(interval.as_nanos().max(1))).unwrap_or(u64::MAX)
}

impl Limit {
    pub(super) fn new(name: CompactString, rule: &Rule, now: Moment) -> Self {
        let meter = match *rule {
            Rule::Bucket { burst, refill, per } => {
                let nanos = per.as_nanos().div_ceil(u128::from(refill.max(1))).max(1);
                let interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                let burst = burst.max(1);
                let full_at = now.saturating_add(times(interval, burst));
                Meter::Bucket(Bucket {
                    interval,
                    burst,
                    full_at,
                })
            }
            Rule::Window {
                units,
                per,
                reserved_for_urgent,
            } => Meter::Window(Window {
                units: units.max(1),
                per,
                reserved_for_urgent: reserved_for_urgent.min(units.saturating_sub(1)),
                slots: VecDeque::new(),
                used: 0,
            }),
            Rule::Concurrent { requests } => Meter::Concurrent {
                requests: requests.max(1),
            },
            Rule::Unfinished { requests } => Meter::Unfinished {
                requests: requests.max(1),
            },
        };
        Self {
            name,
            meter,
            paused_until: Moment::ZERO,
            reserved: 0,
            counted: 0,
        }
    }

    /// The most units that can ever be there at once.
    pub(super) fn capacity(&self) -> u64 {
        match &self.meter {
            Meter::Bucket(bucket) => bucket.burst,
            Meter::Window(window) => window.units - window.reserved_for_urgent,
            Meter::Concurrent { requests } | Meter::Unfinished { requests } => *requests,
        }
    }

    /// Whether what a request draws stays drawn until the platform's final word on it.
    pub(super) fn lasts(&self) -> bool {
        match self.meter {
            Meter::Unfinished { .. } => true,
            Meter::Bucket(_) | Meter::Window(_) | Meter::Concurrent { .. } => false,
        }
    }

    /// When `units` can be drawn. More than there can ever be count as all there can be.
    pub(super) fn admits(&mut self, units: u64, precedence: Precedence, now: Moment) -> Admission {
        let units = units.min(self.capacity());
        let paused = Admission::at(self.paused_until, now);
        let reserved = self.reserved;
        let room = match &mut self.meter {
            Meter::Bucket(bucket) => bucket.admits(reserved.saturating_add(units), now),
            Meter::Window(window) => window.admits(reserved.saturating_add(units), precedence, now),
            Meter::Concurrent { requests } | Meter::Unfinished { requests }
                if reserved.saturating_add(units) <= *requests =>
            {
                Admission::Now
            }
            Meter::Concurrent { .. } | Meter::Unfinished { .. } => Admission::AfterAnswer,
        };
        paused.and(room)
    }

    pub(super) fn reserve(&mut self, limit: usize, units: u64, now: Moment) -> Reserved {
        self.reserved = self.reserved.saturating_add(units);
        Reserved {
            limit,
            units,
            left_at: now,
            counted_before: self.counted,
        }
    }

    /// The platform has counted what was reserved, as `actual` units if it says so. What others drew while the request
    /// was under way is answered.
    pub(super) fn count(&mut self, reserved: Reserved, actual: Option<u64>, now: Moment) -> u64 {
        let units = actual.unwrap_or(reserved.units);
        let meanwhile = self.counted.saturating_sub(reserved.counted_before);
        self.reserved = self.reserved.saturating_sub(reserved.units);
        self.counted = self.counted.saturating_add(units);
        match &mut self.meter {
            Meter::Bucket(bucket) => bucket.draw(units, now),
            Meter::Window(window) => window.draw(units, now),
            Meter::Concurrent { .. } | Meter::Unfinished { .. } => {}
        }
        meanwhile
    }

    /// Nothing is drawn before `until`; and whatever the model thought was there is not.
    pub(super) fn throttled(&mut self, until: Moment, now: Moment) {
        self.paused_until = self.paused_until.max(until);
        if let Meter::Bucket(bucket) = &mut self.meter {
            bucket.full_at = bucket
                .full_at
                .max(now.saturating_add(times(bucket.interval, bucket.burst)));
        }
    }

    /// Learns from the answer to a request that was counted just before. The platform may have counted what others drew
    /// `meanwhile` only after it made its observation.
    pub(super) fn learn(
        &mut self,
        observation: &Observation,
        reserved: Reserved,
        meanwhile: u64,
        now: Moment,
    ) {
        match (observation, &mut self.meter) {
            (
                Observation::Bucket {
                    available,
                    burst,
                    interval,
                    ..
                },
                Meter::Bucket(bucket),
            ) => {
                bucket.refill_every(*interval, now);
                bucket.burst = (*burst).max(1);
                let drawn = bucket.burst.saturating_sub(*available);
                // What came back since the observation.
                let back = whole(now.saturating_sub(reserved.left_at), bucket.interval);
                let known = bucket
                    .drawn(now)
                    .saturating_add(self.reserved)
                    .saturating_add(back);
                let at_most = drawn.saturating_add(meanwhile);
                bucket.believe(drawn, known, at_most, now);
            }
            (Observation::Rate { interval, .. }, Meter::Bucket(bucket)) => {
                bucket.refill_every(*interval, now);
            }
            (
                Observation::Window {
                    units,
                    remaining,
                    resets_in,
                    ..
                },
                Meter::Window(window),
            ) => {
                window.units = (*units).max(window.reserved_for_urgent.saturating_add(1));
                let known = window.used.saturating_add(self.reserved);
                let unknown = window.units.saturating_sub(*remaining).saturating_sub(known);
                window.hold(unknown, now.saturating_add(*resets_in));
            }
            (
                Observation::Bucket { .. }
                | Observation::Rate { .. }
                | Observation::Window { .. }
                | Observation::Cost { .. },
                Meter::Bucket(_) | Meter::Window(_) | Meter::Concurrent { .. } | Meter::Unfinished { .. },
            ) => {}
        }
    }

    /// How many of its units are drawn or reserved, of how many.
    pub(super) fn drawn(&self, now: Moment) -> (u64, u64) {
        match &self.meter {
            Meter::Bucket(bucket) => (bucket.drawn(now).saturating_add(self.reserved), bucket.burst),
            Meter::Window(window) => (window.used.saturating_add(self.reserved), window.units),
            Meter::Concurrent { requests } | Meter::Unfinished { requests } => (self.reserved, *requests),
        }
    }

    /// What is drawn of a window; none for other limits.
    pub(super) fn window_drawn(&self, now: Moment) -> Option<WindowDrawn> {
        let Meter::Window(window) = &self.meter else {
            return None;
        };
        let mut drawn = window.clone();
        drawn.expire(now);
        drawn.draw(self.reserved, now);
        Some(WindowDrawn {
            limit: self.name.clone(),
            per: window.per,
            slots: drawn.slots.into(),
        })
    }

    /// So much was drawn before the start, and counts until then.
    pub(super) fn recall_drawn(&mut self, units: u64, until: Moment) {
        if let Meter::Window(window) = &mut self.meter {
            window.hold(units, until);
        }
    }

    /// All that was ever counted.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }
}

impl Bucket {
    fn admits(&self, units: u64, now: Moment) -> Admission {
        match self.burst.checked_sub(units) {
            Some(room) => Admission::at(self.full_at.saturating_sub(times(self.interval, room)), now),
            None => Admission::AfterAnswer,
        }
    }

    fn draw(&mut self, units: u64, now: Moment) {
        self.full_at = self.full_at.max(now).saturating_add(times(self.interval, units));
    }

    fn drawn(&self, now: Moment) -> u64 {
        whole(self.full_at.saturating_sub(now), self.interval)
    }

    /// Keeps how much is drawn and changes how fast it comes back.
    fn refill_every(&mut self, interval: Duration, now: Moment) {
        if !interval.is_zero() && interval != self.interval {
            let drawn = self.drawn(now);
            self.interval = interval;
            self.full_at = now.saturating_add(times(interval, drawn));
        }
    }

    /// The platform saw `drawn` units. We knew of `known`; by now it may have seen `at_most`.
    fn believe(&mut self, drawn: u64, known: u64, at_most: u64, now: Moment) {
        let modelled = self.drawn(now);
        // More than is known of: somebody else draws from the same bucket.
        let believed = if drawn > known {
            drawn
        } else {
            modelled.min(at_most)
        };
        if believed != modelled {
            self.full_at = now.saturating_add(times(self.interval, believed));
        }
    }
}

impl Window {
    fn expire(&mut self, now: Moment) {
        while self.slots.front().is_some_and(|(until, _)| *until <= now) {
            let (_, units) = self.slots.pop_front().unwrap_or_default();
            self.used = self.used.saturating_sub(units);
        }
    }

    fn admits(&mut self, units: u64, precedence: Precedence, now: Moment) -> Admission {
        self.expire(now);
        let kept_back = match precedence {
            Precedence::Urgent => 0,
            Precedence::Ordinary => self.reserved_for_urgent,
        };
        let Some(room) = self.units.checked_sub(units.saturating_add(kept_back)) else {
            return Admission::AfterAnswer;
        };
        let mut used = self.used;
        let mut moment = now;
        for (until, units) in &self.slots {
            if used <= room {
                break;
            }
            used = used.saturating_sub(*units);
            moment = *until;
        }
        Admission::at(moment, now)
    }

    fn draw(&mut self, units: u64, now: Moment) {
        let slot = (self.per / SLOTS).max(Duration::from_nanos(1));
        let ends = times(slot, whole(now.saturating_add(Duration::from_nanos(1)), slot));
        self.hold(units, ends.saturating_add(self.per));
    }

    fn hold(&mut self, units: u64, until: Moment) {
        if units == 0 {
            return;
        }
        self.used = self.used.saturating_add(units);
        let place = self.slots.partition_point(|(other, _)| *other < until);
        match self.slots.get_mut(place) {
            Some((same, held)) if *same == until => *held = held.saturating_add(units),
            Some(_) | None => self.slots.insert(place, (until, units)),
        }
    }
}
