-- Forgetting. A person who was erased goes on in the ledger, the jobs' numbers and the audit as a random number.

ALTER TABLE persons ADD COLUMN is_erased INTEGER NOT NULL DEFAULT 0 CHECK (is_erased IN (0, 1));
ALTER TABLE jobs ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0 CHECK (forgotten IN (0, 1, 2));  -- its words; all but numbers

-- Who is blocked stays so after being erased: a salted hash of who the platform says they are, until the block ends.
CREATE TABLE shut_out (
  salt BLOB NOT NULL,
  hash BLOB NOT NULL,
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  ends_ms INTEGER,
  PRIMARY KEY (salt)
) STRICT, WITHOUT ROWID;

DROP TRIGGER ledger_keeps_its_entries;
CREATE TRIGGER ledger_keeps_its_entries BEFORE UPDATE OF
  id, job_id, image_index, kind, units, at_ms, counts_ms, ends_ms, model, audit_number ON ledger
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_changes_for_the_erased BEFORE UPDATE OF person_id, platform, workspace_id, reason ON ledger
WHEN NOT (SELECT is_erased FROM persons WHERE id = NEW.person_id)
BEGIN SELECT raise(ABORT, 'the ledger is append-only'); END;

DROP TRIGGER audit_keeps_its_entries;
CREATE TRIGGER audit_keeps_its_entries BEFORE UPDATE ON audit
WHEN NOT (SELECT max(is_erased) FROM persons WHERE id IN (NEW.actor_id, NEW.person_id)) OR NEW.number <> OLD.number
BEGIN SELECT raise(ABORT, 'the audit is append-only'); END;

CREATE INDEX jobs_by_age ON jobs (created_ms) WHERE forgotten < 2;
