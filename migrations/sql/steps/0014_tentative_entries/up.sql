ALTER TABLE session_mailboxes DROP CONSTRAINT fk_session_mailboxes_scheduled_session_id;

ALTER TABLE session_mailboxes
    ADD COLUMN consultation_request_id uuid,
    ADD COLUMN is_tentative boolean DEFAULT false NOT NULL;

UPDATE session_mailboxes AS b
SET consultation_request_id = s.consultation_request_id
FROM scheduled_sessions AS s
WHERE s.id = b.scheduled_session_id;

ALTER TABLE session_mailboxes
    ADD CONSTRAINT fk_session_mailboxes_consultation_request_id FOREIGN KEY (consultation_request_id)
        REFERENCES consultation_requests (id) NOT VALID;

ALTER TABLE session_mailboxes VALIDATE CONSTRAINT fk_session_mailboxes_consultation_request_id;
