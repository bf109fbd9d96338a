"""What was not plain about the entries of an outside calendar, each counted."""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import run

revision = "0012_counts_of_calendars"
down_revision = "0011_limits_of_series"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(op, revision, "up")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE calendar_feeds DROP COLUMN missing_time, DROP COLUMN superseded, DROP COLUMN ambiguous"
    )
