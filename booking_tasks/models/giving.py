"""The SQL that gives a chosen start to a request whole, with the request itself where it is new."""

from __future__ import annotations

from booking_tasks.models.free_time import run

# How many sessions and holds somebody has ahead: what `assignment_capacity` bounds.
LOAD_AHEAD = """
CREATE FUNCTION load_ahead(p_consultant uuid, p_now timestamptz)
RETURNS bigint
LANGUAGE sql STABLE
AS $$
    SELECT count(*)
      FROM consultant_availability_slots f
     WHERE f.consultant_user_id = p_consultant
       AND f.status IN ('held', 'booked')
       AND tstzrange(f.start_time, f.end_time) && tstzrange(p_now, NULL)
       AND (f.status = 'booked' OR f.held_until > p_now)
$$
"""

# What a start is taken for: a booking, or a question that the consultant must answer by p_held_until.
# p_new_request is the row of a request that is not there yet, with p_submitted, {"event": ..., "jobs": ...};
# else p_status is that of the locked one. Whether the consultant may have one more and must be asked is
# judged under their lock, whatever a look saw before: `at_capacity`, `must_be_confirmed`. The end is judged
# as in book_start, and a refusal is as there: nothing is left of it, not even the request, and no lock.
GIVE_START = """
CREATE FUNCTION give_start(
    p_fact uuid, p_session uuid, p_consultant uuid, p_requester uuid, p_request uuid, p_service_type uuid,
    p_start timestamptz, p_end timestamptz, p_now timestamptz, p_status text, p_held_until timestamptz,
    p_hold_token uuid, p_credit uuid, p_new_request jsonb, p_submitted jsonb, p_decision jsonb,
    p_event jsonb, p_jobs jsonb,
    OUT refusal text, OUT session_end timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    capacity integer;
BEGIN
    IF p_new_request IS NOT NULL THEN
        INSERT INTO consultation_requests (
            id, requester_user_id, company_id, consultation_service_type_id, preferred_consultant_user_id,
            preferred_start_time, preferred_end_time, required_specializations,
            excluded_consultant_user_ids, request_details, status, requested_at, deadline_at, languages,
            preferred_fallback, fallback_after
        )
        SELECT p_request, p_requester, r.company_id, p_service_type, r.preferred_consultant_user_id,
               r.preferred_start_time, r.preferred_end_time, r.required_specializations,
               r.excluded_consultant_user_ids, r.request_details, p_status, p_now, r.deadline_at, r.languages,
               r.preferred_fallback, r.fallback_after
          FROM jsonb_to_record(p_new_request) AS r (
                   company_id uuid, preferred_consultant_user_id uuid, preferred_start_time timestamptz,
                   preferred_end_time timestamptz, required_specializations text[],
                   excluded_consultant_user_ids uuid[], request_details text, deadline_at timestamptz,
                   languages text[], preferred_fallback text, fallback_after timestamptz
               )
        ON CONFLICT (id) DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = 'request_exists';
        END IF;
        PERFORM write_down(p_submitted -> 'event', p_submitted -> 'jobs');
    END IF;
    SELECT c.assignment_capacity INTO capacity
      FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
    refusal := CASE
        WHEN capacity IS NOT NULL AND capacity <= load_ahead(p_consultant, p_now) THEN 'at_capacity'
        WHEN p_held_until IS NULL AND EXISTS (
            SELECT FROM booking_policies(ARRAY[p_consultant], p_service_type, p_now) b
             WHERE b.requires_confirmation
        ) THEN 'must_be_confirmed'
    END;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
    END IF;
    IF p_held_until IS NULL THEN
        SELECT b.* INTO refusal, session_end FROM book_start(
            p_fact, p_session, p_consultant, p_requester, p_request, p_service_type, p_start, p_end, p_now,
            false, p_status, NULL, NULL, p_event, p_jobs
        ) b;
    ELSE
        SELECT a.* INTO refusal, session_end FROM ask_for_start(
            p_fact, p_consultant, p_requester, p_request, p_service_type, p_start, p_end, p_now, p_status,
            p_held_until, p_hold_token, p_event, p_jobs
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
        id, consultation_service_type_id, consultant_user_id, kind, amount, credited_at,
        consultation_request_id
    )
    SELECT p_credit, p_service_type, p_consultant, 'assignment', 1, p_now, p_request
     WHERE NOT EXISTS (
           SELECT FROM assignment_credits e
            WHERE e.consultation_request_id = p_request
              AND e.consultant_user_id = p_consultant
              AND e.kind = 'assignment'
              AND NOT EXISTS (SELECT FROM assignment_credits r WHERE r.reverses = e.id)
     );
EXCEPTION WHEN SQLSTATE 'BT001' THEN
    refusal := SQLERRM;
    session_end := CASE WHEN refusal = 'other_length' THEN session_end END;
END
$$
"""

# A start is held until the consultant answers, and the request says so. A part of give_start, whose block
# takes back what a refusal leaves behind.
ASK_FOR_START = """
CREATE FUNCTION ask_for_start(
    p_fact uuid, p_consultant uuid, p_requester uuid, p_request uuid, p_service_type uuid,
    p_start timestamptz, p_end timestamptz, p_now timestamptz, p_status text, p_held_until timestamptz,
    p_hold_token uuid, p_event jsonb, p_jobs jsonb,
    OUT refusal text, OUT session_end timestamptz
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    SELECT r.* INTO refusal, session_end FROM reserve_start(
        p_fact, 'held', 'hold', p_consultant, p_requester, p_request, p_service_type, p_start, p_now,
        p_held_until, p_hold_token, NULL
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
     WHERE r.id = p_request AND r.status = p_status;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING MESSAGE = 'request ' || p_request || ' is no longer ' || p_status;
    END IF;
    PERFORM write_down(p_event, p_jobs);
END
$$
"""

_FUNCTIONS = {"load_ahead": LOAD_AHEAD, "ask_for_start": ASK_FOR_START, "give_start": GIVE_START}
for _name, _statement in _FUNCTIONS.items():
    run("after_create", _statement)
    run("before_drop", f"DROP FUNCTION IF EXISTS {_name}")
