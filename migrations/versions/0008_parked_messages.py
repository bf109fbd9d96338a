"""parked messages: kept for a release that knows their task"""

from __future__ import annotations

from alembic import op

revision = "0008_parked_messages"
down_revision = "0007_time"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE parked_messages (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            task VARCHAR NOT NULL,
            queue VARCHAR NOT NULL,
            body_hash VARCHAR NOT NULL,
            arguments JSONB NOT NULL,
            received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_parked_messages PRIMARY KEY (id)
        )
        """
    )
    op.execute(
        """
        CREATE UNIQUE INDEX uq_parked_messages_content ON parked_messages (task, queue, body_hash)
        """
    )
    op.execute("CREATE INDEX ix_parked_messages_received_at ON parked_messages (received_at)")


def downgrade() -> None:
    op.execute("DROP TABLE parked_messages")
