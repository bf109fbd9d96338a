"""reading free time: one multirange a consultant; pages judge only those who are next in line"""

from __future__ import annotations

from alembic import op

revision = "0020_reading_free_time"
down_revision = "0019_windows_by_time"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE FUNCTION free_ranges(p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz)
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
          FROM taken_time(p_consultants, p_from, p_to, p_now) t
         GROUP BY t.consultant_user_id
    )
    SELECT w.consultant_user_id,
           (w.hours * tstzmultirange(tstzrange(p_from, p_to))) - coalesce(b.taken, tstzmultirange())
      FROM windows w
      LEFT JOIN busy b USING (consultant_user_id)
$$
""")
    op.execute("""
CREATE OR REPLACE FUNCTION free_time(p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
LANGUAGE sql STABLE
AS $$
    SELECT r.consultant_user_id, lower(piece), upper(piece)
      FROM free_ranges(p_consultants, p_from, p_to, p_now) r
     CROSS JOIN LATERAL unnest(r.free) AS piece
$$
""")
    op.execute("""
CREATE OR REPLACE FUNCTION page_of_starts(
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
""")


def downgrade() -> None:
    op.execute("""
CREATE OR REPLACE FUNCTION page_of_starts(
    p_consultants uuid[], p_service_type uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_after uuid, p_limit integer
)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    since timestamptz := greatest(p_from, p_now);
    until timestamptz := least(p_to, p_now + interval '731 days');
    width interval := interval '2 hours';
    missing bigint := p_limit;
    came bigint;
BEGIN
    WHILE since < until AND missing > 0 LOOP
        RETURN QUERY
        SELECT f.*
          FROM free_starts(p_consultants, p_service_type, since, least(since + width, until), p_now) f
         WHERE p_after IS NULL OR f.start_time > p_from OR f.consultant_user_id > p_after
         ORDER BY f.start_time, f.consultant_user_id
         LIMIT missing;
        GET DIAGNOSTICS came = ROW_COUNT;
        missing := missing - came;
        since := since + width;
        width := width * 2;
    END LOOP;
END
$$
""")
    op.execute("""
CREATE OR REPLACE FUNCTION free_time(p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
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
          FROM taken_time(p_consultants, p_from, p_to, p_now) t
         GROUP BY t.consultant_user_id
    )
    SELECT w.consultant_user_id, lower(piece), upper(piece)
      FROM windows w
      LEFT JOIN busy b USING (consultant_user_id)
     CROSS JOIN LATERAL unnest(
               (w.hours * tstzmultirange(tstzrange(p_from, p_to))) - coalesce(b.taken, tstzmultirange())
           ) AS piece
$$
""")
    op.execute("DROP FUNCTION free_ranges")
