//! The histograms.

use super::labels::{BACKEND, BATCH, DIRECTION, METHOD, PLATFORM, POOL, ROUTE, RPC};
use super::spec::Role::{self, Gateway, Scheduler, Worker};

const EVERY: &[Role] = &Role::ALL;

/// Of what is done within this machine or its database.
const QUICK: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Of what others answer.
const CALL: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Of what may wait; 5 s is the objective of deliveries (deploy/prometheus/rules).
const WAIT: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];
/// Of how many are done together.
const SIZE: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

kind! {
    /// What is measured each time.
    Histogram {
        HttpDuration = "claw_http_request_duration_seconds", Seconds, [ROUTE, METHOD], &[Gateway],
            "How long calls of the API took until their answer began.";
        RpcDuration = "claw_rpc_request_duration_seconds", Seconds, [RPC], EVERY,
            "How long internal calls took until their answer began.";
        DeliveryLatency = "claw_delivery_latency_seconds", Seconds, [DIRECTION], &[Worker],
            "From a message's acceptance until it is handed over: in: until its first webhook is posted; out, webhook: until the platform or the receiver has taken it.";
        BackendDuration = "claw_backend_request_duration_seconds", Seconds, [BACKEND], &[Worker],
            "How long webhooks took until their answer began, or its absence was sure.";
        PlatformDuration = "claw_platform_call_duration_seconds", Seconds, [PLATFORM], &[Worker],
            "How long platforms took to answer calls that people can see.";
        LeaseRenew = "claw_lease_renew_duration_seconds", Seconds, [], &[Worker, Scheduler],
            "How long renewing the lease took; a worker stops when it takes 2 s.";
        CronLag = "claw_cron_lag_seconds", Seconds, [], &[Scheduler],
            "From a job's scheduled time, with what its jitter drew, until its run began.";
        PoolAcquire = "claw_db_acquire_duration_seconds", Seconds, [POOL], EVERY,
            "How long statements waited for a connection to the database.";
        BatchSize = "claw_batch_size", Count, [BATCH], EVERY,
            "How many writes were committed together.";
        BatchDuration = "claw_batch_duration_seconds", Seconds, [BATCH], EVERY,
            "How long writing them took.";
    }
}

impl Histogram {
    /// The upper bounds of its buckets, in order; what is larger is counted, too.
    pub fn buckets(self) -> &'static [f64] {
        match self {
            Self::RpcDuration | Self::LeaseRenew | Self::PoolAcquire | Self::BatchDuration => QUICK,
            Self::HttpDuration | Self::BackendDuration | Self::PlatformDuration => CALL,
            Self::DeliveryLatency | Self::CronLag => WAIT,
            Self::BatchSize => SIZE,
        }
    }
}
