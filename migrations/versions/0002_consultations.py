"""consultations: requests, sessions and the decisions between them"""

from __future__ import annotations

from alembic import op

revision = "0002_consultations"
down_revision = "0001_catalogue"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE consultation_requests (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            requester_user_id UUID NOT NULL,
            company_id UUID,
            consultation_service_type_id UUID NOT NULL,
            preferred_consultant_user_id UUID,
            preferred_start_time TIMESTAMP WITH TIME ZONE,
            preferred_end_time TIMESTAMP WITH TIME ZONE,
            required_specializations TEXT[] DEFAULT '{}' NOT NULL,
            excluded_consultant_user_ids UUID[] DEFAULT '{}' NOT NULL,
            request_details TEXT,
            status VARCHAR DEFAULT 'pending' NOT NULL,
            status_reason TEXT,
            requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE,
            deadline_at TIMESTAMP WITH TIME ZONE,
            assigned_consultant_user_id UUID,
            scheduled_session_id UUID,
            replaces_request_id UUID,
            CONSTRAINT pk_consultation_requests PRIMARY KEY (id),
            CONSTRAINT ck_consultation_requests_status CHECK (status IN ('pending', 'pending_assignment', 'pending_confirmation', 'scheduled', 'cancelled', 'completed', 'rejected')),
            CONSTRAINT ck_consultation_requests_preferred_window CHECK (preferred_end_time IS NULL OR preferred_start_time IS NULL OR preferred_end_time > preferred_start_time),
            CONSTRAINT fk_consultation_requests_consultation_service_type_id FOREIGN KEY(consultation_service_type_id) REFERENCES consultation_service_types (id),
            CONSTRAINT fk_consultation_requests_preferred_consultant_user_id FOREIGN KEY(preferred_consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
            CONSTRAINT fk_consultation_requests_assigned_consultant_user_id FOREIGN KEY(assigned_consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
            CONSTRAINT uq_consultation_requests_scheduled_session_id UNIQUE (scheduled_session_id),
            CONSTRAINT fk_consultation_requests_replaces_request_id FOREIGN KEY(replaces_request_id) REFERENCES consultation_requests (id)
        )
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultation_requests_open ON consultation_requests (deadline_at) WHERE status IN ('pending', 'pending_assignment', 'pending_confirmation')
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultation_requests_replaces_request_id ON consultation_requests (replaces_request_id)
        """
    )
    op.execute(
        """
        CREATE INDEX ix_consultation_requests_requester_user_id ON consultation_requests (requester_user_id)
        """
    )
    op.execute(
        """
        CREATE TABLE scheduled_sessions (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultation_request_id UUID NOT NULL,
            requester_user_id UUID NOT NULL,
            consultant_user_id UUID NOT NULL,
            consultation_service_type_id UUID NOT NULL,
            scheduled_start_time TIMESTAMP WITH TIME ZONE NOT NULL,
            scheduled_end_time TIMESTAMP WITH TIME ZONE NOT NULL,
            meeting_platform_session_id VARCHAR,
            meeting_platform_join_url TEXT,
            status VARCHAR DEFAULT 'scheduled' NOT NULL,
            status_reason TEXT,
            outcome_notes TEXT,
            billed_amount NUMERIC(10, 2),
            revision INTEGER DEFAULT 0 NOT NULL,
            revised_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            requester_attendance VARCHAR,
            consultant_attendance VARCHAR,
            judged_at TIMESTAMP WITH TIME ZONE,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_scheduled_sessions PRIMARY KEY (id),
            CONSTRAINT ck_scheduled_sessions_status CHECK (status IN ('scheduled', 'in_progress', 'completed', 'cancelled_by_user', 'cancelled_by_consultant', 'no_show_user', 'no_show_consultant', 'attendance_unknown')),
            CONSTRAINT ck_scheduled_sessions_requester_attendance CHECK (requester_attendance IN ('attended', 'absent', 'unknown')),
            CONSTRAINT ck_scheduled_sessions_consultant_attendance CHECK (consultant_attendance IN ('attended', 'absent', 'unknown')),
            CONSTRAINT ck_scheduled_sessions_scheduled_times CHECK (scheduled_end_time > scheduled_start_time),
            CONSTRAINT ck_scheduled_sessions_revision CHECK (revision >= 0),
            CONSTRAINT ck_scheduled_sessions_billed_amount CHECK (billed_amount >= 0),
            CONSTRAINT uq_scheduled_sessions_consultation_request_id UNIQUE (consultation_request_id),
            CONSTRAINT fk_scheduled_sessions_consultation_request_id FOREIGN KEY(consultation_request_id) REFERENCES consultation_requests (id),
            CONSTRAINT fk_scheduled_sessions_consultant_user_id FOREIGN KEY(consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
            CONSTRAINT fk_scheduled_sessions_consultation_service_type_id FOREIGN KEY(consultation_service_type_id) REFERENCES consultation_service_types (id)
        )
        """
    )
    op.execute(
        """
        CREATE INDEX ix_scheduled_sessions_consultant_user_id_scheduled_start_time ON scheduled_sessions (consultant_user_id, scheduled_start_time)
        """
    )
    op.execute(
        """
        CREATE INDEX ix_scheduled_sessions_requester_user_id_scheduled_start_time ON scheduled_sessions (requester_user_id, scheduled_start_time)
        """
    )
    op.execute("CREATE INDEX ix_scheduled_sessions_status ON scheduled_sessions (status)")
    op.execute(
        """
        CREATE INDEX ix_scheduled_sessions_to_judge ON scheduled_sessions (scheduled_end_time) WHERE status = 'in_progress'
        """
    )
    op.execute(
        """
        CREATE INDEX ix_scheduled_sessions_to_start ON scheduled_sessions (scheduled_start_time) WHERE status = 'scheduled'
        """
    )
    op.execute(
        """
        CREATE TABLE assignment_decisions (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultation_request_id UUID NOT NULL,
            decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
            policy_version VARCHAR NOT NULL,
            consultant_user_id UUID,
            start_time TIMESTAMP WITH TIME ZONE,
            reason VARCHAR NOT NULL,
            inputs JSONB NOT NULL,
            candidates JSONB NOT NULL,
            CONSTRAINT pk_assignment_decisions PRIMARY KEY (id),
            CONSTRAINT fk_assignment_decisions_consultation_request_id FOREIGN KEY(consultation_request_id) REFERENCES consultation_requests (id),
            CONSTRAINT fk_assignment_decisions_consultant_user_id FOREIGN KEY(consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute(
        """
        CREATE INDEX ix_assignment_decisions_consultation_request_id_decided_at ON assignment_decisions (consultation_request_id, decided_at)
        """
    )
    op.execute(
        """
        ALTER TABLE consultation_requests
            ADD CONSTRAINT fk_consultation_requests_scheduled_session_id
            FOREIGN KEY (scheduled_session_id) REFERENCES scheduled_sessions (id)
        """
    )


def downgrade() -> None:
    op.execute(
        """
        ALTER TABLE consultation_requests DROP CONSTRAINT fk_consultation_requests_scheduled_session_id
        """
    )
    op.execute("DROP TABLE assignment_decisions")
    op.execute("DROP TABLE scheduled_sessions")
    op.execute("DROP TABLE consultation_requests")
