-- Waking the agent from outside: at once, at the user's next heartbeat, or by another system's webhook.

-- What a user has set. A row without values is as good as none; it is there to be locked.
create table user_settings (
    user_id        text primary key,
    -- null: the default.
    heartbeat_secs integer check (heartbeat_secs between 60 and 86400),
    updated_at     timestamptz not null default now()
);

alter table user_settings enable row level security;
alter table user_settings force row level security;
create policy tenant on user_settings using (claw_sees(user_id));

-- Future acts. The scheduler's leader turns each that is due into a message of the same id, in one statement.
create table timers (
    id           uuid primary key,
    user_id      text not null,
    -- 'wake': waits for the user's heartbeat, and moves with it. A leader leaves kinds alone that it does not know.
    kind         text not null,
    due_at       timestamptz not null,
    -- The message that it will be.
    shard        integer not null references shards (shard),
    channel_id   uuid not null,
    conversation text not null,
    payload      json not null,
    -- What it comes from: 'wake' or 'agent'.
    source       text not null,
    created_at   timestamptz not null default now()
);

create index timers_due on timers (due_at);
create index timers_user on timers (user_id, kind);

alter table timers enable row level security;
alter table timers force row level security;
create policy tenant on timers using (claw_sees(user_id));

-- A user's inbound webhooks.
create table hooks (
    id            uuid primary key,
    user_id       text not null,
    -- Part of the address, so no two users have the same one.
    name          text not null unique,
    enabled       boolean not null default true,
    auth          text not null check (auth in ('hmac', 'bearer')),
    -- AES-256-GCM under the master key named by secret_key, bound to the hook's id.
    secret        bytea not null,
    secret_key    text not null,
    agent_id      text not null default '',
    -- The chat that its events belong to: a channel's slug or type, and the platform's ids.
    channel       text,
    recipient     text,
    thread_id     text,
    -- null: the default template.
    text_template text,
    -- Names of metadata and their templates.
    fields        json not null default '{}',
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now()
);

create index hooks_user on hooks (user_id, name);

alter table hooks enable row level security;
alter table hooks force row level security;
create policy tenant on hooks using (claw_sees(user_id));

-- The last calls of each hook, for its owner to look at; the messages that they became are elsewhere.
create table hook_deliveries (
    id          bigint generated always as identity primary key,
    hook_id     uuid not null references hooks (id) on delete cascade,
    user_id     text not null,
    received_at timestamptz not null default now(),
    -- Whether the caller knew the secret. Strangers' calls are kept apart, so that they can't push the others out.
    genuine     boolean not null,
    status      text not null check (status in ('accepted', 'duplicate', 'skipped', 'refused')),
    message_id  uuid,
    -- The first characters of the body; none of a stranger's.
    excerpt     text,
    error       text
);

create index hook_deliveries_hook on hook_deliveries (hook_id, genuine, id);

alter table hook_deliveries enable row level security;
alter table hook_deliveries force row level security;
create policy tenant on hook_deliveries using (claw_sees(user_id));
