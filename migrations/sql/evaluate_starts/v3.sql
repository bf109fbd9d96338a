-- Every start on the step of a window, with the reason why it cannot be booked (NULL: it can). This function
-- alone evaluates starts. For a session that moves: p_ignored_session does not count, p_length is its length.
--
-- Days and weeks of the limits are those of the place where the consultant is: on a trip in its zone.
--
-- Written so that PostgreSQL inlines it and busy_time instead of calling them: no argument may be a
-- sub-select. Up to `offer`, which OFFSET keeps together, there is one row for each consultant, so that no
-- plan sorts or copies a consultant's ranges once for each start.
CREATE FUNCTION evaluate_starts_v3(
    p_consultants uuid[], p_service_type uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL, p_length interval DEFAULT NULL
)
RETURNS TABLE (
    consultant_user_id uuid, start_time timestamptz, end_time timestamptz, ineligibility_reason text
)
LANGUAGE sql STABLE
AS $$
    WITH policy AS MATERIALIZED (
        SELECT q.*,
               CASE WHEN q.limited THEN
                   (SELECT a.plan -> 'travel'
                      FROM availability_plans a
                     WHERE a.consultant_user_id = q.consultant_user_id)
               END AS trips
          FROM (
               SELECT p.*, extract(epoch FROM p.duration) / 60 AS minutes,
                      c.max_sessions_per_day AS all_day_sessions,
                      c.max_sessions_per_week AS all_week_sessions,
                      c.max_minutes_per_day AS all_day_minutes, c.max_minutes_per_week AS all_week_minutes,
                      num_nonnulls(
                          p.day_sessions, p.week_sessions, p.day_minutes, p.week_minutes,
                          c.max_sessions_per_day, c.max_sessions_per_week, c.max_minutes_per_day,
                          c.max_minutes_per_week
                      ) > 0 AS limited
                 FROM booking_policies_v2(p_consultants, p_service_type, p_now, p_length) p
                 JOIN consultant_profiles c USING (consultant_user_id)
               ) q
    ), reach AS (
        SELECT max(p.duration) AS session, max(p.buffer_before) AS before,
               max(p.duration + p.buffer_after) AS after
          FROM policy p
        HAVING count(*) > 0
    ), hours AS (
        SELECT s.consultant_user_id, range_agg(tstzrange(s.start_time, s.end_time)) AS working,
               array_agg(s.start_time) AS starts, array_agg(s.end_time) AS ends,
               array_agg(coalesce(s.counted_from, s.start_time)) AS origins
          FROM reach r
         CROSS JOIN consultant_availability_slots s
         WHERE s.consultant_user_id = ANY (p_consultants)
           AND s.status = 'available'
           AND tstzrange(s.start_time, s.end_time) && tstzrange(p_from, p_to + r.session, '[]')
         GROUP BY s.consultant_user_id
    ), busy AS (
        SELECT t.consultant_user_id, range_agg(t.span) AS taken
          FROM reach r
         CROSS JOIN LATERAL busy_time_v2(
                   p_consultants, p_from - r.before, p_to + r.after, p_now, p_ignored_session
               ) t
         GROUP BY t.consultant_user_id
    ), used AS (
        SELECT p.consultant_user_id,
               local_day_v1(f.session_start_time, p.time_zone, p.trips) AS day,
               extract(epoch FROM f.session_end_time - f.session_start_time) / 60 AS minutes,
               r.consultation_service_type_id = p_service_type AS same_type
          FROM policy p
          JOIN occupied_times o
            ON o.person_id = p.consultant_user_id
           AND o.role = 'consultant'
           AND o.span && tstzrange(p_from - interval '9 days', p_to + interval '9 days')
          JOIN consultant_availability_slots f ON f.id = o.reservation_id
          JOIN consultation_requests r ON r.id = f.consultation_request_id
         WHERE p.limited
           AND (o.held_until IS NULL OR o.held_until > p_now)
           AND (p_ignored_session IS NULL OR o.session_id IS DISTINCT FROM p_ignored_session)
    ), by_day AS (
        SELECT u.consultant_user_id, u.day, count(*) AS sessions, sum(u.minutes) AS minutes,
               count(*) FILTER (WHERE u.same_type) AS type_sessions,
               coalesce(sum(u.minutes) FILTER (WHERE u.same_type), 0) AS type_minutes
          FROM used u
         GROUP BY u.consultant_user_id, u.day
    ), by_week AS (
        SELECT d.consultant_user_id, date_trunc('week', d.day::timestamp)::date AS week,
               sum(d.sessions) AS sessions, sum(d.minutes) AS minutes,
               sum(d.type_sessions) AS type_sessions, sum(d.type_minutes) AS type_minutes
          FROM by_day d
         GROUP BY 1, 2
    ), full_days AS (
        SELECT p.consultant_user_id, array_agg(d.day) AS days
          FROM policy p
          JOIN by_day d USING (consultant_user_id)
         WHERE d.sessions >= p.all_day_sessions
            OR d.minutes + p.minutes > p.all_day_minutes
            OR d.type_sessions >= p.day_sessions
            OR d.type_minutes + p.minutes > p.day_minutes
         GROUP BY p.consultant_user_id
    ), full_weeks AS (
        SELECT p.consultant_user_id, array_agg(k.week) AS weeks
          FROM policy p
          JOIN by_week k USING (consultant_user_id)
         WHERE k.sessions >= p.all_week_sessions
            OR k.minutes + p.minutes > p.all_week_minutes
            OR k.type_sessions >= p.week_sessions
            OR k.type_minutes + p.minutes > p.week_minutes
         GROUP BY p.consultant_user_id
    ), offer AS (
        SELECT p.*, h.working, h.starts, h.ends, h.origins, b.taken, d.days, k.weeks,
               p.minutes > least(
                   p.day_minutes, p.week_minutes, p.all_day_minutes, p.all_week_minutes
               ) AS too_long
          FROM policy p
          JOIN hours h USING (consultant_user_id)
          LEFT JOIN busy b USING (consultant_user_id)
          LEFT JOIN full_days d USING (consultant_user_id)
          LEFT JOIN full_weeks k USING (consultant_user_id)
        OFFSET 0
    )
    SELECT o.consultant_user_id, candidate, candidate + o.duration,
           CASE
               WHEN candidate < o.earliest THEN 'notice'
               WHEN candidate >= o.latest THEN 'horizon'
               WHEN NOT o.working @> tstzrange(candidate, candidate + o.duration) THEN 'hours'
               WHEN o.taken && tstzrange(
                        candidate - o.buffer_before, candidate + o.duration + o.buffer_after
                    ) THEN 'taken'
               WHEN o.limited AND (
                       o.too_long
                    OR l.day = ANY (o.days)
                    OR date_trunc('week', l.day::timestamp)::date = ANY (o.weeks)
                   ) THEN 'limit'
           END
      FROM offer o
     CROSS JOIN LATERAL unnest(o.starts, o.ends, o.origins) AS w (opens, closes, origin)
     CROSS JOIN LATERAL generate_series(
               date_bin(o.step, greatest(p_from, w.opens) + o.step - interval '1 microsecond', w.origin),
               least(w.closes, p_to) - interval '1 microsecond',
               o.step
           ) AS candidate
     CROSS JOIN LATERAL (
           SELECT CASE
                      WHEN o.trips IS NULL THEN (candidate AT TIME ZONE o.time_zone)::date
                      ELSE local_day_v1(candidate, o.time_zone, o.trips)
                  END
           ) AS l (day)
$$;
