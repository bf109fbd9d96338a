SELECT consultant_user_id, count(*) FROM consultant_availability_slots
WHERE
    consultant_user_id = ANY(:consultants) AND status IN ('held', 'booked')
    AND tstzrange(start_time, end_time) && tstzrange(:now, NULL)
    AND (status = 'booked' OR held_until > :now)
GROUP BY consultant_user_id;
