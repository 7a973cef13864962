//! Whether a call of a hook comes from somebody who knows its secret.
//!
//! An id by which a repeated call is known counts only after that. Where a signature covers one, that one counts.

use axum::http::HeaderMap;
use claw_secrets::signature::{self, Standard};
use claw_store::HookAuth;

use crate::{auth, idempotency};

/// GitHub's header, and that of everyone who does as GitHub does.
const HUB: &str = "x-hub-signature-256";
/// Where senders put what is the same when they send it again.
const IDS: [&str; 2] = ["idempotency-key", "x-github-delivery"];

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The call's id, if it has one; else why it may be anyone's.
pub fn check(
    auth: HookAuth,
    secret: &str,
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<Option<String>, String> {
    let signed_id = match auth {
        HookAuth::Hmac => signed(secret, headers, body, now)?,
        HookAuth::Bearer => {
            let Some(token) = auth::bearer(headers) else {
                return Err("there is no header \"Authorization: Bearer <secret>\"".to_owned());
            };
            if !signature::same(token, secret.as_bytes()) {
                return Err("the bearer token is not the hook's secret".to_owned());
            }
            None
        }
    };
    let named = || IDS.into_iter().find_map(|name| header(headers, name));
    let id = signed_id.or_else(named).filter(|id| idempotency::is_key(id));
    Ok(id.map(str::to_owned))
}

fn signed<'a>(
    secret: &str,
    headers: &'a HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<Option<&'a str>, String> {
    let standard = (
        header(headers, "webhook-id"),
        header(headers, "webhook-timestamp"),
        header(headers, "webhook-signature"),
    );
    let mut reason =
        "there is no signature: X-Webhook-Signature, X-Hub-Signature-256 or those of Standard Webhooks"
            .to_owned();
    if let (Some(id), Some(time), Some(signatures)) = standard {
        match (Standard { id, time, signatures }).verify(secret, body, now) {
            Ok(()) => return Ok(Some(id)),
            Err(error) => reason = error.to_string(),
        }
    }
    for name in [signature::HEADER, HUB] {
        let Some(given) = header(headers, name) else { continue };
        if signature::verify(secret.as_bytes(), body, given) {
            return Ok(None);
        }
        reason = format!("{name} is not the signature of this exact body with the hook's secret");
    }
    Err(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_c2VjcmV0LXNlY3JldA==";
    const NOW: i64 = 1_700_000_000;

    fn with(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn hmac(pairs: &[(&'static str, &str)]) -> Result<Option<String>, String> {
        check(HookAuth::Hmac, SECRET, &with(pairs), b"{}", NOW)
    }

    #[test]
    fn each_scheme_opens_and_only_its_own_secret_does() {
        let plain = signature::sign(SECRET.as_bytes(), b"{}");
        let other = signature::sign(b"other", b"{}");
        let key = signature::standard_key(SECRET);
        let standard = signature::sign_standard(&key, "m-1", NOW, b"{}");
        assert_eq!(hmac(&[("x-webhook-signature", &plain)]), Ok(None));
        assert_eq!(hmac(&[("x-hub-signature-256", &plain)]), Ok(None));
        let headers =
            [("webhook-id", "m-1"), ("webhook-timestamp", "1700000000"), ("webhook-signature", &standard)];
        assert_eq!(hmac(&headers), Ok(Some("m-1".to_owned())));
        for (headers, reason) in [
            (vec![], "there is no signature"),
            (vec![("x-webhook-signature", &*other)], "x-webhook-signature is not"),
            (vec![("x-hub-signature-256", &other)], "x-hub-signature-256 is not"),
            (vec![("x-hub-signature-256", &plain[7..])], "x-hub-signature-256 is not"),
            (vec![("authorization", "Bearer whsec_c2VjcmV0LXNlY3JldA==")], "there is no signature"),
            (headers[..2].to_vec(), "there is no signature"),
            (vec![("webhook-id", "m-2"), headers[1], headers[2]], "webhook-signature is not"),
        ] {
            assert!(hmac(&headers).unwrap_err().starts_with(reason), "{headers:?}");
        }
        let bearer = |header: &str| {
            check(HookAuth::Bearer, SECRET, &with(&[("authorization", header)]), b"anything", NOW)
        };
        assert_eq!(bearer("Bearer whsec_c2VjcmV0LXNlY3JldA=="), Ok(None));
        assert!(bearer("Bearer whsec_c2VjcmV0LXNlY3JldA=").is_err());
        assert!(bearer("Basic x").is_err());
        assert!(
            check(HookAuth::Bearer, SECRET, &with(&[("x-webhook-signature", &plain)]), b"{}", NOW).is_err()
        );
    }

    #[test]
    fn the_id_that_is_signed_counts_most() {
        let plain = signature::sign(SECRET.as_bytes(), b"{}");
        let standard = signature::sign_standard(&signature::standard_key(SECRET), "m-1", NOW, b"{}");
        let signed = ("x-webhook-signature", &*plain);
        let id = |pairs: &[(&'static str, &str)]| hmac(pairs).unwrap();
        assert_eq!(id(&[signed, ("x-github-delivery", "g")]).as_deref(), Some("g"));
        assert_eq!(id(&[signed, ("x-github-delivery", "g"), ("idempotency-key", "i")]).as_deref(), Some("i"));
        assert_eq!(id(&[signed, ("idempotency-key", "a b")]), None, "not one that could be stored");
        assert_eq!(id(&[signed, ("webhook-id", "not covered")]), None);
        let all = [
            ("webhook-id", "m-1"),
            ("webhook-timestamp", "1700000000"),
            ("webhook-signature", &*standard),
            ("idempotency-key", "i"),
        ];
        assert_eq!(id(&all).as_deref(), Some("m-1"));
    }
}
