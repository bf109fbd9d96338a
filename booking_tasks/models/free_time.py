"""The SQL that computes free time: one definition for searching and for reserving.

A start is offered if and only if it can be booked, because both ask `free_starts`.
"""

from __future__ import annotations

from sqlalchemy import DDL, event

from booking_tasks.models.base import Base

# Facts and blocks separately, each with the very predicate of its partial index.
TAKEN_TIME = """
CREATE FUNCTION taken_time(
    p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL
)
RETURNS TABLE (consultant_user_id uuid, span tstzrange)
LANGUAGE sql STABLE
AS $$
    SELECT f.consultant_user_id, tstzrange(f.start_time, f.end_time)
      FROM consultant_availability_slots f
     WHERE f.consultant_user_id = ANY (p_consultants)
       AND f.status IN ('held', 'booked')
       AND tstzrange(f.start_time, f.end_time) && tstzrange(p_from, p_to)
       AND (f.status = 'booked' OR f.held_until > p_now)
       AND (p_ignored_session IS NULL OR f.scheduled_session_id IS DISTINCT FROM p_ignored_session)
     UNION ALL
    SELECT u.consultant_user_id, tstzrange(u.start_time, u.end_time)
      FROM consultant_availability_slots u
     WHERE u.consultant_user_id = ANY (p_consultants)
       AND u.status = 'unavailable'
       AND tstzrange(u.start_time, u.end_time) && tstzrange(p_from, p_to)
$$
"""

FREE_TIME = """
CREATE FUNCTION free_time(p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz)
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
"""

# A consultant's own word goes before that of the kind of consultation.
BOOKING_POLICIES = """
CREATE FUNCTION booking_policies(p_consultants uuid[], p_service_type uuid, p_now timestamptz)
RETURNS TABLE (
    consultant_user_id uuid, duration interval, step interval, buffer_before interval, buffer_after interval,
    earliest timestamptz, latest timestamptz, requires_confirmation boolean, time_zone text,
    day_sessions integer, week_sessions integer, day_minutes integer, week_minutes integer
)
LANGUAGE sql STABLE
AS $$
    SELECT c.consultant_user_id,
           make_interval(mins => coalesce(o.duration_minutes, t.default_duration_minutes)),
           make_interval(mins => coalesce(o.slot_step_minutes, t.slot_step_minutes)),
           make_interval(mins => coalesce(o.buffer_before_minutes, t.buffer_before_minutes)),
           make_interval(mins => coalesce(o.buffer_after_minutes, t.buffer_after_minutes)),
           p_now + make_interval(mins => coalesce(o.minimum_notice_minutes, t.minimum_notice_minutes)),
           p_now + make_interval(hours => coalesce(o.horizon_days, t.horizon_days) * 24),
           coalesce(o.requires_confirmation, t.requires_confirmation),
           c.time_zone::text,
           coalesce(o.max_sessions_per_day, t.max_sessions_per_day),
           coalesce(o.max_sessions_per_week, t.max_sessions_per_week),
           coalesce(o.max_minutes_per_day, t.max_minutes_per_day),
           coalesce(o.max_minutes_per_week, t.max_minutes_per_week)
      FROM consultation_service_types t
      JOIN consultant_profiles c ON c.consultant_user_id = ANY (p_consultants) AND c.is_available_for_booking
      LEFT JOIN consultant_policies o
        ON o.consultant_user_id = c.consultant_user_id AND o.consultation_service_type_id = t.id
     WHERE t.id = p_service_type AND t.is_active
$$
"""

# Every start on the step of a window, with what is in its way: the one place that judges.
JUDGED_STARTS = """
CREATE FUNCTION judged_starts(
    p_consultants uuid[], p_service_type uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL
)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz, obstacle text)
LANGUAGE sql STABLE
AS $$
    WITH policy AS MATERIALIZED (
        SELECT p.*,
               num_nonnulls(p.day_sessions, p.week_sessions, p.day_minutes, p.week_minutes) > 0 AS limited
          FROM booking_policies(p_consultants, p_service_type, p_now) p
    ), windows AS (
        SELECT s.consultant_user_id, s.start_time, s.end_time
          FROM consultant_availability_slots s
         WHERE s.consultant_user_id = ANY (p_consultants)
           AND s.status = 'available'
           AND tstzrange(s.start_time, s.end_time)
               && tstzrange(p_from, p_to + (SELECT max(duration) FROM policy), '[]')
    ), merged AS (
        SELECT w.consultant_user_id, range_agg(tstzrange(w.start_time, w.end_time)) AS hours
          FROM windows w
         GROUP BY w.consultant_user_id
    ), busy AS (
        SELECT t.consultant_user_id, range_agg(t.span) AS taken
          FROM taken_time(
                   p_consultants,
                   p_from - (SELECT max(buffer_before) FROM policy),
                   p_to + (SELECT max(duration + buffer_after) FROM policy),
                   p_now,
                   p_ignored_session
               ) t
         GROUP BY t.consultant_user_id
    ), used AS MATERIALIZED (
        SELECT p.consultant_user_id,
               (f.session_start_time AT TIME ZONE p.time_zone)::date AS day,
               extract(epoch FROM f.session_end_time - f.session_start_time) / 60 AS minutes
          FROM policy p
          JOIN consultant_availability_slots f
            ON f.consultant_user_id = p.consultant_user_id
           AND f.status IN ('held', 'booked')
           AND tstzrange(f.start_time, f.end_time)
               && tstzrange(p_from - interval '9 days', p_to + interval '9 days')
          JOIN consultation_requests r
            ON r.id = f.consultation_request_id AND r.consultation_service_type_id = p_service_type
         WHERE p.limited
           AND (f.status = 'booked' OR f.held_until > p_now)
           AND (p_ignored_session IS NULL OR f.scheduled_session_id IS DISTINCT FROM p_ignored_session)
    ), by_day AS (
        SELECT u.consultant_user_id, u.day, count(*) AS sessions, sum(u.minutes) AS minutes
          FROM used u
         GROUP BY u.consultant_user_id, u.day
    ), by_week AS (
        SELECT u.consultant_user_id, date_trunc('week', u.day::timestamp)::date AS week,
               count(*) AS sessions, sum(u.minutes) AS minutes
          FROM used u
         GROUP BY 1, 2
    ), candidates AS (
        SELECT p.*, m.hours, b.taken, candidate,
               CASE WHEN p.limited THEN (candidate AT TIME ZONE p.time_zone)::date END AS day
          FROM policy p
          JOIN windows w USING (consultant_user_id)
          JOIN merged m USING (consultant_user_id)
          LEFT JOIN busy b USING (consultant_user_id)
         CROSS JOIN LATERAL generate_series(
                   w.start_time
                   + p.step * greatest(
                         0, ceil(extract(epoch FROM p_from - w.start_time) / extract(epoch FROM p.step))
                     )::double precision,
                   least(w.end_time, p_to) - interval '1 microsecond',
                   p.step
               ) AS candidate
    )
    SELECT c.consultant_user_id, c.candidate, c.candidate + c.duration,
           CASE
               WHEN c.candidate < c.earliest THEN 'notice'
               WHEN c.candidate >= c.latest THEN 'horizon'
               WHEN NOT c.hours @> tstzrange(c.candidate, c.candidate + c.duration) THEN 'hours'
               WHEN c.taken && tstzrange(
                        c.candidate - c.buffer_before, c.candidate + c.duration + c.buffer_after
                    ) THEN 'taken'
               WHEN c.limited AND (
                       coalesce(d.sessions, 0) >= c.day_sessions
                    OR coalesce(k.sessions, 0) >= c.week_sessions
                    OR coalesce(d.minutes, 0) + extract(epoch FROM c.duration) / 60 > c.day_minutes
                    OR coalesce(k.minutes, 0) + extract(epoch FROM c.duration) / 60 > c.week_minutes
                   ) THEN 'limit'
           END
      FROM candidates c
      LEFT JOIN by_day d ON d.consultant_user_id = c.consultant_user_id AND d.day = c.day
      LEFT JOIN by_week k
        ON k.consultant_user_id = c.consultant_user_id AND k.week = date_trunc('week', c.day::timestamp)::date
$$
"""

# No notice is negative and no horizon longer than 730 days: what lies outside need not be judged.
FREE_STARTS = """
CREATE FUNCTION free_starts(
    p_consultants uuid[], p_service_type uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL
)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
LANGUAGE sql STABLE
AS $$
    SELECT j.consultant_user_id, j.start_time, j.end_time
      FROM judged_starts(
               p_consultants,
               p_service_type,
               greatest(p_from, p_now),
               greatest(p_from, p_now, least(p_to, p_now + interval '731 days')),
               p_now,
               p_ignored_session
           ) j
     WHERE j.obstacle IS NULL
$$
"""

# The first starts of many consultants are near: ever wider stretches, until the page is full.
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
"""

FREE_SLOTS = """
CREATE VIEW free_slots AS
SELECT f.consultant_user_id, f.start_time, f.end_time
  FROM (SELECT array_agg(c.consultant_user_id) AS ids
          FROM consultant_profiles c
         WHERE c.is_available_for_booking) bookable
 CROSS JOIN LATERAL free_time(bookable.ids, now(), 'infinity', now()) f
"""

EXTENSION = "CREATE EXTENSION IF NOT EXISTS btree_gist"


def run(when: str, statement: str) -> None:
    """Have a statement run `after_create` or `before_drop` of all tables."""
    ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
    event.listen(Base.metadata, when, ddl)


run("before_create", EXTENSION)
for _statement in (
    TAKEN_TIME, FREE_TIME, BOOKING_POLICIES, JUDGED_STARTS, FREE_STARTS, PAGE_OF_STARTS, FREE_SLOTS,
):  # fmt: skip
    run("after_create", _statement)
for _statement in (
    "DROP VIEW IF EXISTS free_slots",
    "DROP FUNCTION IF EXISTS page_of_starts",
    "DROP FUNCTION IF EXISTS free_starts",
    "DROP FUNCTION IF EXISTS judged_starts",
    "DROP FUNCTION IF EXISTS booking_policies",
    "DROP FUNCTION IF EXISTS free_time",
    "DROP FUNCTION IF EXISTS taken_time",
):
    run("before_drop", _statement)
