-- Text messages to accounts: those that wait for a phone, and what became of the others.
CREATE TABLE text (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order in which they came
    account      TEXT NOT NULL REFERENCES account (address) ON DELETE CASCADE,
    sender       TEXT,                               -- the account that sent it: user@host
    from_address TEXT NOT NULL,                      -- From, without its tag
    content_type TEXT NOT NULL,
    headers      TEXT NOT NULL,                      -- of the content: a JSON array of name and value
    body         BLOB NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('kept', 'delivered', 'expired')),
    sent_at      INTEGER NOT NULL,                   -- Unix seconds
    expires_at   INTEGER NOT NULL,                   -- Unix seconds
    settled_at   INTEGER                             -- Unix seconds
) STRICT;

CREATE INDEX text_account ON text (account, state, id);
CREATE INDEX text_sender ON text (sender, id);
CREATE INDEX text_settled ON text (settled_at);
