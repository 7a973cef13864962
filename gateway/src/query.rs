//! The query string, typed. A key that a call does not know is refused: a filter with a typing error would otherwise
//! show everything.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::body::sentence;
use crate::error::Problem;

/// Most entries of one page.
pub const MAX_PAGE: u32 = 200;
/// Entries of a page when nothing is said.
pub const PAGE: u32 = 50;

/// The query string as a `T`. An empty value is as good as an absent one.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query string; see [`Query`].
///
/// # Errors
/// 400 naming the key that is wrong.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let given = form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty());
    let kept = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(kept.as_bytes()));
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let said = error.inner().to_string();
        match said.strip_prefix("duplicate field `") {
            Some(key) => Problem::bad_request(format!(
                "the query key {:?} is there more than once",
                crate::body::shown(key.trim_end_matches('`'))
            )),
            None => sentence::refused(&error.path().to_string(), &said),
        }
    })
}

/// How many entries to show.
///
/// # Errors
/// 400 when it is none or too many.
pub fn limit(given: Option<u32>) -> Result<i64, Problem> {
    match given {
        None => Ok(i64::from(PAGE)),
        Some(n @ 1..=MAX_PAGE) => Ok(i64::from(n)),
        Some(_) => Err(Problem::bad_request(format!("\"limit\" must be from 1 to {MAX_PAGE}"))),
    }
}

/// Splits off what was read to see whether there is another page; answers that page's cursor.
pub fn page<T, C>(mut found: Vec<T>, limit: i64, cursor: impl Fn(&T) -> C) -> (Vec<T>, Option<C>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(cursor);
    (found, next)
}

/// A filter's text, as far as the database can compare with it.
///
/// # Errors
/// 400 for a control character: no stored value has one, and PostgreSQL refuses NUL.
pub fn storable(key: &str, given: Option<String>) -> Result<Option<String>, Problem> {
    if let Some(text) = &given {
        crate::body::printable(key, text, 1_000)?;
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        state: Option<String>,
        limit: Option<u32>,
    }

    #[test]
    fn empty_is_absent_and_a_wrong_key_is_named() {
        let said = |query: &str| parse::<Filter>(query).unwrap_err().detail().to_owned();
        assert_eq!(parse::<Filter>("").unwrap(), Filter { state: None, limit: None });
        assert_eq!(parse::<Filter>("state=&limit=5").unwrap(), Filter { state: None, limit: Some(5) });
        assert_eq!(said("stat=x"), "the key \"stat\" is not known here; the keys are: state, limit");
        assert_eq!(said("state=a&state=b"), "the query key \"state\" is there more than once");
        assert!(said("limit=-1").starts_with("\"limit\": invalid digit"));
    }
}
