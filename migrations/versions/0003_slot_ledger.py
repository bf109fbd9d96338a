"""slot ledger: windows, blocks and facts under their exclusion constraints"""

from __future__ import annotations

from alembic import op

revision = "0003_slot_ledger"
down_revision = "0002_consultations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE consultant_availability_slots (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultant_user_id UUID NOT NULL,
            start_time TIMESTAMP WITH TIME ZONE NOT NULL,
            end_time TIMESTAMP WITH TIME ZONE NOT NULL,
            is_recurring BOOLEAN DEFAULT false NOT NULL,
            recurrence_rule VARCHAR,
            status VARCHAR DEFAULT 'available' NOT NULL,
            source VARCHAR DEFAULT 'manual' NOT NULL,
            consultation_request_id UUID,
            scheduled_session_id UUID,
            requester_user_id UUID,
            session_start_time TIMESTAMP WITH TIME ZONE,
            session_end_time TIMESTAMP WITH TIME ZONE,
            held_until TIMESTAMP WITH TIME ZONE,
            hold_token UUID,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_consultant_availability_slots PRIMARY KEY (id),
            CONSTRAINT ck_consultant_availability_slots_status CHECK (status IN ('available', 'held', 'booked', 'unavailable')),
            CONSTRAINT ck_consultant_availability_slots_times CHECK (end_time > start_time),
            CONSTRAINT ck_consultant_availability_slots_held CHECK ((status = 'held') = (held_until IS NOT NULL) AND (status = 'held') = (hold_token IS NOT NULL)),
            CONSTRAINT ck_consultant_availability_slots_facts CHECK ((status IN ('held', 'booked')) = (consultation_request_id IS NOT NULL) AND (status IN ('held', 'booked')) = (requester_user_id IS NOT NULL) AND (status IN ('held', 'booked')) = (session_start_time IS NOT NULL) AND (status IN ('held', 'booked')) = (session_end_time IS NOT NULL)),
            CONSTRAINT ck_consultant_availability_slots_booked CHECK (status <> 'booked' OR scheduled_session_id IS NOT NULL),
            CONSTRAINT ck_consultant_availability_slots_session_inside CHECK (session_start_time >= start_time AND session_end_time <= end_time AND session_end_time > session_start_time),
            CONSTRAINT ck_consultant_availability_slots_recurrence CHECK (recurrence_rule IS NULL OR is_recurring),
            CONSTRAINT ex_consultant_availability_slots_windows EXCLUDE USING gist (consultant_user_id WITH =, tstzrange(start_time, end_time) WITH &&) WHERE (status = 'available'),
            CONSTRAINT ex_consultant_availability_slots_facts EXCLUDE USING gist (consultant_user_id WITH =, tstzrange(start_time, end_time) WITH &&) WHERE (status IN ('held', 'booked')),
            CONSTRAINT ex_consultant_availability_slots_requester EXCLUDE USING gist (requester_user_id WITH =, tstzrange(session_start_time, session_end_time) WITH &&) WHERE (status IN ('held', 'booked')),
            CONSTRAINT fk_consultant_availability_slots_consultant_user_id FOREIGN KEY(consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
            CONSTRAINT fk_consultant_availability_slots_consultation_request_id FOREIGN KEY(consultation_request_id) REFERENCES consultation_requests (id),
            CONSTRAINT fk_consultant_availability_slots_scheduled_session_id FOREIGN KEY(scheduled_session_id) REFERENCES scheduled_sessions (id)
        )
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultant_availability_slots_blocks ON consultant_availability_slots USING gist (consultant_user_id, tstzrange(start_time, end_time)) WHERE status = 'unavailable'
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultant_availability_slots_held_until ON consultant_availability_slots (held_until) WHERE status = 'held'
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultant_availability_slots_request ON consultant_availability_slots (consultation_request_id) WHERE consultation_request_id IS NOT NULL
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultant_availability_slots_session ON consultant_availability_slots (scheduled_session_id) WHERE scheduled_session_id IS NOT NULL
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultant_availability_slots_status ON consultant_availability_slots (status)
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultant_availability_slots_times ON consultant_availability_slots (consultant_user_id, start_time, end_time)
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE consultant_availability_slots")
