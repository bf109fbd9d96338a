-- The events that name a person: as the consultant, as the actor, or in what changed. It reads the whole
-- history.
SELECT id FROM events
WHERE
    consultant_user_id = :user OR consultation_request_id = ANY(:requests)
    OR lower(actor) LIKE :pattern OR lower(actor) = ANY(:actors)
    OR before::text LIKE :pattern OR after::text LIKE :pattern
ORDER BY id;
