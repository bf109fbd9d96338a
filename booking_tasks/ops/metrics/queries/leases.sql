SELECT
    count(*) AS held,
    count(*) FILTER (WHERE lease_until <= statement_timestamp()) AS expired
FROM jobs
WHERE state IN ('leased', 'sending');
