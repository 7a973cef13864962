-- What is sealed by which master key, found without reading the tables: a process that starts asks for keys that it does not
-- know, and re-sealing takes the next values of a key, wherever it was stopped.
create index channels_secrets_key on channels (secrets_key, id) where secrets_key is not null;
create index backends_secrets_key on backends (secrets_key, id) where secrets_key is not null;
create index hooks_secret_key on hooks (secret_key, id);
create index event_destinations_secret_key on event_destinations (secret_key, id);
