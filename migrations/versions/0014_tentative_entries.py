"""What each mailbox holds of a confirmation request too, whose id the session will take.

So the id need not be that of a session any more. The release before writes only ids of sessions, and never relies on
the foreign key that goes.
"""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import run

revision = "0014_tentative_entries"
down_revision = "0013_counted_starts"
branch_labels = None
depends_on = None
contracts = "0013_counted_starts"

_INDEX = "ix_session_mailboxes_consultation_request_id"


def upgrade() -> None:
    run(op, revision, "up")
    # An index whose build was interrupted is left behind, unusable, under its name.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_INDEX}")
        op.execute(f"CREATE INDEX CONCURRENTLY {_INDEX} ON session_mailboxes (consultation_request_id)")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_INDEX}")
    run(op, revision, "down")
