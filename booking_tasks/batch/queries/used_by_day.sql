WITH used AS (
    SELECT
        f.consultant_user_id, (f.session_start_time AT TIME ZONE c.time_zone)::date AS day,
        extract(epoch FROM f.session_end_time - f.session_start_time) / 60 AS minutes,
        r.consultation_service_type_id = :service_type AS same_type
    FROM consultant_availability_slots f
    JOIN consultation_requests r ON r.id = f.consultation_request_id
    JOIN consultant_profiles c ON c.consultant_user_id = f.consultant_user_id
    WHERE
        f.consultant_user_id = ANY(:consultants)
        AND f.status IN ('held', 'booked') AND (f.status = 'booked' OR f.held_until > :now)
        AND tstzrange(f.start_time, f.end_time) && tstzrange(:since, :until)
)

SELECT
    consultant_user_id, day, count(*) FILTER (WHERE same_type),
    coalesce(sum(minutes) FILTER (WHERE same_type), 0), count(*), sum(minutes)
FROM used
GROUP BY 1, 2;
