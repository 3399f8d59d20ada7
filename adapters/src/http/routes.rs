//! Which path leads where. What stands here is what the OpenAPI document describes; a test compares both.

use super::problem::Problem;
use super::{
    accounts, channels, edi, exceptions, letters, levels, operations, orders, overview, picks, prices,
    promises, refusals, stock, webhooks,
};
use crate::schema::agreement::{AgreementSet, RatesSet};
use crate::schema::charge::{TaxesSet, VolumeSet};
use crate::schema::price::{BudgetSet, ContractSet, EditionRelease, IndexPublish};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, Resource};

/// A resource that refuses other methods with the ones it knows.
fn resource(path: &str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<actix_web::HttpResponse, _>(Problem::method_not_allowed(allow))
    }))
}

pub(super) fn configure(routes: &mut ServiceConfig) {
    routes
        .service(resource("/v1/orders", "POST").route(web::post().to(orders::submit)))
        .service(resource("/v1/orders/{channel}/{number}", "GET").route(web::get().to(orders::show)))
        .service(
            resource("/v1/orders/{channel}/{number}/cancel", "POST").route(web::post().to(orders::cancel)),
        )
        .service(
            resource("/v1/orders/{channel}/{number}/change", "POST")
                .route(web::post().to(orders::change_lines)),
        )
        .service(
            resource("/v1/orders/{channel}/{number}/resolve", "POST").route(web::post().to(orders::resolve)),
        )
        .service(
            resource("/v1/orders/{channel}/{number}/progress", "POST")
                .route(web::post().to(orders::progress)),
        )
        .service(
            resource("/v1/orders/{channel}/{number}/history", "GET").route(web::get().to(orders::history)),
        )
        .service(
            resource("/v1/orders/{channel}/{number}/exceptions", "GET")
                .route(web::get().to(exceptions::of_order)),
        )
        .service(resource("/v1/exceptions", "GET").route(web::get().to(exceptions::list)))
        .service(resource("/v1/availability", "GET").route(web::get().to(stock::availability)))
        .service(resource("/v1/stock-levels", "GET").route(web::get().to(levels::levels)))
        .service(resource("/v1/stock", "GET").route(web::get().to(overview::stock)))
        .service(resource("/v1/drifts", "GET").route(web::get().to(overview::drifts)))
        .service(resource("/v1/pick-lists", "GET").route(web::get().to(picks::picks)))
        .service(resource("/v1/promises", "POST").route(web::post().to(promises::promise)))
        .service(resource("/v1/stock-events", "POST").route(web::post().to(stock::events)))
        .service(
            resource("/v1/prices", "POST, PUT")
                .route(web::post().to(prices::set_prices))
                .route(web::put().to(prices::set_prices)),
        )
        .service(
            resource("/v1/editions", "POST, PUT")
                .route(web::post().to(prices::set_whole::<EditionRelease>))
                .route(web::put().to(prices::set_whole::<EditionRelease>)),
        )
        .service(
            resource("/v1/budgets", "POST, PUT")
                .route(web::post().to(prices::set_whole::<BudgetSet>))
                .route(web::put().to(prices::set_whole::<BudgetSet>)),
        )
        .service(
            resource("/v1/indices", "POST, PUT")
                .route(web::post().to(prices::set_whole::<IndexPublish>))
                .route(web::put().to(prices::set_whole::<IndexPublish>)),
        )
        .service(
            resource("/v1/contracts", "POST, PUT")
                .route(web::post().to(prices::set_whole::<ContractSet>))
                .route(web::put().to(prices::set_whole::<ContractSet>)),
        )
        .service(
            resource("/v1/agreements", "POST, PUT")
                .route(web::post().to(prices::set_whole::<AgreementSet>))
                .route(web::put().to(prices::set_whole::<AgreementSet>)),
        )
        .service(
            resource("/v1/taxes", "POST, PUT")
                .route(web::post().to(prices::set_whole::<TaxesSet>))
                .route(web::put().to(prices::set_whole::<TaxesSet>)),
        )
        .service(
            resource("/v1/volumes", "POST, PUT")
                .route(web::post().to(prices::set_whole::<VolumeSet>))
                .route(web::put().to(prices::set_whole::<VolumeSet>)),
        )
        .service(
            resource("/v1/rates", "POST, PUT")
                .route(web::post().to(prices::set_whole::<RatesSet>))
                .route(web::put().to(prices::set_whole::<RatesSet>)),
        )
        .service(
            resource("/v1/items", "POST, PUT")
                .route(web::post().to(prices::set_items))
                .route(web::put().to(prices::set_items)),
        )
        .service(
            resource("/v1/accounts", "POST, PUT")
                .route(web::post().to(accounts::set))
                .route(web::put().to(accounts::set)),
        )
        .service(resource("/v1/accounts/{customer}", "GET").route(web::get().to(accounts::show)))
        .service(resource("/v1/account-documents", "POST").route(web::post().to(accounts::post)))
        .service(resource("/v1/quotes", "POST").route(web::post().to(prices::quote)))
        .service(resource("/v1/price-sheets", "POST").route(web::post().to(prices::price_sheet)))
        .service(resource("/v1/channels", "GET").route(web::get().to(channels::list)))
        .service(
            resource("/v1/channels/{channel}", "GET, POST")
                .route(web::get().to(channels::show))
                .route(web::post().to(channels::change)),
        )
        .service(resource("/v1/edi", "GET").route(web::get().to(edi::list)))
        .service(resource("/v1/webhooks/{channel}", "POST").route(web::post().to(webhooks::take)))
        .service(resource("/v1/refusals", "GET").route(web::get().to(refusals::list)))
        .service(resource("/v1/dead-letters", "GET").route(web::get().to(letters::list)))
        .service(
            resource("/v1/dead-letters/{letter}", "GET, POST")
                .route(web::get().to(letters::show))
                .route(web::post().to(letters::settle)),
        )
        .service(resource("/v1/openapi.json", "GET").route(web::get().to(operations::openapi)))
        .service(
            resource("/v1/health", "GET, HEAD")
                .route(web::get().to(operations::health))
                .route(web::head().to(operations::health)),
        )
        .service(
            resource("/v1/ready", "GET, HEAD")
                .route(web::get().to(operations::ready))
                .route(web::head().to(operations::ready)),
        )
        .service(resource("/metrics", "GET").route(web::get().to(operations::metrics)))
        .default_service(web::to(|request: HttpRequest| async move {
            Err::<actix_web::HttpResponse, _>(Problem::no_route(request.path()))
        }));
}
