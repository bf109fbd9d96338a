-- Nothing more is sent to the person; what is sent to others about them is composed again, without their
-- name. A worker that has leased such a job has composed it already, and loses its lease.
WITH found AS (
    SELECT
        j.id,
        j.job_type = ANY(CAST(:composed AS text[])) AS is_composed,
        j.state NOT IN ('done', 'skipped')
        AND (j.args ->> 'recipient' = CAST(:user AS text) OR j.subject_id = :user) AS ends
    FROM jobs j
    WHERE j.subject_id = ANY(:subjects)
    ORDER BY j.id
    FOR UPDATE
)

UPDATE jobs SET
    key = replace(jobs.key, CAST(:user AS text), CAST(:person AS text)),
    args = replace(args::text, CAST(:user AS text), CAST(:person AS text))::jsonb,
    subject_id = CASE WHEN subject_id = :user THEN :person ELSE subject_id END,
    payload = CASE WHEN NOT found.ends AND NOT found.is_composed THEN payload END,
    last_error = CASE WHEN found.ends THEN 'the person is forgotten' END,
    state = CASE
        WHEN found.ends THEN 'skipped'
        WHEN found.is_composed AND state = 'leased' THEN 'waiting'
        ELSE state
    END,
    lease_token = CASE
        WHEN NOT found.ends AND NOT (found.is_composed AND state = 'leased') THEN lease_token
    END,
    lease_until = CASE
        WHEN NOT found.ends AND NOT (found.is_composed AND state = 'leased') THEN lease_until
    END,
    finished_at = CASE WHEN found.ends THEN coalesce(finished_at, clock_timestamp()) ELSE finished_at END
FROM found
WHERE jobs.id = found.id;
