//! Documents as a partner sends and reads them: what is made of an 850, and which 997 it gets.

mod told;

use super::broken::InterchangeError;
use super::check::check;
use super::config::tests::acme;
use super::judge::{Judged, judge};
use super::syntax::{Interchange, interchanges};
use super::technical;
use super::write::render;
use lockstep_actors::edi::partner::{Interchange as Sent, PartnerDocument, Verdict};
use lockstep_runtime::time::Timestamp;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_876_245_000);

/// A purchase order of two lines, as a partner's translator writes it.
const ORDER: &str = "\
ISA*00*          *00*          *01*012345678      *ZZ*LOCKSTEP       *261128*0930*U*00401*000000905*0*P*>~
GS*PO*ACME*LOCKSTEP*20261128*0930*1905*X*004010~
ST*850*0001~
BEG*00*SA*4711**20261127~
CUR*BY*USD~
REF*DP*044~
DTM*002*20261204~
N1*BY*ACME Stores*92*0002~
N1*ST*ACME Store 7*92*0007~
N3*1 Main Street*Dock 4~
N4*Springfield*IL*62701*US~
TD5**2*UPSN~
PO1*001*12*EA*9.25*PE*VN*A-100*UP*012345678905~
PID*F****Bolts, box of 100~
PO1*002*5*EA***BP*77-1*SK*B-200~
CTT*2~
SE*15*0001~
GE*1*1905~
IEA*1*000000905~
";

fn judged(text: &str) -> Vec<Judged> {
    let found = interchanges(text);
    assert_eq!(found.len(), 1, "{found:?}");
    judge(found[0].as_ref().unwrap(), &acme())
}

fn shown(document: &PartnerDocument) -> String {
    let sent = Sent {
        form: 1,
        control: 17,
        at: NOW,
        set: document.set.clone(),
        subject: document.subject.clone(),
        body: document.body.clone(),
    };
    let text = render(&acme(), &sent).unwrap();
    let set = text.lines().skip(3).take_while(|line| !line.starts_with("SE"));
    set.collect::<Vec<_>>().join("")
}

/// The segments of the 997 that a text gets.
fn answer(text: &str) -> String {
    let judged = judged(text);
    let reports = judged.iter().filter_map(|group| group.report.as_ref());
    let written = reports.map(|report| shown(&report.written(&acme()).document("997", "", None)));
    written.collect::<Vec<_>>().join("|")
}

#[test]
fn a_purchase_order_is_an_order_and_is_acknowledged() {
    let judged = judged(ORDER);
    let order = &judged[0].orders[0];
    let request = &order.request;
    assert_eq!(order.order.as_str(), "acme/4711");
    assert_eq!(
        (request.customer.as_str(), request.currency.code()),
        ("C-102", "USD")
    );
    let lines: Vec<_> = request
        .lines
        .iter()
        .map(|line| {
            let price = line.channel_price.map(|price| price.amount().to_string());
            (line.line, line.sku.as_str(), line.quantity.units(), price)
        })
        .collect();
    assert_eq!(
        lines,
        [(1, "A-100", 12, Some("9.25".to_owned())), (2, "B-200", 5, None)]
    );
    let address = &request.delivery.address;
    let written = [
        &address.name,
        &address.street,
        &address.city,
        &address.postal_code,
        &address.country,
    ];
    let written = written.map(|text| text.as_ref().unwrap().as_str().to_owned());
    assert_eq!(
        written,
        [
            "ACME Store 7",
            "1 Main Street Dock 4",
            "Springfield IL",
            "62701",
            "US"
        ]
    );
    assert_eq!(request.delivery.carrier.as_ref().unwrap().as_str(), "UPSN");
    assert_eq!(order.purchase.ship_to, Some(("92".into(), "0007".into())));
    assert_eq!(
        order.purchase.lines[1].items,
        [("BP".into(), "77-1".into()), ("SK".into(), "B-200".into())]
    );
    assert_eq!(answer(ORDER), "AK1*PO*1905~AK2*850*0001~AK5*A~AK9*A*1*1*1~");
}

#[test]
fn a_malformed_set_gets_the_997_that_says_why() {
    // What stands in the order, what stands there instead, and what is answered; worked by hand, one fault each.
    let replaced: [(&str, &str, &str); 18] = [
        ("BEG*00*SA*4711**20261127~", "REF*ZZ*1~", "AK3*BEG*2**3~AK5*R*5~"),
        (
            "BEG*00*SA*4711**20261127~",
            "BEG*00*SA***20261127~",
            "AK3*BEG*2**8~AK4*3*324*1~AK5*R*5~",
        ),
        (
            "BEG*00*SA*4711**20261127~",
            "BEG*00*SA*4711**20261327~",
            "AK3*BEG*2**8~AK4*5*373*8*20261327~AK5*R*5~",
        ),
        (
            "BEG*00*SA*4711**20261127~",
            "BEG*00*SA*4711**261127~",
            "AK3*BEG*2**8~AK4*5*373*4*261127~AK5*R*5~",
        ),
        (
            "BEG*00*SA*4711**20261127~",
            "BEG*01*SA*4711**20261127~",
            "AK3*BEG*2**8~AK4*1*353*7*01~AK5*R*5~",
        ),
        (
            "BEG*00*SA*4711**20261127~",
            "BEG*00*SA*12345678901234567890123**20261127~",
            "AK3*BEG*2**8~AK4*3*324*5*12345678901234567890123~AK5*R*5~",
        ),
        (
            "CUR*BY*USD~",
            "CUR*BY*KWD~",
            "AK3*CUR*3**8~AK4*2*100*7*KWD~AK5*R*5~",
        ),
        (
            "N1*BY*ACME Stores*92*0002~",
            "N1*BY*ACME Stores*92~",
            "AK3*N1*6**8~AK4*4*67*2~AK5*R*5~",
        ),
        (
            "N1*BY*ACME Stores*92*0002~",
            "N1*BY*ACME Stores*92*9999~",
            "AK3*N1*6**8~AK4*4*67*7*9999~AK5*R*5~",
        ),
        (
            "PO1*001*12*EA",
            "PO1*001*1x*EA",
            "AK3*PO1*11*PO1*8~AK4*2*330*6*1x~AK5*R*5~",
        ),
        (
            "PO1*001*12*EA",
            "PO1*001*1.5*EA",
            "AK3*PO1*11*PO1*8~AK4*2*330*7*1.5~AK5*R*5~",
        ),
        (
            "PO1*001*12*EA",
            "PO1*001*12*CA",
            "AK3*PO1*11*PO1*8~AK4*3*355*7*CA~AK5*R*5~",
        ),
        (
            "*9.25*PE*",
            "*9.25*HP*",
            "AK3*PO1*11*PO1*8~AK4*5*639*7*HP~AK5*R*5~",
        ),
        (
            "SK*B-200",
            "IN*B-200",
            "AK3*PO1*13*PO1*8~AK4*7*234*1*77-1~AK5*R*5~",
        ),
        ("CTT*2~", "CTT*3~", "AK3*CTT*14**8~AK4*1*354*7*3~AK5*R*5~"),
        ("CTT*2~", "CTT*2*******9~", "AK3*CTT*14**8~AK4*8**3*9~AK5*R*5~"),
        // What nothing is read from is noted.
        ("REF*DP*044~", "XYZ*DP*044~", "AK3*XYZ*4**1~AK5*E*5~"),
        ("REF*DP*044~", "IT1*1~", "AK3*IT1*4**6~AK5*E*5~"),
    ];
    for (from, to, expected) in replaced {
        assert!(ORDER.contains(from), "{from}");
        let got = answer(&ORDER.replacen(from, to, 1));
        let group = if expected.contains("AK5*R") {
            "AK9*R*1*1*0~"
        } else {
            "AK9*E*1*1*1~"
        };
        assert_eq!(got, format!("AK1*PO*1905~AK2*850*0001~{expected}{group}"), "{to}");
    }
}

#[test]
fn a_broken_envelope_of_a_set_or_group_is_answered_as_a_whole() {
    let cases = [
        ("SE*15*0001~", "SE*14*0001~", "AK5*R*4~AK9*R*1*1*0~"),
        ("SE*15*0001~", "SE*15*0002~", "AK5*R*3~AK9*R*1*1*0~"),
        ("SE*15*0001~\n", "", "AK5*R*2~AK9*R*1*1*0~"),
        ("GE*1*1905~", "GE*2*1905~", "AK5*A~AK9*E*2*1*1*5~"),
        ("GE*1*1905~", "GE*1*1906~", "AK5*A~AK9*E*1*1*1*4~"),
        ("GE*1*1905~\n", "", "AK5*A~AK9*E*1*1*1*3~"),
    ];
    for (from, to, expected) in cases {
        let got = answer(&ORDER.replacen(from, to, 1));
        assert_eq!(got, format!("AK1*PO*1905~AK2*850*0001~{expected}"), "{from} {to}");
    }
    let whole = [
        ("*X*004010~", "*X*003040~", "AK1*PO*1905~AK9*R*1*1*0*2~"),
        ("GS*PO*", "GS*PC*", "AK1*PC*1905~AK9*R*1*1*0*1~"),
        // What would be a separator here cannot be said back.
        ("GS*PO*", "GS*P>O*", "AK1*P*1905~AK9*R*1*1*0*1~"),
        (
            "ST*850*",
            "ST*860*",
            "AK1*PO*1905~AK2*860*0001~AK5*R*1~AK9*R*1*1*0~",
        ),
    ];
    for (from, to, expected) in whole {
        assert_eq!(answer(&ORDER.replacen(from, to, 1)), expected, "{to}");
    }
}

#[test]
fn one_bad_set_costs_one() {
    let start = ORDER.find("ST*").unwrap();
    let end = ORDER.find("GE*").unwrap();
    let set = &ORDER[start..end];
    let good = set.replace("0001", "0002").replace("4711", "4712");
    let bad = set.replace("*12*EA", "*0*EA");
    let text = format!(
        "{}{bad}{good}{}",
        &ORDER[..start],
        ORDER[end..].replace("GE*1", "GE*2")
    );
    let judged = judged(&text);
    let orders: Vec<&str> = judged[0]
        .orders
        .iter()
        .map(|order| order.order.as_str())
        .collect();
    assert_eq!(orders, ["acme/4712"]);
    assert_eq!(
        answer(&text),
        "AK1*PO*1905~AK2*850*0001~AK3*PO1*11*PO1*8~AK4*2*330*7*0~AK5*R*5~AK2*850*0002~AK5*A~AK9*P*2*2*1~"
    );
}

#[test]
fn one_broken_interchange_costs_itself_and_says_where() {
    type Expected = fn(&InterchangeError) -> bool;
    let cases: [(&str, &str, Expected); 7] = [
        ("IEA*1*000000905~", "", |error| {
            matches!(error, InterchangeError::NoTrailer { segment: 18 })
        }),
        ("IEA*1*000000905~", "IEA*1*000000906~", |error| {
            matches!(
                error,
                InterchangeError::Element {
                    element: "IEA02",
                    segment: 19,
                    ..
                }
            )
        }),
        ("IEA*1*", "IEA*2*", |error| {
            matches!(error, InterchangeError::Element { element: "IEA01", .. })
        }),
        ("*000000905*0*P", "*00000090A*0*P", |error| {
            matches!(
                error,
                InterchangeError::Element {
                    element: "ISA13",
                    segment: 1,
                    ..
                }
            )
        }),
        ("*LOCKSTEP       *", "*LOCKSTEP*", |error| {
            *error == InterchangeError::Header
        }),
        ("*P*>~", "*P*A~", |error| {
            matches!(error, InterchangeError::Delimiters(_))
        }),
        (
            "GS*PO*ACME*LOCKSTEP*20261128*0930*1905*X*004010~\n",
            "",
            |error| matches!(error, InterchangeError::Misplaced { segment: 2, .. }),
        ),
    ];
    for (from, to, is_expected) in cases {
        assert!(ORDER.contains(from), "{from}");
        let broken = ORDER.replacen(from, to, 1);
        let text = format!("{broken}\r\n{}", ORDER.replace("000000905", "000000999"));
        let found = interchanges(&text);
        assert!(
            is_expected(&found[0].as_ref().unwrap_err().error),
            "{to}: {:?}",
            found[0]
        );
        let last = found
            .last()
            .unwrap()
            .as_ref()
            .map(|interchange: &Interchange<'_>| interchange.header.control);
        assert_eq!(last, Ok(999), "{to}: {found:?}");
    }
    assert!(interchanges(" \r\n").is_empty());
    assert!(matches!(
        interchanges("UNA:+.? '")[0]
            .as_ref()
            .map_err(|broken| &broken.error),
        Err(InterchangeError::NoHeader { .. })
    ));
}

#[test]
fn who_asks_what_became_of_an_interchange_is_told() {
    let asks = |text: &str| text.replacen("*0*P*>~", "*1*P*>~", 1);
    // (what is done to the interchange, what is said to it)
    let cases = [
        (ORDER.to_owned(), None),
        (asks(ORDER), Some("A*000")),
        (asks(&ORDER.replace("IEA*1*000000905~", "")), Some("R*023")),
        (
            asks(&ORDER.replace("IEA*1*000000905~", "IEA*1*000000906~")),
            Some("R*001"),
        ),
        (asks(&ORDER.replace("IEA*1*", "IEA*2*")), Some("R*021")),
        (
            asks(&ORDER.replace("GS*PO*ACME*LOCKSTEP*20261128*0930*1905*X*004010~\n", "")),
            Some("R*022"),
        ),
        (asks(&ORDER.replace("*000000905*0*P", "*00000090A*0*P")), None),
    ];
    for (text, said) in cases {
        let found = interchanges(&text);
        let document = match &found[0] {
            Ok(interchange) => technical::answer(&interchange.header, technical::Outcome::Accepted),
            Err(broken) => broken
                .header
                .and_then(|header| technical::answer(&header, technical::Outcome::of(&broken.error))),
        };
        let sent = document.map(|document| {
            assert_eq!(document.acknowledged_within, None);
            let sent = Sent {
                form: 1,
                control: 17,
                at: NOW,
                set: document.set,
                subject: document.subject,
                body: document.body,
            };
            render(&acme(), &sent).unwrap()
        });
        let lines: Option<Vec<&str>> = sent.as_ref().map(|sent| sent.lines().skip(1).collect());
        let expected = said.map(|said| format!("TA1*000000905*261128*0930*{said}~"));
        let expected = expected
            .as_ref()
            .map(|said| vec![said.as_str(), "IEA*0*000000017~"]);
        assert_eq!(lines, expected, "{text}");
    }
}

#[test]
fn acknowledgements_say_which_document_they_mean_and_are_not_acknowledged() {
    let text = |sets: &str| {
        let (head, tail) = (
            "ISA*00*          *00*          *01*012345678      *ZZ*LOCKSTEP       *261128*0930*U*00401*000000906*0*P*>~GS*FA*ACME*LOCKSTEP*20261128*0930*1906*X*004010~",
            "GE*1*1906~IEA*1*000000906~",
        );
        format!(
            "{head}ST*997*0001~{sets}~SE*{}*0001~{tail}",
            sets.split('~').count() + 2
        )
    };
    let cases = [
        ("AK1*PR*17~AK9*A*1*1*1", Some((17, Verdict::Accepted, ""))),
        (
            "AK1*PR*17~AK2*855*0001~AK5*A~AK9*A*1*1*1",
            Some((17, Verdict::Accepted, "")),
        ),
        (
            "AK1*IN*000018~AK2*810*0001~AK5*E*5~AK9*E*1*1*1",
            Some((18, Verdict::AcceptedWithErrors, "AK5 E 5")),
        ),
        (
            "AK1*PR*17~AK2*855*0001~AK3*ACK*6*PO1*8~AK4*1*668*7*IA~AK5*R*5~AK9*R*1*1*0",
            Some((17, Verdict::Rejected, "AK3 ACK 6 PO1 8; AK4 1 668 7 IA; AK5 R 5")),
        ),
        ("AK1*PR*17", None),
        ("AK9*A*1*1*1", None),
    ];
    for (sets, expected) in cases {
        let judged = judged(&text(sets));
        let found = judged[0].answers.first();
        let found = found.map(|answered| (answered.control, answered.verdict, answered.note.as_str()));
        assert_eq!(found, expected, "{sets}");
        assert_eq!(
            (judged[0].report.is_none(), judged[0].unreadable),
            (true, usize::from(expected.is_none()))
        );
    }
}

#[test]
fn check_explains_every_fault_and_shows_the_answer() {
    let checked = check(&ORDER.replace("*12*EA", "*1.5*EA"), &[acme()], NOW);
    assert!(!checked.taken);
    for part in [
        "interchange 000000905 from 01/012345678 for ZZ/LOCKSTEP",
        "850 0001: rejected",
        "segment 11, PO102 \"1.5\": this value cannot be used (AK403 7)",
        "AK4*2*330*7*1.5~",
    ] {
        assert!(checked.text.contains(part), "{part}: {}", checked.text);
    }
    let unknown = check(ORDER, &[], NOW);
    assert!(
        unknown.taken && unknown.text.contains("no [[edi]] is for it"),
        "{}",
        unknown.text
    );
    assert!(unknown.text.contains("12 of A-100 at 9.25"), "{}", unknown.text);
    assert!(!check("", &[], NOW).taken);
}

proptest! {
    /// Whatever a partner sends, it is read or refused, never more.
    #[test]
    fn nothing_that_comes_in_is_worse_than_refused(
        cuts in proptest::collection::vec((0_usize..800, "[A-Z0-9*~>é \n]{0,6}", 0_usize..12), 0..6),
    ) {
        let mut text = ORDER.to_owned();
        for (at, put, skip) in cuts {
            let start = (0..=at.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0);
            let end = (start + skip..=text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len());
            text.replace_range(start..end, &put);
        }
        for interchange in interchanges(&text).iter().flatten() {
            for group in judge(interchange, &acme()) {
                if let Some(report) = group.report {
                    let taken = report.accepted();
                    prop_assert_eq!(group.orders.len(), taken);
                    // Its answer can be written and read back.
                    let answer = shown(&report.written(&acme()).document("997", "", None));
                    prop_assert!(answer.starts_with("AK1*"));
                }
            }
        }
        prop_assert!(!check(&text, &[acme()], NOW).text.is_empty());
    }
}
