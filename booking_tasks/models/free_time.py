"""The SQL that computes free time: one definition for searching and for reserving.

A start is offered if and only if it can be booked, because both ask `free_starts`. Pages of starts are in
`paging`, taking one in `reserving`.
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

# One multirange for each consultant who has windows in the range: what is read in bulk is read from here.
FREE_RANGES = """
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
"""

FREE_TIME = """
CREATE FUNCTION free_time(p_consultants uuid[], p_from timestamptz, p_to timestamptz, p_now timestamptz)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
LANGUAGE sql STABLE
AS $$
    SELECT r.consultant_user_id, lower(piece), upper(piece)
      FROM free_ranges(p_consultants, p_from, p_to, p_now) r
     CROSS JOIN LATERAL unnest(r.free) AS piece
$$
"""

# Those who offer the kind; a consultant's own word goes before that of the kind of consultation.
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
      JOIN consultant_profiles c
        ON c.consultant_user_id = ANY (p_consultants)
       AND c.is_available_for_booking
       AND (c.service_type_ids IS NULL OR t.id = ANY (c.service_type_ids))
      LEFT JOIN consultant_policies o
        ON o.consultant_user_id = c.consultant_user_id AND o.consultation_service_type_id = t.id
     WHERE t.id = p_service_type AND t.is_active
$$
"""

# Every start on the step of a window, with what is in its way: the one place that judges.
# Written so that PostgreSQL takes it and `taken_time` apart instead of calling them: no argument may be a
# sub-select. Until `offer`, which OFFSET keeps together, there is one row for each consultant, so that no
# plan sorts or copies a consultant's ranges once for each start.
JUDGED_STARTS = """
CREATE FUNCTION judged_starts(
    p_consultants uuid[], p_service_type uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL
)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz, obstacle text)
LANGUAGE sql STABLE
AS $$
    WITH policy AS MATERIALIZED (
        SELECT p.*, extract(epoch FROM p.duration) / 60 AS minutes,
               c.max_sessions_per_day AS all_day_sessions, c.max_sessions_per_week AS all_week_sessions,
               c.max_minutes_per_day AS all_day_minutes, c.max_minutes_per_week AS all_week_minutes,
               num_nonnulls(
                   p.day_sessions, p.week_sessions, p.day_minutes, p.week_minutes, c.max_sessions_per_day,
                   c.max_sessions_per_week, c.max_minutes_per_day, c.max_minutes_per_week
               ) > 0 AS limited
          FROM booking_policies(p_consultants, p_service_type, p_now) p
          JOIN consultant_profiles c USING (consultant_user_id)
    ), reach AS (
        SELECT max(p.duration) AS session, max(p.buffer_before) AS before,
               max(p.duration + p.buffer_after) AS after
          FROM policy p
        HAVING count(*) > 0
    ), hours AS (
        SELECT s.consultant_user_id, range_agg(tstzrange(s.start_time, s.end_time)) AS working,
               array_agg(s.start_time) AS starts, array_agg(s.end_time) AS ends
          FROM reach r
         CROSS JOIN consultant_availability_slots s
         WHERE s.consultant_user_id = ANY (p_consultants)
           AND s.status = 'available'
           AND tstzrange(s.start_time, s.end_time) && tstzrange(p_from, p_to + r.session, '[]')
         GROUP BY s.consultant_user_id
    ), busy AS (
        SELECT t.consultant_user_id, range_agg(t.span) AS taken
          FROM reach r
         CROSS JOIN LATERAL taken_time(
                   p_consultants, p_from - r.before, p_to + r.after, p_now, p_ignored_session
               ) t
         GROUP BY t.consultant_user_id
    ), used AS (
        SELECT p.consultant_user_id,
               (f.session_start_time AT TIME ZONE p.time_zone)::date AS day,
               extract(epoch FROM f.session_end_time - f.session_start_time) / 60 AS minutes,
               r.consultation_service_type_id = p_service_type AS same_kind
          FROM policy p
          JOIN consultant_availability_slots f
            ON f.consultant_user_id = p.consultant_user_id
           AND f.status IN ('held', 'booked')
           AND tstzrange(f.start_time, f.end_time)
               && tstzrange(p_from - interval '9 days', p_to + interval '9 days')
          JOIN consultation_requests r ON r.id = f.consultation_request_id
         WHERE p.limited
           AND (f.status = 'booked' OR f.held_until > p_now)
           AND (p_ignored_session IS NULL OR f.scheduled_session_id IS DISTINCT FROM p_ignored_session)
    ), by_day AS (
        SELECT u.consultant_user_id, u.day, count(*) AS sessions, sum(u.minutes) AS minutes,
               count(*) FILTER (WHERE u.same_kind) AS kind_sessions,
               coalesce(sum(u.minutes) FILTER (WHERE u.same_kind), 0) AS kind_minutes
          FROM used u
         GROUP BY u.consultant_user_id, u.day
    ), by_week AS (
        SELECT d.consultant_user_id, date_trunc('week', d.day::timestamp)::date AS week,
               sum(d.sessions) AS sessions, sum(d.minutes) AS minutes,
               sum(d.kind_sessions) AS kind_sessions, sum(d.kind_minutes) AS kind_minutes
          FROM by_day d
         GROUP BY 1, 2
    ), full_days AS (
        SELECT p.consultant_user_id, array_agg(d.day) AS days
          FROM policy p
          JOIN by_day d USING (consultant_user_id)
         WHERE d.sessions >= p.all_day_sessions
            OR d.minutes + p.minutes > p.all_day_minutes
            OR d.kind_sessions >= p.day_sessions
            OR d.kind_minutes + p.minutes > p.day_minutes
         GROUP BY p.consultant_user_id
    ), full_weeks AS (
        SELECT p.consultant_user_id, array_agg(k.week) AS weeks
          FROM policy p
          JOIN by_week k USING (consultant_user_id)
         WHERE k.sessions >= p.all_week_sessions
            OR k.minutes + p.minutes > p.all_week_minutes
            OR k.kind_sessions >= p.week_sessions
            OR k.kind_minutes + p.minutes > p.week_minutes
         GROUP BY p.consultant_user_id
    ), offer AS (
        SELECT p.*, h.working, h.starts, h.ends, b.taken, d.days, k.weeks,
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
                    OR (candidate AT TIME ZONE o.time_zone)::date = ANY (o.days)
                    OR date_trunc('week', candidate AT TIME ZONE o.time_zone)::date = ANY (o.weeks)
                   ) THEN 'limit'
           END
      FROM offer o
     CROSS JOIN LATERAL unnest(o.starts, o.ends) AS w (opens, closes)
     CROSS JOIN LATERAL generate_series(
               date_bin(o.step, greatest(p_from, w.opens) + o.step - interval '1 microsecond', w.opens),
               least(w.closes, p_to) - interval '1 microsecond',
               o.step
           ) AS candidate
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
    TAKEN_TIME,
    FREE_RANGES,
    FREE_TIME,
    BOOKING_POLICIES,
    JUDGED_STARTS,
    FREE_STARTS,
    FREE_SLOTS,
):
    run("after_create", _statement)
for _statement in (
    "DROP VIEW IF EXISTS free_slots",
    "DROP FUNCTION IF EXISTS free_starts",
    "DROP FUNCTION IF EXISTS judged_starts",
    "DROP FUNCTION IF EXISTS booking_policies",
    "DROP FUNCTION IF EXISTS free_time",
    "DROP FUNCTION IF EXISTS free_ranges",
    "DROP FUNCTION IF EXISTS taken_time",
):
    run("before_drop", _statement)
