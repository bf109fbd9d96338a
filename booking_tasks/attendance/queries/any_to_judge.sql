-- Whether the verdict of a session may be due.
SELECT 1
FROM scheduled_sessions, clock
WHERE status = 'in_progress' AND scheduled_end_time <= instant - :delay
LIMIT 1;
