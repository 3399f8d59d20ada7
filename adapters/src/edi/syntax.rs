//! X12 syntax: interchanges, functional groups, transaction sets and segments as they stand in a text.
//!
//! The delimiters are taken from the ISA segment, which has a fixed length (X12.5, "Interchange Control Structures"): the
//! element separator stands behind `ISA`, the component separator is ISA16, the terminator follows it. Line ends after a
//! terminator mean nothing.
//!
//! Invariants: one broken interchange costs itself; a broken transaction set costs itself and is kept with its faults, so that it
//! can be answered; every limit below bounds what is read.

use super::broken::InterchangeError;
use super::fault::{GroupCode, SetCode};

/// The most bytes of a file.
pub(super) const MAX_FILE_BYTES: usize = 16 << 20;
/// The most interchanges in a file.
pub(super) const MAX_INTERCHANGES: usize = 1_000;
/// The most functional groups in an interchange.
pub(super) const MAX_GROUPS: usize = 100;
/// The most transaction sets in an interchange.
pub(super) const MAX_SETS: usize = 1_000;
/// The most segments in a transaction set.
pub(super) const MAX_SEGMENTS: usize = 20_000;
/// The most elements in a segment.
pub(super) const MAX_ELEMENTS: usize = 64;
/// The most bytes of a segment.
pub(super) const MAX_SEGMENT_BYTES: usize = 8_192;
/// The length of an ISA segment with its terminator.
pub(super) const ISA_BYTES: usize = 106;
/// Where its element separators stand.
const ISA_SEPARATORS: [usize; 16] = [3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103];

/// What separates elements, components and segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiters {
    /// Between elements.
    pub element: char,
    /// Between components of an element.
    pub component: char,
    /// After a segment.
    pub segment: char,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self {
            element: '*',
            component: '>',
            segment: '~',
        }
    }
}

impl Delimiters {
    /// Whether they are three, and none can stand in an element.
    #[must_use]
    pub(super) fn are_usable(self) -> bool {
        let all = [self.element, self.component, self.segment];
        let usable =
            |delimiter: char| delimiter.is_ascii() && !delimiter.is_ascii_alphanumeric() && delimiter != ' ';
        all.iter().all(|delimiter| usable(*delimiter))
            && self.element != self.component
            && self.element != self.segment
            && self.component != self.segment
    }

    /// Whether a character is one of them.
    #[must_use]
    pub(super) fn has(self, character: char) -> bool {
        [self.element, self.component, self.segment].contains(&character)
    }
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment<'t> {
    /// Its place in the transaction set, ST being 1.
    pub position: u32,
    parts: Vec<&'t str>,
}

impl<'t> Segment<'t> {
    fn of(text: &'t str, position: u32, delimiters: Delimiters) -> Self {
        let parts = text.split(delimiters.element).collect();
        Self { position, parts }
    }

    /// Its id, as in `BEG`.
    #[must_use]
    pub(super) fn id(&self) -> &'t str {
        self.parts.first().copied().unwrap_or_default()
    }

    /// How many elements it has.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.parts.len().saturating_sub(1)
    }

    /// An element by its place from 1; none if it is not there or empty.
    #[must_use]
    pub(super) fn element(&self, place: usize) -> Option<&'t str> {
        let element = self.parts.get(place).copied().unwrap_or_default();
        (!element.is_empty()).then_some(element)
    }

    /// The same, or nothing.
    #[must_use]
    pub(super) fn text(&self, place: usize) -> &'t str {
        self.element(place).unwrap_or_default()
    }
}

/// A transaction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TransactionSet<'t> {
    /// Which, as in `850`.
    pub id: &'t str,
    /// Its control number.
    pub control: &'t str,
    /// What stands between ST and SE.
    pub segments: Vec<Segment<'t>>,
    /// The place of its SE.
    pub end: u32,
    /// What is wrong with its envelope.
    pub faults: Vec<SetCode>,
}

/// A functional group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group<'t> {
    /// What kind of sets it has, as in `PO`.
    pub kind: &'t str,
    /// Its control number.
    pub control: &'t str,
    /// The version of its sets, as in `004010`.
    pub version: &'t str,
    /// Its sets.
    pub sets: Vec<TransactionSet<'t>>,
    /// How many sets its trailer says that it has.
    pub stated: u32,
    /// What is wrong with its envelope.
    pub faults: Vec<GroupCode>,
}

/// Who sends or receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Party<'t> {
    /// What kind of id.
    pub qualifier: &'t str,
    /// The id, without the blanks that fill it up.
    pub id: &'t str,
}

/// The header of an interchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header<'t> {
    /// Who sent it.
    pub sender: Party<'t>,
    /// Whom it is for.
    pub receiver: Party<'t>,
    /// Its date and time, as they were written.
    pub sent: (&'t str, &'t str),
    /// Its control number.
    pub control: u32,
    /// Whether its sender wants to know what became of it: ISA14 is `1`.
    pub wants_answer: bool,
    /// Whether it is a test: ISA15 is `T`.
    pub test: bool,
}

/// An interchange that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken<'t> {
    /// Why.
    pub error: InterchangeError,
    /// Its header, if that can be read.
    pub header: Option<Header<'t>>,
}

/// What stands where an interchange should.
pub(super) type Found<'t> = Result<Interchange<'t>, Box<Broken<'t>>>;

/// An interchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interchange<'t> {
    /// Its delimiters.
    pub delimiters: Delimiters,
    /// Its header.
    pub header: Header<'t>,
    /// Its groups.
    pub groups: Vec<Group<'t>>,
    /// Its whole text.
    pub text: &'t str,
}

/// Reads all interchanges of a text. What follows a broken one begins at the next ISA.
#[must_use]
pub(super) fn interchanges(text: &str) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && found.len() < MAX_INTERCHANGES {
        let read = match Reader::open(rest) {
            Ok(reader) => reader.read(),
            Err(error) => Err(Box::new(Broken { error, header: None })),
        };
        rest = match &read {
            Ok(interchange) => rest.get(interchange.text.len()..).unwrap_or_default(),
            Err(_) => next_header(rest),
        }
        .trim_start();
        found.push(read);
    }
    found
}

/// What begins at the next ISA behind the first character.
fn next_header(text: &str) -> &str {
    let behind = text.char_indices().nth(1).map_or(text.len(), |(place, _)| place);
    let next = text[behind..].match_indices("ISA").find(|(place, _)| {
        let from = behind + place;
        Reader::open(&text[from..]).is_ok()
    });
    next.map_or("", |(place, _)| &text[behind + place..])
}

struct Reader<'t> {
    text: &'t str,
    delimiters: Delimiters,
    header: Segment<'t>,
    /// How much of the text was read.
    at: usize,
    /// The number of the last segment.
    segment: u32,
    sets: usize,
}

impl<'t> Reader<'t> {
    fn open(text: &'t str) -> Result<Self, InterchangeError> {
        if !text.starts_with("ISA") {
            let found = text.chars().take(12).collect();
            return Err(InterchangeError::NoHeader { found });
        }
        let header = text.get(..ISA_BYTES).filter(|header| header.is_ascii());
        let header = header.ok_or(InterchangeError::Header)?;
        let byte = |place: usize| header.as_bytes().get(place).map_or(' ', |byte| char::from(*byte));
        let delimiters = Delimiters {
            element: byte(3),
            component: byte(104),
            segment: byte(105),
        };
        let segment = Segment::of(&header[..ISA_BYTES - 1], 1, delimiters);
        let stand_right = ISA_SEPARATORS
            .iter()
            .all(|place| byte(*place) == delimiters.element);
        if !stand_right || segment.len() != 16 {
            return Err(InterchangeError::Header);
        }
        if !delimiters.are_usable() {
            return Err(InterchangeError::Delimiters(delimiters));
        }
        Ok(Self {
            text,
            delimiters,
            header: segment,
            at: ISA_BYTES,
            segment: 1,
            sets: 0,
        })
    }

    fn read(self) -> Found<'t> {
        let header = match self.header() {
            Ok(header) => header,
            Err(error) => return Err(Box::new(Broken { error, header: None })),
        };
        self.body(header).map_err(|error| {
            let header = Some(header);
            Box::new(Broken { error, header })
        })
    }

    fn header(&self) -> Result<Header<'t>, InterchangeError> {
        let isa = &self.header;
        let test = match isa.text(15) {
            "T" => true,
            "P" | "I" => false,
            found => return Err(self.element("ISA15", found, "P or T")),
        };
        Ok(Header {
            sender: party(isa, 5, 6),
            receiver: party(isa, 7, 8),
            sent: (isa.text(9), isa.text(10)),
            control: number(isa.text(13), 1, "ISA13")?,
            wants_answer: isa.text(14) == "1",
            test,
        })
    }

    fn body(mut self, header: Header<'t>) -> Result<Interchange<'t>, InterchangeError> {
        let control = header.control;
        let mut groups = Vec::new();
        let trailer = loop {
            let segment = self.next()?;
            match segment.id() {
                "GS" => {
                    self.within(groups.len(), MAX_GROUPS, "functional groups")?;
                    groups.push(self.group(&segment)?);
                }
                "IEA" => break segment,
                // Without a trailer: the next interchange begins.
                "ISA" => {
                    let segment = self.segment - 1;
                    return Err(InterchangeError::NoTrailer { segment });
                }
                // Interchange acknowledgements carry nothing that is waited for.
                "TA1" => {}
                _ => return Err(self.misplaced(&segment, "outside of a functional group")),
            }
        };
        if number(trailer.text(2), self.segment, "IEA02")? != control {
            return Err(self.element("IEA02", trailer.text(2), "the control number of the ISA"));
        }
        let stated = number(trailer.text(1), self.segment, "IEA01")?;
        if usize::try_from(stated) != Ok(groups.len()) {
            return Err(self.element("IEA01", trailer.text(1), "the number of functional groups"));
        }
        Ok(Interchange {
            delimiters: self.delimiters,
            header,
            groups,
            text: &self.text[..self.at],
        })
    }

    fn group(&mut self, header: &Segment<'t>) -> Result<Group<'t>, InterchangeError> {
        let mut group = Group {
            kind: header.text(1),
            control: header.text(6),
            version: header.text(8),
            sets: Vec::new(),
            stated: 0,
            faults: Vec::new(),
        };
        // An answer names the group by it.
        number(group.control, self.segment, "GS06")?;
        loop {
            let before = (self.at, self.segment);
            let segment = self.next()?;
            match segment.id() {
                "ST" => {
                    self.sets += 1;
                    self.within(self.sets, MAX_SETS + 1, "transaction sets")?;
                    group.sets.push(self.set(&segment)?);
                }
                "GE" => {
                    group.close(&segment);
                    return Ok(group);
                }
                // Without a trailer: what follows is not the group's.
                "GS" | "IEA" | "ISA" => {
                    (self.at, self.segment) = before;
                    group.faults.push(GroupCode::NoTrailer);
                    group.stated = u32::try_from(group.sets.len()).unwrap_or(u32::MAX);
                    return Ok(group);
                }
                _ => return Err(self.misplaced(&segment, "outside of a transaction set")),
            }
        }
    }

    fn set(&mut self, header: &Segment<'t>) -> Result<TransactionSet<'t>, InterchangeError> {
        let mut set = TransactionSet {
            id: header.text(1),
            control: header.text(2),
            segments: Vec::new(),
            end: 1,
            faults: Vec::new(),
        };
        if set.id.len() != 3 || !is_digits(set.id) {
            set.faults.push(SetCode::Identifier);
        }
        if !(4..=9).contains(&set.control.len()) || !set.control.chars().all(|c| c.is_ascii_alphanumeric()) {
            set.faults.push(SetCode::ControlNumber);
        }
        loop {
            let before = (self.at, self.segment);
            let mut segment = self.next()?;
            match segment.id() {
                "SE" => {
                    set.close(&segment);
                    return Ok(set);
                }
                "ST" | "GE" | "GS" | "IEA" | "ISA" => {
                    (self.at, self.segment) = before;
                    set.end += 1;
                    set.faults.push(SetCode::NoTrailer);
                    return Ok(set);
                }
                _ => {
                    self.within(set.segments.len(), MAX_SEGMENTS, "segments in a transaction set")?;
                    set.end += 1;
                    segment.position = set.end;
                    set.segments.push(segment);
                }
            }
        }
    }

    fn next(&mut self) -> Result<Segment<'t>, InterchangeError> {
        let rest = &self.text[self.at..];
        let skipped = rest.len() - rest.trim_start_matches(['\r', '\n', ' ', '\t']).len();
        let rest = &rest[skipped..];
        let Some(length) = rest.find(self.delimiters.segment) else {
            let segment = self.segment;
            return Err(InterchangeError::NoTrailer { segment });
        };
        self.segment += 1;
        self.within(length, MAX_SEGMENT_BYTES + 1, "bytes in a segment")?;
        self.at += skipped + length + self.delimiters.segment.len_utf8();
        let segment = Segment::of(&rest[..length], self.segment, self.delimiters);
        self.within(segment.len(), MAX_ELEMENTS + 1, "elements in a segment")?;
        Ok(segment)
    }

    fn within(&self, present: usize, most: usize, what: &'static str) -> Result<(), InterchangeError> {
        let segment = self.segment;
        if present < most {
            return Ok(());
        }
        Err(InterchangeError::TooMuch { segment, what, most })
    }

    fn misplaced(&self, segment: &Segment<'_>, place: &'static str) -> InterchangeError {
        InterchangeError::Misplaced {
            segment: self.segment,
            found: segment.id().chars().take(12).collect(),
            place,
        }
    }

    fn element(&self, element: &'static str, found: &str, wanted: &'static str) -> InterchangeError {
        InterchangeError::Element {
            segment: self.segment,
            element,
            found: found.to_owned(),
            wanted,
        }
    }
}

impl Group<'_> {
    fn close(&mut self, trailer: &Segment<'_>) {
        let present = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.stated = trailer.text(1).parse().unwrap_or(present);
        if trailer.text(1).parse() != Ok(present) {
            self.faults.push(GroupCode::SetCount);
        }
        if !same_number(trailer.text(2), self.control) {
            self.faults.push(GroupCode::ControlMismatch);
        }
    }
}

impl TransactionSet<'_> {
    fn close(&mut self, trailer: &Segment<'_>) {
        self.end += 1;
        if trailer.text(1).parse() != Ok(self.end) {
            self.faults.push(SetCode::SegmentCount);
        }
        if trailer.text(2) != self.control {
            self.faults.push(SetCode::ControlMismatch);
        }
    }
}

fn party<'t>(header: &Segment<'t>, qualifier: usize, id: usize) -> Party<'t> {
    Party {
        qualifier: header.text(qualifier).trim_end(),
        id: header.text(id).trim_end(),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn same_number(one: &str, other: &str) -> bool {
    one.trim_start_matches('0') == other.trim_start_matches('0')
}

fn number(text: &str, segment: u32, element: &'static str) -> Result<u32, InterchangeError> {
    let digits = text.trim();
    if is_digits(digits)
        && digits.len() <= 9
        && let Ok(number) = digits.parse()
    {
        return Ok(number);
    }
    Err(InterchangeError::Element {
        segment,
        element,
        found: text.to_owned(),
        wanted: "1 to 9 digits",
    })
}
