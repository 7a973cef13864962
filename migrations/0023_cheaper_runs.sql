-- A time of a job changes its row, its timer and its run, and the end of the run changes that again. 100,000 jobs may be due in
-- one second, so each index that need not be written counts.

-- Only retention looks for the age of a run, and runs are stored in the order of their age: a summary of each 128 pages does.
drop index cron_runs_age;
create index cron_runs_age on cron_runs using brin (started_at);

-- Firing changes no column of a job that is in an index. With room on its page, the new row needs no entries in them either.
alter table cron_jobs set (fillfactor = 80);
