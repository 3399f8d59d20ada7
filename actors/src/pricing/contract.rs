//! A customer's contract: which list it stands on, what it changes, how it rounds.
//!
//! A customer without a contract buys at its channel's list, or at [`DEFAULT_LIST`], in the currency that is asked for, rounded
//! half up; unless whoever asks demands a known customer.

use super::accrual::Account;
use super::agreement::HOUSE;
use super::budget::{ClaimRequest, given_back};
use super::charge::{self, Charge};
use super::ending::{self, PriceEnding};
use super::exact::{LIMIT, PLACES};
use super::hierarchy::customer_class;
use super::kept::{KeptQuote, KeptQuotes, QuoteClaim, QuoteNumber, Validity};
use super::line::states_another;
use super::list::{Place, PriceRefusal};
use super::purchase::{Purchase, Purchases};
use super::resolve::{Accrual, Detail, Quote, QuoteLine, QuoteRefusal, resolve, resolve_of, restated};
use super::tax::TaxProfile;
use super::term::{Precedence, Terms};
use crate::domain::Distributor;
use crate::ids::{
    AgreementId, BudgetId, ClassName, CouponCode, CustomerId, FreightZone, ListId, OrderKey, RateSource,
    Region, RuleId,
};
use crate::money::{Currency, RoundingMode};
use crate::orders::command::{OrderCommand, Priced};
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The list of customers without a contract, over channels that have none of their own.
pub const DEFAULT_LIST: &str = "standard";
/// Of how many budgets a contract knows how often its customer uses them. With one more, one that is not used is forgotten, else the first by name:
/// a quote may count on that, and its order is refused it.
pub const MAX_COUNTED_BUDGETS: usize = 256;
/// How many coupons may be shown at once.
pub const MAX_COUPONS: usize = 8;

/// What is agreed with a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// The currency it is in.
    pub currency: Currency,
    /// Whose exchange rates count; none if it is sold in its own currency only.
    pub rates: Option<RateSource>,
    /// The list it stands on; none for that of the levels behind it, then that of the channel, at last [`DEFAULT_LIST`].
    pub base_list: Option<ListId>,
    /// The level behind it, whose terms count, too.
    pub agreement: Option<AgreementId>,
    /// How stages work together; none for what the levels behind it say.
    pub precedence: Option<Precedence>,
    /// What it changes.
    pub terms: Terms,
    /// How unit prices end, each currency once; the nearest level that says so for a currency counts.
    pub endings: Vec<PriceEnding>,
    /// Rules on orders as a whole. They count only in this currency.
    pub charges: Vec<Charge>,
    /// How the customer is taxed; none for as the channel says, if it does.
    pub tax: Option<TaxProfile>,
    /// Where freight goes to, unless a request says otherwise.
    pub zone: Option<FreightZone>,
    /// How it rounds.
    pub rounding: Rounding,
    /// Whether the customer may buy.
    pub status: ContractStatus,
    /// The class in which the customer is served from stock ([`crate::inventory::allocation`]); none for that of the levels behind it.
    #[serde(default)]
    pub customer_class: Option<ClassName>,
}

impl Contract {
    /// That of a customer without one.
    #[must_use]
    pub fn none(currency: Currency) -> Self {
        Self {
            currency,
            base_list: None,
            agreement: None,
            precedence: None,
            terms: Terms::default(),
            endings: Vec::new(),
            charges: Vec::new(),
            tax: None,
            zone: None,
            rates: None,
            rounding: Rounding::default(),
            status: ContractStatus::Active,
            customer_class: None,
        }
    }
}

/// Whether a customer may buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContractStatus {
    /// Yes.
    Active,
    /// Not now.
    Blocked,
}

/// How amounts are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounding {
    /// Which way a half goes.
    pub mode: RoundingMode,
    /// What is rounded.
    pub level: RoundingLevel,
}

/// What is rounded to the currency's smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundingLevel {
    /// The line's amount, once; the unit price stays exact.
    #[default]
    Line,
    /// The unit price, before it is multiplied.
    Unit,
}

/// A customer's contract as the entity keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContractState {
    /// The contract, if there is one.
    #[serde(with = "super::shared")]
    pub contract: Option<Arc<Contract>>,
    /// Its version.
    pub version: u64,
    /// What the customer has bought in the period of its rebates, as the ERP reports it.
    pub volume: Volume,
    /// The quotes that orders may rely on.
    #[serde(default)]
    pub quotes: KeptQuotes,
    /// What orders add to the volume that the ERP's report does not count yet.
    #[serde(default)]
    pub purchases: Purchases,
    /// How often the customer uses budgets that limit that, of the [`MAX_COUNTED_BUDGETS`] that were told last.
    #[serde(default)]
    pub used: UsedBudgets,
}

/// How often a customer uses budgets.
pub type UsedBudgets = BTreeMap<BudgetId, CountedUses>;

/// How often a customer uses a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedUses {
    /// By how many orders.
    pub uses: u32,
    /// By which count of the budget.
    pub revision: u64,
}

impl ContractState {
    /// What the customer has bought in the period of its rebates, without an order, in the contract's currency.
    pub(super) fn bought_without(&self, order: Option<&OrderKey>) -> Decimal {
        let own = order.map_or(Decimal::ZERO, |order| self.purchases.of(order));
        let others = self.purchases.total().saturating_sub(own);
        self.volume.value.saturating_add(others)
    }

    pub(super) fn may_buy(&self, customer: &CustomerId) -> Result<(), QuoteRefusal> {
        let status = self.contract.as_ref().map(|contract| contract.status);
        match status {
            Some(ContractStatus::Blocked) => Err(QuoteRefusal::Blocked {
                customer: customer.clone(),
            }),
            Some(ContractStatus::Active) | None => Ok(()),
        }
    }
}

/// What a customer has bought in the period of its rebates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The value, in the contract's currency.
    pub value: Decimal,
    /// The report's version; 0 before the first.
    pub version: u64,
    /// It counts all orders that came in before this moment; none if it counts all that are known when it comes.
    #[serde(default)]
    pub through: Option<Timestamp>,
}

/// What someone wants of a contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContractCommand {
    /// This holds from now on.
    Upsert {
        /// The whole contract.
        contract: Box<Contract>,
        /// Its version; an older or equal one is ignored.
        version: u64,
    },
    /// The customer has bought so much in the period of its rebates; an older or equal version is ignored.
    ReportVolume(Volume),
    /// What would this cost? Changes nothing.
    Quote(Box<QuoteRequest>),
    /// What does this order cost? The order is told.
    PriceOrder {
        /// Which order.
        order: OrderKey,
        /// Its attempt at pricing.
        attempt: u16,
        /// What it wants.
        request: Box<QuoteRequest>,
        /// The quote that it relies on.
        #[serde(default)]
        quote: Option<QuoteClaim>,
    },
    /// So much is left of an order, whose goods count to the customer's volume. Told again or late it changes nothing.
    CountOrder {
        /// Which.
        order: OrderKey,
        /// Its last attempt at pricing.
        attempt: u16,
        /// What is left of its goods, less its discount, in its currency.
        left: Decimal,
    },
    /// The customer uses a budget so often; a count with an older or equal revision is ignored.
    CountUses {
        /// Which.
        budget: BudgetId,
        /// By how many orders.
        uses: u32,
        /// The number of the count.
        revision: u64,
    },
    /// What would this cost an order that names the quote while it is valid?
    KeepQuote {
        /// What is to be priced.
        request: Box<QuoteRequest>,
        /// How long an order may rely on it.
        validity: Validity,
    },
    /// What is agreed, without the quotes that are kept: cheap, for whoever prices much by it. Changes nothing.
    Terms,
    /// Says how things stand. Changes nothing.
    Show,
}

/// What is to be priced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuoteRequest {
    /// In which currency.
    pub currency: Currency,
    /// By which set of exchange rates; none for the one in force.
    pub rates: Option<RuleId>,
    /// What, at most [`crate::orders::state::MAX_LINES`].
    pub lines: Vec<QuoteLine>,
    /// The coupons that are shown, at most [`MAX_COUPONS`].
    pub coupons: Vec<CouponCode>,
    /// Where it goes to; none for where the contract says.
    pub zone: Option<FreightZone>,
    /// As of when; none for the moment of the decision.
    pub as_of: Option<Timestamp>,
    /// Whom it may be for.
    pub customers: Customers,
    /// How much the answer says.
    pub detail: Detail,
    /// For an order: the budgets that it has or does without.
    #[serde(default)]
    pub budgets: Budgets,
    /// The channel that it is sold over, whose list counts where the customer's levels name none.
    #[serde(default)]
    pub channel: Option<CompactString>,
    /// Where goods are shipped to, for taxes; none for where the customer is taxed.
    #[serde(default)]
    pub ship_to: Option<Region>,
}

/// The budgets of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets {
    /// Those that it has a part of by now.
    pub held: Vec<BudgetId>,
    /// Those that have nothing left for it.
    pub without: Vec<BudgetId>,
}

/// Whom a channel sells to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Customers {
    /// Anybody; at list price without a contract.
    #[default]
    Anybody,
    /// Only to customers with a contract.
    Known,
}

/// What happened to a contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ContractEvent {
    /// It was agreed or changed.
    Agreed {
        /// The whole contract.
        contract: Box<Contract>,
        /// Its version.
        version: u64,
    },
    /// How much was bought was reported.
    VolumeReported(Volume),
    /// An order counts to the customer's volume as said, in place of what it counted before.
    OrderCounted {
        /// Which.
        order: OrderKey,
        /// What it counts; none if it does no more.
        purchase: Option<Purchase>,
        /// What accrues by that, or is taken back.
        accrued: Vec<Accrual>,
    },
    /// It was counted how often the customer uses a budget.
    UsesCounted {
        /// Which.
        budget: BudgetId,
        /// How often.
        counted: CountedUses,
    },
    /// A quote was given that an order may rely on.
    QuoteKept {
        /// The quote.
        kept: KeptQuote,
        /// Those that were forgotten for it; their time was over.
        forgotten: Vec<QuoteNumber>,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContractReply {
    /// Done.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// The price, explained.
    Quoted(Box<Quote>),
    /// The price, explained; an order may rely on it.
    QuoteKept(KeptQuote),
    /// There is no price.
    NoQuote(QuoteRefusal),
    /// How things stand.
    Contract(Box<ContractState>),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// A customer's contract, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct CustomerContract;

impl Entity for CustomerContract {
    const KIND: EntityKind = EntityKind(3);
    const NAME: &'static str = "customer-contract";
    const RESIDENCY: Residency = Residency::Passivated;

    type Domain = Distributor;
    type Id = CustomerId;
    type State = ContractState;
    type Command = ContractCommand;
    type Event = ContractEvent;
    type Reply = ContractReply;

    fn is_query(command: &ContractCommand) -> bool {
        matches!(
            command,
            ContractCommand::Quote(_) | ContractCommand::Show | ContractCommand::Terms
        )
    }

    fn decide(
        id: &CustomerId,
        state: &ContractState,
        command: &ContractCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            ContractCommand::Upsert { contract, version } => upsert(state, contract, *version),
            ContractCommand::ReportVolume(volume) => report_volume(state, *volume),
            ContractCommand::Quote(request) => Decision::answer(quote(id, state, request, context)),
            ContractCommand::PriceOrder {
                order,
                attempt,
                request,
                quote,
            } => {
                let account = Account {
                    customer: id,
                    state,
                    order,
                    reference: context.reference,
                };
                let result = match quote {
                    Some(claim) => claimed(account, *claim, request, context.now),
                    None => resolve_of(Some(order), id, state, request, context.now, context.reference),
                };
                let at = request.as_of.unwrap_or(context.now);
                let priced = result.as_ref().ok();
                let counted = priced.and_then(|quote| account.priced(*attempt, quote, at));
                let asked = (order, *attempt, &**request, *quote);
                let mut decision = answer_order(id, asked, result);
                decision.events.extend(counted);
                decision
            }
            ContractCommand::CountOrder { order, attempt, left } => {
                let account = Account {
                    customer: id,
                    state,
                    order,
                    reference: context.reference,
                };
                let mut decision = Decision::answer(ContractReply::Accepted);
                decision.events.extend(account.less_left(*attempt, *left));
                decision
            }
            ContractCommand::CountUses {
                budget,
                uses,
                revision,
            } => count_uses(state, budget, *uses, *revision),
            ContractCommand::KeepQuote { request, validity } => {
                keep_quote(id, state, request, *validity, context)
            }
            ContractCommand::Terms => Decision::answer(ContractReply::Contract(Box::new(ContractState {
                quotes: KeptQuotes::default(),
                purchases: Purchases::default(),
                used: state.used.clone(),
                contract: state.contract.clone(),
                ..*state
            }))),
            ContractCommand::Show => Decision::answer(ContractReply::Contract(Box::new(state.clone()))),
        }
    }

    fn apply(state: &mut ContractState, event: &ContractEvent) {
        match event {
            ContractEvent::Agreed { contract, version } => {
                state.contract = Some(Arc::new((**contract).clone()));
                state.version = *version;
            }
            ContractEvent::VolumeReported(volume) => {
                state.volume = *volume;
                state.purchases.reported(volume.through);
            }
            ContractEvent::OrderCounted {
                order,
                purchase,
                accrued,
            } => state.purchases.put(order, purchase.as_ref(), accrued),
            ContractEvent::UsesCounted { budget, counted } => {
                state.used.insert(budget.clone(), *counted);
                if state.used.len() > MAX_COUNTED_BUDGETS {
                    let mut names = state.used.iter();
                    let unused = names.find(|(known, counted)| counted.uses == 0 && *known != budget);
                    let other = || state.used.keys().find(|known| *known != budget);
                    if let Some(name) = unused.map(|(name, _)| name).or_else(other).cloned() {
                        state.used.remove(&name);
                    }
                }
            }
            ContractEvent::QuoteKept { kept, forgotten } => state.quotes.keep(kept, forgotten),
        }
    }
}

fn upsert(state: &ContractState, contract: &Contract, version: u64) -> Decision<CustomerContract> {
    if state.contract.is_some() && version <= state.version {
        return Decision::answer(ContractReply::Stale { known: state.version });
    }
    if let Err(refusal) = check(contract) {
        return Decision::answer(ContractReply::Refused(refusal));
    }
    let agreed = ContractEvent::Agreed {
        contract: Box::new(contract.clone()),
        version,
    };
    Decision::event(agreed, ContractReply::Accepted)
}

fn report_volume(state: &ContractState, volume: Volume) -> Decision<CustomerContract> {
    if volume.version <= state.volume.version {
        let known = state.volume.version;
        return Decision::answer(ContractReply::Stale { known });
    }
    if volume.value < Decimal::ZERO || volume.value > LIMIT || volume.value.scale() > PLACES {
        return Decision::answer(ContractReply::Refused(PriceRefusal::VolumeOutOfRange));
    }
    Decision::event(ContractEvent::VolumeReported(volume), ContractReply::Accepted)
}

fn count_uses(
    state: &ContractState,
    budget: &BudgetId,
    uses: u32,
    revision: u64,
) -> Decision<CustomerContract> {
    if state
        .used
        .get(budget)
        .is_some_and(|known| known.revision >= revision)
    {
        return Decision::answer(ContractReply::Accepted);
    }
    let event = ContractEvent::UsesCounted {
        budget: budget.clone(),
        counted: CountedUses { uses, revision },
    };
    Decision::event(event, ContractReply::Accepted)
}

fn check(contract: &Contract) -> Result<(), PriceRefusal> {
    if contract
        .agreement
        .as_ref()
        .is_some_and(|agreement| agreement.as_str() == HOUSE)
    {
        return Err(PriceRefusal::NoSuchParent);
    }
    contract.terms.check()?;
    ending::check(&contract.endings)?;
    charge::check(&contract.charges)?;
    if let Some(TaxProfile {
        exemption: Some(exemption),
        ..
    }) = &contract.tax
    {
        let placed = |refusal: PriceRefusal| refusal.at(Place::Exemption(exemption.certificate.clone()));
        exemption.effective.check().map_err(placed)?;
    }
    contract
        .precedence
        .map_or(Ok(()), |precedence| precedence.check())
}

fn quote(
    id: &CustomerId,
    state: &ContractState,
    request: &QuoteRequest,
    context: &Context<'_, Distributor>,
) -> ContractReply {
    match resolve(id, state, request, context.now, context.reference) {
        Ok(quote) => ContractReply::Quoted(Box::new(quote)),
        Err(refusal) => ContractReply::NoQuote(refusal),
    }
}

/// The price of an order that relies on a quote: what the quote says, or what it costs now, with what became of the quote;
/// either way at the prices that the order states, where it states other ones.
fn claimed(
    account: Account<'_>,
    claim: QuoteClaim,
    request: &QuoteRequest,
    now: Timestamp,
) -> Result<Quote, QuoteRefusal> {
    let Account {
        customer,
        state,
        order,
        reference,
    } = account;
    state.may_buy(customer)?;
    let (named, honoured) = state.quotes.claim(claim, request);
    let mut quote = match honoured {
        Some(kept) if states_other_prices(request, &kept.quote) => {
            restated(Some(order), customer, state, (kept, request), reference)?
        }
        Some(kept) if kept.quote.rebates.is_empty() => (*kept.quote).clone(),
        // What accrues goes by what was bought until the order came.
        Some(kept) => Quote {
            rebates: account.of_kept(&kept.quote, request.as_of.unwrap_or(now))?,
            ..(*kept.quote).clone()
        },
        None => resolve_of(Some(order), customer, state, request, now, reference)?,
    };
    for (priced, asked) in quote.lines.iter_mut().zip(&request.lines) {
        priced.line = asked.line;
    }
    quote.named = Some(named);
    // The price is that of the quote; how the customer is served is not.
    quote.customer_class = customer_class(state.contract.as_deref(), reference)?;
    Ok(quote)
}

fn states_other_prices(request: &QuoteRequest, quote: &Quote) -> bool {
    let mut lines = quote.lines.iter().zip(&request.lines);
    lines.any(|(priced, asked)| states_another(priced, asked))
}

/// Sends the price on its way to the order, through the budgets that it uses. Without a price, what the order has of budgets
/// goes back.
fn answer_order(
    customer: &CustomerId,
    (order, attempt, request, claim): (&OrderKey, u16, &QuoteRequest, Option<QuoteClaim>),
    result: Result<Quote, QuoteRefusal>,
) -> Decision<CustomerContract> {
    match result {
        Ok(quote) => {
            let priced = ClaimRequest {
                order: order.clone(),
                attempt,
                customer: customer.clone(),
                request: Box::new(request.clone()),
                claim,
                quote: Box::new(quote),
                place: 0,
            };
            priced.passed_on(Decision::answer(ContractReply::Accepted))
        }
        Err(refusal) => {
            let answer = Decision::answer(ContractReply::NoQuote(refusal.clone()));
            let held = request.budgets.held.iter().cloned();
            let decision = given_back(answer, (order, attempt), held);
            let priced = Priced {
                attempt,
                result: Err(refusal),
            };
            decision.send((order.clone(), OrderCommand::Priced(priced)))
        }
    }
}

fn keep_quote(
    id: &CustomerId,
    state: &ContractState,
    request: &QuoteRequest,
    validity: Validity,
    context: &Context<'_, Distributor>,
) -> Decision<CustomerContract> {
    let quote = match resolve(id, state, request, context.now, context.reference) {
        Ok(quote) => quote,
        Err(refusal) => return Decision::answer(ContractReply::NoQuote(refusal)),
    };
    let Some((kept, forgotten)) = state.quotes.next(quote, request, validity, context.now) else {
        return Decision::answer(ContractReply::Refused(PriceRefusal::TooManyQuotes));
    };
    let reply = ContractReply::QuoteKept(kept.clone());
    Decision::event(ContractEvent::QuoteKept { kept, forgotten }, reply)
}
