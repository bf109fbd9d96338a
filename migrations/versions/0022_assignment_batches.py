"""assignment batches: what was matched together, with the certificate of the plan"""

from __future__ import annotations

from alembic import op

revision = "0022_assignment_batches"
down_revision = "0021_consultant_limits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE assignment_batches (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            planned_at TIMESTAMP WITH TIME ZONE NOT NULL,
            finished_at TIMESTAMP WITH TIME ZONE,
            requests INTEGER NOT NULL,
            pairs INTEGER NOT NULL,
            served INTEGER NOT NULL,
            score BIGINT NOT NULL,
            served_bound INTEGER NOT NULL,
            score_bound BIGINT NOT NULL,
            method VARCHAR NOT NULL,
            is_complete BOOLEAN NOT NULL,
            timed_out BOOLEAN NOT NULL,
            seconds NUMERIC(10, 3) NOT NULL,
            applied INTEGER DEFAULT 0 NOT NULL,
            "left" JSONB NOT NULL,
            CONSTRAINT pk_assignment_batches PRIMARY KEY (id),
            CONSTRAINT ck_assignment_batches_method CHECK (method IN ('greedy', 'matching', 'rounds', 'search')),
            CONSTRAINT ck_assignment_batches_numbers CHECK (
                served <= served_bound AND served_bound <= requests AND applied <= requests
            )
        )
        """
    )
    op.execute("CREATE INDEX ix_assignment_batches_planned_at ON assignment_batches (planned_at)")


def downgrade() -> None:
    op.execute("DROP TABLE assignment_batches")
