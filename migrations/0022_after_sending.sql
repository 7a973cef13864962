-- What becomes of a message to a person beyond that it was sent: it came too late, it arrived, it was read. Columns without a
-- default, so nothing is rewritten; what the version before writes leaves them as they are.
--
-- Rejected: `expired` as one more value of `state`. The version before can't read it, and would answer a list that has
-- such a message with an error. It reads 'failed', which is what such a message was to it.

-- True of a message that was not sent in time; its state is 'failed' then.
alter table messages add column expired boolean;
-- When the platform told that the person's device has it, and that the person saw it.
alter table messages add column delivered_at timestamptz;
alter table messages add column read_at timestamptz;
