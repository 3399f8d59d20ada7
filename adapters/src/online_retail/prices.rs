//! List prices and contracts, read off what was invoiced.
//!
//! Of each SKU and list: the base price is the one on most lines (of two alike, the higher). A lower price is a quantity
//! break if it stands on two lines or more beyond every quantity at which more was paid. What a customer paid besides is
//! that customer's contract price, with breaks where it changes with the quantity.

use super::invoice::{Invoice, Sale};
use super::{CURRENCY, RETAIL_LIST, WALK_IN};
use lockstep_actors::ids::{CustomerId, Jurisdiction, ListId, RuleId, Sku};
use lockstep_actors::money::{Currency, Percent, Price};
use lockstep_actors::pricing::charge::{Charge, ChargeKind, Freight};
use lockstep_actors::pricing::contract::{Contract, DEFAULT_LIST};
use lockstep_actors::pricing::list::{Effective, ListRow};
use lockstep_actors::pricing::scale::{Break, MAX_BREAKS, Scale};
use lockstep_actors::pricing::tax::{TaxBasis, TaxLevel, TaxProfile, TaxRate, TaxTable};
use lockstep_actors::pricing::term::{Effect, MAX_TERMS, Scope, Term};
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Who takes tax.
const JURISDICTION: &str = "GB";
/// On how many lines a price must stand to be a break of the list.
const BREAK_LINES: usize = 2;

/// What was paid for a SKU: a quantity and the unit price of each line.
type Paid = Vec<(PositiveQuantity, Price)>;

/// Everything that prices are made from.
#[derive(Default)]
pub(super) struct PriceBook {
    by_list: BTreeMap<(Sku, &'static str), Paid>,
    by_customer: BTreeMap<CustomerId, BTreeMap<Sku, Paid>>,
}

fn list_of(customer: &CustomerId) -> &'static str {
    if customer.as_str() == WALK_IN {
        RETAIL_LIST
    } else {
        DEFAULT_LIST
    }
}

/// A price list's view of a SKU.
pub(super) struct ListPrices {
    base: Price,
    breaks: Vec<Break<Price>>,
}

impl ListPrices {
    pub(super) fn at(&self, quantity: PositiveQuantity) -> Price {
        let reached = self.breaks.iter().rev().find(|at| at.from <= quantity);
        reached.map_or(self.base, |at| at.value)
    }
}

impl PriceBook {
    pub(super) fn add(&mut self, sale: &Sale) {
        let list = list_of(&sale.customer);
        let customer = self.by_customer.entry(sale.customer.clone()).or_default();
        for line in &sale.lines {
            let paid = (line.quantity, line.invoiced);
            self.by_list
                .entry((line.sku.clone(), list))
                .or_default()
                .push(paid);
            customer.entry(line.sku.clone()).or_default().push(paid);
        }
    }

    /// A customer that only ever cancelled has an account, too.
    pub(super) fn know(&mut self, invoice: &Invoice) {
        self.by_customer.entry(invoice.customer.clone()).or_default();
    }

    /// The list rows by SKU and list, and each customer's contract.
    pub(super) fn derive(self) -> Result<Derived, InvalidRule> {
        let mut rows = Vec::with_capacity(self.by_list.len());
        let mut lists = BTreeMap::new();
        for ((sku, list), paid) in self.by_list {
            let Some(prices) = list_prices(&paid) else {
                continue;
            };
            rows.push((sku.clone(), list_row(list, &prices)?));
            lists.insert((sku, list), prices);
        }
        let mut contracts = Vec::with_capacity(self.by_customer.len());
        for (customer, bought) in self.by_customer {
            let list = list_of(&customer);
            let mut terms = Vec::new();
            // The walk-in account is many people: it has no prices of its own.
            if list == DEFAULT_LIST {
                for (sku, paid) in bought {
                    if let Some(prices) = lists.get(&(sku.clone(), list))
                        && let Some(effect) = own_price(&paid, prices)
                    {
                        terms.push(term(sku, effect)?);
                    }
                }
            }
            terms.truncate(MAX_TERMS);
            contracts.push((customer, contract(list, terms)?));
        }
        Ok(Derived { rows, contracts })
    }
}

/// A name or currency made here is none: a defect.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRule {
    /// A name.
    #[error(transparent)]
    Name(#[from] lockstep_actors::ids::InvalidName),
    /// The currency.
    #[error(transparent)]
    Money(#[from] lockstep_actors::money::MoneyError),
}

pub(super) struct Derived {
    pub(super) rows: Vec<(Sku, ListRow)>,
    pub(super) contracts: Vec<(CustomerId, Contract)>,
}

pub(super) fn list_prices(paid: &Paid) -> Option<ListPrices> {
    let mut lines: BTreeMap<Price, usize> = BTreeMap::new();
    for (_, price) in paid {
        *lines.entry(*price).or_default() += 1;
    }
    let base = lines
        .iter()
        .max_by_key(|(price, count)| (**count, **price))
        .map(|(price, _)| *price)?;
    let mut breaks = Vec::new();
    for (&price, &count) in lines.range(..base).rev() {
        let paid_more = paid
            .iter()
            .filter(|(_, other)| *other > price)
            .map(|(q, _)| *q)
            .max();
        let beyond = paid
            .iter()
            .filter(|(quantity, other)| *other == price && paid_more.is_none_or(|most| *quantity > most));
        let (from, lines) = beyond.fold((None::<PositiveQuantity>, 0), |(from, lines), (quantity, _)| {
            (
                Some(from.map_or(*quantity, |from| from.min(*quantity))),
                lines + 1,
            )
        });
        if let Some(from) = from.filter(|_| lines >= BREAK_LINES && count >= BREAK_LINES)
            && breaks.len() < MAX_BREAKS
        {
            breaks.push(Break { from, value: price });
        }
    }
    Some(ListPrices { base, breaks })
}

/// A customer's own price, if what was paid is not what the list says.
fn own_price(paid: &Paid, list: &ListPrices) -> Option<Effect> {
    if paid.iter().all(|(quantity, price)| list.at(*quantity) == *price) {
        return None;
    }
    let mut by_quantity: BTreeMap<PositiveQuantity, BTreeMap<Price, usize>> = BTreeMap::new();
    for (quantity, price) in paid {
        *by_quantity
            .entry(*quantity)
            .or_default()
            .entry(*price)
            .or_default() += 1;
    }
    let mut steps: Vec<Break<Price>> = Vec::new();
    for (quantity, prices) in by_quantity {
        let most = prices.into_iter().max_by_key(|(price, count)| (*count, *price));
        if let Some((value, _)) = most
            && steps.last().is_none_or(|last| last.value != value)
        {
            steps.push(Break {
                from: quantity,
                value,
            });
        }
    }
    steps.truncate(MAX_BREAKS + 1);
    let unit = steps.first()?.value;
    let breaks = steps.split_off(1);
    Some(Effect::Fixed(Scale::stepped(unit, breaks)))
}

fn list_row(list: &'static str, prices: &ListPrices) -> Result<ListRow, InvalidRule> {
    Ok(ListRow {
        list: ListId::new(list)?,
        currency: Currency::new(CURRENCY)?,
        effective: Effective::default(),
        price: Scale::stepped(prices.base, prices.breaks.clone()),
        rule: RuleId::new(&format!("list/{list}"))?,
        version: 1,
        edition: None,
    })
}

fn term(sku: Sku, effect: Effect) -> Result<Term, InvalidRule> {
    Ok(Term::plain(
        RuleId::new("contract/invoiced")?,
        1,
        Scope::Sku(sku),
        effect,
    ))
}

fn contract(list: &'static str, terms: Vec<Term>) -> Result<Contract, InvalidRule> {
    Ok(Contract {
        base_list: Some(ListId::new(list)?),
        terms: terms.into(),
        charges: vec![freight()?],
        tax: Some(TaxProfile {
            jurisdiction: Jurisdiction::new(JURISDICTION)?,
            level: TaxLevel::Order,
            basis: TaxBasis::Net,
            exemption: None,
        }),
        ..Contract::none(Currency::new(CURRENCY)?)
    })
}

/// What it costs to bring an order: 7.50, nothing from 250.00 on. The file has carriage on some invoices only; these are
/// the house's rules, not the file's.
fn freight() -> Result<Charge, InvalidRule> {
    Ok(Charge {
        rule: RuleId::new("freight/house")?,
        version: 1,
        effective: Effective::default(),
        priority: 0,
        minimum: Price::default(),
        kind: ChargeKind::Freight(Freight {
            zone: None,
            base: Price::new(Decimal::new(750, 2))?,
            per_unit: Price::default(),
            per_kilogram: Price::default(),
            least: Price::default(),
            free_from: Some(Price::new(Decimal::from(250))?),
        }),
        coupon: None,
        budget: None,
    })
}

/// Value added tax in the United Kingdom: 17.5 percent from 1 January 2010, 20 percent from 4 January 2011
/// (<https://www.gov.uk/government/publications/vat-change-in-the-standard-rate>), before that as in 2010.
pub(super) fn taxes() -> Result<(Jurisdiction, TaxTable), InvalidRule> {
    let from_2011 = Timestamp::from_millis(1_294_099_200_000);
    let rate = |rule: &str, tenths: i64, effective: Effective| {
        Ok::<_, InvalidRule>(TaxRate {
            rule: RuleId::new(rule)?,
            category: None,
            percent: Percent::new(Decimal::new(tenths, 1))?,
            effective,
        })
    };
    let until = Effective {
        from: None,
        until: Some(from_2011),
    };
    let from = Effective {
        from: Some(from_2011),
        until: None,
    };
    let rates = vec![rate("vat/2010", 175, until)?, rate("vat/2011", 200, from)?];
    Ok((Jurisdiction::new(JURISDICTION)?, TaxTable { rates, version: 1 }))
}
