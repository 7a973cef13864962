-- What people in a group said that was not meant for the bot: given to the backend with the next message that is, then deleted.
-- Bounded by conversation and by age, so it is never much. It hangs off its channel's row; `user_id` is whose channel it is, `sender`
-- the platform's id of who said it: both are there so that it can be erased.
create table group_context (
    channel_id   uuid not null,
    conversation text not null,
    -- The order in which it was said.
    seq          bigint generated always as identity,
    user_id      text not null,
    sender       text,
    -- What makes it the same message redelivered, as in message_keys.
    key          text,
    -- json for the same reasons as messages.payload.
    said         json not null,
    kept_at      timestamptz not null default now(),
    primary key (channel_id, conversation, seq)
);

create unique index group_context_key on group_context (channel_id, key);
create index group_context_age on group_context (kept_at);
create index group_context_user on group_context (user_id);

alter table group_context enable row level security;
alter table group_context force row level security;
create policy tenant on group_context using (claw_sees(user_id));
