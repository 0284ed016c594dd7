-- States, so that long streams need not be read from the start. Each is made
-- from the events and can be made anew: rows may be deleted at any time.

CREATE TABLE snapshots (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL,                            -- the last event that is part of it
    position       INTEGER NOT NULL,                            -- of that event
    fingerprint    TEXT    NOT NULL,                            -- of the code that made it
    state          TEXT    NOT NULL CHECK (json_valid(state)),
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT;
