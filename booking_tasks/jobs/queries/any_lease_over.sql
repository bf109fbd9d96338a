-- Whether the lease of a job is over.
SELECT 1
FROM jobs
WHERE state IN ('leased', 'sending') AND lease_until <= clock_timestamp()
LIMIT 1;
