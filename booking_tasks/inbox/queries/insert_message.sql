INSERT INTO inbox (message_id, task, body_hash, entry_point, body, attempts)
VALUES (:message_id, :task, :body_hash, :entry_point, :body, 1)
ON CONFLICT (message_id) DO NOTHING
RETURNING
    body_hash, outcome, attempts, false AS is_running,
    CASE WHEN :has_caller THEN set_config('synchronous_commit', 'off', true) END;
