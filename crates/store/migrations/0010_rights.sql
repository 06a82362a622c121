-- What accounts may do, or want done, beside calling; no row: nothing of it.
CREATE TABLE rights (
    account    TEXT PRIMARY KEY REFERENCES account (address) ON DELETE CASCADE,
    record     TEXT NOT NULL,     -- never, on-demand or always
    supervises TEXT NOT NULL,     -- a JSON array of numbers and names of accounts
    intercom   INTEGER NOT NULL   -- 0 or 1
) STRICT, WITHOUT ROWID;
