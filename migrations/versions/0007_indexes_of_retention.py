"""Indexes of the requests and sessions that the purge looks for: ended ones, and those that still have texts."""

from __future__ import annotations

from alembic import op

revision = "0007_indexes_of_retention"
down_revision = "0006_past_counts"
branch_labels = None
depends_on = None

_ENDED = "status IN ('cancelled', 'completed', 'rejected')"
#: An index whose build was interrupted is left behind, unusable, under its name.
INDEXES = {
    "ix_consultation_requests_ended": f"consultation_requests (requested_at) WHERE {_ENDED}",
    "ix_consultation_requests_texts": (
        f"consultation_requests (requested_at) WHERE {_ENDED}"
        " AND (request_details IS NOT NULL OR status_reason IS NOT NULL)"
    ),
    "ix_scheduled_sessions_texts": (
        "scheduled_sessions (scheduled_end_time) WHERE status NOT IN ('scheduled', 'in_progress') AND"
        " (outcome_notes IS NOT NULL OR status_reason IS NOT NULL OR meeting_platform_join_url IS NOT NULL)"
    ),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
