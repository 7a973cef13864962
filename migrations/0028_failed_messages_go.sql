-- What failed or expired is not kept for ever any more: a person who blocked a bot, say. Of one busy user's such messages there are soon
-- more than may be moved while others wait, and then the partition of all users stayed, for good. `dead` and `uncertain` ones are
-- kept until somebody decides, as before.

-- As claw_partition_detach of before, which is below, but for messages that failed before `failed_since`: those go with the partition, and do
-- not count. What is to be kept is looked for before anybody waits, because there may be very many that failed; what changes
-- meanwhile is only what is still to be done, and that is looked for once more, by its own index.
create function claw_partition_detach(partition text, most bigint, failed_since timestamptz) returns boolean
    language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '300ms' as $$
declare
    keeping uuid[];
    moving bigint;
begin
    if not claw_sees_all() then
        raise exception 'messages of all tenants must be visible to partition them';
    end if;
    -- First, so that of two leaders one waits here, before either has a table that the other one wants for itself.
    perform from message_partitions p where p.name = partition and p.detached_at is null for update;
    if not found then
        return true;
    end if;
    execute format(
        'select coalesce(array_agg(m.id), ''{}'') from (
             (select id from %1$I where finished_at is null limit %2$s)
             union all (select id from %1$I where state in (''dead'', ''failed'', ''uncertain'')
                            and (state <> ''failed'' or finished_at >= $1) limit %2$s)) m',
        partition, most + 1) into keeping using failed_since;
    if cardinality(keeping) > most then
        return false;
    end if;
    lock table only messages in access exclusive mode;
    execute format('alter table messages detach partition %I', partition);
    execute format(
        'with moved as (delete from %I where id = any ($1) or finished_at is null returning *)
         insert into messages select * from moved', partition) using keeping;
    get diagnostics moving = row_count;
    update message_partitions p set detached_at = now(), kept = p.kept + moving where p.name = partition;
    return true;
end $$;

-- For schedulers of the version before, which keep all of them.
create or replace function claw_partition_detach(partition text, most bigint) returns boolean
    language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '300ms' as $$
begin
    return claw_partition_detach(partition, most, '-infinity');
end $$;

-- Who may call the one may call the other.
revoke execute on function claw_partition_detach(text, bigint, timestamptz) from public;
do $$
declare
    given record;
begin
    for given in
        select a.grantee::regrole::text as grantee
        from pg_proc p cross join aclexplode(p.proacl) a
        where p.oid = 'claw_partition_detach(text, bigint)'::regprocedure
          and a.privilege_type = 'EXECUTE' and a.grantee <> 0 and a.grantee <> p.proowner
    loop
        execute format('grant execute on function claw_partition_detach(text, bigint, timestamptz) to %s', given.grantee);
    end loop;
end $$;
