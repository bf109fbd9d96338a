-- Book one start: session, slot, decision, event and jobs in one call.
--
-- The caller computed the event and the jobs for a session that ends at p_end. When the policy that holds
-- under the lock gives another end, the answer is `other_length` with the right end. A refusal changes
-- nothing and releases its locks with the inner block. p_new_request is the row of a request that is not in
-- the database yet; otherwise p_status is the status of the locked request.
CREATE FUNCTION book_start_v3(
    p_reservation uuid, p_session uuid, p_consultant uuid, p_requester uuid, p_request uuid,
    p_service_type uuid, p_start timestamptz, p_end timestamptz, p_now timestamptz, p_from_hold boolean,
    p_status text, p_new_request jsonb, p_decision jsonb, p_event jsonb, p_jobs jsonb,
    OUT refusal text, OUT session_end timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    span tstzrange;
    held record;
BEGIN
    IF p_from_hold THEN
        PERFORM FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
        SELECT f.* INTO held FROM consultant_availability_slots f
         WHERE f.consultation_request_id = p_request
           AND f.status = 'held'
           AND f.held_until > p_now
           AND f.consultant_user_id = p_consultant
           AND f.session_start_time = p_start;
        refusal := CASE WHEN NOT FOUND THEN 'hold_expired' END;
        session_end := held.session_end_time;
        span := tstzrange(held.start_time, held.end_time);
    ELSE
        SELECT j.* INTO refusal, span, session_end
          FROM evaluate_start_v3(p_consultant, p_service_type, p_start, p_now, NULL, NULL) j;
    END IF;
    IF refusal IS NULL AND session_end <> p_end THEN
        refusal := 'other_length';
    END IF;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
    END IF;
    PERFORM lock_persons_v1(ARRAY[p_consultant, p_requester]);
    IF p_from_hold THEN
        DELETE FROM consultant_availability_slots f
         WHERE f.id = held.id AND f.hold_token = held.hold_token AND f.status = 'held';
    END IF;
    -- One statement: each of the two names the other.
    WITH new_request AS (
        INSERT INTO consultation_requests (
            id, requester_user_id, company_id, consultation_service_type_id, preferred_consultant_user_id,
            preferred_start_time, request_details, series_id, requested_at, updated_at, status,
            assigned_consultant_user_id, scheduled_session_id
        )
        SELECT p_request, p_requester, r.company_id, p_service_type, r.preferred_consultant_user_id,
               r.preferred_start_time, r.request_details, r.series_id, p_now, p_now, 'scheduled',
               p_consultant, p_session
          FROM jsonb_to_record(p_new_request) AS r (
                   company_id uuid, preferred_consultant_user_id uuid, preferred_start_time timestamptz,
                   request_details text, series_id uuid
               )
         WHERE p_new_request IS NOT NULL
    )
    INSERT INTO scheduled_sessions (
        id, consultation_request_id, requester_user_id, consultant_user_id, consultation_service_type_id,
        scheduled_start_time, scheduled_end_time, status, revision, revised_at, created_at
    )
    VALUES (
        p_session, p_request, p_requester, p_consultant, p_service_type, p_start, p_end, 'scheduled', 0,
        p_now, p_now
    );
    IF p_new_request IS NULL THEN
        UPDATE consultation_requests r
           SET status = 'scheduled', status_reason = NULL, assigned_consultant_user_id = p_consultant,
               scheduled_session_id = p_session, updated_at = p_now
         WHERE r.id = p_request
           AND r.status = p_status;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING MESSAGE = 'request ' || p_request || ' cannot change from ' || p_status
                || ' to scheduled';
        END IF;
    END IF;
    PERFORM insert_reservation_v2(
        p_reservation, 'booked', 'session', p_consultant, p_requester, p_request, p_session, span, p_start,
        p_end, p_now, NULL, NULL
    );
    INSERT INTO assignment_decisions (
        id, consultation_request_id, decided_at, policy_version, consultant_user_id, start_time, reason,
        inputs, candidates
    )
    SELECT d.* FROM jsonb_to_record(p_decision) AS d (
        id uuid, consultation_request_id uuid, decided_at timestamptz, policy_version text,
        consultant_user_id uuid, start_time timestamptz, reason text, inputs jsonb, candidates jsonb
    )
     WHERE p_decision IS NOT NULL;
    PERFORM append_event_v1(p_event, p_jobs);
EXCEPTION
    WHEN SQLSTATE 'BT001' THEN
        refusal := SQLERRM;
        session_end := CASE WHEN refusal = 'other_length' THEN session_end END;
    WHEN exclusion_violation THEN
        refusal := reservation_refusal_v1(p_requester, p_start, session_end, NULL);
        session_end := NULL;
END
$$;
