//! Which events a caller wants, from a query or a body.

use claw_store::EventFilter;
use claw_store::events::TYPES;
use claw_types::InstanceId;

use crate::body;
use crate::error::Problem;

/// Most patterns of one filter.
pub const MOST: usize = 50;

/// A checked filter. `types` are patterns, none for all; `channel` is a slug.
///
/// # Errors
/// 400 for a pattern that no event fits, or a text that is no slug.
pub fn filter<'a>(
    types: impl IntoIterator<Item = &'a str>,
    channel: Option<&str>,
) -> Result<EventFilter, Problem> {
    let mut patterns: Vec<String> = Vec::new();
    for pattern in types.into_iter().map(str::trim).filter(|pattern| !pattern.is_empty()) {
        if !EventFilter::can_match(pattern) {
            return Err(unknown(pattern));
        }
        if patterns.iter().all(|known| known != pattern) {
            patterns.push(pattern.to_owned());
        }
    }
    if patterns.len() > MOST {
        return Err(Problem::bad_request(format!("\"types\" names more than {MOST} types: use patterns")));
    }
    let channel = channel.map(str::parse::<InstanceId>).transpose();
    let channel = channel.map_err(|error| Problem::bad_request(format!("\"channel\": {error}")))?;
    Ok(EventFilter { types: patterns, channel: channel.map(|slug| slug.as_str().to_owned()) })
}

fn unknown(pattern: &str) -> Problem {
    let known: Vec<_> = TYPES.iter().map(|(kind, _)| *kind).collect();
    Problem::bad_request(format!(
        "\"types\" names {:?}, which no event is; there are: {}, and patterns like message.*",
        body::shown(pattern),
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_and_the_same_pattern_counts_once() {
        let made = filter(["message.*", " channel.failed ", "message.*", ""], Some("my_slug")).unwrap();
        assert_eq!(made.types, ["message.*", "channel.failed"]);
        assert_eq!(made.channel.as_deref(), Some("my_slug"));
        assert_eq!(filter([], None).unwrap(), EventFilter::default());
        for wrong in ["mesage.*", "message", "mess*", "**", "message.sent\0"] {
            let said = filter([wrong], None).unwrap_err().detail().to_owned();
            assert!(
                said.contains("which no event is; there are: ") && said.contains(" channel.changed, "),
                "{wrong}: {said}"
            );
        }
        assert!(filter([], Some("a b")).unwrap_err().detail().starts_with("\"channel\": "));
    }
}
