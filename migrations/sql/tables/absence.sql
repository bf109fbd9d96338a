-- The plan for one absence, from `starts_at` to `ends_at`, or for good where both are NULL.
CREATE TABLE absence_plans (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultant_user_id uuid NOT NULL,
    starts_at timestamptz,
    ends_at timestamptz,
    reason text NOT NULL,
    criteria jsonb NOT NULL DEFAULT '{}',
    state varchar NOT NULL DEFAULT 'draft',
    actor varchar NOT NULL,
    planned_at timestamptz NOT NULL,
    applied_at timestamptz,
    announce_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_absence_plans PRIMARY KEY (id),
    CONSTRAINT ck_absence_plans_state CHECK (state IN ('draft', 'applied', 'announced', 'undone')),
    CONSTRAINT ck_absence_plans_times CHECK ((starts_at IS NULL) = (ends_at IS NULL) AND ends_at > starts_at),
    CONSTRAINT ck_absence_plans_announce
        CHECK (state NOT IN ('applied', 'announced') OR announce_at IS NOT NULL),
    CONSTRAINT fk_absence_plans_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

CREATE INDEX ix_absence_plans_consultant_user_id ON absence_plans (consultant_user_id);

CREATE INDEX ix_absence_plans_planned_at ON absence_plans (planned_at);

-- What a plan does with one session. At most one step of a session is under way, over all plans.
CREATE TABLE absence_plan_steps (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    plan_id uuid NOT NULL,
    scheduled_session_id uuid NOT NULL,
    position integer NOT NULL,
    session_revision integer NOT NULL,
    action varchar NOT NULL,
    reason varchar NOT NULL,
    consultant_user_id uuid,
    start_time timestamptz,
    end_time timestamptz,
    state varchar NOT NULL DEFAULT 'planned',
    booking_id uuid,
    block_id uuid,
    hold_id uuid,
    answer_by timestamptz,
    before jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_absence_plan_steps PRIMARY KEY (id),
    CONSTRAINT ck_absence_plan_steps_action CHECK (action IN ('reassign', 'propose', 'cancel')),
    CONSTRAINT ck_absence_plan_steps_state
        CHECK (state IN ('planned', 'applied', 'offered', 'done', 'cancelled', 'undone', 'overtaken')),
    CONSTRAINT ck_absence_plan_steps_whereto
        CHECK (
            action = 'cancel'
            OR (consultant_user_id IS NOT NULL AND start_time IS NOT NULL AND end_time IS NOT NULL)
        ),
    CONSTRAINT ck_absence_plan_steps_applied
        CHECK (state NOT IN ('applied', 'offered') OR booking_id IS NOT NULL),
    CONSTRAINT uq_absence_plan_steps_plan_id_scheduled_session_id UNIQUE (plan_id, scheduled_session_id),
    CONSTRAINT fk_absence_plan_steps_plan_id
        FOREIGN KEY (plan_id) REFERENCES absence_plans (id) ON DELETE CASCADE,
    CONSTRAINT fk_absence_plan_steps_scheduled_session_id
        FOREIGN KEY (scheduled_session_id) REFERENCES scheduled_sessions (id),
    CONSTRAINT fk_absence_plan_steps_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

CREATE INDEX ix_absence_plan_steps_scheduled_session_id ON absence_plan_steps (scheduled_session_id);

CREATE UNIQUE INDEX uq_absence_plan_steps_under_way
    ON absence_plan_steps (scheduled_session_id)
    WHERE state IN ('applied', 'offered');
