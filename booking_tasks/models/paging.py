"""The SQL of a page of starts: the first ones of many consultants, judged by `free_starts` alone."""

from __future__ import annotations

from booking_tasks.models.free_time import run

# The first starts of many consultants are near: ever wider stretches, until the page is full. Of more than a
# few consultants only the next ones in line are judged, those whose next start on the step comes first; where
# a lineup gives too little, the next is four times as long. What is behind the last of a lineup, in time and
# then in id, can belong to somebody else; so the page goes on from exactly there.
PAGE_OF_STARTS = """
CREATE FUNCTION page_of_starts(
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
    lineup uuid[];
    longest integer := p_limit + p_limit / 2 + 10;
    last_start timestamptz;
    last_one uuid;
    missing bigint := p_limit;
    came bigint;
BEGIN
    WHILE since < until AND missing > 0 LOOP
        stretch_end := least(since + width, until);
        lineup := everyone;
        last_one := NULL;
        IF cardinality(everyone) > few THEN
            WITH near AS MATERIALIZED (
                SELECT s.consultant_user_id, s.start_time, s.end_time
                  FROM consultant_availability_slots s
                 WHERE s.status = 'available'
                   AND tstzrange(s.start_time, s.end_time) && tstzrange(since, stretch_end)
            ), firsts AS (
                SELECT n.consultant_user_id, least(n.end_time, p.latest, stretch_end) AS until, p.step,
                       date_bin(
                           p.step,
                           greatest(since, n.start_time, p.earliest) + p.step - interval '1 microsecond',
                           n.start_time
                       ) AS first
                  FROM near n
                  JOIN booking_policies(everyone, p_service_type, p_now) p USING (consultant_user_id)
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
              INTO lineup, last_start
              FROM queue q;
            IF cardinality(lineup) = longest THEN
                last_one := lineup[longest];
                stretch_end := last_start + interval '1 microsecond';
            END IF;
        END IF;
        IF lineup IS NOT NULL THEN
            RETURN QUERY
            SELECT f.*
              FROM free_starts(lineup, p_service_type, since, stretch_end, p_now) f
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
$$
"""

run("after_create", PAGE_OF_STARTS)
run("before_drop", "DROP FUNCTION IF EXISTS page_of_starts")
