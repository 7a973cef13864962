//! The labels, and what bounds their values.

/// A label of a metric.
#[derive(Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it may say.
    pub values: Values,
}

/// What a label may say. Each value is a series in every process and in Prometheus, for as long as it keeps them.
#[derive(Debug)]
pub enum Values {
    /// These.
    Fixed(&'static [&'static str]),
    /// What is known only when the process runs, and is few because of this.
    Bounded(&'static str),
}

const fn fixed(name: &'static str, values: &'static [&'static str]) -> Label {
    Label { name, values: Values::Fixed(values) }
}

const fn bounded(name: &'static str, why: &'static str) -> Label {
    Label { name, values: Values::Bounded(why) }
}

/// Of a platform: an adapter's name.
pub(super) const PLATFORM: Label = bounded("platform", "the adapters that are compiled in");
/// Of an HTTP call: the path as it was registered, with `{placeholders}`; `none` where nothing is served.
pub(super) const ROUTE: Label = bounded("route", "the paths that are registered");
/// Of an HTTP call.
pub(super) const METHOD: Label =
    fixed("method", &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"]);
/// Of an HTTP answer: the class of its status.
pub(super) const STATUS: Label = fixed("status", &["1xx", "2xx", "3xx", "4xx", "5xx"]);
/// Of a build.
pub(super) const VERSION: Label = bounded("version", "there is one a process");
/// Of members of the cluster.
pub(super) const MEMBERS: Label = fixed("role", &["gateway", "worker", "scheduler"]);
/// Of a process: what each of several roles in one process has for itself. A process shows its own roles only.
pub(super) const ROLE: Label = bounded("role", "there are three, and most processes have one");

/// Of an internal call: service and method, as the protocol calls them; a test compares.
pub(super) const RPC: Label = fixed(
    "method",
    &[
        "Gateway/Status",
        "Scheduler/Status",
        "Scheduler/StepDown",
        "Scheduler/RunNow",
        "Worker/AwaitDelivery",
        "Worker/Status",
        "Worker/Probe",
        "Worker/ShowTyping",
        "Worker/ListAdapters",
        "Worker/Drain",
        "Worker/Reload",
        "other",
    ],
);
/// Of an internal call's answer; [`rpc_code`] says which is which.
pub(super) const RPC_CODE: Label = fixed("code", &["ok", "refused", "late", "failed"]);

/// How an internal call ended, by gRPC's code of it (<https://grpc.io/docs/guides/status-codes/>): well, refused for a reason of
/// the caller's, not in time, or not at all.
pub fn rpc_code(code: i32) -> &'static str {
    match code {
        0 => "ok",
        3 | 5..=7 | 9 | 11 | 12 | 16 => "refused",
        1 | 4 => "late",
        _ => "failed",
    }
}

/// Which way a message goes: to the backend, to a person, or to a job's URL.
pub(super) const DIRECTION: Label = fixed("direction", &["in", "out", "webhook"]);
/// What an attempt came to: an end, another attempt, or nothing was attempted because what it needs was not there.
pub(super) const ATTEMPT: Label = fixed("outcome", &["over", "again", "not_yet"]);
/// A message's last state.
pub(super) const STATE: Label =
    fixed("state", &["done", "failed", "uncertain", "expired", "dead", "discarded"]);
/// What became of a message that was to be accepted: stored, known before, refused for a reason of the caller's, or not committed.
pub(super) const ACCEPT: Label = fixed("outcome", &["new", "duplicate", "refused", "failed"]);
/// How a platform took a call.
pub(super) const SENT: Label = fixed("outcome", &["ok", "rate_limited", "retryable", "uncertain", "refused"]);
/// Whether a channel works.
pub(super) const CHANNEL: Label = fixed("state", &["running", "failed"]);
/// How a backend took a message: with a 2xx, another answer, no connection, or no answer.
pub(super) const BACKEND: Label = fixed("outcome", &["taken", "refused", "unreachable", "silent"]);
/// Whose destination it is.
pub(super) const DESTINATION: Label = fixed("destination", &["operator", "user"]);
/// What a breaker did.
pub(super) const BREAKER: Label = fixed("to", &["open", "closed"]);
/// Whether messages in memory may be attempted, or wait for another attempt or for more of their burst.
pub(super) const WAITING: Label = fixed("state", &["ready", "waiting"]);
/// What an owner writes under its shard's claim: what became of a message, up to where a platform's stream was read, what a channel
/// remembers, or how an event destination takes what is posted. Not a channel's status, which nobody misses.
pub(super) const WRITE: Label = fixed("write", &["settle", "cursor", "memory", "events"]);
/// Whom a shard was claimed from: nobody, its claimant's own former process, or an owner that had not been heard of.
pub(super) const TAKEOVER: Label = fixed("reason", &["free", "restart", "silent_owner"]);
/// Which group commit.
pub(super) const BATCH: Label = fixed("batch", &["accept", "settle", "observe", "placeholders"]);
/// Which connections: our own roles', tenants', and the one each for accepting and settling.
pub(super) const POOL: Label = fixed("pool", &["own", "tenants", "alone"]);
/// Which pool, of those that have several connections.
pub(super) const SHARED_POOL: Label = fixed("pool", &["own", "tenants"]);
/// Whether somebody uses a connection.
pub(super) const CONNECTION: Label = fixed("state", &["used", "idle"]);
/// Why a publish was dropped.
pub(super) const DROPPED: Label = fixed("reason", &["away", "full"]);
/// Why a span is not exported.
pub(super) const SPANS: Label = fixed("reason", &["full", "not_taken"]);
/// What a connection that stays open is for.
pub(super) const STREAM: Label = fixed("kind", &["events", "chat"]);
/// What was asked for without a good secret.
pub(super) const ASKED: Label = fixed("of", &["key", "hook"]);
/// Why a channel does not take a message: its policy, because an app posts what its other accounts get to the same address, because no
/// trusted server vouches for its sender, or because it is a word by which people stop what is sent to them.
pub(super) const IGNORED: Label = fixed(
    "reason",
    &[
        "own",
        "bot",
        "bot_pace",
        "direct_off",
        "sender",
        "not_paired",
        "groups_off",
        "group",
        "not_addressed",
        "unknown_message",
        "other_account",
        "not_vouched",
        "opt_out",
    ],
);
/// Why what was posted to a channel's address was not taken: it is not the platform's, it can't be read, it is too large or came too slowly, no channel takes
/// anything there, the channel's fields make no sense, or it can't be judged or committed right now.
pub(super) const REFUSED: Label = fixed(
    "reason",
    &["bad_signature", "bad_request", "bad_body", "no_channel", "broken_channel", "not_ready"],
);
/// Why a job's time had no run: it was missed, or an earlier run went on.
pub(super) const PASSED: Label = fixed("reason", &["missed", "overlapped"]);
