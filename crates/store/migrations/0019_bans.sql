-- Addresses that are not listened to.
CREATE TABLE ban (
    address TEXT PRIMARY KEY,  -- an IPv4 address, or the first of a /64 of IPv6
    since   INTEGER NOT NULL,  -- Unix seconds
    until   INTEGER,           -- Unix seconds; NULL: until somebody ends it
    reason  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
