//! What goes wrong, and how often it did.

use std::collections::BTreeMap;

macro_rules! faults {
    ($($variant:ident => $name:literal),+ $(,)?) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Fault { $($variant),+ }

        impl Fault {
            /// Each of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in the report.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

faults! {
    NodeCrash => "node crash",
    Upgrade => "version installed node by node",
    FormChange => "version of another form installed node by node",
    OtherForm => "node refused for the form it speaks",
    RollingRestart => "node drained and started anew",
    NodePause => "node pause",
    ClockSkew => "clock skew",
    LeaseOver => "lease over while the node lives",
    CommitRefused => "commit refused by a newer epoch",
    DatabaseCut => "membership database cut off",
    CommitLost => "commit lost",
    CommitDenied => "commit kept but denied",
    CommitTorn => "commit torn between partitions",
    DiskFull => "disk full",
    SlowSync => "slow sync",
    LinkCut => "packet on a cut link",
    PacketLost => "packet lost",
    PacketDoubled => "packet doubled",
    PacketLate => "packet late",
    DeliveryDoubled => "delivery doubled by the broker",
    DeliveryLate => "delivery repeated after its answer",
    DeliveryAgain => "delivery handed in again",
    ErpTransient => "ERP call that came to nothing",
    ErpTimeoutAfterBooking => "ERP timeout after the call took effect",
    ErpTimeoutBefore => "ERP timeout without effect",
    ErpLate => "ERP booking that lands long after it was given up",
    ErpRejection => "ERP rejection",
    ErpRefusal => "ERP refuses to cancel",
    ErpOutage => "ERP out for minutes",
    LinkOutage => "all links cut for minutes",
    ChannelThrottled => "channel answers 429",
    ChannelStorm => "429 storm: a channel answers nothing else",
    ChannelUnknown => "channel does not answer",
    ChannelLate => "channel request lands late",
    ChannelItem => "channel fails with one item",
    DayReplayed => "message of the whole day taken in once more",
    Poison => "poison message",
    Rogue => "write without ownership",
}

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally(BTreeMap<Fault, u64>);

impl Tally {
    pub(super) fn count(&mut self, fault: Fault) {
        self.count_many(fault, 1);
    }

    pub(super) fn count_many(&mut self, fault: Fault, times: u64) {
        *self.0.entry(fault).or_default() += times;
    }

    pub(super) fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }

    /// What never happened.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let missing = Fault::ALL.iter().filter(|fault| self.of(**fault) == 0);
        missing.map(|fault| fault.name()).collect()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_default() += count;
        }
    }
}
