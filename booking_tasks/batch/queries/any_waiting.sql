-- Whether a request may wait for a consultant.
SELECT 1
FROM consultation_requests
WHERE status = 'pending_assignment' OR (status = 'pending' AND hold_token IS NULL)
LIMIT 1;
