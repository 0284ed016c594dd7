-- What the clock of the machine has shown, so that nothing expires because it was wrong.

CREATE TABLE clock (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    course TEXT    NOT NULL CHECK (json_valid(course))  -- times in milliseconds since 1970
) STRICT;
