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
