//! Signatures of webhooks: HMAC-SHA256, compared in constant time.

use crate::channels::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::time::Duration;

/// How far the moment of a signature of ours may be from now.
pub(super) const TOLERANCE: Duration = Duration::from_secs(300);

/// Whether `claimed` is the base64 of the body's HMAC, as Shopify
/// (<https://shopify.dev/docs/apps/build/webhooks/verify-deliveries>) and WooCommerce
/// (<https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks>) sign.
pub(super) fn is_base64_of(secret: &Secret, body: &[u8], claimed: &str) -> bool {
    let claimed = STANDARD.decode(claimed.trim());
    claimed.is_ok_and(|claimed| is_mac(secret, &[body], &claimed))
}

/// Whether `claimed` is our own: `t=<seconds>,v1=<hex of HMAC-SHA256(secret, "<seconds>.<body>")>`, of a moment near `now`.
pub(super) fn is_ours(secret: &Secret, body: &[u8], claimed: &str, now: Duration) -> bool {
    let part = |name: &str| {
        let parts = claimed.split(',').map(str::trim);
        parts
            .filter_map(|part| part.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    };
    let (Some(seconds), Some(digits)) = (part("t"), part("v1").and_then(bytes_of)) else {
        return false;
    };
    let Ok(at) = seconds.parse().map(Duration::from_secs) else {
        return false;
    };
    at.abs_diff(now) <= TOLERANCE && is_mac(secret, &[seconds.as_bytes(), b".", body], &digits)
}

fn is_mac(secret: &Secret, parts: &[&[u8]], claimed: &[u8]) -> bool {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return false;
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(claimed).is_ok()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|place| u8::from_str_radix(&hex[place..place + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::SecretSource;

    fn secret() -> Secret {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        SecretSource::File(path).read().unwrap()
    }

    /// Worked with `printf '{"id":1}' | openssl dgst -sha256 -hmac s3cret -binary | base64`.
    #[test]
    fn a_platform_signs_the_raw_body_in_base64() {
        let signed = "Y92rNNpYOOODVF6ckLQPdKTj2qvF3ZqNSaUYda1LJBg=";
        let cases = [
            (r#"{"id":1}"#, signed, true),
            (r#"{"id": 1}"#, signed, false),
            (r#"{"id":1}"#, "", false),
            (r#"{"id":1}"#, "no base64 at all", false),
            (r#"{"id":1}"#, &signed[4..], false),
        ];
        for (body, claimed, expected) in cases {
            assert_eq!(
                is_base64_of(&secret(), body.as_bytes(), claimed),
                expected,
                "{body} {claimed}"
            );
        }
    }

    /// Worked with `printf '1700000000.[]' | openssl dgst -sha256 -hmac s3cret`.
    #[test]
    fn our_own_signature_holds_for_its_body_and_for_five_minutes() {
        let hex = "512e49db73a127cba8a4f4b6ef10cb123f09ca2f7a456f76681f1ee914c4a30c";
        let signed = format!("t=1700000000,v1={hex}");
        let cases = [
            (signed.clone(), "[]", 1_700_000_000, true),
            (signed.clone(), "[]", 1_700_000_300, true),
            (signed.clone(), "[]", 1_700_000_301, false),
            (signed.clone(), "[]", 1_699_999_699, false),
            (signed, "[1]", 1_700_000_000, false),
            (format!("t=1700000001,v1={hex}"), "[]", 1_700_000_000, false),
            (format!("v1={hex}"), "[]", 1_700_000_000, false),
            ("t=1700000000,v1=5é".to_owned(), "[]", 1_700_000_000, false),
        ];
        for (claimed, body, now, expected) in cases {
            let found = is_ours(&secret(), body.as_bytes(), &claimed, Duration::from_secs(now));
            assert_eq!(found, expected, "{claimed} {body} {now}");
        }
    }
}
