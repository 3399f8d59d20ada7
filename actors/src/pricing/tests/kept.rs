//! Quotes that orders rely on: honoured until their time is over, whatever changes.

use super::*;
use crate::domain::Message;
use crate::orders::command::OrderCommand;
use crate::pricing::kept::*;
use proptest::prelude::*;
use std::time::Duration;

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(60) * minutes
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::default().after(Duration::from_secs(seconds))
}

/// A customer's contract over time, and one SKU without a list price.
struct Customer {
    state: ContractState,
    reference: Reference,
    now: Timestamp,
}

impl Customer {
    /// Agreed at version 17.
    fn at(unit: &str) -> Self {
        let mut customer = Self {
            state: ContractState::default(),
            reference: Reference::default(),
            now: Timestamp::default(),
        };
        customer.agree(17, unit);
        customer
    }

    fn tell(&mut self, command: &ContractCommand) -> (ContractReply, Vec<Message>) {
        let provenance = Provenance {
            source: "web".into(),
            correlation: "1".into(),
            causation: None,
        };
        let context = Context {
            now: self.now,
            provenance: &provenance,
            origin: Origin::External(MessageId(1)),
            reference: &self.reference,
        };
        let customer = CustomerId::new("C").unwrap();
        let decision = CustomerContract::decide(&customer, &self.state, command, &context);
        for event in &decision.events {
            CustomerContract::apply(&mut self.state, event);
        }
        (decision.reply, decision.sends)
    }

    fn agree(&mut self, version: u64, unit: &str) {
        let contract = Box::new(Contract {
            terms: vec![fixed("agreed", Scope::Everything, unit, &[])].into(),
            ..Contract::none(currency("EUR"))
        });
        let reply = self.tell(&ContractCommand::Upsert { contract, version }).0;
        assert_eq!(reply, ContractReply::Accepted);
    }

    fn ask(units: i64) -> Box<QuoteRequest> {
        Box::new(Case::flat("1").ask(units))
    }

    fn keep(&mut self, units: i64, minutes: u32) -> ContractReply {
        let command = ContractCommand::KeepQuote {
            request: Self::ask(units),
            validity: Validity::try_from(minutes).unwrap(),
        };
        self.tell(&command).0
    }

    /// The price of an order that came in at `at` and names a quote.
    fn order(&mut self, number: u64, units: i64, at: Timestamp) -> Result<Quote, QuoteRefusal> {
        let mut request = Self::ask(units);
        request.lines[0].line = 10;
        let command = ContractCommand::PriceOrder {
            order: OrderKey::new("web", "1").unwrap(),
            attempt: 1,
            request,
            quote: Some(QuoteClaim {
                number: QuoteNumber(number),
                at,
            }),
        };
        let (_, sends) = self.tell(&command);
        let [Message::Order(_, OrderCommand::Priced(priced))] = &sends[..] else {
            panic!("{sends:?}")
        };
        if let Ok(quote) = &priced.result {
            assert_eq!(quote.lines[0].line, 10, "the order's own number");
        }
        priced.result.clone().map(|quote| *quote)
    }
}

fn told(quote: &Quote) -> (String, u64, QuoteStanding) {
    let standing = quote.named.as_ref().unwrap().standing;
    (quote.total.amount.to_string(), quote.contract_version, standing)
}

#[test]
fn s16_a_quote_is_honoured_for_fifteen_minutes_and_after_that_the_change_is_told() {
    let mut customer = Customer::at("84.50");
    let ContractReply::QuoteKept(kept) = customer.keep(10, 15) else {
        panic!("kept")
    };
    assert_eq!((kept.number, kept.until), (QuoteNumber(1), seconds(900)));
    customer.now = seconds(600);
    customer.agree(18, "90.00");
    let honoured = customer.order(1, 10, seconds(899)).unwrap();
    assert_eq!(
        told(&honoured),
        ("845.00".to_owned(), 17, QuoteStanding::Honoured)
    );
    // The first moment at which it no longer is.
    for late in [900, 901] {
        let late = customer.order(1, 10, seconds(late)).unwrap();
        assert_eq!(told(&late), ("900.00".to_owned(), 18, QuoteStanding::Expired));
        let said = late.named.unwrap().said.unwrap();
        assert_eq!(
            (said.total.amount, said.contract_version),
            (decimal("845.00"), 17)
        );
    }
    // However long the order waits here: what counts is when it came in.
    customer.now = seconds(3_600);
    let waited = customer.order(1, 10, seconds(899)).unwrap();
    assert_eq!(told(&waited), ("845.00".to_owned(), 17, QuoteStanding::Honoured));
}

#[test]
fn a_quote_is_for_its_goods_and_nobody_is_served_who_may_not_buy() {
    let mut customer = Customer::at("84.50");
    customer.keep(10, 15);
    let other = customer.order(1, 11, seconds(1)).unwrap();
    assert_eq!(told(&other), ("929.50".to_owned(), 17, QuoteStanding::OtherGoods));
    let unknown = customer.order(2, 10, seconds(1)).unwrap();
    assert_eq!(told(&unknown), ("845.00".to_owned(), 17, QuoteStanding::Unknown));
    let blocked = Box::new(Contract {
        status: ContractStatus::Blocked,
        ..Contract::none(currency("EUR"))
    });
    customer.tell(&ContractCommand::Upsert {
        contract: blocked,
        version: 18,
    });
    let refused = customer.order(1, 10, seconds(1));
    assert!(
        matches!(refused, Err(QuoteRefusal::Blocked { .. })),
        "{refused:?}"
    );
}

#[test]
fn as_many_quotes_as_are_kept_and_the_oldest_over_is_forgotten_first() {
    let mut customer = Customer::at("84.50");
    for number in 1..=MAX_KEPT {
        // The first two end first.
        let valid = if number <= 2 { 5 } else { 60 };
        let reply = customer.keep(1, valid);
        assert!(matches!(reply, ContractReply::QuoteKept(_)), "{reply:?}");
    }
    assert_eq!(
        customer.keep(1, 5),
        ContractReply::Refused(PriceRefusal::TooManyQuotes)
    );
    customer.now = Timestamp::default().after(minutes(5));
    assert!(matches!(customer.keep(1, 5), ContractReply::QuoteKept(_)));
    let at = seconds(1);
    assert_eq!(told(&customer.order(1, 1, at).unwrap()).2, QuoteStanding::Unknown);
    assert_eq!(
        told(&customer.order(2, 1, at).unwrap()).2,
        QuoteStanding::Honoured
    );
    // Numbers are never used twice.
    let last = customer.state.quotes.as_slice().last().map(|kept| kept.number.0);
    assert_eq!(last, Some(MAX_KEPT as u64 + 1));
    assert!(Validity::try_from(0).is_err() && Validity::try_from(MAX_VALID_MINUTES + 1).is_err());
}

#[derive(Clone, Debug)]
enum Act {
    Agree(u32),
    Keep(i64, u32),
    Order(u64, i64),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1_u32..500).prop_map(Act::Agree),
        (1_i64..3, 1_u32..4).prop_map(|(units, valid)| Act::Keep(units, valid)),
        (1_u64..8, 1_i64..3).prop_map(|(number, units)| Act::Order(number, units)),
        (1_u64..120).prop_map(Act::Pass),
    ]
}

proptest! {
    /// Against a list of all that was ever quoted: number, units, price and the second at which it ends.
    #[test]
    fn an_order_costs_what_its_quote_said_or_what_it_costs_now(acts in proptest::collection::vec(act(), 1..60)) {
        let (mut customer, mut version, mut unit, mut now) = (Customer::at("5"), 17, 5_u32, 0_u64);
        let mut quoted: Vec<(i64, u32, u64)> = Vec::new();
        for act in acts {
            match act {
                Act::Agree(price) => {
                    (version, unit) = (version + 1, price);
                    customer.agree(version, &price.to_string());
                }
                Act::Keep(units, valid) => {
                    let kept = matches!(customer.keep(units, valid), ContractReply::QuoteKept(_));
                    prop_assert!(kept);
                    quoted.push((units, unit, now + 60 * u64::from(valid)));
                }
                Act::Order(number, units) => {
                    let found = quoted.get(usize::try_from(number - 1).unwrap());
                    let (standing, price) = match found {
                        None => (QuoteStanding::Unknown, unit),
                        Some((_, _, until)) if now >= *until => (QuoteStanding::Expired, unit),
                        Some((of, _, _)) if *of != units => (QuoteStanding::OtherGoods, unit),
                        Some((_, price, _)) => (QuoteStanding::Honoured, *price),
                    };
                    let priced = customer.order(number, units, seconds(now)).unwrap();
                    prop_assert_eq!(priced.named.unwrap().standing, standing);
                    prop_assert_eq!(priced.total.amount, Decimal::from(price) * Decimal::from(units));
                }
                Act::Pass(more) => {
                    now += more;
                    customer.now = seconds(now);
                }
            }
        }
    }
}
