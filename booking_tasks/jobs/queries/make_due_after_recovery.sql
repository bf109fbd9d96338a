WITH put_off AS (
    SELECT
        id,
        due_at
    FROM jobs
    WHERE
        state = 'waiting'
        AND job_type = any(:job_types)
        AND retry_at > statement_timestamp() + make_interval(secs => :spread)
        AND put_off_reason = any(:reasons)
        AND recoveries < :most
    FOR NO KEY UPDATE SKIP LOCKED
),

places AS (
    SELECT
        id,
        row_number() OVER (ORDER BY due_at, id) AS place,
        count(*) OVER () AS total
    FROM put_off
)

UPDATE jobs
SET
    retry_at = statement_timestamp() + make_interval(secs => :spread) * places.place / places.total,
    put_off_reason = :recovered,
    recoveries = jobs.recoveries + 1
FROM places
WHERE jobs.id = places.id
RETURNING jobs.id;
