-- What may be asked where, and what was refused or reported. Two empty texts for a place: everywhere.

CREATE TABLE word_rules (
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  name TEXT NOT NULL,
  pattern TEXT NOT NULL,
  PRIMARY KEY (platform, workspace_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_policies (
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  channel_id TEXT NOT NULL,
  policy TEXT NOT NULL,  -- JSON as bot.jobs.ChannelPolicy describes it
  PRIMARY KEY (platform, workspace_id, channel_id)
) STRICT, WITHOUT ROWID;

-- What was refused or taken down; its number is what a person is told: B-31.
CREATE TABLE incidents (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  person_id INTEGER NOT NULL REFERENCES persons (id),
  platform TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  rule TEXT NOT NULL,
  prompt TEXT,  -- NULL: of what nobody may draw nothing is kept
  sha256 TEXT NOT NULL,  -- of the prompt
  is_strike INTEGER NOT NULL CHECK (is_strike IN (0, 1)),
  at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX incidents_by_person ON incidents (person_id, at_ms);

-- Waits for the operator's channel until `sent_ms`.
CREATE TABLE reports (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL REFERENCES jobs (id),
  image_index INTEGER NOT NULL CHECK (image_index >= 0),
  person_id INTEGER NOT NULL REFERENCES persons (id),  -- who reported it
  at_ms INTEGER NOT NULL,
  sent_ms INTEGER,
  UNIQUE (job_id, image_index, person_id)
) STRICT;
CREATE INDEX reports_unsent ON reports (number) WHERE sent_ms IS NULL;

-- Messages that have still to be removed from a platform; whose they were stands nowhere.
CREATE TABLE takedowns (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  platform TEXT NOT NULL,
  channel_id TEXT NOT NULL,
  message_id TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  UNIQUE (platform, channel_id, message_id)
) STRICT;

ALTER TABLE jobs ADD COLUMN if_flagged TEXT NOT NULL DEFAULT 'withhold' CHECK (if_flagged IN ('withhold', 'keep'));
ALTER TABLE jobs ADD COLUMN is_unchecked INTEGER NOT NULL DEFAULT 0 CHECK (is_unchecked IN (0, 1));
ALTER TABLE images ADD COLUMN is_flagged INTEGER NOT NULL DEFAULT 0 CHECK (is_flagged IN (0, 1));
