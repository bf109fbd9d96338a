"""A series respects the companies and the capacity of its consultant, and its refusal names the true cause.

No release has run yet, so what it replaces goes at once.
"""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import create, drop, replace, undo_replace

revision = "0011_limits_of_series"
down_revision = "0010_billed_currency"
branch_labels = None
depends_on = None
contracts = "0010_billed_currency"


def upgrade() -> None:
    replace(op, "series_preconditions", 2)
    replace(op, "book_series", 3)
    drop(op, "book_series", 2)
    drop(op, "series_preconditions", 1)


def downgrade() -> None:
    create(op, "series_preconditions", 1)
    create(op, "book_series", 2)
    undo_replace(op, "book_series", 3)
    undo_replace(op, "series_preconditions", 2)
