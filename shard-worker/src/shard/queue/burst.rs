//! What of a lane goes to the backend together: the messages that one person wrote in a burst.
//!
//! A message with a `debounce_ms` waits for what its sender writes on. Those whose gaps are shorter form a burst, which is
//! over when
//!
//! - nothing came for that long, or its first message has waited for [`PATIENCE`] times as long,
//! - an attachment came, which is the last of it,
//! - the next message is somebody else's or none that may be joined, such as a command: it must not wait,
//! - it has [`MOST`] messages or [`MOST_CHARS`] characters.
//!
//! All of this follows from the stored messages, so it goes on where it was after a restart or with another owner; only a burst
//! of a backlog of which a part is not yet read may be divided.
//!
//! Must hold: before its first attempt a burst is **sealed** (`deliver/burst.rs`): its messages are marked with the id of
//! its last. What was sealed is handed over in just this composition, by whoever owns the shard; a receiver that goes
//! by the id of the webhook would lose what another composition had more.

use std::collections::VecDeque;

use claw_types::{MessageId, WebhookBody, Work};

/// Messages of a burst at most. A lane that has them all in memory is not larger than usual.
pub(super) const MOST: usize = 10;
/// Characters of a burst's texts at most.
const MOST_CHARS: usize = 4_000;
/// A burst's first message waits at most for so many times its `debounce_ms`.
const PATIENCE: i64 = 5;

/// What a lane begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// A message that is alone.
    Single,
    /// So many that go together; one is a burst, too.
    Burst(usize),
    /// What more may come to, until then: milliseconds since 1970.
    Open(i64),
    /// It can't be said without what is only in the database.
    Unread,
}

/// Looks at the messages of a lane, of which there is at least one. `all` when the database has no more of them;
/// `reread` is the burst for which they were read again.
pub(super) fn front(works: &VecDeque<Work>, all: bool, reread: Option<MessageId>, now_ms: i64) -> Front {
    match works.front() {
        None => Front::Unread,
        Some(Work { burst: Some(burst), .. }) => sealed(works, *burst, reread),
        Some(Work { debounce_ms: 0, .. }) => Front::Single,
        Some(first) => forming(first, works, all, now_ms),
    }
}

/// What of a sealed burst is still to be delivered: all of it, unless somebody decided about single messages of it.
fn sealed(works: &VecDeque<Work>, burst: MessageId, reread: Option<MessageId>) -> Front {
    let retries = works.front().map(|first| first.retries);
    let parts = works.iter().take_while(|work| work.burst == Some(burst) && Some(work.retries) == retries);
    let parts: Vec<MessageId> = parts.map(|work| work.id).collect();
    let whole = parts.last() == Some(&burst);
    if whole || reread == Some(burst) { Front::Burst(parts.len()) } else { Front::Unread }
}

fn forming(first: &Work, works: &VecDeque<Work>, all: bool, now_ms: i64) -> Front {
    let Some(mut said) = Said::of(first) else { return Front::Burst(1) };
    let (mut last, mut chars, mut count) = (first, said.chars, 1);
    for next in works.iter().skip(1) {
        let by_now = (chars, count);
        let joined = Said::of(next).filter(|more| {
            !said.ends && follows(first, last, next) && more.by == said.by && fits(by_now, more.chars)
        });
        let Some(more) = joined else { return Front::Burst(count) };
        (last, chars, count, said) = (next, chars + more.chars, count + 1, more);
    }
    if said.ends || count == MOST {
        return Front::Burst(count);
    }
    if !all {
        return Front::Unread;
    }
    let over = quiet_at(last).min(patient_until(first));
    if now_ms < over { Front::Open(over) } else { Front::Burst(count) }
}

fn fits((chars, count): (usize, usize), more: usize) -> bool {
    count < MOST && chars + more <= MOST_CHARS
}

/// Whether `next` came soon enough behind `last`.
fn follows(first: &Work, last: &Work, next: &Work) -> bool {
    next.retries == first.retries
        && next.accepted_at_ms < quiet_at(last)
        && next.accepted_at_ms < patient_until(first)
}

fn quiet_at(last: &Work) -> i64 {
    last.accepted_at_ms.saturating_add(i64::from(last.debounce_ms))
}

fn patient_until(first: &Work) -> i64 {
    first.accepted_at_ms.saturating_add(PATIENCE * i64::from(first.debounce_ms))
}

/// What of a message counts for a burst.
struct Said {
    /// Who wrote it.
    by: String,
    /// How much.
    chars: usize,
    /// Nothing can be joined behind it.
    ends: bool,
}

impl Said {
    /// `None` when it can't be part of one: it may not wait, was attempted by itself, or can't be read.
    fn of(work: &Work) -> Option<Self> {
        if work.debounce_ms == 0 || work.burst.is_some() || work.attempts > 0 {
            return None;
        }
        let body: WebhookBody = serde_json::from_str(work.payload.get()).ok()?;
        let chars = body.text.as_deref().unwrap_or_default().chars().count();
        // The backend reads one attachment of a message.
        Some(Self { by: body.sender?.platform_id, chars, ends: work.media.is_some() })
    }
}
