"""The baseline: every table, function and view of the first release, in the order of the packages."""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import create, create_tables, drop, drop_tables

revision = "0001_baseline"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "catalogue",
    "hours",
    "consultations",
    "availability",
    "assignment",
    "credits",
    "batch",
    "offers",
    "absence",
    "calendars",
    "attendance",
    "outbox",
    "inbox",
    "clock",
)

#: Functions and views, each after those that it calls.
ROUTINES = (
    "busy_time",
    "free_ranges",
    "free_time",
    "booking_policies",
    "evaluate_starts",
    "free_starts",
    "page_of_starts",
    "start_refusals",
    "evaluate_start",
    "insert_reservation",
    "insert_request",
    "is_allowed_step",
    "reserve_start",
    "append_event",
    "book_start",
    "series_preconditions",
    "book_series",
    "count_reservations_ahead",
    "hold_for_confirmation",
    "book_or_hold",
    "lock_pool",
    "free_slots",
)


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    for package in TABLES:
        create_tables(op, package)
    for name in ROUTINES:
        create(op, name, 1)


def downgrade() -> None:
    for name in reversed(ROUTINES):
        drop(op, name, 1)
    op.execute(
        "ALTER TABLE consultation_requests DROP CONSTRAINT fk_consultation_requests_scheduled_session_id"
    )
    for package in reversed(TABLES):
        drop_tables(op, package)
