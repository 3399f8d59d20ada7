//! The rule book of accounts. Pure: the same state, command and time give the same decision.

use super::CustomerAccount;
use super::command::{
    AccountCommand, AccountRefusal, AccountReply, CreditAnswer, CreditGround, CreditRefusal, CreditRequest,
    Introduction,
};
use super::event::AccountEvent;
use super::state::{
    AccountState, CreditTerms, Document, MAX_AMOUNT, MAX_AMOUNT_SCALE, MAX_DOCUMENTS, MAX_WINDOW, OpenOrder,
    OrderCredit,
};
use crate::ids::OrderKey;
use crate::money::{Currency, Money};
use crate::orders::command::{CreditAnswered, IntroductionAnswered, OrderCommand};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;

type AccountDecision = Decision<CustomerAccount>;

pub(super) fn decide(state: &AccountState, command: &AccountCommand, now: Timestamp) -> AccountDecision {
    match command {
        AccountCommand::Set { terms, version } => set(state, *terms, *version, now),
        AccountCommand::Post(document) => post(state, document, now),
        AccountCommand::Reserve(request) => reserve(state, request, now),
        AccountCommand::Release { order, attempt } => release(state, order, *attempt, now),
        AccountCommand::Introduce(introduction) => introduce(state, introduction, now),
        AccountCommand::Withdraw { order } => withdraw(state, order),
        AccountCommand::Show => Decision::answer(AccountReply::Account(Box::new(state.summary(now)))),
    }
}

fn refuse(refusal: AccountRefusal) -> AccountDecision {
    Decision::answer(AccountReply::Refused(refusal))
}

fn check_currency(state: &AccountState, found: Currency) -> Result<(), AccountRefusal> {
    match state.currency() {
        Some(account) if account != found => Err(AccountRefusal::OtherCurrency { account, found }),
        Some(_) | None => Ok(()),
    }
}

fn check_amount(money: Money, is_within: impl Fn(Decimal) -> bool) -> Result<(), AccountRefusal> {
    let amount = money.amount;
    if is_within(amount) && amount <= MAX_AMOUNT && amount.scale() <= MAX_AMOUNT_SCALE {
        return Ok(());
    }
    Err(AccountRefusal::Amount { amount })
}

fn set(state: &AccountState, terms: CreditTerms, version: u64, now: Timestamp) -> AccountDecision {
    if let Some(known) = state.version().filter(|known| version <= *known) {
        return Decision::answer(AccountReply::Stale { known });
    }
    let checked = check_currency(state, terms.limit.currency)
        .and_then(|()| check_amount(terms.limit, |amount| amount >= Decimal::ZERO));
    if let Err(refusal) = checked {
        return refuse(refusal);
    }
    let event = AccountEvent::TermsSet { terms, version };
    grant_who_waits(state, Decision::event(event, AccountReply::Accepted), now)
}

fn post(state: &AccountState, document: &Document, now: Timestamp) -> AccountDecision {
    if let Some(known) = state.posted(document) {
        if known == *document {
            return Decision::answer(AccountReply::Accepted);
        }
        let document = document.id.clone();
        return refuse(AccountRefusal::Conflict { document });
    }
    let checked = check_currency(state, document.amount.currency)
        .and_then(|()| check_amount(document.amount, |amount| amount > Decimal::ZERO));
    if let Err(refusal) = checked {
        return refuse(refusal);
    }
    if state.is_forgotten(document.dated) {
        let document = document.id.clone();
        return refuse(AccountRefusal::TooOld { document });
    }
    let mut decision = Decision::event(AccountEvent::Posted(document.clone()), AccountReply::Accepted);
    if state.documents() >= MAX_DOCUMENTS {
        let Some(before) = state.to_be_forgotten() else {
            return refuse(AccountRefusal::TooManyDocuments);
        };
        decision.events.insert(0, AccountEvent::Forgotten { before });
    }
    grant_who_waits(state, decision, now)
}

fn reserve(state: &AccountState, request: &CreditRequest, now: Timestamp) -> AccountDecision {
    let known = state.order(&request.order);
    if known.is_some_and(|known| request.attempt < known.attempt) {
        return Decision::answer(AccountReply::Ignored);
    }
    let is_granted =
        |known: &OpenOrder| known.attempt == request.attempt && known.standing == OrderCredit::Granted;
    if known.is_some_and(is_granted) {
        return told(
            Decision::answer(AccountReply::Accepted),
            request,
            CreditAnswer::Granted,
        );
    }
    let (order, attempt, amount) = (request.order.clone(), request.attempt, request.amount);
    let (event, answer) = match state.judge(request, now) {
        Ok(()) => {
            let event = AccountEvent::Granted {
                order,
                attempt,
                amount,
            };
            (event, CreditAnswer::Granted)
        }
        // It is not kept here either: only a person can try again.
        Err(refusal @ CreditRefusal::TooManyOrders) => {
            let answer = CreditAnswer::Waiting(refusal);
            return told(
                Decision::answer(AccountReply::Credit(answer.clone())),
                request,
                answer,
            );
        }
        Err(refusal) => {
            let since = match known.map(|known| known.standing) {
                Some(OrderCredit::Waiting { since }) => since,
                Some(OrderCredit::Granted) | None => now,
            };
            let event = AccountEvent::Waiting {
                order,
                attempt,
                amount,
                since,
            };
            (event, CreditAnswer::Waiting(refusal))
        }
    };
    let decision = Decision::event(event, AccountReply::Credit(answer.clone()));
    // What it asked for earlier and does not any more is room for others.
    grant_who_waits(state, told(decision, request, answer), now)
}

fn told(decision: AccountDecision, request: &CreditRequest, answer: CreditAnswer) -> AccountDecision {
    let answered = CreditAnswered {
        attempt: request.attempt,
        answer,
    };
    decision.send((request.order.clone(), OrderCommand::CreditAnswered(answered)))
}

fn release(state: &AccountState, order: &OrderKey, attempt: u16, now: Timestamp) -> AccountDecision {
    if state.order(order).is_none_or(|known| known.attempt > attempt) {
        return Decision::answer(AccountReply::Ignored);
    }
    let event = AccountEvent::Released { order: order.clone() };
    grant_who_waits(state, Decision::event(event, AccountReply::Accepted), now)
}

fn introduce(state: &AccountState, introduction: &Introduction, now: Timestamp) -> AccountDecision {
    let Introduction {
        order,
        attempt,
        fingerprint,
        window,
    } = introduction;
    let window = i64::try_from((*window).min(MAX_WINDOW).as_millis()).unwrap_or(i64::MAX);
    let since = Timestamp::from_millis(now.as_millis().saturating_sub(window));
    let answered = IntroductionAnswered {
        attempt: *attempt,
        alike: state.alike(order, *fingerprint, since).cloned(),
    };
    let event = AccountEvent::Introduced {
        order: order.clone(),
        fingerprint: *fingerprint,
        at: now,
    };
    Decision::event(event, AccountReply::Accepted)
        .send((order.clone(), OrderCommand::IntroductionAnswered(answered)))
}

fn withdraw(state: &AccountState, order: &OrderKey) -> AccountDecision {
    if !state.is_introduced(order) {
        return Decision::answer(AccountReply::Ignored);
    }
    let event = AccountEvent::Withdrawn { order: order.clone() };
    Decision::event(event, AccountReply::Accepted)
}

/// Grants what is possible after the decision's events to those who wait, the one that has waited longest first.
fn grant_who_waits(state: &AccountState, mut decision: AccountDecision, now: Timestamp) -> AccountDecision {
    if state.waiting().is_empty() {
        return decision;
    }
    let mut next = state.clone();
    for event in &decision.events {
        next.apply(event);
    }
    for (order, waiting) in next.waiting() {
        let amount = waiting.amount;
        let request = CreditRequest {
            order: order.clone(),
            attempt: waiting.attempt,
            amount,
            ground: CreditGround::Limit,
        };
        if next.judge(&request, now).is_err() {
            continue;
        }
        let event = AccountEvent::Granted {
            order,
            attempt: waiting.attempt,
            amount,
        };
        next.apply(&event);
        decision = told(decision.and(event), &request, CreditAnswer::Granted);
    }
    decision
}
