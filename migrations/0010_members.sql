-- Gateways are members of the cluster, too, and two versions may run side by side during an upgrade.

-- A gateway owns nothing, so it holds no lock and has no connection of its own: it is a row with a heartbeat. What tells
-- two processes of one name apart is then the `incarnation`, a number that each draws at its start.
alter table members drop constraint members_role_check;
alter table members add constraint members_role_check check (role in ('worker', 'scheduler', 'gateway'));
alter table members alter column lock_key drop not null;
alter table members alter column backend_pid drop not null;
alter table members add column incarnation uuid;

-- A binary may run on a database with migrations that it does not know if the newest one that it does know is at least
-- this. A migration that only adds leaves it alone; one that takes away what older binaries use raises it, and its
-- default for new databases.
alter table cluster add column oldest_schema bigint not null default 9;
