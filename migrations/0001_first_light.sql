-- Times are INTEGER UTC milliseconds, requests JSON as engine.protocol describes it.

CREATE TABLE persons (
  id INTEGER PRIMARY KEY,
  is_operator INTEGER NOT NULL DEFAULT 0 CHECK (is_operator IN (0, 1)),
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE identities (
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  person_id INTEGER NOT NULL REFERENCES persons (id),
  PRIMARY KEY (platform, workspace_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_by_person ON identities (person_id);

-- One delivery of a platform: the same key again is the same jobs.
CREATE TABLE intakes (
  id INTEGER PRIMARY KEY,
  person_id INTEGER NOT NULL REFERENCES persons (id),
  key TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  UNIQUE (person_id, key)
) STRICT;

CREATE TABLE jobs (
  number INTEGER PRIMARY KEY,  -- the order of acceptance
  id TEXT NOT NULL UNIQUE,
  person_id INTEGER NOT NULL REFERENCES persons (id),
  intake_id INTEGER NOT NULL REFERENCES intakes (id),
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  channel_id TEXT NOT NULL,
  thread_id TEXT,
  message_id TEXT,
  request TEXT NOT NULL,
  is_private INTEGER NOT NULL CHECK (is_private IN (0, 1)),
  units INTEGER NOT NULL CHECK (units >= 0),
  root_id TEXT NOT NULL REFERENCES jobs (id),
  parent_id TEXT REFERENCES jobs (id),
  parent_index INTEGER CHECK (parent_index >= 0),
  verb TEXT,
  status TEXT NOT NULL CHECK (status IN (
    'received', 'queued', 'running', 'rendered', 'delivered', 'failed', 'cancelled', 'undeliverable')),
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  deaths INTEGER NOT NULL DEFAULT 0 CHECK (deaths >= 0),  -- of the engine, while it drew this
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  finished_ms INTEGER,
  gpu_seconds REAL,
  engine TEXT,  -- version, device and dtype that drew it
  model_hash TEXT,
  failure TEXT,
  CHECK ((parent_id IS NULL) = (verb IS NULL) AND (parent_id IS NULL) = (parent_index IS NULL))
) STRICT;
CREATE INDEX jobs_by_person ON jobs (person_id, number);
CREATE INDEX jobs_by_intake ON jobs (intake_id);
CREATE INDEX jobs_by_root ON jobs (root_id, number);
CREATE INDEX jobs_by_parent ON jobs (parent_id, parent_index, verb) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_unfinished ON jobs (status, number) WHERE status IN ('received', 'queued', 'running', 'rendered');

CREATE TABLE images (
  job_id TEXT NOT NULL REFERENCES jobs (id),
  image_index INTEGER NOT NULL CHECK (image_index >= 0),
  seed INTEGER NOT NULL CHECK (seed BETWEEN 0 AND 4294967295),
  status TEXT NOT NULL CHECK (status IN ('done', 'withheld', 'deleted')),
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  width INTEGER NOT NULL CHECK (width > 0),
  height INTEGER NOT NULL CHECK (height > 0),
  PRIMARY KEY (job_id, image_index)
) STRICT, WITHOUT ROWID;

-- What is left of an allowance is a sum over this table. A job's entries all count at the time it
-- was accepted (`counts_ms`); a grant counts from then until `ends_ms`.
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY,
  person_id INTEGER NOT NULL REFERENCES persons (id),
  job_id TEXT REFERENCES jobs (id),
  image_index INTEGER NOT NULL DEFAULT -1 CHECK ((image_index >= 0) = (kind = 'charge')),
  kind TEXT NOT NULL CHECK (kind IN ('reserve', 'charge', 'release', 'grant')),
  units INTEGER NOT NULL CHECK (units > 0),
  at_ms INTEGER NOT NULL,
  counts_ms INTEGER NOT NULL,
  ends_ms INTEGER CHECK ((ends_ms IS NOT NULL) = (kind = 'grant')),
  reason TEXT,
  CHECK ((job_id IS NULL) = (kind = 'grant')),
  UNIQUE (job_id, kind, image_index)
) STRICT;
CREATE INDEX ledger_by_person ON ledger (person_id, counts_ms, kind, units);
CREATE TRIGGER ledger_keeps_its_entries BEFORE UPDATE ON ledger
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_loses_no_entry BEFORE DELETE ON ledger
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;

CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL REFERENCES jobs (id),
  at_ms INTEGER NOT NULL,
  status TEXT NOT NULL,
  detail TEXT
) STRICT;
CREATE INDEX events_by_job ON events (job_id, id);

-- Jobs whose end has still to be shown. A later end replaces an earlier one under a new id.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL UNIQUE REFERENCES jobs (id),
  attempts INTEGER NOT NULL DEFAULT 0,
  since_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_by_time ON outbox (next_ms);
