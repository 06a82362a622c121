-- How the exchange speaks and writes to the account; NULL: as it does to all.
ALTER TABLE account ADD COLUMN language TEXT CHECK (language IN ('en', 'zh'));
