ALTER TABLE consultant_availability_slots ADD COLUMN counted_from timestamptz;

ALTER TABLE consultant_availability_slots
    ADD CONSTRAINT ck_consultant_availability_slots_counted_from
    CHECK (counted_from IS NULL OR (status = 'available' AND counted_from < start_time)) NOT VALID;

ALTER TABLE consultant_availability_slots VALIDATE CONSTRAINT ck_consultant_availability_slots_counted_from;
