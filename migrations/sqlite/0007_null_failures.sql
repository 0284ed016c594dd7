-- `json_valid(NULL)` is 0, and not NULL, in SQLite before 3.45: its tools refused the
-- builds that have not failed. The rows stay as they are, and so does the number that
-- the next build gets.

DROP VIEW read_models;
DROP INDEX one_live_build;
DROP INDEX one_build_under_way;

ALTER TABLE projections RENAME TO projections_before;

CREATE TABLE projections (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,               -- a number is never used again
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,                                -- of the code
    state      TEXT    NOT NULL CHECK (state IN ('building', 'cancelled', 'live', 'ended')),
    checkpoint INTEGER NOT NULL,                                -- the position that has been processed
    failure    TEXT             CHECK (failure IS NULL OR json_valid(failure)), -- why it is stuck
    skipped    TEXT    NOT NULL CHECK (json_valid(skipped))     -- the events that it has left out
) STRICT;

INSERT INTO projections (id, name, version, state, checkpoint, failure, skipped)
SELECT id, name, version, state, checkpoint, failure, skipped FROM projections_before;

DELETE FROM sqlite_sequence WHERE name = 'projections';
INSERT INTO sqlite_sequence (name, seq)
SELECT 'projections', seq FROM sqlite_sequence WHERE name = 'projections_before';

DROP TABLE projections_before;

CREATE UNIQUE INDEX one_live_build ON projections (name) WHERE state = 'live';
CREATE UNIQUE INDEX one_build_under_way ON projections (name) WHERE state IN ('building', 'cancelled');

CREATE VIEW read_models AS
SELECT projections.name AS projection, collection, sort, key, body
FROM projections JOIN documents ON documents.projection = projections.id
WHERE state = 'live';
