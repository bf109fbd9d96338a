"""series at once: a whole series is booked by one statement"""

from __future__ import annotations

from alembic import op

revision = "0024_series_at_once"
down_revision = "0023_absence"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
CREATE FUNCTION book_series(
    p_series uuid, p_requester uuid, p_consultant uuid, p_service_type uuid, p_now timestamptz,
    p_length interval, p_bookings jsonb,
    OUT refusal text, OUT length interval, OUT conflicts jsonb
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    one record;
    became record;
BEGIN
    conflicts := '[]';
    SELECT g.* INTO refusal, length FROM series_ground(
        p_series, p_requester, p_consultant, p_service_type, p_now
    ) g;
    IF refusal IS NULL AND length <> p_length THEN
        refusal := 'other_length';
    END IF;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
    END IF;
    FOR one IN SELECT b.* FROM jsonb_to_recordset(p_bookings) AS b (
        fact uuid, session uuid, request uuid, starts timestamptz, ends timestamptz, status text,
        new_request jsonb, decision jsonb, event jsonb, jobs jsonb
    ) LOOP
        SELECT s.* INTO became FROM book_start(
            one.fact, one.session, p_consultant, p_requester, one.request, p_service_type, one.starts,
            one.ends, p_now, false, one.status, one.new_request, one.decision, one.event, one.jobs
        ) s;
        IF became.refusal = 'other_length' THEN
            length := became.session_end - one.starts;
            RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = became.refusal;
        ELSIF became.refusal IS NOT NULL THEN
            conflicts := conflicts || jsonb_build_object('request', one.request, 'code', became.refusal);
        END IF;
    END LOOP;
    IF conflicts <> '[]' THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = 'conflicts';
    END IF;
EXCEPTION WHEN SQLSTATE 'BT001' THEN
    refusal := SQLERRM;
END
$$
""")


def downgrade() -> None:
    op.execute("DROP FUNCTION book_series")
