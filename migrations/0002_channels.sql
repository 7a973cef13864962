-- A user's connections to platforms.
create table channels (
    id            uuid primary key,
    user_id       text not null,
    instance      text not null,
    instance_name text not null,
    channel_type  text not null,
    -- The fields that are not secret, as the adapter's configuration names them.
    config        json not null,
    -- AES-256-GCM over the JSON of the secret fields, under the master key named by secrets_key.
    secrets       bytea,
    secrets_key   text,
    -- HMAC of the platform credential: two channels may not poll with the same one.
    fingerprint   bytea,
    enabled       boolean not null default true,
    agent_id      text not null default '',
    shard         integer not null references shards (shard),
    -- Raised by every change; an owner that runs an older one restarts the channel.
    revision      bigint not null default 1,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    -- A deleted channel stays as a tombstone without its secrets: its messages still name it, and an owner that
    -- missed the event finds out.
    deleted_at    timestamptz
);

create unique index channels_slug on channels (user_id, instance) where deleted_at is null;
create unique index channels_fingerprint on channels (channel_type, fingerprint) where deleted_at is null;
create index channels_shard on channels (shard) where deleted_at is null;
create index channels_updated on channels (updated_at);

-- What the owner knows of a running channel. Written under its epoch only.
create table channel_state (
    channel_id      uuid primary key references channels (id) on delete cascade,
    -- Where the platform's stream was left (an update offset, a sync token): opaque to everyone but the adapter.
    cursor          text,
    -- 'starting', 'running', 'failed' or 'stopped', as of the claim and the revision named beside it.
    state           text not null default 'starting',
    epoch           bigint not null,
    revision        bigint not null default 0,
    last_error      text,
    last_inbound_at timestamptz,
    updated_at      timestamptz not null default now()
);
