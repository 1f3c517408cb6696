-- What chat platforms need: whose message is which job, and what answers an interaction in its first minutes.

CREATE INDEX jobs_by_message ON jobs (platform, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX jobs_by_thread ON jobs (platform, thread_id, number) WHERE thread_id IS NOT NULL;

-- The token is a secret of the platform's, removed when it has ended.
CREATE TABLE callbacks (
  job_id TEXT PRIMARY KEY REFERENCES jobs (id),
  token TEXT NOT NULL,
  ends_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX callbacks_by_end ON callbacks (ends_ms);

-- What an adapter has to remember: the hash of the commands that it registered.
CREATE TABLE notes (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
