//! What can be done about a dead letter, and what cannot.

use super::list::{LetterEntry, ListCommand, ListState};
use super::*;
use crate::domain::Message;
use crate::reference::Reference;
use lockstep_runtime::message::{MessageId, Origin, Provenance};

fn letter(body: &str) -> Letter {
    Letter {
        head: Head {
            at: Timestamp::from_millis(5),
            source: "wms".into(),
            code: "invalid-field".into(),
            field: "body.quantity".into(),
            reason: "must be at least 1".to_owned(),
            kind: "lockstep.stock.event".into(),
            correlation: "c-1".into(),
            bytes: body.len() as u64,
        },
        content: Content::Outside {
            user: "wms-app".into(),
            content_type: "application/json".into(),
            body: body.as_bytes().to_vec(),
        },
    }
}

/// A letter and its entry on the list, told in order.
#[derive(Default)]
struct Desk {
    state: LetterState,
    entry: ListState,
}

impl Desk {
    fn with(body: &str) -> Self {
        let mut desk = Self::default();
        desk.tell(&LetterCommand::Record(Box::new(letter(body))));
        desk
    }

    fn tell(&mut self, command: &LetterCommand) -> LetterReply {
        let provenance = Provenance {
            source: "anna".into(),
            correlation: "c".into(),
            causation: None,
        };
        let reference = Reference::default();
        let context = Context {
            now: Timestamp::from_millis(9),
            provenance: &provenance,
            origin: Origin::External(MessageId(1)),
            reference: &reference,
        };
        let id = LetterId::new("l-1").unwrap();
        let decision = DeadLetters::decide(&id, &self.state, command, &context);
        for event in &decision.events {
            DeadLetters::apply(&mut self.state, event);
        }
        for message in decision.sends {
            let Message::LetterEntry(_, command) = message else {
                panic!("{message:?}");
            };
            for event in LetterEntry::decide(&id, &self.entry, &command, &context).events {
                LetterEntry::apply(&mut self.entry, &event);
            }
        }
        decision.reply
    }

    fn discard(&mut self) -> LetterReply {
        let why = Reason::new("a test message").unwrap();
        self.tell(&LetterCommand::Discard { why })
    }
}

fn replayed() -> LetterCommand {
    LetterCommand::Replayed {
        outcome: "accepted".to_owned(),
        why: None,
    }
}

fn repair(message: &str) -> LetterCommand {
    LetterCommand::Repair {
        message: message.as_bytes().to_vec(),
        why: Reason::new("the quantity was 0").ok(),
    }
}

#[test]
fn a_letter_is_recorded_once_and_listed_until_it_is_settled() {
    let mut desk = Desk::with("{}");
    assert!(desk.entry.open.as_ref().is_some_and(|open| !open.repaired));
    let before = desk.state.clone();
    assert_eq!(
        desk.tell(&LetterCommand::Record(Box::new(letter("other")))),
        LetterReply::Known
    );
    assert_eq!(desk.state, before);
    desk.tell(&repair("{ \"mended\": true }"));
    assert!(desk.entry.open.as_ref().is_some_and(|open| open.repaired));
    assert_eq!(desk.tell(&replayed()), LetterReply::Accepted);
    assert_eq!(desk.entry.open, None);
}

#[test]
fn a_settled_letter_says_who_settled_it_and_why_and_nothing_more_is_done_about_it() {
    let mut desk = Desk::with("{}");
    assert_eq!(desk.discard(), LetterReply::Accepted);
    let note = desk.state.settled.clone().unwrap();
    assert_eq!(
        (
            note.by.as_str(),
            note.did.clone(),
            note.why.as_ref().map(Reason::as_str)
        ),
        ("anna", Deed::Discarded, Some("a test message"))
    );
    assert_eq!((&desk.state.content, &desk.state.repaired), (&None, &None));
    for command in [replayed(), repair("{}")] {
        let refused = desk.tell(&command);
        assert_eq!(
            refused,
            LetterReply::Refused(LetterRefusal::Settled(Box::new(note.clone())))
        );
    }
    // Taken in again, as after a crash before the broker was told: it stays settled.
    assert_eq!(
        desk.tell(&LetterCommand::Record(Box::new(letter("{}")))),
        LetterReply::Known
    );
    assert_eq!((desk.state.settled, desk.entry.open), (Some(note), None));
}

fn returned(judgement: Option<u32>, code: &str) -> LetterCommand {
    LetterCommand::Returned {
        judgement,
        code: code.into(),
        reason: format!("{code}: 4 asked for, 3 available"),
        why: None,
    }
}

#[test]
fn a_replay_that_comes_back_leaves_its_letter_open_and_each_judgement_counts_once() {
    let mut desk = Desk::with("{}");
    // What is told, how often it came back and was judged by then, and what is answered.
    let cases = [
        (
            "the first",
            returned(Some(0), "refused"),
            (1, 1),
            LetterReply::Accepted,
        ),
        (
            "the same judgement, asked for twice",
            returned(Some(0), "refused"),
            (1, 1),
            LetterReply::Known,
        ),
        (
            "not judged",
            returned(None, "not-owner"),
            (2, 1),
            LetterReply::Accepted,
        ),
        (
            "the second",
            returned(Some(1), "dead-lettered"),
            (3, 2),
            LetterReply::Accepted,
        ),
        (
            "an older one",
            returned(Some(0), "refused"),
            (3, 2),
            LetterReply::Known,
        ),
    ];
    for (story, command, counts, reply) in cases {
        assert_eq!(desk.tell(&command), reply, "{story}");
        let known = desk.state.returned.clone().unwrap();
        assert_eq!((known.times, desk.state.judged), counts, "{story}");
        assert!(
            desk.state.settled.is_none() && desk.state.content.is_some(),
            "{story}"
        );
        let open = desk.entry.open.as_ref().unwrap();
        assert_eq!(open.returned.as_ref(), Some(&known), "{story}");
    }
    assert_eq!(desk.state.notes.len(), 3);
    let last = desk.state.returned.clone().unwrap();
    assert_eq!(last.code, "dead-lettered");
    // A repair keeps what came of it before.
    desk.tell(&repair("{}"));
    let open = desk.entry.open.clone().unwrap();
    assert_eq!((open.repaired, open.returned), (true, Some(last)));
    // Taken at last, it is done with.
    assert_eq!(desk.tell(&replayed()), LetterReply::Accepted);
    assert_eq!(desk.entry.open, None);
    let late = desk.tell(&returned(Some(2), "refused"));
    assert!(matches!(late, LetterReply::Refused(LetterRefusal::Settled(_))));
}

#[test]
fn a_letter_from_before_replays_came_back_is_read() {
    /// As it was stored then.
    #[derive(Serialize)]
    struct Before {
        head: Option<Head>,
        content: Option<Content>,
        repaired: Option<Vec<u8>>,
        notes: VecDeque<Note>,
        settled: Option<Note>,
        tellings: u32,
    }
    let letter = letter("{}");
    let before = Before {
        head: Some(letter.head.clone()),
        content: Some(letter.content),
        repaired: None,
        notes: VecDeque::new(),
        settled: None,
        tellings: 1,
    };
    let written = lockstep_runtime::rmp_serde::to_vec(&before).unwrap();
    let read: LetterState = lockstep_runtime::rmp_serde::from_slice(&written).unwrap();
    assert_eq!(
        (read.head, read.tellings, read.returned, read.judged),
        (Some(letter.head), 1, None, 0)
    );
}

#[test]
fn nothing_is_done_about_a_letter_that_was_never_taken_in() {
    let mut desk = Desk::default();
    let unknown = LetterReply::Refused(LetterRefusal::Unknown);
    assert_eq!(desk.tell(&replayed()), unknown);
    assert_eq!(desk.tell(&repair("{}")), unknown);
    assert_eq!(desk.tell(&returned(Some(0), "refused")), unknown);
    assert_eq!(desk.discard(), unknown);
    assert_eq!(desk.state, LetterState::default());
}

#[test]
fn the_newest_notes_are_kept_and_an_older_telling_changes_no_list() {
    let mut desk = Desk::with("{}");
    for number in 0..20 {
        desk.tell(&repair(&format!("{number}")));
    }
    assert_eq!(desk.state.notes.len(), MAX_NOTES);
    let same = desk.state.clone();
    desk.tell(&repair("19"));
    assert_eq!(desk.state, same, "the same repair again");
    let told = desk.entry.clone();
    let provenance = Provenance {
        source: "lockstep".into(),
        correlation: "c".into(),
        causation: None,
    };
    let reference = Reference::default();
    let context = Context {
        now: Timestamp::from_millis(9),
        provenance: &provenance,
        origin: Origin::External(MessageId(1)),
        reference: &reference,
    };
    let late = ListCommand::Tell {
        open: None,
        telling: told.telling,
    };
    let id = LetterId::new("l-1").unwrap();
    assert!(LetterEntry::decide(&id, &told, &late, &context).events.is_empty());
}
