-- "Processing...": what a backend has shown until its answer comes and takes that place. A row is made when the platform has the
-- placeholder, and says, from before the platform is called, which answer took it. Rows are of use for an hour.
create table placeholders (
    -- Our message that shows it. No foreign key: messages are removed by time, too.
    message_id  uuid primary key,
    user_id     text not null,
    channel_id  uuid not null,
    conversation text not null,
    -- Its place: only what was accepted later can be its answer.
    seq         bigint not null,
    -- The platform's id of it.
    platform_id text not null,
    -- The platform's id of the message that is to be answered, where it has one.
    question    text,
    shown_at    timestamptz not null default now(),
    -- The message that took its place; null as long as none did.
    answer_id   uuid,
    -- Whether it became that message, or was taken away for it.
    in_place    boolean not null default false
);

create index placeholders_channel on placeholders (channel_id);
create index placeholders_age on placeholders (shown_at);
create index placeholders_user on placeholders (user_id);

alter table placeholders enable row level security;
alter table placeholders force row level security;
create policy tenant on placeholders using (claw_sees(user_id));
