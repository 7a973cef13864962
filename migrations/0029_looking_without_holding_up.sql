-- Of a message with several files each is kept of a group by itself. By this those are found that were one, when it is taken back: the
-- platform's id of it, in a form that can be indexed, as the key is. Null in rows of the version before, which are gone after a day.
alter table group_context add column platform_message_id text;

-- As claw_partition_detach of 0028, but nobody waits while it looks for what is to be kept, which may take a minute: until it has found that,
-- it has no transaction's id, for which younger events would be held back (0009). And what somebody set back to work meanwhile is
-- kept even if it failed again.
create or replace function claw_partition_detach(partition text, most bigint, failed_since timestamptz) returns boolean
    language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '300ms' as $$
declare
    -- What was retried by transactions of this id and later ones. By its event, which is there if and only if it was: an index by
    -- the time of it would be one more for each message, and a transaction's time is not that of its commit.
    retried constant text :=
        'select coalesce(array_agg(e.message_id), ''{}'') from message_partitions p, events e
         where p.name = $2 and e.xact >= $1 and e.type = ''message.retried''
           and e.message_id >= coalesce(p.low, ''00000000-0000-0000-0000-000000000000'') and e.message_id < p.high';
    seen xid8;
    seen_then xid8;
    keeping uuid[];
    more uuid[];
    moving bigint;
begin
    if not claw_sees_all() then
        raise exception 'messages of all tenants must be visible to partition them';
    end if;
    -- Of two leaders one waits here. A lock of a row would have an id of a transaction assigned; this has not.
    perform pg_advisory_xact_lock(hashtextextended('message_partitions:' || partition, 0));
    if not exists (select from message_partitions p where p.name = partition and p.detached_at is null) then
        return true;
    end if;
    -- Each statement has a snapshot of its own. Whatever is before this is seen by those that follow.
    seen := pg_snapshot_xmin(pg_current_snapshot());
    execute format(
        'select coalesce(array_agg(m.id), ''{}'') from (
             (select id from %1$I where finished_at is null limit %2$s)
             union all (select id from %1$I where state in (''dead'', ''failed'', ''uncertain'')
                            and (state <> ''failed'' or finished_at >= $1) limit %2$s)) m',
        partition, most + 1) into keeping using failed_since;
    -- Most of what was retried meanwhile is found here, so that the look for the rest is short, behind the locks.
    seen_then := pg_snapshot_xmin(pg_current_snapshot());
    execute retried into more using seen, partition;
    keeping := keeping || more;
    if cardinality(keeping) > most then
        return false;
    end if;
    perform from message_partitions p where p.name = partition and p.detached_at is null for update;
    if not found then
        return true;
    end if;
    lock table only messages in access exclusive mode;
    execute retried into more using seen_then, partition;
    keeping := keeping || more;
    execute format('alter table messages detach partition %I', partition);
    execute format(
        'with moved as (delete from %I where id = any ($1) or finished_at is null returning *)
         insert into messages select * from moved', partition) using keeping;
    get diagnostics moving = row_count;
    update message_partitions p set detached_at = now(), kept = p.kept + moving where p.name = partition;
    return true;
end $$;
