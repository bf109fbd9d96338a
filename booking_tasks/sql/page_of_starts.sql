-- The first p_limit starts of many consultants after (p_from, p_after), evaluated by free_starts alone.
--
-- The first starts of many consultants are near, so ever wider stretches are read until the page is full. Of
-- more than a few consultants only the next candidates are evaluated, those whose next start on the step
-- comes first; where they give too few starts, four times as many are taken next. What lies behind the last
-- candidate, in time and then in id, can belong to somebody else, so the page goes on from exactly there.
CREATE FUNCTION page_of_starts_v3(
    p_consultants uuid[], p_service_type uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_after uuid, p_limit integer
)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    few CONSTANT integer := 50;
    everyone uuid[] := coalesce(p_consultants, ARRAY(
        SELECT c.consultant_user_id FROM consultant_profiles c WHERE c.is_available_for_booking
    ));
    since timestamptz := greatest(p_from, p_now);
    behind uuid := CASE WHEN p_from >= p_now THEN p_after END;
    until timestamptz := least(p_to, p_now + interval '731 days');
    width interval := interval '2 hours';
    stretch_end timestamptz;
    candidates uuid[];
    longest integer := p_limit + p_limit / 2 + 10;
    last_start timestamptz;
    last_one uuid;
    missing bigint := p_limit::bigint;
    came bigint;
BEGIN
    WHILE since < until AND missing > 0 LOOP
        stretch_end := least(since + width, until);
        candidates := everyone;
        last_one := NULL;
        IF cardinality(everyone) > few THEN
            WITH near AS MATERIALIZED (
                SELECT s.consultant_user_id, s.start_time, s.end_time,
                       coalesce(s.counted_from, s.start_time) AS origin
                  FROM consultant_availability_slots s
                 WHERE s.status = 'available'
                   AND tstzrange(s.start_time, s.end_time) && tstzrange(since, stretch_end)
            ), firsts AS (
                SELECT n.consultant_user_id, least(n.end_time, p.latest, stretch_end) AS until, p.step,
                       date_bin(
                           p.step,
                           greatest(since, n.start_time, p.earliest) + p.step - interval '1 microsecond',
                           n.origin
                       ) AS first
                  FROM near n
                  JOIN booking_policies_v2(everyone, p_service_type, p_now) p USING (consultant_user_id)
            ), ahead AS (
                SELECT f.consultant_user_id, f.until,
                       CASE
                           WHEN f.first = since AND f.consultant_user_id <= behind THEN f.first + f.step
                           ELSE f.first
                       END AS first
                  FROM firsts f
            ), queue AS (
                SELECT a.consultant_user_id, min(a.first) AS first
                  FROM ahead a
                 WHERE a.first < a.until
                 GROUP BY a.consultant_user_id
                 ORDER BY 2, 1
                 LIMIT longest
            )
            SELECT array_agg(q.consultant_user_id ORDER BY q.first, q.consultant_user_id), max(q.first)
              INTO candidates, last_start
              FROM queue q;
            IF cardinality(candidates) = longest THEN
                last_one := candidates[longest];
                stretch_end := last_start + interval '1 microsecond';
            END IF;
        END IF;
        IF candidates IS NOT NULL THEN
            RETURN QUERY
            SELECT f.*
              FROM free_starts_v3(candidates, p_service_type, since, stretch_end, p_now) f
             WHERE (behind IS NULL OR f.start_time > since OR f.consultant_user_id > behind)
               AND (last_one IS NULL OR f.start_time < last_start OR f.consultant_user_id <= last_one)
             ORDER BY f.start_time, f.consultant_user_id
             LIMIT missing;
            GET DIAGNOSTICS came = ROW_COUNT;
            missing := missing - came;
        END IF;
        behind := last_one;
        IF last_one IS NULL THEN
            since := stretch_end;
            width := width * 2;
        ELSE
            since := last_start;
            longest := longest * 4;
        END IF;
    END LOOP;
END
$$;
