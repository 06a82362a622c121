-- How an account wants its calls answered; no row: as usual.
CREATE TABLE answering (
    account          TEXT PRIMARY KEY REFERENCES account (address) ON DELETE CASCADE,
    always           TEXT,                 -- where calls go: a number, a name, an address or a URI
    busy             TEXT,
    no_answer        TEXT,
    unreachable      TEXT,
    ring_seconds     INTEGER,
    do_not_disturb   INTEGER NOT NULL,     -- 0 or 1
    reject_anonymous INTEGER NOT NULL,
    blocked          TEXT NOT NULL         -- a JSON array of numbers and addresses
) STRICT, WITHOUT ROWID;
