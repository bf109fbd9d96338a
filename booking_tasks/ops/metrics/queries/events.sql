SELECT
    type,
    count(*) AS number
FROM events
WHERE occurred_at > :now - interval '1 hour' AND occurred_at <= :now
GROUP BY type;
