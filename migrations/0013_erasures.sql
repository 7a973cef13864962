-- Removing everything that is kept of a person: DELETE /api/users/{user}.

-- One row a user whose data is being removed or was. It stays as the proof of it: an id, who asked for it, when, and how
-- many of what, and nothing else of the person. Whoever takes a step locks it; the counts are written with what they count.
create table erasures (
    user_id      text primary key,
    requested_by text not null,
    requested_at timestamptz not null default now(),
    -- When something of the user's was last found. What was under way when it began may still write for a moment, so the
    -- end is not said before nothing was found for a while.
    found_at     timestamptz not null default now(),
    finished_at  timestamptz,
    -- {"messages": 12, ...}
    removed      json not null default '{}'
);

create index erasures_finished on erasures (finished_at);

-- Attachments whose message is gone already and that are still to be removed from their folder or bucket.
create table erasure_attachments (
    message_id uuid primary key,
    user_id    text not null
);

create index erasure_attachments_user on erasure_attachments (user_id);

-- The keys of events that belong to no channel: those of a channel are found by it, these by their messages.
create index message_keys_of_events on message_keys (message_id)
    where channel_id = '00000000-0000-0000-0000-000000000000';

alter table erasures enable row level security;
alter table erasures force row level security;
create policy tenant on erasures using (claw_sees(user_id));

-- Only what removes them needs these.
alter table erasure_attachments enable row level security;
alter table erasure_attachments force row level security;
create policy tenant on erasure_attachments using (claw_sees_all());
