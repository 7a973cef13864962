-- What a person writes in a burst can go to the backend together (`debounce_ms` of a channel). Each message stays a row of its own.
alter table messages
    -- For how long after it its sender may write on before it is handed over. Null: it goes alone, at once.
    add column debounce_ms integer,
    -- With which message it is handed over: the last one of its burst, whose id the webhook carries. Written before the first attempt
    -- and not changed afterwards: a receiver that knows the id must know the whole of what it gets under it.
    add column burst uuid;
