//! Parsers of single values; each error says what a right value looks like.

use claw_types::{Pooler, ShardCount};
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
