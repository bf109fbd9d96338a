-- The time of consultants that is not free: where they are already, in whatever role, and blocks.
CREATE FUNCTION busy_time_v2(
    p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL
)
RETURNS TABLE (consultant_user_id uuid, span tstzrange)
LANGUAGE sql STABLE
AS $$
    SELECT o.person_id, o.span
      FROM occupied_times o
     WHERE o.person_id = ANY (p_consultants)
       AND o.span && tstzrange(p_from, p_to)
       AND (o.held_until IS NULL OR o.held_until > p_now)
       AND (p_ignored_session IS NULL OR o.session_id IS DISTINCT FROM p_ignored_session)
     UNION ALL
    SELECT u.consultant_user_id, tstzrange(u.start_time, u.end_time)
      FROM consultant_availability_slots u
     WHERE u.consultant_user_id = ANY (p_consultants)
       AND u.status = 'unavailable'
       AND tstzrange(u.start_time, u.end_time) && tstzrange(p_from, p_to)
$$;
