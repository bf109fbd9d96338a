"""absence: plans for the sessions of a consultant who is away, and their steps"""

from __future__ import annotations

from alembic import op

revision = "0023_absence"
down_revision = "0022_assignment_batches"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE absence_plans (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultant_user_id UUID NOT NULL,
            starts_at TIMESTAMP WITH TIME ZONE,
            ends_at TIMESTAMP WITH TIME ZONE,
            reason TEXT NOT NULL,
            wishes JSONB DEFAULT '{}' NOT NULL,
            state VARCHAR DEFAULT 'draft' NOT NULL,
            actor VARCHAR NOT NULL,
            planned_at TIMESTAMP WITH TIME ZONE NOT NULL,
            applied_at TIMESTAMP WITH TIME ZONE,
            announce_at TIMESTAMP WITH TIME ZONE,
            settled_at TIMESTAMP WITH TIME ZONE,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_absence_plans PRIMARY KEY (id),
            CONSTRAINT ck_absence_plans_state CHECK (state IN ('draft', 'applied', 'announced', 'undone')),
            CONSTRAINT ck_absence_plans_times CHECK (
                (starts_at IS NULL) = (ends_at IS NULL) AND ends_at > starts_at
            ),
            CONSTRAINT ck_absence_plans_announce CHECK (
                state NOT IN ('applied', 'announced') OR announce_at IS NOT NULL
            ),
            CONSTRAINT fk_absence_plans_consultant_user_id FOREIGN KEY(consultant_user_id)
                REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_absence_plans_consultant_user_id ON absence_plans (consultant_user_id)")
    op.execute("CREATE INDEX ix_absence_plans_planned_at ON absence_plans (planned_at)")
    op.execute(
        """
        CREATE TABLE absence_plan_steps (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            plan_id UUID NOT NULL,
            scheduled_session_id UUID NOT NULL,
            position INTEGER NOT NULL,
            session_revision INTEGER NOT NULL,
            action VARCHAR NOT NULL,
            reason VARCHAR NOT NULL,
            consultant_user_id UUID,
            start_time TIMESTAMP WITH TIME ZONE,
            end_time TIMESTAMP WITH TIME ZONE,
            state VARCHAR DEFAULT 'planned' NOT NULL,
            booking_id UUID,
            block_id UUID,
            hold_id UUID,
            answer_by TIMESTAMP WITH TIME ZONE,
            before JSONB,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_absence_plan_steps PRIMARY KEY (id),
            CONSTRAINT ck_absence_plan_steps_action CHECK (action IN ('reassign', 'propose', 'cancel')),
            CONSTRAINT ck_absence_plan_steps_state CHECK (
                state IN ('planned', 'applied', 'offered', 'done', 'cancelled', 'undone', 'overtaken')
            ),
            CONSTRAINT ck_absence_plan_steps_whereto CHECK (
                action = 'cancel'
                OR (consultant_user_id IS NOT NULL AND start_time IS NOT NULL AND end_time IS NOT NULL)
            ),
            CONSTRAINT ck_absence_plan_steps_applied CHECK (
                state NOT IN ('applied', 'offered') OR booking_id IS NOT NULL
            ),
            CONSTRAINT uq_absence_plan_steps_plan_id_scheduled_session_id
                UNIQUE (plan_id, scheduled_session_id),
            CONSTRAINT fk_absence_plan_steps_plan_id FOREIGN KEY(plan_id)
                REFERENCES absence_plans (id) ON DELETE CASCADE,
            CONSTRAINT fk_absence_plan_steps_scheduled_session_id FOREIGN KEY(scheduled_session_id)
                REFERENCES scheduled_sessions (id),
            CONSTRAINT fk_absence_plan_steps_consultant_user_id FOREIGN KEY(consultant_user_id)
                REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX uq_absence_plan_steps_under_way ON absence_plan_steps (scheduled_session_id)"
        " WHERE state IN ('applied', 'offered')"
    )
    op.execute(
        "CREATE INDEX ix_absence_plan_steps_scheduled_session_id ON absence_plan_steps (scheduled_session_id)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE absence_plan_steps")
    op.execute("DROP TABLE absence_plans")
