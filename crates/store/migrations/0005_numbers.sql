-- Who has asked for a number, and what became of it.
CREATE TABLE number_request (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account      TEXT NOT NULL REFERENCES account (address) ON DELETE CASCADE,
    number       TEXT,                     -- the one that was asked for, then the one that was given; NULL: any
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'rejected')),
    reason       TEXT,                     -- of a rejection
    requested_at INTEGER NOT NULL,         -- Unix seconds
    decided_at   INTEGER
) STRICT;

CREATE INDEX number_request_account ON number_request (account, state);

-- What has happened to numbers. Rows are written by the triggers below, whoever changes a number.
CREATE TABLE number_event (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    number  TEXT NOT NULL,
    event   TEXT NOT NULL CHECK (event IN ('added', 'assigned', 'released', 'removed')),
    account TEXT,
    at      INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE INDEX number_event_number ON number_event (number, id);

CREATE TRIGGER number_added AFTER INSERT ON number BEGIN
    INSERT INTO number_event (number, event) VALUES (new.number, 'added');
    INSERT INTO number_event (number, event, account)
        SELECT new.number, 'assigned', new.account WHERE new.account IS NOT NULL;
END;

CREATE TRIGGER number_moved AFTER UPDATE OF account ON number WHEN old.account IS NOT new.account BEGIN
    INSERT INTO number_event (number, event, account)
        SELECT new.number, 'released', old.account WHERE old.account IS NOT NULL;
    INSERT INTO number_event (number, event, account)
        SELECT new.number, 'assigned', new.account WHERE new.account IS NOT NULL;
END;

CREATE TRIGGER number_removed AFTER DELETE ON number BEGIN
    INSERT INTO number_event (number, event, account)
        SELECT old.number, 'released', old.account WHERE old.account IS NOT NULL;
    INSERT INTO number_event (number, event) VALUES (old.number, 'removed');
END;
