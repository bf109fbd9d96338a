-- The starts that can be booked, for searching and for booking alike.
--
-- No notice is negative and no horizon is longer than 730 days, so nothing outside needs to be evaluated.
CREATE FUNCTION free_starts_v3(
    p_consultants uuid[], p_service_type uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL, p_length interval DEFAULT NULL
)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
LANGUAGE sql STABLE
AS $$
    SELECT e.consultant_user_id, e.start_time, e.end_time
      FROM evaluate_starts_v3(
               p_consultants,
               p_service_type,
               greatest(p_from, p_now),
               greatest(p_from, p_now, least(p_to, p_now + interval '731 days')),
               p_now,
               p_ignored_session,
               p_length
           ) e
     WHERE e.ineligibility_reason IS NULL
$$;
