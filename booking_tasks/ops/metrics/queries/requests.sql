SELECT
    status,
    count(*) AS number,
    max(:now - requested_at) AS age
FROM consultation_requests
WHERE status IN ('pending', 'pending_assignment', 'pending_confirmation')
GROUP BY status;
