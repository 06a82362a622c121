-- Values that belong to the whole exchange: the signing key, the realm.
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    address    TEXT PRIMARY KEY,           -- user@host
    name       TEXT,
    realm      TEXT NOT NULL,              -- for which the secrets were computed
    ha1_md5    TEXT NOT NULL,
    ha1_sha256 TEXT NOT NULL,
    email      TEXT,
    source     TEXT NOT NULL CHECK (source IN ('store', 'file')),
    created_at INTEGER NOT NULL            -- Unix seconds
) STRICT;

CREATE TABLE number (
    position INTEGER PRIMARY KEY,          -- the first number of an account is the one it shows
    number   TEXT NOT NULL UNIQUE,         -- without visual separators (RFC 3966 section 5.1.1)
    account  TEXT REFERENCES account (address) ON DELETE SET NULL
) STRICT;

CREATE INDEX number_account ON number (account, position);

-- No reference to account: without authentication anyone may register.
CREATE TABLE binding (
    account       TEXT NOT NULL,
    position      INTEGER NOT NULL,        -- the order in which contacts were registered
    contact       TEXT NOT NULL,
    q             INTEGER NOT NULL,        -- thousandths
    expires_at    INTEGER NOT NULL,        -- Unix seconds
    transport     TEXT NOT NULL,
    local         TEXT NOT NULL,           -- address and port of ours
    remote        TEXT NOT NULL,           -- address and port of the phone
    behind_nat    INTEGER NOT NULL,
    path          TEXT NOT NULL,           -- one element of Path a line
    call_id       TEXT NOT NULL,
    cseq          INTEGER NOT NULL,
    instance      TEXT,
    reg_id        INTEGER,
    user_agent    TEXT NOT NULL,
    PRIMARY KEY (account, position)
) STRICT, WITHOUT ROWID;

-- How far each shard's journal has been taken over into the tables above.
CREATE TABLE journal (
    shard    INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT;
