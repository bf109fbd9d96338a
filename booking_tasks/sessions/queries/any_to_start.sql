-- Whether the start of a session has come.
SELECT 1
FROM scheduled_sessions, clock
WHERE status = 'scheduled' AND scheduled_start_time <= instant
LIMIT 1;
