"""The SQL that takes a piece of a consultant's time, and that books a session whole in one round trip.

Every start is judged by `free_starts`, under the consultant's lock.
"""

from __future__ import annotations

from booking_tasks.models.free_time import run

# Lock, then look: each statement inside sees what was committed before it began, so the policy that a start
# is judged by and the length it gets come from one: a kind's policy changes without the consultant's lock.
START_JUDGED = """
CREATE FUNCTION start_judged(
    p_consultant uuid, p_service_type uuid, p_start timestamptz, p_now timestamptz, p_session uuid,
    OUT refusal text, OUT span tstzrange, OUT session_end timestamptz
)
LANGUAGE plpgsql
AS $$
DECLARE
    policy record;
    obstacle_found text;
BEGIN
    PERFORM FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
    SELECT p.duration, p.buffer_before, p.buffer_after, f.start_time IS NOT NULL AS free INTO policy
      FROM booking_policies(ARRAY[p_consultant], p_service_type, p_now) p
      LEFT JOIN free_starts(
               ARRAY[p_consultant], p_service_type, p_start, p_start + interval '1 microsecond', p_now,
               p_session
           ) f ON f.start_time = p_start;
    IF NOT FOUND THEN
        refusal := 'slot_not_free';
        RETURN;
    END IF;
    session_end := p_start + policy.duration;
    span := tstzrange(p_start - policy.buffer_before, session_end + policy.buffer_after);
    IF policy.free THEN
        RETURN;
    END IF;
    SELECT j.obstacle INTO obstacle_found FROM judged_starts(
        ARRAY[p_consultant], p_service_type, p_start, p_start + interval '1 microsecond', p_now, p_session
    ) j WHERE j.start_time = p_start;
    refusal := CASE
        WHEN obstacle_found = 'notice' THEN 'notice_too_short'
        WHEN obstacle_found = 'horizon' THEN 'beyond_horizon'
        WHEN obstacle_found = 'limit' THEN 'limit_reached'
        WHEN EXISTS (
            SELECT FROM consultant_availability_slots f
             WHERE f.consultant_user_id = p_consultant
               AND f.status IN ('held', 'booked')
               AND tstzrange(f.start_time, f.end_time) && span
               AND (f.status = 'booked' OR f.held_until > p_now)
               AND (p_session IS NULL OR f.scheduled_session_id IS DISTINCT FROM p_session)
        ) THEN 'slot_taken'
        ELSE 'slot_not_free'
    END;
END
$$
"""

# The constraints have the last word. What they refuse is raised, for a block around the call to undo.
TAKE_SPAN = """
CREATE FUNCTION take_span(
    p_fact uuid, p_status text, p_source text, p_consultant uuid, p_requester uuid, p_request uuid,
    p_session uuid, p_span tstzrange, p_start timestamptz, p_end timestamptz, p_now timestamptz,
    p_held_until timestamptz, p_hold_token uuid
)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    -- Rows that someone else works on are left: their owner is about to change them anyway.
    DELETE FROM consultant_availability_slots f WHERE f.id IN (
        SELECT e.id FROM consultant_availability_slots e
         WHERE e.status = 'held'
           AND e.held_until <= p_now
           AND tstzrange(e.start_time, e.end_time) && p_span
           AND (e.consultant_user_id = p_consultant OR e.requester_user_id = p_requester)
           FOR UPDATE SKIP LOCKED
    );
    INSERT INTO consultant_availability_slots (
        id, consultant_user_id, start_time, end_time, status, source, consultation_request_id,
        scheduled_session_id, requester_user_id, session_start_time, session_end_time, held_until,
        hold_token
    )
    VALUES (
        p_fact, p_consultant, lower(p_span), upper(p_span), p_status, p_source, p_request,
        p_session, p_requester, p_start, p_end, p_held_until, p_hold_token
    )
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = CASE WHEN EXISTS (
            SELECT FROM consultant_availability_slots f
             WHERE f.status IN ('held', 'booked')
               AND f.requester_user_id = p_requester
               AND tstzrange(f.session_start_time, f.session_end_time) && tstzrange(p_start, p_end)
        ) THEN 'requester_busy' ELSE 'slot_taken' END;
    END IF;
END
$$
"""

# Lock, look again, insert: one round trip.
# Planning the judge takes longer than judging one start: each connection plans it once.
# All or nothing: what was freed for a piece that then is not had comes back with the inner block.
RESERVE_START = """
CREATE FUNCTION reserve_start(
    p_fact uuid, p_status text, p_source text, p_consultant uuid, p_requester uuid, p_request uuid,
    p_service_type uuid, p_start timestamptz, p_now timestamptz, p_held_until timestamptz,
    p_hold_token uuid, p_session uuid
)
RETURNS TABLE (refusal text, session_end timestamptz)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    span tstzrange;
BEGIN
    SELECT j.* INTO refusal, span, session_end
      FROM start_judged(p_consultant, p_service_type, p_start, p_now, p_session) j;
    IF refusal IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('requester:' || p_requester, 0));
        BEGIN
            DELETE FROM consultant_availability_slots f
             WHERE f.scheduled_session_id = p_session AND f.status = 'booked';
            PERFORM take_span(
                p_fact, p_status, p_source, p_consultant, p_requester, p_request, p_session, span, p_start,
                session_end, p_now, p_held_until, p_hold_token
            );
        EXCEPTION WHEN SQLSTATE 'BT001' THEN
            refusal := SQLERRM;
        END;
    END IF;
    IF refusal IS NOT NULL THEN
        session_end := NULL;
    END IF;
    RETURN NEXT;
END
$$
"""

# An event (if there is one) and jobs, as JSON; the keys of the jobs that were new.
WRITE_DOWN = """
CREATE FUNCTION write_down(p_event jsonb, p_jobs jsonb)
RETURNS SETOF text
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    INSERT INTO events (
        id, type, occurred_at, consultation_request_id, scheduled_session_id, consultant_user_id, actor,
        door, message_id, reason, before, after
    )
    SELECT e.* FROM jsonb_to_record(p_event) AS e (
        id uuid, type text, occurred_at timestamptz, consultation_request_id uuid,
        scheduled_session_id uuid, consultant_user_id uuid, actor text, door text, message_id uuid,
        reason text, before jsonb, after jsonb
    )
     WHERE p_event IS NOT NULL;
    RETURN QUERY
    INSERT INTO jobs (id, key, kind, subject_id, revision, recipient, detail, due_at)
    SELECT j.* FROM jsonb_to_recordset(p_jobs) AS j (
        id uuid, key text, kind text, subject_id uuid, revision integer, recipient uuid, detail text,
        due_at timestamptz
    )
    ON CONFLICT (key) DO NOTHING
    RETURNING jobs.key::text;
END
$$
"""

# A whole booking. What follows from it is the application's to say, and was computed for a session that
# ends at p_end: when the policy that holds under the lock says otherwise, the answer is `other_length`
# with the right end. Whatever is not booked changes nothing and gives its locks back with the inner block.
# p_new_request is the row of a request that is not there yet; else p_status is that of the locked one.
BOOK_START = """
CREATE FUNCTION book_start(
    p_fact uuid, p_session uuid, p_consultant uuid, p_requester uuid, p_request uuid, p_service_type uuid,
    p_start timestamptz, p_end timestamptz, p_now timestamptz, p_from_hold boolean, p_status text,
    p_new_request jsonb, p_decision jsonb, p_event jsonb, p_jobs jsonb,
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
          FROM start_judged(p_consultant, p_service_type, p_start, p_now, NULL) j;
    END IF;
    IF refusal IS NULL AND session_end <> p_end THEN
        refusal := 'other_length';
    END IF;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('requester:' || p_requester, 0));
    IF p_from_hold THEN
        DELETE FROM consultant_availability_slots f
         WHERE f.id = held.id AND f.hold_token = held.hold_token AND f.status = 'held';
    END IF;
    -- One statement: each of the two names the other.
    WITH asked AS (
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
         WHERE r.id = p_request AND r.status = p_status;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING MESSAGE = 'request ' || p_request || ' is no longer ' || p_status;
        END IF;
    END IF;
    PERFORM take_span(
        p_fact, 'booked', 'session', p_consultant, p_requester, p_request, p_session, span, p_start, p_end,
        p_now, NULL, NULL
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
    PERFORM write_down(p_event, p_jobs);
EXCEPTION WHEN SQLSTATE 'BT001' THEN
    refusal := SQLERRM;
    session_end := CASE WHEN refusal = 'other_length' THEN session_end END;
END
$$
"""

# What stands before a series: why it cannot be booked, or how long each of its sessions is.
# Locks the id of the series, then the consultant; what is read was committed before it had the lock.
SERIES_GROUND = """
CREATE FUNCTION series_ground(
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
      FROM booking_policies(ARRAY[p_consultant], p_service_type, p_now) p;
    refusal := CASE WHEN NOT FOUND THEN 'not_bookable' WHEN must_be_confirmed THEN 'must_be_confirmed' END;
END
$$
"""

# A whole series, or none of it with every start that is in the way. p_bookings are the arguments of
# book_start for each start, computed for sessions of p_length; `other_length` as there. Locks the id of
# the series, then the consultant, then the requester.
BOOK_SERIES = """
CREATE FUNCTION book_series(
    p_series uuid, p_requester uuid, p_consultant uuid, p_service_type uuid, p_now timestamptz,
    p_length interval, p_bookings jsonb,
    OUT refusal text, OUT length interval, OUT conflicts jsonb
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    one record;
    became record;
BEGIN
    conflicts := '[]';
    SELECT g.* INTO refusal, length FROM series_ground(
        p_series, p_requester, p_consultant, p_service_type, p_now
    ) g;
    IF refusal IS NULL AND length <> p_length THEN
        refusal := 'other_length';
    END IF;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
    END IF;
    FOR one IN SELECT b.* FROM jsonb_to_recordset(p_bookings) AS b (
        fact uuid, session uuid, request uuid, starts timestamptz, ends timestamptz, status text,
        new_request jsonb, decision jsonb, event jsonb, jobs jsonb
    ) LOOP
        SELECT s.* INTO became FROM book_start(
            one.fact, one.session, p_consultant, p_requester, one.request, p_service_type, one.starts,
            one.ends, p_now, false, one.status, one.new_request, one.decision, one.event, one.jobs
        ) s;
        IF became.refusal = 'other_length' THEN
            length := became.session_end - one.starts;
            RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = became.refusal;
        ELSIF became.refusal IS NOT NULL THEN
            conflicts := conflicts || jsonb_build_object('request', one.request, 'code', became.refusal);
        END IF;
    END LOOP;
    IF conflicts <> '[]' THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = 'conflicts';
    END IF;
EXCEPTION WHEN SQLSTATE 'BT001' THEN
    refusal := SQLERRM;
END
$$
"""

_FUNCTIONS = {
    "start_judged": START_JUDGED,
    "take_span": TAKE_SPAN,
    "reserve_start": RESERVE_START,
    "write_down": WRITE_DOWN,
    "book_start": BOOK_START,
    "series_ground": SERIES_GROUND,
    "book_series": BOOK_SERIES,
}
for _name, _statement in _FUNCTIONS.items():
    run("after_create", _statement)
    run("before_drop", f"DROP FUNCTION IF EXISTS {_name}")
