//! `/v1/prices`, `/v1/items`, `/v1/agreements`, `/v1/rates`, `/v1/taxes`, `/v1/volumes`,
//! `/v1/contracts`, `/v1/quotes` and `/v1/price-sheets`.

use super::batch::{self, BatchItem, Item};
use super::exchange::{Received, answer};
use super::problem::Problem;
use super::refusal::{account_refusal, price_refusal, quote_refusal};
use super::service::Service;
use crate::identity::Scope;
use crate::schema::agreement::ItemSet;
use crate::schema::outbound::{CommandResult, PriceQuote};
use crate::schema::price::{PriceSet, QuoteAsk};
use crate::schema::sheet::SheetAsk;
use crate::schema::{Command, DecodeError};
use crate::sheets::NoSheet;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::accounts::command::AccountReply;
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::ids::SystemName;
use lockstep_actors::pricing::agreement::AgreementReply;
use lockstep_actors::pricing::budget::BudgetReply;
use lockstep_actors::pricing::contract::{ContractCommand, ContractReply};
use lockstep_actors::pricing::edition::EditionReply;
use lockstep_actors::pricing::index::IndexReply;
use lockstep_actors::pricing::rates::RateReply;
use lockstep_actors::pricing::tax::TaxReply;
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::message::Outcome;

impl BatchItem for PriceSet {
    /// A price has a version of its own.
    const NEEDS_ID: bool = false;

    fn into_item(self, source: &SystemName) -> Result<Item, DecodeError> {
        Ok(Item {
            id: None,
            message: self.into_message(source)?,
        })
    }
}

impl BatchItem for ItemSet {
    /// An entry has a version of its own.
    const NEEDS_ID: bool = false;

    fn into_item(self, source: &SystemName) -> Result<Item, DecodeError> {
        Ok(Item {
            id: None,
            message: self.into_message(source)?,
        })
    }
}

/// `POST` and `PUT /v1/items`
pub(super) async fn set_items(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::PricesWrite)?;
    let body = Received::of(&request, payload, service.timeout).await?;
    batch::serve::<ItemSet>(&request, &service, &call, &body).await
}

/// `POST` and `PUT /v1/prices`
pub(super) async fn set_prices(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::PricesWrite)?;
    let body = Received::of(&request, payload, service.timeout).await?;
    batch::serve::<PriceSet>(&request, &service, &call, &body).await
}

/// `POST` and `PUT` of what is set as a whole: `/v1/editions`, `/v1/budgets`, `/v1/indices`, `/v1/contracts`, `/v1/agreements`, `/v1/rates`, `/v1/taxes`, `/v1/volumes`.
pub(super) async fn set_whole<T: Command>(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    set_whole_with::<T>(&request, &service, payload, Scope::PricesWrite).await
}

/// Sets something as a whole, for whoever has `scope`.
pub(super) async fn set_whole_with<T: Command>(
    request: &HttpRequest,
    service: &Service,
    payload: web::Payload,
    scope: Scope,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(request, scope)?;
    let whole: T = Received::of(request, payload, service.timeout).await?.decode()?;
    let message = whole.into_message(&call.caller.system)?;
    let decided = service.ask_once(&call, message).await?;
    let outcome = match decided.reply {
        Some(
            Reply::Contract(ContractReply::Refused(refusal))
            | Reply::Agreement(AgreementReply::Refused(refusal))
            | Reply::Rates(RateReply::Refused(refusal))
            | Reply::Taxes(TaxReply::Refused(refusal))
            | Reply::Editions(EditionReply::Refused(refusal))
            | Reply::Budget(BudgetReply::Refused(refusal))
            | Reply::Index(IndexReply::Refused(refusal)),
        ) => return Err(price_refusal(&refusal)),
        Some(Reply::Account(AccountReply::Refused(refusal))) => return Err(account_refusal(&refusal)),
        Some(reply) => Outcome::Done {
            reply,
            repeated: decided.repeated,
        },
        None => Outcome::Repeated,
    };
    answer(request, StatusCode::OK, &CommandResult::of(outcome))
}

/// `POST /v1/quotes`
pub(super) async fn quote(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::PricesRead)?;
    let ask: QuoteAsk = Received::of(&request, payload, service.timeout).await?.decode()?;
    let numbers = ask.numbers();
    let message = ask.into_message(&call.caller.system)?;
    // A question changes nothing: asked again, it is answered anew. A quote that is kept is kept once.
    let decided = if message.is_query() {
        service.look(&call, message).await?
    } else {
        service.ask_once(&call, message).await?
    };
    match decided.reply {
        Some(Reply::Contract(ContractReply::Quoted(quote))) => {
            answer(&request, StatusCode::OK, &PriceQuote::from(*quote))
        }
        Some(Reply::Contract(ContractReply::QuoteKept(kept))) => {
            answer(&request, StatusCode::OK, &PriceQuote::from(kept))
        }
        Some(Reply::Contract(ContractReply::NoQuote(refusal))) => Err(quote_refusal(&refusal, &numbers)),
        Some(Reply::Contract(ContractReply::Refused(refusal))) => Err(price_refusal(&refusal)),
        Some(_) | None => Err(Problem::internal(
            &"a contract answered a question with something else",
        )),
    }
}

/// `POST /v1/price-sheets`
pub(super) async fn price_sheet(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::PricesRead)?;
    let ask: SheetAsk = Received::of(&request, payload, service.timeout).await?.decode()?;
    let message = Message::Contract(ask.customer.clone(), ContractCommand::Terms);
    let Some(Reply::Contract(ContractReply::Contract(agreed))) = service.look(&call, message).await?.reply
    else {
        return Err(Problem::internal(
            &"a contract answered a question with something else",
        ));
    };
    let sheet = tokio::time::timeout(service.timeout, service.sheets.work_out(ask, *agreed)).await;
    match sheet.map_err(|_| Problem::answer_timeout())? {
        Ok(sheet) => answer(&request, StatusCode::OK, &sheet),
        Err(NoSheet::Refused(refusal)) => Err(quote_refusal(&refusal, &[])),
        Err(failed @ NoSheet::Failed) => Err(Problem::internal(&failed)),
    }
}
