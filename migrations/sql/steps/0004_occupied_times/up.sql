CREATE TABLE occupied_times (
    reservation_id uuid NOT NULL,
    role varchar NOT NULL,
    person_id uuid NOT NULL,
    span tstzrange NOT NULL,
    session_id uuid,
    held_until timestamptz,
    CONSTRAINT pk_occupied_times PRIMARY KEY (reservation_id, role),
    CONSTRAINT ck_occupied_times_role CHECK (role IN ('consultant', 'requester', 'kept')),
    CONSTRAINT ex_occupied_times_person EXCLUDE USING gist (person_id WITH =, span WITH &&)
);

INSERT INTO occupied_times (reservation_id, role, person_id, span, session_id, held_until)
SELECT f.id, t.role, t.person_id, t.span, f.scheduled_session_id, f.held_until
  FROM consultant_availability_slots f
 CROSS JOIN LATERAL (VALUES
           ('consultant', f.consultant_user_id, tstzrange(f.start_time, f.end_time)),
           ('requester', f.requester_user_id, tstzrange(f.session_start_time, f.session_end_time))
       ) AS t (role, person_id, span)
 WHERE f.status IN ('held', 'booked')
 UNION ALL
SELECT f.id, 'kept', f.consultant_user_id, tstzrange(f.start_time, f.end_time), NULL, NULL
  FROM consultant_availability_slots f
 WHERE f.status = 'unavailable' AND f.source = 'absence';

CREATE TABLE allowed_steps (
    aggregate varchar NOT NULL,
    before varchar NOT NULL,
    after varchar NOT NULL,
    CONSTRAINT pk_allowed_steps PRIMARY KEY (aggregate, before, after)
);

ALTER TABLE consultant_availability_slots
    DROP CONSTRAINT ex_consultant_availability_slots_reservations,
    DROP CONSTRAINT ex_consultant_availability_slots_requester,
    DROP CONSTRAINT fk_consultant_availability_slots_scheduled_session_id,
    DROP CONSTRAINT ck_consultant_availability_slots_booked,
    ADD CONSTRAINT ck_consultant_availability_slots_booked
        CHECK ((status = 'booked') = (scheduled_session_id IS NOT NULL)),
    ADD CONSTRAINT uq_consultant_availability_slots_booking UNIQUE (
        scheduled_session_id, session_start_time, session_end_time, consultant_user_id, requester_user_id
    );

DROP INDEX ix_consultant_availability_slots_session;

CREATE UNIQUE INDEX uq_consultant_availability_slots_session
    ON consultant_availability_slots (scheduled_session_id)
    WHERE scheduled_session_id IS NOT NULL;

ALTER TABLE scheduled_sessions
    ADD CONSTRAINT uq_scheduled_sessions_live_id UNIQUE (live_id),
    ADD CONSTRAINT fk_scheduled_sessions_booking
        FOREIGN KEY (
            live_id, scheduled_start_time, scheduled_end_time, serving_user_id, requester_user_id
        )
        REFERENCES consultant_availability_slots (
            scheduled_session_id, session_start_time, session_end_time, consultant_user_id, requester_user_id
        )
        DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE consultant_availability_slots
    ADD CONSTRAINT fk_consultant_availability_slots_scheduled_session_id
        FOREIGN KEY (scheduled_session_id) REFERENCES scheduled_sessions (live_id)
        DEFERRABLE INITIALLY DEFERRED;
