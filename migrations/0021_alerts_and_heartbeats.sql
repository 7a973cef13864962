-- Whoever owns a job that fails again and again is told, and the job is paused. Heartbeats keep to hours of the day, and may
-- come by themselves.

alter table user_settings
    -- After how many failures of a job in a row its owner is told, and after how many it is paused; 0: never, null: the default.
    add column alert_after  integer check (alert_after between 0 and 1000),
    add column pause_after  integer check (pause_after between 0 and 1000),
    -- The chat in which the owner is told: `claw_types::preferences::ChatRef`.
    add column alerts       json,
    -- When heartbeats may be: `claw_schedule::ActiveHours`; null: always.
    add column active_hours json,
    -- What the agent is told at each heartbeat: `claw_types::preferences::Beat`; null: nothing but what waits.
    add column heartbeat    json;

alter table cron_jobs
    -- When the first of the failures in a row began; of no meaning when there are none.
    add column failing_since timestamptz,
    -- Whether the owner was told of them; of no meaning when there are none.
    add column alerted       boolean not null default false;

-- A user's next heartbeat is one row of `timers`, whoever writes it. Leaders that do not know the kind leave it alone.
create unique index timers_heartbeat on timers (user_id) where kind = 'heartbeat';
