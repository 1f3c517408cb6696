-- What a person's /imagine takes where neither option nor flag says otherwise, as flags are written.

CREATE TABLE defaults (
  person_id INTEGER NOT NULL REFERENCES persons (id),
  flag TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (person_id, flag)
) STRICT, WITHOUT ROWID;
