"""free time: one definition for searching and reserving, and a view for readers"""

from __future__ import annotations

from alembic import op

revision = "0004_free_time"
down_revision = "0003_slot_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
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
""")
    op.execute("""
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
""")
    op.execute("""
CREATE FUNCTION free_starts(
    p_consultants uuid[], p_service_type uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz,
    p_ignored_session uuid DEFAULT NULL
)
RETURNS TABLE (consultant_user_id uuid, start_time timestamptz, end_time timestamptz)
LANGUAGE sql STABLE
AS $$
    WITH policy AS (
        SELECT make_interval(mins => t.default_duration_minutes) AS duration,
               make_interval(mins => t.slot_step_minutes) AS step,
               make_interval(mins => t.buffer_before_minutes) AS buffer_before,
               make_interval(mins => t.buffer_after_minutes) AS buffer_after,
               greatest(p_from, p_now + make_interval(mins => t.minimum_notice_minutes)) AS earliest,
               least(p_to, p_now + make_interval(hours => t.horizon_days * 24)) AS latest
          FROM consultation_service_types t
         WHERE t.id = p_service_type AND t.is_active
    ), bookable AS (
        SELECT c.consultant_user_id
          FROM consultant_profiles c
         WHERE c.consultant_user_id = ANY (p_consultants) AND c.is_available_for_booking
    ), windows AS (
        SELECT s.consultant_user_id, s.start_time, s.end_time
          FROM consultant_availability_slots s
          JOIN bookable USING (consultant_user_id)
         CROSS JOIN policy p
         WHERE s.status = 'available'
           AND tstzrange(s.start_time, s.end_time)
               && tstzrange(p.earliest, greatest(p.earliest, p.latest) + p.duration, '[]')
    ), merged AS (
        SELECT w.consultant_user_id, range_agg(tstzrange(w.start_time, w.end_time)) AS hours
          FROM windows w
         GROUP BY w.consultant_user_id
    ), busy AS (
        SELECT t.consultant_user_id, range_agg(t.span) AS taken
          FROM policy p
         CROSS JOIN LATERAL taken_time(
                   p_consultants,
                   p.earliest - p.buffer_before,
                   greatest(p.earliest, p.latest) + p.duration + p.buffer_after,
                   p_now,
                   p_ignored_session
               ) t
         GROUP BY t.consultant_user_id
    )
    SELECT w.consultant_user_id, candidate, candidate + p.duration
      FROM windows w
      JOIN merged m USING (consultant_user_id)
      LEFT JOIN busy b USING (consultant_user_id)
     CROSS JOIN policy p
     CROSS JOIN LATERAL generate_series(
               w.start_time
               + p.step * greatest(
                     0, ceil(extract(epoch FROM p.earliest - w.start_time) / extract(epoch FROM p.step))
                 )::double precision,
               w.end_time - interval '1 microsecond',
               p.step
           ) AS candidate
     WHERE candidate >= p.earliest
       AND candidate < p.latest
       AND m.hours @> tstzrange(candidate, candidate + p.duration)
       AND (b.taken IS NULL
            OR NOT b.taken && tstzrange(candidate - p.buffer_before, candidate + p.duration + p.buffer_after))
$$
""")
    op.execute("""
CREATE VIEW free_slots AS
SELECT f.consultant_user_id, f.start_time, f.end_time
  FROM (SELECT array_agg(c.consultant_user_id) AS ids
          FROM consultant_profiles c
         WHERE c.is_available_for_booking) bookable
 CROSS JOIN LATERAL free_time(bookable.ids, now(), 'infinity', now()) f
""")


def downgrade() -> None:
    op.execute("DROP VIEW free_slots")
    op.execute("DROP FUNCTION free_starts")
    op.execute("DROP FUNCTION free_time")
    op.execute("DROP FUNCTION taken_time")
