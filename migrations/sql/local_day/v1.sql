-- The day on which an instant is where a person is then: in the zone of a trip on the trip's days, otherwise at
-- home. p_trips: [{"first_day", "last_day", "time_zone"}], the days included; NULL: none.
CREATE FUNCTION local_day_v1(p_instant timestamptz, p_time_zone text, p_trips jsonb)
RETURNS date
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(
               (SELECT (p_instant AT TIME ZONE t.time_zone)::date
                  FROM jsonb_to_recordset(p_trips) AS t (first_day date, last_day date, time_zone text)
                 WHERE (p_instant AT TIME ZONE t.time_zone)::date BETWEEN t.first_day AND t.last_day
                 ORDER BY t.first_day
                 LIMIT 1),
               (p_instant AT TIME ZONE p_time_zone)::date
           )
$$;
