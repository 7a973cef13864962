//! The fields that channels of all types have: who may write to the bot, what in a group is meant for it, what people see while
//! they wait, and what else than messages its agent hears of.
//!
//! No adapter reads them. What they mean is decided in one place, after the adapter has understood a message (crate
//! `claw-intake`), so that it is the same on every platform.

use crate::{Field, FieldKind};

/// Who may write to the bot directly: `dm_policy`.
pub const DM_POLICIES: &[&str] = &["open", "allowlist", "pairing", "disabled"];
/// In which groups it listens: `group_policy`.
pub const GROUP_POLICIES: &[&str] = &["open", "allowlist", "disabled"];

/// The largest `debounce_ms`: a person who wrote one message waits for as long.
const MOST_DEBOUNCE_MS: u64 = 60_000;
/// The largest `ttl_secs`, as of `ttl_seconds` in a send: a week.
const MOST_TTL_SECS: u64 = 604_800;
/// What the backend can be told of beside messages: `events`.
pub const EVENTS: &[&str] = &["edits", "deletions", "reactions"];

/// What becomes of a text that is shown until the answer comes: `placeholder`.
pub const PLACEHOLDERS: &[&str] = &["replace", "keep", "off"];

/// All of them. All are optional, and a channel with none of them takes every direct message.
pub const COMMON: &[Field] = &[
    Field::new(
        "dm_policy",
        "Direct messages",
        FieldKind::Choice(DM_POLICIES),
        "who may write to the bot directly: everyone (open), allowed users only (allowlist), those who were let in \
         after they showed a code (pairing), nobody (disabled); allowlist if there are allowed users, else open.",
    )
    .advanced(),
    Field::new(
        "allowed_users",
        "Allowed users",
        FieldKind::List,
        "who may write, directly and in groups: the platform's user ids or @names; empty lets everyone, unless direct messages \
         are for some people only.",
    )
    .like("42, @ada"),
    Field::new(
        "owners",
        "Owners",
        FieldKind::Ids,
        "who lets people in where direct messages are by pairing, by writing /pair to the bot: the platform's user ids.",
    )
    .advanced()
    .like("42"),
    Field::new(
        "group_policy",
        "Groups",
        FieldKind::Choice(GROUP_POLICIES),
        "in which groups the bot listens: all (open), allowed groups only (allowlist), none (disabled); \
         allowlist if there are allowed groups, else open. If neither is set and direct messages are by allowlist or pairing, \
         only those people are heard in groups.",
    )
    .advanced(),
    Field::new(
        "allowed_groups",
        "Allowed groups",
        FieldKind::List,
        "in which groups the bot listens: the platform's ids of the chats; empty means all.",
    )
    .advanced()
    .like("-1001234567890"),
    Field::new(
        "require_mention",
        "Only when addressed",
        FieldKind::Bool,
        "whether a message in a group must address the bot, by its name, a command or a reply to it; true if not set.",
    )
    .advanced(),
    Field::new(
        "mention_patterns",
        "Also answers to",
        FieldKind::Words,
        "words or phrases that address the bot in a group like its name does, wherever they stand in a message; at most 20 \
         of 64 characters.",
    )
    .advanced()
    .like("claw, hey bot"),
    Field::new(
        "ignore_bots",
        "Ignore bots",
        FieldKind::Bool,
        "whether messages that programs wrote are ignored; true if not set.",
    )
    .advanced(),
    Field::new(
        "debounce_ms",
        "Join quick messages",
        FieldKind::Number,
        "milliseconds to wait for what a person writes on: texts that follow one another within it reach the agent as \
         one message; 0, the default, joins nothing.",
    )
    .advanced()
    .up_to(MOST_DEBOUNCE_MS)
    .like("1500"),
    Field::new(
        "join_albums",
        "Join albums",
        FieldKind::Bool,
        "whether what a person sends together as an album reaches the agent as one message with all its files in \
         metadata.attachments; false if not set: each file is a message, as an agent needs it that reads media_url only.",
    )
    .advanced(),
    Field::new(
        "placeholder",
        "Until the answer comes",
        FieldKind::Choice(PLACEHOLDERS),
        "what becomes of the text that the agent shows at once (immediate_reply): the answer takes its place (replace), it stays \
         (keep), or it is not shown (off); replace if not set.",
    )
    .advanced(),
    Field::new(
        "typing",
        "Show typing",
        FieldKind::Bool,
        "whether people see that an answer is being written for as long as the agent works; true if not set.",
    )
    .advanced(),
    Field::new(
        "ack_reaction",
        "Acknowledge with",
        FieldKind::Emoji,
        "the emoji that the bot puts on a person's message when it is handed to the agent, where the platform has reactions; \
         none if not set.",
    )
    .advanced()
    .like("👀"),
    Field::new(
        "ttl_secs",
        "Not worth sending after",
        FieldKind::Number,
        "seconds after which a message to a person is not sent any more that names no ttl_seconds of its own, at most a week; \
         empty or 0 for what the operator chose, a day if nothing else.",
    )
    .advanced()
    .up_to(MOST_TTL_SECS)
    .like("3600"),
    Field::new(
        "events",
        "Tell the agent of",
        FieldKind::Items(EVENTS),
        "what people do to messages that the agent is told of, too: edits, deletions, reactions; empty for nothing but \
         messages, which is what an agent can take that answers whatever it is sent.",
    )
    .advanced()
    .like("edits, deletions"),
];
