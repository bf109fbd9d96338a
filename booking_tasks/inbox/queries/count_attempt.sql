-- The row of a message that is running is locked, except between the transaction that counts its attempt
-- and the one that runs it. `attempted_at` covers the time between the two.
WITH free AS (
    SELECT i.message_id
    FROM inbox i
    WHERE
        i.message_id = :message_id AND i.body_hash = :body_hash AND i.state = 'received'
        AND i.attempted_at < clock_timestamp() - :start_within
    FOR NO KEY UPDATE SKIP LOCKED
),

counted AS (
    UPDATE inbox i SET attempts = i.attempts + 1, attempted_at = clock_timestamp()
    FROM free
    WHERE i.message_id = free.message_id
    RETURNING i.body_hash, i.outcome, i.attempts
)

SELECT counted.body_hash, counted.outcome, counted.attempts, false AS is_running FROM counted
UNION ALL
SELECT i.body_hash, i.outcome, i.attempts, i.outcome IS NULL AS is_running
FROM inbox i
WHERE i.message_id = :message_id AND NOT EXISTS (SELECT FROM counted);
