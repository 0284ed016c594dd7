-- Snapshots of states, so that a long stream need not be read from its start. Each can be
-- made again from the events, so rows may be deleted at any time.

CREATE TABLE snapshots (
    aggregate_type text   NOT NULL COLLATE "C",
    aggregate_id   text   NOT NULL COLLATE "C",
    sequence       bigint NOT NULL,                         -- of the last event in the state
    position       bigint NOT NULL,                         -- of that event
    mark           text,                                    -- of that event
    fingerprint    text   NOT NULL,                         -- of the code that made the state
    state          json   NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
);
