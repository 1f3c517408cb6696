-- SQLite does not see that one status is among several, so it never used the partial index that this one replaces.
DROP INDEX jobs_unfinished;
CREATE INDEX jobs_by_status ON jobs (status, person_id);
