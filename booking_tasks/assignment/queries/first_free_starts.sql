WITH requester AS (
    SELECT range_agg(span) AS taken
    FROM occupied_times
    WHERE
        person_id = :requester AND span && tstzrange(:since, NULL)
        AND (held_until IS NULL OR held_until > :now)
),

offered AS (
    SELECT f.*, coalesce(r.taken && tstzrange(f.start_time, f.end_time), false) AS collides
    FROM free_starts_v3(:consultants, :service_type, :since, :until, :now) f
    CROSS JOIN requester r
    WHERE (CAST(:latest_end AS timestamptz) IS NULL OR f.end_time <= :latest_end)
    -- Nobody is offered the same start twice.
    AND NOT EXISTS (
        SELECT FROM time_offers o
        WHERE
            o.consultation_request_id = :request
            AND o.consultant_user_id = f.consultant_user_id AND o.start_time = f.start_time
    )
),

ranked AS (
    SELECT o.*, row_number() OVER (PARTITION BY consultant_user_id, collides ORDER BY start_time) AS place
    FROM offered o
)

SELECT consultant_user_id, start_time, end_time, collides FROM ranked
WHERE place <= CASE WHEN collides THEN 1 ELSE :each END
ORDER BY start_time, consultant_user_id;
