-- Getting ready to partition `messages` by time (0019): what its first partition will hold is said here, where nothing has
-- to be read for it. 0019 proves it by a look at every row while messages flow; in one transaction with this, that look
-- would keep all of them waiting.

-- Somebody who reads all of `messages` for an hour (a backup) holds its lock for that hour, and everybody would queue
-- behind a migration that waits for it. Better it fails; start it again when that is over.
set local lock_timeout = '10s';

-- The partitions of `messages`, those that were dropped included. `low` and `high` bound the ids: from, and up to.
create table message_partitions (
    name        text primary key,
    -- Null: the first one has no beginning.
    low         uuid,
    high        uuid not null,
    created_at  timestamptz not null default now(),
    -- Since when it is no part of `messages`; what is left to do on it is done before it is dropped.
    detached_at timestamptz,
    dropped_at  timestamptz,
    -- How many of its pages were looked through by then for what must be kept.
    sifted      bigint not null default 0,
    -- Messages that were not to be forgotten: they are in the default partition since then.
    kept        bigint not null default 0,
    -- How many were forgotten, about: as many as the planner's statistics say.
    forgotten   bigint
);

-- The smallest id of a moment: UUIDv7 begin with their millisecond.
create function claw_first_id(moment timestamptz) returns uuid
    language sql immutable parallel safe
    return (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- The first partition ends with a month that is at least a week away, so that no clock is that far ahead before 0019.
do $$
declare
    month timestamp := date_trunc('month', now() at time zone 'UTC' + interval '7 days') + interval '1 month';
    upto uuid := claw_first_id(month at time zone 'UTC');
begin
    insert into message_partitions (name, high) values ('messages_initial', upto);
    execute format('alter table messages add constraint messages_initial_ids check (id < %L) not valid', upto);
end $$;
