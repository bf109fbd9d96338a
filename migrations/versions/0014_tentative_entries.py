"""What each mailbox holds of a confirmation request too, whose id the session will take."""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import run

revision = "0014_tentative_entries"
down_revision = "0013_counted_starts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(op, revision, "up")


def downgrade() -> None:
    run(op, revision, "down")
