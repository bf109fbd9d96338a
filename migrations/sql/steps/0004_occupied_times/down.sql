DROP TRIGGER occupy_time_on_insert ON consultant_availability_slots;

DROP TRIGGER occupy_time_on_update ON consultant_availability_slots;

DROP TRIGGER occupy_time_on_delete ON consultant_availability_slots;

DROP TRIGGER occupy_time_on_truncate ON consultant_availability_slots;

DROP TRIGGER check_status_on_insert ON consultation_requests;

DROP TRIGGER check_status_on_update ON consultation_requests;

DROP TRIGGER check_status_on_insert ON scheduled_sessions;

DROP TRIGGER check_status_on_update ON scheduled_sessions;

DROP TABLE occupied_times;

DROP TABLE allowed_steps;

ALTER TABLE consultant_availability_slots
    DROP CONSTRAINT fk_consultant_availability_slots_scheduled_session_id;

ALTER TABLE scheduled_sessions
    DROP CONSTRAINT fk_scheduled_sessions_booking,
    DROP COLUMN serving_user_id,
    DROP COLUMN live_id,
    DROP COLUMN substitute_user_id;

DROP INDEX uq_consultant_availability_slots_session;

CREATE INDEX ix_consultant_availability_slots_session
    ON consultant_availability_slots (scheduled_session_id)
    WHERE scheduled_session_id IS NOT NULL;

ALTER TABLE consultant_availability_slots
    DROP CONSTRAINT uq_consultant_availability_slots_booking,
    DROP CONSTRAINT ck_consultant_availability_slots_booked,
    ADD CONSTRAINT ck_consultant_availability_slots_booked
        CHECK (status <> 'booked' OR scheduled_session_id IS NOT NULL),
    ADD CONSTRAINT fk_consultant_availability_slots_scheduled_session_id
        FOREIGN KEY (scheduled_session_id) REFERENCES scheduled_sessions (id),
    ADD CONSTRAINT ex_consultant_availability_slots_reservations
        EXCLUDE USING gist (consultant_user_id WITH =, tstzrange(start_time, end_time) WITH &&)
            WHERE (status IN ('held', 'booked')),
    ADD CONSTRAINT ex_consultant_availability_slots_requester
        EXCLUDE USING gist (requester_user_id WITH =, tstzrange(session_start_time, session_end_time) WITH &&)
            WHERE (status IN ('held', 'booked'));
