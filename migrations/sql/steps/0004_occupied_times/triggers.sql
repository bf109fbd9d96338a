INSERT INTO allowed_steps (aggregate, before, after)
VALUES
    ('request', '', 'pending'),
    ('request', '', 'scheduled'),
    ('request', 'pending', 'pending_assignment'),
    ('request', 'pending', 'pending_confirmation'),
    ('request', 'pending', 'scheduled'),
    ('request', 'pending', 'cancelled'),
    ('request', 'pending', 'rejected'),
    ('request', 'pending_assignment', 'pending_confirmation'),
    ('request', 'pending_assignment', 'scheduled'),
    ('request', 'pending_assignment', 'cancelled'),
    ('request', 'pending_assignment', 'rejected'),
    ('request', 'pending_confirmation', 'pending_assignment'),
    ('request', 'pending_confirmation', 'scheduled'),
    ('request', 'pending_confirmation', 'cancelled'),
    ('request', 'pending_confirmation', 'rejected'),
    ('request', 'scheduled', 'completed'),
    ('request', 'scheduled', 'cancelled'),
    ('session', '', 'scheduled'),
    ('session', 'scheduled', 'in_progress'),
    ('session', 'scheduled', 'cancelled_by_user'),
    ('session', 'scheduled', 'cancelled_by_consultant'),
    ('session', 'in_progress', 'completed'),
    ('session', 'in_progress', 'no_show_user'),
    ('session', 'in_progress', 'no_show_consultant'),
    ('session', 'in_progress', 'attendance_unknown'),
    ('session', 'completed', 'no_show_user'),
    ('session', 'completed', 'no_show_consultant'),
    ('session', 'completed', 'attendance_unknown'),
    ('session', 'no_show_user', 'completed'),
    ('session', 'no_show_user', 'no_show_consultant'),
    ('session', 'no_show_user', 'attendance_unknown'),
    ('session', 'no_show_consultant', 'completed'),
    ('session', 'no_show_consultant', 'no_show_user'),
    ('session', 'no_show_consultant', 'attendance_unknown'),
    ('session', 'attendance_unknown', 'completed'),
    ('session', 'attendance_unknown', 'no_show_user'),
    ('session', 'attendance_unknown', 'no_show_consultant');

CREATE TRIGGER refuse_direct_write BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON allowed_steps
    FOR EACH STATEMENT WHEN (pg_trigger_depth() < 1)
    EXECUTE FUNCTION refuse_direct_write_v1();

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

CREATE TRIGGER check_status_on_insert AFTER INSERT ON consultation_requests
    FOR EACH ROW EXECUTE FUNCTION check_status_step_v1('request');

CREATE TRIGGER check_status_on_update AFTER UPDATE ON consultation_requests
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION check_status_step_v1('request');

CREATE TRIGGER refuse_direct_write BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON occupied_times
    FOR EACH STATEMENT WHEN (pg_trigger_depth() < 1)
    EXECUTE FUNCTION refuse_direct_write_v1();

CREATE TRIGGER check_status_on_insert AFTER INSERT ON scheduled_sessions
    FOR EACH ROW EXECUTE FUNCTION check_status_step_v1('session');

CREATE TRIGGER check_status_on_update AFTER UPDATE ON scheduled_sessions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION check_status_step_v1('session');
