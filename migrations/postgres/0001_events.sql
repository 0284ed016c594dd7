-- The log. One row is one event, for ever.

CREATE TABLE events (
    id             bigint      PRIMARY KEY,                             -- position: from 1, contiguous, in commit order
    aggregate_type text        NOT NULL COLLATE "C",
    aggregate_id   text        NOT NULL COLLATE "C",
    sequence       bigint      NOT NULL CHECK (sequence >= 0),          -- within the stream, from 0
    event_type     text        NOT NULL,
    schema_version integer     NOT NULL CHECK (schema_version >= 1),
    payload        json        NOT NULL,
    metadata       json        NOT NULL,
    created_at     timestamptz NOT NULL,                                -- by the clock of this server
    UNIQUE (aggregate_type, aggregate_id, sequence)
);

-- An append locks this row until its commit. So appends follow each other, and the
-- next append sees the events of the last. The row is never updated, because each
-- update would leave a dead row behind, and a long query would keep all of them.
CREATE TABLE log_lock (id integer PRIMARY KEY CHECK (id = 1));
INSERT INTO log_lock VALUES (1);

CREATE FUNCTION lock_log() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM log_lock WHERE id = 1 FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the row in the table log_lock is missing: INSERT INTO log_lock VALUES (1)';
    END IF;
END $$;

CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are immutable: append a new one instead';
END $$;

CREATE TRIGGER events_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events();

-- An event comes next, in the log and in its stream, or not at all.
CREATE FUNCTION refuse_gap_in_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first bigint;
    last bigint;
    number bigint;
BEGIN
    SELECT min(id), max(id), count(*) INTO first, last, number FROM appended;
    IF number = 0 THEN
        RETURN NULL;
    END IF;
    IF number <> last - first + 1
        OR last <> (SELECT max(id) FROM events)
        OR first <> 1 AND NOT EXISTS (SELECT FROM events WHERE id = first - 1)
        OR first < 1
        OR EXISTS (
            SELECT FROM appended
            WHERE sequence > 0 AND NOT EXISTS (
                SELECT FROM events
                WHERE events.aggregate_type = appended.aggregate_type
                    AND events.aggregate_id = appended.aggregate_id
                    AND events.sequence = appended.sequence - 1
            )
        )
    THEN
        RAISE EXCEPTION 'events are immutable and contiguous: this one does not come next';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER events_come_next AFTER INSERT ON events
REFERENCING NEW TABLE AS appended
FOR EACH STATEMENT EXECUTE FUNCTION refuse_gap_in_events();
