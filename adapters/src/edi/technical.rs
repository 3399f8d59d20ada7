//! TA1: what became of an interchange as such, where its sender asks for that (ISA14).
//!
//! Codes by <https://learn.microsoft.com/en-us/biztalk/core/x12-ta1-acknowledgment-error-codes>. Of an interchange that has anything
//! wrong with its envelope nothing is taken, so that it is rejected (`R`), not accepted with errors.

use super::broken::InterchangeError;
use super::syntax::Header;
use super::write::Segments;
use lockstep_actors::edi::partner::PartnerDocument;

/// The name under which it goes out among transaction sets. It is none: it stands in no functional group.
pub(super) const TA1: &str = "TA1";

/// What became of an interchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its envelope is as it should be.
    Accepted,
    /// Its number stands for another content.
    Duplicate,
    /// It ends too early.
    Unfinished,
    /// Header and trailer have different control numbers.
    ControlMismatch,
    /// It does not have as many groups as it says.
    GroupCount,
    /// Anything else is wrong with its structure.
    Structure,
}

impl Outcome {
    /// What is said to one that cannot be read.
    pub(super) fn of(error: &InterchangeError) -> Self {
        match error {
            InterchangeError::NoTrailer { .. } => Self::Unfinished,
            InterchangeError::Element { element: "IEA02", .. } => Self::ControlMismatch,
            InterchangeError::Element { element: "IEA01", .. } => Self::GroupCount,
            InterchangeError::NoHeader { .. }
            | InterchangeError::Header
            | InterchangeError::Delimiters(_)
            | InterchangeError::Element { .. }
            | InterchangeError::Misplaced { .. }
            | InterchangeError::TooMuch { .. } => Self::Structure,
        }
    }

    /// TA104 and TA105.
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Accepted => ("A", "000"),
            Self::ControlMismatch => ("R", "001"),
            Self::GroupCount => ("R", "021"),
            Self::Structure => ("R", "022"),
            Self::Unfinished => ("R", "023"),
            Self::Duplicate => ("R", "025"),
        }
    }
}

/// The answer to an interchange; none if its sender does not ask for one.
pub(super) fn answer(header: &Header<'_>, outcome: Outcome) -> Option<PartnerDocument> {
    if !header.wants_answer {
        return None;
    }
    let (control, (date, time)) = (format!("{:09}", header.control), header.sent);
    let (code, note) = outcome.codes();
    let mut text = Segments::default();
    text.push("TA1", &[&control, date, time, code, note]);
    let subject = format!("interchange {control}");
    // Nobody acknowledges it.
    Some(text.document(TA1, &subject, None))
}
