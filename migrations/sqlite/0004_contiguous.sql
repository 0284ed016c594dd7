-- An event comes next, in the log and in its stream, or not at all. This also
-- covers what the trigger before it was for: whatever would replace an event.

DROP TRIGGER events_are_never_replaced;

CREATE TRIGGER events_come_next BEFORE INSERT ON events
WHEN NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM events)
    OR NEW.sequence <> (
        SELECT coalesce(max(sequence), -1) + 1 FROM events
        WHERE aggregate_type = NEW.aggregate_type AND aggregate_id = NEW.aggregate_id
    )
BEGIN
    SELECT RAISE(ABORT, 'events are immutable and contiguous: this one does not come next');
END;
