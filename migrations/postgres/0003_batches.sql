-- Appending a batch. Both functions run in READ COMMITTED, where each of their statements
-- has a snapshot of its own: what follows the lock sees the commit of the lock's last holder.

-- Locks the log. Returns the last event of the log, the event at a known position, the
-- last event of each stream, and the known commands among some keys. Events are JSON arrays
-- of a position and an id. Streams are numbered from 0.
CREATE FUNCTION begin_batch(
    known_position bigint, types text[], ids text[], keys text[],
    OUT head json, OUT same json, OUT ends json, OUT known_commands json
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lock_log();
    SELECT json_build_array(id, metadata ->> 'event_id') INTO head
    FROM events ORDER BY id DESC LIMIT 1;
    SELECT json_build_array(id, metadata ->> 'event_id') INTO same
    FROM events WHERE id = known_position;
    SELECT json_agg(json_build_array(
        stream.number - 1, event.sequence, event.id, event.metadata ->> 'event_id'
    )) INTO ends
    FROM unnest(types, ids) WITH ORDINALITY AS stream (aggregate_type, aggregate_id, number)
    CROSS JOIN LATERAL (
        SELECT id, sequence, metadata FROM events
        WHERE aggregate_type = stream.aggregate_type AND aggregate_id = stream.aggregate_id
        ORDER BY sequence DESC LIMIT 1
    ) AS event;
    SELECT json_agg(json_build_array(key, request, answer)) INTO known_commands
    FROM commands WHERE key = ANY (keys);
END $$;

-- Appends events and commands, and returns the position before the first event. Returns -1,
-- and changes nothing, if a stream does not end before the sequence that is named first, or
-- if a command is known under one of its keys or earlier keys. Returns -2 if the log does
-- not have the known event.
--
-- Positions in the answers of commands are counted from the first event if they are
-- relative.
CREATE FUNCTION append_batch(
    known_position bigint, known_id text,
    stream_types text[], stream_ids text[], firsts bigint[],
    types text[], ids text[], sequences bigint[], event_types text[], versions integer[],
    payloads text[], metadatas text[],
    keys text[], requests text[], answers text[], earlier_keys text[], is_relative boolean
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    base bigint;
    written_at timestamptz;
BEGIN
    PERFORM lock_log();
    IF known_position > 0 AND NOT EXISTS (
        SELECT FROM events
        WHERE id = known_position
            AND (known_id IS NULL OR coalesce(metadata ->> 'event_id', known_id) = known_id)
    ) THEN
        RETURN -2;
    END IF;
    IF EXISTS (
        SELECT FROM unnest(stream_types, stream_ids, firsts)
            AS stream (aggregate_type, aggregate_id, first)
        WHERE first <> coalesce((
            SELECT max(sequence) FROM events
            WHERE aggregate_type = stream.aggregate_type AND aggregate_id = stream.aggregate_id
        ), -1) + 1
    ) OR EXISTS (SELECT FROM commands WHERE key = ANY (keys || earlier_keys)) THEN
        RETURN -1;
    END IF;
    SELECT coalesce(max(id), 0) INTO base FROM events;
    written_at := clock_timestamp();
    INSERT INTO events (
        id, aggregate_type, aggregate_id, sequence, event_type, schema_version, payload, metadata,
        created_at
    )
    SELECT base + number, aggregate_type, aggregate_id, sequence, event_type, schema_version,
        payload::json, metadata::json, written_at
    FROM unnest(types, ids, sequences, event_types, versions, payloads, metadatas)
        WITH ORDINALITY AS event (
            aggregate_type, aggregate_id, sequence, event_type, schema_version, payload, metadata,
            number
        );
    INSERT INTO commands (key, request, answer, created_at)
    SELECT key, request,
        CASE WHEN is_relative THEN moved_answer(answer::jsonb, base) ELSE answer::json END,
        written_at
    FROM unnest(keys, requests, answers) AS command (key, request, answer);
    RETURN base;
END $$;

-- Adds a position to the positions in an answer.
CREATE FUNCTION moved_answer(answer jsonb, base bigint) RETURNS json LANGUAGE sql AS $$
    SELECT json_build_object('streams', coalesce(json_agg(
        head || jsonb_build_object('position', base + (head ->> 'position')::bigint)
        ORDER BY number
    ), '[]'))
    FROM jsonb_array_elements(answer -> 'streams') WITH ORDINALITY AS heads (head, number)
$$;
