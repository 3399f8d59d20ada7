//! What of the domain the histories have reached, besides the orders' changes of status.

use std::collections::BTreeMap;

macro_rules! features {
    ($($variant:ident => $name:literal),+ $(,)?) => {
        /// Something that the domain can do, or refuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Feature { $($variant),+ }

        impl Feature {
            /// Each of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in the report.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

features! {
    PieceCame => "receipt of pieces with serial numbers",
    PieceTwice => "receipt of a piece that is there, refused",
    PieceShipped => "piece shipped",
    PieceBack => "piece back from its order",
    PieceLost => "piece lost",
    PiecesPicked => "asked which pieces are to be picked for whom",
    LotWithheld => "lot withheld as it expired",
    SafetyChanged => "safety stock changed",
    PolicyChanged => "channel policy set while orders hold stock",
    PolicyLifted => "channel policy lifted",
    HeldUpToPolicy => "hold cut down to what its channel may take",
    WaitsForPolicy => "hold that waits though there is stock, kept for other channels",
    ClassOfCustomer => "hold in the class of its customer, not of its channel",
    GivenBackToClass => "hold given back to its class",
    BudgetClaimed => "order that claims a part of a budget",
    BudgetRefused => "order that a budget refuses, priced without it",
    BudgetReplaced => "order that claims another part than before",
    BudgetGivenBack => "part of a budget given back",
    BudgetSettled => "part of a budget spent for good",
    BudgetLowered => "budget lowered below what is spent",
    VolumeReported => "customer's volume reported",
}

/// How often what was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached(BTreeMap<Feature, u64>);

impl Reached {
    pub(super) fn count(&mut self, feature: Feature) {
        *self.0.entry(feature).or_default() += 1;
    }

    pub(super) fn of(&self, feature: Feature) -> u64 {
        self.0.get(&feature).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (feature, count) in &other.0 {
            *self.0.entry(*feature).or_default() += count;
        }
    }

    /// What was not reached.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let missing = Feature::ALL.iter().filter(|feature| self.of(**feature) == 0);
        missing.map(|feature| feature.name()).collect()
    }
}
