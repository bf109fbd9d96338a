"""hours: what is declared beyond weeks and dates, leave, public holidays, and what windows were made of"""

from __future__ import annotations

from alembic import op

revision = "0009_hours"
down_revision = "0008_parked_messages"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE availability_plans (
            consultant_user_id UUID NOT NULL,
            plan JSONB NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_availability_plans PRIMARY KEY (consultant_user_id),
            CONSTRAINT fk_availability_plans_consultant_user_id
                FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE consultant_leaves (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultant_user_id UUID NOT NULL,
            start_local TIMESTAMP WITHOUT TIME ZONE NOT NULL,
            end_local TIMESTAMP WITHOUT TIME ZONE NOT NULL,
            reason TEXT NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_consultant_leaves PRIMARY KEY (id),
            CONSTRAINT ck_consultant_leaves_times CHECK (end_local > start_local),
            CONSTRAINT fk_consultant_leaves_consultant_user_id
                FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute(
        "CREATE INDEX ix_consultant_leaves_consultant_user_id ON consultant_leaves (consultant_user_id)"
    )
    op.execute("CREATE INDEX ix_consultant_leaves_end_local ON consultant_leaves (end_local)")
    op.execute(
        """
        CREATE TABLE availability_projections (
            consultant_user_id UUID NOT NULL,
            projected_until DATE NOT NULL,
            tzdata_version VARCHAR NOT NULL,
            changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_availability_projections PRIMARY KEY (consultant_user_id),
            CONSTRAINT fk_availability_projections_consultant_user_id
                FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute(
        """
        CREATE INDEX ix_availability_projections_tzdata_version
            ON availability_projections (tzdata_version)
        """
    )
    op.execute("ALTER TABLE consultant_profiles ADD COLUMN holiday_region VARCHAR")


def downgrade() -> None:
    op.execute("ALTER TABLE consultant_profiles DROP COLUMN holiday_region")
    op.execute("DROP TABLE availability_projections")
    op.execute("DROP TABLE consultant_leaves")
    op.execute("DROP TABLE availability_plans")
