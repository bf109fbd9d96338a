DELETE FROM session_mailboxes AS b
WHERE NOT EXISTS (
    SELECT FROM scheduled_sessions AS s
    WHERE s.id = b.scheduled_session_id
);

ALTER TABLE session_mailboxes
    DROP COLUMN consultation_request_id,
    DROP COLUMN is_tentative;

ALTER TABLE session_mailboxes
    ADD CONSTRAINT fk_session_mailboxes_scheduled_session_id FOREIGN KEY (scheduled_session_id)
        REFERENCES scheduled_sessions (id);
