-- A position means nothing after a restore, so what is stored with a position also has
-- the mark of the event at it. Rows without a mark are from before.

ALTER TABLE projections ADD COLUMN mark TEXT;    -- of the event at the checkpoint
ALTER TABLE snapshots ADD COLUMN mark TEXT;      -- of the event at the position
