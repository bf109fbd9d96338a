-- The first free start of each consultant at which the requester is not occupied, in whatever role.
SELECT DISTINCT ON (f.consultant_user_id) f.consultant_user_id, f.start_time, f.end_time
FROM free_starts_v3(:consultants, :service_type, :since, :until, :now, NULL, :length) f
WHERE
    NOT EXISTS (
        SELECT FROM occupied_times o
        WHERE
            o.person_id = :requester
            AND (o.held_until IS NULL OR o.held_until > :now)
            AND o.span && tstzrange(f.start_time, f.end_time)
    )
ORDER BY f.consultant_user_id, f.start_time;
