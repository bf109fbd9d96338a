"""policies: limits, and what a consultant does differently; holds by token and series"""

from __future__ import annotations

from alembic import op

revision = "0010_policies"
down_revision = "0009_hours"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE consultation_service_types
            ADD COLUMN max_sessions_per_day INTEGER,
            ADD COLUMN max_sessions_per_week INTEGER,
            ADD COLUMN max_minutes_per_day INTEGER,
            ADD COLUMN max_minutes_per_week INTEGER,
            ADD CONSTRAINT ck_consultation_service_types_limits CHECK (
                max_sessions_per_day > 0 AND max_sessions_per_week > 0
                AND max_minutes_per_day > 0 AND max_minutes_per_week > 0
            ) NOT VALID
        """
    )
    op.execute(
        "ALTER TABLE consultation_service_types VALIDATE CONSTRAINT ck_consultation_service_types_limits"
    )
    op.execute(
        """
        CREATE TABLE consultant_policies (
            consultant_user_id UUID NOT NULL,
            consultation_service_type_id UUID NOT NULL,
            duration_minutes INTEGER,
            slot_step_minutes INTEGER,
            buffer_before_minutes INTEGER,
            buffer_after_minutes INTEGER,
            minimum_notice_minutes INTEGER,
            horizon_days INTEGER,
            requires_confirmation BOOLEAN,
            max_sessions_per_day INTEGER,
            max_sessions_per_week INTEGER,
            max_minutes_per_day INTEGER,
            max_minutes_per_week INTEGER,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_consultant_policies PRIMARY KEY (consultant_user_id, consultation_service_type_id),
            CONSTRAINT ck_consultant_policies_lengths CHECK (
                duration_minutes BETWEEN 1 AND 1440 AND slot_step_minutes BETWEEN 1 AND 1440
            ),
            CONSTRAINT ck_consultant_policies_buffers CHECK (
                buffer_before_minutes BETWEEN 0 AND 1440 AND buffer_after_minutes BETWEEN 0 AND 1440
            ),
            CONSTRAINT ck_consultant_policies_ahead CHECK (
                minimum_notice_minutes BETWEEN 0 AND 525600 AND horizon_days BETWEEN 1 AND 730
            ),
            CONSTRAINT ck_consultant_policies_limits CHECK (
                max_sessions_per_day > 0 AND max_sessions_per_week > 0
                AND max_minutes_per_day > 0 AND max_minutes_per_week > 0
            ),
            CONSTRAINT fk_consultant_policies_consultant_user_id FOREIGN KEY(consultant_user_id)
                REFERENCES consultant_profiles (consultant_user_id),
            CONSTRAINT fk_consultant_policies_consultation_service_type_id
                FOREIGN KEY(consultation_service_type_id) REFERENCES consultation_service_types (id)
        )
        """
    )
    op.execute(
        "CREATE INDEX ix_consultant_policies_consultation_service_type_id"
        " ON consultant_policies (consultation_service_type_id)"
    )
    op.execute(
        """
        ALTER TABLE consultation_requests
            ADD COLUMN hold_token UUID,
            ADD COLUMN series_id UUID
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE consultation_requests DROP COLUMN hold_token, DROP COLUMN series_id")
    op.execute("DROP TABLE consultant_policies")
    op.execute(
        """
        ALTER TABLE consultation_service_types
            DROP CONSTRAINT ck_consultation_service_types_limits,
            DROP COLUMN max_sessions_per_day,
            DROP COLUMN max_sessions_per_week,
            DROP COLUMN max_minutes_per_day,
            DROP COLUMN max_minutes_per_week
        """
    )
