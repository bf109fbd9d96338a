-- Declared hours in the consultant's own zone, on one weekday or one date. Never a UTC time.
CREATE TABLE availability_rules (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultant_user_id uuid NOT NULL,
    weekday integer,
    local_date date,
    start_local time NOT NULL,
    end_local time NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_availability_rules PRIMARY KEY (id),
    CONSTRAINT ck_availability_rules_weekday_or_date CHECK (num_nonnulls(weekday, local_date) = 1),
    CONSTRAINT ck_availability_rules_weekday CHECK (weekday BETWEEN 1 AND 7),
    CONSTRAINT uq_availability_rules_weekly UNIQUE (consultant_user_id, weekday, start_local),
    CONSTRAINT uq_availability_rules_single UNIQUE (consultant_user_id, local_date, start_local),
    CONSTRAINT fk_availability_rules_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

-- Recurring hours, rule sets, overrides and travel, as the contract `Hours` writes them.
CREATE TABLE availability_plans (
    consultant_user_id uuid NOT NULL,
    plan jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_availability_plans PRIMARY KEY (consultant_user_id),
    CONSTRAINT fk_availability_plans_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

-- A leave from one wall-clock time to another, in the zone that the consultant has on those days.
CREATE TABLE consultant_leaves (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultant_user_id uuid NOT NULL,
    start_local timestamp NOT NULL,
    end_local timestamp NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_consultant_leaves PRIMARY KEY (id),
    CONSTRAINT ck_consultant_leaves_times CHECK (end_local > start_local),
    CONSTRAINT fk_consultant_leaves_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

CREATE INDEX ix_consultant_leaves_consultant_user_id ON consultant_leaves (consultant_user_id);

CREATE INDEX ix_consultant_leaves_end_local ON consultant_leaves (end_local);

-- How far a consultant's windows are projected, and with which version of the time zones.
CREATE TABLE availability_projections (
    consultant_user_id uuid NOT NULL,
    projected_until date NOT NULL,
    tzdata_version varchar NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_availability_projections PRIMARY KEY (consultant_user_id),
    CONSTRAINT fk_availability_projections_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

CREATE INDEX ix_availability_projections_tzdata_version ON availability_projections (tzdata_version);
