//! The terms of contracts and agreements as their owner publishes them.

use super::charge::{RebateTier, RebateTiers, tiers_of};
use super::error::DecodeError;
use super::fields::{Amount, Code, CurrencyCode, Day, List, Moment, PositiveUnits, markup, percent, price};
use super::limits::{MAX_BREAKS, MAX_TIERS};
use jiff::tz::TimeZone;
use lockstep_actors::ids::{
    BrandId, BudgetId, CategoryId, CouponCode, ExclusiveGroup, IndexId, ProductId, RuleId, Sku,
};
use lockstep_actors::money::{Currency, Markup, Percent, Price};
use lockstep_actors::pricing::calendar;
use lockstep_actors::pricing::ending::{PriceEnding, Toward};
use lockstep_actors::pricing::index::Formula;
use lockstep_actors::pricing::list::Effective;
use lockstep_actors::pricing::scale::{Break, BreakMode, Scale};
use lockstep_actors::pricing::term::{
    Bound, Breach, ByValue, Combination, Conditions, Effect, Inheritance, Maximum, Precedence, Scope,
    Stacking, Stage, StageMode, Term, Terms, ValueOf,
};
use lockstep_actors::quantity::PositiveQuantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From a quantity on, another price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceBreak {
    /// From this quantity on.
    #[schemars(with = "PositiveUnits")]
    pub from: PositiveQuantity,
    /// The price of one base unit.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub unit: Price,
}

/// From a quantity on, another discount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscountBreak {
    /// From this quantity on.
    #[schemars(with = "PositiveUnits")]
    pub from: PositiveQuantity,
    /// The discount in percent.
    #[serde(deserialize_with = "percent")]
    #[schemars(with = "Amount")]
    pub percent: Percent,
}

impl From<PriceBreak> for Break<Price> {
    fn from(at: PriceBreak) -> Self {
        Self {
            from: at.from,
            value: at.unit,
        }
    }
}

impl From<DiscountBreak> for Break<Percent> {
    fn from(at: DiscountBreak) -> Self {
        Self {
            from: at.from,
            value: at.percent,
        }
    }
}

/// Which units of a line a break is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakUnits {
    /// All of them, once the quantity reaches it.
    #[default]
    AllUnits,
    /// Only those from the break on, up to the next.
    Graduated,
}

/// A value with its breaks, as the domain has it.
pub(super) fn scale<T: Into<Break<V>>, V>(
    base: V,
    breaks: List<T, 0, MAX_BREAKS>,
    units: BreakUnits,
) -> Scale<V> {
    Scale {
        base,
        breaks: breaks.into_inner().into_iter().map(Into::into).collect(),
        mode: match units {
            BreakUnits::AllUnits => BreakMode::AllUnits,
            BreakUnits::Graduated => BreakMode::Graduated,
        },
    }
}

/// One thing that a contract or agreement changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceTerm {
    /// What explains it in a waterfall.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// The owner's version of the rule.
    pub version: u64,
    /// When in the order of things it comes; if absent, `standing` for discounts, `agreed` for prices, `floor` for
    /// bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<TermStage>,
    /// For which goods; for everything if absent.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub goods: Option<TermGoods>,
    /// What it does.
    pub effect: TermEffect,
    /// The first moment it is in force; always before if this and `first_day` are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The first moment it no longer is; for ever if this and `last_day` are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// In place of `from`: the first day, in the time zone of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_day: Option<Day>,
    /// In place of `until`: the last day, in the time zone of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_day: Option<Day>,
    /// The higher comes first; 0 if absent.
    #[serde(default)]
    pub priority: u16,
    /// What it goes together with, where terms are compounded; `compounded` if absent.
    #[serde(default)]
    pub stacking: TermStacking,
    /// The smallest quantity of the line that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<PositiveUnits>")]
    pub minimum: Option<PositiveQuantity>,
    /// The largest quantity that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<TermMaximum>,
    /// The coupon that must be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub coupon: Option<CouponCode>,
    /// Of the terms of a group, a stage applies only the first in rank that can be applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub group: Option<ExclusiveGroup>,
    /// For promotions: the budget that it is used up with. Once that is spent it does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub budget: Option<BudgetId>,
}

/// When in the order of things a term comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TermStage {
    /// Off the list price.
    Standing,
    /// In place of all before it; a discount is taken off the list price.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TermGoods {
    /// One SKU.
    Sku(#[schemars(with = "Code")] Sku),
    /// The variants of a product.
    Product(#[schemars(with = "Code")] ProductId),
    /// The SKUs of a brand.
    Brand(#[schemars(with = "Code")] BrandId),
    /// The SKUs of a category.
    Category(#[schemars(with = "Code")] CategoryId),
}

/// What a term does to the price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TermEffect {
    /// The unit price is this.
    Fixed {
        /// The price of one base unit.
        #[serde(deserialize_with = "price")]
        #[schemars(with = "Amount")]
        unit: Price,
        /// Other prices for larger quantities, rising.
        #[serde(default)]
        breaks: List<PriceBreak, 0, MAX_BREAKS>,
        /// Which units a break is for; `all-units` if absent.
        #[serde(default)]
        break_units: BreakUnits,
    },
    /// So much less.
    Discount {
        /// The discount in percent.
        #[serde(deserialize_with = "percent")]
        #[schemars(with = "Amount")]
        percent: Percent,
        /// Other discounts for larger quantities, rising.
        #[serde(default)]
        breaks: List<DiscountBreak, 0, MAX_BREAKS>,
        /// Which units a break is for; `all-units` if absent.
        #[serde(default)]
        break_units: BreakUnits,
    },
    /// What the SKU costs its distributor, and so much more.
    CostPlus {
        /// The markup in percent.
        #[serde(deserialize_with = "markup")]
        #[schemars(with = "Amount")]
        percent: Markup,
        /// Other markups for larger quantities, rising.
        #[serde(default)]
        breaks: List<MarkupBreak, 0, MAX_BREAKS>,
        /// Which units a break is for; `all-units` if absent.
        #[serde(default)]
        break_units: BreakUnits,
    },
    /// The price of one base unit follows an index: base + factor × (index − index base).
    Indexed {
        /// The price of one base unit while the index stands at its base.
        #[serde(deserialize_with = "price")]
        #[schemars(with = "Amount")]
        base: Price,
        /// How much more for each unit that the index is above its base, and less below it.
        #[serde(deserialize_with = "price")]
        #[schemars(with = "Amount")]
        factor: Price,
        /// Which index.
        #[schemars(with = "Code")]
        index: IndexId,
        /// Where the index stood when the price was agreed.
        #[serde(deserialize_with = "price")]
        #[schemars(with = "Amount")]
        index_base: Price,
    },
    /// So much less by what the line, or the customer's purchases, come to; in the currency of the whole.
    ByValue {
        /// By which value.
        of: DiscountValue,
        /// From which value on which percentage, rising; the first from zero.
        tiers: List<RebateTier, 1, MAX_TIERS>,
        /// Whether a percentage is of all of it once that is reached, or tier by tier.
        #[serde(default)]
        mode: RebateTiers,
    },
    /// A price that may not be passed.
    PriceBound {
        /// The price of one base unit.
        #[serde(deserialize_with = "price")]
        #[schemars(with = "Amount")]
        unit: Price,
        /// What is done about a price that passes it; `adjust` if absent.
        #[serde(default)]
        breach: BoundBreach,
    },
    /// A margin above cost that may not be passed.
    MarginBound {
        /// The margin in percent of the price.
        #[serde(deserialize_with = "percent")]
        #[schemars(with = "Amount")]
        percent: Percent,
        /// What is done about a price that passes it; `adjust` if absent.
        #[serde(default)]
        breach: BoundBreach,
    },
}

/// What is done about a price that passes a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoundBreach {
    /// It is moved to the bound.
    #[default]
    Adjust,
    /// It stays, and nothing is ordered at it until a person has decided.
    Hold,
}

impl From<BoundBreach> for Breach {
    fn from(breach: BoundBreach) -> Self {
        match breach {
            BoundBreach::Adjust => Self::Adjust,
            BoundBreach::Hold => Self::Hold,
        }
    }
}

/// From a quantity on, another markup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkupBreak {
    /// From this quantity on.
    #[schemars(with = "PositiveUnits")]
    pub from: PositiveQuantity,
    /// The markup in percent.
    #[serde(deserialize_with = "markup")]
    #[schemars(with = "Amount")]
    pub percent: Markup,
}

impl From<MarkupBreak> for Break<Markup> {
    fn from(at: MarkupBreak) -> Self {
        Self {
            from: at.from,
            value: at.percent,
        }
    }
}

/// How unit prices of a currency end, such as on 9.99.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndingRule {
    /// What explains it in a waterfall.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// The owner's version of the rule.
    pub version: u64,
    /// The currency of the prices.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// The unit price becomes a multiple of this.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub multiple: Price,
    /// Which multiple; `nearest` if absent.
    #[serde(default)]
    pub toward: EndingToward,
    /// And then so much less.
    #[serde(deserialize_with = "price")]
    #[schemars(with = "Amount")]
    pub less: Price,
}

/// Which multiple a price becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndingToward {
    /// The nearest; the upper of two.
    #[default]
    Nearest,
    /// The next above.
    Up,
    /// The next below.
    Down,
}

impl From<EndingRule> for PriceEnding {
    fn from(ending: EndingRule) -> Self {
        Self {
            rule: ending.rule,
            version: ending.version,
            currency: ending.currency,
            multiple: ending.multiple,
            toward: match ending.toward {
                EndingToward::Nearest => Toward::Nearest,
                EndingToward::Up => Toward::Up,
                EndingToward::Down => Toward::Down,
            },
            less: ending.less,
        }
    }
}

/// What a term goes together with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TermStacking {
    /// With others.
    #[default]
    Compounded,
    /// Alone, if that is better than the others together.
    BestPrice,
    /// Alone, whatever the others would give.
    Exclusive,
}

/// The largest quantity that a term is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TermMaximum {
    /// So many units of the line get it.
    Capped(#[schemars(with = "PositiveUnits")] PositiveQuantity),
    /// A line of more does not get it at all.
    WholeLine(#[schemars(with = "PositiveUnits")] PositiveQuantity),
}

/// How the terms of each stage work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageRules {
    /// Of standing discounts.
    pub standing: StageRule,
    /// Of agreed prices: `first-match` or `best-of`.
    pub agreed: StageRule,
    /// Of promotions.
    pub promotion: StageRule,
}

/// How the terms of a stage work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageRule {
    /// Which terms are applied.
    pub combination: TermCombination,
    /// Whether a nearer level hides those behind it; `together` if absent.
    #[serde(default)]
    pub inheritance: TermInheritance,
}

/// Which of a stage's terms are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TermCombination {
    /// The first in rank.
    FirstMatch,
    /// The one that gives the lowest amount.
    BestOf,
    /// Those of the highest priority, one upon the other.
    CompoundWithin,
    /// The best one of each priority, one upon the other.
    CompoundAcross,
}

/// Whether a nearer level hides those behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TermInheritance {
    /// The terms of all levels stand side by side.
    #[default]
    Together,
    /// Only those of the nearest level that has one that applies.
    Nearest,
}

impl From<StageRules> for Precedence {
    fn from(rules: StageRules) -> Self {
        Self {
            standing: rules.standing.into(),
            agreed: rules.agreed.into(),
            promotion: rules.promotion.into(),
        }
    }
}

impl From<StageRule> for StageMode {
    fn from(rule: StageRule) -> Self {
        Self {
            inheritance: match rule.inheritance {
                TermInheritance::Together => Inheritance::Together,
                TermInheritance::Nearest => Inheritance::Nearest,
            },
            combination: match rule.combination {
                TermCombination::FirstMatch => Combination::FirstMatch,
                TermCombination::BestOf => Combination::BestOf,
                TermCombination::CompoundWithin => Combination::CompoundWithin,
                TermCombination::CompoundAcross => Combination::CompoundAcross,
            },
        }
    }
}

/// By which value a discount is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiscountValue {
    /// What the line comes to.
    Line,
    /// What the customer has bought before in the period of its rebates; tier by tier the line comes on top of it.
    Volume,
}

impl From<TermEffect> for Effect {
    fn from(effect: TermEffect) -> Self {
        match effect {
            TermEffect::Fixed {
                unit,
                breaks,
                break_units,
            } => Self::Fixed(scale(unit, breaks, break_units)),
            TermEffect::Discount {
                percent,
                breaks,
                break_units,
            } => Self::Discount(scale(percent, breaks, break_units)),
            TermEffect::CostPlus {
                percent,
                breaks,
                break_units,
            } => Self::CostPlus(scale(percent, breaks, break_units)),
            TermEffect::Indexed {
                base,
                factor,
                index,
                index_base,
            } => Self::Indexed(Box::new(Formula {
                base,
                factor,
                index,
                index_base,
            })),
            TermEffect::ByValue { of, tiers, mode } => Self::ByValue(Box::new(ByValue {
                of: match of {
                    DiscountValue::Line => ValueOf::Line,
                    DiscountValue::Volume => ValueOf::Volume,
                },
                tiers: tiers_of(tiers, mode),
            })),
            TermEffect::PriceBound { unit, breach } => Self::Bound {
                at: Bound::Price(unit),
                breach: breach.into(),
            },
            TermEffect::MarginBound { percent, breach } => Self::Bound {
                at: Bound::Margin(percent),
                breach: breach.into(),
            },
        }
    }
}

impl From<TermStage> for Stage {
    fn from(stage: TermStage) -> Self {
        match stage {
            TermStage::Standing => Self::Standing,
            TermStage::Agreed => Self::Agreed,
            TermStage::Promotion => Self::Promotion,
            TermStage::Ceiling => Self::Ceiling,
            TermStage::Floor => Self::Floor,
            TermStage::Advertised => Self::Advertised,
        }
    }
}

impl From<TermGoods> for Scope {
    fn from(goods: TermGoods) -> Self {
        match goods {
            TermGoods::Sku(sku) => Self::Sku(sku),
            TermGoods::Product(product) => Self::Product(product),
            TermGoods::Brand(brand) => Self::Brand(brand),
            TermGoods::Category(category) => Self::Category(category),
        }
    }
}

/// The terms as the domain has them, their days reckoned in `time_zone`.
pub(super) fn terms(terms: Vec<PriceTerm>, time_zone: Option<&str>) -> Result<Terms, DecodeError> {
    let zone = time_zone
        .map(calendar::zone)
        .transpose()
        .map_err(|error| DecodeError::field("time_zone", error))?;
    let read = |(place, term): (usize, PriceTerm)| {
        let at =
            |(field, reason): (&str, String)| DecodeError::field(format!("terms[{place}].{field}"), reason);
        term.read(zone.as_ref()).map_err(at)
    };
    let read: Result<Vec<Term>, DecodeError> = terms.into_iter().enumerate().map(read).collect();
    Ok(read?.into())
}

impl PriceTerm {
    fn read(self, zone: Option<&TimeZone>) -> Result<Term, (&'static str, String)> {
        let effective = self.effective(zone)?;
        let conditions = self.conditions();
        let effect = Effect::from(self.effect);
        Ok(Term {
            rule: self.rule,
            version: self.version,
            stage: self.stage.map_or_else(|| effect.usual_stage(), Into::into),
            scope: self.goods.map_or(Scope::Everything, Into::into),
            effect,
            effective,
            conditions: (conditions != Conditions::default()).then(|| Box::new(conditions)),
        })
    }

    fn conditions(&self) -> Conditions {
        Conditions {
            priority: self.priority,
            stacking: match self.stacking {
                TermStacking::Compounded => Stacking::Compounded,
                TermStacking::BestPrice => Stacking::BestPrice,
                TermStacking::Exclusive => Stacking::Exclusive,
            },
            coupon: self.coupon.clone(),
            group: self.group.clone(),
            budget: self.budget.clone(),
            minimum: self.minimum,
            maximum: self.maximum.map(|maximum| match maximum {
                TermMaximum::Capped(most) => Maximum::Capped(most),
                TermMaximum::WholeLine(most) => Maximum::WholeLine(most),
            }),
        }
    }

    fn effective(&self, zone: Option<&TimeZone>) -> Result<Effective, (&'static str, String)> {
        let moments = Effective {
            from: self.from.map(|moment| moment.0),
            until: self.until.map(|moment| moment.0),
        };
        if self.first_day.is_none() && self.last_day.is_none() {
            return Ok(moments);
        }
        let Some(zone) = zone else {
            let field = if self.first_day.is_some() {
                "first_day"
            } else {
                "last_day"
            };
            return Err((
                field,
                "needs time_zone: a day begins where it is reckoned".to_owned(),
            ));
        };
        if self.first_day.is_some() && self.from.is_some() {
            return Err((
                "first_day",
                "stands in place of from: give one of them".to_owned(),
            ));
        }
        if self.last_day.is_some() && self.until.is_some() {
            return Err((
                "last_day",
                "stands in place of until: give one of them".to_owned(),
            ));
        }
        let day = |day: Option<Day>| day.map(|day| day.0);
        let days = calendar::days(zone, day(self.first_day), day(self.last_day))
            .map_err(|error| ("last_day", error.to_string()))?;
        Ok(Effective {
            from: days.from.or(moments.from),
            until: days.until.or(moments.until),
        })
    }
}
