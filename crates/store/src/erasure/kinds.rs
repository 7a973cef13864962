//! What is kept of a user, and how a bounded number of each kind is found and removed.
//!
//! A new table with a user's data needs a row here: a test reads the schema and finds what is left.

/// A kind of thing that is kept of a user.
pub(super) struct Kind {
    /// As it is counted and shown.
    pub name: &'static str,
    /// Removes at most `$2` of the user `$1`'s and returns how many as `bigint`.
    ///
    /// Must hold: rows that somebody has locked are passed over. A step locks many rows, and so do those who settle messages and end
    /// their runs, in another order: each would wait for the other, and a second later Postgres would fail one of them.
    pub sql: &'static str,
    /// Whether any of the user `$1`'s are left, those that were passed over among them.
    pub left: &'static str,
}

/// Removed last and in another way, as are the channels.
pub(super) const ATTACHMENTS: &str = "attachments";
/// See [`ATTACHMENTS`].
pub(super) const CHANNELS: &str = "channels";

/// Removes rows of a table that are found by a condition on `$1`.
macro_rules! rows {
    ($name:expr, $table:literal, $where:literal) => {
        Kind {
            name: $name,
            // By their place: tables have different keys, and a row that was changed meanwhile is found next time.
            sql: concat!(
                "with gone as (delete from ",
                $table,
                " where ctid = any (array(select ctid from ",
                $table,
                " where ",
                $where,
                " limit $2 for update skip locked)) returning 1) select count(*) from gone"
            ),
            left: concat!("select exists (select 1 from ", $table, " where ", $where, ")"),
        }
    };
}

/// In this order: first what can make more of the others.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "api_keys",
        // Whoever asked for a key with an Idempotency-Key has a row that no user's id is in.
        sql: "with gone as (
                  delete from api_keys where id = any (array(
                      select id from api_keys where user_id = $1 limit $2 for update skip locked))
                  returning id),
              calls as (
                  delete from idempotency_keys i using gone
                  where i.user_id = '' and i.kind = 'api_key' and i.subject = gone.id)
              select count(*) from gone",
        left: "select exists (select 1 from api_keys where user_id = $1)",
    },
    // With their deliveries.
    rows!("hooks", "hooks", "user_id = $1"),
    rows!("jobs", "cron_jobs", "user_id = $1"),
    rows!("waiting_wakes", "timers", "user_id = $1"),
    rows!("destinations", "event_destinations", "coalesce(user_id, '') = $1"),
    rows!("backends", "backends", "user_id = $1"),
    rows!("runs", "cron_runs", "user_id = $1"),
    Kind {
        name: "messages",
        // With their failed attempts. What is pending has no index by user; it is read as a whole, and only when nothing else is
        // left. Where their attachments are is kept until those are gone, too. From a partition that is on its way out some may
        // come back.
        sql: "with gone as (
                  delete from messages where id = any (coalesce(
                      nullif(array(select id from messages where user_id = $1 and finished_at is not null
                                   limit $2 for update skip locked), '{}'),
                      array(select id from messages where user_id = $1 and finished_at is null
                            limit $2 for update skip locked)))
                  returning id, media is not null as attached),
              keys as (
                  delete from message_keys k using gone
                  where k.channel_id = '00000000-0000-0000-0000-000000000000' and k.message_id = gone.id),
              attached as (
                  insert into erasure_attachments (message_id, user_id) select id, $1 from gone where attached
                  on conflict do nothing)
              select count(*) from gone",
        left: "select exists (select 1 from messages where user_id = $1 and finished_at is not null)
                   or exists (select 1 from messages where user_id = $1 and finished_at is null)
                   or exists (select 1 from message_partitions where detached_at is not null and dropped_at is null)",
    },
    rows!(
        "message_keys",
        "message_keys",
        "channel_id = any (array(select id from channels where user_id = $1))"
    ),
    // What was said in groups and not yet handed on.
    rows!("group_context", "group_context", "user_id = $1"),
    // What strangers wrote who were not let in; their attachments are kept under the same ids as those of messages.
    Kind {
        name: "held_messages",
        sql: "with gone as (
                  delete from pairing_held where id = any (array(
                      select id from pairing_held where user_id = $1 limit $2 for update skip locked))
                  returning id, media is not null as attached),
              attached as (
                  insert into erasure_attachments (message_id, user_id) select id, $1 from gone where attached
                  on conflict do nothing)
              select count(*) from gone",
        left: "select exists (select 1 from pairing_held where user_id = $1)",
    },
    // Then who asked and who was let in. What is held of them would go with them unseen, so not before it is gone.
    rows!(
        "pairings",
        "pairings",
        "user_id = $1 and not exists (select from pairing_held h where h.pairing_id = pairings.id)"
    ),
    // What was shown until an answer came: where it is on its platform.
    rows!("placeholders", "placeholders", "user_id = $1"),
    // What channels remembered by themselves: keys of encrypted conversations, renewed tokens.
    rows!("channel_memory", "channel_memory", "user_id = $1"),
    rows!("settings", "user_settings", "user_id = $1"),
    rows!("idempotency_keys", "idempotency_keys", "user_id = $1"),
    rows!("events", "events", "user_id = $1"),
    rows!("audit_entries", "audit_log", "user_id = $1"),
];
