-- Evaluate one start under the consultant's lock.
--
-- Locks first, then reads: each statement inside sees what was committed before it began. Policy and
-- evaluation come from one statement, because the policy of a service type changes without the consultant's
-- lock.
CREATE FUNCTION evaluate_start_v3(
    p_consultant uuid, p_service_type uuid, p_start timestamptz, p_now timestamptz, p_session uuid,
    p_length interval,
    OUT refusal text, OUT span tstzrange, OUT session_end timestamptz
)
LANGUAGE plpgsql
AS $$
DECLARE
    policy record;
BEGIN
    PERFORM FROM consultant_profiles c WHERE c.consultant_user_id = p_consultant FOR NO KEY UPDATE;
    SELECT p.duration, p.buffer_before, p.buffer_after, f.start_time IS NOT NULL AS free INTO policy
      FROM booking_policies_v2(ARRAY[p_consultant], p_service_type, p_now, p_length) p
      LEFT JOIN free_starts_v3(
               ARRAY[p_consultant], p_service_type, p_start, p_start + interval '1 microsecond', p_now,
               p_session, p_length
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
    SELECT r.refusal INTO refusal
      FROM start_refusals_v3(
               ARRAY[p_consultant], p_service_type, p_start, p_now, p_session, p_length
           ) r;
    refusal := coalesce(refusal, 'slot_not_free');
END
$$;
