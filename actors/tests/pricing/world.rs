//! Random price worlds: few goods, few dates and many rules, so that rules meet each other.

use lockstep_actors::domain::View;
use lockstep_actors::ids::{
    AgreementId, BrandId, BudgetId, CategoryId, CouponCode, DocumentId, EditionId, ExclusiveGroup,
    FreightZone, IndexId, Jurisdiction, ListId, ProductId, RateSource, RuleId, Sku, TaxCategory,
};
use lockstep_actors::money::{Currency, Markup, Percent, Price, Rate, RoundingMode};
use lockstep_actors::pricing::agreement::{Agreement, HOUSE};
use lockstep_actors::pricing::budget::{BudgetEvent, BudgetLimit, BudgetState, Limits};
use lockstep_actors::pricing::catalogue::{Cost, Item};
use lockstep_actors::pricing::charge::{Charge, ChargeKind, Freight, Part};
use lockstep_actors::pricing::contract::{Contract, Rounding, RoundingLevel};
use lockstep_actors::pricing::edition::{EditionEvent, EditionState, Release};
use lockstep_actors::pricing::ending::{PriceEnding, Toward};
use lockstep_actors::pricing::index::{Formula, IndexEvent, IndexState, IndexValue};
use lockstep_actors::pricing::list::{Effective, ListRow};
use lockstep_actors::pricing::rates::{RateEvent, RateSet, RateState};
use lockstep_actors::pricing::rebate::{Rebate, RebateMode, Tier};
use lockstep_actors::pricing::scale::{Break, BreakMode, Scale};
use lockstep_actors::pricing::tax::{Exemption, TaxBasis, TaxLevel, TaxProfile, TaxRate, TaxTable};
use lockstep_actors::pricing::term::{
    Bound, Breach, ByValue, Combination, Conditions, Effect, Inheritance, Maximum, Precedence, Scope,
    Stacking, Stage, StageMode, Term, ValueOf,
};
use lockstep_actors::pricing::{ExchangeRates, ListEditions, PriceIndex, PromotionBudget};
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_actors::reference::{Published, PublishedPrices, Reference, publish_view};
use lockstep_runtime::entity::Entity;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// SplitMix64: a seed is a history.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn units(&mut self, most: u64) -> i64 {
        i64::try_from(1 + self.below(most)).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()].clone()
    }

    fn sometimes<T>(&mut self, percent: u64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(percent).then(|| make(self))
    }
}

/// All that a price depends on.
pub(crate) struct World {
    pub(crate) contract: Contract,
    pub(crate) agreements: BTreeMap<AgreementId, Agreement>,
    pub(crate) items: BTreeMap<Sku, Item>,
    pub(crate) rows: BTreeMap<Sku, Vec<ListRow>>,
    pub(crate) at: Timestamp,
    /// The currency that is asked for.
    pub(crate) asked: Currency,
    /// The sets of the contract's source, if it has one.
    pub(crate) sets: Vec<RateSet>,
    /// The coupons that are shown.
    pub(crate) coupons: Vec<CouponCode>,
    /// Where it goes to.
    pub(crate) zone: Option<FreightZone>,
    /// What the jurisdiction takes.
    pub(crate) taxes: Option<TaxTable>,
    /// What was bought in the period of the rebates.
    pub(crate) bought: Decimal,
    /// When editions of lists begin, those that have a beginning.
    pub(crate) editions: BTreeMap<(ListId, EditionId), Timestamp>,
    /// What the index says, from when on.
    pub(crate) index: Vec<IndexValue>,
}

/// Budgets: their names, how many uses are left, and the currency that they are in if it matters. One more is named by terms.
pub(crate) const BUDGETS: [(&str, u64, Option<&str>); 3] =
    [("full", 5, None), ("spent", 0, None), ("yen", 5, Some("JPY"))];

pub(crate) fn skus() -> [Sku; 3] {
    ["A", "B", "C"].map(|name| Sku::new(name).unwrap())
}

fn agreement_id(number: u64) -> AgreementId {
    AgreementId::new(&format!("G{number}")).unwrap()
}

fn currency(random: &mut Random) -> Currency {
    let code = if random.chance(85) {
        "EUR"
    } else {
        random.of(&["JPY", "TND", "EUR"])
    };
    Currency::new(code).unwrap()
}

fn price(random: &mut Random) -> Price {
    let (digits, scale) = (
        random.of(&[9, 99, 999, 99_999, 99_999_999]),
        random.of(&[0, 1, 2, 2, 2, 4, 6]),
    );
    Price::new(Decimal::new(random.units(digits), scale)).unwrap()
}

fn percent(random: &mut Random) -> Percent {
    let scale = random.of(&[0, 0, 1, 4]);
    let most = 100 * 10_u64.pow(scale);
    Percent::new(Decimal::new(random.units(most), scale)).unwrap()
}

fn positive(units: i64) -> PositiveQuantity {
    PositiveQuantity::new(units).unwrap()
}

fn markup(random: &mut Random) -> Markup {
    let scale = random.of(&[0, 1, 4]);
    Markup::new(Decimal::new(random.units(150 * 10_u64.pow(scale)), scale)).unwrap()
}

fn bound(random: &mut Random) -> Effect {
    let at = if random.chance(50) {
        Bound::Price(price(random))
    } else {
        Bound::Margin(Percent::new(Decimal::new(random.units(999), 1)).unwrap())
    };
    let breach = random.of(&[Breach::Adjust, Breach::Adjust, Breach::Hold]);
    Effect::Bound { at, breach }
}

fn ending(random: &mut Random) -> PriceEnding {
    let (multiple, less) = random.of(&[("10", "0.01"), ("1", "0.01"), ("0.05", "0"), ("100", "1")]);
    let price = |text: &str| Price::new(text.parse().unwrap()).unwrap();
    PriceEnding {
        rule: RuleId::new("ending").unwrap(),
        version: 1,
        currency: currency(random),
        multiple: price(multiple),
        toward: random.of(&[Toward::Nearest, Toward::Up, Toward::Down]),
        less: price(less),
    }
}

fn rate_set(random: &mut Random, number: u64) -> RateSet {
    let mut codes = vec!["EUR", "JPY", "TND"];
    let pivot = random.of(&codes);
    codes.retain(|code| *code != pivot);
    if random.chance(15) {
        codes.pop();
    }
    let mut rate = |code: &str| {
        let (most, scale) = random.of(&[(99_999, 4), (99_999_999, 8), (9_999, 1)]);
        let rate = Rate::new(Decimal::new(random.units(most), scale)).unwrap();
        (Currency::new(code).unwrap(), rate)
    };
    let rates = codes.into_iter().map(&mut rate).collect();
    RateSet {
        id: RuleId::new(&format!("rates{number}")).unwrap(),
        from: moment(random),
        pivot: Currency::new(pivot).unwrap(),
        rates,
    }
}

fn scale<V>(random: &mut Random, value: fn(&mut Random) -> V) -> Scale<V> {
    let mut starts: Vec<i64> = (0..random.below(4)).map(|_| random.units(12)).collect();
    starts.sort_unstable();
    starts.dedup();
    Scale {
        base: value(random),
        breaks: starts
            .into_iter()
            .map(|from| Break {
                from: positive(from),
                value: value(random),
            })
            .collect(),
        mode: random.of(&[BreakMode::AllUnits, BreakMode::Graduated]),
    }
}

fn moment(random: &mut Random) -> Timestamp {
    Timestamp::from_millis(random.units(4))
}

fn effective(random: &mut Random) -> Effective {
    let from = random.sometimes(40, moment);
    let until = random.sometimes(25, |random| {
        Timestamp::from_millis(from.map_or(0, Timestamp::as_millis) + random.units(4))
    });
    Effective { from, until }
}

fn scope(random: &mut Random) -> Scope {
    match random.below(5) {
        0 => Scope::Everything,
        1 => Scope::Category(CategoryId::new(random.of(&["k", "l"])).unwrap()),
        2 => Scope::Brand(BrandId::new("b").unwrap()),
        3 => Scope::Product(ProductId::new("p").unwrap()),
        _ => Scope::Sku(random.of(&skus())),
    }
}

fn conditions(random: &mut Random) -> Conditions {
    let minimum = random.sometimes(25, |random| positive(random.units(8)));
    let least = minimum.map_or(0, PositiveQuantity::units);
    let maximum = random.sometimes(30, |random| {
        let most = positive(least + random.units(8));
        if random.chance(60) {
            Maximum::Capped(most)
        } else {
            Maximum::WholeLine(most)
        }
    });
    Conditions {
        priority: random.of(&[0, 0, 0, 5, 9]),
        stacking: random.of(&[
            Stacking::Compounded,
            Stacking::Compounded,
            Stacking::Compounded,
            Stacking::BestPrice,
            Stacking::BestPrice,
            Stacking::Exclusive,
        ]),
        minimum,
        maximum,
        coupon: random.sometimes(15, |random| CouponCode::new(random.of(&["X", "Y"])).unwrap()),
        group: random.sometimes(25, |random| ExclusiveGroup::new(random.of(&["g", "h"])).unwrap()),
        budget: random.sometimes(25, |random| {
            BudgetId::new(random.of(&["full", "spent", "yen", "unset"])).unwrap()
        }),
    }
}

fn fare(random: &mut Random) -> Price {
    Price::new(Decimal::new(random.units(9_999), random.of(&[2, 3]))).unwrap()
}

fn part(random: &mut Random) -> Part {
    if random.chance(60) {
        Part::Percent(percent(random))
    } else {
        Part::Amount(price(random))
    }
}

fn zone(random: &mut Random) -> FreightZone {
    FreightZone::new(random.of(&["near", "far"])).unwrap()
}

fn rebate(random: &mut Random) -> Rebate {
    let mut starts: Vec<i64> = (0..random.below(3)).map(|_| random.units(5_000)).collect();
    starts.push(0);
    starts.sort_unstable();
    starts.dedup();
    let tier = |from: i64| Tier {
        from: Price::new(Decimal::from(from)).unwrap(),
        percent: percent(random),
    };
    Rebate {
        tiers: starts.into_iter().map(tier).collect(),
        mode: random.of(&[RebateMode::Incremental, RebateMode::Retroactive]),
    }
}

fn charge(random: &mut Random) -> Charge {
    let kind = match random.below(4) {
        0 if random.chance(40) => ChargeKind::DiscountByValue(rebate(random)),
        0 => ChargeKind::Discount(part(random)),
        1 => ChargeKind::Freight(Freight {
            zone: random.sometimes(40, zone),
            base: fare(random),
            per_unit: fare(random),
            per_kilogram: fare(random),
            least: fare(random),
            free_from: random.sometimes(30, price),
        }),
        2 => ChargeKind::Surcharge {
            part: part(random),
            below: random.sometimes(50, price),
        },
        _ => ChargeKind::Rebate(rebate(random)),
    };
    Charge {
        rule: RuleId::new(&format!("c{}", random.below(1_000_000))).unwrap(),
        version: random.below(3),
        effective: effective(random),
        priority: random.of(&[0, 0, 7]),
        minimum: if random.chance(60) {
            Price::default()
        } else {
            price(random)
        },
        coupon: random.sometimes(15, |random| CouponCode::new(random.of(&["X", "Y"])).unwrap()),
        budget: random
            .sometimes(40, |random| {
                BudgetId::new(random.of(&["full", "full", "spent", "yen", "unset"])).unwrap()
            })
            .filter(|_| {
                matches!(
                    &kind,
                    ChargeKind::Discount(_) | ChargeKind::DiscountByValue(_) | ChargeKind::Freight(_)
                )
            }),
        kind,
    }
}

fn charges(random: &mut Random) -> Vec<Charge> {
    (0..random.below(5)).map(|_| charge(random)).collect()
}

fn taxes(random: &mut Random) -> TaxTable {
    let mut rates: Vec<TaxRate> = Vec::new();
    for number in 0..1 + random.below(5) {
        let rate = TaxRate {
            rule: RuleId::new(&format!("t{number}")).unwrap(),
            category: random.sometimes(50, |_| TaxCategory::new("food").unwrap()),
            percent: percent(random),
            effective: effective(random),
        };
        let alike =
            |other: &TaxRate| other.category == rate.category && other.effective.from == rate.effective.from;
        if !rates.iter().any(alike) {
            rates.push(rate);
        }
    }
    TaxTable { rates, version: 1 }
}

fn tax_profile(random: &mut Random) -> TaxProfile {
    TaxProfile {
        jurisdiction: Jurisdiction::new("J").unwrap(),
        level: random.of(&[TaxLevel::Line, TaxLevel::Order]),
        basis: random.of(&[TaxBasis::Net, TaxBasis::Net, TaxBasis::Gross]),
        exemption: random.sometimes(20, |random| Exemption {
            certificate: DocumentId::new("EX").unwrap(),
            effective: effective(random),
        }),
    }
}

fn term(random: &mut Random) -> Term {
    let stage = random.of(&[
        Stage::Standing,
        Stage::Agreed,
        Stage::Agreed,
        Stage::Promotion,
        Stage::Promotion,
        Stage::Ceiling,
        Stage::Floor,
        Stage::Advertised,
    ]);
    let effect = match stage {
        Stage::Ceiling | Stage::Floor | Stage::Advertised => bound(random),
        Stage::Agreed if random.chance(30) => Effect::CostPlus(scale(random, markup)),
        Stage::Agreed if random.chance(30) => Effect::Indexed(Box::new(Formula {
            base: price(random),
            factor: fare(random),
            index: IndexId::new("copper").unwrap(),
            index_base: fare(random),
        })),
        Stage::Agreed | Stage::Promotion if random.chance(50) => Effect::Fixed(scale(random, price)),
        Stage::Standing | Stage::Agreed | Stage::Promotion if random.chance(25) => {
            Effect::ByValue(Box::new(ByValue {
                of: random.of(&[ValueOf::Line, ValueOf::Volume]),
                tiers: rebate(random),
            }))
        }
        Stage::Standing | Stage::Agreed | Stage::Promotion => Effect::Discount(scale(random, percent)),
    };
    Term {
        rule: RuleId::new(&format!("r{}", random.below(1_000_000))).unwrap(),
        version: random.below(3),
        stage,
        scope: scope(random),
        effect,
        effective: effective(random),
        conditions: random.sometimes(60, |random| {
            let conditions = conditions(random);
            Box::new(Conditions {
                // Only promotions have budgets.
                budget: conditions.budget.clone().filter(|_| stage == Stage::Promotion),
                ..conditions
            })
        }),
    }
}

fn terms(random: &mut Random) -> Vec<Term> {
    // Rule ids are unique enough that no two terms are alike.
    (0..random.below(9)).map(|_| term(random)).collect()
}

fn list(random: &mut Random) -> ListId {
    ListId::new(random.of(&["standard", "standard", "special"])).unwrap()
}

fn precedence(random: &mut Random) -> Precedence {
    let single = [Combination::FirstMatch, Combination::BestOf];
    let all = [
        single[0],
        single[1],
        Combination::CompoundWithin,
        Combination::CompoundAcross,
    ];
    let mut mode = |of: &[Combination]| StageMode {
        inheritance: random.of(&[Inheritance::Together, Inheritance::Together, Inheritance::Nearest]),
        combination: random.of(of),
    };
    Precedence {
        standing: mode(&all),
        agreed: mode(&single),
        promotion: mode(&all),
    }
}

fn agreement(random: &mut Random, parent: Option<AgreementId>) -> Agreement {
    Agreement {
        parent,
        currency: currency(random),
        base_list: random.sometimes(20, list),
        precedence: random.sometimes(40, precedence),
        terms: terms(random).into(),
        endings: random.sometimes(20, ending).into_iter().collect(),
        charges: charges(random),
        customer_class: None,
    }
}

fn rows(random: &mut Random) -> Vec<ListRow> {
    let mut rows: Vec<ListRow> = Vec::new();
    for number in 0..random.below(5) {
        let row = ListRow {
            list: list(random),
            currency: currency(random),
            effective: effective(random),
            price: scale(random, price),
            rule: RuleId::new(&format!("list{number}")).unwrap(),
            version: number,
            edition: random.sometimes(40, |random| {
                EditionId::new(random.of(&["spring", "summer"])).unwrap()
            }),
        };
        let alike = |other: &ListRow| {
            (&other.list, other.currency, &other.edition, other.effective.from)
                == (&row.list, row.currency, &row.edition, row.effective.from)
        };
        if !rows.iter().any(alike) {
            rows.push(row);
        }
    }
    rows
}

fn editions(random: &mut Random) -> BTreeMap<(ListId, EditionId), Timestamp> {
    let mut begun = BTreeMap::new();
    for list in ["standard", "special"] {
        for edition in ["spring", "summer"] {
            if let Some(from) = random.sometimes(70, moment) {
                let id = (ListId::new(list).unwrap(), EditionId::new(edition).unwrap());
                begun.insert(id, from);
            }
        }
    }
    begun
}

fn index(random: &mut Random) -> Vec<IndexValue> {
    let value = |random: &mut Random| IndexValue {
        from: moment(random),
        value: fare(random),
        version: random.below(3),
    };
    (0..random.below(4)).map(|_| value(random)).collect()
}

fn item(random: &mut Random) -> Item {
    let categories: &[&str] = random.of(&[&[][..], &["k"], &["k", "l"], &["l", "k"]]);
    Item {
        product: random.sometimes(60, |_| ProductId::new("p").unwrap()),
        brand: random.sometimes(60, |_| BrandId::new("b").unwrap()),
        categories: categories.iter().map(|id| CategoryId::new(id).unwrap()).collect(),
        cost: random.sometimes(70, |random| Cost {
            unit: price(random),
            currency: currency(random),
        }),
        grams: u32::try_from(random.below(9_999)).unwrap(),
        tax: random.sometimes(50, |_| TaxCategory::new("food").unwrap()),
        units: Vec::new().into(),
        ..Item::default()
    }
}

impl World {
    pub(crate) fn new(random: &mut Random) -> Self {
        let levels = random.below(5);
        let mut agreements: BTreeMap<_, _> = (0..levels)
            .map(|number| {
                let parent = (number + 1 < levels).then(|| agreement_id(number + 1));
                (agreement_id(number), agreement(random, parent))
            })
            .collect();
        if random.chance(50) {
            agreements.insert(AgreementId::new(HOUSE).unwrap(), agreement(random, None));
        }
        let contract = Contract {
            base_list: random.sometimes(30, list),
            agreement: (levels > 0).then(|| agreement_id(0)),
            precedence: random.sometimes(70, precedence),
            terms: terms(random).into(),
            endings: random.sometimes(20, ending).into_iter().collect(),
            charges: charges(random),
            tax: random.sometimes(60, tax_profile),
            rates: random.sometimes(85, |_| RateSource::new("bank").unwrap()),
            rounding: Rounding {
                mode: random.of(&[RoundingMode::HalfUp, RoundingMode::HalfEven]),
                level: random.of(&[RoundingLevel::Line, RoundingLevel::Line, RoundingLevel::Unit]),
            },
            ..Contract::none(currency(random))
        };
        let asked = if random.chance(60) {
            contract.currency
        } else {
            Currency::new(random.of(&["EUR", "JPY", "TND"])).unwrap()
        };
        let count = if contract.rates.is_some() {
            1 + random.below(3)
        } else {
            0
        };
        let sets = (0..count).map(|number| rate_set(random, number)).collect();
        Self {
            contract,
            agreements,
            items: skus()
                .into_iter()
                .take(2)
                .map(|sku| (sku, item(random)))
                .collect(),
            rows: skus().into_iter().map(|sku| (sku, rows(random))).collect(),
            asked,
            sets,
            coupons: random
                .sometimes(50, |random| CouponCode::new(random.of(&["X", "Y"])).unwrap())
                .into_iter()
                .collect(),
            zone: random.sometimes(60, zone),
            taxes: random.sometimes(95, taxes),
            bought: Decimal::new(random.units(9_999_999), 2),
            editions: editions(random),
            index: index(random),
            at: moment(random),
        }
    }

    /// The agreements behind the contract, the nearest first, the house last.
    pub(crate) fn behind(&self) -> impl Iterator<Item = &Agreement> {
        let mut next = self.contract.agreement.as_ref();
        let chain = std::iter::from_fn(move || {
            let agreement = self.agreements.get(next?)?;
            next = agreement.parent.as_ref();
            Some(agreement)
        });
        chain.chain(self.agreements.get(&AgreementId::new(HOUSE).unwrap()))
    }

    pub(crate) fn base_list(&self) -> String {
        let own = self.contract.base_list.iter();
        let named = own
            .chain(self.behind().filter_map(|agreement| agreement.base_list.as_ref()))
            .next();
        named.map_or_else(|| "standard".to_owned(), ToString::to_string)
    }

    /// What was bought in the period of the rebates, in 10^-10.
    pub(crate) fn volume(&self) -> i128 {
        self.bought.mantissa() * 10_i128.pow(10 - self.bought.scale())
    }

    /// The set that counts: the one that started last; of equal starts the greatest name.
    pub(crate) fn rate_set(&self) -> Option<&RateSet> {
        let begun = self.sets.iter().filter(|set| set.from <= self.at);
        begun.max_by_key(|set| (set.from, &set.id))
    }

    /// What the index says: the value that started last, of those of one start the highest version, of equal ones the
    /// first that came.
    pub(crate) fn index(&self) -> Option<Price> {
        let begun = self.index.iter().rev().filter(|value| value.from <= self.at);
        begun
            .max_by_key(|value| (value.from, value.version))
            .map(|value| value.value)
    }

    /// The ending of the nearest level that has one for the currency.
    pub(crate) fn ending(&self) -> Option<&PriceEnding> {
        let levels = std::iter::once(&self.contract.endings);
        let levels = levels.chain(self.behind().map(|agreement| &agreement.endings));
        levels.flatten().find(|ending| ending.currency == self.asked)
    }

    pub(crate) fn precedence(&self) -> Precedence {
        let behind = self.behind().find_map(|agreement| agreement.precedence);
        self.contract.precedence.or(behind).unwrap_or_default()
    }

    /// The same as read models.
    pub(crate) fn reference(&self) -> Reference {
        let reference = Reference::default();
        let sequence = Sequence(1);
        for (id, agreement) in &self.agreements {
            let value = Arc::new(agreement.clone());
            publish_view(
                &reference,
                View::Agreement(Published {
                    id: id.clone(),
                    value,
                    sequence,
                }),
            );
        }
        for (id, item) in &self.items {
            let value = Arc::new(item.clone());
            publish_view(
                &reference,
                View::Item(Published {
                    id: id.clone(),
                    value,
                    sequence,
                }),
            );
        }
        if let Some(table) = &self.taxes {
            let (id, value) = (Jurisdiction::new("J").unwrap(), Arc::new(table.clone()));
            publish_view(&reference, View::Taxes(Published { id, value, sequence }));
        }
        let source = RateSource::new("bank").unwrap();
        let mut state = RateState::default();
        for set in &self.sets {
            ExchangeRates::apply(&mut state, &RateEvent::Published(set.clone()));
        }
        if let Some(view) = ExchangeRates::view(&source, &state, sequence) {
            publish_view(&reference, view);
        }
        let (copper, mut index) = (IndexId::new("copper").unwrap(), IndexState::default());
        for value in &self.index {
            let known = index
                .table
                .as_deref()
                .and_then(|table| table.at(value.from))
                .copied();
            if known.is_none_or(|known| known.from < value.from || known.version < value.version) {
                PriceIndex::apply(&mut index, &IndexEvent::Published(*value));
            }
        }
        if let Some(view) = PriceIndex::view(&copper, &index, sequence) {
            publish_view(&reference, view);
        }
        for (name, uses, currency) in BUDGETS {
            let limits = Limits {
                uses: Some(uses),
                amount: currency.map(|code| BudgetLimit {
                    value: Decimal::ONE,
                    currency: Currency::new(code).unwrap(),
                }),
                uses_by_customer: None,
            };
            let mut state = BudgetState::default();
            PromotionBudget::apply(&mut state, &BudgetEvent::Limited { limits, version: 1 });
            if let Some(view) = PromotionBudget::view(&BudgetId::new(name).unwrap(), &state, sequence) {
                publish_view(&reference, view);
            }
        }
        for ((list, edition), from) in &self.editions {
            let table = reference.editions(list.as_str()).unwrap_or_default();
            let mut state = EditionState {
                table: Some(table),
                telling: Vec::new(),
            };
            let release = Release {
                edition: edition.clone(),
                from: *from,
                version: 1,
            };
            ListEditions::apply(&mut state, &EditionEvent::Released(release));
            if let Some(view) = ListEditions::view(list, &state, sequence) {
                publish_view(&reference, view);
            }
        }
        for (sku, rows) in &self.rows {
            let (sku, rows) = (sku.clone(), rows.clone().into());
            publish_view(
                &reference,
                View::Prices(PublishedPrices {
                    sku,
                    rows,
                    sequence,
                    revision: 0,
                }),
            );
        }
        reference
    }
}
