//! Orders that the customer's account has to bear.

use super::*;
use crate::accounts::command::{AccountCommand, AccountReply, AccountSummary};
use crate::accounts::state::{AccountStatus, CreditTerms, Document, DocumentKind};
use crate::money::Money;
use crate::orders::credit::CreditRule;

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) fn checked() -> ChannelRules {
    ChannelRules {
        credit: Some(CreditRule::default()),
        ..ChannelRules::default()
    }
}

fn money(amount: &str) -> Money {
    Money {
        amount: amount.parse().unwrap(),
        currency: Currency::new("EUR").unwrap(),
    }
}

fn customer() -> CustomerId {
    CustomerId::new("C1").unwrap()
}

fn approve() -> OrderCommand {
    OrderCommand::Approve {
        reason: Reason::new("agreed by phone").unwrap(),
    }
}

impl World {
    pub(super) fn account(&mut self, command: AccountCommand) -> AccountReply {
        let Reply::Account(reply) = self.take((customer(), command).into()) else {
            panic!("not of an account");
        };
        reply
    }

    pub(super) fn limit(&mut self, limit: &str, status: AccountStatus) {
        self.sequence += 1;
        let version = self.sequence;
        let terms = CreditTerms {
            status,
            limit: money(limit),
            grace_days: None,
        };
        self.account(AccountCommand::Set { terms, version });
    }

    pub(super) fn post(&mut self, id: &str, amount: &str, kind: DocumentKind) {
        let document = Document {
            id: DocumentId::new(id).unwrap(),
            kind,
            amount: money(amount),
            dated: self.now,
        };
        assert_eq!(
            self.account(AccountCommand::Post(document)),
            AccountReply::Accepted
        );
    }

    fn invoice(&mut self, id: &str, amount: &str, order: Option<&OrderKey>) {
        let (order, due) = (order.cloned(), self.now.after(HOUR * 24 * 30));
        self.post(id, amount, DocumentKind::Invoice { order, due });
    }

    fn pay(&mut self, id: &str, amount: &str) {
        self.post(id, amount, DocumentKind::Payment { invoice: None });
    }

    fn owes(&mut self) -> AccountSummary {
        let AccountReply::Account(summary) = self.account(AccountCommand::Show) else {
            panic!("no summary");
        };
        *summary
    }

    /// Open orders and receivable.
    fn exposure(&mut self) -> [String; 2] {
        let exposure = self.owes().exposure.unwrap();
        [exposure.orders, exposure.receivable].map(|money| money.amount.normalize().to_string())
    }
}

/// 100 units at 29.50 for a customer who owes 47,200.00 of 50,000.00.
fn held() -> (World, OrderKey) {
    let mut world = World::under(Fate::kind(), checked()).stock("A", "W1", 100);
    world.set_price("A", "29.50");
    world.limit("50000.00", AccountStatus::Active);
    world.invoice("R-1", "47200.00", None);
    let order = key("1");
    let wish = request(&[("A", 100)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    (world, order)
}

#[test]
fn s46_an_order_over_the_limit_stands_with_its_stock_until_a_payment_releases_it() {
    let (mut world, order) = held();
    let exception = world.exception(&order).unwrap();
    assert_eq!(
        exception.to_string(),
        "credit hold: with this order the customer owes 50150.00 EUR, more than 50000.00 EUR"
    );
    assert_eq!(exception.owner(), OwnerRole::Credit);
    assert_eq!((world.reserved(), world.booked.get(&order)), (100, None));
    world.pay("P-1", "500.00");
    world.deliver();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.exposure(), ["2950", "46700"]);
    // From open order to invoice, and once.
    world.tell(&order, ship(&[]));
    world.deliver();
    world.invoice("R-2", "2950.00", Some(&order));
    assert_eq!(world.exposure(), ["0", "49650"]);
    world.tell(&order, OrderCommand::Close);
    world.deliver();
    assert_eq!(world.exposure(), ["0", "49650"]);
    assert!(world.owes().orders.is_empty());
}

/// Ten at 2.50, seven have left, the rest is cancelled: the ERP hears of a change to seven, and their 17.50 stay owed until
/// they are invoiced.
#[test]
fn a_cancelled_rest_leaves_what_has_left_in_the_exposure_and_in_the_erp() {
    let mut world = World::under(Fate::kind(), checked()).stock("A", "W1", 10);
    world.limit("100.00", AccountStatus::Active);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::ShipComplete);
    world.tell(&order, ship(&[(1, 7)]));
    world.settle();
    assert_eq!(world.exposure(), ["25", "0"]);
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(
        (world.status(&order), world.lines(&order)),
        (Status::Shipped, vec![[0, 7, 0, 0, 3]])
    );
    assert_eq!((world.available("A", "W1"), world.reserved()), (3, 0));
    assert_eq!(world.exposure(), ["17.5", "0"]);
    assert!(world.cancelled_in_erp.is_empty(), "its booking stands");
    let paper = world.last_paper.clone().unwrap();
    let told: Vec<_> = paper
        .lines
        .iter()
        .map(|line| (line.line, line.quantity.units()))
        .collect();
    assert_eq!(
        (paper.moved, paper.reference.document.as_str(), told),
        (false, "rest-1", vec![(1, 7)])
    );
    let last = world.statuses.last().unwrap();
    assert_eq!(last.reason.as_deref(), Some("not wanted"));
    assert_eq!(last.lines.len(), 1, "what was given up is told");
    // Told again, nothing happens.
    assert_eq!(
        world.tell(&order, cancel()),
        OrderReply::Refused(OrderRefusal::AlreadyShipped)
    );
    world.settle();
    assert_eq!(world.papers.values().sum::<u32>(), 1);
    world.invoice("R-2", "17.50", Some(&order));
    assert_eq!(world.exposure(), ["0", "17.5"]);
    world.tell(&order, OrderCommand::Close);
    world.settle();
    assert_eq!(
        (world.status(&order), world.exposure()),
        (Status::Closed, ["0".to_owned(), "17.5".to_owned()])
    );
    assert!(world.owes().orders.is_empty());
}

#[test]
fn s46_the_stock_is_kept_for_24_hours_and_held_anew_once_there_is_room() {
    for sold_meanwhile in [0, 1] {
        let (mut world, order) = held();
        world.now = world.now.after(HOUR * 24 - Duration::from_millis(1));
        world.wake(&order);
        world.deliver();
        assert_eq!(world.reserved(), 100);
        world.now = world.now.after(Duration::from_millis(1));
        world.wake(&order);
        world.deliver();
        assert_eq!((world.reserved(), world.available("A", "W1")), (0, 100));
        assert_eq!(world.exception(&order).unwrap().name(), "credit-hold");
        if sold_meanwhile > 0 {
            world.lose_units("A", "W1", sold_meanwhile);
        }
        world.pay("P-1", "500.00");
        world.deliver();
        if sold_meanwhile > 0 {
            assert_eq!(world.exception(&order).unwrap().name(), "shortage");
        } else {
            assert_eq!(world.status(&order), Status::Booked);
            assert_eq!(world.reserved(), 100);
        }
        world.tell(&order, cancel());
        world.settle();
        assert_eq!(world.exposure(), ["0", "46700"]);
    }
}

#[test]
fn s46_room_that_comes_while_the_stock_is_given_back_is_not_missed() {
    let (mut world, order) = held();
    world.now = world.now.after(HOUR * 24);
    world.wake(&order);
    assert_eq!(world.status(&order), Status::Releasing);
    world.pay("P-1", "500.00");
    let place = world
        .mail
        .iter()
        .position(|message| matches!(message, Message::Order(_, OrderCommand::CreditAnswered(_))));
    let granted = world.mail.remove(place.unwrap());
    world.take(granted);
    assert_eq!(world.status(&order), Status::Releasing);
    world.deliver();
    assert_eq!((world.status(&order), world.reserved()), (Status::Booked, 100));
}

#[test]
fn a_credit_hold_is_approved_by_two_above_the_limit_and_counts_then() {
    let (mut world, order) = held();
    world.tell(&order, approve());
    world.deliver();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.exposure(), ["2950", "47200"]);

    let rules = ChannelRules {
        approve_alone_up_to: [(
            Currency::new("EUR").unwrap(),
            Price::new("20".parse().unwrap()).unwrap(),
        )]
        .into(),
        ..checked()
    };
    let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 100);
    world.limit("20.00", AccountStatus::Active);
    let order = key("1");
    world.tell(
        &order,
        OrderCommand::Submit(Box::new(request(&[("A", 10)], &["W1"], Policy::ShipComplete))),
    );
    world.deliver();
    for (speaker, status) in [("desk-anna", Status::Exception), ("desk-ben", Status::Booked)] {
        world.speaker = speaker;
        world.tell(&order, approve());
        world.deliver();
        assert_eq!(world.status(&order), status);
    }
}

#[test]
fn a_channel_that_is_not_checked_asks_nobody() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
    let order = world.order("1", &[("A", 5)], &["W1"], Policy::ShipComplete);
    assert_eq!(world.status(&order), Status::Booked);
    assert!(world.accounts.is_empty());
}

#[test]
fn a_corrected_order_counts_with_what_it_comes_to_now() {
    let (mut world, order) = held();
    let smaller = Correction {
        reason: Reason::new("as much as there is room for").unwrap(),
        lines: Some(request(&[("A", 90)], &["W1"], Policy::ShipComplete).lines),
        warehouses: None,
        policy: None,
        priority: None,
        delivery: None,
        ship_to_region: None,
    };
    world.tell(&order, OrderCommand::Correct(Box::new(smaller)));
    world.deliver();
    assert_eq!((world.status(&order), world.reserved()), (Status::Booked, 90));
    assert_eq!(world.exposure(), ["2655", "47200"]);
}

#[test]
fn what_is_given_up_of_a_booked_order_is_room_for_others() {
    // 280 at 10.00 take the whole limit; another 0.01 has to wait.
    let mut world = World::under(Fate::kind(), checked())
        .stock("A", "W1", 280)
        .stock("B", "W1", 1);
    world.set_price("A", "10.00");
    world.set_price("B", "0.01");
    world.limit("2800.00", AccountStatus::Active);
    let mut orders = Vec::new();
    for (number, name, units) in [("1", "A", 280), ("2", "B", 1)] {
        let wish = request(&[(name, units)], &["W1"], Policy::ShipComplete);
        world.tell(&key(number), OrderCommand::Submit(Box::new(wish)));
        world.deliver();
        orders.push(key(number));
    }
    assert_eq!(world.status(&orders[0]), Status::Booked);
    assert_eq!(world.exception(&orders[1]).unwrap().name(), "credit-hold");
    let total = |world: &World| {
        world.orders[&orders[0]]
            .placed()
            .unwrap()
            .total()
            .unwrap()
            .to_string()
    };
    world.accept(&orders[0], changes::change("CH-1", &[(1, 2)]));
    assert_eq!(total(&world), "20.00 EUR");
    assert_eq!(world.status(&orders[1]), Status::Booked);
    assert_eq!(world.exposure(), ["20.01", "0"]);
    // Nor does it ask anew for what it was granted: an account on hold bears it as before.
    world.limit("2800.00", AccountStatus::OnHold);
    world.accept(&orders[0], changes::change("CH-2", &[(1, 1)]));
    assert_eq!(total(&world), "10.00 EUR");
    assert_eq!(world.exposure(), ["10.01", "0"]);
    world.accept(&orders[0], ship(&[]));
    world.invoice("R-1", "10.00", Some(&orders[0]));
    assert_eq!(world.exposure(), ["0.01", "10"]);
    world.tell(&orders[1], cancel());
    world.settle();
    assert_eq!(world.exposure(), ["0", "10"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_orders_exposure_outlives_it_and_none_is_booked_beyond_the_limit(
        wishes in proptest::collection::vec((1_i64..30, 0_u8..5), 1..7),
        payments in proptest::collection::vec(1_i64..60, 0..4),
        choices in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut world = World::under(Fate { choices, used: 0 }, checked()).stock("A", "W1", 100);
        world.limit("100.00", AccountStatus::Active);
        world.invoice("R-1", "50.00", None);
        for (number, (units, act)) in wishes.iter().enumerate() {
            let order = key(&number.to_string());
            let wish = request(&[("A", *units)], &["W1"], Policy::ShipComplete);
            world.mail.push((order.clone(), OrderCommand::Submit(Box::new(wish))).into());
            if *act == 1 {
                world.mail.push((order, cancel()).into());
            }
        }
        world.settle();
        for (number, amount) in payments.iter().enumerate() {
            world.pay(&format!("P-{number}"), &amount.to_string());
            world.settle();
            let exposure = world.owes().exposure.unwrap().total.amount;
            prop_assert!(exposure <= 100.into(), "{}", exposure);
        }
        for (number, (units, act)) in wishes.iter().enumerate() {
            let order = key(&number.to_string());
            match act {
                2 => drop(world.tell(&order, cancel())),
                3 | 4 if matches!(world.tell(&order, ship(&[])), OrderReply::Accepted { .. }) => {
                    world.settle();
                    let amount = rust_decimal::Decimal::new(units * 250, 2).to_string();
                    world.invoice(&format!("R-{order}"), &amount, Some(&order));
                    if *act == 4 {
                        world.tell(&order, OrderCommand::Close);
                    }
                }
                _ => {}
            }
        }
        world.settle();
        let open: BTreeMap<_, _> = world.owes().orders.into_iter().collect();
        for (number, _) in wishes.iter().enumerate() {
            let order = key(&number.to_string());
            let placed = world.orders[&order].placed().unwrap();
            if placed.has_ended() {
                prop_assert!(!open.contains_key(&order), "{} has ended", order);
            } else if world.booked.contains_key(&order) && !world.cancelled_in_erp.contains_key(&order) {
                prop_assert!(open.contains_key(&order), "{} is {}", order, placed.status);
            }
        }
    }
}
