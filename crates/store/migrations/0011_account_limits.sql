-- What an account may do, where that is not as the configuration says; no row: as it says.
CREATE TABLE account_limit (
    account         TEXT PRIMARY KEY REFERENCES account (address) ON DELETE CASCADE,
    calls           INTEGER,               -- at a time
    minutes_per_day INTEGER,               -- of talk by trunks
    money_per_day   INTEGER                -- by trunks, in millionths of the currency of the rates
) STRICT, WITHOUT ROWID;
