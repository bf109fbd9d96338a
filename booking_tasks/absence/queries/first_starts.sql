-- The first free start of each consultant at which the requester has no other reservation.
SELECT DISTINCT ON (f.consultant_user_id) f.consultant_user_id, f.start_time, f.end_time
FROM free_starts_v2(:consultants, :service_type, :since, :until, :now) f
WHERE
    NOT EXISTS (
        SELECT FROM consultant_availability_slots t
        WHERE
            t.requester_user_id = :requester
            AND (t.status = 'booked' OR (t.status = 'held' AND t.held_until > :now))
            AND tstzrange(t.session_start_time, t.session_end_time) && tstzrange(f.start_time, f.end_time)
    )
ORDER BY f.consultant_user_id, f.start_time;
