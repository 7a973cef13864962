-- Scheduled jobs fire: every time that waits is a row of `timers`, and the leading scheduler looks there alone.

-- A timer of a job's next time, or of a run's next attempt, is no message yet: what it becomes is read when it is due.
alter table timers
    alter column shard drop not null,
    alter column channel_id drop not null,
    alter column conversation drop not null,
    alter column payload drop not null,
    alter column source drop not null,
    add constraint timers_wake check (
        kind <> 'wake' or (shard is not null and channel_id is not null and conversation is not null
                           and payload is not null and source is not null)) not valid;
alter table timers validate constraint timers_wake;

alter table cron_jobs
    -- What the API takes beside the schedule and the action: `claw_types::job::Options`.
    add column options   json not null default '{}',
    -- By how much the next run is later than its scheduled time, drawn anew for each.
    add column jitter_ms integer not null default 0,
    -- Scheduled runs since the schedule was last set.
    add column runs      bigint not null default 0,
    -- Runs in a row that failed.
    add column failures  integer not null default 0,
    -- Why it was switched off without anybody asking for it; null when it was not.
    add column paused    text,
    drop constraint cron_jobs_action_type_check,
    add constraint cron_jobs_action_type_check
        check (action_type in ('channel_message', 'assistant_task', 'webhook', 'hook'));

alter table cron_runs
    -- Which attempt this is, or was the last.
    add column attempt          integer not null default 1,
    -- That it is over when somebody says so, and not when its message is handed over.
    add column await_completion boolean not null default false,
    -- When its message was handed over: the platform or the backend has it.
    add column handed_at        timestamptz,
    -- What was sent where.
    add column sent             json;

-- Whoever settles a message finds the run that it is for.
create index cron_runs_message on cron_runs (message_id) where message_id is not null;
-- What nobody finished in time.
create index cron_runs_overdue on cron_runs (deadline_at) where status = 'running';

-- The next time of a job is in its row, and its timer follows it, whichever version writes the row. Set-based, because a
-- leader moves hundreds in one statement. A timer has the id of what it is for.
create function claw_job_timers() returns trigger
    language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        delete from timers t using changed c where t.id = c.id;
        return null;
    end if;
    insert into timers (id, user_id, kind, due_at)
    select c.id, c.user_id, 'cron', c.next_due_at + c.jitter_ms * interval '1 millisecond'
    from changed c where c.next_due_at is not null
    on conflict (id) do update set due_at = excluded.due_at where timers.due_at <> excluded.due_at;
    if tg_op = 'UPDATE' then
        delete from timers t using changed c where t.id = c.id and c.next_due_at is null;
    end if;
    return null;
end $$;

create trigger timers_of_new after insert on cron_jobs
    referencing new table as changed for each statement execute function claw_job_timers();
create trigger timers_of_changed after update on cron_jobs
    referencing new table as changed for each statement execute function claw_job_timers();
create trigger timers_of_deleted after delete on cron_jobs
    referencing old table as changed for each statement execute function claw_job_timers();

insert into timers (id, user_id, kind, due_at)
select id, user_id, 'cron', next_due_at from cron_jobs where next_due_at is not null;

-- Each kind is looked for by itself, page by page; a backlog of the one does not stand before the others.
create index timers_next on timers (kind, due_at, id);
drop index timers_due;

-- Nobody looks for due jobs here any more. Without it, moving a job's next time changes no index of this wide table.
drop index cron_jobs_due;
