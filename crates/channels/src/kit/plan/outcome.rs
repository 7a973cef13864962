//! What became of each part of a message.
//!
//! Stored are the platform's ids of what was sent, in order, and why the next part was not. Which parts there are is planned
//! anew when somebody asks: so a message costs nothing for it, and what versions stored that knew nothing of parts is told as
//! well. Must hold: a part is called sent if and only if the platform gave an id of it.

use claw_types::MessageState;
use serde::Serialize;
use utoipa::ToSchema;

use super::Content;

/// A part of a message, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartOutcome {
    /// Its place, from 0.
    pub index: usize,
    /// `text`, `image`, `video`, `audio`, `voice`, `file`, `album`, `location` or `poll`; of a change to a sent message, `edit`,
    /// `delete` or `react`. Null when it is not known any more.
    #[schema(example = "text")]
    pub kind: Option<&'static str>,
    /// What became of it.
    pub state: PartState,
    /// The platform's ids of it: several of an album, none of what was not sent.
    pub platform_message_ids: Vec<String>,
    /// Why it was not sent, or not yet.
    pub error: Option<String>,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartState {
    /// The platform has it.
    Sent,
    /// It was refused, or is not sent because one before it was not.
    Failed,
    /// It was handed over, but the platform's answer never came.
    Uncertain,
    /// It is still to be sent.
    Pending,
}

impl Content {
    /// As [`PartOutcome::kind`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Media { media, .. } => media.kind.as_str(),
            Self::Album { .. } => "album",
            Self::Location(_) => "location",
            Self::Poll(_) => "poll",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::React { .. } => "react",
        }
    }
}

/// What became of the parts of a message whose plan has these `kinds`; `sent` are the platform's ids of those that it took. Without
/// a plan only these are known, and that another one was not sent.
pub fn outcomes(
    kinds: &[&'static str],
    state: MessageState,
    sent: &[String],
    error: Option<&str>,
) -> Vec<PartOutcome> {
    let parts = match state {
        MessageState::Done => sent.len(),
        _ if kinds.is_empty() => sent.len() + 1,
        _ => kinds.len().max(sent.len()),
    };
    let one = |index: usize| {
        let (state, error) = match (sent.get(index), state) {
            (Some(_), _) => (PartState::Sent, None),
            (None, MessageState::Pending) if index > sent.len() => (PartState::Pending, None),
            (None, state) if index > sent.len() => (PartState::Failed, Some(behind(state, sent.len() + 1))),
            (None, state) => (state_of_first(state), error.map(|error| own(error, index, parts))),
        };
        // The ids of an album stand in one receipt, with commas between.
        let ids = sent.get(index).into_iter().flat_map(|ids| ids.split(','));
        PartOutcome {
            index,
            kind: kinds.get(index).copied(),
            state,
            platform_message_ids: ids.map(str::to_owned).collect(),
            error,
        }
    };
    (0..parts).map(one).collect()
}

/// Of the first part that was not sent.
fn state_of_first(state: MessageState) -> PartState {
    match state {
        MessageState::Pending => PartState::Pending,
        MessageState::Uncertain => PartState::Uncertain,
        _ => PartState::Failed,
    }
}

/// Why a part behind the `n`th, which was not sent, is not sent, either.
fn behind(state: MessageState, n: usize) -> String {
    match state {
        MessageState::Uncertain => format!("not sent, because nobody knows whether part {n} was"),
        _ => format!("not sent, because part {n} was not"),
    }
}

/// A message's error as that of the part that it names.
fn own(error: &str, index: usize, parts: usize) -> String {
    let place = in_place(index, parts);
    error.strip_prefix(place.as_str()).unwrap_or(error).to_owned()
}

/// How the error of a message of several parts begins: with the part that it is of.
pub fn in_place(index: usize, parts: usize) -> String {
    if parts > 1 { format!("part {} of {parts}: ", index + 1) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// State, ids and error of each.
    fn told(state: MessageState, sent: &[&str], error: Option<&str>) -> Vec<(PartState, String, String)> {
        let sent: Vec<String> = sent.iter().map(|id| (*id).to_owned()).collect();
        let parts = outcomes(&["album", "text", "text"], state, &sent, error);
        assert!(parts.iter().enumerate().all(|(n, part)| part.index == n));
        let told = |part: PartOutcome| {
            (part.state, part.platform_message_ids.join(" "), part.error.unwrap_or_default())
        };
        parts.into_iter().map(told).collect()
    }

    fn part(state: PartState, ids: &str, error: &str) -> (PartState, String, String) {
        (state, ids.to_owned(), error.to_owned())
    }

    #[test]
    fn which_parts_arrived_is_told_in_every_state() {
        use PartState::{Failed, Pending, Sent, Uncertain};
        let all = told(MessageState::Done, &["1,2", "3", "4"], None);
        assert_eq!(all, [part(Sent, "1 2", ""), part(Sent, "3", ""), part(Sent, "4", "")]);
        let refused = told(MessageState::Failed, &["1,2"], Some("part 2 of 3: chat not found"));
        let rest = part(Failed, "", "not sent, because part 2 was not");
        assert_eq!(refused, [part(Sent, "1 2", ""), part(Failed, "", "chat not found"), rest]);
        let cut = told(MessageState::Uncertain, &["1,2"], Some("part 2 of 3: no answer"));
        let rest = part(Failed, "", "not sent, because nobody knows whether part 2 was");
        assert_eq!(cut, [part(Sent, "1 2", ""), part(Uncertain, "", "no answer"), rest]);
        let waits = told(MessageState::Pending, &["1,2"], Some("part 2 of 3: asks to wait"));
        let rest = part(Pending, "", "");
        assert_eq!(waits, [part(Sent, "1 2", ""), part(Pending, "", "asks to wait"), rest]);
    }

    #[test]
    fn a_plan_that_is_not_known_any_more_makes_nothing_up() {
        let sent = ["7".to_owned()];
        let of = |state, error| outcomes(&[], state, &sent, error);
        assert_eq!(of(MessageState::Done, None).len(), 1);
        let failed = of(MessageState::Failed, Some("refused"));
        assert_eq!((failed.len(), failed[1].kind, failed[1].error.as_deref()), (2, None, Some("refused")));
        // A version that cuts texts elsewhere counts more parts than this one.
        let fewer = outcomes(&["text"], MessageState::Failed, &["1".into(), "2".into()], Some("refused"));
        assert!(fewer.iter().all(|part| part.state == PartState::Sent), "{fewer:?}");
    }
}
