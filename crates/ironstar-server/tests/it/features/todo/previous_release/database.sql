-- A database of the release of 30 November 2026, as sqlite3 dumps it.
PRAGMA application_id=1769107310;
PRAGMA user_version=1241324545;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations VALUES(1,'events','2026-11-30 15:46:55',1,X'c255ea2f07dcf0745f550e17d67937cbc50613d4a306209fcaa186ed3ce80b362d75bb0ccafe80276977b7fcb889a713',3898770);
INSERT INTO _sqlx_migrations VALUES(2,'commands','2026-11-30 15:46:55',1,X'8bbe63fa21423cb3c84d51fa1d2bc4b49cb5a8457d640d13be7bf5e96ad974e186dd81e145fdb5515fbbfbea4b87c64d',3261255);
INSERT INTO _sqlx_migrations VALUES(3,'snapshots','2026-11-30 15:46:55',1,X'15d65a3a42de27d7b0c659ff54db4a93826a2fd68accece192b5309294498e53189f4591ac1b1661ea30ec3c31554f13',18469513);
INSERT INTO _sqlx_migrations VALUES(4,'contiguous','2026-11-30 15:46:55',1,X'2eef2431b57e7b2b804b9a370f823bafcfe122828df8ba20626703ded236be82b128d991eda2909fdcaaa15ae955fe1a',5585704);
INSERT INTO _sqlx_migrations VALUES(5,'projections','2026-11-30 15:46:55',1,X'9848568a02f349940b069a724d755881bf4f2fdf9fd3920d40fcc5799fd615c328e1bf1b28057447e93a5ee48873eaf9',1907347);
INSERT INTO _sqlx_migrations VALUES(6,'sessions','2026-11-30 15:46:55',1,X'0b9a656b5ed2f471275b76944d363ecf03263b3052afec96ed96a5872f4ae13d8f8d958bad4ced81bfd37ebe350fbe27',1981666);
INSERT INTO _sqlx_migrations VALUES(7,'null failures','2026-11-30 15:46:55',1,X'7e73b6a065f56fa16867c199384466265e15f046a7a709087456bf081e0365985e2061628f83d830bf178cd56836061f',4888056);
INSERT INTO _sqlx_migrations VALUES(8,'marks','2026-11-30 15:46:55',1,X'96382b418630bf2c1809700de400f015a9aae9f9d9b5706ed9d492721c96a1d44f19e32a57a0cbca710643422e09d8f2',2603782);
INSERT INTO _sqlx_migrations VALUES(9,'clock','2026-11-30 15:46:55',1,X'983ec6ee8ee008327027a6a21b85d56a6fe347d7cfdb23c847e678760d91cc9abea9e562eab8b76a2727f734714c92b0',1571206);
CREATE TABLE events (
    id             INTEGER PRIMARY KEY,                      -- position: from 1, contiguous, in commit order
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence >= 0),   -- within the stream, from 0
    event_type     TEXT    NOT NULL,
    schema_version INTEGER NOT NULL CHECK (schema_version >= 1),
    payload        TEXT    NOT NULL CHECK (json_valid(payload)),
    metadata       TEXT    NOT NULL CHECK (json_valid(metadata)),
    created_at     TEXT    NOT NULL,                         -- UTC, RFC 3339
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;
INSERT INTO events VALUES(1,'Todo','01a22d23-4584-73f1-ad0c-4d27c99d518c',0,'created',2,'{"type":"created","text":"Buy milk","list":"shared"}','{"event_id":"01a22d23-4584-73f1-ad0c-4d289bf29ee8","actor":"anonymous","parent":"List/shared"}','2026-11-30T15:46:56.005Z');
INSERT INTO events VALUES(2,'Todo','01a22d23-4584-73f1-ad0c-4d27c99d518c',1,'completed',1,'{"type":"completed"}','{"event_id":"01a22d23-45c8-74d0-b052-dcee2f054c7d","actor":"anonymous","parent":"List/shared"}','2026-11-30T15:46:56.072Z');
INSERT INTO events VALUES(3,'Todo','01a22d23-4584-73f1-ad0c-4d27c99d518c',2,'reopened',1,'{"type":"reopened"}','{"event_id":"01a22d23-45d2-7564-bfc5-8d1eb7bb5b95","actor":"anonymous","parent":"List/shared"}','2026-11-30T15:46:56.083Z');
INSERT INTO events VALUES(4,'Todo','01a22d23-4584-73f1-ad0c-4d27c99d518c',3,'renamed',1,'{"type":"renamed","text":"Buy oat milk"}','{"event_id":"01a22d23-45d6-75b5-a0fb-aa8f27766503","actor":"anonymous","parent":"List/shared"}','2026-11-30T15:46:56.087Z');
INSERT INTO events VALUES(5,'Todo','01a22d23-45da-743d-bf8b-f4f9749cee6a',0,'created',2,'{"type":"created","text":"Gone","list":"shared"}','{"event_id":"01a22d23-45da-743d-bf8b-f4fa78a5dba8","actor":"anonymous","parent":"List/shared"}','2026-11-30T15:46:56.090Z');
INSERT INTO events VALUES(6,'Todo','01a22d23-45da-743d-bf8b-f4f9749cee6a',1,'deleted',1,'{"type":"deleted"}','{"event_id":"01a22d23-45de-73e9-85ed-b1893c51ed8b","actor":"anonymous","parent":"List/shared"}','2026-11-30T15:46:56.094Z');
INSERT INTO events VALUES(7,'List','01a22d23-45e4-730f-8035-59c43a0affc0',0,'created',2,'{"type":"created","name":"Groceries","owner":"guest/01a22d23-45e4-730f-8035-59c5246389a3"}','{"event_id":"01a22d23-45e8-7077-a13a-a46a8346057f","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3"}','2026-11-30T15:46:56.104Z');
INSERT INTO events VALUES(8,'Todo','01a22d23-4661-746a-9d39-ebcdc54f6a1c',0,'created',2,'{"type":"created","text":"Bread","list":"01a22d23-45e4-730f-8035-59c43a0affc0"}','{"event_id":"01a22d23-466d-7284-b36d-f9d77d0b4bcd","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3","parent":"List/01a22d23-45e4-730f-8035-59c43a0affc0"}','2026-11-30T15:46:56.237Z');
INSERT INTO events VALUES(9,'List','01a22d23-45e4-730f-8035-59c43a0affc0',1,'renamed',1,'{"type":"renamed","name":"Food"}','{"event_id":"01a22d23-4684-7352-b209-e6e0871ac7fd","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3"}','2026-11-30T15:46:56.399Z');
INSERT INTO events VALUES(10,'List','01a22d23-45e4-730f-8035-59c43a0affc0',2,'link_created',1,'{"type":"link_created","link":"01a22d23-471e-73d3-92ed-a91c501e87d6","access":"read"}','{"event_id":"01a22d23-471e-73d3-92ed-a91ddda2f108","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3"}','2026-11-30T15:46:56.422Z');
INSERT INTO events VALUES(11,'List','01a22d23-45e4-730f-8035-59c43a0affc0',3,'link_created',1,'{"type":"link_created","link":"01a22d23-4737-7654-8e00-c4532acd8320","access":"edit"}','{"event_id":"01a22d23-4737-7654-8e00-c4540f88d981","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3"}','2026-11-30T15:46:56.443Z');
INSERT INTO events VALUES(12,'List','01a22d23-45e4-730f-8035-59c43a0affc0',4,'link_revoked',1,'{"type":"link_revoked","link":"01a22d23-4737-7654-8e00-c4532acd8320"}','{"event_id":"01a22d23-475d-7198-a41b-084cd8a44c6c","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3"}','2026-11-30T15:46:56.477Z');
INSERT INTO events VALUES(13,'List','01a22d23-4760-73d3-9200-46d5adafe27d',0,'created',2,'{"type":"created","name":"Done","owner":"guest/01a22d23-45e4-730f-8035-59c5246389a3"}','{"event_id":"01a22d23-4761-75bb-a879-0f9dc8c9f0aa","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3"}','2026-11-30T15:46:56.481Z');
INSERT INTO events VALUES(14,'Todo','01a22d23-4764-73e9-bd7e-28145afad677',0,'created',2,'{"type":"created","text":"Only one","list":"01a22d23-4760-73d3-9200-46d5adafe27d"}','{"event_id":"01a22d23-4764-73e9-bd7e-2815ac0ed7fa","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3","parent":"List/01a22d23-4760-73d3-9200-46d5adafe27d"}','2026-11-30T15:46:56.491Z');
INSERT INTO events VALUES(15,'Todo','01a22d23-4764-73e9-bd7e-28145afad677',1,'completed',1,'{"type":"completed"}','{"event_id":"01a22d23-4776-75bb-9d9e-8327aa04d353","actor":"guest/01a22d23-45e4-730f-8035-59c5246389a3","parent":"List/01a22d23-4760-73d3-9200-46d5adafe27d"}','2026-11-30T15:46:56.503Z');
INSERT INTO events VALUES(16,'List','01a22d23-477c-755c-a9a3-e7e255e23ebc',0,'created',2,'{"type":"created","name":"Of a guest","owner":"guest/01a22d23-477c-755c-a9a3-e7e30dd04377"}','{"event_id":"01a22d23-4781-77c1-9b5d-d626e2db3ffb","actor":"guest/01a22d23-477c-755c-a9a3-e7e30dd04377"}','2026-11-30T15:46:56.513Z');
INSERT INTO events VALUES(17,'List','01a22d23-477c-755c-a9a3-e7e255e23ebc',1,'archived',1,'{"type":"archived"}','{"event_id":"01a22d23-47c5-71ab-a662-5284f4810de2","actor":"guest/01a22d23-477c-755c-a9a3-e7e30dd04377"}','2026-11-30T15:46:56.613Z');
INSERT INTO events VALUES(18,'List','01a22d23-4760-73d3-9200-46d5adafe27d',1,'archived',1,'{"type":"archived"}','{"event_id":"01a22d23-47e7-76ec-8002-8b6e80e5de49","causation_id":"archive-done-lists/15.0","actor":"application/archive-done-lists","step":"archive-done-lists/15.0"}','2026-11-30T15:46:56.616Z');
INSERT INTO events VALUES(19,'Step','archive-done-lists/15.0',0,'carried_out',1,'{"type":"carried_out"}','{"event_id":"01a22d23-47e7-76ec-8002-8b6d7f600559","causation_id":"archive-done-lists/15.0","actor":"application/archive-done-lists","step":"archive-done-lists/15.0"}','2026-11-30T15:46:56.616Z');
INSERT INTO events VALUES(20,'List','01a22d23-477c-755c-a9a3-e7e255e23ebc',2,'restored',1,'{"type":"restored"}','{"event_id":"01a22d23-47ee-7128-be75-0d839d238cff","actor":"guest/01a22d23-477c-755c-a9a3-e7e30dd04377"}','2026-11-30T15:46:56.643Z');
INSERT INTO events VALUES(21,'User','01a22d23-4835-71c9-8e86-8bcc2e95e4b1',0,'registered',1,'{"type":"registered"}','{"event_id":"01a22d23-4835-71c9-8e86-8bce83a47bad","actor":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','2026-11-30T15:46:56.693Z');
INSERT INTO events VALUES(22,'User','01a22d23-4835-71c9-8e86-8bcc2e95e4b1',1,'identity_linked',1,'{"type":"identity_linked","identity":"127.0.0.1:34427/1"}','{"event_id":"01a22d23-4835-71c9-8e86-8bcf5ed8a9cf","actor":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','2026-11-30T15:46:56.693Z');
INSERT INTO events VALUES(23,'User','01a22d23-4835-71c9-8e86-8bcc2e95e4b1',2,'profile_changed',1,'{"type":"profile_changed","profile":{"login":"octocat","name":"The Octocat"}}','{"event_id":"01a22d23-4835-71c9-8e86-8bd0168eb928","actor":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','2026-11-30T15:46:56.693Z');
INSERT INTO events VALUES(24,'User','01a22d23-4835-71c9-8e86-8bcc2e95e4b1',3,'signed_in',1,'{"type":"signed_in"}','{"event_id":"01a22d23-4835-71c9-8e86-8bd17897f29b","actor":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','2026-11-30T15:46:56.693Z');
INSERT INTO events VALUES(25,'Identity','127.0.0.1:34427/1',0,'linked',1,'{"type":"linked","user":"01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','{"event_id":"01a22d23-4835-71c9-8e86-8bcd885819db","actor":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','2026-11-30T15:46:56.693Z');
INSERT INTO events VALUES(26,'List','01a22d23-45e4-730f-8035-59c43a0affc0',5,'handed_over',1,'{"type":"handed_over","to":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','{"event_id":"01a22d23-4838-7352-8d06-2d44eee51488","actor":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','2026-11-30T15:46:56.697Z');
INSERT INTO events VALUES(27,'List','01a22d23-4760-73d3-9200-46d5adafe27d',2,'handed_over',1,'{"type":"handed_over","to":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','{"event_id":"01a22d23-4838-7352-8d06-2d45cf0fb743","actor":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','2026-11-30T15:46:56.697Z');
INSERT INTO events VALUES(28,'User','01a22d23-4835-71c9-8e86-8bcc2e95e4b1',4,'signed_out',1,'{"type":"signed_out"}','{"event_id":"01a22d23-540a-71f0-9cdf-19663cdf6d95","actor":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1"}','2026-11-30T15:46:59.722Z');
CREATE TABLE commands (
    key        TEXT NOT NULL PRIMARY KEY,
    request    TEXT NOT NULL,                               -- what was asked
    answer     TEXT NOT NULL CHECK (json_valid(answer)),    -- where it left its streams
    created_at TEXT NOT NULL                                -- UTC, RFC 3339
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL,                            -- the last event that is part of it
    position       INTEGER NOT NULL,                            -- of that event
    fingerprint    TEXT    NOT NULL,                            -- of the code that made it
    state          TEXT    NOT NULL CHECK (json_valid(state)), mark TEXT,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT;
CREATE TABLE documents (
    projection INTEGER NOT NULL,                                -- whose
    key        TEXT    NOT NULL,
    collection TEXT,                                            -- where it is listed, if it is
    sort       TEXT,                                            -- where in there
    body       TEXT    NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (projection, key),
    CHECK ((collection IS NULL) = (sort IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO documents VALUES(1,'01a22d23-45e4-730f-8035-59c43a0affc0','open/user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1','00000000000000000007','{"id":"01a22d23-45e4-730f-8035-59c43a0affc0","name":"Food","owner":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1","links":[{"id":"01a22d23-471e-73d3-92ed-a91c501e87d6","access":"read"}],"archived":false,"created":7}');
INSERT INTO documents VALUES(1,'01a22d23-4760-73d3-9200-46d5adafe27d','archived/user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1','00000000000000000013','{"id":"01a22d23-4760-73d3-9200-46d5adafe27d","name":"Done","owner":"user/01a22d23-4835-71c9-8e86-8bcc2e95e4b1","links":[],"archived":true,"created":13}');
INSERT INTO documents VALUES(1,'01a22d23-477c-755c-a9a3-e7e255e23ebc','open/guest/01a22d23-477c-755c-a9a3-e7e30dd04377','00000000000000000016','{"id":"01a22d23-477c-755c-a9a3-e7e255e23ebc","name":"Of a guest","owner":"guest/01a22d23-477c-755c-a9a3-e7e30dd04377","links":[],"archived":false,"created":16}');
INSERT INTO documents VALUES(2,'state/list/01a22d23-45e4-730f-8035-59c43a0affc0',NULL,NULL,'{"kind":"state","state":{"of":"list","active":1,"completed":0,"archived":false,"sequence":5,"waits":false}}');
INSERT INTO documents VALUES(2,'state/list/01a22d23-4760-73d3-9200-46d5adafe27d',NULL,NULL,'{"kind":"state","state":{"of":"list","active":0,"completed":1,"archived":true,"sequence":2,"waits":false}}');
INSERT INTO documents VALUES(2,'state/list/01a22d23-477c-755c-a9a3-e7e255e23ebc',NULL,NULL,'{"kind":"state","state":{"of":"list","active":0,"completed":0,"archived":false,"sequence":2,"waits":false}}');
INSERT INTO documents VALUES(2,'state/todo/01a22d23-4661-746a-9d39-ebcdc54f6a1c',NULL,NULL,'{"kind":"state","state":{"of":"todo","completed":false}}');
INSERT INTO documents VALUES(2,'state/todo/01a22d23-4764-73e9-bd7e-28145afad677',NULL,NULL,'{"kind":"state","state":{"of":"todo","completed":true}}');
INSERT INTO documents VALUES(3,'01a22d23-4584-73f1-ad0c-4d27c99d518c','shared/active','00000000000000000001','{"kind":"todo","id":"01a22d23-4584-73f1-ad0c-4d27c99d518c","list":"shared","text":"Buy oat milk","completed":false,"created":1}');
INSERT INTO documents VALUES(3,'01a22d23-4661-746a-9d39-ebcdc54f6a1c','01a22d23-45e4-730f-8035-59c43a0affc0/active','00000000000000000008','{"kind":"todo","id":"01a22d23-4661-746a-9d39-ebcdc54f6a1c","list":"01a22d23-45e4-730f-8035-59c43a0affc0","text":"Bread","completed":false,"created":8}');
INSERT INTO documents VALUES(3,'01a22d23-4764-73e9-bd7e-28145afad677','01a22d23-4760-73d3-9200-46d5adafe27d/completed','00000000000000000014','{"kind":"todo","id":"01a22d23-4764-73e9-bd7e-28145afad677","list":"01a22d23-4760-73d3-9200-46d5adafe27d","text":"Only one","completed":true,"created":14}');
INSERT INTO documents VALUES(3,'counts/01a22d23-45e4-730f-8035-59c43a0affc0',NULL,NULL,'{"kind":"counts","active":1,"completed":0}');
INSERT INTO documents VALUES(3,'counts/01a22d23-4760-73d3-9200-46d5adafe27d',NULL,NULL,'{"kind":"counts","active":0,"completed":1}');
INSERT INTO documents VALUES(3,'counts/shared',NULL,NULL,'{"kind":"counts","active":1,"completed":0}');
CREATE TABLE sessions (
    id_hash    BLOB    NOT NULL PRIMARY KEY CHECK (length(id_hash) = 32),
    data       TEXT    NOT NULL CHECK (json_valid(data)),
    created_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ')),
    expires_at INTEGER NOT NULL                                 -- in seconds since 1970
) STRICT, WITHOUT ROWID;
INSERT INTO sessions VALUES(X'c05bc55bd699db7a4211eb0be603054e18612aa7b03f440ad912f557bf7fe51c','{"guest":"01a22d23-5408-76dc-af66-414c63e4a247","theme":"auto"}','2026-11-30T15:46:56Z',1798645619);
INSERT INTO sessions VALUES(X'c3f5f669dea53b52ac4018044b92511a7380d7acfb551e11b164b2fb76307aee','{"guest":"01a22d23-477c-755c-a9a3-e7e30dd04377","theme":"auto"}','2026-11-30T15:46:56Z',1798645616);
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL CHECK (length(value) = 32)
) STRICT, WITHOUT ROWID;
INSERT INTO secrets VALUES('links',X'6370e2f70c53a93a5e4c459272279d64891beb9d8754c5551548ef21cc802a1e');
CREATE TABLE projections (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,               -- a number is never used again
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,                                -- of the code
    state      TEXT    NOT NULL CHECK (state IN ('building', 'cancelled', 'live', 'ended')),
    checkpoint INTEGER NOT NULL,                                -- the position that has been processed
    failure    TEXT             CHECK (failure IS NULL OR json_valid(failure)), -- why it is stuck
    skipped    TEXT    NOT NULL CHECK (json_valid(skipped))     -- the events that it has left out
, mark TEXT) STRICT;
INSERT INTO projections VALUES(1,'lists',2,'live',28,NULL,'[]','ttga10');
INSERT INTO projections VALUES(2,'archive-done-lists',1,'live',28,NULL,'[]','ttga10');
INSERT INTO projections VALUES(3,'todos',1,'live',28,NULL,'[]','ttga10');
CREATE TABLE clock (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    course TEXT    NOT NULL CHECK (json_valid(course))  -- times in milliseconds since 1970
) STRICT;
INSERT INTO clock VALUES(1,'{"seen":1796053615963,"older":0,"jumps":[]}');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('projections',3);
CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are immutable: append a new one instead');
END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are immutable: append a new one instead');
END;
CREATE INDEX commands_by_age ON commands (created_at);
CREATE TRIGGER events_come_next BEFORE INSERT ON events
WHEN NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM events)
    OR NEW.sequence <> (
        SELECT coalesce(max(sequence), -1) + 1 FROM events
        WHERE aggregate_type = NEW.aggregate_type AND aggregate_id = NEW.aggregate_id
    )
BEGIN
    SELECT RAISE(ABORT, 'events are immutable and contiguous: this one does not come next');
END;
CREATE INDEX documents_by_place ON documents (projection, collection, sort, key)
WHERE collection IS NOT NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE UNIQUE INDEX one_live_build ON projections (name) WHERE state = 'live';
CREATE UNIQUE INDEX one_build_under_way ON projections (name) WHERE state IN ('building', 'cancelled');
CREATE VIEW read_models AS
SELECT projections.name AS projection, collection, sort, key, body
FROM projections JOIN documents ON documents.projection = projections.id
WHERE state = 'live';
COMMIT;
