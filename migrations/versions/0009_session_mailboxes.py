"""What each mailbox holds of a session; filled for open sessions from the invitations that were sent."""

from __future__ import annotations

from alembic import op

from booking_tasks.ops.schema_steps import run

revision = "0009_session_mailboxes"
down_revision = "0008_forgotten_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(op, revision, "up")


def downgrade() -> None:
    op.execute("DROP TABLE session_mailboxes")
