//! What of a lane goes to the backend together: the messages that one person wrote in a burst.
//!
//! A message with a `debounce_ms` waits for what its sender writes on. Those whose gaps are shorter form a burst, which is
//! over when
//!
//! - nothing came for that long, or its first message has waited for [`PATIENCE`] times as long,
//! - an attachment came, which is the last of it,
//! - the next message is somebody else's or none that may be joined, such as a command: it must not wait,
//! - it has [`MOST_SAID`] messages or [`MOST_CHARS`] characters.
//!
//! The parts of an album (`claw_types::album`) are one message to who sent them. So it is not the first attachment that is the last of
//! such a burst, but the last part of the album: it has room for all of them, waits for each as patiently as for the first, and
//! then nothing but a part of the same album is joined.
//!
//! All of this follows from the stored messages, so it goes on where it was after a restart or with another owner; only a burst
//! of a backlog of which a part is not yet read may be divided.
//!
//! Must hold: before its first attempt a burst is **sealed** (`deliver/burst.rs`): its messages are marked with the id of
//! its last. What was sealed is handed over in just this composition, by whoever owns the shard; a receiver that goes
//! by the id of the webhook would lose what another composition had more.

use std::collections::VecDeque;

use claw_types::{MessageId, WebhookBody, Work, album};

/// Messages of a burst at most, all of an album's and what was said before it: a platform's albums have 10 parts at most. A lane that has
/// them all in memory is not larger than usual.
pub(super) const MOST: usize = 20;
/// Messages of a burst at most that are no parts of an album.
pub(super) const MOST_SAID: usize = 10;
/// Characters of a burst's texts at most. What is written to the parts of an album is not divided.
const MOST_CHARS: usize = 4_000;
/// A burst's first message waits at most for so many times its `debounce_ms`, and so does an album's.
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
    // Patience is counted from where what is waited for began: the burst, or the album in it.
    let (mut began, mut last, mut chars, mut count) = (first, first, said.chars, 1);
    for next in works.iter().skip(1) {
        let by_now = (chars, count);
        let joined =
            Said::of(next).filter(|more| follows(began, last, next) && said.goes_on_with(more, by_now));
        let Some(more) = joined else { return Front::Burst(count) };
        if more.album != said.album {
            began = next;
        }
        (last, chars, count, said) = (next, chars + more.chars, count + 1, more);
    }
    if said.ends || count >= said.most() {
        return Front::Burst(count);
    }
    if !all {
        return Front::Unread;
    }
    let over = quiet_at(last).min(patient_until(began));
    if now_ms < over { Front::Open(over) } else { Front::Burst(count) }
}

/// Whether `next` came soon enough behind `last`.
fn follows(began: &Work, last: &Work, next: &Work) -> bool {
    next.retries == began.retries
        && next.accepted_at_ms < quiet_at(last)
        && next.accepted_at_ms < patient_until(began)
}

fn quiet_at(last: &Work) -> i64 {
    last.accepted_at_ms.saturating_add(i64::from(last.debounce_ms))
}

fn patient_until(began: &Work) -> i64 {
    began.accepted_at_ms.saturating_add(PATIENCE * i64::from(began.debounce_ms))
}

/// What of a message counts for a burst.
struct Said {
    /// Who wrote it; an album may be nobody's.
    by: Option<String>,
    /// How much.
    chars: usize,
    /// The album that it is part of.
    album: Option<String>,
    /// Nothing can be joined before it but its album.
    begins: bool,
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
        let text = body.text.as_deref().unwrap_or_default();
        let album = album::of(&body.metadata).map(str::to_owned);
        Some(Self {
            chars: text.chars().count(),
            // A command means something by itself, also as what is written to an album.
            begins: text.trim_start().starts_with('/'),
            // The backend reads one attachment of a message, unless they are an album.
            ends: work.media.is_some() && album.is_none(),
            by: body.sender.map(|sender| sender.platform_id),
            album,
        })
    }

    /// Whether `more` may be joined behind this, of a burst that has so many characters and messages by now.
    fn goes_on_with(&self, more: &Self, (chars, count): (usize, usize)) -> bool {
        if self.ends || more.by != self.by {
            return false;
        }
        match &self.album {
            Some(_) => more.album == self.album && count < MOST,
            None => !more.begins && count < MOST_SAID && chars + more.chars <= MOST_CHARS,
        }
    }

    /// How many messages a burst has at most that ends with this.
    fn most(&self) -> usize {
        if self.album.is_some() { MOST } else { MOST_SAID }
    }
}
