-- Book a chosen start for a request, or hold it until the consultant confirms by p_held_until.
--
-- A request that is not in the database yet comes as p_new_request, its row, with p_submitted, {"event": ...,
-- "jobs": ...}; otherwise p_status is the status of the locked request. Whether the consultant may take one
-- more session and whether they must confirm is decided under their lock, whatever was read before:
-- `at_capacity`, `must_be_confirmed`. The end is checked as in book_start. A refusal leaves nothing behind:
-- no request, no lock.
CREATE FUNCTION book_or_hold_v3(
    p_reservation uuid, p_session uuid, p_consultant uuid, p_requester uuid, p_request uuid,
    p_service_type uuid, p_start timestamptz, p_end timestamptz, p_now timestamptz, p_status text,
    p_held_until timestamptz, p_hold_token uuid, p_credit uuid, p_new_request jsonb, p_submitted jsonb,
    p_decision jsonb, p_event jsonb, p_jobs jsonb,
    OUT refusal text, OUT session_end timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    capacity integer;
BEGIN
    IF p_new_request IS NOT NULL THEN
        IF NOT insert_request_v1(p_new_request) THEN
            RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = 'request_exists';
        END IF;
        PERFORM append_event_v1(p_submitted -> 'event', p_submitted -> 'jobs');
    END IF;
    SELECT c.assignment_capacity INTO capacity
      FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
    refusal := CASE
        WHEN capacity IS NOT NULL AND capacity <= count_reservations_ahead_v2(p_consultant, p_now)
            THEN 'at_capacity'
        WHEN p_held_until IS NULL AND EXISTS (
            SELECT FROM booking_policies_v2(ARRAY[p_consultant], p_service_type, p_now) b
             WHERE b.requires_confirmation
        ) THEN 'must_be_confirmed'
    END;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
    END IF;
    IF p_held_until IS NULL THEN
        SELECT b.* INTO refusal, session_end FROM book_start_v3(
            p_reservation, p_session, p_consultant, p_requester, p_request, p_service_type, p_start, p_end,
            p_now, false, p_status, NULL, NULL, p_event, p_jobs
        ) b;
    ELSE
        SELECT a.* INTO refusal, session_end FROM hold_for_confirmation_v3(
            p_reservation, p_consultant, p_requester, p_request, p_service_type, p_start, p_end, p_now,
            p_status, p_held_until, p_hold_token, p_event, p_jobs
        ) a;
    END IF;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
    END IF;
    INSERT INTO assignment_decisions (
        id, consultation_request_id, decided_at, policy_version, consultant_user_id, start_time, reason,
        inputs, candidates
    )
    SELECT d.* FROM jsonb_to_record(p_decision) AS d (
        id uuid, consultation_request_id uuid, decided_at timestamptz, policy_version text,
        consultant_user_id uuid, start_time timestamptz, reason text, inputs jsonb, candidates jsonb
    )
     WHERE p_decision IS NOT NULL;
    INSERT INTO assignment_credits (
        id, consultation_service_type_id, consultant_user_id, credit_type, amount, credited_at,
        consultation_request_id
    )
    SELECT p_credit, p_service_type, p_consultant, 'assignment', 1, p_now, p_request
     WHERE NOT EXISTS (
           SELECT FROM assignment_credits e
            WHERE e.consultation_request_id = p_request
              AND e.consultant_user_id = p_consultant
              AND e.credit_type = 'assignment'
              AND NOT EXISTS (SELECT FROM assignment_credits r WHERE r.reverses = e.id)
     );
EXCEPTION WHEN SQLSTATE 'BT001' THEN
    refusal := SQLERRM;
    session_end := CASE WHEN refusal = 'other_length' THEN session_end END;
END
$$;
