"""How many requests were purged, so that counts outlive the rows."""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import run

revision = "0006_past_counts"
down_revision = "0005_recoveries_of_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(op, revision, "up")


def downgrade() -> None:
    op.execute("DROP TABLE past_counts")
