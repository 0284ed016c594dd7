-- The programs that may use this schema: all that know the migration `oldest`, although later ones may have
-- followed. A migration that breaks programs of a certain age raises the number (docs/adr/0019).

CREATE TABLE compatibility (
    id     smallint PRIMARY KEY CHECK (id = 1),
    oldest bigint   NOT NULL
);

INSERT INTO compatibility (id, oldest) VALUES (1, 8);
