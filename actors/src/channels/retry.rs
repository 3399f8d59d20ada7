//! What keeps a platform in trouble from being asked over and over: pauses, a budget for retries, a circuit breaker.

use super::Moment;
use std::time::Duration;

/// The first pause after a failure.
pub const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after failures, unless the platform itself asks for a longer one.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What a platform may ask for at most.
pub const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3_600);

/// The pause after the `failures`th failure in a row: doubled each time, and of that between half and all, so that
/// accounts that failed together do not come back together. `jitter` is any number.
#[must_use]
pub fn back_off(failures: u32, jitter: u32) -> Duration {
    let doubled = 1_u32 << failures.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
    pause / 2 + pause / 2_000 * (jitter % 1_001)
}

/// Retries of an account, all operations together: a share of what is sent for the first time, and a few a second.
#[derive(Debug)]
pub(super) struct RetryBudget {
    /// In thousandths of an item.
    balance: u64,
    refilled: Moment,
    floor: u64,
}

impl RetryBudget {
    /// Of a hundred first attempts so many may be tried again.
    pub(super) const SHARE_PERCENT: u64 = 20;
    /// How long the floor may add up.
    const KEPT: Duration = Duration::from_secs(10);

    /// A budget that allows `floor` items a second whatever else is sent.
    pub(super) fn new(floor: usize, now: Moment) -> Self {
        let floor = u64::try_from(floor).unwrap_or(u64::MAX).max(1);
        Self {
            balance: floor.saturating_mul(1_000),
            refilled: now,
            floor,
        }
    }

    fn refill(&mut self, now: Moment) {
        let elapsed = now.saturating_sub(self.refilled).min(Self::KEPT);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if millis > 0 {
            self.refilled = now;
            self.deposit(self.floor.saturating_mul(millis));
        }
    }

    fn deposit(&mut self, thousandths: u64) {
        let kept = Self::KEPT.as_secs().saturating_mul(1_000);
        let most = self.floor.saturating_mul(kept);
        self.balance = self.balance.saturating_add(thousandths).min(most);
    }

    /// An item is sent for the first time.
    pub(super) fn first(&mut self) {
        self.deposit(Self::SHARE_PERCENT * 10);
    }

    /// Takes one retry, or says when there will be one.
    pub(super) fn again(&mut self, now: Moment) -> Result<(), Moment> {
        self.refill(now);
        if let Some(rest) = self.balance.checked_sub(1_000) {
            self.balance = rest;
            return Ok(());
        }
        let missing = (1_000 - self.balance).div_ceil(self.floor);
        Err(now.saturating_add(Duration::from_millis(missing)))
    }
}

/// How an operation's breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests go out.
    Closed,
    /// None does before the moment.
    Open(Moment),
    /// One is under way that decides.
    HalfOpen,
}

/// The breaker of one operation.
#[derive(Debug)]
pub(super) struct Breaker {
    state: BreakerState,
    failures: u32,
    not_before: Moment,
    /// How often it has opened without closing between.
    opened: u32,
}

impl Breaker {
    /// After so many failures in a row it opens.
    pub(super) const THRESHOLD: u32 = 5;

    pub(super) fn new() -> Self {
        Self {
            state: BreakerState::Closed,
            failures: 0,
            not_before: Moment::ZERO,
            opened: 0,
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        self.state
    }

    /// From when a request may go out; none while a probe is under way.
    pub(super) fn from(&self) -> Option<Moment> {
        match self.state {
            BreakerState::Closed => Some(self.not_before),
            BreakerState::Open(until) => Some(until.max(self.not_before)),
            BreakerState::HalfOpen => None,
        }
    }

    /// A request goes out.
    pub(super) fn sent(&mut self) {
        if let BreakerState::Open(_) = self.state {
            self.state = BreakerState::HalfOpen;
        }
    }

    /// The platform is there.
    pub(super) fn answered(&mut self) {
        *self = Self {
            not_before: self.not_before,
            ..Self::new()
        };
    }

    /// The platform is there, but takes nothing before `until`.
    pub(super) fn throttled(&mut self, until: Moment) {
        self.not_before = self.not_before.max(until);
        if self.state == BreakerState::HalfOpen {
            self.state = BreakerState::Open(until);
        }
    }

    /// The platform has trouble, or is not there.
    pub(super) fn failed(&mut self, asked: Option<Duration>, jitter: u32, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        let pause = asked
            .unwrap_or_else(|| back_off(self.failures, jitter))
            .min(LONGEST_ASKED);
        self.not_before = self.not_before.max(now.saturating_add(pause));
        if self.failures >= Self::THRESHOLD || self.state == BreakerState::HalfOpen {
            self.opened = self.opened.saturating_add(1);
            let rest = back_off(self.opened.saturating_add(Self::THRESHOLD), jitter);
            self.state = BreakerState::Open(now.saturating_add(rest));
        }
    }
}
