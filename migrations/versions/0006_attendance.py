"""attendance: what was observed of a room"""

from __future__ import annotations

from alembic import op

revision = "0006_attendance"
down_revision = "0005_engine"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE attendance_evidence (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            scheduled_session_id UUID NOT NULL,
            kind VARCHAR NOT NULL,
            party VARCHAR,
            observed_at TIMESTAMP WITH TIME ZONE NOT NULL,
            source VARCHAR NOT NULL,
            external_id VARCHAR NOT NULL,
            recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_attendance_evidence PRIMARY KEY (id),
            CONSTRAINT ck_attendance_evidence_kind CHECK (kind IN ('joined', 'left', 'room_opened', 'room_closed', 'report_complete')),
            CONSTRAINT ck_attendance_evidence_party CHECK (party IN ('requester', 'consultant')),
            CONSTRAINT ck_attendance_evidence_party_of_presence CHECK ((kind IN ('joined', 'left')) = (party IS NOT NULL)),
            CONSTRAINT fk_attendance_evidence_scheduled_session_id FOREIGN KEY(scheduled_session_id) REFERENCES scheduled_sessions (id)
        )
        """
    )
    op.execute(
        """
        CREATE INDEX ix_attendance_evidence_recorded_at ON attendance_evidence (recorded_at)
        """
    )
    op.execute(
        """
        CREATE UNIQUE INDEX uq_attendance_evidence_observation ON attendance_evidence (scheduled_session_id, source, external_id)
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE attendance_evidence")
