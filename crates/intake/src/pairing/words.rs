//! What strangers and owners are told.

use chrono::{DateTime, Utc};
use claw_store::{Pairing, Person};

/// Longest text of somebody's that is repeated to them, in characters.
const QUOTE_LIMIT: usize = 40;

/// To a stranger.
pub(super) fn asked(code: &str) -> String {
    format!(
        "This bot does not know you yet. Ask its owner to let you in with this code, within an hour:\n\n{code}\n\n\
         What you write until then is kept and answered afterwards."
    )
}

/// To somebody who was let in.
pub(super) fn welcome(passed_on: usize) -> String {
    let before = if passed_on == 0 { "" } else { " What you wrote before is being answered." };
    format!("You can write to this bot now.{before}")
}

/// To the owner who let somebody in.
pub(super) fn approved(person: &Person) -> String {
    format!("{} can write to this bot now.", named(person))
}

/// To an owner who lets somebody in for the second time.
pub(super) fn approved_before(person: &Person) -> String {
    format!("{} was let in before.", named(person))
}

/// To the owner who turned somebody away.
pub(super) fn denied(person: &Person) -> String {
    format!("{} was turned away, and is not answered for a day.", named(person))
}

/// To an owner whose code is none.
pub(super) fn no_such_code(typed: &str) -> String {
    let typed = shown(typed, QUOTE_LIMIT);
    format!("No request has the code {typed:?}. A code is good for an hour; /pair list shows those that are.")
}

/// To an owner who needs help.
pub(super) fn help() -> String {
    "/pair CODE lets somebody in, /pair deny CODE turns them away, /pair list shows who waits.".to_owned()
}

/// To an owner who asks who waits.
pub(super) fn waiting(pending: &[Pairing], now: DateTime<Utc>) -> String {
    let lines = pending.iter().filter_map(|pairing| {
        let minutes = (now - pairing.created_at).num_minutes().max(0);
        Some(format!("{} {}, {minutes} min ago", pairing.code, named(pairing.person.as_ref()?)))
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { "Nobody waits to be let in.".to_owned() } else { lines.join("\n") }
}

fn named(person: &Person) -> String {
    match person.name.as_str() {
        "" => person.id.clone(),
        name => format!("{name} ({})", person.id),
    }
}

/// A text of somebody's in a line of ours: without what would break it or turn it around.
pub(super) fn shown(text: &str, limit: usize) -> String {
    // Marks that reverse the direction of writing could make one id look like another.
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.trim().chars().take(limit).map(|c| if steers(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_name_stays_in_its_place() {
        let person = Person {
            id: "42".to_owned(),
            name: shown("Ada\n\u{202e}evil\u{0}", 7),
            recipient: "42".to_owned(),
            thread_id: None,
        };
        assert_eq!(approved(&person), "Ada  ev (42) can write to this bot now.");
        assert_eq!(denied(&Person { name: String::new(), ..person }).split(' ').next(), Some("42"));
    }
}
