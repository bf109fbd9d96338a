CREATE TRIGGER occupy_time_on_insert AFTER INSERT ON consultant_availability_slots
    FOR EACH ROW WHEN (NEW.status IN ('held', 'booked') OR NEW.source = 'absence')
    EXECUTE FUNCTION occupy_time_v1();

CREATE TRIGGER occupy_time_on_update AFTER UPDATE ON consultant_availability_slots
    FOR EACH ROW WHEN (
        (OLD.status IN ('held', 'booked') OR OLD.source = 'absence'
            OR NEW.status IN ('held', 'booked') OR NEW.source = 'absence')
        AND OLD.* IS DISTINCT FROM NEW.*
    )
    EXECUTE FUNCTION occupy_time_v1();

CREATE TRIGGER occupy_time_on_delete AFTER DELETE ON consultant_availability_slots
    FOR EACH ROW WHEN (OLD.status IN ('held', 'booked') OR OLD.source = 'absence')
    EXECUTE FUNCTION occupy_time_v1();

CREATE TRIGGER occupy_time_on_truncate AFTER TRUNCATE ON consultant_availability_slots
    FOR EACH STATEMENT EXECUTE FUNCTION occupy_time_v1();
