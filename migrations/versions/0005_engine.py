"""engine: jobs, history, inbox, dead letters"""

from __future__ import annotations

from alembic import op

revision = "0005_engine"
down_revision = "0004_free_time"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE jobs (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            key VARCHAR NOT NULL,
            kind VARCHAR NOT NULL,
            subject_id UUID NOT NULL,
            revision INTEGER DEFAULT 0 NOT NULL,
            recipient UUID,
            detail VARCHAR DEFAULT '' NOT NULL,
            due_at TIMESTAMP WITH TIME ZONE NOT NULL,
            retry_at TIMESTAMP WITH TIME ZONE,
            state VARCHAR DEFAULT 'waiting' NOT NULL,
            attempts INTEGER DEFAULT 0 NOT NULL,
            sendings INTEGER DEFAULT 0 NOT NULL,
            lease_token UUID,
            lease_until TIMESTAMP WITH TIME ZONE,
            effect BYTEA,
            last_error TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            settled_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_jobs PRIMARY KEY (id),
            CONSTRAINT ck_jobs_state CHECK (state IN ('waiting', 'leased', 'sending', 'done', 'skipped', 'uncertain', 'dead')),
            CONSTRAINT ck_jobs_lease CHECK ((state IN ('leased', 'sending')) = (lease_token IS NOT NULL) AND (state IN ('leased', 'sending')) = (lease_until IS NOT NULL)),
            CONSTRAINT ck_jobs_settled CHECK ((state IN ('done', 'skipped', 'uncertain', 'dead')) = (settled_at IS NOT NULL)),
            CONSTRAINT uq_jobs_key UNIQUE (key)
        )
        """
    )
    op.execute("CREATE INDEX ix_jobs_due ON jobs (kind, due_at) WHERE state = 'waiting'")
    op.execute(
        """
        CREATE INDEX ix_jobs_leases ON jobs (lease_until) WHERE state IN ('leased', 'sending')
        """
    )
    op.execute(
        """
        CREATE INDEX ix_jobs_settled_at ON jobs (settled_at) WHERE settled_at IS NOT NULL
        """
    )
    op.execute("CREATE INDEX ix_jobs_subject ON jobs (subject_id, kind)")
    op.execute(
        """
        CREATE TABLE events (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            position BIGINT GENERATED ALWAYS AS IDENTITY,
            type VARCHAR NOT NULL,
            occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
            consultation_request_id UUID,
            scheduled_session_id UUID,
            consultant_user_id UUID,
            actor VARCHAR NOT NULL,
            door VARCHAR NOT NULL,
            message_id UUID,
            reason TEXT,
            before JSONB DEFAULT '{}' NOT NULL,
            after JSONB DEFAULT '{}' NOT NULL,
            CONSTRAINT pk_events PRIMARY KEY (id),
            CONSTRAINT uq_events_position UNIQUE (position)
        )
        """
    )
    op.execute("CREATE INDEX ix_events_occurred_at ON events (occurred_at)")
    op.execute("CREATE INDEX ix_events_request ON events (consultation_request_id, position)")
    op.execute("CREATE INDEX ix_events_session ON events (scheduled_session_id, position)")
    op.execute(
        """
        CREATE TABLE inbox (
            message_id UUID NOT NULL,
            task VARCHAR NOT NULL,
            body_hash VARCHAR NOT NULL,
            door VARCHAR NOT NULL,
            body JSONB,
            state VARCHAR DEFAULT 'received' NOT NULL,
            attempts INTEGER DEFAULT 0 NOT NULL,
            outcome JSONB,
            received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            attempted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            finished_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_inbox PRIMARY KEY (message_id),
            CONSTRAINT ck_inbox_state CHECK (state IN ('received', 'done', 'dead')),
            CONSTRAINT ck_inbox_outcome CHECK ((state = 'received') = (outcome IS NULL))
        )
        """
    )
    op.execute(
        """
        CREATE INDEX ix_inbox_finished_at ON inbox (finished_at) WHERE finished_at IS NOT NULL
        """
    )
    op.execute("CREATE INDEX ix_inbox_received ON inbox (attempted_at) WHERE state = 'received'")
    op.execute(
        """
        CREATE TABLE dead_letters (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            task VARCHAR NOT NULL,
            door VARCHAR NOT NULL,
            message_id UUID,
            reason TEXT NOT NULL,
            payload JSONB DEFAULT '{}' NOT NULL,
            received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_dead_letters PRIMARY KEY (id)
        )
        """
    )
    op.execute("CREATE INDEX ix_dead_letters_received_at ON dead_letters (received_at)")


def downgrade() -> None:
    op.execute("DROP TABLE dead_letters")
    op.execute("DROP TABLE inbox")
    op.execute("DROP TABLE events")
    op.execute("DROP TABLE jobs")
