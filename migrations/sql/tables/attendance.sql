-- One observation of a room, from any source. The same observation twice is one row.
CREATE TABLE attendance_evidence (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    scheduled_session_id uuid NOT NULL,
    evidence_type varchar NOT NULL,
    party varchar,
    observed_at timestamptz NOT NULL,
    source varchar NOT NULL,
    external_id varchar NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_attendance_evidence PRIMARY KEY (id),
    CONSTRAINT ck_attendance_evidence_evidence_type
        CHECK (evidence_type IN ('joined', 'left', 'room_opened', 'room_closed', 'report_complete')),
    CONSTRAINT ck_attendance_evidence_party CHECK (party IN ('requester', 'consultant')),
    CONSTRAINT ck_attendance_evidence_party_of_presence
        CHECK ((evidence_type IN ('joined', 'left')) = (party IS NOT NULL)),
    CONSTRAINT fk_attendance_evidence_scheduled_session_id
        FOREIGN KEY (scheduled_session_id) REFERENCES scheduled_sessions (id)
);

CREATE INDEX ix_attendance_evidence_recorded_at ON attendance_evidence (recorded_at);

CREATE UNIQUE INDEX uq_attendance_evidence_observation
    ON attendance_evidence (scheduled_session_id, source, external_id);
