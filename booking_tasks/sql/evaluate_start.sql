-- Evaluate one start under the consultant's lock.
--
-- Locks first, then reads: each statement inside sees what was committed before it began. Policy and
-- evaluation come from one statement, because the policy of a service type changes without the consultant's
-- lock.
CREATE FUNCTION evaluate_start_v1(
    p_consultant uuid, p_service_type uuid, p_start timestamptz, p_now timestamptz, p_session uuid,
    OUT refusal text, OUT span tstzrange, OUT session_end timestamptz
)
LANGUAGE plpgsql
AS $$
DECLARE
    policy record;
    reason text;
BEGIN
    PERFORM FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
    SELECT p.duration, p.buffer_before, p.buffer_after, f.start_time IS NOT NULL AS free INTO policy
      FROM booking_policies_v1(ARRAY[p_consultant], p_service_type, p_now) p
      LEFT JOIN free_starts_v1(
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
    SELECT j.obstacle INTO reason FROM evaluate_starts_v1(
        ARRAY[p_consultant], p_service_type, p_start, p_start + interval '1 microsecond', p_now, p_session
    ) j WHERE j.start_time = p_start;
    refusal := CASE
        WHEN reason = 'notice' THEN 'notice_too_short'
        WHEN reason = 'horizon' THEN 'beyond_horizon'
        WHEN reason = 'limit' THEN 'limit_reached'
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
$$;
