-- By what a channel's account is known: each of these belongs to one channel of the whole system. An account has several names, such as an
-- app's id, the secret by which it posts and its bot's token, and a channel with any of them is the same bot again.
create table channel_credentials (
    -- HMAC of the channel's type and the credential, by the master key under which the channel's secrets are.
    fingerprint bytea primary key,
    channel_id  uuid not null references channels (id) on delete cascade
);

create index channel_credentials_channel on channel_credentials (channel_id);

alter table channel_credentials enable row level security;
alter table channel_credentials force row level security;
-- The channel is looked up under its own policy.
create policy tenant on channel_credentials
    using (claw_sees_all() or exists (select 1 from channels c where c.id = channel_id));

-- The version before this one knows one credential of a channel, in the channel's row. So whatever is written there is the channel's alone
-- here, too, whichever version writes; what it takes away is free; and a save of the old version is refused for a bot that a channel of the
-- new one has under another name (it says that somebody else was faster). Of a channel whose first credential stays, the others stay: an
-- old version that changes one of those does not say so, and the next save by a new one does.
create function claw_channel_credentials() returns trigger
    language plpgsql as $$
begin
    delete from channel_credentials where channel_id = new.id;
    if new.fingerprint is not null and new.deleted_at is null then
        insert into channel_credentials (fingerprint, channel_id) values (new.fingerprint, new.id);
    end if;
    return null;
end $$;

create trigger credentials_of_new after insert on channels for each row
    when (new.fingerprint is not null) execute function claw_channel_credentials();
create trigger credentials_of_changed after update on channels for each row
    when (new.fingerprint is distinct from old.fingerprint or new.deleted_at is distinct from old.deleted_at)
    execute function claw_channel_credentials();

-- Behind the triggers, which keep everybody from writing channels until this is committed. The other credentials of these channels are in
-- their secrets: they come with the next change of each.
insert into channel_credentials (fingerprint, channel_id)
select fingerprint, id from channels where fingerprint is not null and deleted_at is null;
