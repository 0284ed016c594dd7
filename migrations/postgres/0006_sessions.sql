-- Sessions of visitors, and secrets. Neither can be made again from the events.

-- A browser has a secret, and this table a hash of it. For a while, a session also holds what
-- a sign-in in progress needs.
CREATE TABLE sessions (
    id_hash    bytea       PRIMARY KEY CHECK (octet_length(id_hash) = 32),
    data       json        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at bigint      NOT NULL                         -- in seconds since 1970
);

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- The secrets with which this installation signs links. If a secret is deleted, all that was
-- made with it becomes invalid.
CREATE TABLE secrets (
    name  text  PRIMARY KEY,
    value bytea NOT NULL CHECK (octet_length(value) = 32)
);
