SELECT
    sweep,
    published_at,
    succeeded_at
FROM sweep_runs;
