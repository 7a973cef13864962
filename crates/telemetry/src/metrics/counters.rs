//! The counters.

use super::labels::{
    ACCEPT, ASKED, ATTEMPT, BREAKER, DESTINATION, DIRECTION, DROPPED, IGNORED, METHOD, PASSED, PLATFORM,
    POOL, REFUSED, ROUTE, RPC, RPC_CODE, SENT, SPANS, STATE, STATUS, TAKEOVER, WRITE,
};
use super::spec::Role::{self, Gateway, Scheduler, Worker};

const EVERY: &[Role] = &Role::ALL;

kind! {
    /// What only grows.
    Counter {
        AuthFailures = "claw_auth_failures_total", Count, [ASKED], &[Gateway],
            "Calls without a good key (of=\"key\") or a hook's secret (of=\"hook\").";
        AuthThrottled = "claw_auth_throttled_total", Count, [ASKED], &[Gateway],
            "Calls without a good key or secret that were answered with 429.";
        MessagesIgnored = "claw_messages_ignored_total", Count, [IGNORED], &[Gateway, Worker],
            "People's messages that their channel does not take, by reason.";
        WebhooksRefused = "claw_webhooks_refused_total", Count, [PLATFORM, REFUSED], &[Gateway],
            "Requests at the addresses of channels that were not taken, by the platform of the address and why; a bad signature is a forged or replayed one.";
        HttpRequests = "claw_http_requests_total", Count, [ROUTE, METHOD, STATUS], &[Gateway],
            "Calls of the API that were answered, by the route and the class of the answer's status.";
        RpcRequests = "claw_rpc_requests_total", Count, [RPC, RPC_CODE], EVERY,
            "Internal calls that this process answered.";
        Accepts = "claw_accepts_total", Count, [ACCEPT], EVERY,
            "Messages that were to be accepted, by what became of it; failed ones were not committed.";
        Attempts = "claw_attempts_total", Count, [DIRECTION, ATTEMPT], &[Worker],
            "Attempts at messages. again: it failed and is tried again; not yet: nothing was attempted.";
        MessagesFinished = "claw_messages_finished_total", Count, [DIRECTION, STATE], &[Worker],
            "Messages that are over, by their last state; dead ones are dead letters.";
        FencedWrites = "claw_fenced_writes_total", Count, [WRITE], &[Worker],
            "Writes that the database refused because the shard has a newer claim, by what was to be written.";
        ShardClaims = "claw_shard_claims_total", Count, [TAKEOVER], &[Worker],
            "Shards that this worker claimed, by whom it took them from.";
        ShardReleases = "claw_shard_releases_total", Count, [], &[Worker],
            "Shards that this worker gave back.";
        LeaseLosses = "claw_lease_losses_total", Count, [], &[Worker],
            "Times that the lease was lost and everything of this worker's stopped.";
        PlatformCalls = "claw_platform_calls_total", Count, [PLATFORM, SENT], &[Worker],
            "Calls to platforms that people can see (messages, drafts, typing), by how the platform took them; a 429 is rate limited.";
        ChannelReconnects = "claw_channel_reconnects_total", Count, [PLATFORM], &[Worker],
            "Times that a channel stopped receiving and was started again.";
        BreakerChanges = "claw_breaker_changes_total", Count, [DESTINATION, BREAKER], &[Worker],
            "Times that a destination of webhooks was found not to answer (open), or to answer again (closed).";
        CronRuns = "claw_cron_runs_total", Count, [], &[Scheduler],
            "Runs of scheduled jobs that began.";
        CronPassed = "claw_cron_passed_total", Count, [PASSED], &[Scheduler],
            "Looks at due jobs that began no run: their time was missed and their misfire says skip, or an earlier run went on.";
        CronDuplicates = "claw_cron_duplicates_prevented_total", Count, [], &[Scheduler],
            "Jobs that were due when they were read and were not fired, because somebody had fired or changed them meanwhile.";
        CronTimeouts = "claw_cron_timeouts_total", Count, [], &[Scheduler],
            "Runs that were not over at their deadline.";
        TimersFired = "claw_timers_fired_total", Count, [], &[Scheduler],
            "Wake-ups that became messages.";
        Elections = "claw_elections_total", Count, [], &[Scheduler],
            "Times that this scheduler was elected.";
        PoolTimeouts = "claw_db_acquire_timeouts_total", Count, [POOL], EVERY,
            "Statements that got no connection in time.";
        NatsPublished = "claw_nats_published_total", Count, [], EVERY,
            "Messages that were handed to NATS.";
        NatsDropped = "claw_nats_dropped_total", Count, [DROPPED], EVERY,
            "Messages to NATS that were dropped; sweeps of the database find what they told of.";
        NatsDisconnects = "claw_nats_disconnects_total", Count, [], EVERY,
            "Times that the connection to NATS was lost.";
        NatsSlowConsumer = "claw_nats_slow_consumer_total", Count, [], EVERY,
            "Times that a subscription fell behind, so that the database was read instead.";
        SpansExported = "claw_spans_exported_total", Count, [], EVERY,
            "Spans of traces that the collector took.";
        SpansDropped = "claw_spans_dropped_total", Count, [SPANS], EVERY,
            "Spans of traces that nobody will see: too many at once (full), or the collector did not take them.";
        ProcessCpu = "process_cpu_seconds_total", Seconds, [], EVERY,
            "Time on CPUs, of user and system, in whole seconds.";
    }
}
