-- What is old enough to be forgotten is looked for each hour and after each start, however long the history is.

CREATE INDEX jobs_with_words ON jobs (created_ms) WHERE forgotten = 0;
CREATE INDEX images_stored ON images (job_id) WHERE status = 'done';
CREATE INDEX incidents_by_time ON incidents (at_ms);
