SELECT
    count(*) AS feeds,
    count(*) FILTER (WHERE failures > 0) AS failing,
    count(*) FILTER (WHERE coalesce(good_at, created_at) < :now - :stale_after) AS stale
FROM calendar_feeds;
