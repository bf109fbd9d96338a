CREATE TRIGGER check_status_on_insert AFTER INSERT ON consultation_requests
    FOR EACH ROW EXECUTE FUNCTION check_status_step_v1('request');

CREATE TRIGGER check_status_on_update AFTER UPDATE ON consultation_requests
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION check_status_step_v1('request');
