"""confirmation: how long an asked consultant may take, and what follows when all decline"""

from __future__ import annotations

from alembic import op

revision = "0014_confirmation"
down_revision = "0013_credits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE consultation_service_types
            ADD COLUMN confirmation_minutes INTEGER,
            ADD COLUMN when_all_declined VARCHAR DEFAULT 'wait' NOT NULL,
            ADD CONSTRAINT ck_consultation_service_types_confirmation_minutes CHECK (
                confirmation_minutes BETWEEN 1 AND 525600
            ) NOT VALID,
            ADD CONSTRAINT ck_consultation_service_types_when_all_declined CHECK (
                when_all_declined IN ('wait', 'reject')
            ) NOT VALID
        """
    )
    for name in ("confirmation_minutes", "when_all_declined"):
        op.execute(
            f"ALTER TABLE consultation_service_types VALIDATE CONSTRAINT ck_consultation_service_types_{name}"
        )


def downgrade() -> None:
    op.execute(
        """
        ALTER TABLE consultation_service_types
            DROP CONSTRAINT ck_consultation_service_types_confirmation_minutes,
            DROP CONSTRAINT ck_consultation_service_types_when_all_declined,
            DROP COLUMN confirmation_minutes,
            DROP COLUMN when_all_declined
        """
    )
