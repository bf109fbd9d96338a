CREATE TRIGGER check_status_on_insert AFTER INSERT ON scheduled_sessions
    FOR EACH ROW EXECUTE FUNCTION check_status_step_v1('session');

CREATE TRIGGER check_status_on_update AFTER UPDATE ON scheduled_sessions
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION check_status_step_v1('session');
