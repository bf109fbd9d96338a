-- Whether a session that begins soon has no link.
SELECT 1
FROM scheduled_sessions, clock
WHERE
    status = 'scheduled'
    AND meeting_platform_join_url IS NULL
    AND scheduled_start_time > instant
    AND scheduled_start_time <= instant + :ahead
LIMIT 1;
