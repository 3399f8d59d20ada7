//! Reading from an ERP behind HTTP: a page is one request, its rows lie where a JSON Pointer says, a row's fields too.

use super::super::{Ask, ErpError, ErpSource, Mark, Page, What};
use super::form::{Next, Request};
use super::{HttpErp, harmless, read};
use serde::Serialize;
use serde_json::{Value, json};

/// What templates know of a reading.
#[derive(Serialize)]
struct Asked<'a> {
    /// As in `2026-03-01T12:00:00Z`; empty where everything is read.
    since: String,
    /// What the answer before has said of how to go on; empty for the first page.
    after: &'a str,
    /// How many rows a page may have.
    limit: u32,
    /// The page's number, from 0.
    page: u64,
    /// How many rows were read before it.
    offset: u64,
}

impl<'a> Asked<'a> {
    fn of(ask: &Ask<'a>) -> Result<Self, ErpError> {
        let mark = ask.mark.map(|mark| &mark.0);
        let text = |name: &str| mark.and_then(|mark| mark.get(name)?.as_str());
        let number = |name: &str| mark.and_then(|mark| mark.get(name)?.as_u64()).unwrap_or(0);
        let since = ask
            .since
            .map(|since| jiff::Timestamp::from_millisecond(since.as_millis()));
        let since = since
            .transpose()
            .map_err(|error| ErpError::Rejected(error.to_string()))?;
        Ok(Self {
            since: since.map(|since| since.to_string()).unwrap_or_default(),
            after: text("after").unwrap_or_default(),
            limit: ask.table.page_size,
            page: number("page"),
            offset: number("offset"),
        })
    }

    /// Where a page of so many rows ends.
    fn mark(&self, next: Next, rows: u64) -> Option<Mark> {
        let after = match next {
            Next::After(after) => after,
            Next::ByNumber if rows >= u64::from(self.limit) => String::new(),
            Next::ByNumber | Next::End => return None,
        };
        // One that goes on after the same is the same page again, and is seen by that.
        let (page, offset) = if after.is_empty() {
            (self.page + 1, self.offset.saturating_add(rows))
        } else {
            (0, 0)
        };
        Some(Mark(json!({ "after": after, "page": page, "offset": offset })))
    }
}

impl HttpErp {
    async fn read_page(&self, ask: &Ask<'_>) -> Result<Page, ErpError> {
        let asked = Asked::of(ask)?;
        let request = Request::read(ask.table.what);
        let response = self.ask(request, &asked).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let answer = read(response).await?;
        let told = self.forms.told(request, &answer).ok_or_else(|| {
            let reason = "an answer without rows where erp.http.rows says";
            ErpError::Transient(reason.to_owned())
        })?;
        let rows = told
            .rows
            .iter()
            .filter_map(|row| ask.table.row(|field| at(ask, row, field)));
        Ok(Page {
            rows: rows.collect(),
            next: asked.mark(told.next, told.rows.len() as u64),
            ..Page::default()
        })
    }
}

/// What a row has of a field: where the table says, or under the field's own name.
fn at(ask: &Ask<'_>, row: &Value, field: &str) -> Option<Value> {
    let value = match ask.table.fields.get(field) {
        Some(pointer) => row.pointer(pointer),
        None => row.get(field),
    };
    value.cloned()
}

impl ErpSource for HttpErp {
    fn tells_changes(&self, what: What) -> bool {
        self.forms.tells_changes(what)
    }

    async fn page(&self, ask: &Ask<'_>) -> Result<Page, ErpError> {
        self.read_page(ask).await.map_err(harmless)
    }
}
