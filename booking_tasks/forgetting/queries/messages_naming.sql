-- The messages that name a person or their requests and sessions, and the commands to forget nobody; in a
-- range of blocks.
SELECT message_id FROM inbox
WHERE
    ctid >= CAST(:first AS tid) AND ctid < CAST(:behind AS tid)
    AND message_id <> :message AND task <> 'forget_user'
    AND (
        lower(body::text) LIKE :pattern OR outcome::text LIKE :pattern
        OR body ->> 'request_id' = ANY(CAST(:requests AS text[]))
        OR outcome ->> 'request_id' = ANY(CAST(:requests AS text[]))
        OR body ->> 'session_id' = ANY(CAST(:sessions AS text[]))
        OR outcome ->> 'session_id' = ANY(CAST(:sessions AS text[]))
    )
ORDER BY message_id
FOR NO KEY UPDATE;
