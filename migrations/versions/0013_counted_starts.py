"""Starts are counted from declared hours, limits by the day on a trip, and a session that moves keeps its length.

Windows of before are counted from their start until the hours are projected again, once a day. No release has
run yet, so what is replaced goes at once.
"""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import create, drop, replace, run, undo_replace

revision = "0013_counted_starts"
down_revision = "0012_counts_of_calendars"
branch_labels = None
depends_on = None
contracts = "0012_counts_of_calendars"

#: Function -> its new version, each after those that it calls.
REPLACED = {
    "booking_policies": 2,
    "evaluate_starts": 3,
    "free_starts": 3,
    "page_of_starts": 3,
    "start_refusals": 3,
    "evaluate_start": 3,
    "reserve_start": 3,
    "book_start": 3,
    "series_preconditions": 3,
    "book_series": 4,
    "hold_for_confirmation": 3,
    "book_or_hold": 3,
}


def upgrade() -> None:
    run(op, revision, "up")
    create(op, "local_day", 1)
    for name, version in REPLACED.items():
        replace(op, name, version)
    for name, version in reversed(REPLACED.items()):
        drop(op, name, version - 1)


def downgrade() -> None:
    for name, version in REPLACED.items():
        create(op, name, version - 1)
    for name, version in reversed(REPLACED.items()):
        undo_replace(op, name, version)
    drop(op, "local_day", 1)
    op.execute("ALTER TABLE consultant_availability_slots DROP COLUMN counted_from")
