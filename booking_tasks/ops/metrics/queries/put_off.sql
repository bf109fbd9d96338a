SELECT
    job_type,
    put_off_reason,
    count(*) AS number
FROM jobs
WHERE state = 'waiting' AND retry_at IS NOT NULL AND retry_at > statement_timestamp()
GROUP BY job_type, put_off_reason;
