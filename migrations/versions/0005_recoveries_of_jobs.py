"""How often the recovery of its target made a job due in vain."""

from __future__ import annotations

from alembic import op

revision = "0005_recoveries_of_jobs"
down_revision = "0004_occupied_times"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE jobs ADD COLUMN recoveries integer DEFAULT 0 NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE jobs DROP COLUMN recoveries")
