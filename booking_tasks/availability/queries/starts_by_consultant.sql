SELECT
    consultant_user_id, array_agg(start_time ORDER BY start_time),
    array_agg(end_time ORDER BY start_time)
FROM free_starts_v3(:consultants, :service_type, :since, :until, :now, :ignored)
GROUP BY consultant_user_id;
