-- An admin's reset stands beside the operator's, since only one of them is held to the place's cap.

CREATE TABLE resets_of_both (  -- the key's columns come first: else SQLite 3.40's quick_check calls each row damaged
  person_id INTEGER NOT NULL REFERENCES persons (id),
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  is_capped INTEGER NOT NULL CHECK (is_capped IN (0, 1)),
  counts_ms INTEGER NOT NULL,
  PRIMARY KEY (person_id, platform, workspace_id, is_capped)
) STRICT, WITHOUT ROWID;
INSERT INTO resets_of_both SELECT person_id, platform, workspace_id, is_capped, counts_ms FROM resets;
DROP TABLE resets;
ALTER TABLE resets_of_both RENAME TO resets;
