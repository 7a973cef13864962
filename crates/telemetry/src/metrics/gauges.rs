//! The gauges. Those of the whole cluster are known to the leading scheduler alone; the others show NaN, which is no number.

use super::labels::{
    CHANNEL, CONNECTION, DESTINATION, MEMBERS, PLATFORM, ROLE, SHARED_POOL, STREAM, VERSION, WAITING,
};
use super::spec::Role::{self, Gateway, Scheduler, Worker};

const EVERY: &[Role] = &Role::ALL;

kind! {
    /// What goes up and down.
    Gauge {
        BuildInfo = "claw_build_info", Count, [VERSION, ROLE], EVERY,
            "1 for each role that the process has, with its version.";
        ShardsOwned = "claw_shards_owned", Count, [], &[Worker],
            "Shards that this worker holds.";
        ShardsWanted = "claw_shards_wanted", Count, [], &[Worker],
            "Shards that are this worker's by the present members; more than it holds while it takes over.";
        ShardsDisputed = "claw_shards_disputed", Count, [], &[Worker],
            "Shards that this worker holds though the database has a newer claim of them: they have two owners.";
        ShardsCatchingUp = "claw_shards_catching_up", Count, [], &[Worker],
            "Shards whose backlog is read from the database.";
        LeaseHeld = "claw_lease_held", Count, [], &[Worker],
            "1 while this worker may act for its shards.";
        QueueMessages = "claw_queue_messages", Count, [WAITING], &[Worker],
            "Conversations in memory with something to deliver; waiting ones failed and are tried again later, or gather a burst.";
        QueueOldest = "claw_queue_oldest_ready_seconds", Seconds, [], &[Worker],
            "Age of the oldest message that nothing keeps from being attempted, counted from its acceptance or its retry; 0 without one.";
        Channels = "claw_channels", Count, [PLATFORM, CHANNEL], &[Worker],
            "Channels that this worker runs, or tries to.";
        BreakersOpen = "claw_breakers_open", Count, [DESTINATION], &[Worker],
            "Destinations of webhooks that do not answer and are left alone by this worker.";
        Leader = "claw_leader", Count, [], &[Scheduler],
            "1 while this scheduler leads.";
        LeaderTerm = "claw_leader_term", Count, [], &[Scheduler],
            "The last term that this scheduler led; 0 for none.";
        ClusterShards = "claw_cluster_shards", Count, [], &[Scheduler],
            "Shards of the cluster; known to the leader.";
        ClusterUnattended = "claw_cluster_shards_unattended", Count, [], &[Scheduler],
            "Shards without an owner that was heard of within 10 s; known to the leader.";
        ClusterMembers = "claw_cluster_members", Count, [MEMBERS], &[Scheduler],
            "Live members of the cluster by role; known to the leader.";
        ClusterPending = "claw_cluster_pending_messages", Count, [], &[Scheduler],
            "Messages that are not over, those that wait for another attempt included, counted up to 10,000; known to the leader.";
        ClusterOldest = "claw_cluster_pending_oldest_seconds", Seconds, [], &[Scheduler],
            "Age of the oldest message that is not over; a user's backend that is away makes it old; known to the leader.";
        CronOverdue = "claw_cron_overdue_seconds", Seconds, [], &[Scheduler],
            "For how long the first of the due timers has not been fired; known to the leader.";
        PoolConnections = "claw_db_connections", Count, [ROLE, SHARED_POOL, CONNECTION], EVERY,
            "Connections to the database that are open.";
        PoolMax = "claw_db_connections_max", Count, [ROLE, SHARED_POOL], EVERY,
            "Connections to the database that may be open.";
        NatsConnected = "claw_nats_connected", Count, [ROLE], EVERY,
            "1 while NATS is connected.";
        OpenStreams = "claw_open_streams", Count, [STREAM], &[Gateway],
            "Connections that stay open: streams of events and sockets of web chats.";
        ProcessMemory = "process_resident_memory_bytes", Bytes, [], EVERY,
            "Memory in use.";
        ProcessFds = "process_open_fds", Count, [], EVERY,
            "Open files and connections.";
        ProcessMaxFds = "process_max_fds", Count, [], EVERY,
            "How many files and connections may be open.";
        ProcessStart = "process_start_time_seconds", Seconds, [], EVERY,
            "When the process began to count, in seconds since 1970.";
    }
}
