SELECT
    known.schedule,
    found.started_at
FROM unnest(cast(:schedules AS text[])) AS known (schedule)
CROSS JOIN
    LATERAL (
        SELECT started_at
        FROM schedule_runs
        WHERE schedule_runs.schedule = known.schedule
        ORDER BY due_day DESC
        LIMIT 1
    ) AS found;
