//! How an ERP behind HTTP wants to be asked, and how it answers, as data: the `[erp.http]` table.
//!
//! What is left out is as in the standard form, so that an ERP that differs in one thing needs one line.

use super::super::What;
use super::template::{Place, Templates};
use crate::egress::InvalidSetting;
use compact_str::CompactString;
use lockstep_actors::orders::paper::PaperKind;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most that a template may have, in bytes.
const MAX_TEMPLATE_BYTES: usize = 64 * 1024;

/// The `[erp.http]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpErpConfig {
    /// What the bodies are; checked to be JSON if it is `application/json`.
    pub content_type: String,
    /// Where an answer has the number of the booking or the paper: a JSON Pointer (RFC 6901). A number or a text.
    pub number: String,
    /// Where an answer says what has become of the booking.
    pub state: String,
    /// What stands there if it does not stand any more.
    pub withdrawn: Vec<String>,
    /// Where a refusal says why.
    pub detail: String,
    /// The statuses that say that the booking is there already.
    pub booked_before: Vec<u16>,
    /// The statuses that say that nothing is there.
    pub absent: Vec<u16>,
    /// Whether an answer to a lookup that has no number says so too, as an empty list of results does. If not, such an
    /// answer is an error: a wrong pointer must not pass for an order that is not booked.
    pub no_number_is_absent: bool,
    /// The statuses after which nothing was done for certain, and another attempt may help.
    pub try_again: Vec<u16>,
    /// The papers that can be posted: `credit` and `change`.
    pub posts: Vec<PaperKind>,
    /// Where the answer to a reading has its rows: a JSON Pointer to a list.
    pub rows: String,
    /// Where it says how to go on: a text or number for the next request's `after`; nothing there on the last page. Empty for an
    /// ERP that goes on by `page` or `offset` until a page is not full.
    pub next: String,
    /// The requests, where they differ from the standard form.
    pub requests: BTreeMap<Request, RequestForm>,
}

impl HttpErpConfig {
    /// Reads all templates and tries each.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        Forms::new(self.clone()).map(drop)
    }
}

impl Default for HttpErpConfig {
    fn default() -> Self {
        Self {
            content_type: "application/json".to_owned(),
            number: "/number".to_owned(),
            state: "/cancelled".to_owned(),
            withdrawn: vec!["true".to_owned()],
            detail: "/detail".to_owned(),
            booked_before: vec![409],
            absent: vec![404],
            no_number_is_absent: false,
            try_again: vec![401, 403, 404, 405, 408, 425, 429, 503],
            posts: vec![PaperKind::Credit, PaperKind::Change],
            rows: "/rows".to_owned(),
            next: "/next".to_owned(),
            requests: BTreeMap::new(),
        }
    }
}

/// What an ERP is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Book an order.
    Book,
    /// What is booked under a key?
    Lookup,
    /// Cancel it.
    Cancel,
    /// Post a credit note.
    PostCredit,
    /// Which credit note is posted under a key?
    FindCredit,
    /// Post a change of a booked order.
    PostChange,
    /// Which change is posted under a key?
    FindChange,
    /// What is on hand?
    ReadStock,
    /// What is to come?
    ReadReceipts,
    /// Which customers are there?
    ReadCustomers,
    /// Which list prices are there?
    ReadPriceLists,
    /// What is agreed with customers?
    ReadContracts,
}

impl Request {
    const ALL: [Self; 12] = [
        Self::Book,
        Self::Lookup,
        Self::Cancel,
        Self::PostCredit,
        Self::FindCredit,
        Self::PostChange,
        Self::FindChange,
        Self::ReadStock,
        Self::ReadReceipts,
        Self::ReadCustomers,
        Self::ReadPriceLists,
        Self::ReadContracts,
    ];

    /// Reading this.
    pub(super) const fn read(what: What) -> Self {
        match what {
            What::Stock => Self::ReadStock,
            What::Receipts => Self::ReadReceipts,
            What::Customers => Self::ReadCustomers,
            What::PriceLists => Self::ReadPriceLists,
            What::Contracts => Self::ReadContracts,
        }
    }

    /// Posting a paper of this kind.
    pub(super) const fn post(kind: PaperKind) -> Self {
        match kind {
            PaperKind::Credit => Self::PostCredit,
            PaperKind::Change => Self::PostChange,
        }
    }

    /// Looking for a paper of this kind.
    pub(super) const fn find(kind: PaperKind) -> Self {
        match kind {
            PaperKind::Credit => Self::FindCredit,
            PaperKind::Change => Self::FindChange,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Lookup => "lookup",
            Self::Cancel => "cancel",
            Self::PostCredit => "post-credit",
            Self::FindCredit => "find-credit",
            Self::PostChange => "post-change",
            Self::FindChange => "find-change",
            Self::ReadStock => "read-stock",
            Self::ReadReceipts => "read-receipts",
            Self::ReadCustomers => "read-customers",
            Self::ReadPriceLists => "read-price-lists",
            Self::ReadContracts => "read-contracts",
        }
    }

    fn key(self) -> String {
        format!("erp.http.requests.{}", self.name())
    }

    /// Method, path and body of the standard form.
    const fn standard(self) -> (&'static str, &'static str, Option<&'static str>) {
        const BOOKING: &str = r#"{"reference":{{ order }},"customer":{{ customer }},"currency":{{ currency }},
            "total":{{ total }},"lines":{{ lines }},"charges":{{ charges }}}"#;
        const CREDIT: &str = r#"{"customer":{{ customer }},"total":{{ total }},"lines":{{ lines }}}"#;
        const CHANGE: &str =
            r#"{"customer":{{ customer }},"total":{{ total }},"lines":{{ lines }},"moved":{{ moved }}}"#;
        match self {
            Self::Book => ("POST", "/bookings", Some(BOOKING)),
            Self::Lookup => ("GET", "/bookings/{{ order }}", None),
            Self::Cancel => ("DELETE", "/bookings/{{ order }}", None),
            Self::PostCredit => (
                "PUT",
                "/bookings/{{ order }}/credits/{{ document }}",
                Some(CREDIT),
            ),
            Self::FindCredit => ("GET", "/bookings/{{ order }}/credits/{{ document }}", None),
            Self::PostChange => (
                "PUT",
                "/bookings/{{ order }}/changes/{{ document }}",
                Some(CHANGE),
            ),
            Self::FindChange => ("GET", "/bookings/{{ order }}/changes/{{ document }}", None),
            Self::ReadStock => (
                "GET",
                "/stock?since={{ since }}&after={{ after }}&limit={{ limit }}",
                None,
            ),
            Self::ReadReceipts => (
                "GET",
                "/receipts?since={{ since }}&after={{ after }}&limit={{ limit }}",
                None,
            ),
            Self::ReadCustomers => (
                "GET",
                "/customers?since={{ since }}&after={{ after }}&limit={{ limit }}",
                None,
            ),
            Self::ReadPriceLists => (
                "GET",
                "/price-lists?since={{ since }}&after={{ after }}&limit={{ limit }}",
                None,
            ),
            Self::ReadContracts => (
                "GET",
                "/contracts?since={{ since }}&after={{ after }}&limit={{ limit }}",
                None,
            ),
        }
    }

    /// A booking, paper or reading such as the templates will meet, to try them before they do.
    fn example(self) -> Value {
        match self {
            Self::Book
            | Self::Lookup
            | Self::Cancel
            | Self::PostCredit
            | Self::FindCredit
            | Self::PostChange
            | Self::FindChange => Self::example_of_order(),
            Self::ReadStock
            | Self::ReadReceipts
            | Self::ReadCustomers
            | Self::ReadPriceLists
            | Self::ReadContracts => Self::example_of_reading("2026-03-01T12:00:00Z"),
        }
    }

    fn example_of_reading(since: &str) -> Value {
        serde_json::json!({ "since": since, "after": "", "limit": 200, "page": 0, "offset": 0 })
    }

    fn example_of_order() -> Value {
        let line = serde_json::json!({ "line": 1, "sku": "A-1", "quantity": 2, "unit_price": "4.75", "amount": "9.50",
            "tax": "1.81", "total": "11.31", "allocations": [{ "warehouse": "W1", "quantity": 2 }] });
        serde_json::json!({ "order": "web/4711", "channel": "web", "order_number": "4711", "customer": "C-1",
            "document": "RMA-1", "moved": false, "currency": "EUR", "total": { "amount": "11.31", "currency": "EUR" },
            "lines": [line], "charges": [{ "kind": "freight", "amount": "1.00" }] })
    }
}

/// A request where it differs from the standard form. Path, headers and body are templates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestForm {
    /// As in `POST`.
    pub method: Option<CompactString>,
    /// Path and query below `erp.url`.
    pub path: Option<String>,
    /// Headers beside the content type.
    pub headers: Option<BTreeMap<String, String>>,
    /// The body; empty for none.
    pub body: Option<String>,
    /// Where its answer has the number, if elsewhere.
    pub number: Option<String>,
    /// Where its answer has the rows, if elsewhere.
    pub rows: Option<String>,
    /// Where its answer says how to go on, if elsewhere.
    pub next: Option<String>,
}

/// A request, ready to be sent.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<String>,
}

/// The forms of all requests, checked.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) config: HttpErpConfig,
    templates: Templates,
    forms: BTreeMap<Request, Form>,
}

#[derive(Debug)]
struct Form {
    method: Method,
    headers: Vec<HeaderName>,
    has_body: bool,
    number: String,
    rows: String,
    next: String,
}

/// What an answer to a reading holds.
#[derive(Debug, PartialEq)]
pub(super) struct Told<'a> {
    pub(super) rows: &'a [Value],
    /// How it goes on.
    pub(super) next: Next,
}

/// How a reading goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// After this.
    After(String),
    /// With the next number of a page, if this page is full.
    ByNumber,
    /// Not at all.
    End,
}

impl Forms {
    /// Reads all templates and tries each.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub(super) fn new(config: HttpErpConfig) -> Result<Self, InvalidSetting> {
        let mut all = Self {
            config,
            templates: Templates::new(),
            forms: BTreeMap::new(),
        };
        for (key, pointer) in [
            ("number", &all.config.number),
            ("state", &all.config.state),
            ("detail", &all.config.detail),
            ("rows", &all.config.rows),
            ("next", &all.config.next),
        ] {
            is_pointer(&format!("erp.http.{key}"), pointer)?;
        }
        for request in Request::ALL {
            all.read(request)?;
            all.try_out(request)?;
        }
        Ok(all)
    }

    fn read(&mut self, request: Request) -> Result<(), InvalidSetting> {
        let (method, path, body) = request.standard();
        let own = self.config.requests.get(&request).cloned().unwrap_or_default();
        let key = request.key();
        let method = own.method.unwrap_or_else(|| method.into());
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| wrong(format!("{key}.method"), &method, "an HTTP method, as in POST"))?;
        self.template(
            &key,
            "path",
            Place::Path,
            &own.path.unwrap_or_else(|| path.to_owned()),
        )?;
        let body = own
            .body
            .or_else(|| body.map(str::to_owned))
            .filter(|body| !body.is_empty());
        if let Some(body) = &body {
            self.template(&key, "body", Place::Body, body)?;
        }
        let mut headers = Vec::new();
        for (name, value) in own.headers.unwrap_or_else(|| standard_headers(request)) {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            headers.push(
                parsed.map_err(|_| wrong(format!("{key}.headers"), &name, "the name of an HTTP header"))?,
            );
            self.template(&key, &name, Place::Header, &value)?;
        }
        let number = own.number.unwrap_or_else(|| self.config.number.clone());
        is_pointer(&format!("{key}.number"), &number)?;
        let rows = own.rows.unwrap_or_else(|| self.config.rows.clone());
        is_pointer(&format!("{key}.rows"), &rows)?;
        let next = own.next.unwrap_or_else(|| self.config.next.clone());
        is_pointer(&format!("{key}.next"), &next)?;
        self.forms.insert(
            request,
            Form {
                method,
                headers,
                has_body: body.is_some(),
                number,
                rows,
                next,
            },
        );
        Ok(())
    }

    fn template(&mut self, key: &str, name: &str, place: Place, text: &str) -> Result<(), InvalidSetting> {
        let key = format!("{key}.{name}");
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(wrong(
                key,
                &text.len().to_string(),
                "a template of at most 65536 bytes",
            ));
        }
        self.templates.add(&key, place, text).map_err(|error| {
            let found = format!("{text} ({error})");
            wrong(key, &found, "a template, as in /orders/{{ order }}")
        })
    }

    fn try_out(&self, request: Request) -> Result<(), InvalidSetting> {
        let unusable = |reason: String| {
            wrong(
                request.key(),
                &reason,
                "a request; docs/erp.md has the names that there are",
            )
        };
        let written = self.write(request, &request.example()).map_err(unusable)?;
        if !written.path.starts_with('/') {
            return Err(unusable(format!("{} does not begin with /", written.path)));
        }
        let is_json = self.config.content_type == "application/json";
        if let Some(body) = written.body.filter(|_| is_json) {
            serde_json::from_str::<Value>(&body)
                .map_err(|error| unusable(format!("its body is no JSON: {error}: {body}")))?;
        }
        Ok(())
    }

    /// A request about this booking or paper; what is wrong with it otherwise.
    pub(super) fn write(&self, request: Request, of: &impl Serialize) -> Result<Written, String> {
        let key = request.key();
        let text = |name: &str, place| {
            let text = self.templates.render(&format!("{key}.{name}"), place, of);
            text.map_err(|error| format!("{key}.{name}: {error}"))
        };
        let form = self
            .forms
            .get(&request)
            .ok_or_else(|| format!("{key} is not there"))?;
        let mut headers = HeaderMap::new();
        for name in &form.headers {
            let value = HeaderValue::from_str(&text(name.as_str(), Place::Header)?);
            headers.insert(
                name,
                value.map_err(|error| format!("{key}.headers.{name}: {error}"))?,
            );
        }
        Ok(Written {
            method: form.method.clone(),
            path: text("path", Place::Path)?,
            headers,
            body: form.has_body.then(|| text("body", Place::Body)).transpose()?,
        })
    }

    /// Whether a reading says since when, and so brings only what has changed.
    pub(super) fn tells_changes(&self, what: What) -> bool {
        let asked = |since| {
            let written = self.write(Request::read(what), &Request::example_of_reading(since));
            written.map(|written| (written.path, written.headers, written.body))
        };
        asked("2026-03-01T12:00:00Z") != asked("")
    }

    /// What an answer to a reading holds; none if there are no rows where they should be.
    pub(super) fn told<'a>(&self, request: Request, answer: &'a Value) -> Option<Told<'a>> {
        let form = self.forms.get(&request)?;
        let rows = answer.pointer(&form.rows)?.as_array()?;
        let next = if form.next.is_empty() {
            Next::ByNumber
        } else {
            let after = said(answer, &form.next).filter(|after| !after.is_empty());
            after.map_or(Next::End, Next::After)
        };
        Some(Told { rows, next })
    }

    /// The number in an answer to this request.
    pub(super) fn number(&self, request: Request, answer: &Value) -> Option<String> {
        said(answer, &self.forms.get(&request)?.number)
    }

    /// Whether an answer says that the booking does not stand any more.
    pub(super) fn is_withdrawn(&self, answer: &Value) -> bool {
        said(answer, &self.config.state).is_some_and(|state| self.config.withdrawn.contains(&state))
    }

    /// Why a refusal says it is one.
    pub(super) fn detail(&self, answer: &Value) -> String {
        said(answer, &self.config.detail).unwrap_or_default()
    }
}

fn standard_headers(request: Request) -> BTreeMap<String, String> {
    match request {
        Request::Book => BTreeMap::from([("idempotency-key".to_owned(), "{{ order }}".to_owned())]),
        Request::Lookup
        | Request::Cancel
        | Request::PostCredit
        | Request::FindCredit
        | Request::PostChange
        | Request::FindChange
        | Request::ReadStock
        | Request::ReadReceipts
        | Request::ReadCustomers
        | Request::ReadPriceLists
        | Request::ReadContracts => BTreeMap::new(),
    }
}

fn wrong(key: String, value: &str, allowed: &'static str) -> InvalidSetting {
    InvalidSetting {
        key,
        value: value.to_owned(),
        allowed,
    }
}

/// Refuses what is no JSON Pointer.
pub(in crate::erp) fn is_pointer(key: &str, pointer: &str) -> Result<(), InvalidSetting> {
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(());
    }
    Err(wrong(
        key.to_owned(),
        pointer,
        "a JSON Pointer, as in /order/number",
    ))
}

/// The text, number or truth value at a place.
fn said(answer: &Value, pointer: &str) -> Option<String> {
    match answer.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn forms(text: &str) -> Result<Forms, InvalidSetting> {
        Forms::new(toml::from_str(text).unwrap())
    }

    /// The example of the book: another vocabulary, a lookup by search, numbers in place of texts.
    const OTHER: &str = include_str!("../../../../docs/erp.md");

    fn other() -> Forms {
        let (_, example) = OTHER
            .split_once("```toml\n# An ERP of another vocabulary.\n")
            .unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let document: toml::Table = toml::from_str(example).unwrap();
        let http = document["erp"]["http"].clone();
        Forms::new(http.try_into().unwrap()).unwrap()
    }

    #[test]
    fn the_standard_form_asks_as_it_always_did() {
        let forms = forms("").unwrap();
        let order = Request::Book.example();
        let book = forms.write(Request::Book, &order).unwrap();
        assert_eq!((book.method.as_str(), book.path.as_str()), ("POST", "/bookings"));
        assert_eq!(book.headers["idempotency-key"], "web/4711");
        let body: Value = serde_json::from_str(&book.body.unwrap()).unwrap();
        assert_eq!(body["reference"], "web/4711");
        assert_eq!(
            (&body["lines"], &body["charges"]),
            (&order["lines"], &order["charges"])
        );
        let lookup = forms.write(Request::Lookup, &order).unwrap();
        assert_eq!(
            (lookup.path.as_str(), lookup.body),
            ("/bookings/web%2F4711", None)
        );
        let credit = forms.write(Request::post(PaperKind::Credit), &order).unwrap();
        assert_eq!(
            (credit.method.as_str(), credit.path.as_str()),
            ("PUT", "/bookings/web%2F4711/credits/RMA-1")
        );
        let answer = json!({ "number": "SO-1", "cancelled": true, "detail": "closed" });
        assert_eq!(forms.number(Request::Book, &answer).as_deref(), Some("SO-1"));
        assert!(forms.is_withdrawn(&answer) && !forms.is_withdrawn(&json!({ "cancelled": false })));
        assert_eq!(forms.detail(&answer), "closed");
    }

    #[test]
    fn an_erp_of_another_vocabulary_is_asked_in_its_own() {
        let forms = other();
        let book = forms.write(Request::Book, &Request::Book.example()).unwrap();
        assert_eq!(book.path, "/sales/orders");
        let body: Value = serde_json::from_str(&book.body.unwrap()).unwrap();
        let expected = json!({ "customerReference": "web/4711", "debtor": "C-1", "positions": [
            { "article": "A-1", "pieces": 2, "net": 9.50 }] });
        assert_eq!(body, expected);
        let lookup = forms.write(Request::Lookup, &Request::Lookup.example()).unwrap();
        assert_eq!(
            lookup.path,
            "/sales/orders?filter=customerReference%20eq%20%27web%2F4711%27"
        );
        let found = json!({ "value": [{ "orderNo": 815, "status": "VOID" }] });
        assert_eq!(forms.number(Request::Lookup, &found).as_deref(), Some("815"));
        assert!(forms.is_withdrawn(&found));
        assert_eq!(forms.number(Request::Lookup, &json!({ "value": [] })), None);
    }

    #[test]
    fn what_is_read_goes_on_as_the_answer_says_and_since_when_it_is_asked() {
        let stock = Request::ReadStock;
        let standard = forms("").unwrap();
        let written = standard.write(stock, &Request::example_of_reading("2026-03-01T12:00:00Z"));
        let path = "/stock?since=2026-03-01T12%3A00%3A00Z&after=&limit=200";
        assert_eq!(written.unwrap().path, path);
        let answer = json!({ "rows": [{ "sku": "A" }], "next": 7 });
        let told = standard.told(stock, &answer).unwrap();
        assert_eq!((told.rows.len(), told.next), (1, Next::After("7".to_owned())));
        for last in [json!({ "rows": [] }), json!({ "rows": [], "next": null })] {
            assert_eq!(standard.told(stock, &last).unwrap().next, Next::End);
        }
        // A wrong pointer does not pass for an ERP that has nothing.
        assert_eq!(standard.told(stock, &json!({ "value": [] })), None);

        let other = forms(
            "[requests.read-stock]\npath = '/items?$skip={{ offset }}&$top={{ limit }}'\nrows = '/value'\nnext = ''",
        )
        .unwrap();
        let answer = json!({ "value": [1] });
        assert_eq!(other.told(stock, &answer).unwrap().next, Next::ByNumber);
        assert!(standard.tells_changes(What::Stock) && !other.tells_changes(What::Stock));
        assert!(other.tells_changes(What::Contracts));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_before_the_start() {
        let cases = [
            ("number = 'number'", "erp.http.number", "JSON Pointer"),
            (
                "requests.book.method = 'PO ST'",
                "erp.http.requests.book.method",
                "POST",
            ),
            (
                "requests.book.path = 'bookings'",
                "erp.http.requests.book",
                "docs/erp.md",
            ),
            (
                "requests.book.path = '/{{ custmer }}'",
                "erp.http.requests.book",
                "docs/erp.md",
            ),
            (
                "requests.book.body = '{{ order'",
                "erp.http.requests.book.body",
                "template",
            ),
            (
                "requests.book.body = '{\"a\": }'",
                "erp.http.requests.book",
                "docs/erp.md",
            ),
            (
                "requests.lookup.headers = { 'a b' = 'c' }",
                "erp.http.requests.lookup.headers",
                "header",
            ),
            (
                "requests.read-stock.path = '/{{ order }}'",
                "erp.http.requests.read-stock",
                "docs/erp.md",
            ),
            (
                "requests.read-stock.rows = 'x'",
                "erp.http.requests.read-stock.rows",
                "JSON Pointer",
            ),
            (
                "requests.find-credit.number = 'x'",
                "erp.http.requests.find-credit.number",
                "JSON Pointer",
            ),
        ];
        for (text, key, allowed) in cases {
            let error = forms(text).unwrap_err();
            assert!(
                error.key == key && error.allowed.contains(allowed),
                "{text}: {error}"
            );
        }
        assert!(toml::from_str::<HttpErpConfig>("requests.bok.path = '/'").is_err());
        assert!(toml::from_str::<HttpErpConfig>("posts = ['invoice']").is_err());
    }
}
