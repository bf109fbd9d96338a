-- A service type, with the policies that searching and booking share (minutes, days).
CREATE TABLE consultation_service_types (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name varchar NOT NULL,
    description text,
    default_duration_minutes integer NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    slot_step_minutes integer NOT NULL DEFAULT 30,
    buffer_before_minutes integer NOT NULL DEFAULT 0,
    buffer_after_minutes integer NOT NULL DEFAULT 0,
    minimum_notice_minutes integer NOT NULL DEFAULT 0,
    horizon_days integer NOT NULL DEFAULT 90,
    requires_confirmation boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    max_sessions_per_day integer,
    max_sessions_per_week integer,
    max_minutes_per_day integer,
    max_minutes_per_week integer,
    confirmation_minutes integer,
    when_all_declined varchar NOT NULL DEFAULT 'wait',
    waiting_list varchar NOT NULL DEFAULT 'offer',
    assignment_weights jsonb,
    CONSTRAINT pk_consultation_service_types PRIMARY KEY (id),
    CONSTRAINT ck_consultation_service_types_default_duration_minutes
        CHECK (default_duration_minutes BETWEEN 1 AND 1440),
    CONSTRAINT ck_consultation_service_types_slot_step_minutes CHECK (slot_step_minutes BETWEEN 1 AND 1440),
    CONSTRAINT ck_consultation_service_types_buffers
        CHECK (buffer_before_minutes BETWEEN 0 AND 1440 AND buffer_after_minutes BETWEEN 0 AND 1440),
    CONSTRAINT ck_consultation_service_types_minimum_notice_minutes
        CHECK (minimum_notice_minutes BETWEEN 0 AND 525600),
    CONSTRAINT ck_consultation_service_types_horizon_days CHECK (horizon_days BETWEEN 1 AND 730),
    CONSTRAINT ck_consultation_service_types_limits
        CHECK (
            max_sessions_per_day > 0
            AND max_sessions_per_week > 0
            AND max_minutes_per_day > 0
            AND max_minutes_per_week > 0
        ),
    CONSTRAINT ck_consultation_service_types_confirmation_minutes
        CHECK (confirmation_minutes BETWEEN 1 AND 525600),
    CONSTRAINT ck_consultation_service_types_when_all_declined
        CHECK (when_all_declined IN ('wait', 'reject')),
    CONSTRAINT ck_consultation_service_types_waiting_list CHECK (waiting_list IN ('offer', 'book')),
    CONSTRAINT uq_consultation_service_types_name UNIQUE (name)
);

-- A consultant's booking profile. `time_zone` is the zone their hours are written in.
CREATE TABLE consultant_profiles (
    consultant_user_id uuid NOT NULL,
    bio text,
    specializations text[] NOT NULL DEFAULT '{}',
    is_available_for_booking boolean NOT NULL DEFAULT true,
    time_zone varchar NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    holiday_region varchar,
    service_type_ids uuid[],
    company_ids uuid[],
    languages text[] NOT NULL DEFAULT '{}',
    assignment_weight numeric(8, 3) NOT NULL DEFAULT 1,
    assignment_capacity integer,
    priority_tier integer NOT NULL DEFAULT 3,
    unavailable_since timestamptz,
    max_sessions_per_day integer,
    max_sessions_per_week integer,
    max_minutes_per_day integer,
    max_minutes_per_week integer,
    CONSTRAINT pk_consultant_profiles PRIMARY KEY (consultant_user_id),
    CONSTRAINT ck_consultant_profiles_assignment
        CHECK (assignment_weight > 0 AND assignment_capacity > 0 AND priority_tier BETWEEN 1 AND 5),
    CONSTRAINT ck_consultant_profiles_limits
        CHECK (
            max_sessions_per_day > 0
            AND max_sessions_per_week > 0
            AND max_minutes_per_day > 0
            AND max_minutes_per_week > 0
        )
);

-- The policies of one consultant for one service type. NULL: the policy of the service type applies.
CREATE TABLE consultant_policies (
    consultant_user_id uuid NOT NULL,
    consultation_service_type_id uuid NOT NULL,
    duration_minutes integer,
    slot_step_minutes integer,
    buffer_before_minutes integer,
    buffer_after_minutes integer,
    minimum_notice_minutes integer,
    horizon_days integer,
    requires_confirmation boolean,
    max_sessions_per_day integer,
    max_sessions_per_week integer,
    max_minutes_per_day integer,
    max_minutes_per_week integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    CONSTRAINT pk_consultant_policies PRIMARY KEY (consultant_user_id, consultation_service_type_id),
    CONSTRAINT ck_consultant_policies_lengths
        CHECK (duration_minutes BETWEEN 1 AND 1440 AND slot_step_minutes BETWEEN 1 AND 1440),
    CONSTRAINT ck_consultant_policies_buffers
        CHECK (buffer_before_minutes BETWEEN 0 AND 1440 AND buffer_after_minutes BETWEEN 0 AND 1440),
    CONSTRAINT ck_consultant_policies_ahead
        CHECK (minimum_notice_minutes BETWEEN 0 AND 525600 AND horizon_days BETWEEN 1 AND 730),
    CONSTRAINT ck_consultant_policies_limits
        CHECK (
            max_sessions_per_day > 0
            AND max_sessions_per_week > 0
            AND max_minutes_per_day > 0
            AND max_minutes_per_week > 0
        ),
    CONSTRAINT fk_consultant_policies_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
    CONSTRAINT fk_consultant_policies_consultation_service_type_id
        FOREIGN KEY (consultation_service_type_id) REFERENCES consultation_service_types (id)
);

CREATE INDEX ix_consultant_policies_consultation_service_type_id
    ON consultant_policies (consultation_service_type_id);

-- Another name of a specialization. Both are stored case-folded; no alias stands for an alias.
CREATE TABLE specialization_aliases (
    alias varchar NOT NULL,
    specialization varchar NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_specialization_aliases PRIMARY KEY (alias),
    CONSTRAINT ck_specialization_aliases_alias CHECK (alias <> specialization)
);

-- The last copy of a person from the identity service: how to reach and address them.
CREATE TABLE directory_users (
    user_id uuid NOT NULL,
    name varchar NOT NULL,
    email varchar NOT NULL,
    time_zone varchar NOT NULL DEFAULT 'UTC',
    language varchar NOT NULL DEFAULT 'en',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    CONSTRAINT pk_directory_users PRIMARY KEY (user_id)
);

CREATE INDEX ix_directory_users_email ON directory_users (email);
