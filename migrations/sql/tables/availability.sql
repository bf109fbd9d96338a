-- A span of one consultant's time.
CREATE TABLE consultant_availability_slots (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultant_user_id uuid NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    is_recurring boolean NOT NULL DEFAULT false,
    recurrence_rule varchar,
    status varchar NOT NULL DEFAULT 'available',
    source varchar NOT NULL DEFAULT 'manual',
    consultation_request_id uuid,
    scheduled_session_id uuid,
    requester_user_id uuid,
    session_start_time timestamptz,
    session_end_time timestamptz,
    held_until timestamptz,
    hold_token uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    CONSTRAINT pk_consultant_availability_slots PRIMARY KEY (id),
    CONSTRAINT ck_consultant_availability_slots_status
        CHECK (status IN ('available', 'held', 'booked', 'unavailable')),
    CONSTRAINT ck_consultant_availability_slots_times CHECK (end_time > start_time),
    CONSTRAINT ck_consultant_availability_slots_held
        CHECK ((status = 'held') = (held_until IS NOT NULL) AND (status = 'held') = (hold_token IS NOT NULL)),
    CONSTRAINT ck_consultant_availability_slots_reservations
        CHECK (
            (status IN ('held', 'booked')) = (consultation_request_id IS NOT NULL)
            AND (status IN ('held', 'booked')) = (requester_user_id IS NOT NULL)
            AND (status IN ('held', 'booked')) = (session_start_time IS NOT NULL)
            AND (status IN ('held', 'booked')) = (session_end_time IS NOT NULL)
        ),
    CONSTRAINT ck_consultant_availability_slots_booked
        CHECK (status <> 'booked' OR scheduled_session_id IS NOT NULL),
    CONSTRAINT ck_consultant_availability_slots_session_inside
        CHECK (
            session_start_time >= start_time
            AND session_end_time <= end_time
            AND session_end_time > session_start_time
        ),
    CONSTRAINT ck_consultant_availability_slots_recurrence CHECK (recurrence_rule IS NULL OR is_recurring),
    CONSTRAINT ex_consultant_availability_slots_windows
        EXCLUDE USING gist (consultant_user_id WITH =, tstzrange(start_time, end_time) WITH &&)
            WHERE (status = 'available'),
    CONSTRAINT ex_consultant_availability_slots_reservations
        EXCLUDE USING gist (consultant_user_id WITH =, tstzrange(start_time, end_time) WITH &&)
            WHERE (status IN ('held', 'booked')),
    CONSTRAINT ex_consultant_availability_slots_requester
        EXCLUDE USING gist (requester_user_id WITH =, tstzrange(session_start_time, session_end_time) WITH &&)
            WHERE (status IN ('held', 'booked')),
    CONSTRAINT fk_consultant_availability_slots_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id),
    CONSTRAINT fk_consultant_availability_slots_consultation_request_id
        FOREIGN KEY (consultation_request_id) REFERENCES consultation_requests (id),
    CONSTRAINT fk_consultant_availability_slots_scheduled_session_id
        FOREIGN KEY (scheduled_session_id) REFERENCES scheduled_sessions (id)
);

CREATE INDEX ix_consultant_availability_slots_blocks
    ON consultant_availability_slots USING gist (consultant_user_id, tstzrange(start_time, end_time))
    WHERE status = 'unavailable';

CREATE INDEX ix_consultant_availability_slots_held_until
    ON consultant_availability_slots (held_until)
    WHERE status = 'held';

CREATE INDEX ix_consultant_availability_slots_request
    ON consultant_availability_slots (consultation_request_id)
    WHERE consultation_request_id IS NOT NULL;

CREATE INDEX ix_consultant_availability_slots_session
    ON consultant_availability_slots (scheduled_session_id)
    WHERE scheduled_session_id IS NOT NULL;

CREATE INDEX ix_consultant_availability_slots_status ON consultant_availability_slots (status);

CREATE INDEX ix_consultant_availability_slots_times
    ON consultant_availability_slots (consultant_user_id, start_time, end_time);

CREATE INDEX ix_consultant_availability_slots_windows_by_time
    ON consultant_availability_slots USING gist (tstzrange(start_time, end_time))
    WHERE status = 'available';
