"""consultant limits: over all kinds of consultation, in the one judge of starts"""

from __future__ import annotations

from alembic import op

revision = "0021_consultant_limits"
down_revision = "0020_reading_free_time"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE consultant_profiles
            ADD COLUMN max_sessions_per_day INTEGER,
            ADD COLUMN max_sessions_per_week INTEGER,
            ADD COLUMN max_minutes_per_day INTEGER,
            ADD COLUMN max_minutes_per_week INTEGER,
            ADD CONSTRAINT ck_consultant_profiles_limits CHECK (
                max_sessions_per_day > 0 AND max_sessions_per_week > 0
                AND max_minutes_per_day > 0 AND max_minutes_per_week > 0
            ) NOT VALID
        """
    )
    op.execute("ALTER TABLE consultant_profiles VALIDATE CONSTRAINT ck_consultant_profiles_limits")
    op.execute("""
CREATE OR REPLACE FUNCTION judged_starts(
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
""")


def downgrade() -> None:
    op.execute("""
CREATE OR REPLACE FUNCTION judged_starts(
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
""")
    op.execute(
        """
        ALTER TABLE consultant_profiles
            DROP CONSTRAINT ck_consultant_profiles_limits,
            DROP COLUMN max_sessions_per_day,
            DROP COLUMN max_sessions_per_week,
            DROP COLUMN max_minutes_per_day,
            DROP COLUMN max_minutes_per_week
        """
    )
