//! What the transaction sets that come in are made of, as data, and the check of one against it.
//!
//! Segments that an order is made from are checked element by element; a fault there costs the transaction set. Others are
//! read over: what is wrong with them is noted. Order within an area is free but for what begins it; areas follow each other.
//!
//! Types and lengths are those of the data element dictionary of version 004010
//! (<https://www.stedi.com/edi/x12-004010/850>, <https://www.stedi.com/edi/x12-004010/997>).

use super::element;
use super::fault::{ElementCode, ElementFault, Fault, SegmentCode, Weight};
use super::syntax::{Segment, TransactionSet};

/// What an element may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Text.
    Text,
    /// A code of letters and digits.
    Code,
    /// A whole number.
    Whole,
    /// A decimal.
    Decimal,
    /// A date: CCYYMMDD.
    Date,
}

/// Whether an element has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Mandatory,
    Optional,
    /// If one of two neighbours is there, both are: this and the one before it.
    WithPrevious,
    /// If this is there, the one before it has to be.
    AfterPrevious,
}

/// An element of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ElementRule {
    reference: u16,
    kind: Type,
    least: usize,
    most: usize,
    need: Need,
}

const fn rule(reference: u16, kind: Type, least: usize, most: usize, need: Need) -> ElementRule {
    ElementRule {
        reference,
        kind,
        least,
        most,
        need,
    }
}

/// A segment of a transaction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentRule {
    id: &'static str,
    area: Area,
    /// How many there may be in a transaction set; 0 for any number.
    most: usize,
    weight: Weight,
    /// How many elements it may have.
    width: usize,
    /// What is known of the first of them.
    elements: &'static [ElementRule],
}

/// A part of a transaction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Area {
    Heading,
    Detail,
    Summary,
    /// Heading or detail.
    Either,
}

/// A transaction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetRule {
    /// The segment that begins it.
    first: &'static str,
    /// The segment that begins a loop of the detail.
    detail: &'static str,
    /// Whether there has to be one.
    needs_detail: bool,
    /// The segments that begin the summary.
    summary: &'static [&'static str],
    segments: &'static [SegmentRule],
    /// Segments that may stand in heading and detail and are read over.
    others: &'static [&'static str],
}

use Area::{Detail, Either, Heading, Summary};
use Need::{AfterPrevious, Mandatory, Optional, WithPrevious};
use Type::{Code, Date, Decimal, Text, Whole};
use Weight::{Fatal, Noted};

const fn segment(
    id: &'static str,
    area: Area,
    most: usize,
    weight: Weight,
    width: usize,
    elements: &'static [ElementRule],
) -> SegmentRule {
    SegmentRule {
        id,
        area,
        most,
        weight,
        width,
        elements,
    }
}

/// 850, a purchase order.
pub(super) const PURCHASE_ORDER: SetRule = SetRule {
    first: "BEG",
    detail: "PO1",
    needs_detail: true,
    summary: &["CTT", "AMT"],
    segments: &[
        segment(
            "BEG",
            Heading,
            1,
            Fatal,
            12,
            &[
                rule(353, Code, 2, 2, Mandatory),
                rule(92, Code, 2, 2, Mandatory),
                rule(324, Text, 1, 22, Mandatory),
                rule(328, Text, 1, 30, Optional),
                rule(373, Date, 8, 8, Mandatory),
                rule(367, Text, 1, 30, Optional),
            ],
        ),
        segment(
            "CUR",
            Either,
            0,
            Fatal,
            21,
            &[rule(98, Code, 2, 3, Mandatory), rule(100, Code, 3, 3, Mandatory)],
        ),
        segment(
            "REF",
            Either,
            0,
            Noted,
            4,
            &[
                rule(128, Code, 2, 3, Mandatory),
                rule(127, Text, 1, 30, Optional),
                rule(352, Text, 1, 80, Optional),
            ],
        ),
        segment(
            "DTM",
            Either,
            0,
            Noted,
            6,
            &[rule(374, Code, 3, 3, Mandatory), rule(373, Date, 8, 8, Optional)],
        ),
        segment(
            "N1",
            Either,
            0,
            Fatal,
            6,
            &[
                rule(98, Code, 2, 3, Mandatory),
                rule(93, Text, 1, 60, Optional),
                rule(66, Code, 1, 2, Optional),
                rule(67, Text, 2, 80, WithPrevious),
            ],
        ),
        segment(
            "N3",
            Either,
            0,
            Fatal,
            2,
            &[
                rule(166, Text, 1, 55, Mandatory),
                rule(166, Text, 1, 55, Optional),
            ],
        ),
        segment(
            "N4",
            Either,
            0,
            Fatal,
            6,
            &[
                rule(19, Text, 2, 30, Optional),
                rule(156, Code, 2, 2, Optional),
                rule(116, Text, 3, 15, Optional),
                rule(26, Code, 2, 3, Optional),
            ],
        ),
        segment(
            "PO1",
            Detail,
            0,
            Fatal,
            25,
            &[
                rule(350, Text, 1, 20, Optional),
                rule(330, Decimal, 1, 9, Mandatory),
                rule(355, Code, 2, 2, Optional),
                rule(212, Decimal, 1, 17, Optional),
                rule(639, Code, 2, 2, AfterPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
                rule(235, Code, 2, 2, Optional),
                rule(234, Text, 1, 48, WithPrevious),
            ],
        ),
        segment(
            "PID",
            Either,
            0,
            Noted,
            9,
            &[
                rule(349, Code, 1, 1, Mandatory),
                rule(750, Code, 2, 3, Optional),
                rule(559, Code, 2, 2, Optional),
                rule(751, Text, 1, 12, Optional),
                rule(352, Text, 1, 80, Optional),
            ],
        ),
        segment(
            "CTT",
            Summary,
            1,
            Fatal,
            7,
            &[
                rule(354, Whole, 1, 6, Mandatory),
                rule(347, Decimal, 1, 10, Optional),
            ],
        ),
        segment("AMT", Summary, 0, Noted, 3, &[]),
    ],
    others: &[
        "ADV", "CN1", "CSH", "CTB", "CTP", "DIS", "FOB", "INC", "IT3", "IT8", "ITD", "LDT", "LE", "LIN",
        "LM", "LQ", "LS", "MAN", "MEA", "MSG", "MTX", "N2", "N9", "NM1", "NX2", "PAM", "PCT", "PER", "PKG",
        "PO3", "PO4", "PWK", "QTY", "SAC", "SCH", "SDQ", "SI", "SLN", "SPI", "TAX", "TC2", "TD1", "TD3",
        "TD4", "TD5", "TXI",
    ],
};

/// Every id that the tables of 004010 know and the sets above do not have, as far as one is likely to meet them.
const ELSEWHERE: &[&str] = &[
    "ACK", "AK1", "AK2", "AK3", "AK4", "AK5", "AK9", "BAK", "BCH", "BCT", "BIA", "BIG", "BSN", "CAD", "HL",
    "IT1", "POC", "PRF", "SN1", "TDS",
];

/// Checks a transaction set against its rule. What it finds is in the order of the segments.
pub(super) fn check(set: &TransactionSet<'_>, rules: &SetRule) -> Vec<Fault> {
    let mut check = Check {
        rules,
        area: Heading,
        details: 0,
        counts: vec![0; rules.segments.len()],
        faults: Vec::new(),
    };
    if set.segments.first().map(Segment::id) != Some(rules.first) {
        check.missing(rules.first, 2);
    }
    for segment in &set.segments {
        check.segment(segment);
    }
    if rules.needs_detail && check.details == 0 {
        check.missing(rules.detail, set.end);
    }
    check.faults
}

struct Check<'r> {
    rules: &'r SetRule,
    area: Area,
    details: usize,
    counts: Vec<usize>,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn segment(&mut self, segment: &Segment<'_>) {
        let id = segment.id();
        if id == self.rules.detail && self.area < Summary {
            self.area = Detail;
            self.details += 1;
        } else if self.rules.summary.contains(&id) && (self.area == Detail || id == "CTT") {
            self.area = Summary;
        }
        let Some(place) = self.rules.segments.iter().position(|rule| rule.id == id) else {
            return self.other(segment);
        };
        let rule = &self.rules.segments[place];
        self.counts[place] += 1;
        // A total may close a heading or a loop as well.
        let anywhere = rule.area == Either || id == "AMT";
        if rule.area != self.area && (!anywhere || self.area == Summary) {
            return self.fault(segment, SegmentCode::OutOfSequence, rule.weight);
        }
        if rule.most > 0 && self.counts[place] > rule.most {
            return self.fault(segment, SegmentCode::TooMany, rule.weight);
        }
        let elements = check_elements(segment, rule);
        if !elements.is_empty() {
            let in_loop = self.in_loop();
            self.faults.push(Fault {
                segment: id.to_owned(),
                position: segment.position,
                in_loop,
                code: SegmentCode::Elements,
                elements,
                weight: rule.weight,
            });
        }
    }

    /// A segment that nothing is read from.
    fn other(&mut self, segment: &Segment<'_>) {
        let id = segment.id();
        let known = self.rules.others.contains(&id);
        if known && self.area != Summary {
            return;
        }
        let code = if known {
            SegmentCode::Unexpected
        } else if ELSEWHERE.contains(&id) {
            SegmentCode::NotInSet
        } else {
            SegmentCode::Unrecognized
        };
        self.fault(segment, code, Noted);
    }

    fn in_loop(&self) -> Option<&'static str> {
        (self.area == Detail).then_some(self.rules.detail)
    }

    fn fault(&mut self, segment: &Segment<'_>, code: SegmentCode, weight: Weight) {
        let in_loop = self.in_loop();
        self.faults.push(Fault {
            segment: segment.id().chars().take(3).collect(),
            position: segment.position,
            in_loop,
            code,
            elements: Vec::new(),
            weight,
        });
    }

    fn missing(&mut self, id: &'static str, position: u32) {
        self.faults.push(Fault {
            segment: id.to_owned(),
            position,
            in_loop: None,
            code: SegmentCode::Missing,
            elements: Vec::new(),
            weight: Fatal,
        });
    }
}

fn check_elements(segment: &Segment<'_>, rules: &SegmentRule) -> Vec<ElementFault> {
    let mut faults = Vec::new();
    for (place, rule) in (1..).zip(rules.elements) {
        let found = segment.text(place);
        let previous = place > 1 && segment.element(place - 1).is_some();
        let code = match (found.is_empty(), rule.need) {
            (true, Mandatory) => Some(ElementCode::Missing),
            (true, WithPrevious) if previous => Some(ElementCode::ConditionalMissing),
            (true, _) => None,
            (false, WithPrevious | AfterPrevious) if !previous => Some(ElementCode::ConditionalMissing),
            (false, _) => judge(found, rule),
        };
        faults.extend(code.map(|code| ElementFault {
            place,
            reference: rule.reference,
            code,
            copy: found.to_owned(),
        }));
    }
    if segment.len() > rules.width {
        let place = rules.width + 1;
        faults.push(ElementFault {
            place,
            reference: 0,
            code: ElementCode::TooMany,
            copy: segment.text(place).to_owned(),
        });
    }
    faults
}

fn judge(found: &str, rule: &ElementRule) -> Option<ElementCode> {
    let length = match rule.kind {
        // Sign and point do not count (X12.6).
        Whole | Decimal => found.chars().filter(char::is_ascii_digit).count(),
        Text | Code | Date => found.chars().count(),
    };
    let fits = match rule.kind {
        Text => !found.chars().any(char::is_control),
        Code => found.chars().all(|c| c.is_ascii_alphanumeric()),
        Whole => element::whole(found).is_some(),
        Decimal => element::decimal(found).is_some(),
        Date => found.bytes().all(|byte| byte.is_ascii_digit()),
    };
    if !fits {
        Some(ElementCode::Character)
    } else if length < rule.least {
        Some(ElementCode::TooShort)
    } else if length > rule.most {
        Some(ElementCode::TooLong)
    } else if rule.kind == Date && element::date(found).is_none() {
        Some(ElementCode::Date)
    } else {
        None
    }
}
