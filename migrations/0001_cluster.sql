-- Who is in the cluster, who owns which shard, who leads.

-- One row: what was fixed when the cluster was created.
create table cluster (
    singleton   boolean primary key default true check (singleton),
    -- Keeps two clusters apart that share a NATS.
    id          uuid not null default gen_random_uuid(),
    shard_count integer not null check (shard_count between 1 and 32767),
    created_at  timestamptz not null default now()
);

-- One row a shard, made with the cluster. `epoch` counts claims and fences every write of an owner.
create table shards (
    shard       integer primary key,
    epoch       bigint not null default 0,
    owner       text,
    rpc_address text,
    claimed_at  timestamptz
);

-- Running processes. Alive = a fresh heartbeat by this database's clock and the advisory lock on `lock_key` held.
create table members (
    name         text primary key,
    role         text not null check (role in ('worker', 'scheduler')),
    lock_key     integer not null,
    backend_pid  integer not null,
    rpc_address  text not null,
    version      text not null,
    weight       double precision not null default 1 check (weight > 0),
    draining     boolean not null default false,
    started_at   timestamptz not null default now(),
    heartbeat_at timestamptz not null default now()
);

-- One row a duty; `term` counts elections and fences every write of a leader.
create table leaders (
    duty        text primary key,
    term        bigint not null default 0,
    leader      text,
    rpc_address text,
    elected_at  timestamptz,
    renewed_at  timestamptz
);
