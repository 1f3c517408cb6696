-- What an admin of a place gives is held to that place's cap whenever units are taken; what the operator gives is not.

ALTER TABLE allowances ADD COLUMN is_capped INTEGER NOT NULL DEFAULT 0 CHECK (is_capped IN (0, 1));
ALTER TABLE resets ADD COLUMN is_capped INTEGER NOT NULL DEFAULT 0 CHECK (is_capped IN (0, 1));
