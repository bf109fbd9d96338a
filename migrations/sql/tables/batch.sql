-- A batch as it was planned; `applied` counts the requests that the plan was applied to.
CREATE TABLE assignment_batches (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    planned_at timestamptz NOT NULL,
    finished_at timestamptz,
    requests integer NOT NULL,
    pairs integer NOT NULL,
    served integer NOT NULL,
    score bigint NOT NULL,
    served_bound integer NOT NULL,
    score_bound bigint NOT NULL,
    method varchar NOT NULL,
    is_complete boolean NOT NULL,
    timed_out boolean NOT NULL,
    seconds numeric(10, 3) NOT NULL,
    applied integer NOT NULL DEFAULT 0,
    "left" jsonb NOT NULL,
    CONSTRAINT pk_assignment_batches PRIMARY KEY (id),
    CONSTRAINT ck_assignment_batches_method CHECK (method IN ('greedy', 'matching', 'rounds', 'search')),
    CONSTRAINT ck_assignment_batches_numbers
        CHECK (served <= served_bound AND served_bound <= requests AND applied <= requests)
);

CREATE INDEX ix_assignment_batches_planned_at ON assignment_batches (planned_at);
