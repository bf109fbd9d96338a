-- The time of consultants that is not free: reservations and blocks. They are read separately, each with
-- exactly the predicate of its partial index.
CREATE FUNCTION busy_time_v1(
    p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL
)
RETURNS TABLE (consultant_user_id uuid, span tstzrange)
LANGUAGE sql STABLE
AS $$
    SELECT f.consultant_user_id, tstzrange(f.start_time, f.end_time)
      FROM consultant_availability_slots f
     WHERE f.consultant_user_id = ANY (p_consultants)
       AND f.status IN ('held', 'booked')
       AND tstzrange(f.start_time, f.end_time) && tstzrange(p_from, p_to)
       AND (f.status = 'booked' OR f.held_until > p_now)
       AND (p_ignored_session IS NULL OR f.scheduled_session_id IS DISTINCT FROM p_ignored_session)
     UNION ALL
    SELECT u.consultant_user_id, tstzrange(u.start_time, u.end_time)
      FROM consultant_availability_slots u
     WHERE u.consultant_user_id = ANY (p_consultants)
       AND u.status = 'unavailable'
       AND tstzrange(u.start_time, u.end_time) && tstzrange(p_from, p_to)
$$;
