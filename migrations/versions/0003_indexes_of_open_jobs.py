"""Indexes of the jobs that wait for their next try, and of those that wait for a person."""

from __future__ import annotations

from alembic import op

revision = "0003_indexes_of_open_jobs"
down_revision = "0002_put_off_jobs"
branch_labels = None
depends_on = None

#: An index whose build was interrupted is left behind, unusable, under its name.
INDEXES = {
    "ix_jobs_put_off": "jobs (job_type, retry_at) WHERE state = 'waiting' AND retry_at IS NOT NULL",
    "ix_jobs_undecided": "jobs (state, job_type) WHERE state IN ('uncertain', 'dead')",
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
