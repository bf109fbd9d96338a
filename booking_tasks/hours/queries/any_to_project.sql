-- Whether the day's run is not claimed, or windows are of an older time zone database.
SELECT 1
FROM clock
WHERE
    NOT EXISTS (
        SELECT FROM schedule_runs
        WHERE schedule = 'extend_availability' AND due_day = (instant AT TIME ZONE 'UTC')::date
    )
    OR EXISTS (SELECT FROM availability_projections WHERE tzdata_version < :tzdata_version);
