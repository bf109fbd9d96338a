-- Hold a start until the consultant answers, and set the request to `pending_confirmation`.
--
-- A part of book_or_hold, whose block undoes what a refusal leaves behind.
CREATE FUNCTION hold_for_confirmation_v3(
    p_reservation uuid, p_consultant uuid, p_requester uuid, p_request uuid, p_service_type uuid,
    p_start timestamptz, p_end timestamptz, p_now timestamptz, p_status text, p_held_until timestamptz,
    p_hold_token uuid, p_event jsonb, p_jobs jsonb,
    OUT refusal text, OUT session_end timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    SELECT r.* INTO refusal, session_end FROM reserve_start_v3(
        p_reservation, 'held', 'hold', p_consultant, p_requester, p_request, p_service_type, p_start, p_now,
        p_held_until, p_hold_token, NULL, NULL
    ) r;
    IF refusal IS NULL AND session_end <> p_end THEN
        refusal := 'other_length';
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    UPDATE consultation_requests r
       SET status = 'pending_confirmation', status_reason = NULL,
           assigned_consultant_user_id = p_consultant, updated_at = p_now
     WHERE r.id = p_request
       AND r.status = p_status;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING MESSAGE = 'request ' || p_request || ' cannot change from ' || p_status
            || ' to pending_confirmation';
    END IF;
    PERFORM append_event_v1(p_event, p_jobs);
END
$$;
