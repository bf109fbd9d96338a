INSERT INTO inbox AS i (message_id, task, body_hash, entry_point, body, attempts)
VALUES (:message_id, :task, :body_hash, :entry_point, :body, 1)
ON CONFLICT (message_id) DO UPDATE
    SET attempts = i.attempts + 1, attempted_at = clock_timestamp()
    WHERE i.state = 'received' AND i.body_hash = excluded.body_hash
RETURNING
    i.body_hash, i.outcome, i.attempts,
    CASE WHEN :has_caller AND i.attempts = 1 THEN set_config('synchronous_commit', 'off', true) END;
