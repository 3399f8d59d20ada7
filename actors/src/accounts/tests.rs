//! Accounts by worked numbers, and against a model that adds everything up anew each time.

use super::CustomerAccount;
use super::command::*;
use super::decide::decide;
use super::state::*;
use crate::ids::{DocumentId, OrderKey};
use crate::money::{Currency, Money};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::rmp_serde;
use lockstep_runtime::time::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 86_400_000;

fn money(amount: &str) -> Money {
    Money {
        amount: amount.parse().unwrap(),
        currency: Currency::new("EUR").unwrap(),
    }
}

fn document(id: &str) -> DocumentId {
    DocumentId::new(id).unwrap()
}

fn order(number: &str) -> OrderKey {
    OrderKey::new("web", number).unwrap()
}

fn on_day(day: i64) -> Timestamp {
    Timestamp::from_millis(day * DAY)
}

fn terms(limit: &str) -> CreditTerms {
    CreditTerms {
        status: AccountStatus::Active,
        limit: money(limit),
        grace_days: None,
    }
}

fn invoice(id: &str, amount: &str, of: Option<&str>, due: i64) -> Document {
    let order = of.map(order);
    let due = on_day(due);
    posting(id, amount, DocumentKind::Invoice { order, due })
}

fn payment(id: &str, amount: &str, of: Option<&str>) -> Document {
    let invoice = of.map(document);
    posting(id, amount, DocumentKind::Payment { invoice })
}

fn credit_note(id: &str, amount: &str, of: Option<&str>) -> Document {
    let invoice = of.map(document);
    posting(id, amount, DocumentKind::CreditNote { invoice })
}

fn posting(id: &str, amount: &str, kind: DocumentKind) -> Document {
    Document {
        id: document(id),
        kind,
        amount: money(amount),
        dated: on_day(0),
    }
}

/// An account, its day, and what it has told which order.
#[derive(Default)]
struct Account {
    state: AccountState,
    day: i64,
    version: u64,
    told: Vec<(String, CreditAnswered)>,
}

use crate::domain::Message;
use crate::orders::command::{CreditAnswered, OrderCommand};

impl Account {
    fn with(terms: CreditTerms) -> Self {
        let mut account = Self::default();
        account.set(terms);
        account
    }

    fn take(&mut self, command: &AccountCommand) -> AccountReply {
        let decision: Decision<CustomerAccount> = decide(&self.state, command, on_day(self.day));
        for event in &decision.events {
            let written = rmp_serde::to_vec(event).unwrap();
            self.state.apply(&rmp_serde::from_slice(&written).unwrap());
        }
        let written = rmp_serde::to_vec(&self.state).unwrap();
        self.state = rmp_serde::from_slice(&written).unwrap();
        for message in decision.sends {
            let Message::Order(order, OrderCommand::CreditAnswered(answered)) = message else {
                panic!("{message:?}");
            };
            self.told.push((order.number().to_owned(), answered));
        }
        decision.reply
    }

    fn set(&mut self, terms: CreditTerms) {
        self.version += 1;
        let version = self.version;
        assert_eq!(
            self.take(&AccountCommand::Set { terms, version }),
            AccountReply::Accepted
        );
    }

    fn post(&mut self, document: Document) -> AccountReply {
        self.take(&AccountCommand::Post(document))
    }

    fn reserve(&mut self, number: &str, attempt: u16, amount: &str, ground: CreditGround) -> AccountReply {
        self.take(&AccountCommand::Reserve(CreditRequest {
            order: order(number),
            attempt,
            amount: money(amount),
            ground,
        }))
    }

    fn ask(&mut self, number: &str, amount: &str) -> AccountReply {
        self.reserve(number, 1, amount, CreditGround::Limit)
    }

    fn release(&mut self, number: &str) -> AccountReply {
        let order = order(number);
        self.take(&AccountCommand::Release { order, attempt: 9 })
    }

    fn summary(&self) -> AccountSummary {
        self.state.summary(on_day(self.day))
    }

    /// Open orders, receivable, both.
    fn exposure(&self) -> [String; 3] {
        let exposure = self.summary().exposure.unwrap();
        [exposure.orders, exposure.receivable, exposure.total]
            .map(|money| money.amount.normalize().to_string())
    }

    /// Which orders were granted credit since the last look, in this order.
    fn granted(&mut self) -> Vec<String> {
        let told = std::mem::take(&mut self.told);
        told.into_iter()
            .filter(|(_, answered)| answered.answer == CreditAnswer::Granted)
            .map(|(order, _)| order)
            .collect()
    }
}

fn granted() -> AccountReply {
    AccountReply::Credit(CreditAnswer::Granted)
}

fn waits(reason: &str) -> impl Fn(&AccountReply) -> bool {
    move |reply| matches!(reply, AccountReply::Credit(CreditAnswer::Waiting(refusal)) if refusal.to_string() == reason)
}

#[test]
fn s46_an_order_over_the_limit_waits_and_a_payment_grants_it() {
    let mut account = Account::with(terms("50000.00"));
    account.post(invoice("R-1", "47200.00", None, 30));
    let reply = account.ask("1", "2950.00");
    let reason = "with this order the customer owes 50150.00 EUR, more than 50000.00 EUR";
    assert!(waits(reason)(&reply), "{reply:?}");
    assert_eq!(account.exposure(), ["0", "47200", "47200"]);
    assert!(account.granted().is_empty());
    account.post(payment("P-1", "500.00", Some("R-1")));
    assert_eq!(account.granted(), ["1"]);
    assert_eq!(account.exposure(), ["2950", "46700", "49650"]);
    // To the last cent: 350.00 more is exactly the limit.
    assert_eq!(account.ask("2", "350.00"), granted());
    assert!(matches!(
        account.ask("3", "0.01"),
        AccountReply::Credit(CreditAnswer::Waiting(_))
    ));
}

#[test]
fn an_order_counts_as_invoice_once_it_is_invoiced_and_not_twice() {
    let mut account = Account::with(terms("50000.00"));
    account.ask("1", "2950.00");
    assert_eq!(account.exposure(), ["2950", "0", "2950"]);
    account.post(invoice("R-1", "1000.00", Some("1"), 30));
    assert_eq!(account.exposure(), ["1950", "1000", "2950"]);
    account.post(invoice("R-2", "1980.00", Some("1"), 30));
    // Freight made it dearer than it was ordered.
    assert_eq!(account.exposure(), ["0", "2980", "2980"]);
    account.release("1");
    assert_eq!(account.exposure(), ["0", "2980", "2980"]);
    account.post(credit_note("G-1", "80.00", Some("R-2")));
    account.post(payment("P-1", "1000.00", Some("R-1")));
    assert_eq!(account.exposure(), ["0", "1900", "1900"]);
    let open = account.summary().open_invoices;
    assert_eq!((open.len(), open[0].open), (1, money("1900.00")));
}

#[test]
fn a_document_counts_once_and_another_content_is_refused() {
    let mut account = Account::with(terms("100.00"));
    let first = invoice("R-1", "30.00", None, 30);
    for _ in 0..3 {
        assert_eq!(account.post(first.clone()), AccountReply::Accepted);
    }
    // A payment has numbers of its own.
    assert_eq!(
        account.post(payment("R-1", "10.00", Some("R-1"))),
        AccountReply::Accepted
    );
    assert_eq!(account.exposure(), ["0", "20", "20"]);
    let document = document("R-1");
    assert_eq!(
        account.post(invoice("R-1", "31.00", None, 30)),
        AccountReply::Refused(AccountRefusal::Conflict { document })
    );
    let dollars = Document {
        amount: Money {
            currency: Currency::new("USD").unwrap(),
            ..money("1.00")
        },
        ..payment("P-9", "1.00", None)
    };
    assert!(matches!(
        account.post(dollars),
        AccountReply::Refused(AccountRefusal::OtherCurrency { .. })
    ));
    for amount in ["0", "-1", "1000000000001", "0.0000001"] {
        let reply = account.post(payment("P-9", amount, None));
        assert!(
            matches!(reply, AccountReply::Refused(AccountRefusal::Amount { .. })),
            "{amount}"
        );
    }
}

#[test]
fn room_goes_to_who_has_waited_longest_and_to_the_next_that_fits() {
    let mut account = Account::with(terms("100.00"));
    account.post(invoice("R-1", "100.00", None, 30));
    for (day, number, amount) in [(1, "1", "60.00"), (2, "2", "50.00"), (3, "3", "20.00")] {
        account.day = day;
        account.ask(number, amount);
    }
    account.post(payment("P-1", "80.00", None));
    // 80.00 are free: 60.00 for the first, 50.00 are too much, 20.00 for the third.
    assert_eq!(account.granted(), ["1", "3"]);
    account.release("1");
    assert_eq!(account.granted(), ["2"]);
    assert_eq!(account.exposure(), ["70", "20", "90"]);
    // A higher limit is room, too; an older version of the terms is none.
    account.ask("4", "40.00");
    let version = 1;
    let stale = AccountCommand::Set {
        terms: terms("999.00"),
        version,
    };
    assert_eq!(account.take(&stale), AccountReply::Stale { known: 1 });
    account.set(terms("130.00"));
    assert_eq!(account.granted(), ["4"]);
}

#[test]
fn what_is_approved_counts_over_the_limit_but_a_closed_account_bears_nothing() {
    let mut account = Account::with(terms("100.00"));
    account.ask("1", "150.00");
    assert_eq!(
        account.reserve("1", 2, "150.00", CreditGround::Approval),
        granted()
    );
    assert_eq!(account.exposure(), ["150", "0", "150"]);
    account.set(CreditTerms {
        status: AccountStatus::OnHold,
        ..terms("1000.00")
    });
    assert!(waits("the customer's account is on hold")(
        &account.ask("2", "1.00")
    ));
    assert_eq!(account.reserve("2", 2, "1.00", CreditGround::Approval), granted());
    account.set(CreditTerms {
        status: AccountStatus::Closed,
        ..terms("1000.00")
    });
    let reply = account.reserve("3", 1, "1.00", CreditGround::Approval);
    assert!(waits("the customer's account is closed")(&reply));
    account.set(terms("1000.00"));
    assert_eq!(account.granted().last().unwrap(), "3");
    let mut nobody = Account::default();
    assert!(waits("the customer's account has no credit terms")(
        &nobody.ask("1", "1.00")
    ));
    nobody.set(terms("1.00"));
    assert_eq!(nobody.granted(), ["1"]);
}

#[test]
fn an_overdue_invoice_makes_orders_wait_after_the_days_of_grace() {
    let mut account = Account::with(CreditTerms {
        grace_days: Some(5),
        ..terms("1000.00")
    });
    account.post(invoice("R-1", "100.00", None, 10));
    account.post(invoice("R-2", "100.00", None, 12));
    account.day = 15;
    assert_eq!(account.ask("1", "10.00"), granted());
    account.day = 18;
    let reply = account.ask("2", "10.00");
    let reason = "200.00 EUR is overdue, the oldest invoice is R-1";
    assert!(waits(reason)(&reply), "{reply:?}");
    // What is paid on account goes to what is due first.
    account.post(payment("P-1", "150.00", None));
    assert_eq!(account.summary().overdue.unwrap().amount, money("50.00"));
    account.post(credit_note("G-1", "50.00", Some("R-2")));
    assert_eq!(account.granted().last().unwrap(), "2");
}

#[test]
fn a_later_attempt_stands_in_place_of_an_earlier_one() {
    let mut account = Account::with(terms("100.00"));
    account.ask("1", "90.00");
    account.ask("2", "20.00");
    account.granted();
    // Corrected, it is smaller: there is room for the other.
    assert_eq!(account.reserve("1", 2, "70.00", CreditGround::Limit), granted());
    assert_eq!(account.granted(), ["1", "2"]);
    assert_eq!(account.ask("1", "90.00"), AccountReply::Ignored);
    let late = AccountCommand::Release {
        order: order("1"),
        attempt: 1,
    };
    assert_eq!(account.take(&late), AccountReply::Ignored);
    assert_eq!(account.exposure(), ["90", "0", "90"]);
}

#[test]
fn settled_documents_are_forgotten_and_never_count_again() {
    let mut account = Account::with(terms("1000000.00"));
    let dated = |mut document: Document, day| {
        document.dated = on_day(day);
        document
    };
    let pairs = i64::try_from(MAX_DOCUMENTS / 2).unwrap();
    for day in 0..pairs {
        let (id, paid) = (format!("R-{day}"), format!("P-{day}"));
        account.state.apply(&super::event::AccountEvent::Posted(dated(
            invoice(&id, "10.00", None, day + 30),
            day,
        )));
        account.state.apply(&super::event::AccountEvent::Posted(dated(
            payment(&paid, "10.00", Some(&id)),
            day,
        )));
    }
    let open = dated(invoice("OPEN", "7.00", None, 99_999), pairs);
    assert_eq!(account.post(open), AccountReply::Accepted);
    assert!(account.state.documents() <= MAX_DOCUMENTS / 2 + 2);
    assert_eq!(account.exposure(), ["0", "7", "7"]);
    let again = dated(invoice("R-0", "10.00", None, 30), 0);
    let document = document("R-0");
    assert_eq!(
        account.post(again),
        AccountReply::Refused(AccountRefusal::TooOld { document })
    );
    let known = dated(
        invoice(&format!("R-{}", pairs - 1), "10.00", None, pairs + 29),
        pairs - 1,
    );
    assert_eq!(account.post(known), AccountReply::Accepted);
    assert_eq!(account.exposure(), ["0", "7", "7"]);
}

/// Adds everything up anew, each time.
#[derive(Default)]
struct Model {
    limit: Decimal,
    documents: BTreeMap<(u8, String), Document>,
    /// Attempt, amount, whether it counts, and what was posted of it while it was open.
    orders: BTreeMap<String, (u16, Decimal, bool, Decimal)>,
}

impl Model {
    fn kind(document: &Document) -> u8 {
        match document.kind {
            DocumentKind::Invoice { .. } => 0,
            DocumentKind::Payment { .. } => 1,
            DocumentKind::CreditNote { .. } => 2,
        }
    }

    fn receivable(&self) -> Decimal {
        let signed = |((kind, _), document): (&(u8, String), &Document)| match kind {
            0 => document.amount.amount,
            _ => -document.amount.amount,
        };
        self.documents.iter().map(signed).sum()
    }

    fn part((_, amount, counts, invoiced): &(u16, Decimal, bool, Decimal)) -> Decimal {
        if *counts {
            (amount - invoiced).max(Decimal::ZERO)
        } else {
            Decimal::ZERO
        }
    }

    fn reserved(&self) -> Decimal {
        self.orders.values().map(Self::part).sum()
    }

    fn post(&mut self, document: &Document) {
        let key = (Self::kind(document), document.id.to_string());
        if self.documents.contains_key(&key) {
            return;
        }
        if let DocumentKind::Invoice {
            order: Some(order), ..
        } = &document.kind
            && let Some(known) = self.orders.get_mut(order.number())
        {
            known.3 += document.amount.amount;
        }
        self.documents.insert(key, document.clone());
    }

    /// Paid without an invoice goes to the invoices that are due first.
    fn overdue(&self, day: i64) -> Decimal {
        let invoices: Vec<_> = self
            .documents
            .iter()
            .filter(|((kind, _), _)| *kind == 0)
            .collect();
        let mut pool = Decimal::ZERO;
        let mut paid = BTreeMap::<String, Decimal>::new();
        for ((kind, _), document) in &self.documents {
            let of = match &document.kind {
                DocumentKind::Invoice { .. } => continue,
                DocumentKind::Payment { invoice } | DocumentKind::CreditNote { invoice } => invoice,
            };
            assert!(*kind > 0);
            match of
                .as_ref()
                .filter(|id| invoices.iter().any(|((_, known), _)| known == id.as_str()))
            {
                Some(id) => *paid.entry(id.to_string()).or_default() += document.amount.amount,
                None => pool += document.amount.amount,
            }
        }
        let mut due = Vec::new();
        for ((_, id), document) in invoices {
            let DocumentKind::Invoice { due: when, .. } = document.kind else {
                continue;
            };
            let open = document.amount.amount - paid.get(id).copied().unwrap_or_default();
            if open < Decimal::ZERO {
                pool -= open;
            } else {
                due.push((when, open));
            }
        }
        due.sort();
        let mut overdue = Decimal::ZERO;
        for (when, open) in due {
            let part = pool.min(open);
            pool -= part;
            if when < on_day(day) {
                overdue += open - part;
            }
        }
        overdue
    }
}

#[derive(Clone, Debug)]
enum Act {
    Post(Document),
    Reserve(u8, u16, i64, bool),
    Release(u8, u16),
    Limit(i64),
    Day,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let cents = |cents: i64| Decimal::new(cents, 2).to_string();
    let posting =
        (0_u8..3, 0_u8..6, 1_i64..5_000, 0_u8..8, 0_i64..20).prop_map(move |(kind, id, amount, of, due)| {
            // A number stands for one content.
            let amount = cents(amount % 700 + i64::from(id) * 700 + 1);
            let id = id.to_string();
            match kind {
                0 => {
                    let of = (of < 4).then(|| of.to_string());
                    invoice(&id, &amount, of.as_deref(), due)
                }
                1 => payment(&id, &amount, (of < 6).then(|| of.to_string()).as_deref()),
                _ => credit_note(&id, &amount, (of < 6).then(|| of.to_string()).as_deref()),
            }
        });
    let act = prop_oneof![
        4 => posting.prop_map(Act::Post),
        4 => (0_u8..4, 1_u16..4, 1_i64..4_000, proptest::bool::weighted(0.1))
            .prop_map(|(order, attempt, amount, approved)| Act::Reserve(order, attempt, amount, approved)),
        2 => (0_u8..4, 1_u16..4).prop_map(|(order, attempt)| Act::Release(order, attempt)),
        1 => (0_i64..8_000).prop_map(Act::Limit),
        1 => Just(Act::Day),
    ];
    proptest::collection::vec(act, 0..60)
}

/// Each act once or twice, and documents also at the end, in another order.
fn history(acts: Vec<Act>, choices: &[u8]) -> Vec<Act> {
    let mut history = Vec::new();
    for (act, choice) in acts.into_iter().zip(choices.iter().chain(std::iter::repeat(&0))) {
        history.push(act.clone());
        if choice % 3 == 0 {
            let place = usize::from(*choice) % (history.len() + 1);
            match act {
                Act::Post(_) => history.insert(place, act),
                Act::Reserve(..) | Act::Release(..) => history.push(act),
                Act::Limit(_) | Act::Day => {}
            }
        }
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn an_account_is_what_its_documents_and_open_orders_add_up_to(
        acts in acts(), choices in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut model = Model { limit: Decimal::new(4_000, 2), ..Model::default() };
        let mut account = Account::with(CreditTerms { grace_days: Some(0), ..terms("40.00") });
        for act in history(acts, &choices) {
            match &act {
                Act::Post(posted) => {
                    let key = (Model::kind(posted), posted.id.to_string());
                    let conflict = model.documents.get(&key).is_some_and(|known| known != posted);
                    let reply = account.post(posted.clone());
                    prop_assert_eq!(matches!(reply, AccountReply::Refused(AccountRefusal::Conflict { .. })), conflict);
                    model.post(posted);
                }
                Act::Reserve(number, attempt, cents, approved) => {
                    let ground = if *approved { CreditGround::Approval } else { CreditGround::Limit };
                    let amount = Decimal::new(*cents, 2);
                    let number = number.to_string();
                    let known = model.orders.get(&number).copied();
                    let reply = account.reserve(&number, *attempt, &amount.to_string(), ground);
                    let others = model.reserved() - known.as_ref().map_or(Decimal::ZERO, Model::part);
                    let invoiced = known.map_or(Decimal::ZERO, |known| known.3);
                    let exposure = model.receivable() + others + (amount - invoiced).max(Decimal::ZERO);
                    let fits = *approved || (exposure <= model.limit && model.overdue(account.day) <= Decimal::ZERO);
                    match known {
                        Some(known) if known.0 > *attempt => prop_assert_eq!(reply, AccountReply::Ignored),
                        Some(known) if known.0 == *attempt && known.2 => prop_assert_eq!(reply, AccountReply::Accepted),
                        _ => {
                            prop_assert_eq!(reply == granted(), fits, "{:?}", act);
                            model.orders.insert(number, (*attempt, amount, fits, invoiced));
                        }
                    }
                }
                Act::Release(number, attempt) => {
                    let order = order(&number.to_string());
                    account.take(&AccountCommand::Release { order, attempt: *attempt });
                    if model.orders.get(&number.to_string()).is_some_and(|known| known.0 <= *attempt) {
                        model.orders.remove(&number.to_string());
                    }
                }
                Act::Limit(cents) => {
                    model.limit = Decimal::new(*cents, 2);
                    let limit = model.limit.to_string();
                    account.set(CreditTerms { grace_days: Some(0), ..terms(&limit) });
                }
                Act::Day => account.day += 1,
            }
            for number in account.granted() {
                model.orders.get_mut(&number).unwrap().2 = true;
            }
            let exposure = account.summary().exposure.unwrap();
            prop_assert_eq!(exposure.receivable.amount, model.receivable(), "{:?}", act);
            prop_assert_eq!(exposure.orders.amount, model.reserved(), "{:?}", act);
            let overdue = account.summary().overdue.map_or(Decimal::ZERO, |overdue| overdue.amount.amount);
            prop_assert_eq!(overdue, model.overdue(account.day));
            let known: BTreeSet<_> = account.summary().orders.into_iter().map(|(key, _)| key.number().to_owned()).collect();
            prop_assert_eq!(known, model.orders.keys().cloned().collect::<BTreeSet<_>>());
            // Nobody waits for whom there is room, unless nothing has happened since but time.
            if !matches!(act, Act::Day) && model.overdue(account.day) <= Decimal::ZERO {
                for (number, order) in model.orders.iter().filter(|(_, order)| !order.2) {
                    let with = model.receivable() + model.reserved() + (order.1 - order.3).max(Decimal::ZERO);
                    prop_assert!(with > model.limit, "{} waits for nothing", number);
                }
            }
        }
    }

    #[test]
    fn documents_in_any_order_and_number_give_the_same_account(
        acts in acts(), choices in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut documents = BTreeMap::new();
        for act in &acts {
            if let Act::Post(document) = act {
                documents.entry((Model::kind(document), document.id.to_string())).or_insert_with(|| document.clone());
            }
        }
        let post = |documents: Vec<Document>| {
            let mut account = Account::with(terms("100.00"));
            for document in documents {
                prop_assert_eq!(account.post(document), AccountReply::Accepted);
            }
            Ok(account.state)
        };
        let straight: Vec<_> = documents.values().cloned().collect();
        let mut shuffled = straight.clone();
        for (place, choice) in choices.iter().enumerate() {
            if !shuffled.is_empty() {
                let length = shuffled.len();
                shuffled.swap(place % length, usize::from(*choice) % length);
                if choice % 4 == 0 {
                    shuffled.push(shuffled[usize::from(*choice) % length].clone());
                }
            }
        }
        prop_assert_eq!(post(straight)?, post(shuffled)?);
    }
}
