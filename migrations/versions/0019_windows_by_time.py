"""windows by time: who has hours within a short stretch, of however many consultants"""

from __future__ import annotations

from alembic import op

revision = "0019_windows_by_time"
down_revision = "0018_company_index"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # what an interrupted build left behind is no index
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_consultant_availability_slots_windows_by_time")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_consultant_availability_slots_windows_by_time"
            " ON consultant_availability_slots USING gist (tstzrange(start_time, end_time))"
            " WHERE status = 'available'"
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_consultant_availability_slots_windows_by_time")
