//! What every list asks of its query: which entries, and how many.

use super::problem::Problem;
use crate::schema::DecodeError;
use actix_web::{HttpRequest, web};
use serde::de::DeserializeOwned;

/// How many entries are listed without being asked for more or fewer.
const USUAL_LIMIT: usize = 100;

/// The query, or what is wrong with it.
pub(super) fn asked<T: DeserializeOwned + 'static>(request: &HttpRequest) -> Result<T, Problem> {
    let asked = web::Query::<T>::from_query(request.query_string());
    Ok(asked
        .map_err(|error| DecodeError::field("query", error))?
        .into_inner())
}

/// How many entries to list: what is asked for, from 1 to `most`.
pub(super) fn limit(asked: Option<usize>, most: usize) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(USUAL_LIMIT);
    if limit == 0 || limit > most {
        let reason = format!("is between 1 and {most}, not {limit}");
        return Err(DecodeError::field("limit", reason).into());
    }
    Ok(limit)
}
