-- What stays of a command that changed nothing are the ids it was about.
UPDATE inbox SET
    state = :state,
    outcome = :outcome,
    finished_at = clock_timestamp(),
    body = CASE
        WHEN :state = 'dead' THEN body
        WHEN :without_event THEN nullif(
            jsonb_strip_nulls(
                jsonb_build_object('request_id', body -> 'request_id', 'session_id', body -> 'session_id')
            ),
            '{}'
        )
    END
WHERE message_id = :message_id;
