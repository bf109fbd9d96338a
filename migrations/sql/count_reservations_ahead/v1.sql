-- The number of sessions and holds that a consultant has ahead: what `assignment_capacity` limits.
CREATE FUNCTION count_reservations_ahead_v1(p_consultant uuid, p_now timestamptz)
RETURNS bigint
LANGUAGE sql STABLE
AS $$
    SELECT count(*)
      FROM consultant_availability_slots f
     WHERE f.consultant_user_id = p_consultant
       AND f.status IN ('held', 'booked')
       AND tstzrange(f.start_time, f.end_time) && tstzrange(p_now, NULL)
       AND (f.status = 'booked' OR f.held_until > p_now)
$$;
