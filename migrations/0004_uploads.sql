-- The file that a chat platform keeps for an image: known before it is shared, so that nothing is shared twice.
CREATE TABLE uploads (
  job_id TEXT NOT NULL REFERENCES jobs (id),
  image_index INTEGER NOT NULL CHECK (image_index >= 0),
  file_id TEXT NOT NULL,
  PRIMARY KEY (job_id, image_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_file ON uploads (file_id);
