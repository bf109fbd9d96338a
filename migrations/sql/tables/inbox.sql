-- One inbound message: counted before it is run, answered once.
CREATE TABLE inbox (
    message_id uuid NOT NULL,
    task varchar NOT NULL,
    body_hash varchar NOT NULL,
    entry_point varchar NOT NULL,
    body jsonb,
    state varchar NOT NULL DEFAULT 'received',
    attempts integer NOT NULL DEFAULT 0,
    outcome jsonb,
    received_at timestamptz NOT NULL DEFAULT now(),
    attempted_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT pk_inbox PRIMARY KEY (message_id),
    CONSTRAINT ck_inbox_state CHECK (state IN ('received', 'done', 'dead')),
    CONSTRAINT ck_inbox_outcome CHECK ((state = 'received') = (outcome IS NULL))
);

CREATE INDEX ix_inbox_finished_at ON inbox (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX ix_inbox_received ON inbox (attempted_at) WHERE state = 'received';

-- A message that could not be used: the reason, and its shape without personal data.
CREATE TABLE dead_letters (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    task varchar NOT NULL,
    entry_point varchar NOT NULL,
    message_id uuid,
    reason text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_dead_letters PRIMARY KEY (id)
);

CREATE INDEX ix_dead_letters_received_at ON dead_letters (received_at);

-- A valid message for a task that the release which received it does not know; a later release runs it.
CREATE TABLE parked_messages (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    task varchar NOT NULL,
    queue varchar NOT NULL,
    body_hash varchar NOT NULL,
    arguments jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_parked_messages PRIMARY KEY (id)
);

CREATE INDEX ix_parked_messages_received_at ON parked_messages (received_at);

CREATE UNIQUE INDEX uq_parked_messages_content ON parked_messages (task, queue, body_hash);
