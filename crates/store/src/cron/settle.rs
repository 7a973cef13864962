//! The end of a run, as part of whichever statement ends what the run waits for.

/// Ends the runs whose messages are in `settled`: part of the statement that settles, so that no process has to live on for
/// it. A run that awaits its completion goes on when its message is handed over. Messages of no run cost a look at their source.
///
/// A message that the platform never answered about counts as sent, as it does everywhere.
pub(crate) const RUNS_SETTLED: &str = "update cron_runs r set
         status = case when not s.handed then 'error' when r.await_completion then r.status else 'ok' end,
         handed_at = case when s.handed then now() end,
         finished_at = case when s.handed and r.await_completion then null else now() end,
         duration_ms = case when s.handed and r.await_completion then null
                       else (extract(epoch from now() - r.started_at) * 1000)::bigint end,
         error_message = case when not s.handed then coalesce(s.error, 'its message could not be handed over') end
     from (select id, error, state in ('done', 'uncertain') as handed
           from settled where source = 'cron' and state <> 'pending') s
     where r.message_id = s.id and r.status = 'running'
     returning r.id, r.user_id, r.job_id, r.status, r.scheduled_for";

/// Leaves word of the scheduled runs that are over in `ended`, where something follows from it: they failed, or the job had
/// failed before, or it has no further time. Every statement that ends a run has this in it.
pub(crate) const RUN_OVER: &str = "insert into timers (id, user_id, kind, due_at)
     select e.id, e.user_id, 'run_over', now() from ended e
     where e.status <> 'running' and e.scheduled_for is not null
       and (e.status <> 'ok'
            or exists (select 1 from cron_jobs j
                       where j.id = e.job_id and (j.failures > 0 or j.next_due_at is null)))
     on conflict (id) do nothing";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    /// Messages of no run cost a look at their source, and those of one a look into small indexes.
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
        let plan: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_all(&store.pool).await.unwrap();
        let plan = plan.join("\n");
        for index in ["cron_runs_message", "cron_jobs_pkey"] {
            assert!(plan.contains(&format!("using {index}")), "{plan}");
        }
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}
