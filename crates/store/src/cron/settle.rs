//! The end of a run, as part of whichever statement ends what the run waits for.

/// Ends the runs whose messages are in `settled`: part of the statement that settles, so that no process has to live on for
/// it. A run that awaits its completion goes on when its message is handed over. Messages of no run cost a look at their source.
///
/// A message that the platform never answered about counts as sent, as it does everywhere.
///
/// How it is found is spelled out (`offset 0` is a fence, `(...) is true` no condition of an index): plans are made once, mostly while
/// hardly any run is running, and the planner then takes all running runs for next to none and reads them for each message. With
/// 100,000 of them that took 10 s a batch. A run that somebody else ends meanwhile stays as that one leaves it.
pub(crate) const RUNS_SETTLED: &str = "update cron_runs r set
         status = case when not s.handed then 'error' when r.await_completion then r.status else 'ok' end,
         handed_at = case when s.handed then now() end,
         finished_at = case when s.handed and r.await_completion then null else now() end,
         duration_ms = case when s.handed and r.await_completion then null
                       else (extract(epoch from now() - r.started_at) * 1000)::bigint end,
         error_message = case when not s.handed then coalesce(s.error, 'its message could not be handed over') end
     from (select m.error, m.handed, found.place
           from (select id, error, state in ('done', 'uncertain') as handed
                 from settled where source = 'cron' and state <> 'pending' offset 0) m
           cross join lateral (select x.ctid as place from cron_runs x
                               where x.message_id = m.id and (x.status = 'running') is true offset 0) found
           offset 0) s
     where r.ctid = s.place and (r.status = 'running') is true
     returning r.id, r.user_id, r.job_id, r.status, r.scheduled_for";

/// Leaves word of the scheduled runs that are over in `ended`, where something follows from it: they failed, or the job had
/// failed before, it has no further time, or goes when it has none: it may be losing its last one this moment; or its next run
/// waits for this one. Every statement that ends a run has this in it.
pub(crate) const RUN_OVER: &str = "insert into timers (id, user_id, kind, due_at)
     select e.id, e.user_id, 'run_over', now() from ended e
     where e.status <> 'running' and e.scheduled_for is not null
       and (e.status <> 'ok'
            or exists (select 1 from cron_jobs j
                       where j.id = e.job_id
                         and (j.failures > 0 or j.next_due_at is null
                              or j.options ->> 'delete_after_run' is not null
                              or (j.next_due_at < now() and j.options ->> 'overlap' = 'queue'))))
     on conflict (id) do nothing";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    /// Messages of no run cost a look at their source, and those of one a look into an index: whatever the planner was told about the
    /// runs.
    #[tokio::test]
    async fn runs_are_found_by_their_messages() {
        let db = claw_testkit::TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        let explain = format!(
            "explain with settled as materialized (
                 select id, state, error, source from messages where id = '00000000-0000-0000-0000-000000000000'),
             ended as ({RUNS_SETTLED}), owed as ({RUN_OVER}) select count(*) from settled"
        );
        for runs in [0, 1, 100, 20_000] {
            let make = "insert into cron_runs (id, user_id, job_id, job_name, status, deadline_at, action_type, schedule_type,
                            message_id)
                        select gen_random_uuid(), 'ada', gen_random_uuid(), 'x', 'ok', now(), 'x', 'x', gen_random_uuid()
                        from generate_series(1, $1)";
            for known in [false, true] {
                if known {
                    sqlx::query(make).bind(runs).execute(&store.pool).await.unwrap();
                    sqlx::raw_sql("vacuum analyze cron_runs").execute(&store.pool).await.unwrap();
                }
                let plan: Vec<String> =
                    sqlx::query_scalar(sqlx::AssertSqlSafe(&*explain)).fetch_all(&store.pool).await.unwrap();
                let plan = plan.join("\n");
                for wanted in ["cron_runs_message", "Tid Scan on cron_runs", "cron_jobs_pkey"] {
                    assert!(plan.contains(wanted), "{runs} runs, {wanted}: {plan}");
                }
                assert!(
                    !plan.contains("cron_runs_overdue") && !plan.contains("Seq Scan on cron_runs"),
                    "{plan}"
                );
            }
        }
    }
}
