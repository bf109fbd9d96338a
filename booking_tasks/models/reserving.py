"""The SQL that takes a piece of a consultant's time: judged by `free_starts`, under the consultant's lock."""

from __future__ import annotations

from booking_tasks.models.free_time import run

# Lock, look again, insert: one round trip. Each statement inside sees what was committed before it began.
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
    policy record;
    wanted tstzrange;
    obstacle_found text;
BEGIN
    PERFORM FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
    SELECT * INTO policy FROM booking_policies(ARRAY[p_consultant], p_service_type, p_now);
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'slot_not_free', NULL::timestamptz;
        RETURN;
    END IF;
    session_end := p_start + policy.duration;
    wanted := tstzrange(p_start - policy.buffer_before, session_end + policy.buffer_after);
    PERFORM FROM free_starts(
        ARRAY[p_consultant], p_service_type, p_start, p_start + interval '1 microsecond', p_now, p_session
    ) f WHERE f.start_time = p_start;
    IF NOT FOUND THEN
        SELECT j.obstacle INTO obstacle_found FROM judged_starts(
            ARRAY[p_consultant], p_service_type, p_start, p_start + interval '1 microsecond', p_now, p_session
        ) j WHERE j.start_time = p_start;
        RETURN QUERY SELECT CASE
            WHEN obstacle_found = 'notice' THEN 'notice_too_short'
            WHEN obstacle_found = 'horizon' THEN 'beyond_horizon'
            WHEN obstacle_found = 'limit' THEN 'limit_reached'
            WHEN EXISTS (
                SELECT FROM consultant_availability_slots f
                 WHERE f.consultant_user_id = p_consultant
                   AND f.status IN ('held', 'booked')
                   AND tstzrange(f.start_time, f.end_time) && wanted
                   AND (f.status = 'booked' OR f.held_until > p_now)
                   AND (p_session IS NULL OR f.scheduled_session_id IS DISTINCT FROM p_session)
            ) THEN 'slot_taken'
            ELSE 'slot_not_free'
        END, NULL::timestamptz;
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('requester:' || p_requester, 0));
    BEGIN
        DELETE FROM consultant_availability_slots f
         WHERE f.scheduled_session_id = p_session AND f.status = 'booked';
        -- Rows that someone else works on are left: their owner is about to change them anyway.
        DELETE FROM consultant_availability_slots f WHERE f.id IN (
            SELECT e.id FROM consultant_availability_slots e
             WHERE e.status = 'held'
               AND e.held_until <= p_now
               AND tstzrange(e.start_time, e.end_time) && wanted
               AND (e.consultant_user_id = p_consultant OR e.requester_user_id = p_requester)
               FOR UPDATE SKIP LOCKED
        );
        INSERT INTO consultant_availability_slots (
            id, consultant_user_id, start_time, end_time, status, source, consultation_request_id,
            scheduled_session_id, requester_user_id, session_start_time, session_end_time, held_until,
            hold_token
        )
        VALUES (
            p_fact, p_consultant, lower(wanted), upper(wanted), p_status, p_source, p_request,
            p_session, p_requester, p_start, session_end, p_held_until, p_hold_token
        )
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            refusal := CASE WHEN EXISTS (
                SELECT FROM consultant_availability_slots f
                 WHERE f.status IN ('held', 'booked')
                   AND f.requester_user_id = p_requester
                   AND tstzrange(f.session_start_time, f.session_end_time) && tstzrange(p_start, session_end)
            ) THEN 'requester_busy' ELSE 'slot_taken' END;
            RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
        END IF;
    EXCEPTION WHEN SQLSTATE 'BT001' THEN
        session_end := NULL;
    END;
    RETURN NEXT;
END
$$
"""

run("after_create", RESERVE_START)
run("before_drop", "DROP FUNCTION IF EXISTS reserve_start")
