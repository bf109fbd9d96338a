"""Why a job waits for its next try, and when each sweep was last published and run."""

from __future__ import annotations

from alembic import op

revision = "0002_put_off_jobs"
down_revision = "0001_baseline"
branch_labels = None
depends_on = None

SWEEP_RUNS = """
CREATE TABLE sweep_runs (
    sweep varchar NOT NULL,
    published_at timestamptz,
    succeeded_at timestamptz NOT NULL,
    CONSTRAINT pk_sweep_runs PRIMARY KEY (sweep)
)
"""


def upgrade() -> None:
    op.execute("ALTER TABLE jobs ADD COLUMN put_off_reason varchar")
    op.execute(SWEEP_RUNS)


def downgrade() -> None:
    op.execute("DROP TABLE sweep_runs")
    op.execute("ALTER TABLE jobs DROP COLUMN put_off_reason")
