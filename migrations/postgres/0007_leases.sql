-- The nodes that share this database, and their leases.

CREATE TABLE nodes (
    id         text        PRIMARY KEY COLLATE "C",         -- of one run of a server
    version    text        NOT NULL,                        -- of the program
    host       text        NOT NULL,
    address    text        NOT NULL,                        -- on which it listens
    wanted     text[]      NOT NULL,                        -- the leases that it can hold
    revision   integer     NOT NULL,                        -- the number of changes of wanted
    position   bigint      NOT NULL,                        -- up to which it has read the log
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- A write of a holder compares the epoch in its own transaction. So a holder that was paused, and
-- does not know yet that its lease is over, changes nothing.
CREATE TABLE leases (
    name  text        PRIMARY KEY COLLATE "C",
    epoch bigint      NOT NULL DEFAULT 0,                   -- the number of changes of the holder
    node  text        COLLATE "C",                          -- the holder, if there is one
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX leases_by_node ON leases (node);

-- The nodes for which the leases were last assigned, each with its revision.
CREATE TABLE assignment (
    id      smallint PRIMARY KEY CHECK (id = 1),
    members text     NOT NULL
);

INSERT INTO assignment (id, members) VALUES (1, '');

-- The nodes that have reported within the term, each with its revision.
CREATE FUNCTION running_nodes(term interval) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(string_agg(id || ':' || revision, ' ' ORDER BY id), '')
    FROM nodes WHERE seen_at > clock_timestamp() - term AND seen_at < clock_timestamp() + term
$$;

-- Notes that a node runs. Returns its leases as JSON arrays of a name and an epoch. The leases
-- are not up to date if the nodes or the leases that they want have changed, or if the node is unknown.
CREATE FUNCTION report_node(
    node_id text, node_revision integer, node_position bigint, term interval,
    OUT is_up_to_date boolean, OUT held json
) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE nodes SET seen_at = clock_timestamp(), position = node_position
    WHERE id = node_id AND revision = node_revision;
    is_up_to_date := FOUND
        AND coalesce(running_nodes(term) = (SELECT members FROM assignment), false);
    SELECT json_agg(json_build_array(name, epoch) ORDER BY name) INTO held
    FROM leases WHERE node = node_id;
END $$;
