-- Who is to be called back when somebody is free.
CREATE TABLE call_back (
    caller TEXT NOT NULL REFERENCES account (address) ON DELETE CASCADE,
    callee TEXT NOT NULL REFERENCES account (address) ON DELETE CASCADE,
    until  INTEGER NOT NULL,               -- Unix seconds
    PRIMARY KEY (caller, callee)
) STRICT, WITHOUT ROWID;
