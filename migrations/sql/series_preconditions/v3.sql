-- Why a series of p_sessions cannot be booked for a requester of p_company, or how long each session is.
--
-- Locks the id of the series, then the consultant; what is read was committed before the lock was granted.
CREATE FUNCTION series_preconditions_v3(
    p_series uuid, p_requester uuid, p_consultant uuid, p_service_type uuid, p_company uuid, p_sessions integer,
    p_now timestamptz,
    OUT refusal text, OUT duration interval
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    consultant record;
    policy record;
BEGIN
    SELECT CASE WHEN NOT t.is_active THEN 'service_type_inactive' END INTO refusal
      FROM consultation_service_types t WHERE t.id = p_service_type;
    IF NOT FOUND THEN
        refusal := 'unknown_service_type';
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('series:' || p_series, 0));
    PERFORM FROM consultation_requests r
      WHERE r.requester_user_id = p_requester AND r.series_id = p_series LIMIT 1;
    IF FOUND THEN
        refusal := 'series_exists';
        RETURN;
    END IF;
    SELECT c.is_available_for_booking, c.company_ids, c.assignment_capacity INTO consultant
      FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        refusal := 'unknown_consultant';
        RETURN;
    END IF;
    SELECT p.duration, p.requires_confirmation INTO policy
      FROM booking_policies_v2(ARRAY[p_consultant], p_service_type, p_now) p;
    duration := policy.duration;
    refusal := CASE
        WHEN NOT consultant.is_available_for_booking THEN 'not_available_for_booking'
        WHEN duration IS NULL THEN 'service_not_offered'
        WHEN consultant.company_ids IS NOT NULL
             AND (p_company = ANY (consultant.company_ids)) IS NOT TRUE THEN 'not_for_company'
        WHEN policy.requires_confirmation THEN 'must_be_confirmed'
        WHEN consultant.assignment_capacity < p_sessions + count_reservations_ahead_v2(p_consultant, p_now)
            THEN 'at_capacity'
    END;
END
$$;
