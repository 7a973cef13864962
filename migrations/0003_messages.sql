-- Every accepted message. Accepted means: committed here.
create table messages (
    id                   uuid primary key,
    -- The order of acceptance, by this database alone: clocks of machines may disagree by hours.
    seq                  bigint generated always as identity,
    user_id              text not null,
    channel_id           uuid not null,
    shard                integer not null,
    direction            text not null check (direction in ('in', 'out')),
    conversation         text not null,
    -- json, not jsonb: stored verbatim, and \u0000 in somebody's text is legal here.
    payload              json not null,
    media                json,
    state                text not null default 'pending'
                         check (state in ('pending', 'done', 'failed', 'uncertain', 'dead')),
    due_at               timestamptz not null default now(),
    attempts             integer not null default 0,
    platform_message_ids json not null default '[]',
    error                text,
    accepted_at          timestamptz not null default now(),
    finished_at          timestamptz
);

-- `finished_at is null` means pending; only the sweep says it that way. Were it `state = 'pending'`, the planner would
-- take this index for settling a batch too, and read the whole backlog for each batch.
create index messages_pending on messages (shard, seq) where finished_at is null;
create index messages_conversation on messages (channel_id, conversation, seq);

-- What makes a message the same one again: a platform's message id, a caller's idempotency key.
-- Kept for days, because platforms redeliver late.
create table message_keys (
    channel_id uuid not null,
    key        text not null,
    message_id uuid not null,
    created_at timestamptz not null default now(),
    primary key (channel_id, key)
);

create index message_keys_age on message_keys (created_at);
