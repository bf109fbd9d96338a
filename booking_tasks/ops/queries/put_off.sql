WITH clock AS (
    SELECT coalesce((SELECT instant FROM stepped_clock), statement_timestamp()) AS instant
)

SELECT
    job_type,
    put_off_reason,
    count(*),
    greatest(max(clock.instant - due_at), interval '0')
FROM jobs, clock
WHERE state = 'waiting' AND retry_at IS NOT NULL AND retry_at > statement_timestamp()
GROUP BY job_type, put_off_reason;
