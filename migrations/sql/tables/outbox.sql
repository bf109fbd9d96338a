-- One change: who, when, why, before and after. Inserted in the transaction of the change.
CREATE TABLE events (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    position bigint GENERATED ALWAYS AS IDENTITY,
    type varchar NOT NULL,
    occurred_at timestamptz NOT NULL,
    consultation_request_id uuid,
    scheduled_session_id uuid,
    consultant_user_id uuid,
    actor varchar NOT NULL,
    entry_point varchar NOT NULL,
    message_id uuid,
    reason text,
    before jsonb NOT NULL DEFAULT '{}',
    after jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT pk_events PRIMARY KEY (id),
    CONSTRAINT uq_events_position UNIQUE (position)
);

CREATE INDEX ix_events_occurred_at ON events (occurred_at);

CREATE INDEX ix_events_request ON events (consultation_request_id, position);

CREATE INDEX ix_events_session ON events (scheduled_session_id, position);

-- One piece of follow-up work: outbox and agenda in one. `key` makes it exist once.
CREATE TABLE jobs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    key varchar NOT NULL,
    job_type varchar NOT NULL,
    subject_id uuid NOT NULL,
    args jsonb NOT NULL DEFAULT '{}',
    due_at timestamptz NOT NULL,
    retry_at timestamptz,
    state varchar NOT NULL DEFAULT 'waiting',
    attempts integer NOT NULL DEFAULT 0,
    send_attempts integer NOT NULL DEFAULT 0,
    lease_token uuid,
    lease_until timestamptz,
    payload bytea,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT pk_jobs PRIMARY KEY (id),
    CONSTRAINT ck_jobs_state
        CHECK (state IN ('waiting', 'leased', 'sending', 'done', 'skipped', 'uncertain', 'dead')),
    CONSTRAINT ck_jobs_lease
        CHECK (
            (state IN ('leased', 'sending')) = (lease_token IS NOT NULL)
            AND (state IN ('leased', 'sending')) = (lease_until IS NOT NULL)
        ),
    CONSTRAINT ck_jobs_finished
        CHECK ((state IN ('done', 'skipped', 'uncertain', 'dead')) = (finished_at IS NOT NULL)),
    CONSTRAINT uq_jobs_key UNIQUE (key)
);

CREATE INDEX ix_jobs_due ON jobs (job_type, due_at) WHERE state = 'waiting';

CREATE INDEX ix_jobs_leases ON jobs (lease_until) WHERE state IN ('leased', 'sending');

CREATE INDEX ix_jobs_finished_at ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX ix_jobs_subject ON jobs (subject_id, job_type);

-- One run of daily work: the worker that inserts the row does the run of that day.
CREATE TABLE schedule_runs (
    schedule varchar NOT NULL,
    due_day date NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_schedule_runs PRIMARY KEY (schedule, due_day)
);
