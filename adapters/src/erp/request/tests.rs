//! What is read again after a crash is asked of the order before it is asked of the ERP.

use super::super::ErpError;
use super::*;
use lockstep_actors::ids::CustomerId;
use lockstep_actors::money::{Currency, Money};
use lockstep_actors::orders::effects::{BookingRequest, ERP, PaperRequest};
use lockstep_actors::orders::paper::{ErpPaper, PaperKind};
use lockstep_actors::orders::state::{CreditStanding, Status};
use lockstep_runtime::entity::{EntityKind, Outbound};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::time::Timestamp;
use std::sync::Mutex;
use tokio::sync::watch;

/// An ERP that notes what it is asked.
#[derive(Default)]
struct Noted(Mutex<Vec<&'static str>>);

impl Noted {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }
}

impl ErpPort for Noted {
    async fn book(&self, _: &BookingRequest) -> Result<DocumentId, ErpError> {
        self.note("book");
        Ok(DocumentId::new("ERP-1").unwrap())
    }
    async fn cancel(&self, _: &ErpReference) -> Result<(), ErpError> {
        self.note("cancel");
        Ok(())
    }
    async fn post(&self, _: &PaperRequest) -> Result<DocumentId, ErpError> {
        self.note("post");
        Ok(DocumentId::new("P-1").unwrap())
    }
    async fn lookup(&self, _: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        self.note("lookup");
        Ok(None)
    }
}

/// A paper of which the ERP is asked.
fn asked(attempt: u16) -> ErpPaper {
    ErpPaper {
        kind: PaperKind::Change,
        document: DocumentId::new("CH-1").unwrap(),
        standing: PaperStanding::Asked {
            attempt,
            looked_up: false,
        },
        tries: 0,
    }
}

/// An order that awaits the answer to one attempt, or to none.
struct Awaiting(Option<u16>, Mutex<Vec<OrderCommand>>);

impl Answers for Awaiting {
    async fn deliver(&self, envelope: Envelope<Distributor>) -> Result<Outcome<Reply>, Undeliverable> {
        let Message::Order(_, command) = envelope.message else {
            panic!("{:?}", envelope.message);
        };
        let shown = matches!(command, OrderCommand::Show);
        self.1.lock().unwrap().push(command);
        if !shown {
            return Ok(Outcome::Repeated);
        }
        let summary = OrderSummary {
            status: Status::Booking,
            sequence: 1,
            customer: CustomerId::new("C1").unwrap(),
            received_at: Timestamp::from_millis(0),
            correlation: "c".to_owned(),
            lines: Vec::new(),
            total: None,
            agreed: Vec::new(),
            quote: None,
            credit: CreditStanding::default(),
            erp_number: None,
            awaits_erp: self.0,
            sourcing: None,
            exception: None,
            contested: None,
            shipments: Vec::new(),
            payments: Vec::new(),
            returns: Vec::new(),
            credits: Vec::new(),
            freight_credits: Vec::new(),
            changes: Vec::new(),
            papers: self.0.map(asked).into_iter().collect(),
            notes: Vec::new(),
            end_reason: None,
            history: Vec::new(),
            request: None,
        };
        Ok(Outcome::Done {
            reply: Reply::Order(OrderReply::Order(Box::new(summary))),
            repeated: false,
        })
    }
}

fn reference() -> ErpReference {
    ErpReference {
        form: 1,
        order: OrderKey::new("web", "1").unwrap(),
        attempt: 2,
        correlation: "c".to_owned(),
        booking: 0,
    }
}

fn entry(request: &ErpRequest) -> FeedEntry {
    FeedEntry {
        partition: PartitionId(0),
        sequence: Sequence(9),
        at: Timestamp::from_millis(0),
        kind: EntityKind(4),
        entity: b"web/1".as_slice().into(),
        provenance: Provenance {
            source: "web".into(),
            correlation: "c".into(),
            causation: None,
        },
        message: None,
        outbound: vec![Outbound {
            port: ERP,
            body: rmp_serde::to_vec(request).unwrap(),
        }],
    }
}

fn booking() -> ErpRequest {
    let eur = Currency::new("EUR").unwrap();
    ErpRequest::Book(BookingRequest {
        reference: reference(),
        customer: CustomerId::new("C1").unwrap(),
        currency: eur,
        lines: Vec::new(),
        charges: Vec::new(),
        total: Money::zero(eur),
    })
}

fn paper() -> ErpRequest {
    let eur = Currency::new("EUR").unwrap();
    ErpRequest::Post(Box::new(PaperRequest {
        reference: PaperReference {
            booking: reference(),
            kind: PaperKind::Change,
            document: DocumentId::new("CH-1").unwrap(),
        },
        customer: CustomerId::new("C1").unwrap(),
        total: Money::zero(eur),
        lines: Vec::new(),
        charges: Vec::new(),
        moved: false,
    }))
}

/// What the ERP is asked, and how many answers the order gets, when the order awaits `attempt`.
async fn handled(request: ErpRequest, attempt: Option<u16>) -> (Vec<&'static str>, usize) {
    let (erp, order) = (Noted::default(), Awaiting(attempt, Mutex::default()));
    let stay = Stay::until(watch::channel(false).1);
    let handled = handle(&erp, &order, &ErpCounters::default(), &stay, entry(&request)).await;
    assert!(handled.is_done);
    let told = order.1.into_inner().unwrap();
    let answers = told
        .iter()
        .filter(|command| !matches!(command, OrderCommand::Show));
    (erp.0.into_inner().unwrap(), answers.count())
}

#[tokio::test]
async fn a_booking_is_asked_for_only_while_its_order_awaits_that_attempt() {
    for (awaits, asked) in [(Some(2), true), (Some(3), false), (None, false)] {
        let expected = if asked { (vec!["book"], 1) } else { (vec![], 0) };
        assert_eq!(handled(booking(), awaits).await, expected, "{awaits:?}");
    }
}

/// One that is read again after a crash must not bring back what a later one has changed.
#[tokio::test]
async fn a_paper_is_posted_only_while_its_order_awaits_that_attempt() {
    for (awaits, asked) in [(Some(2), true), (Some(3), false), (None, false)] {
        let expected = if asked { (vec!["post"], 1) } else { (vec![], 0) };
        assert_eq!(handled(paper(), awaits).await, expected, "{awaits:?}");
    }
}

/// To ask once more what stands there, or to cancel once more, does no harm: nobody's answer is waited for in vain.
#[tokio::test]
async fn a_lookup_and_a_cancellation_are_asked_for_whatever_the_order_awaits() {
    assert_eq!(
        handled(ErpRequest::Lookup(reference()), None).await,
        (vec!["lookup"], 1)
    );
    assert_eq!(
        handled(ErpRequest::Cancel(reference()), None).await,
        (vec!["cancel"], 1)
    );
}

/// An order that is asked for so long that meanwhile another node has taken over.
struct Slow(Awaiting, watch::Sender<bool>);

impl Answers for Slow {
    async fn deliver(&self, envelope: Envelope<Distributor>) -> Result<Outcome<Reply>, Undeliverable> {
        self.1.send_replace(true);
        self.0.deliver(envelope).await
    }
}

#[tokio::test]
async fn no_call_begins_once_another_node_may_ask_and_the_entry_is_left_to_that_one() {
    let (over, stays) = watch::channel(false);
    let (erp, order) = (Noted::default(), Slow(Awaiting(Some(2), Mutex::default()), over));
    let stay = Stay::until(stays);
    let handled = handle(&erp, &order, &ErpCounters::default(), &stay, entry(&booking())).await;
    assert!(!handled.is_done);
    assert_eq!(erp.0.into_inner().unwrap(), Vec::<&str>::new());
}
