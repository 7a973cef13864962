//! HMAC-SHA256 (RFC 2104) signatures of webhooks and URLs, compared in constant time.
//!
//! Two schemes side by side: II-Agent's `X-Webhook-Signature: sha256=<hex>` over the exact body, and Standard
//! Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`; <https://www.standardwebhooks.com>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header of II-Agent's scheme.
pub const HEADER: &str = "x-webhook-signature";
const PREFIX: &str = "sha256=";

/// HMAC-SHA256 of the parts, one after another.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // `new_from_slice` fails for no key length: HMAC pads or hashes the key (RFC 2104, section 2).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether two secrets are the same, in time that does not tell where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    // Hashed first, so that not even the length shows.
    sha256(a).ct_eq(&sha256(b)).into()
}

/// `sha256=<lower-case hex>` of the exact body.
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    format!("{PREFIX}{}", hex::encode(hmac_sha256(secret, &[body])))
}

/// Whether `header` is [`sign`]'s value for this body.
pub fn verify(secret: &[u8], body: &[u8], header: &str) -> bool {
    let Some(given) = header.strip_prefix(PREFIX).and_then(|text| hex::decode(text).ok()) else {
        return false;
    };
    hmac_sha256(secret, &[body]).as_slice().ct_eq(&given).into()
}

/// Base64 of the HMAC-SHA256 of the exact body, as several platforms sign.
pub fn sign_base64(secret: &[u8], body: &[u8]) -> String {
    STANDARD.encode(hmac_sha256(secret, &[body]))
}

/// Whether `given` is [`sign_base64`]'s value for this body.
pub fn verify_base64(secret: &[u8], body: &[u8], given: &str) -> bool {
    same(given.as_bytes(), sign_base64(secret, body).as_bytes())
}

/// Base64 of the HMAC-SHA1 of a text, as platforms sign that have done so since before SHA-256 was usual. As a MAC it still holds:
/// what is known of SHA-1 are collisions, which don't help who does not have the key (RFC 6194, section 3.3).
pub fn sign_sha1_base64(secret: &[u8], text: &[u8]) -> String {
    // It fails for no key length, as above.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return String::new() };
    mac.update(text);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Whether `given` is [`sign_sha1_base64`]'s value for this text.
pub fn verify_sha1_base64(secret: &[u8], text: &[u8], given: &str) -> bool {
    same(given.as_bytes(), sign_sha1_base64(secret, text).as_bytes())
}

/// The key that Standard Webhooks uses for `secret`: after `whsec_` comes base64, anything else is the key itself.
pub fn standard_key(secret: &str) -> Vec<u8> {
    let decoded = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
    decoded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// A secret as Standard Webhooks writes it, of these random bytes.
pub fn standard_secret(random: &[u8; 32]) -> String {
    format!("whsec_{}", STANDARD.encode(random))
}

/// The value of `webhook-signature` for a message id, its time in seconds since 1970 and the exact body.
pub fn sign_standard(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let time = timestamp.to_string();
    let mac = hmac_sha256(key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
    format!("v1,{}", STANDARD.encode(mac))
}

/// How far a signed timestamp may be from our clock; the tolerance of the Standard Webhooks libraries.
const TOLERANCE_SECS: u64 = 300;

/// Why a request with the headers of Standard Webhooks may be anyone's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// The time is none.
    #[error("webhook-timestamp must be whole seconds since 1970")]
    Time,
    /// Another secret, id, time or body.
    #[error("webhook-signature is not that of this id, time and exact body with this secret")]
    Signature,
    /// Right, but old.
    #[error("webhook-timestamp is more than 5 minutes away from our time; sign the request again")]
    Stale,
}

/// The headers of Standard Webhooks.
#[derive(Debug, Clone, Copy)]
pub struct Standard<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`
    pub time: &'a str,
    /// `webhook-signature`
    pub signatures: &'a str,
}

impl Standard<'_> {
    /// Whether they were made with `secret` for this exact body, and not long from `now`, in seconds since 1970.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, secret: &str, body: &[u8], now: i64) -> Result<(), NotGenuine> {
        let time: i64 = self.time.parse().map_err(|_| NotGenuine::Time)?;
        let expected = sign_standard(&standard_key(secret), self.id, time, body);
        // Several while the sender changes its secret: any of them will do.
        if !self.signatures.split(' ').any(|given| same(given.as_bytes(), expected.as_bytes())) {
            return Err(NotGenuine::Signature);
        }
        if now.abs_diff(time) > TOLERANCE_SECS { Err(NotGenuine::Stale) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_same_bytes() {
        let expected = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
        let body = b"what do ya want for nothing?";
        assert_eq!(sign_base64(b"Jefe", body), expected);
        assert!(verify_base64(b"Jefe", body, expected));
        assert!(!verify_base64(b"Jeff", body, expected));
        assert!(!verify_base64(b"Jefe", body, ""));
    }

    // RFC 4231, test case 2.
    #[test]
    fn hmac_matches_the_rfc() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"])), expected);
    }

    #[test]
    fn only_the_exact_body_verifies() {
        let header = sign(b"secret", b"{}");
        assert!(verify(b"secret", b"{}", &header));
        assert!(!verify(b"secret", b"{} ", &header));
        assert!(!verify(b"other", b"{}", &header));
        assert!(!verify(b"secret", b"{}", header.trim_start_matches("sha256=")));
        assert!(!verify(b"secret", b"{}", "sha256=zz"));
    }

    #[test]
    fn a_new_secret_reads_back() {
        let secret = standard_secret(&[7; 32]);
        assert_eq!(standard_key(&secret), [7; 32]);
        assert!(standardwebhooks::Webhook::new(&secret).is_ok());
    }

    // The reference library's own secret and message.
    #[test]
    fn standard_webhooks_agrees_with_the_reference_library() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        let oracle = standardwebhooks::Webhook::new(secret).unwrap();
        assert_eq!(
            sign_standard(&standard_key(secret), "msg_1", 1_614_265_330, body),
            oracle.sign("msg_1", 1_614_265_330, body).unwrap()
        );
    }

    #[test]
    fn standard_headers_are_good_for_a_while_and_for_one_body() {
        let (secret, body, now) = ("whsec_c2VjcmV0", b"{}", 1_700_000_000);
        let good = sign_standard(&standard_key(secret), "m", now, body);
        let both = format!("v1,bm9uZQ== {good}");
        let given = |time, signatures| Standard { id: "m", time, signatures };
        let table = [
            (given("1700000000", good.as_str()), Ok(())),
            (given("1700000000", both.as_str()), Ok(())),
            (given("1700000001", good.as_str()), Err(NotGenuine::Signature)),
            (given("1700000000", "v1,bm9uZQ=="), Err(NotGenuine::Signature)),
            (given("1700000000", ""), Err(NotGenuine::Signature)),
            (given("soon", good.as_str()), Err(NotGenuine::Time)),
        ];
        for (headers, expected) in table {
            assert_eq!(headers.verify(secret, body, now + 300), expected, "{headers:?}");
        }
        let stale = given("1700000000", good.as_str());
        assert_eq!(stale.verify(secret, body, now + 301), Err(NotGenuine::Stale));
        assert_eq!(stale.verify(secret, body, now - 301), Err(NotGenuine::Stale));
        assert_eq!(stale.verify(secret, b"{} ", now), Err(NotGenuine::Signature));
        assert_eq!(stale.verify("c2VjcmV0", body, now), Err(NotGenuine::Signature));
    }
}
