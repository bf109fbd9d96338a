"""waiting list: freed time is offered to those who wait"""

from __future__ import annotations

from alembic import op

revision = "0015_waiting_list"
down_revision = "0014_confirmation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE consultation_service_types
            ADD COLUMN waiting_list VARCHAR DEFAULT 'offer' NOT NULL,
            ADD CONSTRAINT ck_consultation_service_types_waiting_list
                CHECK (waiting_list IN ('offer', 'book')) NOT VALID
        """
    )
    op.execute(
        "ALTER TABLE consultation_service_types"
        " VALIDATE CONSTRAINT ck_consultation_service_types_waiting_list"
    )
    op.execute(
        """
        ALTER TABLE consultation_requests
            ADD COLUMN waiting_since TIMESTAMP WITH TIME ZONE,
            ADD COLUMN offer_after TIMESTAMP WITH TIME ZONE
        """
    )
    op.execute(
        """
        CREATE TABLE time_offers (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultation_request_id UUID NOT NULL,
            consultant_user_id UUID NOT NULL,
            start_time TIMESTAMP WITH TIME ZONE NOT NULL,
            end_time TIMESTAMP WITH TIME ZONE NOT NULL,
            hold_token UUID NOT NULL,
            state VARCHAR DEFAULT 'open' NOT NULL,
            offered_at TIMESTAMP WITH TIME ZONE NOT NULL,
            offered_until TIMESTAMP WITH TIME ZONE NOT NULL,
            ended_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_time_offers PRIMARY KEY (id),
            CONSTRAINT ck_time_offers_state
                CHECK (state IN ('open', 'accepted', 'declined', 'lapsed', 'withdrawn')),
            CONSTRAINT ck_time_offers_times CHECK (end_time > start_time AND offered_until <= start_time),
            CONSTRAINT ck_time_offers_ended CHECK ((state = 'open') = (ended_at IS NULL)),
            CONSTRAINT uq_time_offers_hold_token UNIQUE (hold_token),
            CONSTRAINT uq_time_offers_once UNIQUE (consultation_request_id, consultant_user_id, start_time),
            CONSTRAINT fk_time_offers_consultation_request_id FOREIGN KEY(consultation_request_id)
                REFERENCES consultation_requests (id),
            CONSTRAINT fk_time_offers_consultant_user_id FOREIGN KEY(consultant_user_id)
                REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX uq_time_offers_open ON time_offers (consultation_request_id)"
        " WHERE state = 'open'"
    )
    op.execute("CREATE INDEX ix_time_offers_open_until ON time_offers (offered_until) WHERE state = 'open'")
    op.execute("CREATE INDEX ix_time_offers_consultant_user_id ON time_offers (consultant_user_id)")


def downgrade() -> None:
    op.execute("DROP TABLE time_offers")
    op.execute("ALTER TABLE consultation_requests DROP COLUMN waiting_since, DROP COLUMN offer_after")
    op.execute(
        """
        ALTER TABLE consultation_service_types
            DROP CONSTRAINT ck_consultation_service_types_waiting_list,
            DROP COLUMN waiting_list
        """
    )
