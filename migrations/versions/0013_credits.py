"""credits: the fairness ledger and its running balances"""

from __future__ import annotations

from alembic import op

revision = "0013_credits"
down_revision = "0012_reserving"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE assignment_credits (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultation_service_type_id UUID NOT NULL,
            consultant_user_id UUID NOT NULL,
            kind VARCHAR NOT NULL,
            amount NUMERIC(14, 6) NOT NULL,
            credited_at TIMESTAMP WITH TIME ZONE NOT NULL,
            consultation_request_id UUID,
            reverses UUID,
            cause_id UUID,
            reason TEXT,
            is_counted BOOLEAN DEFAULT false NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_assignment_credits PRIMARY KEY (id),
            CONSTRAINT ck_assignment_credits_kind CHECK (
                kind IN ('assignment', 'reversal', 'newcomer', 'leave', 'no_show', 'calibration')
            ),
            CONSTRAINT ck_assignment_credits_shape CHECK (
                (kind = 'reversal') = (reverses IS NOT NULL)
                AND (kind <> 'assignment' OR consultation_request_id IS NOT NULL)
            ),
            CONSTRAINT uq_assignment_credits_reverses UNIQUE (reverses),
            CONSTRAINT uq_assignment_credits_cause UNIQUE (
                kind, cause_id, consultation_service_type_id, consultant_user_id
            ),
            CONSTRAINT fk_assignment_credits_consultation_service_type_id
                FOREIGN KEY(consultation_service_type_id) REFERENCES consultation_service_types (id),
            CONSTRAINT fk_assignment_credits_consultant_user_id
                FOREIGN KEY(consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
            CONSTRAINT fk_assignment_credits_consultation_request_id
                FOREIGN KEY(consultation_request_id) REFERENCES consultation_requests (id),
            CONSTRAINT fk_assignment_credits_reverses
                FOREIGN KEY(reverses) REFERENCES assignment_credits (id)
        )
        """
    )
    op.execute(
        "CREATE INDEX ix_assignment_credits_consultation_request_id"
        " ON assignment_credits (consultation_request_id)"
    )
    op.execute(
        "CREATE INDEX ix_assignment_credits_consultation_service_type_id_credited_at"
        " ON assignment_credits (consultation_service_type_id, credited_at)"
    )
    op.execute(
        "CREATE INDEX ix_assignment_credits_uncounted"
        " ON assignment_credits (consultation_service_type_id) WHERE NOT is_counted"
    )
    op.execute(
        """
        CREATE TABLE assignment_balances (
            consultation_service_type_id UUID NOT NULL,
            consultant_user_id UUID NOT NULL,
            credits NUMERIC(14, 6) DEFAULT 0 NOT NULL,
            assigned_at TIMESTAMP WITH TIME ZONE,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_assignment_balances PRIMARY KEY (consultation_service_type_id, consultant_user_id),
            CONSTRAINT fk_assignment_balances_consultation_service_type_id
                FOREIGN KEY(consultation_service_type_id) REFERENCES consultation_service_types (id),
            CONSTRAINT fk_assignment_balances_consultant_user_id
                FOREIGN KEY(consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE assignment_balances")
    op.execute("DROP TABLE assignment_credits")
