"""time: the ledger of once-a-day work and the stepped clock"""

from __future__ import annotations

from alembic import op

revision = "0007_time"
down_revision = "0006_attendance"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE schedule_runs (
            schedule VARCHAR NOT NULL,
            due_day DATE NOT NULL,
            started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_schedule_runs PRIMARY KEY (schedule, due_day)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE stepped_clock (
            only_row BOOLEAN DEFAULT true NOT NULL,
            instant TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_stepped_clock PRIMARY KEY (only_row),
            CONSTRAINT ck_stepped_clock_only_row CHECK (only_row)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE stepped_clock")
    op.execute("DROP TABLE schedule_runs")
