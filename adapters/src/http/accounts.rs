//! `/v1/accounts` and `/v1/account-documents`: credit terms, what is posted to accounts, and how they stand.

use super::batch::{self, BatchItem, Item};
use super::exchange::{Received, answer};
use super::prices::set_whole_with;
use super::problem::Problem;
use super::service::Service;
use crate::identity::Scope;
use crate::schema::account::{AccountDocument, AccountSet, AccountView};
use crate::schema::{Command, DecodeError};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::accounts::command::{AccountCommand, AccountReply};
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::ids::{CustomerId, SystemName};

impl BatchItem for AccountDocument {
    /// A document has a number of its own.
    const NEEDS_ID: bool = false;

    fn into_item(self, source: &SystemName) -> Result<Item, DecodeError> {
        Ok(Item {
            id: None,
            message: self.into_message(source)?,
        })
    }
}

/// `POST` and `PUT /v1/accounts`
pub(super) async fn set(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    set_whole_with::<AccountSet>(&request, &service, payload, Scope::AccountsWrite).await
}

/// `POST /v1/account-documents`
pub(super) async fn post(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::AccountsWrite)?;
    let body = Received::of(&request, payload, service.timeout).await?;
    batch::serve::<AccountDocument>(&request, &service, &call, &body).await
}

/// `GET /v1/accounts/{customer}`
pub(super) async fn show(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::AccountsRead)?;
    let customer = CustomerId::new(&path).map_err(|error| DecodeError::field("path", error))?;
    let look = Message::Account(customer.clone(), AccountCommand::Show);
    let Some(Reply::Account(AccountReply::Account(summary))) = service.look(&call, look).await?.reply else {
        return Err(Problem::internal(
            &"an account answered a look with something else",
        ));
    };
    answer(&request, StatusCode::OK, &AccountView::new(customer, *summary))
}
