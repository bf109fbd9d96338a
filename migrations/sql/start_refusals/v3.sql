-- The code that each consultant refuses a start with (NULL: it can be booked), and the end it would have.
--
-- A start that is lost to another hold or booking of the consultant, in whatever role, is `slot_taken`; every
-- other time that is not offered (hours, leave, outside calendars) is `slot_not_free`. The reservations of
-- p_ignored_session do not count; p_length is the length of a session that is booked already. A consultant who
-- does not take the service type has no row.
CREATE FUNCTION start_refusals_v3(
    p_consultants uuid[], p_service_type uuid, p_start timestamptz, p_now timestamptz, p_ignored_session uuid,
    p_length interval
)
RETURNS TABLE (consultant_user_id uuid, session_end timestamptz, refusal text)
LANGUAGE sql STABLE
AS $$
    SELECT p.consultant_user_id, p_start + p.duration,
           CASE
               WHEN j.start_time IS NOT NULL AND j.ineligibility_reason IS NULL THEN NULL
               WHEN j.ineligibility_reason = 'notice' THEN 'notice_too_short'
               WHEN j.ineligibility_reason = 'horizon' THEN 'beyond_horizon'
               WHEN j.ineligibility_reason = 'limit' THEN 'limit_reached'
               WHEN EXISTS (
                   SELECT FROM occupied_times o
                    WHERE o.person_id = p.consultant_user_id
                      AND o.role <> 'kept'
                      AND o.span && tstzrange(
                              p_start - p.buffer_before, p_start + p.duration + p.buffer_after
                          )
                      AND (o.held_until IS NULL OR o.held_until > p_now)
                      AND (
                          p_ignored_session IS NULL
                          OR o.session_id IS DISTINCT FROM p_ignored_session
                      )
               ) THEN 'slot_taken'
               ELSE 'slot_not_free'
           END
      FROM booking_policies_v2(p_consultants, p_service_type, p_now, p_length) p
      LEFT JOIN evaluate_starts_v3(
               p_consultants, p_service_type, p_start, p_start + interval '1 microsecond', p_now,
               p_ignored_session, p_length
           ) j ON j.consultant_user_id = p.consultant_user_id AND j.start_time = p_start
$$;
