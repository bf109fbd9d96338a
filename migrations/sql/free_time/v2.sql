-- Free time as rows, one for each piece.
CREATE FUNCTION free_time_v2(p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
LANGUAGE sql STABLE
AS $$
    SELECT r.consultant_user_id, lower(piece), upper(piece)
      FROM free_ranges_v2(p_consultants, p_from, p_to, p_now) r
     CROSS JOIN LATERAL unnest(r.free) AS piece
$$;
