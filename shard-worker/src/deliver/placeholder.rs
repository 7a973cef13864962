//! "Processing...", which the answer takes the place of.
//!
//! A placeholder is a message like others, of which is remembered, in the database and with its shard, where the platform shows
//! it. The answer is the first message into the conversation that was accepted after it. Messages of a conversation are sent one
//! after another, so a placeholder has always been sent, and is known, before an answer that was accepted later is.
//!
//! Whose placeholder: that of the message which the answer refers to, if it does; else the only one that there is. When one person
//! waits at several, it is the newest, where that person looks, and the older ones are taken away: most often their answers never came,
//! and one that still does is a message of its own below. When several people wait, nobody can tell whose answer it is. So it is a
//! message of its own, and the oldest placeholder is taken away: as many are left as answers are to come. What a job's time sends is
//! nobody's answer, takes none, and rings the phone.
//!
//! A backend may send its answer before its 2xx brings the placeholder, or before the platform has room for it: then it is not shown
//! at all (`answer`, `turn`).
//!
//! A placeholder may be the beginning of its answer, which is still being written (`stream`). Then it is reserved for that one, which
//! names it, and its text is changed meanwhile ([`Edits`]).
//!
//! Where people see what we store, no text becomes another one: both would be seen when it is read again. There every placeholder is
//! taken away when its answer is sent ([`removal`]), and an answer that began as a draft names its question instead.
//!
//! Must hold: who takes one is committed before the platform is called, so a crash makes the same answer take the same one, and
//! an edit that is made twice is made once; an answer that can't be put in a placeholder's place is sent like any other; a
//! channel without placeholders pays a look at the shard's memory, and no query.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claw_channels::Caps;
use claw_channels::kit::plan::{Content, Piece};
use claw_store::{Note, Placeholder, Taken};
use claw_types::{Act, ChannelId, MessageId, Outbound, Placeholder as Asked, Work};
use futures::future::try_join_all;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, Notify};
use tokio::time::Instant;
use tracing::warn;

use crate::channels::Lookup;
use crate::channels::active::Active;
use crate::channels::manners::Placeholder as Manner;
use crate::core::Core;
use crate::shard::Shard;

pub(super) mod removal;
mod turn;

pub(super) use self::turn::{is_answer, turn};

/// What was shown longer ago is left as it is: an answer up there is no longer seen.
pub(crate) const AGE: Duration = Duration::from_hours(1);
/// An answer that is tried for this long finds the one that it took. Longer than most may be sent at all.
const TAKEN: Duration = Duration::from_hours(25);
/// Of one conversation. Older ones stay where they are.
const MOST: usize = 16;
/// Conversations that are remembered before those whose placeholders are too old are forgotten.
const CHATS: usize = 256;

/// The placeholders of a shard's conversations.
#[derive(Default)]
pub(crate) struct Placeholders {
    known: Mutex<Known>,
    /// Rung when one is shown.
    shown: Notify,
}

#[derive(Default)]
struct Known {
    chats: HashMap<(ChannelId, String), Vec<Entry>>,
    /// So many conversations are looked through next.
    look_through: usize,
}

struct Entry {
    placeholder: Placeholder,
    until: Instant,
    /// The message that it begins to answer: only that answer, which names it, may have it.
    begins: Option<MessageId>,
    edits: Edits,
}

/// Who may change a placeholder's text: one at a time, and nobody once it is an answer's.
#[derive(Debug, Clone)]
pub(crate) struct Edits(Arc<AsyncMutex<IsOpen>>);

/// Whether it is nobody's answer yet.
type IsOpen = bool;

impl Edits {
    fn new(open: IsOpen) -> Self {
        Self(Arc::new(AsyncMutex::new(open)))
    }

    /// Leave to change it, while it is held.
    pub(crate) async fn begin(&self) -> Option<AsyncMutexGuard<'_, IsOpen>> {
        let open = self.0.lock().await;
        (*open).then_some(open)
    }

    /// Waits for who is changing it; nobody will after that.
    async fn end(&self) {
        *self.0.lock().await = false;
    }
}

/// A placeholder that a platform shows.
pub(crate) struct Seen {
    pub(crate) message: MessageId,
    /// Its place among the messages.
    pub(crate) seq: i64,
    pub(crate) platform_id: String,
    pub(crate) edits: Edits,
}

/// A placeholder that is an answer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mine {
    message: MessageId,
    pub(crate) platform_id: String,
    /// Whether it becomes the answer; else it is taken away when that was sent.
    pub(crate) in_place: bool,
}

impl Placeholders {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, placeholder: Placeholder, until: Instant, begins: Option<MessageId>) {
        let mut known = self.known();
        known.forget_old(Instant::now());
        let chat = known.chats.entry((placeholder.channel, placeholder.conversation.clone())).or_default();
        chat.retain(|entry| entry.placeholder.message != placeholder.message);
        let edits = Edits::new(placeholder.taken.is_none());
        chat.push(Entry { placeholder, until, begins, edits });
        if chat.len() > MOST {
            chat.remove(0);
        }
        drop(known);
        self.shown.notify_waiters();
    }

    /// Waits until our `message`, which stands for the answer to this one, is shown. From then on it is that answer's alone.
    pub(crate) async fn seen(&self, work: &Work, message: MessageId) -> Seen {
        loop {
            let shown = self.shown.notified();
            if let Some(seen) = self.reserve(work, message) {
                return seen;
            }
            shown.await;
        }
    }

    fn reserve(&self, work: &Work, message: MessageId) -> Option<Seen> {
        let mut known = self.known();
        let chat = known.chats.get_mut(&(work.channel_id, work.conversation.clone()))?;
        let entry = chat.iter_mut().find(|entry| entry.placeholder.message == message)?;
        entry.begins = Some(work.id);
        let (seq, platform_id) = (entry.placeholder.seq, entry.placeholder.platform_id.clone());
        Some(Seen { message, seq, platform_id, edits: entry.edits.clone() })
    }

    /// Our message that shows how the answer to this one begins.
    pub(crate) fn begun(&self, work: &Work) -> Option<MessageId> {
        let known = self.known();
        if known.chats.is_empty() {
            return None;
        }
        let chat = known.chats.get(&(work.channel_id, work.conversation.clone()))?;
        let begun = chat.iter().find(|entry| entry.begins == Some(work.id))?;
        Some(begun.placeholder.message)
    }

    /// Those that this answer takes, and whether that is news. It `becomes` what stands there if a text can, and it begins with one.
    fn choose(&self, work: &Work, body: &Outbound, becomes: bool) -> (Vec<Mine>, bool) {
        let known = self.known();
        if known.chats.is_empty() {
            return (Vec::new(), false);
        }
        let Some(chat) = known.chats.get(&(work.channel_id, work.conversation.clone())) else {
            return (Vec::new(), false);
        };
        let before = chat.iter().filter_map(|entry| {
            let taken = entry.placeholder.taken.filter(|taken| taken.by == work.id)?;
            Some(entry.mine(taken.in_place))
        });
        let before: Vec<Mine> = before.collect();
        if !before.is_empty() {
            return (before, false);
        }
        (chosen(chat, work, body, becomes), true)
    }

    /// It is this answer's; tells what may be changing it.
    fn take(&self, work: &Work, mine: &Mine) -> Option<Edits> {
        let mut known = self.known();
        let chat = known.chats.get_mut(&(work.channel_id, work.conversation.clone()))?;
        let entry = chat.iter_mut().find(|entry| entry.placeholder.message == mine.message)?;
        entry.placeholder.taken = Some(Taken { by: work.id, in_place: mine.in_place });
        entry.until = Instant::now() + TAKEN;
        Some(entry.edits.clone())
    }

    /// Nobody needs it any more.
    fn forget(&self, work: &Work, message: MessageId) {
        let mut known = self.known();
        let key = (work.channel_id, work.conversation.clone());
        let Some(chat) = known.chats.get_mut(&key) else { return };
        chat.retain(|entry| entry.placeholder.message != message);
        if chat.is_empty() {
            known.chats.remove(&key);
        }
    }
}

/// Those of a chat that an answer takes which has none: the one in its place, if any is, comes first.
fn chosen(chat: &[Entry], work: &Work, body: &Outbound, becomes: bool) -> Vec<Mine> {
    let alone =
        |entry: Option<&Entry>| -> Vec<Mine> { entry.map(|entry| entry.mine(becomes)).into_iter().collect() };
    if let Some(named) = body.replaces {
        let is_named = |entry: &&Entry| {
            let Placeholder { message, question_id, taken, .. } = &entry.placeholder;
            (*message == named || *question_id == Some(named)) && taken.is_none()
        };
        return alone(chat.iter().find(is_named));
    }
    if work.scheduled {
        return Vec::new();
    }
    let now = Instant::now();
    let is_open = |entry: &&Entry| {
        let taken = entry.begins.is_some() || entry.placeholder.taken.is_some();
        entry.until > now && !taken && entry.placeholder.seq < work.seq
    };
    let open: Vec<&Entry> = chat.iter().filter(is_open).collect();
    if let Some(id) = body.reply_to.as_deref() {
        let asks = |entry: &&Entry| entry.placeholder.question.as_deref().is_none_or(|asked| asked == id);
        return alone(open.iter().copied().find(asks));
    }
    match open.as_slice() {
        [] => Vec::new(),
        [older @ .., newest] if is_one_persons(&open) => {
            let older = older.iter().map(|entry| entry.mine(false));
            std::iter::once(newest.mine(becomes)).chain(older).collect()
        }
        [oldest, ..] => vec![oldest.mine(false)],
    }
}

/// Whether one person waits at all of these.
fn is_one_persons(open: &[&Entry]) -> bool {
    match open {
        [] | [_] => true,
        [first, others @ ..] => {
            let asker = &first.placeholder.asker;
            asker.is_some() && others.iter().all(|entry| entry.placeholder.asker == *asker)
        }
    }
}

impl Known {
    fn forget_old(&mut self, now: Instant) {
        if self.chats.len() < self.look_through.max(CHATS) {
            return;
        }
        self.chats.retain(|_, chat| {
            chat.retain(|entry| entry.until > now);
            !chat.is_empty()
        });
        // As many again may come before it is worth looking.
        self.look_through = 2 * self.chats.len();
    }
}

impl Entry {
    fn mine(&self, in_place: bool) -> Mine {
        Mine {
            message: self.placeholder.message,
            platform_id: self.placeholder.platform_id.clone(),
            in_place,
        }
    }
}

/// Whether an answer ends what stands for it: by becoming it, or by a deletion that is stored behind it.
fn ends(caps: &Caps) -> bool {
    caps.placeholders || caps.drafts && caps.delete
}

/// What becomes of the text that is shown at once. Where answers can't end it, it stays.
fn manner(active: &Active) -> Manner {
    match active.manners().placeholder {
        Manner::Replace if !ends(active.caps()) => Manner::Keep,
        as_configured => as_configured,
    }
}

/// What may show how the answer to this message begins: our message, or a draft, which has the question's name.
pub(crate) fn begun(shard: &Shard, work: &Work) -> Option<MessageId> {
    match shard.channels.lookup(work.channel_id) {
        Lookup::Running(active) if active.caps().drafts => Some(work.id),
        _ => shard.placeholders.begun(work),
    }
}

/// As [`manner`], of a channel that may not run.
pub(crate) fn manner_of(shard: &Shard, channel: ChannelId) -> Manner {
    match shard.channels.lookup(channel) {
        Lookup::Running(active) => manner(&active),
        Lookup::Starting | Lookup::Failed(_) | Lookup::Unknown => Manner::Keep,
    }
}

/// Whether a message stands for an answer that takes its place. What a channel does with "Processing..." is no matter where the
/// answer itself has begun.
fn stands(active: &Active, asked: &Asked) -> bool {
    if asked.begins.is_some() { active.caps().placeholders } else { manner(active) == Manner::Replace }
}

/// The placeholders that this answer takes, written down; none when there is none for it.
///
/// # Errors
/// When it may or may not be written: the answer must not be sent before that is known, or it might be seen twice after a crash.
pub(crate) async fn take(
    core: &Core,
    shard: &Shard,
    active: &Active,
    work: &Work,
    body: &Outbound,
    pieces: &[Piece],
) -> claw_store::Result<Vec<Mine>> {
    if !ends(active.caps()) || body.act != Act::Post || body.placeholder.is_some() {
        return Ok(Vec::new());
    }
    let text_first = pieces.first().is_some_and(|piece| matches!(piece.content, Content::Text(_)));
    let becomes = text_first && active.caps().placeholders && !active.caps().drafts;
    let (chosen, is_new) = shard.placeholders.choose(work, body, becomes);
    if !is_new {
        return Ok(chosen);
    }
    let note = |mine: &Mine| {
        core.placeholders.submit(Note::Taken(mine.message, Taken { by: work.id, in_place: mine.in_place }))
    };
    let holds = try_join_all(chosen.iter().map(note)).await?;
    let mut taken = Vec::with_capacity(chosen.len());
    for (mine, holds) in chosen.into_iter().zip(holds) {
        if !holds {
            shard.placeholders.forget(work, mine.message);
            continue;
        }
        if let Some(edits) = shard.placeholders.take(work, &mine) {
            edits.end().await;
        }
        taken.push(mine);
    }
    Ok(taken)
}

impl Mine {
    /// Whether the answer, which was sent, is elsewhere: an attachment, or the placeholder could not be changed.
    pub(crate) fn is_left(&self, work: &Work) -> bool {
        work.platform_message_ids.first() != Some(&self.platform_id)
    }
}

/// The first part of an answer, as another text for the placeholder. `None` when it is not that one's place.
pub(crate) fn in_place(mine: &Mine, first: &Piece) -> Option<Piece> {
    let Content::Text(text) = first.content.clone() else { return None };
    let content = Content::Edit { message_id: mine.platform_id.clone(), text: Some(text) };
    mine.in_place.then(|| Piece { content, reply_to: None, buttons: first.buttons.clone() })
}

/// The platform shows this message. If it stands for an answer, that is remembered; not of what is more than one text, which
/// no answer can become.
pub(crate) async fn shown(
    core: &Core,
    shard: &Shard,
    active: &Active,
    work: &Work,
    body: &Outbound,
    pieces: &[Piece],
) {
    let Some(asked) = body.placeholder.as_ref().filter(|asked| stands(active, asked)) else { return };
    let ([Piece { content: Content::Text(_), .. }], [platform_id]) =
        (pieces, work.platform_message_ids.as_slice())
    else {
        return;
    };
    let placeholder = Placeholder {
        message: work.id,
        user: work.user_id.clone(),
        channel: work.channel_id,
        conversation: work.conversation.clone(),
        seq: work.seq,
        platform_id: platform_id.clone(),
        question: asked.question.clone(),
        question_id: asked.question_id,
        asker: asked.asker.clone(),
        taken: None,
    };
    // Remembered in memory alone, it would be forgotten with a crash, between two attempts at its answer, too.
    match core.placeholders.submit(Note::Shown(Box::new(placeholder.clone()))).await {
        Ok(_) => shard.placeholders.add(placeholder, Instant::now() + AGE, asked.begins),
        Err(error) => warn!(message.id = %work.id, "a placeholder will stay where it is: {error}"),
    }
}

/// Nothing of it is left to be done.
pub(crate) fn done(shard: &Shard, work: &Work, mine: &Mine) {
    shard.placeholders.forget(work, mine.message);
}

/// Reads what another owner of the shard left, before any message is sent for it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn load(core: &Core, shard: &Shard) -> claw_store::Result<()> {
    let now = Instant::now();
    for placeholder in core.store.placeholders_in(shard.id, AGE).await? {
        let until = now + if placeholder.taken.is_some() { TAKEN } else { AGE };
        shard.placeholders.add(placeholder, until, None);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
