-- What a channel has to remember by itself, such as the keys by which it reads what is encrypted for it: rows of its own, sealed by the
-- master key, by names that mean something to its adapter only. Written by the channel's owner, under its claim's epoch.
create table channel_memory (
    -- For re-sealing only, which goes through all tables by ids.
    id         uuid not null default gen_random_uuid(),
    -- No foreign key: a channel's row stays as a tombstone, and what it remembered goes when it is deleted.
    channel_id uuid not null,
    name       text not null,
    user_id    text not null,
    sealed     bytea not null,
    sealed_key text not null,
    -- Raised by every write, so that nobody writes over what he has not read.
    version    bigint not null,
    -- From when on it is of no use; null: for ever.
    expires_at timestamptz,
    primary key (channel_id, name)
);

create index channel_memory_sealed_key on channel_memory (sealed_key, id);
create index channel_memory_user on channel_memory (user_id);
create index channel_memory_expires on channel_memory (channel_id, expires_at) where expires_at is not null;

alter table channel_memory enable row level security;
alter table channel_memory force row level security;
create policy tenant on channel_memory using (claw_sees(user_id));
