"""assignment: who can and who should; the pool of a kind of consultation and its lock"""

from __future__ import annotations

from alembic import op

revision = "0017_assignment"
down_revision = "0016_one_round_trip"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE consultation_service_types ADD COLUMN assignment_weights JSONB")
    op.execute(
        """
        ALTER TABLE consultant_profiles
            ADD COLUMN service_type_ids UUID[],
            ADD COLUMN company_ids UUID[],
            ADD COLUMN languages TEXT[] DEFAULT '{}' NOT NULL,
            ADD COLUMN assignment_weight NUMERIC(8, 3) DEFAULT 1 NOT NULL,
            ADD COLUMN assignment_capacity INTEGER,
            ADD COLUMN priority_tier INTEGER DEFAULT 3 NOT NULL,
            ADD COLUMN unavailable_since TIMESTAMP WITH TIME ZONE,
            ADD CONSTRAINT ck_consultant_profiles_assignment CHECK (
                assignment_weight > 0 AND assignment_capacity > 0 AND priority_tier BETWEEN 1 AND 5
            ) NOT VALID
        """
    )
    op.execute("ALTER TABLE consultant_profiles VALIDATE CONSTRAINT ck_consultant_profiles_assignment")
    op.execute(
        """
        ALTER TABLE consultation_requests
            ADD COLUMN languages TEXT[] DEFAULT '{}' NOT NULL,
            ADD COLUMN preferred_fallback VARCHAR DEFAULT 'anyone' NOT NULL,
            ADD COLUMN fallback_after TIMESTAMP WITH TIME ZONE,
            ADD CONSTRAINT ck_consultation_requests_preferred_fallback CHECK (
                preferred_fallback IN ('anyone', 'wait', 'only')
            ) NOT VALID,
            ADD CONSTRAINT ck_consultation_requests_fallback_after CHECK (
                (preferred_fallback = 'wait') = (fallback_after IS NOT NULL)
            ) NOT VALID
        """
    )
    for name in ("preferred_fallback", "fallback_after"):
        op.execute(f"ALTER TABLE consultation_requests VALIDATE CONSTRAINT ck_consultation_requests_{name}")
    op.execute(
        """
        CREATE TABLE specialization_aliases (
            alias VARCHAR NOT NULL,
            specialization VARCHAR NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_specialization_aliases PRIMARY KEY (alias),
            CONSTRAINT ck_specialization_aliases_alias CHECK (alias <> specialization)
        )
        """
    )
    op.execute("""
CREATE FUNCTION enter_pool(p_pool uuid, p_now timestamptz)
RETURNS TABLE (consultant_user_id uuid, credits numeric, assigned_at timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('assignment pool:' || p_pool, 0));
    WITH fresh AS (
        UPDATE assignment_credits e
           SET is_counted = true
         WHERE e.consultation_service_type_id = p_pool AND NOT e.is_counted
        RETURNING e.consultant_user_id, e.kind, e.amount, e.credited_at
    )
    INSERT INTO assignment_balances AS b (
        consultation_service_type_id, consultant_user_id, credits, assigned_at
    )
    SELECT p_pool, f.consultant_user_id, sum(f.amount),
           max(f.credited_at) FILTER (WHERE f.kind = 'assignment')
      FROM fresh f
     GROUP BY f.consultant_user_id
    ON CONFLICT (consultation_service_type_id, consultant_user_id) DO UPDATE
        SET credits = b.credits + excluded.credits,
            assigned_at = greatest(b.assigned_at, excluded.assigned_at);
    -- Who is new starts where the others stand on average, in proportion to their weights.
    WITH members AS (
        SELECT c.consultant_user_id, c.assignment_weight, b.credits
          FROM consultant_profiles c
          LEFT JOIN assignment_balances b
            ON b.consultation_service_type_id = p_pool AND b.consultant_user_id = c.consultant_user_id
         WHERE c.is_available_for_booking
           AND (c.service_type_ids IS NULL OR p_pool = ANY (c.service_type_ids))
    ), newcomers AS (
        SELECT m.consultant_user_id,
               round(m.assignment_weight * coalesce(
                   (SELECT sum(o.credits) / sum(o.assignment_weight)
                      FROM members o WHERE o.credits IS NOT NULL), 0
               ), 6) AS amount
          FROM members m
         WHERE m.credits IS NULL
    ), written AS (
        INSERT INTO assignment_credits (
            consultation_service_type_id, consultant_user_id, kind, amount, credited_at, is_counted
        )
        SELECT p_pool, n.consultant_user_id, 'newcomer', n.amount, p_now, true
          FROM newcomers n WHERE n.amount <> 0
    )
    INSERT INTO assignment_balances (consultation_service_type_id, consultant_user_id, credits)
    SELECT p_pool, n.consultant_user_id, n.amount FROM newcomers n;
    RETURN QUERY
        SELECT b.consultant_user_id, b.credits, b.assigned_at
          FROM assignment_balances b
         WHERE b.consultation_service_type_id = p_pool;
END
$$
""")


def downgrade() -> None:
    op.execute("DROP FUNCTION enter_pool")
    op.execute("DROP TABLE specialization_aliases")
    op.execute(
        "ALTER TABLE consultation_requests DROP COLUMN languages, DROP COLUMN preferred_fallback,"
        " DROP COLUMN fallback_after"
    )
    op.execute(
        "ALTER TABLE consultant_profiles DROP COLUMN service_type_ids, DROP COLUMN company_ids,"
        " DROP COLUMN languages, DROP COLUMN assignment_weight, DROP COLUMN assignment_capacity,"
        " DROP COLUMN priority_tier, DROP COLUMN unavailable_since"
    )
    op.execute("ALTER TABLE consultation_service_types DROP COLUMN assignment_weights")
