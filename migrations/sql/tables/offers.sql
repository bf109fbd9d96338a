-- A start that is held for a waiting request until its requester answers, or until `offered_until`.
CREATE TABLE time_offers (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultation_request_id uuid NOT NULL,
    consultant_user_id uuid NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    hold_token uuid NOT NULL,
    state varchar NOT NULL DEFAULT 'open',
    offered_at timestamptz NOT NULL,
    offered_until timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT pk_time_offers PRIMARY KEY (id),
    CONSTRAINT ck_time_offers_state CHECK (state IN ('open', 'accepted', 'declined', 'lapsed', 'withdrawn')),
    CONSTRAINT ck_time_offers_times CHECK (end_time > start_time AND offered_until <= start_time),
    CONSTRAINT ck_time_offers_ended CHECK ((state = 'open') = (ended_at IS NULL)),
    CONSTRAINT uq_time_offers_hold_token UNIQUE (hold_token),
    CONSTRAINT uq_time_offers_once UNIQUE (consultation_request_id, consultant_user_id, start_time),
    CONSTRAINT fk_time_offers_consultation_request_id
        FOREIGN KEY (consultation_request_id) REFERENCES consultation_requests (id),
    CONSTRAINT fk_time_offers_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

CREATE INDEX ix_time_offers_consultant_user_id ON time_offers (consultant_user_id);

CREATE INDEX ix_time_offers_open_until ON time_offers (offered_until) WHERE state = 'open';

CREATE UNIQUE INDEX uq_time_offers_open ON time_offers (consultation_request_id) WHERE state = 'open';
