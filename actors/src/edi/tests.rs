//! Control numbers, what comes twice, and what is never answered.

use super::partner::{
    Interchange, Opening, PartnerCommand, PartnerDocument, PartnerEvent, PartnerRefusal, PartnerReply,
    PartnerState, TradingPartner, Verdict,
};
use super::purchase::{
    PartnerPurchase, Purchase, PurchaseCommand, PurchaseLine, PurchaseReply, PurchaseState, Told,
};
use crate::domain::{Distributor, Message};
use crate::ids::{OrderKey, PartnerName};
use crate::quantity::{PositiveQuantity, Quantity};
use crate::reference::Reference;
use lockstep_runtime::entity::{Context, Decision, Entity};
use lockstep_runtime::message::{MessageId, Origin, Provenance};
use lockstep_runtime::rmp_serde;
use lockstep_runtime::time::Timestamp;
use proptest::prelude::*;

fn acme() -> PartnerName {
    PartnerName::new("acme").unwrap()
}

fn decide<E: Entity<Domain = Distributor>>(
    id: &E::Id,
    state: &mut E::State,
    command: Option<&E::Command>,
    at: i64,
) -> Decision<E> {
    let provenance = Provenance {
        source: "lockstep".into(),
        correlation: "test".into(),
        causation: None,
    };
    let context = Context {
        now: Timestamp::from_millis(at),
        provenance: &provenance,
        origin: Origin::External(MessageId(1)),
        reference: &Reference::default(),
    };
    let decision = match command {
        Some(command) => E::decide(id, state, command, &context),
        None => E::wake(id, state, &context).unwrap(),
    };
    for event in &decision.events {
        E::apply(state, event);
    }
    decision
}

fn partner(state: &mut PartnerState, command: &PartnerCommand, at: i64) -> (PartnerReply, Vec<u32>) {
    let decision = decide::<TradingPartner>(&acme(), state, Some(command), at);
    let control = |body: &[u8]| rmp_serde::from_slice::<Interchange>(body).unwrap().control;
    let out = decision.outbound.iter().map(|out| control(&out.body)).collect();
    (decision.reply, out)
}

fn document(set: &str, within: Option<u32>) -> PartnerDocument {
    PartnerDocument {
        set: set.into(),
        subject: "acme/4711".into(),
        body: "BAK".to_owned(),
        acknowledged_within: within,
    }
}

fn opened(control: u32, digest: u8, file: &str) -> PartnerCommand {
    PartnerCommand::Open {
        control,
        digest: [digest; 16],
        file: file.into(),
    }
}

#[test]
fn an_interchange_is_taken_up_once_however_often_it_comes() {
    let mut state = PartnerState::default();
    let settle = PartnerCommand::Settle {
        control: 7,
        documents: vec![document("997", None)],
    };
    let cases = [
        (
            settle.clone(),
            PartnerReply::Refused(PartnerRefusal::NotOpen { control: 7 }),
            0,
        ),
        (opened(7, 1, "a"), PartnerReply::Opened(Opening::TakeUp), 0),
        // Begun and not finished, as after a crash.
        (opened(7, 1, "a"), PartnerReply::Opened(Opening::TakeUp), 0),
        (opened(7, 2, "b"), PartnerReply::Opened(Opening::Conflict), 0),
        (settle.clone(), PartnerReply::Accepted, 1),
        (settle, PartnerReply::Accepted, 0),
        (opened(7, 1, "a"), PartnerReply::Opened(Opening::PutAway), 0),
        (opened(7, 1, "b"), PartnerReply::Opened(Opening::Repeated), 0),
        (opened(7, 2, "a"), PartnerReply::Opened(Opening::Conflict), 0),
        (opened(8, 1, "a"), PartnerReply::Opened(Opening::TakeUp), 0),
    ];
    for (step, (command, reply, sent)) in cases.into_iter().enumerate() {
        let (answered, out) = partner(&mut state, &command, 0);
        assert_eq!((answered, out.len()), (reply, sent), "step {step}: {command:?}");
    }
    assert_eq!((state.totals.received, state.totals.sent), (2, 1));
}

#[test]
fn an_acknowledgement_that_does_not_come_is_told_once_and_may_still_come() {
    let mut state = PartnerState::default();
    let send = PartnerCommand::Send(vec![document("855", Some(60)), document("997", None)]);
    assert_eq!(partner(&mut state, &send, 1_000).1, [1, 2]);
    assert_eq!(
        TradingPartner::alarm(&state),
        Some(Timestamp::from_millis(61_000))
    );
    let late = decide::<TradingPartner>(&acme(), &mut state, None, 61_000);
    assert_eq!(late.events.as_slice(), [PartnerEvent::Overdue { control: 1 }]);
    assert_eq!((TradingPartner::alarm(&state), state.totals.overdue), (None, 1));
    let reject = |control| PartnerCommand::Acknowledge {
        control,
        verdict: Verdict::Rejected,
        note: "AK5 R 5".into(),
    };
    let (reply, _) = partner(&mut state, &reject(1), 62_000);
    assert!(matches!(reply, PartnerReply::Acknowledged(awaited) if awaited.overdue && awaited.set == "855"));
    assert_eq!(
        state
            .rejected
            .iter()
            .map(|rejected| rejected.control)
            .collect::<Vec<_>>(),
        [1]
    );
    // What was acknowledged, and what is acknowledged by nobody.
    for control in [1, 2, 3] {
        assert_eq!(
            partner(&mut state, &reject(control), 63_000).0,
            PartnerReply::NotAwaited
        );
    }
    assert_eq!(state.totals.rejected, 1);
}

#[test]
fn after_the_last_control_number_comes_the_first() {
    let mut state = PartnerState {
        last_control: super::partner::LAST_CONTROL - 1,
        ..PartnerState::default()
    };
    let send = PartnerCommand::Send(vec![document("855", None); 3]);
    assert_eq!(partner(&mut state, &send, 0).1, [999_999_999, 1, 2]);
}

fn noted() -> PurchaseState {
    let purchase = Purchase {
        partner: acme(),
        number: "4711".into(),
        date: "20261128".into(),
        ship_to: None,
        lines: vec![PurchaseLine {
            line: 1,
            id: "001".into(),
            quantity: PositiveQuantity::new(10).unwrap(),
            unit: "EA".into(),
            price: None,
            items: Vec::new(),
        }],
    };
    let mut state = PurchaseState::default();
    let order = OrderKey::new("acme", "4711").unwrap();
    let note = PurchaseCommand::Note(Box::new(purchase));
    decide::<PartnerPurchase>(&order, &mut state, Some(&note), 0);
    state
}

#[test]
fn what_was_told_on_an_older_standing_is_refused_and_what_is_told_is_sent() {
    let (mut state, order) = (noted(), OrderKey::new("acme", "4711").unwrap());
    let told = Told {
        acknowledged: true,
        shipped: vec![(1, Quantity::new(4).unwrap())],
        ..Told::default()
    };
    let tell = |revision| PurchaseCommand::Tell {
        revision,
        told: Box::new(told.clone()),
        documents: vec![document("855", Some(60))],
    };
    let first = decide::<PartnerPurchase>(&order, &mut state, Some(&tell(0)), 0);
    assert_eq!(first.reply, PurchaseReply::Accepted);
    let [Message::Partner(name, PartnerCommand::Send(sent))] = first.sends.as_slice() else {
        panic!("{:?}", first.sends);
    };
    assert_eq!((name, sent.len()), (&acme(), 1));
    let again = decide::<PartnerPurchase>(&order, &mut state, Some(&tell(0)), 0);
    assert_eq!((again.reply, again.sends.len()), (PurchaseReply::Stale, 0));
    assert_eq!(
        (
            state.revision,
            state.told.shipped(1).units(),
            state.told.shipped(2).units()
        ),
        (1, 4, 0)
    );
}

proptest! {
    /// Whatever comes in whatever order: numbers are dense, and each document has exactly one.
    #[test]
    fn control_numbers_have_no_gap(steps in proptest::collection::vec((0_u8..3, 1_u32..5, 0_usize..4), 1..60)) {
        let mut state = PartnerState::default();
        let mut given = Vec::new();
        for (kind, control, documents) in steps {
            let documents = vec![document("855", Some(60)); documents];
            let command = match kind {
                0 => opened(control, 1, "a"),
                1 => PartnerCommand::Settle { control, documents },
                _ => PartnerCommand::Send(documents),
            };
            given.extend(partner(&mut state, &command, 0).1);
        }
        let dense: Vec<u32> = (1..=u32::try_from(given.len()).unwrap()).collect();
        prop_assert_eq!(given, dense);
    }
}
