//! What becomes of an interchange that comes in, before anything is done about it. Pure.

use super::acknowledgement::{self, Answered, GroupReport, SetReport};
use super::config::PartnerConfig;
use super::fault::{GroupCode, SetCode};
use super::purchase_order::{self, PurchaseOrder};
use super::syntax::{Group, Interchange, TransactionSet};

/// The version of purchase orders that are read; what follows these digits is the industry's.
const VERSION: &str = "004010";

/// A group, judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    /// What is answered; none to acknowledgements, which are not acknowledged.
    pub(super) report: Option<GroupReport>,
    /// The orders in it.
    pub(super) orders: Vec<PurchaseOrder>,
    /// What the partner says to what went out.
    pub(super) answers: Vec<Answered>,
    /// Acknowledgements that do not say what they are about.
    pub(super) unreadable: usize,
}

/// Judges all groups of an interchange.
pub(super) fn judge(interchange: &Interchange<'_>, profile: &PartnerConfig) -> Vec<Judged> {
    let groups = interchange.groups.iter();
    groups.map(|group| judge_group(group, profile)).collect()
}

fn judge_group(group: &Group<'_>, profile: &PartnerConfig) -> Judged {
    match group.kind {
        "FA" => acknowledgements(group),
        "PO" if group.version.starts_with(VERSION) => purchase_orders(group, profile),
        "PO" => refused(group, GroupCode::Version),
        _ => refused(group, GroupCode::NotSupported),
    }
}

fn report(group: &Group<'_>) -> GroupReport {
    GroupReport {
        kind: group.kind.to_owned(),
        control: group.control.trim_start_matches('0').to_owned(),
        stated: group.stated,
        present: group.sets.len(),
        codes: group.faults.clone(),
        sets: Vec::new(),
    }
}

fn refused(group: &Group<'_>, code: GroupCode) -> Judged {
    let mut report = report(group);
    report.codes.push(code);
    Judged {
        report: Some(report),
        ..Judged::default()
    }
}

fn acknowledgements(group: &Group<'_>) -> Judged {
    let mut judged = Judged::default();
    for set in &group.sets {
        let answered = Some(set).filter(|set| set.id == "997" && set.faults.is_empty());
        match answered.and_then(acknowledgement::read) {
            Some(answered) => judged.answers.push(answered),
            None => judged.unreadable += 1,
        }
    }
    judged
}

fn purchase_orders(group: &Group<'_>, profile: &PartnerConfig) -> Judged {
    let mut report = report(group);
    let mut orders = Vec::new();
    for set in &group.sets {
        let (of_set, order) = purchase_order(set, profile);
        report.sets.push(of_set);
        orders.extend(order);
    }
    Judged {
        report: Some(report),
        orders,
        ..Judged::default()
    }
}

fn purchase_order(set: &TransactionSet<'_>, profile: &PartnerConfig) -> (SetReport, Option<PurchaseOrder>) {
    let mut report = SetReport {
        id: set.id.to_owned(),
        control: set.control.to_owned(),
        faults: Vec::new(),
        codes: set.faults.clone(),
    };
    let orders = profile.orders.as_ref().filter(|_| set.id == "850");
    let Some(orders) = orders else {
        report.codes.push(SetCode::NotSupported);
        return (report, None);
    };
    let (faults, order) = purchase_order::read(set, profile, orders);
    report.faults = faults;
    let order = order.filter(|_| report.codes.is_empty());
    (report, order)
}
