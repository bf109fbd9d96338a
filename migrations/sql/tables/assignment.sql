-- One choice of a consultant: the inputs, everyone who was evaluated with the reason, and the result.
CREATE TABLE assignment_decisions (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultation_request_id uuid NOT NULL,
    decided_at timestamptz NOT NULL,
    policy_version varchar NOT NULL,
    consultant_user_id uuid,
    start_time timestamptz,
    reason varchar NOT NULL,
    inputs jsonb NOT NULL,
    candidates jsonb NOT NULL,
    CONSTRAINT pk_assignment_decisions PRIMARY KEY (id),
    CONSTRAINT fk_assignment_decisions_consultation_request_id
        FOREIGN KEY (consultation_request_id) REFERENCES consultation_requests (id),
    CONSTRAINT fk_assignment_decisions_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

CREATE INDEX ix_assignment_decisions_consultation_request_id_decided_at
    ON assignment_decisions (consultation_request_id, decided_at);
