SELECT DISTINCT b.source, s.id, s.scheduled_start_time
FROM consultant_availability_slots b
JOIN scheduled_sessions s
    ON
        s.consultant_user_id = b.consultant_user_id
        AND tstzrange(s.scheduled_start_time, s.scheduled_end_time) && tstzrange(b.start_time, b.end_time)
WHERE
    b.status = 'unavailable' AND b.source = ANY(:sources)
    AND b.consultant_user_id IN (SELECT f.consultant_user_id FROM calendar_feeds f WHERE f.id = ANY(:feeds))
    AND s.status = 'scheduled' AND s.scheduled_start_time > :now
ORDER BY s.scheduled_start_time, s.id;
