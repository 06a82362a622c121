-- What an account wants besides: of whom alone it takes calls, who rings as well, and when it takes calls at all.
ALTER TABLE answering ADD COLUMN allowed TEXT NOT NULL DEFAULT '[]'; -- a JSON array of numbers and addresses
ALTER TABLE answering ADD COLUMN also TEXT NOT NULL DEFAULT '[]';    -- a JSON array of [place, seconds]
ALTER TABLE answering ADD COLUMN schedule TEXT;                      -- the name of a [[schedule]]
ALTER TABLE answering ADD COLUMN closed TEXT;                        -- where calls go at other times

-- Who takes calls of which queue; no row: who has never logged in.
CREATE TABLE agent (
    queue   TEXT NOT NULL,                 -- its number
    account TEXT NOT NULL REFERENCES account (address) ON DELETE CASCADE,
    state   TEXT NOT NULL,                 -- out, in or paused
    PRIMARY KEY (queue, account)
) STRICT, WITHOUT ROWID;

-- Who is to be woken.
CREATE TABLE wake_up (
    account TEXT PRIMARY KEY REFERENCES account (address) ON DELETE CASCADE,
    at      INTEGER NOT NULL               -- Unix seconds
) STRICT, WITHOUT ROWID;
