-- One entry. `reverses` is the assignment that a reversal cancels; each is reversed at most once.
CREATE TABLE assignment_credits (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultation_service_type_id uuid NOT NULL,
    consultant_user_id uuid NOT NULL,
    credit_type varchar NOT NULL,
    amount numeric(14, 6) NOT NULL,
    credited_at timestamptz NOT NULL,
    consultation_request_id uuid,
    reverses uuid,
    cause_id uuid,
    reason text,
    is_counted boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_assignment_credits PRIMARY KEY (id),
    CONSTRAINT ck_assignment_credits_credit_type
        CHECK (credit_type IN ('assignment', 'reversal', 'newcomer', 'leave', 'no_show', 'calibration')),
    CONSTRAINT ck_assignment_credits_shape
        CHECK (
            (credit_type = 'reversal') = (reverses IS NOT NULL)
            AND (credit_type <> 'assignment' OR consultation_request_id IS NOT NULL)
        ),
    CONSTRAINT uq_assignment_credits_reverses UNIQUE (reverses),
    CONSTRAINT uq_assignment_credits_cause
        UNIQUE (credit_type, cause_id, consultation_service_type_id, consultant_user_id),
    CONSTRAINT fk_assignment_credits_consultation_service_type_id
        FOREIGN KEY (consultation_service_type_id) REFERENCES consultation_service_types (id),
    CONSTRAINT fk_assignment_credits_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
    CONSTRAINT fk_assignment_credits_consultation_request_id
        FOREIGN KEY (consultation_request_id) REFERENCES consultation_requests (id),
    CONSTRAINT fk_assignment_credits_reverses FOREIGN KEY (reverses) REFERENCES assignment_credits (id)
);

CREATE INDEX ix_assignment_credits_consultation_request_id ON assignment_credits (consultation_request_id);

CREATE INDEX ix_assignment_credits_consultation_service_type_id_credited_at
    ON assignment_credits (consultation_service_type_id, credited_at);

CREATE INDEX ix_assignment_credits_uncounted
    ON assignment_credits (consultation_service_type_id)
    WHERE NOT is_counted;

-- The sum of a consultant's counted entries in one pool. It changes only under the lock of the pool.
CREATE TABLE assignment_balances (
    consultation_service_type_id uuid NOT NULL,
    consultant_user_id uuid NOT NULL,
    credits numeric(14, 6) NOT NULL DEFAULT 0,
    assigned_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_assignment_balances PRIMARY KEY (consultation_service_type_id, consultant_user_id),
    CONSTRAINT fk_assignment_balances_consultation_service_type_id
        FOREIGN KEY (consultation_service_type_id) REFERENCES consultation_service_types (id),
    CONSTRAINT fk_assignment_balances_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);
