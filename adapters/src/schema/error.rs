//! Why a body is no canonical message: a stable code, the path of the field, and a reason for a person.

use super::limits::MAX_DEPTH;
use super::wire::BodyFormat;
use lockstep_actors::pricing::resolve::QuoteRefusal;
use serde::Serialize;
use std::fmt;

/// What kind of fault a body has. The text of a code never changes: dead letters and problem documents carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeCode {
    /// Not a whole document of its format: truncated, or not JSON or MessagePack at all.
    Malformed,
    /// A text is not UTF-8.
    NotUtf8,
    /// Longer than [`super::limits::MAX_BODY_BYTES`].
    TooLarge,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The message's `schema` is none that is known here.
    UnknownSchema,
    /// The message's `version` is none that is known here.
    UnknownVersion,
    /// A field is missing, unknown, of the wrong type or out of its range.
    InvalidField,
}

impl DecodeCode {
    /// The code as others see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotUtf8 => "not-utf8",
            Self::TooLarge => "too-large",
            Self::TooDeep => "too-deep",
            Self::UnknownSchema => "unknown-schema",
            Self::UnknownVersion => "unknown-version",
            Self::InvalidField => "invalid-field",
        }
    }
}

impl fmt::Display for DecodeCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a body is no canonical message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {}{reason}", prefix(field))]
pub struct DecodeError {
    /// The kind of fault.
    pub code: DecodeCode,
    /// The path of the field, as in `body.lines[3].quantity`; empty if the fault is in the body as a whole.
    pub field: String,
    /// What is wrong, for a person.
    pub reason: String,
}

fn prefix(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    }
}

/// How much of a field's path, and of a reason, is kept: either may quote the sender's own text, and both go into the
/// headers of a dead letter.
const MAX_WORDS_BYTES: usize = 400;

impl DecodeError {
    /// A fault in `field`, or in the whole body if that is empty.
    #[must_use]
    pub fn new(code: DecodeCode, field: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self {
            code,
            field: shortened(field.into()),
            reason: shortened(reason.to_string()),
        }
    }

    /// A field that is well formed but means nothing here.
    #[must_use]
    pub fn field(field: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::new(DecodeCode::InvalidField, field, reason)
    }
}

fn shortened(mut words: String) -> String {
    if words.len() > MAX_WORDS_BYTES {
        words.truncate(words.floor_char_boundary(MAX_WORDS_BYTES));
        words.push('…');
    }
    words
}

/// A decoder's own error, sorted into our codes.
pub(super) trait Classify: fmt::Display {
    fn code(&self) -> DecodeCode;

    /// What is wrong, in the words of the trade rather than of the format.
    fn reason(&self) -> String {
        self.to_string()
    }
}

impl Classify for serde_json::Error {
    fn code(&self) -> DecodeCode {
        match self.classify() {
            serde_json::error::Category::Data => DecodeCode::InvalidField,
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => DecodeCode::Malformed,
        }
    }
}

/// A MessagePack string that is not UTF-8 reaches text types as bytes, and they refuse its value, not its type.
const BYTES_FOR_TEXT: &str = "invalid value: byte array";

impl Classify for rmp_serde::decode::Error {
    fn code(&self) -> DecodeCode {
        use rmp_serde::decode::Error;
        match self {
            Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) | Error::Uncategorized(_) => {
                DecodeCode::Malformed
            }
            Error::Utf8Error(_) => DecodeCode::NotUtf8,
            Error::DepthLimitExceeded => DecodeCode::TooDeep,
            Error::Syntax(reason) if reason.starts_with(BYTES_FOR_TEXT) => DecodeCode::NotUtf8,
            Error::Syntax(_) | Error::TypeMismatch(_) | Error::OutOfRange | Error::LengthMismatch(_) => {
                DecodeCode::InvalidField
            }
        }
    }

    fn reason(&self) -> String {
        if let rmp_serde::decode::Error::TypeMismatch(marker) = self {
            return format!(
                "invalid type: {}, expected another",
                described(&format!("{marker:?}"))
            );
        }
        self.to_string()
    }
}

/// A MessagePack marker in words. The type itself is not exported by the library, its name is.
fn described(marker: &str) -> &'static str {
    const KINDS: [(&str, &str); 10] = [
        ("FixStr", "string"),
        ("Str", "string"),
        ("FixArray", "sequence"),
        ("Array", "sequence"),
        ("FixMap", "map"),
        ("Map", "map"),
        ("Bin", "byte array"),
        ("Null", "null"),
        ("True", "boolean"),
        ("False", "boolean"),
    ];
    KINDS
        .iter()
        .find(|(prefix, _)| marker.starts_with(prefix))
        .map_or("extension or number", |&(_, kind)| kind)
}

/// Finds the code of a body that could not be decoded. A deep or garbled body fails first at whatever field the
/// decoder met; what is wrong with the body as a whole says more.
pub(super) fn refuse(format: BodyFormat, bytes: &[u8], path: String, error: &impl Classify) -> DecodeError {
    if format == BodyFormat::Json {
        if let Err(utf8) = std::str::from_utf8(bytes) {
            let at = utf8.valid_up_to();
            return DecodeError::new(
                DecodeCode::NotUtf8,
                "",
                format_args!("the body is not UTF-8 from byte {at} on"),
            );
        }
        if json_depth(bytes) > MAX_DEPTH {
            return too_deep();
        }
    }
    match error.code() {
        DecodeCode::TooDeep => too_deep(),
        DecodeCode::Malformed => DecodeError::new(
            DecodeCode::Malformed,
            "",
            format_args!("not a whole {format} document: {error}"),
        ),
        DecodeCode::NotUtf8 => DecodeError::new(DecodeCode::NotUtf8, path, "the text is not UTF-8"),
        code @ (DecodeCode::InvalidField
        | DecodeCode::TooLarge
        | DecodeCode::UnknownSchema
        | DecodeCode::UnknownVersion) => DecodeError::new(
            code,
            if path == "." { String::new() } else { path },
            error.reason(),
        ),
    }
}

fn too_deep() -> DecodeError {
    DecodeError::new(
        DecodeCode::TooDeep,
        "",
        format_args!("objects and arrays may be nested at most {MAX_DEPTH} deep"),
    )
}

/// How deep objects and arrays are nested in what looks like JSON.
fn json_depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for &byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The path of what is in the way of a price: of a line, by its place in the list, if it is one.
pub(crate) fn field_of_line(refusal: &QuoteRefusal, place: Option<usize>) -> String {
    let within = match refusal.cause() {
        QuoteRefusal::UnknownCustomer { .. } | QuoteRefusal::Blocked { .. } => "customer",
        QuoteRefusal::OtherCurrency { .. } | QuoteRefusal::NoRates { .. } => "currency",
        QuoteRefusal::NoPrice { .. } => "sku",
        QuoteRefusal::TooMuch { .. } | QuoteRefusal::NotWhole { .. } => "quantity",
        QuoteRefusal::UnknownUnit { .. } => "unit",
        QuoteRefusal::TooManyCoupons => "coupons",
        QuoteRefusal::Lines { .. } => "lines",
        QuoteRefusal::Held { .. }
        | QuoteRefusal::NoTaxRate { .. }
        | QuoteRefusal::NoTaxProfile
        | QuoteRefusal::Overflow
        | QuoteRefusal::UnknownAgreement { .. }
        | QuoteRefusal::TooManyLevels { .. }
        | QuoteRefusal::OfLine { .. } => "",
    };
    match (place, within) {
        (None, within) => within.to_owned(),
        (Some(place), "") => format!("lines[{place}]"),
        (Some(place), within) => format!("lines[{place}].{within}"),
    }
}

/// The name of a refusal's variant, as it is written everywhere.
pub(crate) fn code<T: Serialize>(refusal: &T) -> String {
    let value = serde_json::to_value(refusal).unwrap_or_default();
    let name = match &value {
        serde_json::Value::String(name) => Some(name),
        serde_json::Value::Object(variant) => variant.keys().next(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_) => None,
    };
    name.cloned().unwrap_or_else(|| "refused".to_owned())
}
