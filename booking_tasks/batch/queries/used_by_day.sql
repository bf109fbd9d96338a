WITH used AS (
    SELECT
        f.consultant_user_id,
        local_day_v1(f.session_start_time, c.time_zone, a.plan -> 'travel') AS day,
        extract(epoch FROM f.session_end_time - f.session_start_time) / 60 AS minutes,
        r.consultation_service_type_id = :service_type AS same_type
    FROM occupied_times o
    JOIN consultant_availability_slots f ON f.id = o.reservation_id
    JOIN consultation_requests r ON r.id = f.consultation_request_id
    JOIN consultant_profiles c ON c.consultant_user_id = f.consultant_user_id
    LEFT JOIN availability_plans a ON a.consultant_user_id = f.consultant_user_id
    WHERE
        o.person_id = ANY(:consultants) AND o.role = 'consultant'
        AND o.span && tstzrange(:since, :until)
        AND (o.held_until IS NULL OR o.held_until > :now)
)

SELECT
    consultant_user_id, day, count(*) FILTER (WHERE same_type),
    coalesce(sum(minutes) FILTER (WHERE same_type), 0), count(*), sum(minutes)
FROM used
GROUP BY 1, 2;
