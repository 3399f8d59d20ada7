//! 997: what became of what came in, and what a partner says to what went out.
//!
//! A group is answered as a whole (AK9): `A` accepted, `E` accepted with errors noted, `P` some of its sets rejected, `R` all
//! rejected. Each set has an answer of its own (AK5) with its segments (AK3) and elements (AK4) that have faults.

use super::config::PartnerConfig;
use super::fault::{Fault, GroupCode, SetCode, Weight};
use super::syntax::TransactionSet;
use super::write::{Segments, words};
use lockstep_actors::edi::partner::Verdict;

/// The most faults of a set that are answered.
const MAX_FAULTS: usize = 100;
/// The most characters of a bad element that are repeated (element 724).
const MAX_COPY: usize = 99;
/// The most codes in an AK5 or AK9.
const MAX_CODES: usize = 5;
/// The most characters of a partner's reasons that are kept.
const MAX_NOTE: usize = 240;

/// What became of a transaction set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SetReport {
    /// Which, as in `850`.
    pub id: String,
    /// Its control number.
    pub control: String,
    /// What is wrong with its segments.
    pub faults: Vec<Fault>,
    /// What is wrong with it as a whole.
    pub codes: Vec<SetCode>,
}

impl SetReport {
    /// Whether it is taken.
    #[must_use]
    pub(super) fn verdict(&self) -> Verdict {
        let fatal = self.faults.iter().any(|fault| fault.weight == Weight::Fatal);
        if fatal || !self.codes.is_empty() {
            Verdict::Rejected
        } else if self.faults.is_empty() {
            Verdict::Accepted
        } else {
            Verdict::AcceptedWithErrors
        }
    }

    fn codes(&self) -> Vec<SetCode> {
        let mut codes = self.codes.clone();
        if !self.faults.is_empty() {
            codes.push(SetCode::Segments);
        }
        codes.truncate(MAX_CODES);
        codes
    }
}

/// What became of a functional group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupReport {
    /// Its kind, as in `PO`.
    pub kind: String,
    /// Its control number.
    pub control: String,
    /// How many sets its trailer says that it has.
    pub stated: u32,
    /// How many came.
    pub present: usize,
    /// What is wrong with it as a whole.
    pub codes: Vec<GroupCode>,
    /// What became of its sets; none if the group is not taken at all.
    pub sets: Vec<SetReport>,
}

impl GroupReport {
    /// How many of its sets are taken.
    #[must_use]
    pub(super) fn accepted(&self) -> usize {
        let taken = |set: &&SetReport| set.verdict() != Verdict::Rejected;
        self.sets.iter().filter(taken).count()
    }

    /// The answer to the group: AK901.
    #[must_use]
    pub(super) fn answer(&self) -> &'static str {
        let clean = |set: &SetReport| set.verdict() == Verdict::Accepted;
        match self.accepted() {
            0 => "R",
            accepted if accepted < self.sets.len() => "P",
            _ if self.codes.is_empty() && self.sets.iter().all(clean) => "A",
            _ => "E",
        }
    }

    /// The acknowledgement.
    pub(super) fn written(&self, profile: &PartnerConfig) -> Segments {
        let mut text = Segments::default();
        let (kind, control) = (words(profile, &self.kind, 2), words(profile, &self.control, 9));
        text.push("AK1", &[&kind, &control]);
        for set in &self.sets {
            write_set(&mut text, profile, set);
        }
        let (stated, present) = (self.stated.to_string(), self.present.to_string());
        let accepted = self.accepted().to_string();
        let mut group = vec![self.answer(), &stated, &present, &accepted];
        group.extend(self.codes.iter().take(MAX_CODES).map(|code| code.code()));
        text.push("AK9", &group);
        text
    }
}

fn letter(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "A",
        Verdict::AcceptedWithErrors => "E",
        Verdict::Rejected => "R",
    }
}

fn write_set(text: &mut Segments, profile: &PartnerConfig, set: &SetReport) {
    let control = words(profile, &set.control, 9);
    text.push("AK2", &[&words(profile, &set.id, 3), &control]);
    for fault in set.faults.iter().take(MAX_FAULTS) {
        let position = fault.position.to_string();
        let in_loop = fault.in_loop.unwrap_or_default();
        let segment = words(profile, &fault.segment, 3);
        text.push("AK3", &[&segment, &position, in_loop, fault.code.code()]);
        for element in &fault.elements {
            let reference = if element.reference == 0 {
                String::new()
            } else {
                element.reference.to_string()
            };
            let copy = words(profile, &element.copy, MAX_COPY);
            text.push(
                "AK4",
                &[&element.place.to_string(), &reference, element.code.code(), &copy],
            );
        }
    }
    let mut answer = vec![letter(set.verdict())];
    let codes = set.codes();
    answer.extend(codes.iter().map(|code| code.code()));
    text.push("AK5", &answer);
}

/// What a partner says to a group that went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// The group's control number, which is that of its interchange.
    pub(super) control: u32,
    pub(super) verdict: Verdict,
    /// Why, in the partner's codes.
    pub(super) note: String,
}

/// Reads an acknowledgement; none if it does not say what it is about or what it says.
pub(super) fn read(set: &TransactionSet<'_>) -> Option<Answered> {
    let mut control = None;
    let mut answer = None;
    let mut notes = Vec::new();
    for segment in &set.segments {
        match segment.id() {
            "AK1" => control = segment.text(2).parse().ok(),
            "AK9" => answer = segment.element(1),
            "AK3" | "AK4" | "AK5" => {
                let parts: Vec<&str> = (1..=segment.len()).map(|place| segment.text(place)).collect();
                let said = format!("{} {}", segment.id(), parts.join(" "));
                if said != "AK5 A" {
                    notes.push(said);
                }
            }
            _ => {}
        }
    }
    let verdict = match answer? {
        "A" => Verdict::Accepted,
        "E" => Verdict::AcceptedWithErrors,
        // One set is sent in a group, so that a part of it is all of it.
        "P" | "R" | "M" | "W" | "X" => Verdict::Rejected,
        _ => return None,
    };
    Some(Answered {
        control: control?,
        verdict,
        note: notes.join("; ").chars().take(MAX_NOTE).collect(),
    })
}
