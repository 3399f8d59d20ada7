//! Which change of status may happen, what causes it, and who may.
//!
//! Invariants: every change of status that the rule book decides stands in [`TRANSITIONS`], which is asserted where it
//! happens; every row is driven by a test. The chapter on orders in the documentation is drawn from it.

use super::command::OrderCommand;
use super::state::Status;
use serde::{Deserialize, Serialize};

/// What makes an order change its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It comes in.
    Submit,
    /// The contract answers.
    Priced,
    /// The customer's account answers whether it knows a like order.
    IntroductionAnswered,
    /// A stock answers.
    StockAnswered,
    /// The customer's account answers.
    CreditAnswered,
    /// The ERP answers a booking or a lookup.
    BookingAnswered,
    /// The ERP answers a cancellation.
    CancelAnswered,
    /// Its time is over: the alarm.
    Alarm,
    /// The warehouse may begin.
    Release,
    /// The warehouse has it in hand.
    Pick,
    /// Goods leave.
    Ship,
    /// It is invoiced.
    Close,
    /// Its customer wants it another way.
    Change,
    /// It is no longer wanted.
    Cancel,
    /// An exception is tried again.
    Retry,
    /// An exception is corrected.
    Correct,
    /// What failed a check is approved.
    Approve,
    /// An exception is given to another desk.
    Reassign,
    /// An exception is given up.
    Reject,
}

/// Who may cause a change, under the standard table of owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// The channel that took the order.
    Channel,
    /// The customer's contract, inside.
    Contract,
    /// A pair of SKU and warehouse, inside.
    Stock,
    /// The customer's account, inside.
    Account,
    /// The ERP.
    Erp,
    /// The warehouse's system.
    Wms,
    /// A person at the desk, through the operator's system.
    Operator,
    /// Lockstep's own clock.
    Clock,
}

impl Party {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Contract => "contract (inside)",
            Self::Stock => "stock (inside)",
            Self::Account => "account (inside)",
            Self::Erp => "ERP",
            Self::Wms => "WMS",
            Self::Operator => "operator",
            Self::Clock => "clock",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// From where; none for an order that comes in.
    pub from: Option<Status>,
    /// What causes it.
    pub cause: Cause,
    /// To where; which of them follows from what is held, shipped, waiting and wanted.
    pub to: &'static [Status],
}

impl Cause {
    /// What a command causes; none for one that never changes a status.
    #[must_use]
    pub fn of(command: &OrderCommand) -> Option<Self> {
        Some(match command {
            OrderCommand::Submit(_) => Self::Submit,
            OrderCommand::Priced(_) => Self::Priced,
            OrderCommand::IntroductionAnswered(_) => Self::IntroductionAnswered,
            OrderCommand::StockAnswered(_) => Self::StockAnswered,
            OrderCommand::CreditAnswered(_) => Self::CreditAnswered,
            OrderCommand::BookingAnswered(_) => Self::BookingAnswered,
            OrderCommand::CancelAnswered(_) => Self::CancelAnswered,
            OrderCommand::ReleaseToWarehouse => Self::Release,
            OrderCommand::ConfirmPick => Self::Pick,
            OrderCommand::Ship { .. } => Self::Ship,
            OrderCommand::Close => Self::Close,
            OrderCommand::Change(_) => Self::Change,
            OrderCommand::Cancel { .. } => Self::Cancel,
            OrderCommand::Retry => Self::Retry,
            OrderCommand::Correct(_) => Self::Correct,
            OrderCommand::Approve { .. } => Self::Approve,
            OrderCommand::Reassign { .. } => Self::Reassign,
            OrderCommand::Reject { .. } => Self::Reject,
            OrderCommand::TakeUp(parked) => return Self::of(&parked.command),
            // These change nothing about where the order stands.
            OrderCommand::Pay(_)
            | OrderCommand::Return(_)
            | OrderCommand::Credit(_)
            | OrderCommand::Relocate(_)
            | OrderCommand::PaperAnswered(_)
            | OrderCommand::Dismiss { .. }
            | OrderCommand::Show => return None,
        })
    }

    /// Whether somebody wants it, so that it is neither an answer to what the order has asked nor the clock.
    #[must_use]
    pub const fn is_wanted(self) -> bool {
        match self {
            Self::Priced
            | Self::StockAnswered
            | Self::IntroductionAnswered
            | Self::CreditAnswered
            | Self::BookingAnswered
            | Self::CancelAnswered
            | Self::Alarm => false,
            Self::Submit
            | Self::Release
            | Self::Pick
            | Self::Ship
            | Self::Close
            | Self::Change
            | Self::Cancel
            | Self::Retry
            | Self::Correct
            | Self::Approve
            | Self::Reassign
            | Self::Reject => true,
        }
    }

    /// What happens, in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submit => "it comes in",
            Self::Priced => "the contract answers",
            Self::IntroductionAnswered => "the account names a like order, or none",
            Self::StockAnswered => "a stock answers",
            Self::CreditAnswered => "the account answers",
            Self::BookingAnswered => "the ERP answers a booking or lookup",
            Self::CancelAnswered => "the ERP answers the cancellation",
            Self::Alarm => "nobody answers or acts in time",
            Self::Release => "release to the warehouse",
            Self::Pick => "pick confirmed",
            Self::Ship => "shipment",
            Self::Close => "close",
            Self::Change => "a change",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Correct => "correct",
            Self::Approve => "approve",
            Self::Reassign => "reassign",
            Self::Reject => "reject",
        }
    }

    /// Who may cause it.
    #[must_use]
    pub const fn parties(self) -> &'static [Party] {
        match self {
            Self::Submit => &[Party::Channel, Party::Operator],
            Self::Priced => &[Party::Contract],
            Self::StockAnswered => &[Party::Stock],
            Self::IntroductionAnswered | Self::CreditAnswered => &[Party::Account],
            Self::BookingAnswered | Self::CancelAnswered => &[Party::Erp],
            Self::Alarm => &[Party::Clock],
            Self::Release | Self::Pick | Self::Ship => &[Party::Wms, Party::Operator],
            Self::Close => &[Party::Erp, Party::Operator],
            Self::Change => &[Party::Channel, Party::Operator],
            Self::Cancel => &[Party::Channel, Party::Erp, Party::Operator],
            Self::Retry | Self::Correct | Self::Approve | Self::Reassign | Self::Reject => &[Party::Operator],
        }
    }
}

const fn row(from: Option<Status>, cause: Cause, to: &'static [Status]) -> Transition {
    Transition { from, cause, to }
}

/// Every change of status that may happen. A decision may make more than one: what was waited for in between was there
/// already.
pub const TRANSITIONS: &[Transition] = &[
    row(None, Cause::Submit, &[Status::Pricing]),
    row(
        Some(Status::Pricing),
        Cause::Priced,
        &[Status::Reserving, Status::Exception],
    ),
    row(
        Some(Status::Pricing),
        Cause::IntroductionAnswered,
        &[Status::Reserving, Status::Exception],
    ),
    row(Some(Status::Pricing), Cause::Alarm, &[Status::Exception]),
    row(Some(Status::Pricing), Cause::Cancel, &[Status::Releasing]),
    row(Some(Status::Pricing), Cause::Change, &[Status::Pricing]),
    row(Some(Status::Reserving), Cause::Priced, &[Status::Exception]),
    row(
        Some(Status::Reserving),
        Cause::IntroductionAnswered,
        &[Status::Exception],
    ),
    row(
        Some(Status::Reserving),
        Cause::Approve,
        &[Status::Releasing, Status::Exception],
    ),
    row(
        Some(Status::Reserving),
        Cause::StockAnswered,
        &[
            Status::CreditCheck,
            Status::Booking,
            Status::Releasing,
            Status::Exception,
        ],
    ),
    row(Some(Status::Reserving), Cause::Alarm, &[Status::Exception]),
    row(Some(Status::Reserving), Cause::Cancel, &[Status::Releasing]),
    row(
        Some(Status::Reserving),
        Cause::Change,
        &[Status::Reserving, Status::Releasing],
    ),
    row(
        Some(Status::Reserving),
        Cause::Retry,
        &[
            Status::CreditCheck,
            Status::Booking,
            Status::Releasing,
            Status::Exception,
        ],
    ),
    row(
        Some(Status::Reserving),
        Cause::CreditAnswered,
        &[Status::Releasing, Status::Exception],
    ),
    row(
        Some(Status::CreditCheck),
        Cause::CreditAnswered,
        &[Status::Reserving, Status::Booking, Status::Exception],
    ),
    row(Some(Status::CreditCheck), Cause::Alarm, &[Status::Exception]),
    row(Some(Status::CreditCheck), Cause::Cancel, &[Status::Releasing]),
    row(
        Some(Status::CreditCheck),
        Cause::Change,
        &[Status::CreditCheck, Status::Releasing],
    ),
    row(
        Some(Status::Booking),
        Cause::BookingAnswered,
        &[
            Status::Booked,
            Status::Backordered,
            Status::Cancelling,
            Status::Exception,
        ],
    ),
    row(Some(Status::Booking), Cause::Alarm, &[Status::Exception]),
    row(Some(Status::Booking), Cause::Cancel, &[Status::Cancelling]),
    row(
        Some(Status::Booked),
        Cause::BookingAnswered,
        &[Status::Cancelling],
    ),
    row(
        Some(Status::Booked),
        Cause::StockAnswered,
        &[Status::Booked, Status::Backordered, Status::Exception],
    ),
    row(Some(Status::Booked), Cause::Release, &[Status::Released]),
    row(Some(Status::Booked), Cause::Pick, &[Status::Picked]),
    row(Some(Status::Booked), Cause::Ship, &[Status::Shipping]),
    row(
        Some(Status::Booked),
        Cause::Cancel,
        &[Status::Cancelling, Status::Releasing],
    ),
    row(
        Some(Status::Booked),
        Cause::Change,
        &[Status::Booked, Status::Backordered, Status::Shipped],
    ),
    row(
        Some(Status::Released),
        Cause::StockAnswered,
        &[
            Status::Booked,
            Status::Released,
            Status::Backordered,
            Status::Exception,
        ],
    ),
    row(Some(Status::Released), Cause::Pick, &[Status::Picked]),
    row(Some(Status::Released), Cause::Ship, &[Status::Shipping]),
    row(
        Some(Status::Released),
        Cause::Cancel,
        &[Status::Cancelling, Status::Releasing],
    ),
    row(Some(Status::Released), Cause::Change, &[Status::Released]),
    row(
        Some(Status::Picked),
        Cause::StockAnswered,
        &[
            Status::Booked,
            Status::Picked,
            Status::Backordered,
            Status::Exception,
        ],
    ),
    row(Some(Status::Picked), Cause::Ship, &[Status::Shipping]),
    row(
        Some(Status::Picked),
        Cause::Cancel,
        &[Status::Cancelling, Status::Releasing],
    ),
    row(Some(Status::Picked), Cause::Change, &[Status::Picked]),
    row(
        Some(Status::Shipping),
        Cause::StockAnswered,
        &[
            Status::Booked,
            Status::Released,
            Status::Picked,
            Status::Backordered,
            Status::Shipped,
            Status::Exception,
        ],
    ),
    row(Some(Status::Shipping), Cause::Alarm, &[Status::Exception]),
    row(
        Some(Status::Shipping),
        Cause::Retry,
        &[
            Status::Booked,
            Status::Released,
            Status::Picked,
            Status::Backordered,
            Status::Shipped,
        ],
    ),
    row(
        Some(Status::Backordered),
        Cause::StockAnswered,
        &[Status::Booked, Status::Backordered],
    ),
    row(
        Some(Status::Backordered),
        Cause::BookingAnswered,
        &[Status::Cancelling],
    ),
    // What leaves before the whole has come has left.
    row(Some(Status::Backordered), Cause::Ship, &[Status::Shipping]),
    row(
        Some(Status::Backordered),
        Cause::Cancel,
        &[Status::Cancelling, Status::Releasing],
    ),
    row(
        Some(Status::Backordered),
        Cause::Change,
        &[Status::Booked, Status::Backordered, Status::Shipped],
    ),
    row(Some(Status::Shipped), Cause::Close, &[Status::Closed]),
    row(Some(Status::Shipped), Cause::Change, &[Status::Shipped]),
    row(
        Some(Status::Cancelling),
        Cause::CancelAnswered,
        &[
            Status::Booked,
            Status::Released,
            Status::Picked,
            Status::Shipping,
            Status::Backordered,
            Status::Shipped,
            Status::Releasing,
            Status::Exception,
        ],
    ),
    row(Some(Status::Cancelling), Cause::Alarm, &[Status::Exception]),
    row(
        Some(Status::Releasing),
        Cause::StockAnswered,
        &[
            Status::Exception,
            Status::Shipped,
            Status::Cancelled,
            Status::Rejected,
            Status::Pricing,
            Status::Reserving,
        ],
    ),
    row(Some(Status::Releasing), Cause::CancelAnswered, &[Status::Shipped]),
    row(Some(Status::Releasing), Cause::Alarm, &[Status::Exception]),
    row(
        Some(Status::Releasing),
        Cause::Cancel,
        &[Status::Shipped, Status::Cancelled],
    ),
    row(
        Some(Status::Releasing),
        Cause::Retry,
        &[
            Status::Exception,
            Status::Shipped,
            Status::Cancelled,
            Status::Rejected,
            Status::Pricing,
            Status::Reserving,
        ],
    ),
    row(
        Some(Status::Releasing),
        Cause::Reject,
        &[Status::Shipped, Status::Rejected],
    ),
    row(
        Some(Status::Exception),
        Cause::BookingAnswered,
        &[Status::Booked, Status::Backordered],
    ),
    row(
        Some(Status::Exception),
        Cause::StockAnswered,
        &[Status::Booked, Status::Released, Status::Picked],
    ),
    row(
        Some(Status::Exception),
        Cause::CreditAnswered,
        &[Status::Reserving, Status::Booking],
    ),
    row(
        Some(Status::Exception),
        Cause::Cancel,
        &[Status::Cancelling, Status::Releasing],
    ),
    row(
        Some(Status::Exception),
        Cause::Retry,
        &[
            Status::Pricing,
            Status::Reserving,
            Status::CreditCheck,
            Status::Booking,
            Status::Booked,
            Status::Released,
            Status::Picked,
            Status::Shipping,
            Status::Backordered,
            Status::Cancelling,
            Status::Releasing,
        ],
    ),
    row(
        Some(Status::Exception),
        Cause::Alarm,
        &[Status::Exception, Status::Releasing],
    ),
    row(
        Some(Status::Exception),
        Cause::Correct,
        &[Status::Pricing, Status::Cancelling, Status::Releasing],
    ),
    row(
        Some(Status::Exception),
        Cause::Change,
        &[
            Status::Pricing,
            Status::Cancelling,
            Status::Releasing,
            Status::Exception,
        ],
    ),
    row(
        Some(Status::Exception),
        Cause::Approve,
        &[Status::Reserving, Status::CreditCheck, Status::Exception],
    ),
    row(Some(Status::Exception), Cause::Reassign, &[Status::Exception]),
    row(
        Some(Status::Exception),
        Cause::Reject,
        &[Status::Cancelling, Status::Releasing],
    ),
];

/// Whether a change of status stands in the table.
#[must_use]
pub fn is_allowed(from: Option<Status>, cause: Cause, to: Status) -> bool {
    TRANSITIONS
        .iter()
        .any(|row| row.from == from && row.cause == cause && row.to.contains(&to))
}
