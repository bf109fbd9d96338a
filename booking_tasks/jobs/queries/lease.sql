-- Lease up to :batch due jobs of one type; a job that lost its worker is taken alone.
WITH due AS (
    SELECT
        id,
        due_at,
        attempts > 0 AND retry_at IS NULL AS suspect
    FROM jobs
    WHERE
        state = 'waiting'
        AND job_type = :job_type
        AND due_at <= :now
        AND (retry_at IS NULL OR retry_at <= clock_timestamp())
    ORDER BY due_at
    LIMIT :batch
    FOR UPDATE SKIP LOCKED
),

places AS (
    SELECT
        id,
        row_number() OVER (ORDER BY due_at, id) AS place,
        count(*) FILTER (WHERE suspect) OVER (ORDER BY due_at, id) AS suspects
    FROM due
)

UPDATE jobs
SET
    state = 'leased',
    attempts = attempts + 1,
    retry_at = NULL,
    lease_token = :token,
    lease_until = clock_timestamp() + :term
WHERE id IN (SELECT id FROM places WHERE place = 1 OR suspects = 0)
RETURNING
    id, key, args, due_at, attempts, send_attempts, lease_token AS token, payload;
