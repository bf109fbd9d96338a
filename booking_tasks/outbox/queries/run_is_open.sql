-- Whether the run of this UTC day is not claimed.
SELECT 1
FROM clock
WHERE
    NOT EXISTS (
        SELECT FROM schedule_runs
        WHERE schedule = :schedule AND due_day = (instant AT TIME ZONE 'UTC')::date
    );
