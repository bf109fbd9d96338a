-- Free time as one multirange for each consultant who has windows in the range; for reading in bulk.
CREATE FUNCTION free_ranges_v2(p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz)
RETURNS TABLE (consultant_user_id uuid, free tstzmultirange)
LANGUAGE sql STABLE
AS $$
    WITH windows AS (
        SELECT s.consultant_user_id, range_agg(tstzrange(s.start_time, s.end_time)) AS hours
          FROM consultant_availability_slots s
         WHERE s.consultant_user_id = ANY (p_consultants)
           AND s.status = 'available'
           AND tstzrange(s.start_time, s.end_time) && tstzrange(p_from, p_to)
         GROUP BY s.consultant_user_id
    ), busy AS (
        SELECT t.consultant_user_id, range_agg(t.span) AS taken
          FROM busy_time_v2(p_consultants, p_from, p_to, p_now) t
         GROUP BY t.consultant_user_id
    )
    SELECT w.consultant_user_id,
           (w.hours * tstzmultirange(tstzrange(p_from, p_to))) - coalesce(b.taken, tstzmultirange())
      FROM windows w
      LEFT JOIN busy b USING (consultant_user_id)
$$;
