-- Whether the last attempt at a message is older than :age and has no answer.
SELECT 1
FROM inbox
WHERE state = 'received' AND attempted_at < clock_timestamp() - :age
LIMIT 1;
