-- Keys to the API beside the operator's own. The key itself is shown once and never stored.
create table api_keys (
    id           uuid primary key,
    name         text not null,
    -- SHA-256 of the key. It has 192 random bits, so there is nothing to guess and a slow hash would only cost time.
    hash         bytea not null,
    -- The one user it is good for; null for all.
    user_id      text,
    -- Of 'read', 'send', 'manage'.
    scopes       text[] not null check (cardinality(scopes) > 0),
    created_by   text not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    -- Updated at most once a minute.
    last_used_at timestamptz
);

alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy tenant on api_keys using (claw_sees_all());
