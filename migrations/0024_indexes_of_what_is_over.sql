-- Two indexes of `messages` have what is over, and no more what is pending: each message is written into them once, when it ends,
-- instead of twice. That is a twelfth of what a message costs the database (docs/benchmarks.md). What is pending is found by the
-- indexes that have nothing else.
--
-- Everybody waits while an index is built, so this is done here only while that takes less than a second. A larger installation
-- goes on with the old ones, which serve as well, until it follows docs/upgrade.md, "Smaller indexes". A version that does
-- not know of it reads a table of this size as a whole for a page of a list, for as long as the upgrade takes.

set local lock_timeout = '10s';

do $$
declare
    bytes bigint := (select coalesce(sum(pg_relation_size(i.inhrelid)), 0) from pg_inherits i
                     where i.inhparent = 'messages'::regclass);
begin
    if bytes > 256 * 1024 * 1024 then
        raise notice 'messages has % MB: see "Smaller indexes" in the upgrade guide', bytes / 1024 / 1024;
        return;
    end if;
    drop index messages_user;
    drop index messages_conversation;
    create index messages_user on messages (user_id, accepted_at desc, seq desc) where finished_at is not null;
    create index messages_conversation on messages (channel_id, conversation, seq) where finished_at is not null;
end $$;
