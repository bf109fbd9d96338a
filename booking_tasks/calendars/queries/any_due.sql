-- Whether a calendar is due to be read, or its copy is stale and no alert was logged.
SELECT 1
FROM calendar_feeds, clock
WHERE
    due_at <= clock_timestamp()
    OR (alerted_at IS NULL AND coalesce(good_at, created_at) < instant - :stale_after)
LIMIT 1;
