SELECT
    known.job_type,
    found.due,
    found.lag,
    found.age,
    found.late
FROM unnest(cast(:job_types AS text[])) AS known (job_type)
CROSS JOIN
    LATERAL (
        SELECT
            count(*) FILTER (WHERE retry_at IS NULL OR retry_at <= statement_timestamp()) AS due,
            max(
                CASE
                    WHEN retry_at IS NULL THEN :now - due_at
                    WHEN retry_at <= statement_timestamp()
                        THEN least(:now - due_at, statement_timestamp() - retry_at)
                END
            ) AS lag,
            max(:now - due_at) AS age,
            count(*) FILTER (WHERE due_at <= :now - interval '5 minutes') AS late
        FROM jobs
        WHERE jobs.job_type = known.job_type AND state = 'waiting' AND due_at <= :now
    ) AS found;
