-- Who may see what, decided by the database itself, and who changed what.
--
-- A connection sees the rows of the tenant that its transaction named (`claw.tenant` = 'user:<id>'). Our own roles name
-- 'all' when they connect. Whoever names nothing sees nothing: a query that forgot its tenant returns no rows.
-- The prefix keeps a user whose id is "all" apart.

create function claw_sees(owner text) returns boolean
    language sql stable parallel safe
    return current_setting('claw.tenant', true) in ('all', 'user:' || owner);

create function claw_sees_all() returns boolean
    language sql stable parallel safe
    return current_setting('claw.tenant', true) = 'all';

-- Every change that an operator or a user's key makes. `user_id` is null for what concerns the whole cluster.
create table audit_log (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default now(),
    -- 'operator', 'key <name>' or the process that did it.
    actor   text not null,
    address text,
    -- What was done to what, e.g. 'channel.created'.
    action  text not null,
    user_id text,
    subject text not null,
    detail  json
);

create index audit_log_user on audit_log (user_id, id);
create index audit_log_action on audit_log (action, id);

-- What makes a repeated call the same call: the caller's key, and what the first call made. Kept for days.
create table idempotency_keys (
    user_id    text not null,
    kind       text not null,
    key        text not null,
    -- SHA-256 of the body: another body under the same key is a mistake.
    digest     bytea not null,
    subject    uuid not null,
    created_at timestamptz not null default now(),
    primary key (user_id, kind, key)
);

create index idempotency_keys_age on idempotency_keys (created_at);

alter table channels enable row level security;
alter table channels force row level security;
create policy tenant on channels using (claw_sees(user_id));

alter table channel_state enable row level security;
alter table channel_state force row level security;
-- The channel is looked up under its own policy.
create policy tenant on channel_state
    using (claw_sees_all() or exists (select 1 from channels c where c.id = channel_id));

alter table messages enable row level security;
alter table messages force row level security;
create policy tenant on messages using (claw_sees(user_id));

-- Only the pipeline needs these.
alter table message_keys enable row level security;
alter table message_keys force row level security;
create policy tenant on message_keys using (claw_sees_all());

alter table audit_log enable row level security;
alter table audit_log force row level security;
create policy tenant on audit_log using (claw_sees(user_id));

alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy tenant on idempotency_keys using (claw_sees(user_id));
