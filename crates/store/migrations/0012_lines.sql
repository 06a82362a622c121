-- Trunks and routes that are not declared in files. The file is private, for passwords of trunks are in it.
CREATE TABLE line (
    position INTEGER PRIMARY KEY,          -- rules are tried in this order
    list     TEXT NOT NULL CHECK (list IN ('trunk', 'route')),
    name     TEXT NOT NULL,
    settings TEXT NOT NULL,                -- a JSON object with the keys of the configuration file, but for the name
    UNIQUE (list, name)
) STRICT;
