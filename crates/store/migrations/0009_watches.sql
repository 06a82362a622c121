-- Subscriptions (SIP events) that go on after a restart.
CREATE TABLE watch (
    tag        TEXT PRIMARY KEY,    -- ours in the dialog
    account    TEXT NOT NULL,       -- who is watched: user@host
    watcher    TEXT,                -- the account that watches
    made       BLOB NOT NULL,       -- the SUBSCRIBE that made it
    refreshed  BLOB,                -- the last that refreshed it
    transport  TEXT NOT NULL CHECK (transport IN ('udp', 'tcp')),
    local      TEXT NOT NULL,       -- where the last one came to: address and port
    remote     TEXT NOT NULL,       -- where it came from
    expires_at INTEGER NOT NULL     -- Unix seconds
) STRICT, WITHOUT ROWID;

CREATE INDEX watch_expires ON watch (expires_at);
