-- Strangers who ask to be let in, those who were, and invitations: `dm_policy: pairing`.

-- One row for each person of a channel, and one for each invitation that nobody used yet.
create table pairings (
    id         uuid primary key,
    channel_id uuid not null,
    user_id    text not null,
    -- What somebody approves it by, and what it is called by afterwards.
    code       text not null,
    -- pending: a stranger who waits to be let in. invited: whoever sends the code is let in. approved: may write.
    -- denied: is not answered.
    state      text not null check (state in ('pending', 'invited', 'approved', 'denied')),
    -- The platform's id of who it is about; null for an invitation.
    person     text,
    -- The name that the platform shows for them.
    name       text,
    -- The chat in which they are told.
    recipient  text,
    thread_id  text,
    created_at timestamptz not null default now(),
    -- From then on it is as good as deleted. Null: never, for those who were approved.
    expires_at timestamptz,
    decided_at timestamptz,
    decided_by text
);

create unique index pairings_code on pairings (channel_id, code);
create unique index pairings_person on pairings (channel_id, person) where person is not null;
create index pairings_open on pairings (channel_id, expires_at) where state in ('pending', 'invited');
create index pairings_age on pairings (expires_at) where expires_at is not null;
create index pairings_user on pairings (user_id);

-- What a stranger wrote before being let in: a message of this id once they are, and gone with their request.
create table pairing_held (
    id           uuid primary key,
    pairing_id   uuid not null references pairings (id) on delete cascade,
    user_id      text not null,
    -- The order in which it was written.
    seq          bigint generated always as identity,
    conversation text not null,
    -- json for the same reasons as messages.payload.
    payload      json not null,
    media        json
);

create index pairing_held_of on pairing_held (pairing_id, seq);
create index pairing_held_user on pairing_held (user_id);

alter table pairings enable row level security;
alter table pairings force row level security;
create policy tenant on pairings using (claw_sees(user_id));

alter table pairing_held enable row level security;
alter table pairing_held force row level security;
create policy tenant on pairing_held using (claw_sees(user_id));
