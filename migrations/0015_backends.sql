-- Backends of users' own: where their messages go instead of the operator's AI_WEBHOOK_URL.
--
-- Few have one, and workers hold all of them in memory: no message costs a query. So a worker must hear of what is gone, too:
-- a deleted row stays for a week, without its URL and its secrets.
create table backends (
    id              uuid primary key,
    user_id         text not null,
    -- Null: for all messages of the user but those of channels that have a row of their own.
    channel_id      uuid,
    -- Null when it is deleted.
    url             text,
    -- AES-256-GCM over a JSON array of the keys of the signatures, under the master key named by secrets_key.
    secrets         bytea,
    secrets_key     text,
    secrets_count   integer not null,
    -- Webhooks of one worker under way at once.
    max_in_flight   integer not null,
    -- Why it gets no more messages; null when it does.
    disabled_reason text,
    disabled_at     timestamptz,
    -- Raised by every change.
    revision        bigint not null default 1,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    deleted_at      timestamptz
);

create unique index backends_place
    on backends (user_id, coalesce(channel_id, '00000000-0000-0000-0000-000000000000'));
create index backends_updated on backends (updated_at);

alter table backends enable row level security;
alter table backends force row level security;
create policy tenant on backends using (claw_sees(user_id));
