//! Documents as text: first without an envelope, as they stand in the journal, then as a partner reads them.
//!
//! Invariant: what was rendered is read back by [`super::syntax`] as the same segments; an element that contains one of the
//! partner's delimiters is never written.

use super::config::PartnerConfig;
use super::element::{day, moment, time};
use super::technical::TA1;
use lockstep_actors::edi::partner::{Interchange, PartnerDocument};

/// Between the elements of a body in the journal, and after its segments: characters that no element has.
const ELEMENT: char = '\u{1f}';
const SEGMENT: char = '\u{1e}';

/// A document's segments.
#[derive(Debug, Default)]
pub(super) struct Segments {
    text: String,
}

impl Segments {
    /// One more segment; empty elements at its end are left out.
    pub(super) fn push(&mut self, id: &str, elements: &[&str]) {
        self.text.push_str(id);
        let used = elements.iter().rposition(|element| !element.is_empty());
        for element in &elements[..used.map_or(0, |last| last + 1)] {
            self.text.push(ELEMENT);
            self.text
                .extend(element.chars().filter(|character| !character.is_control()));
        }
        self.text.push(SEGMENT);
    }

    /// The document.
    pub(super) fn document(
        self,
        set: &str,
        subject: &str,
        acknowledged_within: Option<u32>,
    ) -> PartnerDocument {
        PartnerDocument {
            set: set.into(),
            subject: subject.into(),
            body: self.text,
            acknowledged_within,
        }
    }
}

/// Free text as this partner can read it: without its delimiters and control characters, at most so many characters.
pub(super) fn words(profile: &PartnerConfig, text: &str, most: usize) -> String {
    let delimiters = profile.delimiters.delimiters();
    let plain = |c: char| {
        if delimiters.has(c) || c.is_control() {
            ' '
        } else {
            c
        }
    };
    let cut: String = text.chars().map(plain).take(most).collect();
    cut.trim().to_owned()
}

/// A document that cannot be written for a partner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsayable {
    /// An element contains a delimiter.
    #[error(
        "segment {segment}: {element:?} contains one of the partner's delimiters; choose others in [[edi]]"
    )]
    Delimiter {
        /// Which segment of the body, from 1.
        segment: usize,
        /// What it says.
        element: String,
    },
    /// The transaction set is none that goes out.
    #[error("transaction set {0:?} is none that goes out")]
    Set(String),
}

/// The functional group of a transaction set.
fn group(set: &str) -> Option<&'static str> {
    match set {
        "997" => Some("FA"),
        "855" => Some("PR"),
        "856" => Some("SH"),
        "810" => Some("IN"),
        "846" => Some("IB"),
        "832" => Some("SC"),
        _ => None,
    }
}

/// A document as a partner reads it: an interchange of one group of one transaction set, or of a TA1 alone.
///
/// # Errors
/// [`Unsayable`] if it cannot be written for this partner.
pub(super) fn render(profile: &PartnerConfig, interchange: &Interchange) -> Result<String, Unsayable> {
    let Interchange { control, at, set, .. } = interchange;
    // What is said to an interchange as such stands in no group.
    let group = match set.as_str() {
        TA1 => None,
        set => Some(group(set).ok_or_else(|| Unsayable::Set(set.to_owned()))?),
    };
    let delimiters = profile.delimiters.delimiters();
    let mut text = Text {
        element: delimiters.element,
        end: end(profile),
        text: String::with_capacity(interchange.body.len() + 512),
    };
    let (ours, theirs) = (&profile.ours, &profile.theirs);
    let usage = if profile.test { "T" } else { "P" };
    text.segment(&[
        "ISA",
        "00",
        &" ".repeat(10),
        "00",
        &" ".repeat(10),
        &ours.qualifier,
        &format!("{:<15}", ours.id),
        &theirs.qualifier,
        &format!("{:<15}", theirs.id),
        &moment(*at).strftime("%y%m%d").to_string(),
        &time(*at),
        "U",
        &profile.version[..5],
        &format!("{control:09}"),
        "0",
        usage,
        &delimiters.component.to_string(),
    ]);
    let (number, version) = (control.to_string(), profile.version.as_str());
    if let Some(group) = group {
        text.segment(&[
            "GS",
            group,
            ours.group(),
            theirs.group(),
            &day(*at),
            &time(*at),
            &number,
            "X",
            version,
        ]);
        text.segment(&["ST", set, "0001"]);
    }
    let mut segments = 0;
    for segment in interchange.body.split_terminator(SEGMENT) {
        segments += 1;
        let elements: Vec<&str> = segment.split(ELEMENT).collect();
        let bad = elements
            .iter()
            .find(|element| element.chars().any(|c| delimiters.has(c)));
        if let Some(element) = bad {
            let element = (*element).to_owned();
            return Err(Unsayable::Delimiter {
                segment: segments,
                element,
            });
        }
        text.segment(&elements);
    }
    if group.is_some() {
        text.segment(&["SE", &(segments + 2).to_string(), "0001"]);
        text.segment(&["GE", "1", &number]);
    }
    let groups = if group.is_some() { "1" } else { "0" };
    text.segment(&["IEA", groups, &format!("{control:09}")]);
    Ok(text.text)
}

fn end(profile: &PartnerConfig) -> String {
    let mut end = profile.delimiters.segment.to_string();
    if profile.delimiters.lines && profile.delimiters.segment != '\n' {
        end.push('\n');
    }
    end
}

struct Text {
    element: char,
    end: String,
    text: String,
}

impl Text {
    fn segment(&mut self, elements: &[&str]) {
        for (place, element) in elements.iter().enumerate() {
            if place > 0 {
                self.text.push(self.element);
            }
            self.text.push_str(element);
        }
        self.text.push_str(&self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::acme;
    use super::super::syntax::interchanges;
    use super::*;
    use lockstep_runtime::time::Timestamp;
    use proptest::prelude::*;

    fn interchange(body: String) -> Interchange {
        Interchange {
            form: 1,
            control: 17,
            at: Timestamp::from_millis(1_795_876_245_000),
            set: "855".into(),
            subject: "acme/4711".into(),
            body,
        }
    }

    #[test]
    fn a_document_has_its_envelope_and_no_delimiter_inside() {
        let mut segments = Segments::default();
        segments.push("BAK", &["00", "AD", "4711", "20261128", "", ""]);
        let sent = interchange(segments.document("855", "acme/4711", None).body);
        let text = render(&acme(), &sent).unwrap();
        let expected = "\
ISA*00*          *00*          *ZZ*LOCKSTEP       *01*012345678      *261128*1430*U*00401*000000017*0*P*>~
GS*PR*LOCKSTEP*ACME*20261128*1430*17*X*004010~
ST*855*0001~
BAK*00*AD*4711*20261128~
SE*3*0001~
GE*1*17~
IEA*1*000000017~
";
        assert_eq!(text, expected);
        let mut segments = Segments::default();
        segments.push("BAK", &["00", "AD", "47*11"]);
        let refused = render(&acme(), &interchange(segments.text)).unwrap_err();
        assert_eq!(
            refused,
            Unsayable::Delimiter {
                segment: 1,
                element: "47*11".to_owned()
            }
        );
        assert_eq!(words(&acme(), " 5*4 ~bolts\n", 8), "5 4  bo");
    }

    proptest! {
        /// What is written is read back as it was meant, whatever the partner's delimiters are.
        #[test]
        fn what_is_rendered_is_read_back(
            delimiters in proptest::sample::subsequence(vec!['*', '~', '>', '|', '^', '!', '\n'], 3).prop_shuffle(),
            lines in any::<bool>(),
            segments in proptest::collection::vec(
                ("[A-Z][A-Z0-9]{1,2}", proptest::collection::vec("[A-Za-z0-9 .,-]{0,12}", 0..8)), 0..12),
        ) {
            let mut profile = acme();
            profile.delimiters.element = delimiters[0];
            profile.delimiters.component = delimiters[1];
            profile.delimiters.segment = delimiters[2];
            profile.delimiters.lines = lines;
            let mut body = Segments::default();
            let mut expected = Vec::new();
            for (id, elements) in &segments {
                if ["SE", "ST", "GE", "GS", "IEA", "ISA"].contains(&id.as_str()) {
                    continue;
                }
                let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
                body.push(id, &elements);
                let used = elements.iter().rposition(|element| !element.is_empty()).map_or(0, |last| last + 1);
                expected.push((id.as_str(), elements[..used].to_vec()));
            }
            let text = render(&profile, &interchange(body.text)).unwrap();
            let read = interchanges(&text);
            prop_assert_eq!(read.len(), 1);
            let read = read[0].as_ref().unwrap();
            prop_assert_eq!((read.header.control, read.groups.len(), read.text.len()), (17, 1, text.trim_end_matches('\n').len().max(read.text.len())));
            let set = &read.groups[0].sets[0];
            prop_assert!(set.faults.is_empty() && read.groups[0].faults.is_empty());
            let found: Vec<(&str, Vec<&str>)> = set.segments.iter()
                .map(|segment| (segment.id(), (1..=segment.len()).map(|place| segment.text(place)).collect()))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
