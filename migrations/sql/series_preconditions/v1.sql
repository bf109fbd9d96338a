-- Why a series cannot be booked, or how long each of its sessions is.
--
-- Locks the id of the series, then the consultant; what is read was committed before the lock was granted.
CREATE FUNCTION series_preconditions_v1(
    p_series uuid, p_requester uuid, p_consultant uuid, p_service_type uuid, p_now timestamptz,
    OUT refusal text, OUT duration interval
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    must_be_confirmed boolean;
BEGIN
    PERFORM FROM consultation_service_types t WHERE t.id = p_service_type AND t.is_active;
    IF NOT FOUND THEN
        refusal := 'unknown_service_type';
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('series:' || p_series, 0));
    PERFORM FROM consultation_requests r
      WHERE r.requester_user_id = p_requester AND r.series_id = p_series LIMIT 1;
    IF FOUND THEN
        refusal := 'series_exists';
        RETURN;
    END IF;
    PERFORM FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        refusal := 'unknown_consultant';
        RETURN;
    END IF;
    SELECT p.duration, p.requires_confirmation INTO duration, must_be_confirmed
      FROM booking_policies_v1(ARRAY[p_consultant], p_service_type, p_now) p;
    refusal := CASE WHEN NOT FOUND THEN 'not_bookable' WHEN must_be_confirmed THEN 'must_be_confirmed' END;
END
$$;
