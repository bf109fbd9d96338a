-- The events that name a person: as the consultant, as the actor, or in what changed; in a range of blocks.
SELECT id FROM events
WHERE
    ctid >= CAST(:first AS tid) AND ctid < CAST(:behind AS tid)
    AND (
        consultant_user_id = :user OR consultation_request_id = ANY(:requests)
        OR lower(actor) LIKE :pattern OR lower(actor) = ANY(:actors)
        OR before::text LIKE :pattern OR after::text LIKE :pattern
    );
