-- Commands that were sent with a key, and their answers. A sender that repeats a command
-- gets the first answer. Old rows are removed.

CREATE TABLE commands (
    key        text        PRIMARY KEY COLLATE "C",
    request    text        NOT NULL,
    answer     json        NOT NULL,                        -- the new ends of the command's streams
    created_at timestamptz NOT NULL
);

CREATE INDEX commands_by_age ON commands (created_at);
