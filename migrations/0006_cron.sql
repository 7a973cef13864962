-- A user's scheduled jobs and their runs.
create table cron_jobs (
    id            uuid primary key,
    user_id       text not null,
    name          text not null,
    label         text,
    enabled       boolean not null,
    -- json, not jsonb, here and below: shown again as it was sent.
    schedule      json not null,
    schedule_type text not null check (schedule_type in ('every', 'cron', 'at')),
    action        json not null,
    action_type   text not null check (action_type in ('channel_message', 'assistant_task')),
    one_shot      boolean not null,
    channel_type  json,
    metadata      json,
    -- The intervals of an `every` are counted from here: when its schedule was last set.
    anchor_at     timestamptz not null default now(),
    -- The next scheduled time; null when it is switched off or has none any more. Whoever leads looks here.
    next_due_at   timestamptz,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now()
);

create index cron_jobs_user on cron_jobs (user_id, created_at, id);
create index cron_jobs_due on cron_jobs (next_due_at) where next_due_at is not null;

-- No foreign key: what happened stays known after its job is deleted.
create table cron_runs (
    id            uuid primary key,
    -- The order of the runs, by this database alone.
    seq           bigint generated always as identity,
    user_id       text not null,
    job_id        uuid not null,
    job_name      text not null,
    -- 'running' past its deadline means that nobody is going to finish it: it is shown as 'timeout'.
    status        text not null check (status in ('running', 'ok', 'error', 'timeout')),
    -- The scheduled time that this run is for; null for one that somebody asked for.
    scheduled_for timestamptz,
    started_at    timestamptz not null default now(),
    deadline_at   timestamptz not null,
    finished_at   timestamptz,
    duration_ms   bigint,
    error_message text,
    action_type   text not null,
    schedule_type text not null,
    metadata      json,
    -- The message that it made.
    message_id    uuid
);

-- Each scheduled time has one run, whoever leads.
create unique index cron_runs_scheduled on cron_runs (job_id, scheduled_for) where scheduled_for is not null;
create index cron_runs_job on cron_runs (job_id, seq);
create index cron_runs_user on cron_runs (user_id, seq);
create index cron_runs_age on cron_runs (started_at);

alter table cron_jobs enable row level security;
alter table cron_jobs force row level security;
create policy tenant on cron_jobs using (claw_sees(user_id));

alter table cron_runs enable row level security;
alter table cron_runs force row level security;
create policy tenant on cron_runs using (claw_sees(user_id));
