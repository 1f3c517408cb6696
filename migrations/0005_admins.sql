-- What admins decide, and the record of it. A scope is a platform and a workspace of it; two empty texts: everywhere.

CREATE TABLE audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,  -- of the delivery: the same order twice is done once
  at_ms INTEGER NOT NULL,
  actor_id INTEGER NOT NULL REFERENCES persons (id),
  authority TEXT NOT NULL CHECK (authority IN ('operator', 'admin', 'moderator')),
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  verb TEXT NOT NULL,
  person_id INTEGER REFERENCES persons (id),  -- whom it is about: platforms' names of people stand nowhere here
  subject TEXT NOT NULL,  -- what else it is about
  before TEXT NOT NULL,
  after TEXT NOT NULL,
  ends_ms INTEGER,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_scope ON audit (platform, workspace_id, number);
CREATE TRIGGER audit_keeps_its_entries BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_loses_no_entry BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;

CREATE TABLE allowances (
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  subject TEXT NOT NULL CHECK (subject IN ('default', 'role', 'person', 'place')),
  subject_id TEXT NOT NULL,  -- a platform's role, a person's number, or empty
  model TEXT NOT NULL,  -- empty: of all models together
  units INTEGER CHECK (units BETWEEN 0 AND 1000000),
  weight REAL CHECK (weight > 0),  -- of their jobs in the queue
  waiting INTEGER CHECK (waiting > 0),  -- jobs of one person
  ends_ms INTEGER,
  PRIMARY KEY (platform, workspace_id, subject, subject_id, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE blocks (
  person_id INTEGER NOT NULL REFERENCES persons (id),
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  ends_ms INTEGER,
  reason TEXT NOT NULL,
  PRIMARY KEY (person_id, platform, workspace_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pauses (
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  ends_ms INTEGER,
  reason TEXT NOT NULL,
  PRIMARY KEY (platform, workspace_id)
) STRICT, WITHOUT ROWID;

-- At this scope nothing that a person took up to `counts_ms` counts any more.
CREATE TABLE resets (
  person_id INTEGER NOT NULL REFERENCES persons (id),
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  counts_ms INTEGER NOT NULL,
  PRIMARY KEY (person_id, platform, workspace_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN weight REAL NOT NULL DEFAULT 1 CHECK (weight > 0);  -- its person's, when it was accepted

ALTER TABLE ledger ADD COLUMN platform TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN workspace_id TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN model TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN audit_number INTEGER REFERENCES audit (number);  -- of a grant: what makes it once
DROP TRIGGER ledger_keeps_its_entries;
UPDATE ledger SET (platform, workspace_id, model) = (
  SELECT platform, workspace_id, coalesce(request ->> '$.model', request ->> '$.of.model', '')
  FROM jobs WHERE jobs.id = ledger.job_id
) WHERE job_id IS NOT NULL;
CREATE TRIGGER ledger_keeps_its_entries BEFORE UPDATE ON ledger
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_knows_its_grants BEFORE INSERT ON ledger WHEN (NEW.kind = 'grant') <> (NEW.audit_number IS NOT NULL)
BEGIN SELECT raise(ABORT, 'a grant, and nothing else, names its order in the audit'); END;
CREATE UNIQUE INDEX ledger_by_audit ON ledger (audit_number) WHERE audit_number IS NOT NULL;
DROP INDEX ledger_by_person;
CREATE INDEX ledger_by_person ON ledger (person_id, counts_ms, kind, platform, workspace_id, model, units);
CREATE INDEX ledger_by_place ON ledger (platform, workspace_id, counts_ms, kind, units);
