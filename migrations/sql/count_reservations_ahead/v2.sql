-- The number of sessions and holds that a consultant has ahead: what `assignment_capacity` limits.
CREATE FUNCTION count_reservations_ahead_v2(p_consultant uuid, p_now timestamptz)
RETURNS bigint
LANGUAGE sql STABLE
AS $$
    SELECT count(*)
      FROM occupied_times o
     WHERE o.person_id = p_consultant
       AND o.role = 'consultant'
       AND o.span && tstzrange(p_now, NULL)
       AND (o.held_until IS NULL OR o.held_until > p_now)
$$;
