//! Deciding about messages that ended without success: back to work, or put aside.
//!
//! Back to work means a new place in the order (see migration 0008) and a count of retries that is one higher. Both are
//! for the owner: it looks for new places anyway, and by the count it tells this message from the one that it finished.
//! What was sent before stays noted, so a message in several parts goes on behind those.
//!
//! A run that failed with its message goes on with it, and ends with it as ever. It is not tried again beside that: the attempt that was to
//! come would be another message of the same.

use claw_types::job::Options;
use claw_types::{MessageId, MessageState, UserId, Work};
use serde_json::json;
use sqlx::postgres::Postgres;
use sqlx::{QueryBuilder, Row as _};
use uuid::Uuid;

use crate::events::TYPES;
use crate::message_log::{DEAD, conditions};
use crate::messages::{STATE, WORK, state, work};
use crate::pool::Txn;
use crate::{Actor, MessageFilter, Result, Store, Tenant};

/// Sets the runs that failed with the messages in `changed` back to `running`; what follows is bound: the seconds that they have when their
/// job says nothing, or is gone. They are found by their messages alone (`offset 0` is a fence): the planner would rather read all runs.
const RUNS_GO_ON: &str = ", going as (
         update cron_runs r set status = 'running', error_message = null, finished_at = null, duration_ms = null,
             handed_at = null,
             deadline_at = now() + make_interval(secs => coalesce(
                 (select (j.options ->> 'timeout_secs')::float8 from cron_jobs j where j.id = r.job_id), ";
/// The end of [`RUNS_GO_ON`], and what was to follow from their failures.
const RUNS_NOT_RETRIED: &str = "))
         where r.id = any (array(
                   select found.id from changed m
                   cross join lateral (select x.id from cron_runs x where x.message_id = m.id offset 0) found
                   where m.source = 'cron'))
           and r.status in ('error', 'timeout')
         returning r.id),
     settled as (delete from timers t using going g where t.id = g.id)";

/// Which messages to decide about.
#[derive(Debug, Clone)]
pub enum Selection {
    /// These.
    Ids(Vec<MessageId>),
    /// The oldest dead letters that match. Uncertain ones only when the filter names that state: doing them again may
    /// show a person something twice.
    Oldest(MessageFilter, i64),
}

/// A message that is back at work.
#[derive(Debug, Clone)]
pub struct Revived {
    /// For its owner.
    pub work: Work,
    /// What it was.
    pub was: MessageState,
}

/// A message about which nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchanged {
    /// Which.
    pub id: MessageId,
    /// Its state; `None` when the tenant has no such message.
    pub state: Option<MessageState>,
}

impl Tenant {
    /// Sets messages back to work, older ones first. Their owners are to be told.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_revive(
        &mut self,
        which: &Selection,
        actor: &Actor,
    ) -> Result<(Vec<Revived>, Vec<Unchanged>)> {
        let user = self.user().clone();
        revive(self.conn(), Some(&user), which, actor).await
    }

    /// Puts messages aside for good, with a reason.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_discard(
        &mut self,
        which: &Selection,
        reason: &str,
        actor: &Actor,
    ) -> Result<(Vec<MessageId>, Vec<Unchanged>)> {
        let user = self.user().clone();
        discard(self.conn(), &user, which, reason, actor).await
    }
}

impl Store {
    /// [`Tenant::messages_revive`] for everybody's messages, or one user's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_revive_of_all(
        &self,
        user: Option<&UserId>,
        which: &Selection,
        actor: &Actor,
    ) -> Result<(Vec<Revived>, Vec<Unchanged>)> {
        let mut txn = self.pool.begin().await?;
        let done = revive(&mut txn, user, which, actor).await?;
        txn.commit().await?;
        Ok(done)
    }
}

async fn revive(
    conn: &mut Txn,
    user: Option<&UserId>,
    which: &Selection,
    actor: &Actor,
) -> Result<(Vec<Revived>, Vec<Unchanged>)> {
    let mut query = QueryBuilder::new("with picked as (");
    pick(&mut query, user, which, &["dead", "failed", "uncertain", "discarded"]);
    // Places are given in the order of the old ones: within a conversation, what was said first comes first again.
    query.push(
        "), placed as (
             select id, was, nextval(pg_get_serial_sequence('messages', 'seq')) as seq
             from (select id, was from picked order by seq) p),
         changed as (
             update messages m set
                 state = 'pending', seq = p.seq, due_at = now(), attempts = 0, finished_at = null,
                 retries = m.retries + 1, retried_at = now(), discard_reason = null, expired = null
             from placed p where m.id = p.id returning p.was, m.*)",
    );
    query.push(RUNS_GO_ON).push_bind(f64::from(Options::TIMEOUT_SECS)).push(RUNS_NOT_RETRIED);
    tell(&mut query, "message.retried");
    query.push(" select m.was, ").push(WORK).push(" from changed m");
    let rows = query.build().fetch_all(&mut *conn).await?;
    let mut revived = Vec::with_capacity(rows.len());
    for row in &rows {
        let work = work(row)?;
        revived.push(Revived { was: state(work.id, row.try_get("was")?)?, work });
    }
    revived.sort_by_key(|revived| revived.work.seq);
    let changes = revived.iter().map(|r| (r.work.id, r.work.user_id.as_str(), r.was));
    audit(conn, actor, "message.retried", changes, None).await?;
    let unchanged = unchanged(conn, user, which, |id| revived.iter().any(|r| r.work.id == id)).await?;
    Ok((revived, unchanged))
}

async fn discard(
    conn: &mut Txn,
    user: &UserId,
    which: &Selection,
    reason: &str,
    actor: &Actor,
) -> Result<(Vec<MessageId>, Vec<Unchanged>)> {
    let mut query = QueryBuilder::new("with picked as (");
    pick(&mut query, Some(user), which, &["dead", "failed", "uncertain"]);
    query.push("), changed as (update messages m set state = 'discarded', discard_reason = ");
    query.push_bind(reason.to_owned()).push(" from picked p where m.id = p.id returning p.was, m.*)");
    tell(&mut query, "message.discarded");
    query.push(" select m.id, m.was from changed m");
    let rows = query.build().fetch_all(&mut *conn).await?;
    let mut discarded = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = MessageId(row.try_get("id")?);
        discarded.push((id, user.as_str(), state(id, row.try_get("was")?)?));
    }
    audit(conn, actor, "message.discarded", discarded.iter().copied(), Some(reason)).await?;
    let discarded: Vec<MessageId> = discarded.into_iter().map(|(id, ..)| id).collect();
    let unchanged = unchanged(conn, Some(user), which, |id| discarded.contains(&id)).await?;
    Ok((discarded, unchanged))
}

/// Tells of the messages in `changed`, within the statement that changes them. Not the reason: somebody wrote it.
fn tell(query: &mut QueryBuilder<Postgres>, kind: &'static str) {
    debug_assert!(TYPES.iter().any(|(known, _)| *known == kind), "{kind} is missing in TYPES");
    query
        .push(", told as (insert into events (user_id, type, channel_id, message_id, data) select user_id, ");
    query.push_bind(kind).push(
        ", channel_id, id,
              json_build_object('direction', direction, 'conversation', conversation, 'was', was, 'retries', retries)
           from changed order by seq)",
    );
}

/// The rows to decide about, locked; those of `Ids` only in these states.
fn pick(
    query: &mut QueryBuilder<Postgres>,
    user: Option<&UserId>,
    which: &Selection,
    from: &'static [&'static str],
) {
    query.push("select m.id, m.seq, ").push(STATE).push(" as was from messages m where ");
    match which {
        Selection::Ids(ids) => {
            conditions(query, user, &MessageFilter::default(), None);
            query.push(" and m.id = any (").push_bind(ids.iter().map(|id| id.0).collect::<Vec<_>>());
            query.push(") and m.state = any (").push_bind(from).push(") order by m.accepted_at, m.seq");
        }
        Selection::Oldest(filter, limit) => {
            conditions(query, user, filter, None);
            query.push(" and ").push(DEAD);
            if filter.state.is_none() {
                query.push(" and m.state <> 'uncertain'");
            }
            query.push(" order by m.accepted_at, m.seq limit ").push_bind(*limit);
        }
    }
    query.push(" for update");
}

/// Of messages that were named, those about which nothing was done.
async fn unchanged(
    conn: &mut Txn,
    user: Option<&UserId>,
    which: &Selection,
    done: impl Fn(MessageId) -> bool,
) -> Result<Vec<Unchanged>> {
    let Selection::Ids(ids) = which else { return Ok(Vec::new()) };
    let others: Vec<Uuid> = ids.iter().filter(|id| !done(**id)).map(|id| id.0).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select i.id, {STATE} as state from unnest($1::uuid[]) with ordinality as i (id, n)
         left join messages m on m.id = i.id and ($2::text is null or m.user_id = $2) order by i.n"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(others)
        .bind(user.map(UserId::as_str))
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            let id = MessageId(row.try_get("id")?);
            let found: Option<&str> = row.try_get("state")?;
            Ok(Unchanged { id, state: found.map(|text| state(id, text)).transpose()? })
        })
        .collect()
}

/// One entry for each message, so that its history can be found by its id.
async fn audit<'a>(
    conn: &mut Txn,
    actor: &Actor,
    action: &'static str,
    changes: impl Iterator<Item = (MessageId, &'a str, MessageState)>,
    reason: Option<&str>,
) -> Result<()> {
    let (mut users, mut subjects, mut details) = (Vec::new(), Vec::new(), Vec::new());
    for (id, user, was) in changes {
        users.push(user.to_owned());
        subjects.push(id.to_string());
        let detail = match reason {
            Some(reason) => json!({"was": was.as_str(), "reason": reason}),
            None => json!({"was": was.as_str()}),
        };
        details.push(detail.to_string());
    }
    if subjects.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into audit_log (actor, address, action, user_id, subject, detail)
         select $1, $2, $3, t.user_id, t.subject, t.detail::json
         from unnest($4::text[], $5::text[], $6::text[]) as t (user_id, subject, detail)",
    )
    .bind(&actor.name)
    .bind(actor.address.as_deref())
    .bind(action)
    .bind(users)
    .bind(subjects)
    .bind(details)
    .execute(conn)
    .await?;
    Ok(())
}
