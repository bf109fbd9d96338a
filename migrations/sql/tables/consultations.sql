-- A request for a consultation, which is rejected at `deadline_at` when nothing was found for it.
CREATE TABLE consultation_requests (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    requester_user_id uuid NOT NULL,
    company_id uuid,
    consultation_service_type_id uuid NOT NULL,
    preferred_consultant_user_id uuid,
    preferred_start_time timestamptz,
    preferred_end_time timestamptz,
    required_specializations text[] NOT NULL DEFAULT '{}',
    excluded_consultant_user_ids uuid[] NOT NULL DEFAULT '{}',
    request_details text,
    status varchar NOT NULL DEFAULT 'pending',
    status_reason text,
    requested_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    deadline_at timestamptz,
    assigned_consultant_user_id uuid,
    scheduled_session_id uuid,
    replaces_request_id uuid,
    hold_token uuid,
    series_id uuid,
    waiting_since timestamptz,
    offer_cooldown_until timestamptz,
    languages text[] NOT NULL DEFAULT '{}',
    preferred_fallback varchar NOT NULL DEFAULT 'anyone',
    fallback_after timestamptz,
    CONSTRAINT pk_consultation_requests PRIMARY KEY (id),
    CONSTRAINT ck_consultation_requests_status
        CHECK (
            status IN (
                'pending', 'pending_assignment', 'pending_confirmation', 'scheduled', 'cancelled',
                'completed', 'rejected'
            )
        ),
    CONSTRAINT ck_consultation_requests_preferred_window
        CHECK (
            preferred_end_time IS NULL
            OR preferred_start_time IS NULL
            OR preferred_end_time > preferred_start_time
        ),
    CONSTRAINT ck_consultation_requests_preferred_fallback
        CHECK (preferred_fallback IN ('anyone', 'wait', 'only')),
    CONSTRAINT ck_consultation_requests_fallback_after
        CHECK ((preferred_fallback = 'wait') = (fallback_after IS NOT NULL)),
    CONSTRAINT fk_consultation_requests_consultation_service_type_id
        FOREIGN KEY (consultation_service_type_id) REFERENCES consultation_service_types (id),
    CONSTRAINT fk_consultation_requests_preferred_consultant_user_id
        FOREIGN KEY (preferred_consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
    CONSTRAINT fk_consultation_requests_assigned_consultant_user_id
        FOREIGN KEY (assigned_consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
    CONSTRAINT uq_consultation_requests_scheduled_session_id UNIQUE (scheduled_session_id),
    CONSTRAINT fk_consultation_requests_replaces_request_id
        FOREIGN KEY (replaces_request_id) REFERENCES consultation_requests (id)
);

CREATE INDEX ix_consultation_requests_company
    ON consultation_requests (company_id, assigned_consultant_user_id)
    WHERE company_id IS NOT NULL;

CREATE INDEX ix_consultation_requests_open
    ON consultation_requests (deadline_at)
    WHERE status IN ('pending', 'pending_assignment', 'pending_confirmation');

CREATE INDEX ix_consultation_requests_replaces_request_id ON consultation_requests (replaces_request_id);

CREATE INDEX ix_consultation_requests_requester_user_id ON consultation_requests (requester_user_id);

-- A scheduled session.
CREATE TABLE scheduled_sessions (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultation_request_id uuid NOT NULL,
    requester_user_id uuid NOT NULL,
    consultant_user_id uuid NOT NULL,
    consultation_service_type_id uuid NOT NULL,
    scheduled_start_time timestamptz NOT NULL,
    scheduled_end_time timestamptz NOT NULL,
    meeting_platform_session_id varchar,
    meeting_platform_join_url text,
    status varchar NOT NULL DEFAULT 'scheduled',
    status_reason text,
    outcome_notes text,
    billed_amount numeric(10, 2),
    revision integer NOT NULL DEFAULT 0,
    revised_at timestamptz NOT NULL DEFAULT now(),
    requester_attendance varchar,
    consultant_attendance varchar,
    judged_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    CONSTRAINT pk_scheduled_sessions PRIMARY KEY (id),
    CONSTRAINT ck_scheduled_sessions_status
        CHECK (
            status IN (
                'scheduled', 'in_progress', 'completed', 'cancelled_by_user',
                'cancelled_by_consultant', 'no_show_user', 'no_show_consultant',
                'attendance_unknown'
            )
        ),
    CONSTRAINT ck_scheduled_sessions_requester_attendance
        CHECK (requester_attendance IN ('attended', 'absent', 'unknown')),
    CONSTRAINT ck_scheduled_sessions_consultant_attendance
        CHECK (consultant_attendance IN ('attended', 'absent', 'unknown')),
    CONSTRAINT ck_scheduled_sessions_scheduled_times CHECK (scheduled_end_time > scheduled_start_time),
    CONSTRAINT ck_scheduled_sessions_revision CHECK (revision >= 0),
    CONSTRAINT ck_scheduled_sessions_billed_amount CHECK (billed_amount >= 0),
    CONSTRAINT uq_scheduled_sessions_consultation_request_id UNIQUE (consultation_request_id),
    CONSTRAINT fk_scheduled_sessions_consultation_request_id
        FOREIGN KEY (consultation_request_id) REFERENCES consultation_requests (id),
    CONSTRAINT fk_scheduled_sessions_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
    CONSTRAINT fk_scheduled_sessions_consultation_service_type_id
        FOREIGN KEY (consultation_service_type_id) REFERENCES consultation_service_types (id)
);

CREATE INDEX ix_scheduled_sessions_consultant_user_id_scheduled_start_time
    ON scheduled_sessions (consultant_user_id, scheduled_start_time);

CREATE INDEX ix_scheduled_sessions_requester_user_id_scheduled_start_time
    ON scheduled_sessions (requester_user_id, scheduled_start_time);

CREATE INDEX ix_scheduled_sessions_status ON scheduled_sessions (status);

CREATE INDEX ix_scheduled_sessions_to_judge
    ON scheduled_sessions (scheduled_end_time)
    WHERE status = 'in_progress';

CREATE INDEX ix_scheduled_sessions_to_start
    ON scheduled_sessions (scheduled_start_time)
    WHERE status = 'scheduled';

-- A session names its request and a request its session, so one of the two references comes later.
ALTER TABLE consultation_requests
    ADD CONSTRAINT fk_consultation_requests_scheduled_session_id
    FOREIGN KEY (scheduled_session_id) REFERENCES scheduled_sessions (id);
