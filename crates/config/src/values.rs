//! Parsers of single values; each error says what a right value looks like.

use claw_types::{Pooler, ShardCount};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

/// A secret text.
///
/// # Errors
/// When it is empty.
pub fn secret(text: &str) -> Result<SecretString, String> {
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.trim().into()) }
}

/// `postgres://user:password@host:port/database`.
///
/// # Errors
/// When it is not such a URL.
pub fn database_url(text: &str) -> Result<SecretString, String> {
    let ok = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"));
    if ok {
        Ok(text.into())
    } else {
        Err("is not like postgres://user:password@host:5432/database".to_owned())
    }
}

/// `nats://host:port`, several separated by commas.
///
/// # Errors
/// When one is not such a URL.
pub fn nats_url(text: &str) -> Result<SecretString, String> {
    let ok = |one: &str| Url::parse(one.trim()).is_ok_and(|url| matches!(url.scheme(), "nats" | "tls"));
    if text.split(',').all(ok) { Ok(text.into()) } else { Err("is not like nats://host:4222".to_owned()) }
}

/// An http or https URL.
///
/// # Errors
/// When it is not.
pub fn http_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("is not like http://host:8000/path".to_owned()),
    }
}

/// Days for which messages are kept; 0: for ever.
///
/// # Errors
/// When it is 1 to 6, for which a repeated message could outlive what it repeats, or not in 0..=3650.
pub fn message_days(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(days @ (0 | 7..=3650)) => Ok(days),
        _ => Err("is not 0 (for ever) or a number of days from 7 to 3650".to_owned()),
    }
}

/// A number of shards.
///
/// # Errors
/// When it is not in 1..=32767.
pub fn shard_count(text: &str) -> Result<ShardCount, String> {
    text.parse().ok().and_then(ShardCount::new).ok_or_else(|| "is not a number from 1 to 32767".to_owned())
}

/// What stands before the database.
///
/// # Errors
/// When it is neither of the two words.
pub fn pooler(text: &str) -> Result<Pooler, String> {
    match text {
        "none" => Ok(Pooler::None),
        "transaction" => Ok(Pooler::Transaction),
        _ => Err("must be one of: none, transaction".to_owned()),
    }
}

/// A worker's weight.
///
/// # Errors
/// When it is not above zero.
pub fn weight(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(weight) if weight.is_finite() && weight > 0.0 => Ok(weight),
        _ => Err("is not a number above 0".to_owned()),
    }
}

/// A part of a whole.
///
/// # Errors
/// When it is not a number from 0 to 1.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("is not a number from 0 to 1".to_owned()),
    }
}

/// Names and values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

/// `name=value,name=value`, as OpenTelemetry's variables are written: spaces around them don't count, and values are percent-encoded
/// (<https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable>).
///
/// # Errors
/// When a part of it is not such a pair. It does not say which: there may be secrets in it.
pub fn pairs(text: &str) -> Result<Pairs, String> {
    let wrong = || "is not like name=value,name=value".to_owned();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?;
        let name = name.trim();
        if name.is_empty() { Err(wrong()) } else { Ok((name.to_owned(), value.into_owned())) }
    };
    parts.map(pair).collect::<Result<_, _>>().map(Pairs)
}

/// [`pairs`] whose values are secrets.
///
/// # Errors
/// As [`pairs`].
pub fn secret_pairs(text: &str) -> Result<SecretString, String> {
    pairs(text).map(|_| text.into())
}
