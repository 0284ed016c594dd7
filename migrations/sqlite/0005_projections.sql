-- Read models. Each is made from the events and can be made anew at any time.

-- What a version of a projection's code makes of the log.
CREATE TABLE projections (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,               -- a number is never used again
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,                                -- of the code
    state      TEXT    NOT NULL CHECK (state IN ('building', 'cancelled', 'live', 'ended')),
    checkpoint INTEGER NOT NULL,                                -- the position that has been processed
    failure    TEXT             CHECK (json_valid(failure)),    -- why it does not get any further
    skipped    TEXT    NOT NULL CHECK (json_valid(skipped))     -- the events that it has left out
) STRICT;

CREATE UNIQUE INDEX one_live_build ON projections (name) WHERE state = 'live';
CREATE UNIQUE INDEX one_build_under_way ON projections (name) WHERE state IN ('building', 'cancelled');

-- Those of builds that have ended are swept, and then the builds.
CREATE TABLE documents (
    projection INTEGER NOT NULL,                                -- whose
    key        TEXT    NOT NULL,
    collection TEXT,                                            -- where it is listed, if it is
    sort       TEXT,                                            -- where in there
    body       TEXT    NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (projection, key),
    CHECK ((collection IS NULL) = (sort IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX documents_by_place ON documents (projection, collection, sort, key)
WHERE collection IS NOT NULL;

-- What queries see, for people.
CREATE VIEW read_models AS
SELECT projections.name AS projection, collection, sort, key, body
FROM projections JOIN documents ON documents.projection = projections.id
WHERE state = 'live';
