-- A job without a further time says why, and a run that was tried again what its earlier attempts came to.

alter table cron_jobs
    -- What became of its last time: it had its run, was missed, or came while an earlier run went on. Null while the job has times,
    -- when somebody switched it off and when it is paused; also of a job that was over before this, or by a leader of the version before.
    add column over text check (over in ('ran', 'missed', 'overlap'));

-- The version before switches such a job on again, or pauses it, and leaves the column as it is.
create function claw_job_not_over() returns trigger
    language plpgsql as $$
begin
    update cron_jobs set over = null where id = new.id;
    return null;
end $$;

-- Nothing is called for a job that is moved on: the condition is all that it costs.
create trigger over_no_more after update on cron_jobs for each row
    when (new.over is not null and (new.enabled or new.paused is not null)) execute function claw_job_not_over();

alter table cron_runs
    -- The attempts before the one that the row is about, in order: n, status, error, message_id, finished_at of each. A constant, so
    -- no row is written anew here, and beginning a run says nothing of it.
    add column attempts jsonb not null default '[]';
