//! Why an interchange cannot be read: what a person is told about a file in `failed`.

use super::syntax::{Delimiters, ISA_BYTES};

/// Why an interchange cannot be read. `segment` counts from its ISA, which is 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InterchangeError {
    /// It does not begin so.
    #[error("{found:?} stands where an interchange should begin with ISA")]
    NoHeader {
        /// What stands there.
        found: String,
    },
    /// The ISA segment is not as long as it has to be.
    #[error("ISA: elements do not stand where its fixed length of {ISA_BYTES} characters puts them")]
    Header,
    /// The delimiters cannot be told from each other or from text.
    #[error(
        "ISA: the delimiters {0:?} must be three different characters that are neither letters, digits nor blanks"
    )]
    Delimiters(Delimiters),
    /// An element of an envelope cannot be used.
    #[error("segment {segment}, {element}: {found:?} should be {wanted}")]
    Element {
        /// Which segment of the interchange.
        segment: u32,
        /// Which element, as in `ISA13`.
        element: &'static str,
        /// What stands there.
        found: String,
        /// What should.
        wanted: &'static str,
    },
    /// The text ends before the interchange.
    #[error("the text ends after segment {segment} without IEA: it is not complete")]
    NoTrailer {
        /// The last segment.
        segment: u32,
    },
    /// A segment where none of its kind may stand.
    #[error("segment {segment}: {found} cannot stand {place}")]
    Misplaced {
        /// Which.
        segment: u32,
        /// Its id.
        found: String,
        /// Where.
        place: &'static str,
    },
    /// More than is read.
    #[error("segment {segment}: more than {most} {what}")]
    TooMuch {
        /// Where.
        segment: u32,
        /// Of what.
        what: &'static str,
        /// How much is read.
        most: usize,
    },
}
