//! JSON Web Tokens (RFC 7519): by these some platforms prove that a request is theirs, and by these we prove to others who we are.
//!
//! The only algorithm is RS256 (RFC 7518, section 3.3), which is what these platforms sign with. It is not looked up by what a token
//! says of itself: a token that names another one is refused, so no token can choose how it is judged. Why this is not a crate:
//! docs/adr/0014-own-web-tokens.md.
//!
//! Must hold: nothing of a token is believed before its signature was checked against a key of the platform's, but for the name
//! of that key; a token that is not for us, is not of the platform, or is not of now is refused.

mod keys;
mod sign;
#[cfg(test)]
mod tests;
pub mod vectors;

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::keys::KeySets;
pub use self::sign::{NoKey, SigningKey};

/// Seconds that the platform's clock may be off ours: what Microsoft asks for
/// (<https://learn.microsoft.com/en-us/azure/bot-service/rest-api/bot-framework-rest-connector-authentication>).
const LEEWAY: i64 = 300;
/// No platform's token is as long, in bytes.
const LONGEST: usize = 16 * 1024;

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who made it; any of these.
    pub issuers: &'a [&'a str],
    /// Whom it is for: us.
    pub audience: &'a str,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// There is none.
    #[error("the request has no bearer token in its Authorization header")]
    Missing,
    /// It is no token.
    #[error("the bearer token is no signed JSON Web Token")]
    Malformed,
    /// It is not signed by the only algorithm.
    #[error("the bearer token is not signed with RS256")]
    Algorithm,
    /// Its key is none of the platform's.
    #[error("the bearer token's key is none of the platform's")]
    Key,
    /// It was changed, or made by somebody else.
    #[error("the bearer token's signature is not the platform's")]
    Signature,
    /// It is of somebody else.
    #[error("the bearer token is not by the platform's issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("the bearer token is for another audience than this channel")]
    Audience,
    /// It is over, or not yet.
    #[error("the bearer token is not of now: it has expired, or the clocks differ by more than 5 minutes")]
    Time,
}

/// A public key of a platform's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    n: Vec<u8>,
    e: Vec<u8>,
    /// For which of its channels the platform lets the key speak; only Microsoft's say so.
    pub endorsements: Vec<String>,
}

/// A platform's keys, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicKeys(HashMap<String, PublicKey>);

/// What a genuine token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<'k> {
    /// Its claims.
    pub claims: Map<String, Value>,
    /// The key by which it is signed.
    pub key: &'k PublicKey,
}

impl Verified<'_> {
    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }
}

/// The token in a request's headers (RFC 6750, section 2.1).
///
/// # Errors
/// When there is none.
pub fn bearer(headers: &HeaderMap) -> Result<&str, NotGenuine> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = given.and_then(|given| given.split_once(' ')).ok_or(NotGenuine::Missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(NotGenuine::Missing) }
}

/// The name of the key by which a token says it is signed. Anybody may say so.
///
/// # Errors
/// When it is no token that could be genuine.
pub fn key_of(token: &str) -> Result<String, NotGenuine> {
    let (header, _) = token.split_once('.').ok_or(NotGenuine::Malformed)?;
    if token.len() > LONGEST {
        return Err(NotGenuine::Malformed);
    }
    let header: Header = decoded(header)?;
    // What is marked as critical must be understood (RFC 7515, section 4.1.11), and nothing is.
    if header.alg != "RS256" || header.crit.is_some() {
        return Err(NotGenuine::Algorithm);
    }
    header.kid.ok_or(NotGenuine::Key)
}

impl PublicKeys {
    /// Of a key set (RFC 7517, section 5). Keys of other kinds are left out; they must not hide the others.
    ///
    /// # Errors
    /// When it is no key set.
    pub fn read(document: &[u8]) -> Result<Self, serde_json::Error> {
        let set: KeySet = serde_json::from_slice(document)?;
        Ok(Self(set.keys.into_iter().filter_map(key).collect()))
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one has this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Checks a token at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn verify(&self, token: &str, expected: Expected<'_>, now: i64) -> Result<Verified<'_>, NotGenuine> {
        let key = self.0.get(&key_of(token)?).ok_or(NotGenuine::Key)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(NotGenuine::Malformed)?;
        let (_, claims) = signed.split_once('.').ok_or(NotGenuine::Malformed)?;
        let signature = BASE64.decode(signature).map_err(|_| NotGenuine::Malformed)?;
        RsaPublicKeyComponents { n: &key.n, e: &key.e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .map_err(|_| NotGenuine::Signature)?;
        let claims: Map<String, Value> = decoded(claims)?;
        check(&claims, expected, now)?;
        Ok(Verified { claims, key })
    }
}

fn check(claims: &Map<String, Value>, expected: Expected<'_>, now: i64) -> Result<(), NotGenuine> {
    let issuer = claims.get("iss").and_then(Value::as_str).ok_or(NotGenuine::Issuer)?;
    if !expected.issuers.contains(&issuer) {
        return Err(NotGenuine::Issuer);
    }
    let is_ours = match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().any(|one| one == expected.audience),
        Some(one) => one == expected.audience,
        None => false,
    };
    if !is_ours {
        return Err(NotGenuine::Audience);
    }
    let time = |name: &str| claims.get(name).map(|value| value.as_f64().ok_or(NotGenuine::Time)).transpose();
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
    let (earliest, latest) = ((now - LEEWAY) as f64, (now + LEEWAY) as f64);
    let expires = time("exp")?.ok_or(NotGenuine::Time)?;
    let begins = time("nbf")?.unwrap_or(0.0);
    if expires < earliest || begins > latest { Err(NotGenuine::Time) } else { Ok(()) }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    n: String,
    e: String,
    #[serde(default)]
    endorsements: Vec<String>,
}

fn key(json: Value) -> Option<(String, PublicKey)> {
    let jwk: Jwk = serde_json::from_value(json).ok()?;
    let number = |text: &str| {
        let bytes = BASE64.decode(text).ok()?;
        // Some write a zero in front, which the check of a signature does not take.
        let from = bytes.iter().position(|byte| *byte != 0)?;
        Some(bytes[from..].to_vec())
    };
    let key = PublicKey { n: number(&jwk.n)?, e: number(&jwk.e)?, endorsements: jwk.endorsements };
    (jwk.kty == "RSA").then_some((jwk.kid, key))
}

fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, NotGenuine> {
    let json = BASE64.decode(part).map_err(|_| NotGenuine::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| NotGenuine::Malformed)
}
