//! How busy the house is, and what its people, customers and systems are like: directed workloads reach what a steady one seldom
//! does.

use super::clock::{HOUR, MINUTE, Millis, SECOND};
use clap::ValueEnum;

/// What a history is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// An order every two seconds.
    Steady,
    /// Five orders a second.
    Rush,
    /// An order every ten seconds: long pauses, in which alarms go off and leases end.
    Quiet,
    /// An order every three seconds, and ERP or links out for minutes: orders stand in exception, and people help.
    Outage,
    /// Orders that a person has to look at: other prices, too small, odd packs, no address, no price, likely twice.
    Desk,
    /// Customers with little credit, and goods that get lost meanwhile.
    Credit,
    /// Orders for more than there is, goods that get lost, shipments in parts.
    Scarce,
    /// Customers who change their minds at any time, and an ERP that often does not let go.
    Fickle,
    /// People who come after hours, while ERP or links are out.
    Absent,
}

/// What a workload is like; chances are in percent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// The mean pause between two orders.
    pub(super) order_every: Millis,
    /// Whether the ERP or the links are out for minutes now and then.
    pub(super) outages: bool,
    /// Orders that come over the channel with strict rules.
    pub(super) strict: i64,
    /// Orders with a price of the channel.
    pub(super) stated_prices: i64,
    /// Orders that are cancelled, and within how long.
    pub(super) cancelled: i64,
    pub(super) cancelled_within: Millis,
    /// Looks at an order that is booked or shipped by which it is changed, moved or credited.
    pub(super) changed: i64,
    /// How many times as much as usual is ordered.
    pub(super) greed: i64,
    /// Movements of the warehouse by which goods get lost.
    pub(super) losses: i64,
    /// Shipments that take a part.
    pub(super) parts: i64,
    /// What customers may owe.
    pub(super) credit: (i64, i64),
    /// Cancellations that the ERP refuses.
    pub(super) kept: i64,
    /// How long it takes until a person looks at an exception.
    pub(super) desk: (Millis, Millis),
    /// Bookings that the ERP refuses.
    pub(super) rejected: i64,
    /// Within so long after the faults have stopped all orders end and channels converge: the longest pause of an order before
    /// it asks the ERP again is 375 s, of which there may be several, and people take their time.
    pub(super) bound: Millis,
}

const STEADY: Habits = Habits {
    order_every: 2 * SECOND,
    outages: false,
    strict: 3,
    stated_prices: 4,
    cancelled: 14,
    cancelled_within: 3 * MINUTE,
    changed: 6,
    greed: 1,
    losses: 30,
    parts: 25,
    credit: (500, 50_000),
    kept: 5,
    desk: (20 * SECOND, 2 * MINUTE),
    rejected: 2,
    bound: 4 * HOUR,
};

impl Workload {
    pub(super) const fn habits(self) -> Habits {
        match self {
            Self::Steady => STEADY,
            Self::Rush => Habits {
                order_every: 200,
                ..STEADY
            },
            Self::Quiet => Habits {
                order_every: 10 * SECOND,
                ..STEADY
            },
            Self::Outage => Habits {
                order_every: 3 * SECOND,
                outages: true,
                ..STEADY
            },
            Self::Desk => Habits {
                strict: 70,
                stated_prices: 40,
                rejected: 15,
                ..STEADY
            },
            Self::Credit => Habits {
                credit: (50, 3_000),
                losses: 70,
                ..STEADY
            },
            Self::Scarce => Habits {
                greed: 5,
                losses: 85,
                parts: 70,
                changed: 12,
                ..STEADY
            },
            Self::Fickle => Habits {
                cancelled: 80,
                cancelled_within: 2 * MINUTE,
                kept: 40,
                changed: 25,
                parts: 50,
                losses: 85,
                ..STEADY
            },
            Self::Absent => Habits {
                order_every: 5 * SECOND,
                outages: true,
                strict: 20,
                stated_prices: 15,
                cancelled: 25,
                cancelled_within: 20 * MINUTE,
                losses: 50,
                credit: (50, 5_000),
                desk: (30 * MINUTE, 10 * HOUR),
                bound: 200 * HOUR,
                ..STEADY
            },
        }
    }

    /// Its name, as on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
