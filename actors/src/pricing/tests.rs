//! The worked examples of `docs/pricing.md`, and what is refused.

mod bulk;
mod editions;
mod explained;
mod floors;
mod indexed;
mod kept;
mod order;
mod rebates;
mod refused;

use super::agreement::{Agreement, HOUSE};
use super::bound::PriceFlag;
use super::catalogue::{Cost, Item};
use super::contract::*;
use super::ending::{PriceEnding, Toward};
use super::list::{Effective, ListRow, PriceRefusal};
use super::rates::{ExchangeRates, RateEvent, RateSet, RateState};
use super::resolve::*;
use super::scale::{Break, BreakMode, Scale};
use super::term::*;
use crate::domain::View;
use crate::ids::UnitOfMeasure;
use crate::ids::{AgreementId, CategoryId, CustomerId, ListId, OrderKey, ProductId, RateSource, RuleId, Sku};
use crate::money::{Currency, Markup, Percent, Price, Rate, RoundingMode};
use crate::quantity::PositiveQuantity;
use crate::reference::{Published, PublishedPrices, Reference, publish_view};
use crate::units::UnitSize;
use lockstep_runtime::entity::{Context, Entity};
use lockstep_runtime::message::{MessageId, Origin, Provenance, Sequence};
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use std::sync::Arc;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn price(text: &str) -> Price {
    Price::new(decimal(text)).unwrap()
}

fn quantity(units: i64) -> PositiveQuantity {
    PositiveQuantity::new(units).unwrap()
}

fn currency(code: &str) -> Currency {
    Currency::new(code).unwrap()
}

fn sku() -> Sku {
    Sku::new("A").unwrap()
}

fn stepped(unit: &str, at: &[(i64, &str)], mode: BreakMode) -> Scale<Price> {
    let breaks = at.iter().map(|(from, value)| Break {
        from: quantity(*from),
        value: price(value),
    });
    Scale {
        base: price(unit),
        breaks: breaks.collect(),
        mode,
    }
}

fn fixed(rule: &str, scope: Scope, unit: &str, at: &[(i64, &str)]) -> Term {
    let effect = Effect::Fixed(stepped(unit, at, BreakMode::AllUnits));
    Term::plain(RuleId::new(rule).unwrap(), 7, scope, effect)
}

fn discount(rule: &str, scope: Scope, percent: &str) -> Term {
    let percent = Percent::new(decimal(percent)).unwrap();
    Term::plain(
        RuleId::new(rule).unwrap(),
        7,
        scope,
        Effect::Discount(Scale::flat(percent)),
    )
}

impl Term {
    fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Conditions)) -> Self {
        let mut conditions = self.conditions.map(|conditions| *conditions).unwrap_or_default();
        change(&mut conditions);
        self.conditions = Some(Box::new(conditions));
        self
    }

    fn until(mut self, millis: i64) -> Self {
        self.effective.until = Some(Timestamp::from_millis(millis));
        self
    }
}

/// A customer, what stands behind it, and one SKU.
struct Case {
    contract: Contract,
    volume: Volume,
    reference: Reference,
}

impl Case {
    fn list(unit: &str, at: &[(i64, &str)], mode: BreakMode) -> Self {
        let reference = Reference::default();
        let row = ListRow {
            list: ListId::new(DEFAULT_LIST).unwrap(),
            currency: currency("EUR"),
            effective: Effective::default(),
            price: stepped(unit, at, mode),
            rule: RuleId::new("list").unwrap(),
            version: 3,
            edition: None,
        };
        let prices = PublishedPrices {
            sku: sku(),
            rows: Arc::from([row]),
            sequence: Sequence(1),
            revision: 0,
        };
        publish_view(&reference, View::Prices(prices));
        Self {
            contract: Contract::none(currency("EUR")),
            volume: Volume::default(),
            reference,
        }
    }

    /// With this list price in place of the one in euros.
    fn listed_in(self, code: &str, unit: &str) -> Self {
        let row = ListRow {
            list: ListId::new(DEFAULT_LIST).unwrap(),
            currency: currency(code),
            effective: Effective::default(),
            price: Scale::flat(price(unit)),
            rule: RuleId::new("list").unwrap(),
            version: 3,
            edition: None,
        };
        let prices = PublishedPrices {
            sku: sku(),
            rows: Arc::from([row]),
            sequence: Sequence(2),
            revision: 0,
        };
        publish_view(&self.reference, View::Prices(prices));
        self
    }

    fn flat(unit: &str) -> Self {
        Self::list(unit, &[], BreakMode::AllUnits)
    }

    fn terms(mut self, terms: impl Into<Vec<Term>>) -> Self {
        self.contract.terms = terms.into().into();
        self
    }

    fn item(self, item: Item) -> Self {
        let published = Published {
            id: sku(),
            value: Arc::new(item),
            sequence: Sequence(1),
        };
        publish_view(&self.reference, View::Item(published));
        self
    }

    fn costing(self, unit: &str) -> Self {
        let cost = Cost {
            unit: price(unit),
            currency: currency("EUR"),
        };
        self.item(Item {
            cost: Some(cost),
            ..Item::default()
        })
    }

    /// Rates of a day, from the contract's currency as the pivot.
    fn rates(mut self, day: i64, rates: &[(&str, &str)]) -> Self {
        let source = RateSource::new("ecb").unwrap();
        let rates = rates
            .iter()
            .map(|(code, rate)| (currency(code), Rate::new(decimal(rate)).unwrap()));
        let set = RateSet {
            id: RuleId::new(&format!("ecb/{day}")).unwrap(),
            from: Timestamp::from_millis(day),
            pivot: self.contract.currency,
            rates: rates.collect(),
        };
        let mut state = RateState {
            table: self.reference.rates(&source),
        };
        ExchangeRates::apply(&mut state, &RateEvent::Published(set));
        let view = ExchangeRates::view(&source, &state, Sequence(1)).unwrap();
        publish_view(&self.reference, view);
        self.contract.rates = Some(source);
        self
    }

    fn agreement(self, id: &str, parent: Option<&str>, terms: impl Into<Vec<Term>>) -> Self {
        let agreement = Agreement {
            parent: parent.map(|id| AgreementId::new(id).unwrap()),
            currency: currency("EUR"),
            base_list: None,
            precedence: None,
            terms: terms.into().into(),
            endings: Vec::new(),
            charges: Vec::new(),
            customer_class: None,
        };
        let published = Published {
            id: AgreementId::new(id).unwrap(),
            value: Arc::new(agreement),
            sequence: Sequence(1),
        };
        publish_view(&self.reference, View::Agreement(published));
        self
    }

    fn on(mut self, agreement: &str) -> Self {
        self.contract.agreement = Some(AgreementId::new(agreement).unwrap());
        self
    }

    fn combined(mut self, combination: Combination) -> Self {
        let mode = StageMode {
            inheritance: Inheritance::Together,
            combination,
        };
        let agreed = match combination {
            Combination::FirstMatch | Combination::BestOf => mode,
            Combination::CompoundWithin | Combination::CompoundAcross => Precedence::default().agreed,
        };
        self.contract.precedence = Some(Precedence {
            standing: mode,
            agreed,
            promotion: mode,
        });
        self
    }

    fn ask(&self, units: i64) -> QuoteRequest {
        QuoteRequest {
            currency: self.contract.currency,
            rates: None,
            coupons: Vec::new(),
            zone: None,
            lines: vec![QuoteLine {
                line: 1,
                sku: sku(),
                quantity: quantity(units),
                unit: None,
                base_units: None,
                stated_price: None,
            }],
            as_of: None,
            customers: Customers::Known,
            detail: Detail::Waterfall,
            budgets: Budgets::default(),
            channel: None,
            ship_to: None,
        }
    }

    fn answer(&self, request: &QuoteRequest, at: i64) -> Result<Quote, QuoteRefusal> {
        let state = ContractState {
            contract: Some(Arc::new(self.contract.clone())),
            version: 1,
            volume: self.volume,
            ..ContractState::default()
        };
        let (customer, now) = (CustomerId::new("C").unwrap(), Timestamp::from_millis(at));
        let quote = resolve(&customer, &state, request, now, &self.reference)?;
        assert!(quote.lines.iter().all(adds_up), "{quote:?}");
        assert!(order_adds_up(&quote), "{quote:?}");
        Ok(quote)
    }

    fn quote(&self, units: i64, at: i64, detail: Detail) -> Result<PricedLine, QuoteRefusal> {
        let mut request = self.ask(units);
        request.detail = detail;
        self.answer(&request, at).map(|quote| quote.lines[0].clone())
    }

    fn amount(&self, units: i64) -> Decimal {
        self.quote(units, 0, Detail::Waterfall).unwrap().amount
    }

    fn misses(&self, units: i64) -> Vec<(String, Missed)> {
        let line = self.quote(units, 0, Detail::NearMisses).unwrap();
        line.near_misses
            .into_iter()
            .map(|miss| (miss.rule.to_string(), miss.reason))
            .collect()
    }
}

fn adds_up(line: &PricedLine) -> bool {
    let mut reached = Decimal::ZERO;
    line.waterfall.iter().all(|step| {
        let joined = step.before == reached;
        reached = step.after;
        joined
    }) && reached == line.amount
}

/// The steps of the order lead from nothing over the lines to the total, and each line's share is in them.
fn order_adds_up(quote: &Quote) -> bool {
    let mut reached = Decimal::ZERO;
    let joined = quote.order.iter().all(|step| {
        let joined = step.before == reached;
        reached = step.after;
        joined
    });
    let sum = |of: fn(&PricedLine) -> Decimal| quote.lines.iter().map(of).sum::<Decimal>();
    let discount = quote
        .order
        .iter()
        .find(|step| step.kind == OrderStepKind::Discount);
    let taken = discount.map_or(Decimal::ZERO, |step| step.before - step.after);
    joined
        && reached == quote.total.amount
        && quote.order[0].after == sum(|line| line.amount)
        && taken == sum(|line| line.order_discount)
}

#[test]
fn s01_and_s02_the_waterfall_of_a_contract_with_a_break() {
    let case = Case::flat("100.00")
        .agreement("group", None, [discount("group", Scope::Everything, "12")])
        .on("group")
        .terms([
            fixed("contract", Scope::Sku(sku()), "84.50", &[(100, "82.00")]),
            discount("promo", Scope::Everything, "3").at(Stage::Promotion),
        ]);
    let line = case.quote(120, 0, Detail::Waterfall).unwrap();
    let seen: Vec<_> = line
        .waterfall
        .iter()
        .map(|step| {
            let rule = step.rule.as_ref().unwrap().as_str();
            (step.kind, step.after / decimal("120"), rule, step.version)
        })
        .collect();
    let expected = [
        (StepKind::BaseList, decimal("100.00"), "list", 3),
        (StepKind::StandingDiscount, decimal("88.00"), "group", 7),
        (StepKind::AgreedPrice, decimal("84.50"), "contract", 7),
        (StepKind::AgreedBreak, decimal("82.00"), "contract", 7),
        (StepKind::Promotion, decimal("79.54"), "promo", 7),
    ];
    assert_eq!(seen, expected);
    assert_eq!(line.amount, decimal("9544.80"));
    let case = case.terms([fixed("contract", Scope::Sku(sku()), "84.50", &[(100, "82.00")])]);
    // 100 ordered, then one cancelled before booking, is 99.
    for (units, unit) in [(99, "84.50"), (100, "82.00"), (99, "84.50")] {
        assert_eq!(case.amount(units), decimal(unit) * Decimal::from(units));
    }
}

#[test]
fn s03_breaks_for_all_units_and_graduated() {
    let at = &[(50, "9"), (100, "8")];
    assert_eq!(
        Case::list("10", at, BreakMode::AllUnits).amount(120),
        decimal("960")
    );
    assert_eq!(
        Case::list("10", at, BreakMode::Graduated).amount(120),
        decimal("1108")
    );
    assert_eq!(
        Case::list("10", at, BreakMode::Graduated).amount(49),
        decimal("490")
    );
}

#[test]
fn s04_a_rule_for_some_units_or_for_whole_lines() {
    let half = || discount("half", Scope::Everything, "50").at(Stage::Promotion);
    let case = |maximum| {
        let limited = half().with(|conditions| {
            conditions.minimum = Some(quantity(2));
            conditions.maximum = Some(maximum);
        });
        Case::flat("100").terms([limited])
    };
    let capped = case(Maximum::Capped(quantity(5)));
    let whole = case(Maximum::WholeLine(quantity(5)));
    for (units, amount_capped, amount_whole) in [(1, "100", "100"), (5, "250", "250"), (8, "550", "800")] {
        assert_eq!(capped.amount(units), decimal(amount_capped), "{units} capped");
        assert_eq!(whole.amount(units), decimal(amount_whole), "{units} whole line");
    }
}

#[test]
fn s05_the_most_specific_or_the_best() {
    let category = Scope::Category(CategoryId::new("drinks").unwrap());
    let terms = [
        fixed("variant", Scope::Sku(sku()), "9.50", &[])
            .with(|conditions| conditions.minimum = Some(quantity(10))),
        fixed(
            "product",
            Scope::Product(ProductId::new("cola").unwrap()),
            "9.00",
            &[],
        ),
        discount("category", category, "20").at(Stage::Agreed),
    ];
    let cola = Item {
        product: Some(ProductId::new("cola").unwrap()),
        categories: [CategoryId::new("drinks").unwrap()].into(),
        ..Item::default()
    };
    let case = || Case::flat("12.00").item(cola.clone()).terms(terms.clone());
    let (first, best) = (case(), case().combined(Combination::BestOf));
    assert_eq!(
        (first.amount(5), best.amount(5)),
        (decimal("45.00"), decimal("45.00"))
    );
    assert_eq!(
        (first.amount(10), best.amount(10)),
        (decimal("95.00"), decimal("90.00"))
    );
    let only_category = case().terms([terms[2].clone()]);
    assert_eq!(only_category.amount(1), decimal("9.60"));
}

#[test]
fn s07_compounding_within_and_across_priorities() {
    let promotion = |rule: &str, percent: &str, priority: u16, stacking: Stacking| {
        discount(rule, Scope::Everything, percent)
            .at(Stage::Promotion)
            .with(|conditions| {
                conditions.priority = priority;
                conditions.stacking = stacking;
            })
    };
    let three = vec![
        promotion("A", "10", 99, Stacking::Compounded),
        promotion("B", "20", 99, Stacking::Compounded),
        promotion("C", "15", 0, Stacking::Compounded),
    ];
    let mut four = three.clone();
    four.push(promotion("D", "35", 99, Stacking::BestPrice));
    let mut five = four.clone();
    five.push(promotion("E", "1", 99, Stacking::Exclusive));
    let cases = [
        (Combination::CompoundWithin, &three, "72.00"),
        (Combination::CompoundWithin, &four, "65.00"),
        (Combination::CompoundWithin, &five, "99.00"),
        (Combination::CompoundAcross, &three, "68.00"),
        (Combination::CompoundAcross, &four, "55.25"),
        (Combination::CompoundAcross, &five, "99.00"),
    ];
    for (combination, terms, expected) in cases {
        let case = Case::flat("100").terms(terms.clone()).combined(combination);
        assert_eq!(
            case.amount(1),
            decimal(expected),
            "{combination:?}, {} terms",
            terms.len()
        );
    }
}

#[test]
fn s08_and_s09_the_line_is_rounded_not_the_unit() {
    let mut case = Case::flat("265.00").terms([discount("d", Scope::Everything, "13.3")]);
    assert_eq!(case.amount(50), decimal("11487.75"));
    case.contract.rounding = Rounding {
        mode: RoundingMode::HalfUp,
        level: RoundingLevel::Unit,
    };
    let line = case.quote(50, 0, Detail::Waterfall).unwrap();
    assert_eq!(
        (line.unit_price, line.amount),
        (decimal("229.76"), decimal("11488.00"))
    );
    // 158 is the price; that it is 5.95 % less than 168 is only for display.
    let case = Case::flat("168").terms([fixed("f", Scope::Sku(sku()), "158", &[])]);
    assert_eq!(case.amount(2), decimal("316"));
}

#[test]
fn s06_converted_before_anything_is_rounded() {
    let mut case = Case::flat("1000");
    case.contract.currency = currency("JPY");
    case = case.listed_in("JPY", "1000").rates(0, &[("USD", "0.009502")]);
    case.contract.endings = vec![PriceEnding {
        rule: RuleId::new("ninety-nine").unwrap(),
        version: 2,
        currency: currency("USD"),
        multiple: price("10"),
        toward: Toward::Nearest,
        less: price("0.01"),
    }];
    let mut request = case.ask(1);
    request.currency = currency("USD");
    let quote = case.answer(&request, 0).unwrap();
    let seen: Vec<_> = quote.lines[0]
        .waterfall
        .iter()
        .map(|step| (step.kind, step.after))
        .collect();
    let expected = [
        (StepKind::BaseList, decimal("1000")),
        (StepKind::Conversion, decimal("9.502")),
        (StepKind::Ending, decimal("9.99")),
    ];
    assert_eq!(seen, expected);
    // An ending that would leave nothing is passed over.
    let case = case.listed_in("JPY", "100");
    assert_eq!(case.answer(&request, 0).unwrap().total.amount, decimal("0.95"));
}

#[test]
fn s12_the_rates_are_named_and_give_the_same_again() {
    let case = Case::flat("90")
        .terms([fixed("contract", Scope::Everything, "84.50", &[])])
        .rates(1, &[("USD", "1.0873"), ("JPY", "163.27")])
        .rates(2, &[("USD", "1.2000")]);
    let ask = |code: &str, at: i64, rates: Option<&RuleId>| {
        let mut request = case.ask(1);
        request.currency = currency(code);
        request.rates = rates.cloned();
        case.answer(&request, at)
    };
    let first = ask("USD", 1, None).unwrap();
    assert_eq!(first.total.to_string(), "91.88 USD");
    assert_eq!(ask("JPY", 1, None).unwrap().total.to_string(), "13796 JPY");
    let conversion = first.conversion.unwrap();
    assert_eq!(
        (conversion.from, conversion.rates.as_str()),
        (currency("EUR"), "ecb/1")
    );
    assert_eq!(ask("USD", 2, None).unwrap().total.to_string(), "101.40 USD");
    assert_eq!(
        ask("USD", 2, Some(&conversion.rates)).unwrap().total.to_string(),
        "91.88 USD"
    );
    let gone = ask("JPY", 2, None).unwrap_err().to_string();
    assert_eq!(gone, "no exchange rates of ecb from EUR to JPY");
    assert_eq!(ask("EUR", 9, None).unwrap().conversion, None);
}

fn bound(rule: &str, stage: Stage, at: Bound, breach: Breach) -> Term {
    let effect = Effect::Bound { at, breach };
    Term::plain(RuleId::new(rule).unwrap(), 4, Scope::Everything, effect).at(stage)
}

#[test]
fn s15_a_floor_raises_or_holds() {
    let margin = || Bound::Margin(Percent::new(decimal("8")).unwrap());
    let case = |breach| {
        let promotion = fixed("promo", Scope::Everything, "74.00", &[]).at(Stage::Promotion);
        let floor = bound("floor", Stage::Floor, margin(), breach);
        Case::flat("100").costing("70").terms([promotion, floor])
    };
    let rule = RuleId::new("floor").unwrap();
    let at = decimal("76.09");
    let raised = case(Breach::Adjust).quote(10, 0, Detail::Waterfall).unwrap();
    assert_eq!(raised.amount, decimal("760.90"));
    assert_eq!(
        raised.waterfall.last().map(|step| step.kind),
        Some(StepKind::Floor)
    );
    let flag = PriceFlag::Raised {
        rule: rule.clone(),
        bound: at,
    };
    assert_eq!(raised.flags, [flag]);
    let held = case(Breach::Hold).quote(10, 0, Detail::Waterfall).unwrap();
    assert_eq!(held.amount, decimal("740.00"));
    assert_eq!(held.flags, [PriceFlag::BelowFloor { rule, bound: at }]);
    // Without a cost there is no margin to reckon; the near miss says so.
    let unknown = case(Breach::Adjust).item(Item::default());
    assert_eq!(unknown.amount(1), decimal("74.00"));
    assert!(unknown.misses(1).contains(&("floor".to_owned(), Missed::NoCost)));
}

#[test]
fn ceilings_lower_the_floor_has_the_last_word_and_what_is_advertised_is_flagged() {
    let terms = [
        bound(
            "ceiling",
            Stage::Ceiling,
            Bound::Price(price("60")),
            Breach::Adjust,
        ),
        bound("floor", Stage::Floor, Bound::Price(price("65")), Breach::Adjust),
        bound(
            "advertised",
            Stage::Advertised,
            Bound::Price(price("70")),
            Breach::Adjust,
        ),
    ];
    let line = Case::flat("100")
        .terms(terms)
        .quote(2, 0, Detail::Waterfall)
        .unwrap();
    let names: Vec<_> = line.flags.iter().map(PriceFlag::name).collect();
    assert_eq!(
        (line.amount, names),
        (decimal("130"), vec!["lowered", "raised", "not-to-be-shown"])
    );
}

#[test]
fn cost_plus_is_agreed_upon_cost() {
    let markup = |percent: &str| Markup::new(decimal(percent)).unwrap();
    let at = Break {
        from: quantity(10),
        value: markup("20"),
    };
    let plus = |mode| {
        let breaks = vec![at.clone()];
        let effect = Effect::CostPlus(Scale {
            base: markup("25"),
            breaks,
            mode,
        });
        Term::plain(RuleId::new("plus").unwrap(), 1, Scope::Everything, effect)
    };
    let case = |mode| Case::flat("100").costing("61.00").terms([plus(mode)]);
    assert_eq!(case(BreakMode::AllUnits).amount(9), decimal("686.25"));
    assert_eq!(case(BreakMode::AllUnits).amount(10), decimal("732.00"));
    assert_eq!(case(BreakMode::Graduated).amount(10), decimal("759.45"));
    assert_eq!(
        Case::flat("100").terms([plus(BreakMode::AllUnits)]).amount(1),
        decimal("100")
    );
}

#[test]
fn s18_a_case_costs_what_its_units_cost() {
    let unit = UnitOfMeasure::new("CASE").unwrap();
    let pound = UnitOfMeasure::new("LB").unwrap();
    let size = |base_units, of| UnitSize {
        base_units: quantity(base_units),
        of: quantity(of),
    };
    let item = Item {
        units: vec![(unit.clone(), size(24, 1)), (pound.clone(), size(5, 2))].into(),
        ..Item::default()
    };
    let case = Case::flat("2.4949").item(item);
    let mut request = case.ask(1);
    request.lines[0].unit = Some(unit.clone());
    let line = &case.answer(&request, 0).unwrap().lines[0];
    assert_eq!((line.amount, line.quantity), (decimal("59.88"), quantity(24)));
    assert_eq!(line.sold_as, Some((unit, quantity(1))));
    // Two pounds are five base units; one is no whole number of them.
    request.lines[0].unit = Some(pound);
    let odd = case.answer(&request, 0).unwrap_err().to_string();
    assert_eq!(odd, "line 1: quantity: 1 LB is no whole number of base units");
    request.lines[0].unit = Some(UnitOfMeasure::new("PALLET").unwrap());
    let unknown = case.answer(&request, 0).unwrap_err().to_string();
    assert_eq!(unknown, "line 1: A is not sold by the PALLET");
}

#[test]
fn s14_the_nearest_level_or_the_best() {
    let case = |ship_to: Term| {
        Case::flat("100")
            .agreement("group", None, [])
            .agreement(
                "parent",
                Some("group"),
                [fixed("parent", Scope::Everything, "90.00", &[])],
            )
            .on("parent")
            .terms([ship_to])
    };
    let ship_to = || fixed("ship-to", Scope::Everything, "92.00", &[]);
    assert_eq!(case(ship_to()).amount(1), decimal("92.00"));
    assert_eq!(
        case(ship_to()).combined(Combination::BestOf).amount(1),
        decimal("90.00")
    );
    assert_eq!(case(ship_to().until(0)).amount(1), decimal("90.00"));
    let mut hiding = case(ship_to()).combined(Combination::BestOf);
    let precedence = hiding.contract.precedence.as_mut().unwrap();
    precedence.agreed.inheritance = Inheritance::Nearest;
    assert_eq!(hiding.amount(1), decimal("92.00"));
}

#[test]
fn the_house_stands_behind_everyone() {
    let spring = discount("spring", Scope::Everything, "10").at(Stage::Promotion);
    let mut case = Case::flat("50").agreement(HOUSE, None, [spring]);
    assert_eq!(case.amount(1), decimal("45"));
    case = case.agreement("group", None, []).on("group");
    assert_eq!(case.amount(1), decimal("45"));
}

#[test]
fn levels_that_are_not_there_or_stand_on_each_other_are_refused() {
    let missing = Case::flat("1")
        .on("nobody")
        .quote(1, 0, Detail::Waterfall)
        .unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the contract stands on agreement nobody, which is not known"
    );
    let circle = Case::flat("1")
        .agreement("a", Some("b"), [])
        .agreement("b", Some("a"), [])
        .on("a");
    let refusal = circle.quote(1, 0, Detail::Waterfall).unwrap_err();
    assert!(matches!(refusal, QuoteRefusal::TooManyLevels { .. }), "{refusal}");
}

#[test]
fn the_order_of_loading_never_matters() {
    let mut terms: Vec<_> = (0..6)
        .map(|n| discount(&format!("r{n}"), Scope::Everything, &n.to_string()))
        .collect();
    let first = Case::flat("100").terms(terms.clone()).amount(1);
    assert_eq!(first, decimal("95"), "the greater rule id");
    terms.reverse();
    assert_eq!(Case::flat("100").terms(terms.clone()).amount(1), first);
    terms.swap(1, 4);
    assert_eq!(Case::flat("100").terms(terms).amount(1), first);
}

#[test]
fn near_misses_say_why_a_rule_did_not_apply() {
    let minimum = |term: Term, units| term.with(|conditions| conditions.minimum = Some(quantity(units)));
    let most = |term: Term, units| {
        term.with(|conditions| conditions.maximum = Some(Maximum::WholeLine(quantity(units))))
    };
    let case = Case::list("100", &[(50, "90")], BreakMode::AllUnits).terms([
        fixed("agreed", Scope::Sku(sku()), "80", &[(20, "75")]),
        fixed("old", Scope::Sku(sku()), "60", &[]).until(0),
        fixed("general", Scope::Everything, "85", &[]),
        minimum(discount("large", Scope::Everything, "5"), 12),
        most(discount("small", Scope::Everything, "6"), 9),
        fixed("dear", Scope::Everything, "99", &[]).at(Stage::Promotion),
    ]);
    let by = RuleId::new("agreed").unwrap();
    let until = Timestamp::from_millis(0);
    let expected = [
        ("list", Missed::Break { from: quantity(50) }),
        ("agreed", Missed::Break { from: quantity(20) }),
        ("old", Missed::Over { until }),
        (
            "large",
            Missed::BelowMinimum {
                minimum: quantity(12),
            },
        ),
        ("small", Missed::AboveMaximum { maximum: quantity(9) }),
        ("general", Missed::Outranked { by }),
        ("dear", Missed::NotLower),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(rule, reason)| (rule.to_owned(), reason))
        .collect();
    assert_eq!(case.misses(10), expected);
    assert!(
        case.quote(10, 0, Detail::Waterfall)
            .unwrap()
            .near_misses
            .is_empty()
    );
}

#[test]
fn terms_that_contradict_themselves_or_each_other_are_refused() {
    let check = |terms: Vec<Term>| {
        let checked = Terms::from(terms).check();
        checked.map_err(|refusal| refusal.cause().clone())
    };
    let rule = RuleId::new("r").unwrap();
    let fix = || fixed("r", Scope::Everything, "1", &[]);
    let twice = check(vec![fix(), fixed("s", Scope::Everything, "1", &[]), fix()]);
    assert_eq!(twice, Err(PriceRefusal::SameTerm { rule: rule.clone() }));
    let standing = check(vec![fix().at(Stage::Standing)]);
    assert_eq!(
        standing,
        Err(PriceRefusal::EffectOfAnotherStage { rule: rule.clone() })
    );
    let limits = fix().with(|conditions| {
        conditions.minimum = Some(quantity(5));
        conditions.maximum = Some(Maximum::Capped(quantity(4)));
    });
    assert_eq!(
        check(vec![limits]),
        Err(PriceRefusal::MaximumBelowMinimum { rule })
    );
    let falling = fixed("r", Scope::Everything, "1", &[(5, "1"), (5, "2")]);
    assert_eq!(check(vec![falling]), Err(PriceRefusal::BreaksNotRising));
    let compounded = Precedence {
        agreed: StageMode {
            inheritance: Inheritance::Together,
            combination: Combination::CompoundAcross,
        },
        ..Precedence::default()
    };
    assert_eq!(compounded.check(), Err(PriceRefusal::CompoundedAgreedPrices));
}

#[test]
fn what_has_no_price_is_refused_with_the_reason() {
    let case = Case::flat("1");
    let mut dollars = case.ask(1);
    dollars.currency = currency("USD");
    assert_eq!(
        case.answer(&dollars, 0).unwrap_err().to_string(),
        "asked for in USD, but the contract is in EUR and names no exchange rates"
    );
    let mut case = Case::flat("1").terms([discount("d", Scope::Everything, "5")]);
    case.contract.base_list = Some(ListId::new("special").unwrap());
    let missing = case.quote(1, 0, Detail::Waterfall).unwrap_err().to_string();
    assert_eq!(
        missing,
        "line 1: no price for A in list special in EUR, and none in the contract"
    );
    let much = Case::flat("1")
        .quote(MAX_LINE_QUANTITY + 1, 0, Detail::Waterfall)
        .unwrap_err();
    assert!(matches!(much, QuoteRefusal::TooMuch { .. }));
    let large = Case::flat("1000000")
        .quote(MAX_LINE_QUANTITY, 0, Detail::Waterfall)
        .unwrap_err();
    assert_eq!(
        large.to_string(),
        "line 1, A: an amount is larger than 1000000000000"
    );
}
