-- What happened, for those who want to be told: streams (GET .../events) and destinations.
--
-- An event is written by the statement that makes the change: it is there if and only if the change was committed.
--
-- The order, and why nothing is skipped: numbers are given out before a commit, so a transaction may commit a lower one
-- after a reader has seen a higher one, and a reader who remembers "up to 17" would never see the 16 that came late. So
-- each event carries its transaction's id, the order is (xact, id), and readers look only at transactions older than
-- the oldest one still running: `xact < pg_snapshot_xmin(pg_current_snapshot())`. All of those have ended, and whatever
-- begins from now on gets a higher id. What is visible by this rule is final: nothing can ever appear before it.
--
-- The price: somebody's long writing transaction anywhere on the server delays (never loses) the events behind it. Ours
-- are ended after 10 s.
create table events (
    xact       xid8 not null default pg_current_xact_id(),
    id         bigint generated always as identity,
    -- Null: concerns nobody in particular.
    user_id    text,
    type       text not null,
    channel_id uuid,
    message_id uuid,
    at         timestamptz not null default now(),
    -- Small, and never what people wrote: this is not a second copy of their messages.
    data       json not null,
    primary key (xact, id)
) with (
    -- Rows come at one end, go at the other and never change: full pages, and cleaning up goes by numbers, not by a share
    -- of the table.
    fillfactor = 100,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 100000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 500000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 500000
);

create index events_user on events (user_id, xact, id);

-- Up to where events were forgotten: who comes with an older place has missed some, and is told so.
create table event_horizon (
    singleton boolean primary key default true check (singleton),
    xact      xid8 not null default '0',
    id        bigint not null default 0
);

insert into event_horizon default values;

-- Whether the channel's user was told last that it fails: only a change is an event.
alter table channel_state add column failing boolean not null default false;

-- Where events are posted to.
create table event_destinations (
    id                uuid primary key,
    -- Null: the operator's, which gets everybody's events.
    user_id           text,
    name              text not null,
    url               text not null,
    -- AES-256-GCM over the key of the signatures, under the master key named by secret_key.
    secret            bytea not null,
    secret_key        text not null,
    -- Patterns like 'message.*'; empty for all.
    types             text[] not null default '{}',
    -- The slug of the one channel whose events are wanted.
    channel           text,
    enabled           boolean not null default true,
    -- Who delivers: the owner of this shard.
    shard             integer not null references shards (shard),
    -- Raised by every change of the columns above.
    revision          bigint not null default 1,
    -- Everything up to here is delivered, or was not wanted.
    cursor_xact       xid8 not null,
    cursor_id         bigint not null,
    -- Failed attempts at the event behind the cursor, since when, and when to try again.
    attempts          integer not null default 0,
    failing_since     timestamptz,
    next_attempt_at   timestamptz,
    last_error        text,
    last_delivered_at timestamptz,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
) with (fillfactor = 70);

create index event_destinations_owner on event_destinations (coalesce(user_id, ''), id);
create index event_destinations_shard on event_destinations (shard) where enabled;

alter table events enable row level security;
alter table events force row level security;
create policy tenant on events using (claw_sees(user_id));

alter table event_destinations enable row level security;
alter table event_destinations force row level security;
create policy tenant on event_destinations using (claw_sees(user_id));
