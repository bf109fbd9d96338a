-- Whether a job may be due. Reads the head of the index once for each type.
SELECT 1
FROM
    clock,
    unnest(CAST(:job_types AS text[])) AS due_type
WHERE
    EXISTS (
        SELECT FROM jobs
        WHERE job_type = due_type AND state = 'waiting' AND due_at <= instant
    )
LIMIT 1;
