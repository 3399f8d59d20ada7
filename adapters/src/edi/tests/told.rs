//! What is told of an order, as the partner reads it.

use super::super::config::tests::acme;
use super::super::judge::judge;
use super::super::syntax::interchanges;
use super::super::tell::due;
use super::{NOW, ORDER, judged, shown};
use lockstep_actors::edi::purchase::{Purchase, PurchaseState, Told};
use lockstep_actors::ids::{DocumentId, Sku, UnitOfMeasure};
use lockstep_actors::money::{Currency, Money};
use lockstep_actors::orders::command::{LineSummary, OrderSummary};
use lockstep_actors::orders::state::{CreditStanding, Status};
use lockstep_actors::pricing::resolve::{OrderStep, OrderStepKind, PricedLine, Quote};
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use rust_decimal::Decimal;

/// How the order of [`ORDER`] stands: by line reserved, shipped, backordered, cancelled; the rest is pending.
fn standing(status: Status, lines: [[i64; 4]; 2]) -> OrderSummary {
    let units = |units| Quantity::new(units).unwrap();
    let ordered = [12, 5];
    let line = |place: usize| {
        let [reserved, shipped, backordered, cancelled] = lines[place].map(units);
        let rest = ordered[place] - lines[place].iter().sum::<i64>();
        LineSummary {
            line: u16::try_from(place + 1).unwrap(),
            sku: Sku::new(["A-100", "B-200"][place]).unwrap(),
            ordered: units(ordered[place]),
            ordered_as: None,
            reserved,
            shipped,
            backordered,
            promised_for: None,
            pending: units(rest),
            cancelled,
            substituted: Quantity::ZERO,
            substitutes: None,
            restocked: Quantity::ZERO,
            scrapped: Quantity::ZERO,
            credited: Quantity::ZERO,
            shipped_from: Vec::new(),
            reserved_in: Vec::new(),
            components: Vec::new(),
            lots: Vec::new(),
        }
    };
    OrderSummary {
        status,
        sequence: 5,
        customer: judged(ORDER)[0].orders[0].request.customer.clone(),
        received_at: NOW,
        correlation: "edi acme 000000905".to_owned(),
        lines: vec![line(0), line(1)],
        total: None,
        agreed: Vec::new(),
        quote: Some(Box::new(quote())),
        credit: CreditStanding::NotAsked,
        erp_number: Some(DocumentId::new("SO-9").unwrap()),
        awaits_erp: None,
        sourcing: None,
        exception: None,
        contested: None,
        shipments: Vec::new(),
        payments: Vec::new(),
        returns: Vec::new(),
        credits: Vec::new(),
        freight_credits: Vec::new(),
        changes: Vec::new(),
        papers: Vec::new(),
        notes: Vec::new(),
        history: Vec::new(),
        end_reason: None,
        request: None,
    }
}

/// 12 at 9.25 and 5 for 17.51 (3.502 each), 10.00 freight.
fn quote() -> Quote {
    let decimal = |text: &str| text.parse::<Decimal>().unwrap();
    let line = |line, sku: &str, quantity, unit_price: &str, amount: &str| PricedLine {
        line,
        sku: Sku::new(sku).unwrap(),
        quantity: PositiveQuantity::new(quantity).unwrap(),
        sold_as: None,
        unit_price: decimal(unit_price),
        amount: decimal(amount),
        waterfall: Vec::new(),
        order_discount: Decimal::ZERO,
        tax: None,
        tax_rule: None,
        flags: Vec::new(),
        budgets: Vec::new(),
        near_misses: Vec::new(),
        near_misses_left_out: 0,
    };
    let step = |kind, before: &str, after: &str| OrderStep {
        kind,
        rule: None,
        version: 0,
        before: decimal(before),
        after: decimal(after),
        withheld: Vec::new(),
    };
    Quote {
        lines: vec![
            line(1, "A-100", 12, "9.25", "111.00"),
            line(2, "B-200", 5, "3.50", "17.51"),
        ],
        order: vec![
            step(OrderStepKind::Goods, "0", "128.51"),
            step(OrderStepKind::Freight, "128.51", "138.51"),
        ],
        taxes: Vec::new(),
        exemption: None,
        tax_level: None,
        rebates: Vec::new(),
        total: Money {
            amount: decimal("138.51"),
            currency: Currency::new("USD").unwrap(),
        },
        contract_version: 0,
        as_of: NOW,
        conversion: None,
        named: None,
        budgets: Vec::new(),
        near_misses: Vec::new(),
        near_misses_left_out: 0,
        customer_class: None,
    }
}

fn purchase() -> Purchase {
    judged(ORDER)[0].orders[0].purchase.clone()
}

/// What is told in turn, each time of what was told before.
fn told(standings: &[(Status, [[i64; 4]; 2])]) -> Vec<Vec<String>> {
    let mut state = PurchaseState {
        purchase: Some(Box::new(purchase())),
        ..PurchaseState::default()
    };
    let order = judged(ORDER)[0].orders[0].order.clone();
    let mut all = Vec::new();
    for (status, lines) in standings {
        let found = due(&acme(), &order, &standing(*status, *lines), &state, NOW);
        let documents = found
            .as_ref()
            .map(|due| due.documents.clone())
            .unwrap_or_default();
        all.push(documents.iter().map(shown).collect());
        if let Some(due) = found {
            state.told = due.told;
            state.revision += 1;
        }
    }
    all
}

const PO1_A: &str = "PO1*001*12*EA*9.25**VN*A-100*UP*012345678905~";
const PO1_B: &str = "PO1*002*5*EA*3.502**BP*77-1*SK*B-200~";

#[test]
fn an_order_that_is_taken_as_it_is_is_acknowledged_shipped_and_invoiced_once() {
    let all = told(&[
        (Status::Booking, [[12, 0, 0, 0], [5, 0, 0, 0]]),
        (Status::Booked, [[12, 0, 0, 0], [5, 0, 0, 0]]),
        (Status::Released, [[12, 0, 0, 0], [5, 0, 0, 0]]),
        (Status::Shipping, [[0, 12, 0, 0], [0, 5, 0, 0]]),
        (Status::Shipped, [[0, 12, 0, 0], [0, 5, 0, 0]]),
        (Status::Closed, [[0, 12, 0, 0], [0, 5, 0, 0]]),
        (Status::Closed, [[0, 12, 0, 0], [0, 5, 0, 0]]),
    ]);
    let acknowledged = format!(
        "BAK*00*AD*4711*20261127****SO-9*20261128~CUR*SE*USD~{PO1_A}ACK*IA*12*EA~{PO1_B}ACK*IA*5*EA~CTT*2~"
    );
    let shipped = "BSN*00*4711-1*20261128*1430*0004~DTM*011*20261128~HL*1**S~N1*ST**92*0007~HL*2*1*O~\
        PRF*4711***20261127~HL*3*2*I~LIN*001*VN*A-100*UP*012345678905~SN1*001*12*EA~\
        HL*4*2*I~LIN*002*BP*77-1*SK*B-200~SN1*002*5*EA~CTT*4~";
    let invoiced = "BIG*20261128*SO-9*20261127*4711~CUR*SE*USD~IT1*001*12*EA*9.25**VN*A-100*UP*012345678905~\
        IT1*002*5*EA*3.502**BP*77-1*SK*B-200~TDS*13851~SAC*C*D240***1000~CTT*2~";
    let none: Vec<String> = Vec::new();
    assert_eq!(
        all,
        [
            none.clone(),
            vec![acknowledged],
            none.clone(),
            none.clone(),
            vec![shipped.to_owned()],
            vec![invoiced.to_owned()],
            none
        ]
    );
}

/// A buyer that counts in cases of four is told cases, and base units where that is no whole number of them.
#[test]
fn what_was_ordered_in_cases_is_told_in_cases_as_far_as_they_are_whole() {
    let mut profile = acme();
    profile.unit_codes = [("CA".to_owned(), UnitOfMeasure::new("CASE").unwrap())].into();
    let text = ORDER.replace("PO1*001*12*EA*9.25*", "PO1*001*3*CA*37.00*");
    let found = interchanges(&text);
    let mut judged = judge(found[0].as_ref().unwrap(), &profile);
    let order = judged.remove(0).orders.remove(0);
    let ordered_as = order.request.lines[0].ordered_as.clone().unwrap();
    assert_eq!(
        (ordered_as.quantity.units(), ordered_as.unit.as_str()),
        (3, "CASE")
    );
    let mut state = PurchaseState {
        purchase: Some(Box::new(order.purchase)),
        ..PurchaseState::default()
    };
    let mut tell = |status, lines| {
        let mut summary = standing(status, lines);
        summary.lines[0].ordered_as = Some(ordered_as.clone());
        let due = due(&profile, &order.order, &summary, &state, NOW).unwrap();
        state.told = due.told;
        due.documents.iter().map(shown).collect::<Vec<_>>()
    };
    let acknowledged = tell(Status::Booked, [[8, 0, 4, 0], [5, 0, 0, 0]]);
    let line = "PO1*001*3*CA*37**VN*A-100*UP*012345678905~ACK*IQ*2*CA~ACK*IB*1*CA~PO1*002";
    assert!(acknowledged[0].contains(line), "{acknowledged:?}");
    let notices = [
        (
            tell(Status::Shipped, [[4, 4, 4, 0], [0, 5, 0, 0]]),
            "SN1*001*1*CA~",
        ),
        (
            tell(Status::Shipped, [[2, 6, 4, 0], [0, 5, 0, 0]]),
            "SN1*001*2*EA~",
        ),
    ];
    for (notice, segment) in notices {
        assert!(notice[0].contains(segment), "{notice:?}");
    }
    // Six of twelve for 55.50: a case and a half; then two cases for 74.00.
    let closed = tell(Status::Closed, [[0, 6, 0, 6], [0, 5, 0, 0]]);
    assert!(closed[0].contains("IT1*001*6*EA*9.25*"), "{closed:?}");
    state.told.invoiced = false;
    let mut summary = standing(Status::Closed, [[0, 8, 0, 4], [0, 5, 0, 0]]);
    summary.lines[0].ordered_as = Some(ordered_as);
    let invoice = due(&profile, &order.order, &summary, &state, NOW)
        .unwrap()
        .documents;
    assert!(shown(&invoice[1]).contains("IT1*001*2*CA*37*"), "{invoice:?}");
}

#[test]
fn s48_what_is_said_to_a_line_adds_up_to_what_was_ordered() {
    // Which lines stand how, what is said to the first, and of which kind the acknowledgement is.
    let cases = [
        (
            Status::Booked,
            [[6, 0, 6, 0], [5, 0, 0, 0]],
            "ACK*IQ*6*EA~ACK*IB*6*EA~",
            "AC",
        ),
        (
            Status::Backordered,
            [[0, 0, 12, 0], [5, 0, 0, 0]],
            "ACK*IB*12*EA~",
            "AC",
        ),
        (
            Status::Shipped,
            [[0, 12, 0, 0], [0, 5, 0, 0]],
            "ACK*IA*12*EA~",
            "AD",
        ),
        (
            Status::Booked,
            [[6, 2, 1, 2], [5, 0, 0, 0]],
            "ACK*IQ*8*EA~ACK*IB*1*EA~ACK*IH*1*EA~ACK*IR*2*EA~",
            "AC",
        ),
        (
            Status::Cancelled,
            [[0, 0, 0, 12], [0, 0, 0, 5]],
            "ACK*IR*12*EA~",
            "RD",
        ),
        (
            Status::Rejected,
            [[0, 0, 0, 12], [0, 0, 0, 5]],
            "ACK*IR*12*EA~",
            "RD",
        ),
    ];
    for (status, lines, expected, kind) in cases {
        let told = told(&[(status, lines)]);
        let acknowledgement = &told[0][0];
        let (_, rest) = acknowledgement.split_once(PO1_A).unwrap();
        assert_eq!(rest.split_once("PO1").unwrap().0, expected, "{status:?}");
        assert!(
            acknowledgement.starts_with(&format!("BAK*00*{kind}*")),
            "{acknowledgement}"
        );
    }
}

#[test]
fn a_part_that_leaves_later_has_a_notice_of_its_own() {
    let all = told(&[
        (Status::Backordered, [[0, 6, 6, 0], [0, 5, 0, 0]]),
        (Status::Booked, [[6, 6, 0, 0], [0, 5, 0, 0]]),
        (Status::Closed, [[0, 10, 0, 2], [0, 5, 0, 0]]),
    ]);
    let notices: Vec<Vec<&str>> = all
        .iter()
        .map(|documents| {
            documents
                .iter()
                .filter(|text| text.starts_with("BSN"))
                .map(String::as_str)
                .collect()
        })
        .collect();
    assert!(notices[0][0].contains("BSN*00*4711-1*") && notices[0][0].contains("SN1*001*6*EA~"));
    assert!(notices[1].is_empty());
    assert!(notices[2][0].contains("BSN*00*4711-2*") && notices[2][0].contains("SN1*001*4*EA~CTT*3~"));
    // Ten of twelve: 92.50 of 111.00, with 17.51 and 10.00 freight.
    let invoice = all[2].last().unwrap();
    assert!(
        invoice.contains("IT1*001*10*EA*9.25*") && invoice.contains("TDS*12001~"),
        "{invoice}"
    );
}

#[test]
fn another_price_is_said_and_an_unwanted_document_is_not() {
    let (order, mut purchase) = (judged(ORDER)[0].orders[0].order.clone(), purchase());
    purchase.lines[0].price = Some("9.00".parse().unwrap());
    let state = PurchaseState {
        purchase: Some(Box::new(purchase)),
        told: Told::default(),
        revision: 0,
    };
    let booked = standing(Status::Booked, [[12, 0, 0, 0], [5, 0, 0, 0]]);
    let found = due(&acme(), &order, &booked, &state, NOW).unwrap();
    assert!(
        shown(&found.documents[0]).contains("PO1*001*12*EA*9.25**VN*A-100*UP*012345678905~ACK*IP*12*EA~")
    );
    let mut silent = acme();
    silent.documents.clear();
    let found = due(&silent, &order, &booked, &state, NOW).unwrap();
    assert!(found.documents.is_empty() && found.told.acknowledged);
}
