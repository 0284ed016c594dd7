-- The log. One row is one event, for ever.

-- 'iron' in ASCII: tells an ironstar database from any other SQLite file.
PRAGMA application_id = 1769107310;

CREATE TABLE events (
    id             INTEGER PRIMARY KEY,                      -- position: from 1, contiguous, in commit order
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence >= 0),   -- within the stream, from 0
    event_type     TEXT    NOT NULL,
    schema_version INTEGER NOT NULL CHECK (schema_version >= 1),
    payload        TEXT    NOT NULL CHECK (json_valid(payload)),
    metadata       TEXT    NOT NULL CHECK (json_valid(metadata)),
    created_at     TEXT    NOT NULL,                         -- UTC, RFC 3339
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;

CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are immutable: append a new one instead');
END;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are immutable: append a new one instead');
END;

-- `INSERT OR REPLACE` deletes without asking the trigger above.
CREATE TRIGGER events_are_never_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
    OR EXISTS (
        SELECT 1 FROM events
        WHERE aggregate_type = NEW.aggregate_type AND aggregate_id = NEW.aggregate_id
            AND sequence = NEW.sequence
    )
BEGIN
    SELECT RAISE(ABORT, 'events are immutable: append a new one instead');
END;
