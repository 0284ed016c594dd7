-- Commands that were sent with a key, and what was answered: whoever sends one
-- again gets the same answer. Rows are swept when they are old.

CREATE TABLE commands (
    key        TEXT NOT NULL PRIMARY KEY,
    request    TEXT NOT NULL,                               -- what was asked
    answer     TEXT NOT NULL CHECK (json_valid(answer)),    -- where it left its streams
    created_at TEXT NOT NULL                                -- UTC, RFC 3339
) STRICT, WITHOUT ROWID;

CREATE INDEX commands_by_age ON commands (created_at);
