CREATE TABLE session_mailboxes (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    scheduled_session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    party varchar NOT NULL,
    mailbox varchar NOT NULL,
    address varchar NOT NULL,
    method varchar NOT NULL,
    sequence integer NOT NULL,
    invited_sequence integer NOT NULL,
    content_digest varchar,
    job_id uuid,
    sent_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz,
    CONSTRAINT pk_session_mailboxes PRIMARY KEY (id),
    CONSTRAINT ck_session_mailboxes_method CHECK (method IN ('REQUEST', 'CANCEL')),
    CONSTRAINT ck_session_mailboxes_party CHECK (party IN ('requester', 'consultant')),
    CONSTRAINT ck_session_mailboxes_mailbox CHECK (mailbox = lower(address)),
    CONSTRAINT ck_session_mailboxes_sequence CHECK (sequence >= invited_sequence AND invited_sequence >= 0),
    CONSTRAINT uq_session_mailboxes_scheduled_session_id_mailbox UNIQUE (scheduled_session_id, mailbox),
    CONSTRAINT fk_session_mailboxes_scheduled_session_id FOREIGN KEY (scheduled_session_id)
    REFERENCES scheduled_sessions (id)
);

INSERT INTO session_mailboxes (
    scheduled_session_id, user_id, party, mailbox, address, method, sequence, invited_sequence
)
SELECT
    s.id,
    u.user_id,
    CASE WHEN u.user_id = s.requester_user_id THEN 'requester' ELSE 'consultant' END,
    lower(u.email),
    u.email,
    'REQUEST',
    max((j.args ->> 'revision')::integer),
    min((j.args ->> 'revision')::integer)
FROM jobs AS j
INNER JOIN scheduled_sessions AS s ON j.subject_id = s.id
INNER JOIN directory_users AS u ON u.user_id = (j.args ->> 'recipient')::uuid
WHERE
    j.job_type = 'send_invite'
    AND j.send_attempts > 0
    AND s.status IN ('scheduled', 'in_progress')
    AND u.user_id IN (s.requester_user_id, s.consultant_user_id)
GROUP BY s.id, u.user_id
ON CONFLICT DO NOTHING;
