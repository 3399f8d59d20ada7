//! What can be wrong with what a partner sends, in the codes of the functional acknowledgement (X12 997, version 004010).
//!
//! The code lists are those of the data elements 720 (AK304), 723 (AK403), 718 (AK502) and 716 (AK905), as in
//! <https://learn.microsoft.com/biztalk/core/x12-997-acknowledgment-error-codes> and
//! <https://support.edifabric.com/hc/en-us/articles/360000380131-X12-997-Acknowledgment-Error-Codes>.

/// What is wrong with a segment: AK304, element 720.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentCode {
    /// There is no such segment.
    Unrecognized,
    /// It may not stand there.
    Unexpected,
    /// It has to be there.
    Missing,
    /// There are more loops of it than may be.
    TooManyLoops,
    /// There are more of it than may be.
    TooMany,
    /// The transaction set has no such segment.
    NotInSet,
    /// It stands behind what it should precede.
    OutOfSequence,
    /// Its elements have faults.
    Elements,
}

impl SegmentCode {
    /// The code.
    #[must_use]
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Unrecognized => "1",
            Self::Unexpected => "2",
            Self::Missing => "3",
            Self::TooManyLoops => "4",
            Self::TooMany => "5",
            Self::NotInSet => "6",
            Self::OutOfSequence => "7",
            Self::Elements => "8",
        }
    }

    /// The same in words.
    #[must_use]
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Unrecognized => "there is no such segment",
            Self::Unexpected => "it may not stand here",
            Self::Missing => "it has to be there",
            Self::TooManyLoops => "there are more of its loops than may be",
            Self::TooMany => "there are more of it than may be",
            Self::NotInSet => "this transaction set has no such segment",
            Self::OutOfSequence => "it stands behind what it should precede",
            Self::Elements => "its elements have faults",
        }
    }
}

/// What is wrong with an element: AK403, element 723.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ElementCode {
    /// It has to be there.
    Missing,
    /// It has to be there since another one is.
    ConditionalMissing,
    /// The segment has more elements than it may.
    TooMany,
    /// It is shorter than it may be.
    TooShort,
    /// It is longer than it may be.
    TooLong,
    /// It has a character that it may not have.
    Character,
    /// Its value is none that can be used.
    Value,
    /// It is no date.
    Date,
}

impl ElementCode {
    /// The code.
    #[must_use]
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Missing => "1",
            Self::ConditionalMissing => "2",
            Self::TooMany => "3",
            Self::TooShort => "4",
            Self::TooLong => "5",
            Self::Character => "6",
            Self::Value => "7",
            Self::Date => "8",
        }
    }

    /// The same in words.
    #[must_use]
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Missing => "it has to be there",
            Self::ConditionalMissing => "it has to be there since the other half of the pair is",
            Self::TooMany => "the segment has no such element",
            Self::TooShort => "it is too short",
            Self::TooLong => "it is too long",
            Self::Character => "it has a character that it may not have",
            Self::Value => "this value cannot be used",
            Self::Date => "it is no date",
        }
    }
}

/// What is wrong with a transaction set as a whole: AK502, element 718.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetCode {
    /// This partner does not send it.
    NotSupported,
    /// It has no SE.
    NoTrailer,
    /// Its SE has another control number.
    ControlMismatch,
    /// Its SE says another number of segments.
    SegmentCount,
    /// Segments have faults.
    Segments,
    /// ST01 is none.
    Identifier,
    /// ST02 is none.
    ControlNumber,
}

impl SetCode {
    /// The code.
    #[must_use]
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::NotSupported => "1",
            Self::NoTrailer => "2",
            Self::ControlMismatch => "3",
            Self::SegmentCount => "4",
            Self::Segments => "5",
            Self::Identifier => "6",
            Self::ControlNumber => "7",
        }
    }

    /// The same in words.
    #[must_use]
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NotSupported => "this transaction set is not taken from this partner",
            Self::NoTrailer => "it has no SE",
            Self::ControlMismatch => "ST02 and SE02 are not the same",
            Self::SegmentCount => "SE01 is not the number of its segments",
            Self::Segments => "segments have faults",
            Self::Identifier => "ST01 is no transaction set identifier",
            Self::ControlNumber => "ST02 is no control number of 4 to 9 letters and digits",
        }
    }
}

/// What is wrong with a functional group as a whole: AK905, element 716.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupCode {
    /// This partner does not send it.
    NotSupported,
    /// This version of it is not read.
    Version,
    /// It has no GE.
    NoTrailer,
    /// Its GE has another control number.
    ControlMismatch,
    /// Its GE says another number of sets.
    SetCount,
}

impl GroupCode {
    /// The code.
    #[must_use]
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::NotSupported => "1",
            Self::Version => "2",
            Self::NoTrailer => "3",
            Self::ControlMismatch => "4",
            Self::SetCount => "5",
        }
    }

    /// The same in words.
    #[must_use]
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NotSupported => "this functional group is not taken from this partner",
            Self::Version => "this version of the functional group is not read",
            Self::NoTrailer => "the functional group has no GE",
            Self::ControlMismatch => "GS06 and GE02 are not the same",
            Self::SetCount => "GE01 is not the number of its transaction sets",
        }
    }
}

/// What a fault costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It is noted; the transaction set is taken.
    Noted,
    /// The transaction set is not taken.
    Fatal,
}

/// A fault of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ElementFault {
    /// Its place in the segment, from 1.
    pub place: usize,
    /// Its number in the data element dictionary; 0 if it has none.
    pub reference: u16,
    /// What is wrong.
    pub code: ElementCode,
    /// What stands there.
    pub copy: String,
}

/// A fault of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which segment.
    pub segment: String,
    /// Its place in the transaction set, ST being 1.
    pub position: u32,
    /// In which loop, as in `PO1`.
    pub in_loop: Option<&'static str>,
    /// What is wrong.
    pub code: SegmentCode,
    /// With which elements.
    pub elements: Vec<ElementFault>,
    /// What it costs.
    pub weight: Weight,
}

impl Fault {
    /// The same for a person, one line a fault.
    #[must_use]
    pub(super) fn explained(&self) -> Vec<String> {
        let at = format!("segment {}, {}", self.position, self.segment);
        if self.elements.is_empty() {
            return vec![format!(
                "{at}: {} (AK304 {})",
                self.code.words(),
                self.code.code()
            )];
        }
        let element = |fault: &ElementFault| {
            let shown = if fault.copy.is_empty() {
                String::new()
            } else {
                format!(" {:?}", fault.copy)
            };
            let (code, words) = (fault.code.code(), fault.code.words());
            format!("{at}{:02}{shown}: {words} (AK403 {code})", fault.place)
        };
        self.elements.iter().map(element).collect()
    }
}
