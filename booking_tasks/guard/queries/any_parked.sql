-- Whether a message is parked, for whatever task.
SELECT 1
FROM parked_messages
LIMIT 1;
