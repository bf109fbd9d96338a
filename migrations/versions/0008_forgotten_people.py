"""The ids that take the place of forgotten people, and the function that takes a person out of the history."""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import create, drop, run

revision = "0008_forgotten_people"
down_revision = "0007_indexes_of_retention"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(op, revision, "up")
    create(op, "forget_in_events", 1)


def downgrade() -> None:
    drop(op, "forget_in_events", 1)
    op.execute("DROP TABLE forgotten_people")
