//! The terms of a contract or agreement: which goods, when, how much, and what they do to the price.
//!
//! Invariants of terms that were checked: no two of them are alike in stage, scope, start, version and rule, so that of
//! two terms one always comes before the other; each effect belongs to its stage.

use super::index::Formula;
use super::list::{Effective, Place, PriceRefusal};
use super::rebate::{Rebate, RebateMode};
use super::scale::Scale;
use crate::ids::{BrandId, BudgetId, CategoryId, CouponCode, ExclusiveGroup, ProductId, RuleId, Sku};
use crate::money::{Markup, Percent, Price};
use crate::quantity::PositiveQuantity;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// How many terms a contract or agreement may have.
pub const MAX_TERMS: usize = 5_000;

/// One thing that a contract or agreement changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// What explains it.
    pub rule: RuleId,
    /// The owner's version of the rule.
    pub version: u64,
    /// When in the order of things it comes.
    pub stage: Stage,
    /// For which goods.
    pub scope: Scope,
    /// What it does to the price.
    pub effect: Effect,
    /// When it is in force.
    pub effective: Effective,
    /// What few terms have; boxed, since contracts have many terms.
    pub conditions: Option<Box<Conditions>>,
}

/// When in the order of things a term comes. The order here is the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Off the list price: what a group always gets.
    Standing,
    /// In place of all before it: what was agreed.
    Agreed,
    /// Off what stands then; never raises it.
    Promotion,
    /// What a price may not rise above.
    Ceiling,
    /// What a price may not fall below; has the last word.
    Floor,
    /// What a price that is shown may not fall below.
    Advertised,
}

/// For which goods a term is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// For everything.
    Everything,
    /// For the SKUs of a category.
    Category(CategoryId),
    /// For the SKUs of a brand.
    Brand(BrandId),
    /// For the variants of a product.
    Product(ProductId),
    /// For one SKU.
    Sku(Sku),
}

/// What a term does to the price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The price of one base unit is this.
    Fixed(Scale<Price>),
    /// So much less.
    Discount(Scale<Percent>),
    /// What the SKU costs its distributor, and so much more.
    CostPlus(Scale<Markup>),
    /// The price of one base unit follows an index. Boxed, since few do.
    Indexed(Box<Formula>),
    /// So much less by what the line, or the customer's purchases, come to. Boxed, since few do.
    ByValue(Box<ByValue>),
    /// What a price may not pass.
    Bound {
        /// The bound.
        at: Bound,
        /// What is done about a price that passes it.
        breach: Breach,
    },
}

/// A discount by value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByValue {
    /// By which value.
    pub of: ValueOf,
    /// From which value on which percentage: of all of the line's once it is reached, or tier by tier.
    pub tiers: Rebate,
}

/// By which value a discount is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueOf {
    /// What the line comes to.
    Line,
    /// What the customer has bought before, in the period of its rebates; tier by tier the line comes on top of it.
    Volume,
}

impl ByValue {
    /// What is left of a line's amount; `None` if that is beyond all bounds.
    #[must_use]
    pub fn off(&self, amount: Decimal, volume: Decimal) -> Option<Decimal> {
        let off = match (self.of, self.tiers.mode) {
            (ValueOf::Line, _) => self.tiers.earned(amount)?,
            (ValueOf::Volume, RebateMode::Incremental) => self.tiers.accrues(volume, amount)?,
            (ValueOf::Volume, RebateMode::Retroactive) => self.tiers.rate_at(amount, volume)?,
        };
        amount.checked_sub(off)
    }
}

/// What a price may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// This, for one base unit.
    Price(Price),
    /// The price at which so much of it is margin above cost.
    Margin(Percent),
}

/// What is done about a price that passes a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// It is moved to the bound.
    #[default]
    Adjust,
    /// It stays, and nothing is ordered at it until a person has decided.
    Hold,
}

/// What few terms have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The higher comes first; 0 unless said.
    pub priority: u16,
    /// What it goes together with.
    pub stacking: Stacking,
    /// The smallest quantity of the line that it is for.
    pub minimum: Option<PositiveQuantity>,
    /// The largest.
    pub maximum: Option<Maximum>,
    /// The coupon that must be shown.
    pub coupon: Option<CouponCode>,
    /// Of the terms of a group, a stage applies only the first in rank that can be applied.
    pub group: Option<ExclusiveGroup>,
    /// The budget that it is used up with; only for promotions.
    #[serde(default)]
    pub budget: Option<BudgetId>,
}

/// The largest quantity that a term is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maximum {
    /// So many units of the line get it; the others cost what they cost without it.
    Capped(PositiveQuantity),
    /// A line of more does not get it at all.
    WholeLine(PositiveQuantity),
}

/// What a term goes together with, where terms are compounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stacking {
    /// With others.
    #[default]
    Compounded,
    /// Alone, if that is better than the others together.
    BestPrice,
    /// Alone, whatever the others would give.
    Exclusive,
}

/// How the terms of a stage work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageMode {
    /// Whether a nearer level hides those behind it.
    pub inheritance: Inheritance,
    /// Which of those left are applied.
    pub combination: Combination,
}

/// Whether a nearer level hides those behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inheritance {
    /// The terms of all levels stand side by side.
    #[default]
    Together,
    /// Only those of the nearest level that has one that applies.
    Nearest,
}

/// Which of a stage's terms are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combination {
    /// The first in rank.
    #[default]
    FirstMatch,
    /// The one that gives the lowest amount.
    BestOf,
    /// Those of the highest priority, one upon the other; never across priorities.
    CompoundWithin,
    /// The best one of each priority, one upon the other.
    CompoundAcross,
}

/// How the terms of each stage work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precedence {
    /// Of standing discounts.
    pub standing: StageMode,
    /// Of agreed prices: the first in rank or the best, never several.
    pub agreed: StageMode,
    /// Of promotions.
    pub promotion: StageMode,
}

impl Default for Precedence {
    fn default() -> Self {
        let first = StageMode {
            inheritance: Inheritance::Together,
            combination: Combination::FirstMatch,
        };
        let best = StageMode {
            combination: Combination::BestOf,
            ..first
        };
        Self {
            standing: first,
            agreed: first,
            promotion: best,
        }
    }
}

impl Precedence {
    /// That of a stage.
    #[must_use]
    pub const fn of(&self, stage: Stage) -> StageMode {
        match stage {
            Stage::Standing => self.standing,
            Stage::Agreed => self.agreed,
            Stage::Promotion => self.promotion,
            Stage::Ceiling | Stage::Floor | Stage::Advertised => StageMode {
                inheritance: Inheritance::Together,
                combination: Combination::FirstMatch,
            },
        }
    }

    pub(super) const fn check(&self) -> Result<(), PriceRefusal> {
        match self.agreed.combination {
            Combination::FirstMatch | Combination::BestOf => Ok(()),
            Combination::CompoundWithin | Combination::CompoundAcross => {
                Err(PriceRefusal::CompoundedAgreedPrices)
            }
        }
    }
}

impl Term {
    /// Always in force, without conditions, at its usual stage: a discount stands, a price is agreed.
    #[must_use]
    pub fn plain(rule: RuleId, version: u64, scope: Scope, effect: Effect) -> Self {
        Self {
            rule,
            version,
            stage: effect.usual_stage(),
            scope,
            effect,
            effective: Effective::default(),
            conditions: None,
        }
    }

    /// The higher comes first.
    #[must_use]
    pub fn priority(&self) -> u16 {
        self.conditions
            .as_ref()
            .map_or(0, |conditions| conditions.priority)
    }

    /// What it goes together with.
    #[must_use]
    pub fn stacking(&self) -> Stacking {
        self.conditions
            .as_ref()
            .map_or_else(Stacking::default, |conditions| conditions.stacking)
    }

    /// Of whose terms a stage applies only one.
    #[must_use]
    pub fn group(&self) -> Option<&ExclusiveGroup> {
        self.conditions.as_ref()?.group.as_ref()
    }

    /// The budget that it is used up with.
    #[must_use]
    pub fn budget(&self) -> Option<&BudgetId> {
        self.conditions.as_ref()?.budget.as_ref()
    }

    /// How many units of a line get it.
    #[must_use]
    pub fn covered(&self, units: i64) -> i64 {
        match self.conditions.as_ref().and_then(|conditions| conditions.maximum) {
            Some(Maximum::Capped(most)) => units.min(most.units()),
            Some(Maximum::WholeLine(_)) | None => units,
        }
    }

    fn check(&self) -> Result<(), PriceRefusal> {
        self.effective.check()?;
        self.check_effect()?;
        if self.budget().is_some() && self.stage != Stage::Promotion {
            return Err(PriceRefusal::BudgetOfAnotherStage {
                rule: self.rule.clone(),
            });
        }
        let Some(Conditions {
            minimum: Some(minimum),
            maximum: Some(maximum),
            ..
        }) = self.conditions.as_deref()
        else {
            return Ok(());
        };
        let (Maximum::Capped(most) | Maximum::WholeLine(most)) = maximum;
        if most < minimum {
            return Err(PriceRefusal::MaximumBelowMinimum {
                rule: self.rule.clone(),
            });
        }
        Ok(())
    }

    fn check_effect(&self) -> Result<(), PriceRefusal> {
        let rule = || self.rule.clone();
        match (&self.effect, self.stage) {
            (Effect::Fixed(scale), Stage::Agreed | Stage::Promotion) => scale.check(),
            (Effect::CostPlus(scale), Stage::Agreed) => scale.check(),
            (Effect::Indexed(_), Stage::Agreed) => Ok(()),
            (Effect::Discount(scale), Stage::Standing | Stage::Agreed | Stage::Promotion) => scale.check(),
            (Effect::ByValue(value), Stage::Standing | Stage::Agreed | Stage::Promotion) => {
                value.tiers.check(&self.rule)
            }
            (
                Effect::Bound {
                    at: Bound::Margin(margin),
                    ..
                },
                _,
            ) if margin.get() == Decimal::ONE_HUNDRED => Err(PriceRefusal::WholeMargin { rule: rule() }),
            (Effect::Bound { .. }, Stage::Ceiling | Stage::Floor | Stage::Advertised) => Ok(()),
            (
                Effect::Fixed(_)
                | Effect::Discount(_)
                | Effect::ByValue(_)
                | Effect::CostPlus(_)
                | Effect::Indexed(_)
                | Effect::Bound { .. },
                Stage::Standing
                | Stage::Agreed
                | Stage::Promotion
                | Stage::Ceiling
                | Stage::Floor
                | Stage::Advertised,
            ) => Err(PriceRefusal::EffectOfAnotherStage { rule: rule() }),
        }
    }

    fn place(&self, other: &Self) -> Ordering {
        let key = |term: &Self| (term.stage, term.effective.from, term.version);
        self.scope
            .cmp(&other.scope)
            .then_with(|| key(self).cmp(&key(other)))
            .then_with(|| self.rule.cmp(&other.rule))
    }
}

impl Effect {
    /// Where it comes unless said otherwise.
    #[must_use]
    pub const fn usual_stage(&self) -> Stage {
        match self {
            Self::Fixed(_) | Self::CostPlus(_) | Self::Indexed(_) => Stage::Agreed,
            Self::Discount(_) | Self::ByValue(_) => Stage::Standing,
            Self::Bound { .. } => Stage::Floor,
        }
    }
}

/// A scope, looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScopeKey<'a> {
    Everything,
    Category(&'a CategoryId),
    Brand(&'a BrandId),
    Product(&'a ProductId),
    Sku(&'a Sku),
}

impl ScopeKey<'_> {
    /// How a term's scope stands to this one, in the order of [`Scope`].
    fn order(self, scope: &Scope) -> Ordering {
        match (scope, self) {
            (Scope::Everything, ScopeKey::Everything) => Ordering::Equal,
            (Scope::Category(a), ScopeKey::Category(b)) => a.cmp(b),
            (Scope::Brand(a), ScopeKey::Brand(b)) => a.cmp(b),
            (Scope::Product(a), ScopeKey::Product(b)) => a.cmp(b),
            (Scope::Sku(a), ScopeKey::Sku(b)) => a.cmp(b),
            (
                Scope::Everything | Scope::Category(_) | Scope::Brand(_) | Scope::Product(_) | Scope::Sku(_),
                _,
            ) => breadth(scope).cmp(&self.breadth()),
        }
    }

    const fn breadth(self) -> u8 {
        match self {
            Self::Everything => 0,
            Self::Category(_) => 1,
            Self::Brand(_) => 2,
            Self::Product(_) => 3,
            Self::Sku(_) => 4,
        }
    }
}

const fn breadth(scope: &Scope) -> u8 {
    match scope {
        Scope::Everything => 0,
        Scope::Category(_) => 1,
        Scope::Brand(_) => 2,
        Scope::Product(_) => 3,
        Scope::Sku(_) => 4,
    }
}

/// Terms, sorted by scope, so that a line finds its own among thousands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Term>")]
pub struct Terms(Vec<Term>);

impl From<Vec<Term>> for Terms {
    fn from(mut terms: Vec<Term>) -> Self {
        terms.sort_by(Term::place);
        Self(terms)
    }
}

impl Terms {
    /// All of them, by scope.
    #[must_use]
    pub fn as_slice(&self) -> &[Term] {
        &self.0
    }

    /// Those of exactly this scope.
    pub(super) fn of(&self, key: ScopeKey<'_>) -> &[Term] {
        let start = self.0.partition_point(|term| key.order(&term.scope).is_lt());
        let found = &self.0[start..];
        let count = found
            .iter()
            .take_while(|term| key.order(&term.scope).is_eq())
            .count();
        &found[..count]
    }

    pub(super) fn check(&self) -> Result<(), PriceRefusal> {
        if self.0.len() > MAX_TERMS {
            return Err(PriceRefusal::TooManyTerms);
        }
        for term in &self.0 {
            let placed = |refusal: PriceRefusal| refusal.at(Place::Term(term.rule.clone()));
            term.check().map_err(placed)?;
        }
        match self.0.windows(2).find(|pair| pair[0].place(&pair[1]).is_eq()) {
            Some(pair) => {
                let rule = pair[0].rule.clone();
                Err(PriceRefusal::SameTerm { rule: rule.clone() }.at(Place::Term(rule)))
            }
            None => Ok(()),
        }
    }
}
