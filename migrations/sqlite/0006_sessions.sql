-- Who comes back, and what nobody may know. Neither can be made anew from the events.

-- What a browser holds is not in here, but a hash of it; and for a while, what a
-- sign-in that is under way needs to be finished.
CREATE TABLE sessions (
    id_hash    BLOB    NOT NULL PRIMARY KEY CHECK (length(id_hash) = 32),
    data       TEXT    NOT NULL CHECK (json_valid(data)),
    created_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ')),
    expires_at INTEGER NOT NULL                                 -- in seconds since 1970
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- What this installation signs links with. Whoever deletes a secret makes void what
-- was made with it.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL CHECK (length(value) = 32)
) STRICT, WITHOUT ROWID;
