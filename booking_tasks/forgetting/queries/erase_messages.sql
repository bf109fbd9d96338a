-- A message that was not answered yet is refused. Of the answers about the person's own requests only the
-- result stays.
UPDATE inbox SET
    body = NULL,
    state = CASE WHEN state = 'received' THEN 'dead' ELSE state END,
    finished_at = coalesce(finished_at, clock_timestamp()),
    outcome = CASE
        WHEN outcome IS NULL THEN CAST(:refusal AS jsonb)
        WHEN
            outcome ->> 'request_id' = ANY(CAST(:requests AS text[]))
            OR outcome ->> 'session_id' = ANY(CAST(:sessions AS text[]))
            THEN
                jsonb_strip_nulls(
                    jsonb_build_object('result', outcome -> 'result', 'code', outcome -> 'code')
                )
        ELSE replace(outcome::text, CAST(:user AS text), CAST(:person AS text))::jsonb
    END
WHERE message_id = ANY(:messages);
