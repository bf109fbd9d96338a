SELECT
    state,
    job_type,
    count(*) AS number
FROM jobs
WHERE state IN ('uncertain', 'dead')
GROUP BY state, job_type;
