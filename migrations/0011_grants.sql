-- A person's grants are looked for with each request, however much they have drawn before.

CREATE INDEX ledger_of_grants ON ledger (person_id, ends_ms) WHERE kind = 'grant';
