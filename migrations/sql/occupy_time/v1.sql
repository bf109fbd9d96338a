-- The trigger of the slot ledger that keeps `occupied_times`: who is where because of each of its rows.
--
-- It has the rights of the tables' owner, because nobody else may write there (refuse_direct_write).
CREATE FUNCTION occupy_time_v1()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE occupied_times;
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.held_until IS NOT NULL AND (
        OLD.id, OLD.status, OLD.consultant_user_id, OLD.start_time, OLD.end_time, OLD.requester_user_id,
        OLD.session_start_time, OLD.session_end_time
    ) = (
        NEW.id, NEW.status, NEW.consultant_user_id, NEW.start_time, NEW.end_time, NEW.requester_user_id,
        NEW.session_start_time, NEW.session_end_time
    ) THEN
        UPDATE occupied_times o SET held_until = NEW.held_until WHERE o.reservation_id = NEW.id;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM occupied_times o WHERE o.reservation_id = OLD.id;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN NULL;
    END IF;
    IF NEW.status IN ('held', 'booked') THEN
        INSERT INTO occupied_times (reservation_id, role, person_id, span, session_id, held_until)
        VALUES (
            NEW.id, 'requester', NEW.requester_user_id,
            tstzrange(NEW.session_start_time, NEW.session_end_time), NEW.scheduled_session_id, NEW.held_until
        ), (
            NEW.id, 'consultant', NEW.consultant_user_id, tstzrange(NEW.start_time, NEW.end_time),
            NEW.scheduled_session_id, NEW.held_until
        );
    ELSIF NEW.status = 'unavailable' AND NEW.source = 'absence' THEN
        INSERT INTO occupied_times (reservation_id, role, person_id, span)
        VALUES (NEW.id, 'kept', NEW.consultant_user_id, tstzrange(NEW.start_time, NEW.end_time));
    END IF;
    RETURN NULL;
END
$$;
